use alloy::primitives::{Address, B256, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use tokenx_migrations::Addr;

use super::{Money, Of, Origin, Part, listed, newest};
use crate::read::{Columns, int, uint};

/// How a token is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedemptionTerms {
    /// What is paid in.
    pub payment_token: Address,
    /// Most that may be paid for one whole token, base units of it.
    pub max_price: U256,
}

/// The terms of a token at a redemption desk; `None` before any were set.
///
/// # Errors
/// The database's.
pub async fn redemption_terms(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    desk: Address,
    token: Address,
) -> Result<Option<RedemptionTerms>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT payment_token, max_price
           FROM redemption_terms
          WHERE chain_id = $1 AND contract = $2 AND token = $3
          ORDER BY block_number DESC, log_index DESC
          LIMIT 1",
    )
    .bind(int(chain_id))
    .bind(Addr(desk))
    .bind(Addr(token))
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        Ok(RedemptionTerms { payment_token: row.address("payment_token")?, max_price: row.amount("max_price")? })
    })
    .transpose()
}

/// Units that a wallet wants to give back, or has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redemption {
    /// Where the request was said.
    pub origin: Origin,
    /// The token.
    pub token: Address,
    /// The desk's number for it, and the token's for its hold.
    pub request_id: u64,
    /// Who asks.
    pub wallet: Address,
    /// Base units.
    pub quantity: U256,
    /// What the wallet takes.
    pub payment_token: Address,
    /// Least that it takes for all of it, base units of that.
    pub min_payout: U256,
    /// How it ended; `None` while it is open.
    pub end: Option<RedemptionEnd>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedemptionEnd {
    /// What was paid, base units of the payment token; `None`: it was closed without.
    pub payout: Option<U256>,
    /// The payment token refused the wallet: it had to draw the payout.
    pub credited: bool,
    /// Why.
    pub reason: B256,
    /// Who decided; the wallet itself where it took the request back.
    pub operator: Address,
    /// Block of the end.
    pub block_number: u64,
    /// Time of that block, Unix seconds.
    pub block_time: u64,
    /// Its transaction.
    pub tx_hash: B256,
}

/// Redemptions of a token, or of a wallet, by their requests.
///
/// # Errors
/// The database's.
pub async fn redemptions(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    of: Of,
    part: Part,
) -> Result<Vec<Redemption>, sqlx::Error> {
    let rows = match of {
        Of::Token(token) => listed!(newest!("redemptions", "token"), db, chain_id, token, part),
        Of::Wallet(wallet) => listed!(newest!("redemptions", "wallet"), db, chain_id, wallet, part),
    };
    rows.iter().map(from_row).collect()
}

/// A request by its number; `None` if there never was one.
///
/// # Errors
/// The database's.
pub async fn redemption(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    desk: Address,
    token: Address,
    request_id: u64,
) -> Result<Option<Redemption>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT *
           FROM redemptions
          WHERE chain_id = $1 AND contract = $2 AND token = $3 AND request_id = $4",
    )
    .bind(int(chain_id))
    .bind(Addr(desk))
    .bind(Addr(token))
    .bind(int(request_id))
    .fetch_optional(db)
    .await?;
    row.as_ref().map(from_row).transpose()
}

fn from_row(row: &PgRow) -> Result<Redemption, sqlx::Error> {
    let end = |approved: bool| {
        let payout = if approved { Some(row.amount("payout")?) } else { None };
        Ok::<_, sqlx::Error>(RedemptionEnd {
            payout,
            credited: approved && !row.amount("credit")?.is_zero(),
            reason: row.word("end_reason")?,
            operator: row.address("end_operator")?,
            block_number: row.height("end_block")?,
            block_time: row.height("end_time")?,
            tx_hash: row.word("end_tx")?,
        })
    };
    Ok(Redemption {
        origin: Origin::from_row(row)?,
        token: row.address("token")?,
        request_id: uint(row.try_get("request_id")?),
        wallet: row.address("wallet")?,
        quantity: row.amount("quantity")?,
        payment_token: row.address("payment_token")?,
        min_payout: row.amount("min_payout")?,
        end: row.try_get::<Option<bool>, _>("approved")?.map(end).transpose()?,
    })
}

/// What a wallet has to draw for units of a token that it gave back; where it has nothing is left out.
///
/// # Errors
/// The database's.
pub async fn redemption_credits_of_wallet(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
    wallet: Address,
) -> Result<Vec<Money>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT contract, payment_token, credit AS amount
           FROM redemption_credit_balances
          WHERE chain_id = $1 AND token = $2 AND wallet = $3 AND credit > 0
          ORDER BY contract, payment_token",
    )
    .bind(int(chain_id))
    .bind(Addr(token))
    .bind(Addr(wallet))
    .fetch_all(db)
    .await?;
    rows.iter().map(Money::from_row).collect()
}
