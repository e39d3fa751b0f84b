use std::sync::Arc;

use alloy::primitives::Address;
use async_graphql::connection::Connection;
use async_graphql::{ID, InputObject, Object};
use tokenx_indexer::read::pages::{self, HoldingKey, HoldingRow};

use super::filter::{BalanceRaw, OfInstrument, OfWallet};
use super::hold::Hold;
use super::party::Party;
use super::token::Token;
use super::total::{Counted, Total};
use crate::graphql::cursor::{Cursor, HoldingOrder, Page};
use crate::graphql::fault::Fault;
use crate::graphql::limits::holds_of;
use crate::graphql::loaders::{HoldingCount, HoldingsOf, HoldsOf, TokenAt};
use crate::graphql::reader::{Bounds, Reader};
use crate::graphql::scalars::{Addr, BigInt, Decimal};

/// What a wallet has of a token.
pub(in crate::graphql) struct Holding {
    reader: Arc<Reader>,
    row: HoldingRow,
    /// The block it is as of; `None`: the indexed head.
    at: Option<u64>,
}

pub(in crate::graphql) type HoldingConnection = Connection<Cursor<HoldingKey>, Holding, Total>;

/// Which holdings. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct HoldingFilter {
    #[graphql(flatten)]
    of: OfInstrument,
    #[graphql(flatten)]
    who: OfWallet,
    #[graphql(flatten)]
    size: BalanceRaw,
    /// The whole wallet is frozen for the token, or not.
    address_frozen: Option<bool>,
}

/// A page of holdings, of one token or of all, at the indexed head or as of a block.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    parent: Option<Address>,
    page: Page,
    order: HoldingOrder,
    filter: Option<HoldingFilter>,
    as_of: Option<u64>,
) -> Result<HoldingConnection, Fault> {
    let (by_size, end) = order.parts();
    let (window, cut) = page.window::<HoldingKey>(end)?;
    let at = reader.past(as_of).await?;
    let filter = filter.unwrap_or_default();
    let ((instruments, tokens), (wallets, party)) = (filter.of.choices(), filter.who.choices());
    let Bounds { owned, executors, .. } = reader.bounds(party.as_deref()).await?;
    let filter = pages::HoldingFilter {
        chain_id: reader.chain_id(),
        at,
        tokens,
        instruments,
        executors,
        wallets,
        owned,
        balance: filter.size.range(),
        address_frozen: filter.address_frozen,
    };
    let (rows, of) = match parent {
        None => {
            let rows = pages::holding_page(&mut *reader.conn().await?, &filter, by_size, &window).await?;
            (rows, Counted::Holdings(filter))
        }
        Some(token) => {
            let filter = Arc::new(filter);
            let rows = reader.load(HoldingsOf { token, filter: filter.clone(), by_size, window }).await?;
            (rows.unwrap_or_default(), Counted::HoldingsOf(HoldingCount { token, filter }))
        }
    };
    let total = Total { reader: reader.clone(), of };
    Ok(cut.connection(rows, total, HoldingRow::key, |row| Holding { reader: reader.clone(), row, at }))
}

impl Holding {
    /// As of the indexed head.
    pub(in crate::graphql) fn now(reader: Arc<Reader>, row: HoldingRow) -> Holding {
        Holding { reader, row, at: None }
    }
}

#[Object]
impl Holding {
    /// Token and wallet; of a past block that too.
    async fn id(&self) -> ID {
        let at = self.at.map(|block| format!("@{block}")).unwrap_or_default();
        format!("{}:{}{at}", self.row.token.to_checksum(None), self.row.wallet.to_checksum(None)).into()
    }

    /// What every text calls the instrument.
    async fn instrument_id(&self) -> &str {
        &self.row.instrument_id
    }

    /// The token.
    async fn token(&self) -> Result<Token, Fault> {
        let row = self.reader.load(TokenAt(self.row.token)).await?;
        let row = row.ok_or_else(|| Fault::internal("a holding of a token that is not there"))?;
        Ok(Token::new(self.reader.clone(), row))
    }

    /// The wallet that holds.
    async fn wallet(&self) -> Addr {
        Addr(self.row.wallet)
    }

    /// Who is behind the wallet; null where you may not know.
    async fn party(&self) -> Result<Option<Party>, Fault> {
        let row = &self.row;
        self.reader.party_id(row.investor_id, row.wallet, row.executor).await.map(Party::named)
    }

    /// All it has, in whole tokens.
    async fn balance(&self) -> Decimal {
        Decimal::of(self.row.position.balance, self.row.decimals)
    }

    /// All it has, in base units.
    async fn balance_raw(&self) -> BigInt {
        BigInt(self.row.position.balance)
    }

    /// The part that the chain would not let it move, in whole tokens.
    async fn locked(&self) -> Decimal {
        Decimal::of(self.row.position.locked(), self.row.decimals)
    }

    /// The part that the chain would not let it move, in base units.
    async fn locked_raw(&self) -> BigInt {
        BigInt(self.row.position.locked())
    }

    /// The rest, in whole tokens.
    async fn spendable(&self) -> Decimal {
        Decimal::of(self.row.position.spendable(), self.row.decimals)
    }

    /// The rest, in base units.
    async fn spendable_raw(&self) -> BigInt {
        BigInt(self.row.position.spendable())
    }

    /// The part that is under holds and lockups, in whole tokens. Expired ones do not count.
    async fn held(&self) -> Decimal {
        Decimal::of(self.row.position.held, self.row.decimals)
    }

    /// The part that is under holds and lockups, in base units.
    async fn held_raw(&self) -> BigInt {
        BigInt(self.row.position.held)
    }

    /// Its holds and lockups, oldest first, without those that have expired.
    #[graphql(complexity = "holds_of(child_complexity)")]
    async fn holds(&self) -> Result<Vec<Hold>, Fault> {
        // Most wallets have none, which the row has said already.
        if self.row.position.held.is_zero() {
            return Ok(Vec::new());
        }
        let key = HoldsOf { token: self.row.token, wallet: self.row.wallet, at: self.at };
        let holds = self.reader.load(key).await?.unwrap_or_default();
        Ok(holds.into_iter().map(|hold| Hold::new(hold, self.row.decimals)).collect())
    }

    /// The whole wallet is frozen for this token.
    async fn address_frozen(&self) -> bool {
        self.row.position.address_frozen
    }
}
