//! A token's rent as record and chain have it, and what comes next of it: a pure function of both.

use alloy::primitives::{Address, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor, Row};
use tokenx_contracts::ids::InstrumentId;
use tokenx_indexer::read;
use tokenx_migrations::{Addr, Uint256};
use uuid::Uuid;

use crate::error::ApiError;
use crate::tokens::money::{Currency, Price};

/// The most periods that a token has.
const MOST: u64 = 65_535;

/// A token's rent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The token's record.
    pub token_id: String,
    /// Its name on chain.
    pub instrument_id: InstrumentId,
    /// Whose it is.
    pub issuer_id: Uuid,
    /// Its contract.
    pub token: Address,
    /// The distributor of its node.
    pub distributor: Address,
    /// Decimals of the token.
    pub decimals: u8,
    /// Of all units together, a period.
    pub income: Price,
    /// When the first period is due, and seconds from one to the next; 0 = no schedule. `None` before the chain has them.
    pub terms: Option<(u64, u64)>,
    /// The last period opened.
    pub period: u16,
    /// Base units that a wallet must have to earn.
    pub minimum: U256,
    /// What is paid in and not divided.
    pub available: U256,
}

/// What becomes of the next period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Next {
    /// The chain does not have the record's terms yet.
    NoTerms,
    /// It is opened when somebody says so.
    Unscheduled,
    /// Its time has not come.
    Waits,
    /// The fund has too little.
    Unfunded,
    /// Nobody holds enough to earn.
    NobodyEarns,
    /// Nothing stands in its way.
    Due,
    /// There is none any more.
    Over,
}

impl Next {
    /// Its name on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Next::NoTerms => "no_terms",
            Next::Unscheduled => "unscheduled",
            Next::Waits => "waits",
            Next::Unfunded => "unfunded",
            Next::NobodyEarns => "nobody_earns",
            Next::Due => "due",
            Next::Over => "over",
        }
    }
}

impl Schedule {
    /// The next period's number.
    pub fn next_period(&self) -> u64 {
        u64::from(self.period) + 1
    }

    /// When a period is due, Unix seconds; `None` where nothing is scheduled.
    pub fn due_at(&self, period: u64) -> Option<u64> {
        let (start, length) = self.terms.filter(|(_, length)| *length > 0)?;
        period.checked_sub(1)?.checked_mul(length)?.checked_add(start)
    }

    /// What becomes of the next period at this second of the chain's.
    pub fn next(&self, now: u64, somebody_earns: bool) -> Next {
        if self.terms.is_none() {
            return Next::NoTerms;
        }
        if self.next_period() > MOST {
            return Next::Over;
        }
        match self.due_at(self.next_period()) {
            None => Next::Unscheduled,
            Some(due) if due > now => Next::Waits,
            Some(_) if self.available < self.income.amount.base() => Next::Unfunded,
            Some(_) if !somebody_earns => Next::NobodyEarns,
            Some(_) => Next::Due,
        }
    }
}

/// The rent of a token; `None` where its record speaks of none, or where it is not on chain.
///
/// # Errors
/// The database's.
pub async fn find(db: impl PgExecutor<'_>, chain_id: u64, token_id: &str) -> Result<Option<Schedule>, ApiError> {
    let row = sqlx::query("SELECT * FROM rent_schedules WHERE chain_id = $1 AND token_id = $2")
        .bind(chain_id.cast_signed())
        .bind(token_id)
        .fetch_optional(db)
        .await?;
    row.as_ref().map(schedule).transpose()
}

/// Whether anybody holds enough to earn.
///
/// # Errors
/// The database's.
pub async fn somebody_earns(db: impl PgExecutor<'_>, chain_id: u64, schedule: &Schedule) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT
                          FROM holdings
                         WHERE chain_id = $1 AND token = $2 AND balance > 0 AND balance >= $3)",
    )
    .bind(chain_id.cast_signed())
    .bind(Addr(schedule.token))
    .bind(Uint256(schedule.minimum))
    .fetch_one(db)
    .await
}

