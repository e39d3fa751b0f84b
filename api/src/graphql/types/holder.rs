use std::sync::Arc;

use alloy::primitives::Address;
use async_graphql::connection::Connection;
use async_graphql::{ID, InputObject, Object};
use tokenx_indexer::read::pages::{self, HolderKey, HolderRow};

use super::filter::BalanceRaw;
use super::party::Party;
use super::total::{Counted, Total};
use crate::graphql::cursor::{Cursor, HolderOrder, Page};
use crate::graphql::fault::Fault;
use crate::graphql::loaders::{HolderCount, HoldersOf};
use crate::graphql::reader::{Bounds, Reader};
use crate::graphql::scalars::{Addr, BigInt, Decimal};

/// Who holds a token: the wallets that the registry gives to one investor together, as `status` counts them.
pub(in crate::graphql) struct Holder {
    reader: Arc<Reader>,
    row: HolderRow,
    /// The block it is as of; `None`: the indexed head.
    at: Option<u64>,
}

pub(in crate::graphql) type HolderConnection = Connection<Cursor<HolderKey>, Holder, Total>;

/// Which holders. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct HolderFilter {
    /// The party. Only parties that you may see.
    party: Option<String>,
    #[graphql(flatten)]
    size: BalanceRaw,
}

/// A page of a token's holders, at the indexed head or as of a block.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    token: Address,
    page: Page,
    order: HolderOrder,
    filter: Option<HolderFilter>,
    as_of: Option<u64>,
) -> Result<HolderConnection, Fault> {
    let (window, cut) = page.window::<HolderKey>(order.end())?;
    let at = reader.past(as_of).await?;
    let filter = filter.unwrap_or_default();
    let Bounds { owned, executors, .. } = reader.bounds(filter.party.as_deref()).await?;
    let balance = filter.size.range();
    let filter = Arc::new(pages::HolderFilter { chain_id: reader.chain_id(), at, executors, owned, balance });
    let rows = reader.load(HoldersOf { token, filter: filter.clone(), window }).await?.unwrap_or_default();
    let total = Total { reader: reader.clone(), of: Counted::HoldersOf(HolderCount { token, filter }) };
    Ok(cut.connection(rows, total, HolderRow::key, |row| Holder { reader: reader.clone(), row, at }))
}

#[Object]
impl Holder {
    /// Token and first wallet; of a past block that too.
    async fn id(&self) -> ID {
        let (_, wallet) = self.row.key();
        let at = self.at.map(|block| format!("@{block}")).unwrap_or_default();
        format!("{}:{}{at}", self.row.token.to_checksum(None), wallet.to_checksum(None)).into()
    }

    /// Who it is; null where you may not know.
    async fn party(&self) -> Result<Option<Party>, Fault> {
        let (_, wallet) = self.row.key();
        self.reader.party_id(self.row.investor_id, wallet, self.row.executor).await.map(Party::named)
    }

    /// The wallets that hold.
    async fn wallets(&self) -> Vec<Addr> {
        self.row.wallets.iter().copied().map(Addr).collect()
    }

    /// All that they have, in whole tokens.
    async fn balance(&self) -> Decimal {
        Decimal::of(self.row.balance, self.row.decimals)
    }

    /// All that they have, in base units.
    async fn balance_raw(&self) -> BigInt {
        BigInt(self.row.balance)
    }
}
