//! What the contracts of nodes say, at the indexed head.

mod buyers;
mod fees;
mod intents;
mod payouts;
mod redemption;
mod rent;
mod sale;
mod trade;

use alloy::primitives::{Address, B256};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use tokenx_migrations::Addr;

use super::{Columns, int};
use crate::Kind;

pub use buyers::{Buyer, buyers};
pub use fees::{FeeTerms, Fees, Split, fee_credit, fee_credits_of_wallet, fee_pots_of_token, fees, fees_of_tokens};
pub use intents::{intent_used, retired_at, treasury};
pub use payouts::{Fund, Money, funds_of_token};
pub use redemption::{
    Redemption, RedemptionEnd, RedemptionTerms, redemption, redemption_credits_of_wallet, redemption_terms, redemptions,
};
pub use rent::{
    Rent, RentAccount, RentPayment, RentPeriod, RentTerms, count_rent_periods, rent_account, rent_accounts_of_token,
    rent_payments, rent_periods, rents_of_tokens,
};
pub use sale::{Listing, ListingStatus, ListingTerms, Purchase, listing, listings_of_tokens, purchased_by, purchases};
pub use trade::{
    Deal, DealState, MarketTerms, OrderState, OtcTerms, Trade, deal_state, deals, market_terms, order_cutoff,
    order_state, otc_terms, trades,
};

/// Where a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The contract that said it.
    pub contract: Address,
    /// Block of the log.
    pub block_number: u64,
    /// Its place in the block.
    pub log_index: u64,
    /// Time of the block, Unix seconds.
    pub block_time: u64,
    /// Its transaction.
    pub tx_hash: B256,
    /// On-chain id of the command that caused it; `None` where none did, as with what wallets do themselves.
    pub command_key: Option<B256>,
}

impl Origin {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            contract: row.address("contract")?,
            block_number: row.height("block_number")?,
            log_index: u64::from(row.try_get::<i32, _>("log_index")?.unsigned_abs()),
            block_time: row.height("block_time")?,
            tx_hash: row.word("tx_hash")?,
            command_key: row.maybe_word("command_key")?,
        })
    }
}

/// Whose rows of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Of a token.
    Token(Address),
    /// Of a wallet, in all tokens.
    Wallet(Address),
}

/// Which part of a list, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Rows before this block and place in it; `None` = from the newest one.
    pub before: Option<(u64, u64)>,
    /// Rows at most.
    pub limit: u32,
}

impl Part {
    /// The place as the tables have it.
    fn bounds(&self) -> (i64, i32) {
        let (block, log_index) = self.before.unwrap_or((u64::MAX, u64::MAX));
        (int(block), i32::try_from(log_index).unwrap_or(i32::MAX))
    }
}

/// Binds what a list is asked with: chain, whose, before where, and how many.
macro_rules! listed {
    ($statement:expr, $db:expr, $chain_id:expr, $whose:expr, $part:expr) => {{
        let (block, log_index) = $part.bounds();
        sqlx::query($statement)
            .bind($crate::read::int($chain_id))
            .bind(tokenx_migrations::Addr($whose))
            .bind(block)
            .bind(log_index)
            .bind(i64::from($part.limit))
            .fetch_all($db)
            .await?
    }};
}
use listed;

/// A list of rows by a column, newest first, as [`listed!`] binds it.
macro_rules! newest {
    ($from:literal, $column:literal) => {
        concat!(
            "SELECT * FROM ",
            $from,
            " WHERE chain_id = $1 AND ",
            $column,
            " = $2 AND (block_number, log_index) < ($3, $4)",
            " ORDER BY block_number DESC, log_index DESC LIMIT $5"
        )
    };
}
use newest;

/// The same by either of two columns.
macro_rules! newest_of_either {
    ($from:literal, $one:literal, $other:literal) => {
        concat!(
            "SELECT * FROM ((",
            $crate::read::node::newest!($from, $one),
            ") UNION (",
            $crate::read::node::newest!($from, $other),
            ")) both_ways ORDER BY block_number DESC, log_index DESC LIMIT $5"
        )
    };
}
use newest_of_either;

/// The contracts of a node; `None` where it has none of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeContracts {
    /// Primary sale.
    pub listing: Option<Address>,
    /// Settles matched orders.
    pub secondary_market: Option<Address>,
    /// Settles deals.
    pub otc_desk: Option<Address>,
    /// Pays rental income.
    pub rent_distributor: Option<Address>,
    /// Fee supply and trade fees.
    pub fee_vault: Option<Address>,
    /// Takes units back for money.
    pub redemption_desk: Option<Address>,
}

impl NodeContracts {
    fn from_rows(rows: &[PgRow]) -> Result<Self, sqlx::Error> {
        let mut all = Self::default();
        for row in rows {
            let place = match Kind::parse(row.try_get("kind")?) {
                Some(Kind::Listing) => &mut all.listing,
                Some(Kind::SecondaryMarket) => &mut all.secondary_market,
                Some(Kind::OtcDesk) => &mut all.otc_desk,
                Some(Kind::RentDistributor) => &mut all.rent_distributor,
                Some(Kind::FeeVault) => &mut all.fee_vault,
                Some(Kind::RedemptionDesk) => &mut all.redemption_desk,
                _ => continue,
            };
            *place = Some(row.address("contract")?);
        }
        Ok(all)
    }
}

/// The contracts of the node that an Executor drives; all `None` for one that no node has, or of a node without any.
///
/// # Errors
/// The database's.
pub async fn contracts_of_executor(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    executor: Address,
) -> Result<NodeContracts, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT n.kind, n.address AS contract
           FROM watched e
           JOIN watched n ON n.chain_id = e.chain_id AND n.node_key = e.node_key
          WHERE e.chain_id = $1 AND e.address = $2",
    )
    .bind(int(chain_id))
    .bind(Addr(executor))
    .fetch_all(db)
    .await?;
    NodeContracts::from_rows(&rows)
}

/// The contracts of a token's own node; all `None` for a token of somebody else's.
///
/// # Errors
/// The database's.
pub async fn contracts_of_token(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
) -> Result<NodeContracts, sqlx::Error> {
    let rows = sqlx::query("SELECT kind, contract FROM token_contracts WHERE chain_id = $1 AND token = $2")
        .bind(int(chain_id))
        .bind(Addr(token))
        .fetch_all(db)
        .await?;
    NodeContracts::from_rows(&rows)
}
