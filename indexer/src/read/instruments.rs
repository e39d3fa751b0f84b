use std::collections::HashMap;

use alloy::primitives::{Address, B256, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use tokenx_migrations::{Addr, Uint256};

use super::{Columns, int};

/// A deployed token, as the chain describes it at the indexed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// EIP-155 id of its chain.
    pub chain_id: u64,
    /// The token contract.
    pub token: Address,
    /// What the platform calls it.
    pub instrument_id: String,
    /// ERC-20 name, cleaned.
    pub name: String,
    /// ERC-20 symbol, cleaned.
    pub symbol: String,
    /// Decimals of an amount, 0–255 for somebody else's token, 0–18 for ours.
    pub decimals: u8,
    /// Most base units that may exist; `None` where the contract has no such limit.
    pub max_supply: Option<U256>,
    /// The Executor of its node, through which commands reach it; `None` for a followed token.
    pub executor: Option<Address>,
    /// Key of its issuer on chain; `None` for a followed token.
    pub issuer_key: Option<B256>,
    /// The registry it asks; `None` for a followed token.
    pub registry: Option<Address>,
    /// Base units that exist at the indexed head.
    pub total_supply: U256,
    /// Transfers between holders are paused.
    pub transfers_paused: bool,
    /// Mint and burn are paused.
    pub supply_paused: bool,
    /// Most wallets that may have some of it; `None` = no limit.
    pub max_holders: Option<u32>,
    /// Most base units that one wallet may have; `None` = no limit.
    pub max_balance: Option<U256>,
    /// Where recipients may be; `None` = anywhere.
    pub country_rule: Option<CountryRule>,
    /// Block of its deployment; for a followed token the block it is followed from.
    pub created_block: u64,
    /// Time of that block, Unix seconds.
    pub created_time: u64,
    /// Transaction of its deployment; `None` for a followed token.
    pub created_tx: Option<B256>,
    /// Why its holdings stand still; `None` while its logs add up.
    pub inexact: Option<String>,
}

/// Which countries a token's recipients may be in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountryRule {
    /// True: only in those listed. False: not in those listed.
    pub admits: bool,
    /// ISO 3166-1 numeric codes in ascending order; 0 = not given.
    pub countries: Vec<u16>,
}

impl CountryRule {
    /// May recipients be in `country`?
    #[must_use]
    pub fn allows(&self, country: u16) -> bool {
        self.countries.binary_search(&country).is_ok() == self.admits
    }

    /// From the columns `country_mode` and `countries` of `instruments`; `None` where there is no rule.
    ///
    /// `bitmap` has country n as bit n % 8 of byte n / 8.
    #[must_use]
    pub fn from_columns(mode: i16, bitmap: &[u8]) -> Option<Self> {
        let listed = |country: &u16| {
            let (byte, bit) = (usize::from(country / 8), country % 8);
            bitmap.get(byte).is_some_and(|byte| byte >> bit & 1 == 1)
        };
        let countries = || (0..1_024).filter(listed).collect();
        match mode {
            1 => Some(Self { admits: false, countries: countries() }),
            2 => Some(Self { admits: true, countries: countries() }),
            _ => None,
        }
    }
}

/// The instrument of this id; where several tokens claim it, the one deployed first.
///
/// # Errors
/// The database's.
pub async fn instrument(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    instrument_id: &str,
) -> Result<Option<Instrument>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT *
           FROM instruments
          WHERE chain_id = $1 AND instrument_id = $2
          ORDER BY created_block, created_log
          LIMIT 1",
    )
    .bind(int(chain_id))
    .bind(instrument_id)
    .fetch_optional(db)
    .await?;
    row.map(|row| from_row(chain_id, &row)).transpose()
}

/// All tokens that claim this id, the one deployed first before others.
///
/// # Errors
/// The database's.
pub async fn instruments_named(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    instrument_id: &str,
) -> Result<Vec<Instrument>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT *
           FROM instruments
          WHERE chain_id = $1 AND instrument_id = $2
          ORDER BY created_block, created_log",
    )
    .bind(int(chain_id))
    .bind(instrument_id)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| from_row(chain_id, row)).collect()
}

/// The Executors behind these instruments, as [`instrument`] finds them; ids that the chain does not know are left out.
///
/// # Errors
/// The database's.
pub async fn executors_of_instruments(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    instrument_ids: &[String],
) -> Result<HashMap<String, Option<Address>>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT DISTINCT ON (instrument_id) instrument_id, executor
           FROM instruments
          WHERE chain_id = $1 AND instrument_id = ANY ($2)
          ORDER BY instrument_id, created_block, created_log",
    )
    .bind(int(chain_id))
    .bind(instrument_ids)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("instrument_id")?, row.maybe_address("executor")?))).collect()
}

/// The instrument of this token.
///
/// # Errors
/// The database's.
pub async fn instrument_of_token(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
) -> Result<Option<Instrument>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM instruments WHERE chain_id = $1 AND token = $2")
        .bind(int(chain_id))
        .bind(Addr(token))
        .fetch_optional(db)
        .await?;
    row.map(|row| from_row(chain_id, &row)).transpose()
}

/// All instruments of a chain, oldest first.
///
/// # Errors
/// The database's.
pub async fn instruments(db: impl PgExecutor<'_>, chain_id: u64) -> Result<Vec<Instrument>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM instruments WHERE chain_id = $1 ORDER BY created_block, created_log, token")
        .bind(int(chain_id))
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| from_row(chain_id, row)).collect()
}

pub(super) fn from_row(chain_id: u64, row: &PgRow) -> Result<Instrument, sqlx::Error> {
    Ok(Instrument {
        chain_id,
        token: row.address("token")?,
        instrument_id: row.try_get("instrument_id")?,
        name: row.try_get("name")?,
        symbol: row.try_get("symbol")?,
        // The column's CHECK keeps it within a byte.
        decimals: u8::try_from(row.try_get::<i16, _>("decimals")?).unwrap_or(u8::MAX),
        max_supply: row.try_get::<Option<Uint256>, _>("max_supply")?.map(|supply| supply.0),
        executor: row.maybe_address("executor")?,
        issuer_key: row.maybe_word("issuer_key")?,
        registry: row.maybe_address("registry")?,
        total_supply: row.amount("total_supply")?,
        transfers_paused: row.try_get("transfers_paused")?,
        supply_paused: row.try_get("supply_paused")?,
        max_holders: u32::try_from(row.try_get::<i64, _>("max_holders")?).ok().filter(|most| *most > 0),
        max_balance: Some(row.amount("max_balance")?).filter(|most| !most.is_zero()),
        country_rule: CountryRule::from_columns(row.try_get("country_mode")?, row.try_get("countries")?),
        created_block: row.height("created_block")?,
        created_time: row.height("created_time")?,
        created_tx: row.maybe_word("created_tx")?,
        inexact: row.try_get("inexact_reason")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_rule_refuses_or_admits_those_listed() {
        let mut bitmap = [0; 128];
        bitmap[276 / 8] |= 1 << (276 % 8);
        bitmap[840 / 8] |= 1 << (840 % 8);
        assert_eq!(CountryRule::from_columns(0, &bitmap), None);
        let refuses = CountryRule::from_columns(1, &bitmap).unwrap();
        assert_eq!(refuses.countries, [276, 840]);
        assert!(!refuses.allows(276) && refuses.allows(250) && refuses.allows(60_000));
        let admits = CountryRule::from_columns(2, &bitmap).unwrap();
        assert!(admits.allows(840) && !admits.allows(0) && !admits.allows(60_000));
    }
}
