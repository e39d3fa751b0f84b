use std::collections::HashMap;

use alloy::primitives::{Address, FixedBytes, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use tokenx_migrations::{Addr, Uint256};

use super::{Of, Origin, Part, listed, newest};
use crate::read::pages::{EventKey, Window, place};
use crate::read::{Columns, int};

/// On which terms rent is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RentTerms {
    /// What is paid in.
    pub payment_token: Address,
    /// Unix second from which the first period may be opened.
    pub start: u64,
    /// Seconds from one period to the next; 0 = no schedule.
    pub length: u64,
}

/// The rental income of a token, as the token and its distributor say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rent {
    /// Who opens periods, and pays; `None` = nobody ever.
    pub distributor: Option<Address>,
    /// Whether it may open more.
    pub bound: bool,
    /// What a wallet must have to earn, base units; zero = anything.
    pub minimum: U256,
    /// The last period opened; 0 = none.
    pub period: u16,
    /// What a unit has earned since the first period, base units of the payment token times 2^128.
    pub per_unit: U256,
    /// What was too little to be divided, times 2^128.
    pub carry: U256,
    /// The distributor's terms; `None` before any were set.
    pub terms: Option<RentTerms>,
}

/// The rent of each token of ours.
///
/// # Errors
/// The database's.
pub async fn rents_of_tokens(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    tokens: &[Address],
) -> Result<HashMap<Address, Rent>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM token_rents WHERE chain_id = $1 AND token = ANY ($2::bytea[])")
        .bind(int(chain_id))
        .bind(tokens.iter().copied().map(Addr).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| Ok((row.address("token")?, rent(row)?))).collect()
}

fn rent(row: &PgRow) -> Result<Rent, sqlx::Error> {
    let or_zero = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<Uint256>, _>(column)?.unwrap_or_default().0);
    let terms = |payment_token| {
        Ok::<_, sqlx::Error>(RentTerms { payment_token, start: row.height("start_at")?, length: row.height("length")? })
    };
    Ok(Rent {
        distributor: row.maybe_address("distributor")?.filter(|distributor| !distributor.is_zero()),
        bound: row.try_get::<Option<bool>, _>("bound")?.unwrap_or(false),
        minimum: or_zero("minimum")?,
        period: number(row.try_get::<Option<i32>, _>("period")?.unwrap_or(0)),
        per_unit: or_zero("per_unit")?,
        carry: or_zero("carry")?,
        terms: row.maybe_address("payment_token")?.map(terms).transpose()?,
    })
}

/// A token has 65,535 periods at most.
fn number(period: i32) -> u16 {
    u16::try_from(period).unwrap_or(u16::MAX)
}

/// The rent of a wallet in a token. All figures are base units of the payment token times 2^128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RentAccount {
    /// What it has earned by its balances.
    pub earned: U256,
    /// What it got of others' (recovered, inherited).
    pub got: U256,
    /// What others got of it.
    pub given: U256,
    /// What it was paid.
    pub paid: U256,
    /// What is left.
    pub accrued: U256,
}

impl RentAccount {
    /// What it could be paid, in whole base units of the payment token.
    #[must_use]
    pub fn claimable(&self) -> U256 {
        self.accrued >> 128
    }

    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            earned: row.amount("earned")?,
            got: row.amount("got")?,
            given: row.amount("given")?,
            paid: row.amount("paid")?,
            accrued: row.amount("accrued")?,
        })
    }
}

/// The rent of `wallet` in `token`; all zero where it never had any units.
///
/// # Errors
/// The database's.
pub async fn rent_account(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
    wallet: Address,
) -> Result<RentAccount, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM rent_accounts WHERE chain_id = $1 AND token = $2 AND wallet = $3")
        .bind(int(chain_id))
        .bind(Addr(token))
        .bind(Addr(wallet))
        .fetch_optional(db)
        .await?;
    row.as_ref().map_or(Ok(RentAccount::default()), RentAccount::from_row)
}

