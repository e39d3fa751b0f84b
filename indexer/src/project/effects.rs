//! What subscribers are told: deployed instruments, mints, burns, what nodes' contracts did, reorgs and what a reorg took
//! back. All go to the outbox in the batch's own transaction.
//!
//! | kind | subject | payload |
//! |---|---|---|
//! | `instrument.deployed` | `instrument:<id>` | `chain_id, instrument_id, token` and the place |
//! | `mint`, `burn` | `instrument:<id>` | `chain_id, instrument_id, token, decimals, wallet, amount` (base units, text), `forced, reason, operator, command_key` and the place |
//! | `mint.removed`, `burn.removed` | the same | the same, of what is no longer true |
//! | those of `node/effects.rs`, and each with `.removed` | `instrument:<id>` | `chain_id, instrument_id, token, decimals, contract, command_key`, their own and the place |
//! | `reorg` | `chain:<id>` | `chain_id, depth, ancestor, removed_to` |
//!
//! The place: `block_number, block_hash, block_time, log_index, tx_hash`.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use serde_json::{Value, json};
use sqlx::{PgConnection, Row};
use tokenx_migrations::outbox::{self, Event};

use super::instruments::{self, State};
use super::node;
use super::rows::Supply;
use crate::event::FactoryEvent;
use crate::read::{Columns, int};
use crate::{Batch, ChainLog, Fork};

fn place(log: &ChainLog) -> Value {
    json!({
        "block_number": log.block_number,
        "block_hash": log.block_hash,
        "block_time": log.timestamp,
        "log_index": log.log_index,
        "tx_hash": log.tx_hash,
    })
}

fn with(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

/// Tells of what a batch did. Gives the number of events.
pub(super) async fn tell(
    batch: &Batch,
    tokens: &HashMap<Address, State>,
    supplies: &[Supply<'_>],
    tx: &mut PgConnection,
) -> Result<usize, sqlx::Error> {
    let mut events = Vec::new();
    for log in &batch.logs {
        let Some(crate::Event::Factory(FactoryEvent::TokenDeployed(e))) = &log.event else { continue };
        let Some(state) = tokens.get(&e.token) else { continue };
        let payload = json!({ "chain_id": batch.chain_id, "instrument_id": state.instrument_id, "token": e.token.to_checksum(None) });
        events.push(event(batch, "instrument.deployed", &state.instrument_id, log, payload));
    }
    for supply in supplies {
        let Some(state) = tokens.get(&supply.log.address) else { continue };
        let payload = json!({
            "chain_id": batch.chain_id,
            "instrument_id": state.instrument_id,
            "token": supply.log.address.to_checksum(None),
            "decimals": state.decimals,
            "wallet": supply.wallet.to_checksum(None),
            "amount": supply.amount.to_string(),
            "forced": supply.forced,
            "reason": supply.label.map(|(reason, _)| reason),
            "operator": supply.label.map(|(_, operator)| operator.to_checksum(None)),
            "command_key": supply.log.command,
        });
        let kind = if supply.minted { "mint" } else { "burn" };
        events.push(event(batch, kind, &state.instrument_id, supply.log, payload));
    }
    for log in &batch.logs {
        let Some((kind, state, payload)) = node::told(batch.chain_id, log, tokens) else { continue };
        events.push(event(batch, kind, &state.instrument_id, log, payload));
    }
    outbox::append_all(tx, &events).await?;
    Ok(events.len())
}

fn event(batch: &Batch, kind: &str, instrument_id: &str, log: &ChainLog, payload: Value) -> Event {
    Event {
        kind: kind.to_owned(),
        subject: format!("instrument:{instrument_id}"),
        payload: with(payload, place(log)),
        effect_key: Some(batch.effect_key(kind, log)),
    }
}

/// Tells that a branch is gone, and each mint, burn and effect of a node's contract that went with it. Runs before their rows are removed.
pub(super) async fn take_back(fork: &Fork, tx: &mut PgConnection) -> Result<usize, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT gone.kind, gone.token, gone.wallet, gone.amount, gone.forced, gone.reason, gone.operator,
                gone.command_key, i.instrument_id, i.decimals, l.block_number, l.block_hash, l.block_time, l.log_index,
                l.tx_hash
           FROM (SELECT 'mint.removed' AS kind, block_number, log_index, token, wallet, amount, false AS forced,
                        reason, operator, command_key
                   FROM mints
                  WHERE chain_id = $1 AND block_number > $2
                  UNION ALL
                 SELECT 'burn.removed', block_number, log_index, token, wallet, amount, forced,
                        reason, operator, command_key
                   FROM burns
                  WHERE chain_id = $1 AND block_number > $2) gone
           JOIN logs l ON l.chain_id = $1 AND l.block_number = gone.block_number AND l.log_index = gone.log_index
           JOIN instruments i ON i.chain_id = $1 AND i.token = gone.token
           JOIN chain_cursors c ON c.chain_id = $1 AND gone.block_number > c.live_from
          ORDER BY gone.block_number DESC, gone.log_index DESC",
    )
    .bind(int(fork.chain_id))
    .bind(int(fork.to.number))
    .fetch_all(&mut *tx)
    .await?;
    let mut events = vec![Event {
        kind: "reorg".to_owned(),
        subject: format!("chain:{}", fork.chain_id),
        payload: json!({
            "chain_id": fork.chain_id,
            "depth": fork.depth(),
            "ancestor": { "number": fork.to.number, "hash": fork.to.hash },
            "removed_to": { "number": fork.from.number, "hash": fork.from.hash },
        }),
        effect_key: Some(format!("reorg:{}:{}", fork.chain_id, fork.epoch)),
    }];
    for row in &rows {
        let kind: &str = row.try_get("kind")?;
        let instrument_id: &str = row.try_get("instrument_id")?;
        let (hash, index) = (row.word("block_hash")?, row.try_get::<i32, _>("log_index")?);
        let amount: U256 = row.amount("amount")?;
        events.push(Event {
            kind: kind.to_owned(),
            subject: format!("instrument:{instrument_id}"),
            payload: json!({
                "chain_id": fork.chain_id,
                "instrument_id": instrument_id,
                "token": row.address("token")?.to_checksum(None),
                "decimals": row.try_get::<i16, _>("decimals")?,
                "wallet": row.address("wallet")?.to_checksum(None),
                "amount": amount.to_string(),
                "forced": row.try_get::<bool, _>("forced")?,
                "reason": row.maybe_word("reason")?,
                "operator": row.maybe_address("operator")?.map(|operator| operator.to_checksum(None)),
                "command_key": row.maybe_word("command_key")?,
                "block_number": row.height("block_number")?,
                "block_hash": hash,
                "block_time": row.height("block_time")?,
                "log_index": index,
                "tx_hash": row.word("tx_hash")?,
            }),
            effect_key: Some(format!("{kind}:{}:{hash}:{index}:{}", fork.chain_id, fork.epoch)),
        });
    }
    let gone = node::kept(fork, tx).await?;
    let tokens = instruments::load(fork.chain_id, &gone, tx).await?;
    for log in gone.iter().rev() {
        let Some((kind, state, payload)) = node::told(fork.chain_id, log, &tokens) else { continue };
        let kind = format!("{kind}.removed");
        events.push(Event {
            subject: format!("instrument:{}", state.instrument_id),
            payload: with(payload, place(log)),
            effect_key: Some(format!("{kind}:{}:{}:{}:{}", fork.chain_id, log.block_hash, log.log_index, fork.epoch)),
            kind,
        });
    }
    outbox::append_all(tx, &events).await?;
    Ok(events.len())
}
