//! Each token's own settings: pauses, registry, limits and country rule. A row for each change with all of them after
//! it, and the instrument's after the last one.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use tokenx_migrations::copy::Rows;
use tokenx_migrations::{Addr, Uint256};

use super::instruments::State;
use super::rows::event_row;
use crate::event::TokenEvent;
use crate::read::{Columns, int};
use crate::{ChainLog, Event};

/// The settings of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    transfers_paused: bool,
    supply_paused: bool,
    registry: Address,
    max_holders: u32,
    max_balance: U256,
    country_mode: u8,
    countries: Countries,
}

/// Countries as the table has them: country n is bit n % 8 of byte n / 8.
type Countries = [u8; 128];

/// The contract's words: country n is bit n % 256 of word n / 256.
fn countries(words: &[U256; 4]) -> Countries {
    let mut bytes = [0; 128];
    for (part, word) in bytes.chunks_exact_mut(32).zip(words) {
        part.copy_from_slice(&word.to_le_bytes::<32>());
    }
    bytes
}

impl Settings {
    /// Of a row of `instruments`.
    pub(super) fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let countries = row.try_get::<&[u8], _>("countries")?;
        Ok(Self {
            transfers_paused: row.try_get("transfers_paused")?,
            supply_paused: row.try_get("supply_paused")?,
            registry: row.maybe_address("registry")?.unwrap_or_default(),
            // The columns hold a chain's 32 and 8 bits, the domain 128 bytes.
            max_holders: u32::try_from(row.try_get::<i64, _>("max_holders")?).unwrap_or(u32::MAX),
            max_balance: row.amount("max_balance")?,
            country_mode: u8::try_from(row.try_get::<i16, _>("country_mode")?).unwrap_or(u8::MAX),
            countries: countries.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        })
    }
}

/// Writes what the batch did to settings.
pub(super) async fn write(
    chain_id: u64,
    logs: &[ChainLog],
    tokens: &HashMap<Address, State>,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let mut now: HashMap<Address, Settings> = HashMap::new();
    let mut rows = Rows::new(16);
    for log in logs {
        let (Some(Event::Token(event)), Some(state)) = (&log.event, tokens.get(&log.address)) else { continue };
        let mut settings = now.get(&log.address).copied().unwrap_or(state.settings);
        let label = match event {
            TokenEvent::TokenInitialized(e) => {
                settings.registry = e.registry;
                None
            }
            TokenEvent::PauseChanged(e) => {
                (settings.transfers_paused, settings.supply_paused) = (e.transfersPaused, e.supplyPaused);
                Some((e.reason, e.operator))
            }
            TokenEvent::RegistryChanged(e) => {
                settings.registry = e.newRegistry;
                Some((e.reason, e.operator))
            }
            TokenEvent::LimitsChanged(e) => {
                (settings.max_holders, settings.max_balance) = (e.maxHolders, e.maxBalance.to());
                Some((e.reason, e.operator))
            }
            TokenEvent::CountryRuleChanged(e) => {
                (settings.country_mode, settings.countries) = (e.mode, countries(&e.countries));
                Some((e.reason, e.operator))
            }
            _ => continue,
        };
        now.insert(log.address, settings);
        event_row(&mut rows, chain_id, log)
            .address(log.address)
            .boolean(settings.transfers_paused)
            .boolean(settings.supply_paused)
            .address(settings.registry)
            .bigint(i64::from(settings.max_holders))
            .uint256(settings.max_balance)
            .smallint(i16::from(settings.country_mode))
            .bytea(&settings.countries)
            .or_null(label.map(|(reason, _)| reason), Rows::word)
            .or_null(label.map(|(_, operator)| operator), Rows::address)
            .or_null(log.command, Rows::word);
    }
    rows.send(
        tx,
        "token_changes (chain_id, block_number, log_index, block_time, tx_hash, token, transfers_paused,
                        supply_paused, registry, max_holders, max_balance, country_mode, countries, reason, operator,
                        command_key)",
    )
    .await?;
    for (token, settings) in now {
        sqlx::query(
            "UPDATE instruments
                SET transfers_paused = $3, supply_paused = $4, registry = $5, max_holders = $6, max_balance = $7,
                    country_mode = $8, countries = $9
              WHERE chain_id = $1 AND token = $2",
        )
        .bind(int(chain_id))
        .bind(Addr(token))
        .bind(settings.transfers_paused)
        .bind(settings.supply_paused)
        .bind(Addr(settings.registry))
        .bind(i64::from(settings.max_holders))
        .bind(Uint256(settings.max_balance))
        .bind(i16::from(settings.country_mode))
        .bind(settings.countries.as_slice())
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_the_same_bit_on_chain_and_in_the_table() {
        for country in [0usize, 7, 8, 255, 256, 276, 840, 1023] {
            let mut words = [U256::ZERO; 4];
            words[country / 256] = U256::ONE << (country % 256);
            let bytes = countries(&words);
            assert_eq!(bytes[country / 8], 1 << (country % 8), "{country}");
            assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 1, "{country}");
        }
    }
}