/// The time of the indexed head: what the chain takes for now.
///
/// # Errors
/// The database's.
pub async fn chain_time(conn: &mut PgConnection, chain_id: u64) -> Result<u64, ApiError> {
    let cursor = read::cursor(conn, chain_id).await?;
    let time = cursor.and_then(|cursor| cursor.block_time);
    time.ok_or_else(|| ApiError::Unavailable("the chain is not read yet: try again shortly".into()))
}

pub(super) fn schedule(row: &PgRow) -> Result<Schedule, ApiError> {
    let byte = |column| Ok::<_, sqlx::Error>(u8::try_from(row.try_get::<i16, _>(column)?).unwrap_or(u8::MAX));
    let units = |column| Ok::<_, sqlx::Error>(row.try_get::<Uint256, _>(column)?.0);
    let currency = Currency {
        currency_id: row.try_get("currency_id")?,
        address: row.try_get::<Addr, _>("payment_token")?.0,
        symbol: row.try_get("symbol")?,
        decimals: byte("decimals")?,
    };
    let instrument_id: String = row.try_get("instrument_id")?;
    let times = row.try_get::<Option<i64>, _>("start_at")?.zip(row.try_get("length")?);
    let terms_hold: bool = row.try_get("terms_hold")?;
    Ok(Schedule {
        token_id: row.try_get("token_id")?,
        instrument_id: InstrumentId::parse(instrument_id).map_err(ApiError::internal)?,
        issuer_id: row.try_get("issuer_id")?,
        token: row.try_get::<Addr, _>("token")?.0,
        distributor: row.try_get::<Addr, _>("contract")?.0,
        decimals: byte("token_decimals")?,
        income: Price::new(currency, units("income")?),
        terms: times
            .filter(|_| terms_hold)
            .map(|(start, length): (i64, i64)| (start.unsigned_abs(), length.unsigned_abs())),
        period: u16::try_from(row.try_get::<i32, _>("period")?).unwrap_or(u16::MAX),
        minimum: units("minimum")?,
        available: units("available")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduled(terms: Option<(u64, u64)>, period: u16, available: u64) -> Schedule {
        let currency = Currency { currency_id: "c".into(), address: Address::ZERO, symbol: "U".into(), decimals: 0 };
        Schedule {
            token_id: String::new(),
            instrument_id: InstrumentId::parse("T").unwrap(),
            issuer_id: Uuid::nil(),
            token: Address::ZERO,
            distributor: Address::ZERO,
            decimals: 0,
            income: Price::new(currency, U256::from(100)),
            terms,
            period,
            minimum: U256::ZERO,
            available: U256::from(available),
        }
    }

    #[test]
    fn the_first_period_is_due_at_the_start_and_each_a_length_after_the_one_before() {
        let rent = scheduled(Some((1_000, 30)), 0, 100);
        assert_eq!([1, 2, 11].map(|period| rent.due_at(period)), [Some(1_000), Some(1_030), Some(1_300)]);
        assert_eq!(rent.due_at(0), None);
        assert_eq!(scheduled(Some((0, 0)), 0, 100).due_at(1), None);
    }

    #[test]
    fn a_period_is_opened_when_its_time_has_come_its_money_is_there_and_somebody_earns() {
        let rent = |available| scheduled(Some((1_000, 30)), 1, available);
        assert_eq!(rent(100).next(1_029, true), Next::Waits);
        assert_eq!(rent(100).next(1_030, true), Next::Due);
        assert_eq!(rent(99).next(1_030, true), Next::Unfunded);
        assert_eq!(rent(100).next(1_030, false), Next::NobodyEarns);
        assert_eq!(scheduled(None, 0, 100).next(9_999, true), Next::NoTerms);
        assert_eq!(scheduled(Some((0, 0)), 0, 100).next(9_999, true), Next::Unscheduled);
        assert_eq!(scheduled(Some((0, 1)), u16::MAX, 100).next(u64::MAX, true), Next::Over);
    }
}
