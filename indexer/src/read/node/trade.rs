use alloy::primitives::{Address, B256, U256};
use sqlx::{PgExecutor, Row};
use tokenx_migrations::{Addr, Uint256, Word};

use super::{Of, Origin, Part, listed, newest, newest_of_either};
use crate::read::{Columns, int, uint};

/// On which terms matched orders are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketTerms {
    /// What is paid with.
    pub payment_token: Address,
    /// Whether anything is settled.
    pub open: bool,
    /// Fee of the taker, hundredths of a per cent of the cost.
    pub fee_bps: u16,
    /// Base units of which only whole multiples are traded.
    pub lot: U256,
    /// Lower end of the price band, base units of the payment token for one whole token.
    pub min_price: U256,
    /// Its upper end.
    pub max_price: U256,
}

/// The terms of a token at a secondary market; `None` before any were set.
///
/// # Errors
/// The database's.
pub async fn market_terms(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    market: Address,
    token: Address,
) -> Result<Option<MarketTerms>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT *
           FROM market_terms
          WHERE chain_id = $1 AND contract = $2 AND token = $3
          ORDER BY block_number DESC, log_index DESC
          LIMIT 1",
    )
    .bind(int(chain_id))
    .bind(Addr(market))
    .bind(Addr(token))
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        Ok(MarketTerms {
            payment_token: row.address("payment_token")?,
            open: row.try_get("is_open")?,
            fee_bps: bps(row.try_get("fee_bps")?),
            lot: row.amount("lot")?,
            min_price: row.amount("min_price")?,
            max_price: row.amount("max_price")?,
        })
    })
    .transpose()
}

/// The columns hold a chain's 16 bits.
fn bps(value: i32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// What became of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderState {
    /// Base units that were filled.
    pub filled: U256,
    /// Its wallet has taken it back: no more of it is filled.
    pub cancelled: bool,
}

/// What became of a wallet's order at a market, by its EIP-712 digest.
///
/// # Errors
/// The database's.
pub async fn order_state(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    market: Address,
    wallet: Address,
    order: B256,
) -> Result<OrderState, sqlx::Error> {
    let row = sqlx::query(
        "SELECT greatest((SELECT max(sell_filled)
                            FROM trades
                           WHERE chain_id = $1 AND contract = $2 AND seller = $3 AND sell_order = $4),
                         (SELECT max(buy_filled)
                            FROM trades
                           WHERE chain_id = $1 AND contract = $2 AND buyer = $3 AND buy_order = $4)) AS filled,
                EXISTS (SELECT
                          FROM cancellations
                         WHERE chain_id = $1 AND contract = $2 AND wallet = $3 AND digest = $4) AS cancelled",
    )
    .bind(int(chain_id))
    .bind(Addr(market))
    .bind(Addr(wallet))
    .bind(Word(order))
    .fetch_one(db)
    .await?;
    Ok(OrderState {
        filled: row.try_get::<Option<Uint256>, _>("filled")?.unwrap_or_default().0,
        cancelled: row.try_get("cancelled")?,
    })
}

/// The Unix second before which an order of `wallet` must not be valid to count at a market; 0 = any counts.
///
/// # Errors
/// The database's.
pub async fn order_cutoff(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    market: Address,
    wallet: Address,
) -> Result<u64, sqlx::Error> {
    let cutoff: Option<i64> = sqlx::query_scalar(
        "SELECT cutoff
           FROM order_cutoffs
          WHERE chain_id = $1 AND contract = $2 AND wallet = $3
          ORDER BY block_number DESC, log_index DESC
          LIMIT 1",
    )
    .bind(int(chain_id))
    .bind(Addr(market))
    .bind(Addr(wallet))
    .fetch_optional(db)
    .await?;
    Ok(cutoff.map_or(0, uint))
}

/// Matched orders that were settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Where it was said.
    pub origin: Origin,
    /// The token.
    pub token: Address,
    /// Digest of the sell order.
    pub sell_order: B256,
    /// Digest of the buy order.
    pub buy_order: B256,
    /// Whose units they were.
    pub seller: Address,
    /// Whose they are.
    pub buyer: Address,
    /// Base units.
    pub quantity: U256,
    /// What was paid with.
    pub payment_token: Address,
    /// Base units of it for one whole token.
    pub price: U256,
    /// Base units of it for all, without the fee.
    pub cost: U256,
    /// Base units of it that the taker paid.
    pub fee: U256,
    /// The buy order was there first: the seller is the taker.
    pub buy_rests: bool,
}

