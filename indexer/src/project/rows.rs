//! Event rows: transfers, mints, burns, freezes, registry and token changes, as `COPY` takes them.

use std::collections::HashMap;

use alloy::primitives::{Address, B256};
use sqlx::PgConnection;
use tokenx_migrations::Delta;
use tokenx_migrations::copy::Rows;

use super::ledger::{FreezeChange, Ledger};
use crate::event::{RegistryEvent, TokenEvent};
use crate::read::{account_key, int};
use crate::{Batch, ChainLog, Event};

/// A log's place in its block; no block holds 2^31 logs.
pub(super) fn index(log_index: u64) -> i32 {
    i32::try_from(log_index).unwrap_or(i32::MAX)
}

/// A row that begins with the columns every event table shares.
pub(super) fn event_row<'a>(rows: &'a mut Rows, chain_id: u64, log: &ChainLog) -> &'a mut Rows {
    rows.row()
        .bigint(int(chain_id))
        .bigint(int(log.block_number))
        .integer(index(log.log_index))
        .bigint(int(log.timestamp))
        .word(log.tx_hash)
}

pub(super) async fn blocks(batch: &Batch, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new(5);
    for block in &batch.blocks {
        rows.row()
            .bigint(int(batch.chain_id))
            .bigint(int(block.number))
            .word(block.hash)
            .word(block.parent_hash)
            .bigint(int(block.timestamp));
    }
    rows.send(tx, "blocks (chain_id, number, hash, parent_hash, block_time)").await?;
    Ok(())
}

pub(super) async fn logs(chain_id: u64, logs: &[ChainLog], tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new(12);
    let mut topics = Vec::with_capacity(128);
    for log in logs {
        topics.clear();
        log.topics.iter().for_each(|topic| topics.extend_from_slice(topic.as_slice()));
        rows.row()
            .bigint(int(chain_id))
            .bigint(int(log.block_number))
            .integer(index(log.log_index))
            .word(log.block_hash)
            .bigint(int(log.timestamp))
            .word(log.tx_hash)
            .integer(index(log.tx_index))
            .address(log.address)
            .bytea(&topics)
            .bytea(&log.data)
            .boolean(log.event.is_some())
            .or_null(log.command, Rows::word);
    }
    rows.send(
        tx,
        "logs (chain_id, block_number, log_index, block_hash, block_time, tx_hash, tx_index, address, topics, data,
               decoded, command_key)",
    )
    .await?;
    Ok(())
}

/// Why and by whom, from the label that our own tokens log after a movement.
struct Label {
    reason: B256,
    operator: Address,
}

/// Labels of forced transfers and recoveries by the place of the Transfer they belong to: the nearest one before, of the
/// same token, transaction and parties.
fn forced(logs: &[ChainLog]) -> HashMap<usize, Label> {
    let mut labels = HashMap::new();
    for (here, log) in logs.iter().enumerate() {
        let (from, to, amount, label) = match &log.event {
            Some(Event::Token(TokenEvent::ForcedTransferExecuted(e))) => {
                (e.from, e.to, e.amount, Label { reason: e.reason, operator: e.operator })
            }
            Some(Event::Token(TokenEvent::WalletRecovered(e))) => {
                (e.lost, e.replacement, e.amount, Label { reason: e.reason, operator: e.operator })
            }
            _ => continue,
        };
        let moved = (0..here)
            .rev()
            .take_while(|&at| logs[at].tx_hash == log.tx_hash && logs[at].block_number == log.block_number)
            .find(|&at| {
                logs[at].address == log.address
                    && matches!(&logs[at].event, Some(Event::Token(TokenEvent::Transfer(e)))
                                if e.from == from && e.to == to && e.value == amount)
            });
        if let Some(moved) = moved {
            labels.insert(moved, label);
        }
    }
    labels
}

pub(super) async fn transfers(chain_id: u64, logs: &[ChainLog], tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    let labels = forced(logs);
    let mut rows = Rows::new(13);
    for (place, log) in logs.iter().enumerate() {
        let Some(Event::Token(TokenEvent::Transfer(e))) = &log.event else { continue };
        let label = labels.get(&place);
        event_row(&mut rows, chain_id, log)
            .address(log.address)
            .address(e.from)
            .address(e.to)
            .uint256(e.value)
            .boolean(label.is_some())
            .or_null(label.map(|label| label.reason), Rows::word)
            .or_null(label.map(|label| label.operator), Rows::address)
            .or_null(log.command, Rows::word);
    }
    rows.send(
        tx,
        "transfers (chain_id, block_number, log_index, block_time, tx_hash, token, from_wallet, to_wallet, amount,
                    forced, reason, operator, command_key)",
    )
    .await?;
    Ok(())
}

pub(super) async fn recoveries(chain_id: u64, logs: &[ChainLog], tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new(12);
    for log in logs {
        let Some(Event::Token(TokenEvent::WalletRecovered(e))) = &log.event else { continue };
        event_row(&mut rows, chain_id, log)
            .address(log.address)
            .address(e.lost)
            .address(e.replacement)
            .uint256(e.amount)
            .word(e.reason)
            .address(e.operator)
            .or_null(log.command, Rows::word);
    }
    rows.send(
        tx,
        "recoveries (chain_id, block_number, log_index, block_time, tx_hash, token, lost, replacement, amount, reason,
                     operator, command_key)",
    )
    .await?;
    Ok(())
}

