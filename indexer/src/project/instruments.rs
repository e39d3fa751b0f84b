//! Instruments: found by factory events, or followed by a setting.

use std::collections::{BTreeSet, HashMap};

use alloy::primitives::{Address, B256, U256};
use sqlx::{PgConnection, Row};
use tokenx_migrations::{Addr, Uint256, Word};

use super::node::token_of;
use super::settings::Settings;
use crate::event::{FactoryEvent, TokenEvent, contracts_of};
use crate::read::{Columns, int};
use crate::text::clean;
use crate::{ChainLog, Event, Kind};

/// A token's state before a batch.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) instrument_id: String,
    pub(super) decimals: u8,
    pub(super) supply: U256,
    pub(super) inexact_block: Option<u64>,
    pub(super) followed: bool,
    pub(super) settings: Settings,
}

/// Inserts the nodes' contracts and the tokens that factories deployed, and watches them. Those found in the past of a
/// factory (`late`) have a past of their own to catch up with. A followed token that turns out to be ours is one of ours
/// from its deployment on, unless its past has been read as a stranger's.
pub(super) async fn deployed(
    chain_id: u64,
    logs: &[ChainLog],
    late: bool,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    for log in logs {
        match &log.event {
            Some(Event::Factory(FactoryEvent::NodeDeployed(e))) => {
                for (kind, address) in contracts_of(e) {
                    watch(chain_id, address, kind, log, Some(e.nodeKey), late, tx).await?;
                }
            }
            Some(Event::Factory(FactoryEvent::NodeExecutorReplaced(e))) => {
                watch(chain_id, e.newExecutor, Kind::Executor, log, Some(e.nodeKey), late, tx).await?;
            }
            Some(Event::Factory(FactoryEvent::TokenDeployed(e))) => {
                watch(chain_id, e.token, Kind::Token, log, None, late, tx).await?;
                // The token names its registry a few logs earlier, as it is initialised.
                let registry = logs.iter().find_map(|log| match &log.event {
                    Some(Event::Token(TokenEvent::TokenInitialized(init))) if log.address == e.token => {
                        Some(init.registry)
                    }
                    _ => None,
                });
                sqlx::query(
                    "INSERT INTO instruments (chain_id, token, instrument_id, name, symbol, decimals, max_supply, executor,
                                              issuer_key, registry, created_block, created_log, created_time, created_tx)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
                         ON CONFLICT (chain_id, token) DO UPDATE
                        SET instrument_id = excluded.instrument_id,
                            name          = excluded.name,
                            symbol        = excluded.symbol,
                            decimals      = excluded.decimals,
                            max_supply    = excluded.max_supply,
                            executor      = excluded.executor,
                            issuer_key    = excluded.issuer_key,
                            registry      = excluded.registry,
                            created_block = excluded.created_block,
                            created_log   = excluded.created_log,
                            created_time  = excluded.created_time,
                            created_tx    = excluded.created_tx
                      WHERE instruments.executor IS NULL AND NOT $15",
                )
                .bind(int(chain_id))
                .bind(Addr(e.token))
                .bind(clean(&e.instrumentId))
                .bind(clean(&e.name))
                .bind(clean(&e.symbol))
                .bind(i16::from(e.decimals))
                .bind(Uint256(e.maxSupply))
                .bind(Addr(e.node))
                .bind(Word(e.issuer))
                .bind(registry.map(Addr))
                .bind(int(log.block_number))
                .bind(i32::try_from(log.log_index).unwrap_or(i32::MAX))
                .bind(int(log.timestamp))
                .bind(Word(log.tx_hash))
                .bind(late)
                .execute(&mut *tx)
                .await?;
            }
            _ => {}
        }
    }
    Ok(())
}

async fn watch(
    chain_id: u64,
    address: Address,
    kind: Kind,
    log: &ChainLog,
    node_key: Option<B256>,
    late: bool,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO watched (chain_id, address, kind, from_block, node_key, found_block, filled_to)
         VALUES ($1, $2, $3, $4, $5, $4, CASE WHEN $6 THEN $4 - 1 END)
             ON CONFLICT (chain_id, address) DO UPDATE
            SET node_key = coalesce(watched.node_key, excluded.node_key),
                kind     = CASE WHEN watched.kind = 'followed' AND NOT $6 THEN excluded.kind ELSE watched.kind END",
    )
    .bind(int(chain_id))
    .bind(Addr(address))
    .bind(kind.name())
    .bind(int(log.block_number))
    .bind(node_key.map(Word))
    .bind(late)
    .execute(tx)
    .await?;
    Ok(())
}

/// Somebody else's token, as a setting names it and its contract describes it.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) token: Address,
    pub(crate) instrument_id: String,
    pub(crate) name: String,
    pub(crate) symbol: String,
    pub(crate) decimals: u8,
    pub(crate) from_block: u64,
    pub(crate) from_time: u64,
}

/// Inserts a followed token's instrument, or brings its id up to the setting.
pub(crate) async fn insert_followed(chain_id: u64, token: &Followed, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO instruments (chain_id, token, instrument_id, name, symbol, decimals, created_block, created_log,
                                  created_time)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8)
             ON CONFLICT (chain_id, token) DO UPDATE
            SET instrument_id = excluded.instrument_id
          WHERE instruments.executor IS NULL",
    )
    .bind(int(chain_id))
    .bind(Addr(token.token))
    .bind(&token.instrument_id)
    .bind(&token.name)
    .bind(&token.symbol)
    .bind(i16::from(token.decimals))
    .bind(int(token.from_block))
    .bind(int(token.from_time))
    .execute(tx)
    .await?;
    Ok(())
}

/// The tokens that `logs` speak of, as the table has them.
pub(super) async fn load(
    chain_id: u64,
    logs: &[ChainLog],
    tx: &mut PgConnection,
) -> Result<HashMap<Address, State>, sqlx::Error> {
    let mut tokens = BTreeSet::new();
    for log in logs {
        match &log.event {
            Some(Event::Token(_)) => tokens.extend([log.address]),
            Some(Event::Factory(FactoryEvent::TokenDeployed(e))) => tokens.extend([e.token]),
            Some(event) => tokens.extend(token_of(event)),
            None => {}
        }
    }
    if tokens.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "SELECT token, instrument_id, decimals, total_supply, inexact_block, executor, transfers_paused, supply_paused,
                registry, max_holders, max_balance, country_mode, countries
           FROM instruments
          WHERE chain_id = $1 AND token = ANY ($2)",
    )
    .bind(int(chain_id))
    .bind(tokens.into_iter().map(Addr).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    rows.iter()
        .map(|row| {
            let state = State {
                instrument_id: row.try_get("instrument_id")?,
                decimals: u8::try_from(row.try_get::<i16, _>("decimals")?).unwrap_or(u8::MAX),
                supply: row.amount("total_supply")?,
                inexact_block: row.try_get::<Option<i64>, _>("inexact_block")?.map(crate::read::uint),
                followed: row.maybe_address("executor")?.is_none(),
                settings: Settings::from_row(row)?,
            };
            Ok((row.address("token")?, state))
        })
        .collect()
}