/// Trades of a token, or of a wallet on either side.
///
/// # Errors
/// The database's.
pub async fn trades(db: impl PgExecutor<'_>, chain_id: u64, of: Of, part: Part) -> Result<Vec<Trade>, sqlx::Error> {
    let rows = match of {
        Of::Token(token) => listed!(newest!("trades", "token"), db, chain_id, token, part),
        Of::Wallet(wallet) => listed!(newest_of_either!("trades", "seller", "buyer"), db, chain_id, wallet, part),
    };
    rows.iter()
        .map(|row| {
            Ok(Trade {
                origin: Origin::from_row(row)?,
                token: row.address("token")?,
                sell_order: row.word("sell_order")?,
                buy_order: row.word("buy_order")?,
                seller: row.address("seller")?,
                buyer: row.address("buyer")?,
                quantity: row.amount("quantity")?,
                payment_token: row.address("payment_token")?,
                price: row.amount("price")?,
                cost: row.amount("cost")?,
                fee: row.amount("fee")?,
                buy_rests: row.try_get("buy_rests")?,
            })
        })
        .collect()
}

/// On which terms deals are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtcTerms {
    /// Whether any are.
    pub open: bool,
    /// Fee out of the payment, hundredths of a per cent.
    pub fee_bps: u16,
}

/// The terms of a token at an OTC desk; `None` before any were set.
///
/// # Errors
/// The database's.
pub async fn otc_terms(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    desk: Address,
    token: Address,
) -> Result<Option<OtcTerms>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT is_open, fee_bps
           FROM otc_terms
          WHERE chain_id = $1 AND contract = $2 AND token = $3
          ORDER BY block_number DESC, log_index DESC
          LIMIT 1",
    )
    .bind(int(chain_id))
    .bind(Addr(desk))
    .bind(Addr(token))
    .fetch_optional(db)
    .await?;
    row.map(|row| Ok(OtcTerms { open: row.try_get("is_open")?, fee_bps: bps(row.try_get("fee_bps")?) })).transpose()
}

/// What became of a deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DealState {
    /// Nothing, as far as the chain says.
    Unknown,
    /// Settled.
    Settled,
    /// A party has taken its consent back.
    Cancelled,
}

/// What became of a deal at an OTC desk, by its EIP-712 digest.
///
/// # Errors
/// The database's.
pub async fn deal_state(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    desk: Address,
    deal: B256,
) -> Result<DealState, sqlx::Error> {
    let row = sqlx::query(
        "SELECT EXISTS (SELECT FROM deals WHERE chain_id = $1 AND contract = $2 AND deal = $3) AS settled,
                EXISTS (SELECT FROM cancellations WHERE chain_id = $1 AND contract = $2 AND digest = $3) AS cancelled",
    )
    .bind(int(chain_id))
    .bind(Addr(desk))
    .bind(Word(deal))
    .fetch_one(db)
    .await?;
    Ok(match (row.try_get("settled")?, row.try_get("cancelled")?) {
        (true, _) => DealState::Settled,
        (false, true) => DealState::Cancelled,
        (false, false) => DealState::Unknown,
    })
}

/// A deal that was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal {
    /// Where it was said.
    pub origin: Origin,
    /// Its digest.
    pub deal: B256,
    /// The token.
    pub token: Address,
    /// Whose units they were.
    pub seller: Address,
    /// Whose they are.
    pub buyer: Address,
    /// Base units.
    pub quantity: U256,
    /// What was paid with.
    pub payment_token: Address,
    /// Base units of it that the buyer paid.
    pub payment: U256,
    /// Base units of it that came out of that.
    pub fee: U256,
}

/// Deals in a token, or of a wallet on either side.
///
/// # Errors
/// The database's.
pub async fn deals(db: impl PgExecutor<'_>, chain_id: u64, of: Of, part: Part) -> Result<Vec<Deal>, sqlx::Error> {
    let rows = match of {
        Of::Token(token) => listed!(newest!("deals", "token"), db, chain_id, token, part),
        Of::Wallet(wallet) => listed!(newest_of_either!("deals", "seller", "buyer"), db, chain_id, wallet, part),
    };
    rows.iter()
        .map(|row| {
            Ok(Deal {
                origin: Origin::from_row(row)?,
                deal: row.word("deal")?,
                token: row.address("token")?,
                seller: row.address("seller")?,
                buyer: row.address("buyer")?,
                quantity: row.amount("quantity")?,
                payment_token: row.address("payment_token")?,
                payment: row.amount("payment")?,
                fee: row.amount("fee")?,
            })
        })
        .collect()
}