/// The rent of every wallet that ever earned any of a token.
///
/// # Errors
/// The database's.
pub async fn rent_accounts_of_token(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
) -> Result<HashMap<Address, RentAccount>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT * FROM rent_accounts WHERE chain_id = $1 AND token = $2 AND (earned > 0 OR got > 0)")
            .bind(int(chain_id))
            .bind(Addr(token))
            .fetch_all(db)
            .await?;
    rows.iter().map(|row| Ok((row.address("wallet")?, RentAccount::from_row(row)?))).collect()
}

/// A period that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RentPeriod {
    /// Where it was said: who held units at this log has earned.
    pub origin: Origin,
    /// Its number, from one.
    pub period: u16,
    /// What it is paid in.
    pub payment_token: Address,
    /// Base units of it that were divided, with what the period before carried.
    pub amount: U256,
    /// Base units of the token that have earned.
    pub earning: U256,
}

macro_rules! periods {
    ($direction:literal) => {
        concat!(
            "SELECT *
               FROM rent_periods
              WHERE chain_id = $1 AND token = $2
                AND (block_number, log_index) > ($3, $4) AND (block_number, log_index) < ($5, $6)
              ORDER BY block_number ",
            $direction,
            ", log_index ",
            $direction,
            " LIMIT $7"
        )
    };
}

/// A page of a token's periods.
///
/// # Errors
/// The database's.
pub async fn rent_periods(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
    window: &Window<EventKey>,
) -> Result<Vec<RentPeriod>, sqlx::Error> {
    let above = window.above.map_or((-1, -1), |(block, log_index)| (int(block), place(log_index)));
    let below = window.below.map_or((i64::MAX, i32::MAX), |(block, log_index)| (int(block), place(log_index)));
    let rows = sqlx::query(if window.descending { periods!("DESC") } else { periods!("ASC") })
        .bind(int(chain_id))
        .bind(Addr(token))
        .bind(above.0)
        .bind(above.1)
        .bind(below.0)
        .bind(below.1)
        .bind(window.limit)
        .fetch_all(db)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(RentPeriod {
                origin: Origin::from_row(row)?,
                period: number(row.try_get("period")?),
                payment_token: row.address("payment_token")?,
                amount: row.amount("amount")?,
                earning: row.amount("earning")?,
            })
        })
        .collect()
}

/// How many periods of a token were opened.
///
/// # Errors
/// The database's.
pub async fn count_rent_periods(db: impl PgExecutor<'_>, chain_id: u64, token: Address) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM rent_periods WHERE chain_id = $1 AND token = $2")
        .bind(int(chain_id))
        .bind(Addr(token))
        .fetch_one(db)
        .await
}

/// Rent that was paid to a wallet, or could not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RentPayment {
    /// Where it was said.
    pub origin: Origin,
    /// The token.
    pub token: Address,
    /// The wallet.
    pub wallet: Address,
    /// Payment token and base units of it, or the selector of what refused.
    pub paid: Result<(Address, U256), FixedBytes<4>>,
}

/// Payments of a token's rent, or to a wallet.
///
/// # Errors
/// The database's.
pub async fn rent_payments(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    of: Of,
    part: Part,
) -> Result<Vec<RentPayment>, sqlx::Error> {
    let rows = match of {
        Of::Token(token) => listed!(newest!("rent_payments", "token"), db, chain_id, token, part),
        Of::Wallet(wallet) => listed!(newest!("rent_payments", "wallet"), db, chain_id, wallet, part),
    };
    rows.iter()
        .map(|row| {
            let refusal = row.try_get::<Option<&[u8]>, _>("refusal")?;
            let paid = match refusal {
                Some(selector) => Err(FixedBytes::try_from(selector).unwrap_or_default()),
                None => Ok((row.address("payment_token")?, row.amount("amount")?)),
            };
            Ok(RentPayment {
                origin: Origin::from_row(row)?,
                token: row.address("token")?,
                wallet: row.address("wallet")?,
                paid,
            })
        })
        .collect()
}