/// Supply that one log made or destroyed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Supply<'a> {
    pub(super) log: &'a ChainLog,
    pub(super) minted: bool,
    pub(super) wallet: Address,
    pub(super) amount: alloy::primitives::U256,
    pub(super) forced: bool,
    /// Reason and operator; our own tokens say them.
    pub(super) label: Option<(B256, Address)>,
}

/// Mints and burns: of our own tokens by their own events, which follow the Transfer and say why; of a followed token,
/// which has no such events, by its transfers from and to zero.
pub(super) fn supply_of<'a>(logs: &'a [ChainLog], followed: impl Fn(Address) -> bool) -> Vec<Supply<'a>> {
    logs.iter()
        .filter_map(|log| {
            let Some(Event::Token(event)) = &log.event else { return None };
            let (minted, wallet, amount, forced, label) = match event {
                TokenEvent::Minted(e) => (true, e.to, e.amount, false, Some((e.reason, e.operator))),
                TokenEvent::Burned(e) => (false, e.from, e.amount, false, Some((e.reason, e.operator))),
                TokenEvent::ForcedBurnExecuted(e) => (false, e.from, e.amount, true, Some((e.reason, e.operator))),
                TokenEvent::Transfer(e) if e.from.is_zero() != e.to.is_zero() && followed(log.address) => {
                    let minted = e.from.is_zero();
                    (minted, if minted { e.to } else { e.from }, e.value, false, None)
                }
                _ => return None,
            };
            Some(Supply { log, minted, wallet, amount, forced, label })
        })
        .collect()
}

pub(super) async fn supplies(chain_id: u64, all: &[Supply<'_>], tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut mints = Rows::new(11);
    let mut burns = Rows::new(12);
    for supply in all {
        let rows = if supply.minted { &mut mints } else { &mut burns };
        let rows = event_row(rows, chain_id, supply.log)
            .address(supply.log.address)
            .address(supply.wallet)
            .uint256(supply.amount)
            .or_null(supply.label.map(|(reason, _)| reason), Rows::word)
            .or_null(supply.label.map(|(_, operator)| operator), Rows::address)
            .or_null(supply.log.command, Rows::word);
        if !supply.minted {
            rows.boolean(supply.forced);
        }
    }
    mints
        .send(
            tx,
            "mints (chain_id, block_number, log_index, block_time, tx_hash, token, wallet, amount, reason, operator,
                    command_key)",
        )
        .await?;
    burns
        .send(
            tx,
            "burns (chain_id, block_number, log_index, block_time, tx_hash, token, wallet, amount, reason, operator,
                    command_key, forced)",
        )
        .await?;
    Ok(())
}

pub(super) async fn freezes(
    chain_id: u64,
    logs: &[ChainLog],
    changes: &[FreezeChange],
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new(12);
    for change in changes {
        let log = &logs[change.log];
        event_row(&mut rows, chain_id, log)
            .address(log.address)
            .address(change.wallet)
            .uint256(change.frozen)
            .boolean(change.address_frozen)
            .word(change.reason)
            .address(change.operator)
            .or_null(log.command, Rows::word);
    }
    rows.send(
        tx,
        "freezes (chain_id, block_number, log_index, block_time, tx_hash, token, wallet, frozen, address_frozen,
                  reason, operator, command_key)",
    )
    .await?;
    Ok(())
}

pub(super) async fn balances(chain_id: u64, ledger: &Ledger, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    // In the order of their index, whose pages are then touched once.
    let mut changes: Vec<_> =
        ledger.holding_changes.iter().map(|change| (account_key(change.token, change.wallet), change)).collect();
    changes.sort_unstable_by_key(|(account, change)| (*account, change.block, change.log_index));
    let mut holdings = Rows::new(8);
    for (account, change) in changes {
        holdings
            .row()
            .bigint(int(chain_id))
            .address(change.token)
            .address(change.wallet)
            .bigint(int(change.block))
            .integer(index(change.log_index))
            .int257(Delta::between(change.before, change.after))
            .uint256(change.after)
            .bigint(account);
    }
    holdings
        .send(
            tx,
            "holding_changes (chain_id, token, wallet, block_number, log_index, delta, balance_after, account_key)",
        )
        .await?;
    let mut supplies = Rows::new(6);
    for change in &ledger.supply_changes {
        supplies
            .row()
            .bigint(int(chain_id))
            .address(change.token)
            .bigint(int(change.block))
            .integer(index(change.log_index))
            .int257(Delta::between(change.before, change.after))
            .uint256(change.after);
    }
    supplies.send(tx, "supply_changes (chain_id, token, block_number, log_index, delta, supply_after)").await?;
    Ok(())
}

pub(super) async fn investors(chain_id: u64, logs: &[ChainLog], tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut rows = Rows::new(15);
    for log in logs {
        let Some(Event::Registry(RegistryEvent::InvestorChanged(e))) = &log.event else { continue };
        event_row(&mut rows, chain_id, log)
            .address(log.address)
            .address(e.wallet)
            .bigint(int(e.investorId))
            .integer(i32::from(e.country))
            .smallint(i16::from(e.investorClass))
            .bigint(int(e.kycExpiresAt.to()))
            .smallint(i16::from(e.flags))
            .word(e.reason)
            .address(e.operator)
            .or_null(log.command, Rows::word);
    }
    rows.send(
        tx,
        "investor_changes (chain_id, block_number, log_index, block_time, tx_hash, registry, wallet, investor_id,
                           country, investor_class, kyc_expires_at, flags, reason, operator, command_key)",
    )
    .await?;
    Ok(())
}
