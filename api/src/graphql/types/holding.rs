use std::sync::Arc;

use alloy::primitives::Address;
use async_graphql::connection::Connection;
use async_graphql::{ID, InputObject, Object};
use tokenx_indexer::read::pages::{self, HoldingKey, HoldingRow};

use super::hold::Hold;
use super::party::Party;
use super::token::Token;
use super::total::{Counted, Total};
use super::{addresses, one_of};
use crate::graphql::cursor::{Cursor, Order, Page, wallets_of};
use crate::graphql::fault::Fault;
use crate::graphql::limits::holds_of;
use crate::graphql::loaders::{HoldingCount, HoldingsOf, HoldsOf, TokenAt};
use crate::graphql::reader::Reader;
use crate::graphql::scalars::{Addr, BigInt, Decimal};

/// What a wallet has of a token.
pub(in crate::graphql) struct Holding {
    reader: Arc<Reader>,
    row: HoldingRow,
}

pub(in crate::graphql) type HoldingConnection = Connection<Cursor<HoldingKey>, Holding, Total>;

/// Which holdings. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct HoldingFilter {
    /// The instrument's id.
    instrument_id: Option<String>,
    #[graphql(name = "instrumentId_in")]
    instrument_id_in: Option<Vec<String>>,
    /// The token's address.
    token: Option<Addr>,
    #[graphql(name = "token_in")]
    token_in: Option<Vec<Addr>>,
    /// The wallet's address.
    wallet: Option<Addr>,
    #[graphql(name = "wallet_in")]
    wallet_in: Option<Vec<Addr>>,
    /// The party behind the wallet. Only parties that you may see.
    party: Option<String>,
}

/// A page of holdings, of one token or of all.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    parent: Option<Address>,
    page: Page,
    filter: Option<HoldingFilter>,
) -> Result<HoldingConnection, Fault> {
    let (window, cut) = page.window::<HoldingKey>(Order::OldestFirst)?;
    let filter = filter.unwrap_or_default();
    let bounds = reader.bounds(filter.party.as_deref()).await?;
    let filter = pages::HoldingFilter {
        chain_id: reader.chain_id(),
        tokens: addresses(filter.token, filter.token_in),
        instruments: one_of(filter.instrument_id, filter.instrument_id_in),
        executors: bounds.executors,
        wallets: addresses(filter.wallet, filter.wallet_in),
        investor: bounds.investor,
    };
    let (rows, of) = match parent {
        None => {
            let rows = pages::holding_page(&mut *reader.conn().await?, &filter, &window).await?;
            (rows, Counted::Holdings(filter))
        }
        Some(token) => {
            let filter = Arc::new(filter);
            let key = HoldingsOf { token, filter: filter.clone(), window: wallets_of(&window) };
            let rows = reader.load(key).await?.unwrap_or_default();
            (rows, Counted::HoldingsOf(HoldingCount { token, filter }))
        }
    };
    let total = Total { reader: reader.clone(), of };
    Ok(cut.connection(rows, total, |row| (row.token, row.wallet), |row| Holding { reader: reader.clone(), row }))
}

#[Object]
impl Holding {
    /// Token and wallet.
    async fn id(&self) -> ID {
        format!("{}:{}", self.row.token.to_checksum(None), self.row.wallet.to_checksum(None)).into()
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
        let key = HoldsOf { token: self.row.token, wallet: self.row.wallet };
        let holds = self.reader.load(key).await?.unwrap_or_default();
        Ok(holds.into_iter().map(|hold| Hold::new(hold, self.row.decimals)).collect())
    }

    /// The whole wallet is frozen for this token.
    async fn address_frozen(&self) -> bool {
        self.row.position.address_frozen
    }
}
