//! What the chain says about commands: a projection in the indexer's own transaction, so that a command and the rows
//! it caused become visible together, and go together when a reorg takes their block.
//!
//! Tables: `command_results`, a pure function of the Executors' logs. Transitions: slots and commands that follow.
//! Locks in the order of every writer: lanes, slots, commands by `seq`.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, RwLock};

use alloy::primitives::{Address, B256};
use async_trait::async_trait;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokenx_config::failpoint;
use tokenx_contracts::{ReasonCode, decode_revert};
use tokenx_indexer::event::ExecutorEvent;
use tokenx_indexer::{
    AccountWatch, Batch, ChainLog, Event as Log, Fork, Projection, ProjectionError, Table, derived_table,
};

use crate::effects;
use crate::metrics::METRICS;
use crate::state::{Event, State, Verdict, step};
use crate::store::results::{self, Told};
use crate::store::transition::{self, Change, Held, Outcome, TransitionError};
use crate::store::{inclusion, lanes};

/// The keeper's projection, and the accounts whose nonces it needs.
#[derive(Debug)]
pub struct CommandProjection {
    chain_id: u64,
    lanes: Arc<LaneWatch>,
}

/// The lanes' keys, as the database had them last.
#[derive(Debug, Default)]
pub struct LaneWatch {
    addresses: RwLock<Vec<Address>>,
}

impl AccountWatch for LaneWatch {
    fn accounts(&self, _chain_id: u64) -> Vec<Address> {
        self.addresses.read().map(|addresses| addresses.clone()).unwrap_or_default()
    }
}

impl LaneWatch {
    fn set(&self, addresses: Vec<Address>) {
        if let Ok(mut kept) = self.addresses.write() {
            *kept = addresses;
        }
    }
}

impl CommandProjection {
    /// The projection for a chain. It learns of lanes from the database, so that an indexer without keys has it too.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(pool: &PgPool, chain_id: u64) -> Result<Self, sqlx::Error> {
        let lanes = Arc::new(LaneWatch::default());
        let mut conn = pool.acquire().await?;
        lanes.set(lanes::addresses(&mut conn, chain_id.cast_signed()).await?);
        Ok(Self { chain_id, lanes })
    }

    /// The accounts for the indexer to watch.
    pub fn watch(&self) -> Arc<LaneWatch> {
        Arc::clone(&self.lanes)
    }
}

#[async_trait]
impl Projection for CommandProjection {
    fn name(&self) -> &'static str {
        "commands"
    }

    fn version(&self) -> i32 {
        1
    }

    async fn apply(&self, batch: &Batch, tx: &mut PgConnection) -> Result<(), ProjectionError> {
        if batch.chain_id != self.chain_id {
            return Ok(());
        }
        let chain_id = batch.chain_id.cast_signed();
        self.lanes.set(lanes::addresses(tx, chain_id).await?);
        inclusion::nonces(tx, chain_id, batch.to.number.cast_signed(), &batch.nonces).await?;
        let told: Vec<Told> = batch.logs.iter().filter_map(told).collect();
        let mut confirmed = false;
        if !told.is_empty() {
            results::insert(tx, chain_id, &told).await?;
            let ours = inclusion::include(tx, &told).await?;
            confirmed |= include(tx, chain_id, batch, &told, &ours).await?;
            failpoint::hit("projection.included").map_err(sqlx::Error::Io)?;
        }
        inclusion::pass(tx, chain_id, batch.to.number.cast_signed()).await?;
        confirmed |= deepen(tx, batch, Event::Confirmed).await?;
        if confirmed {
            failpoint::hit("projection.confirmed").map_err(sqlx::Error::Io)?;
        }
        if deepen(tx, batch, Event::Finalized).await? {
            failpoint::hit("projection.final").map_err(sqlx::Error::Io)?;
        }
        inclusion::settle(tx, chain_id, batch.finalized.cast_signed()).await?;
        Ok(())
    }

    async fn rollback(&self, fork: &Fork, tx: &mut PgConnection) -> Result<(), ProjectionError> {
        if fork.chain_id != self.chain_id {
            return Ok(());
        }
        let (chain_id, to) = (fork.chain_id.cast_signed(), fork.to.number.cast_signed());
        inclusion::reopen(tx, chain_id, to).await?;
        results::remove_above(tx, chain_id, to).await?;
        let orphans = results::commands_above(tx, chain_id, to).await?;
        let held = transition::hold(tx, &orphans).await?;
        let changes: Vec<Change> = held.iter().map(|command| Change::of(command.seq, Event::Reorged)).collect();
        write(tx, &held, &changes, true).await?;
        // One that somebody else's transaction ran has no slot to be sent again: it waits for one.
        let homeless = results::without_slot(tx, &orphans).await?;
        let held = transition::hold(tx, &homeless).await?;
        let changes: Vec<Change> = held.iter().map(|command| Change::of(command.seq, Event::Returned)).collect();
        write(tx, &held, &changes, true).await?;
        if !orphans.is_empty() {
            failpoint::hit("projection.rolled_back").map_err(sqlx::Error::Io)?;
        }
        Ok(())
    }

    fn tables(&self) -> &'static [Table] {
        const { &[derived_table!("command_results")] }
    }

    async fn derive(&self, batch: &Batch, tx: &mut PgConnection) -> Result<(), ProjectionError> {
        let told: Vec<Told> = batch.logs.iter().filter_map(told).collect();
        Ok(results::insert(tx, batch.chain_id.cast_signed(), &told).await?)
    }
}

/// An Executor's word about an item; `None` for all other logs.
fn told(log: &ChainLog) -> Option<Told> {
    let Some(Log::Executor(event)) = &log.event else { return None };
    let (id, status, target, data) = match event {
        ExecutorEvent::CommandExecuted(e) if e.ok => (e.id, "executed", Some(e.target), None),
        ExecutorEvent::CommandExecuted(e) => (e.id, "failed", Some(e.target), Some(e.returnData.clone())),
        ExecutorEvent::CommandSkipped(e) => (e.id, "skipped", None, None),
        ExecutorEvent::CommandConflict(e) => (e.id, "conflict", None, None),
        ExecutorEvent::CommandExpired(e) => (e.id, "expired", None, None),
        ExecutorEvent::CommandDeferred(e) => (e.id, "deferred", None, None),
        _ => return None,
    };
    Some(Told {
        id,
        status,
        target,
        return_data: data,
        executor: log.address,
        tx_hash: log.tx_hash,
        block_number: log.block_number.cast_signed(),
        block_hash: log.block_hash,
        block_time: OffsetDateTime::from_unix_timestamp(log.timestamp.cast_signed()).ok()?,
        log_index: i32::try_from(log.log_index).ok()?,
    })
}

/// Gives commands the verdicts that the batch holds; true if some of those are confirmed at once.
async fn include(
    tx: &mut PgConnection,
    chain_id: i64,
    batch: &Batch,
    told: &[Told],
    ours: &HashSet<B256>,
) -> Result<bool, ProjectionError> {
    // Each Executor speaks for itself: what another one says of the same id is about something else.
    let mut by_id: BTreeMap<(B256, Address), Told> = BTreeMap::new();
    for one in told {
        let key = (one.id, one.executor);
        let better = by_id.get(&key).is_none_or(|known| weight(one.status) > weight(known.status));
        if better {
            by_id.insert(key, one.clone());
        }
    }
    // What ran before is taken from when it ran.
    let skipped: Vec<(B256, Address)> =
        by_id.values().filter(|one| one.status == "skipped").map(|one| (one.id, one.executor)).collect();
    METRICS.skipped.inc_by(skipped.len() as u64);
    let mut ran_before = HashSet::new();
    for (door, earlier) in results::executed(tx, chain_id, &skipped).await? {
        if let Some(skipped) = by_id.get_mut(&(earlier.id, door))
            && skipped.status == "skipped"
        {
            ran_before.insert(earlier.id);
            *skipped = earlier;
        }
    }
    let commands = results::commands(tx, chain_id, &by_id.keys().map(|(id, _)| *id).collect::<Vec<_>>()).await?;
    let held = transition::hold(tx, &commands.iter().map(|command| command.seq).collect::<Vec<_>>()).await?;
    let effects = effects::by_command(&batch.logs);
    let filled = batch.blocks.is_empty();
    let mut changes = Vec::with_capacity(held.len());
    for command in &commands {
        let (Some(told), Ok(at)) = (
            by_id.get(&(command.onchain_id, command.executor)),
            held.binary_search_by_key(&command.seq, |held| held.seq),
        ) else {
            continue;
        };
        let known = effects.get(&told.id).is_some_and(|kinds| kinds.contains(command.kind.as_str()));
        // Judged when its logs were indexed; those that are filled in late say nothing of whose they are.
        let seen = known || filled || ran_before.contains(&told.id) || effects::is_silent(&command.kind);
        if let Some(mut change) = change(&held[at], &command.kind, told, ours.contains(&told.tx_hash), seen) {
            let is_mined = matches!(step(held[at].state, change.event), Ok((State::Mined(_), _)));
            if is_mined && told.block_number <= batch.confirmed.cast_signed() {
                change.then = Some(Event::Confirmed);
            }
            changes.push(change);
        }
    }
    write(tx, &held, &changes, batch.live).await?;
    Ok(changes.iter().any(|change| change.then.is_some()))
}

/// Only what consumed the id, or what our own transaction was told, says anything about a command.
fn weight(status: &str) -> u8 {
    match status {
        "executed" | "failed" => 4,
        "skipped" => 3,
        "conflict" | "expired" => 2,
        _ => 1,
    }
}

fn change(held: &Held, kind: &str, told: &Told, ours: bool, effect_seen: bool) -> Option<Change> {
    let is_open = !held.state.is_ended() && !matches!(held.state, State::Mined(_));
    let outcome = Outcome {
        tx_hash: told.tx_hash,
        block_number: told.block_number,
        block_hash: told.block_hash,
        block_time: told.block_time,
        log_index: told.log_index,
    };
    let overruled = held.state.is_ended() && !held.in_block;
    let included = |verdict| {
        let event = if overruled { Event::Overruled(verdict) } else { Event::Included(verdict) };
        let mut change = Change::of(held.seq, event);
        change.outcome = Some(outcome);
        change
    };
    match told.status {
        "executed" if effect_seen => Some(included(Verdict::Done)),
        "executed" => {
            tracing::error!(seq = held.seq, kind, tx = %told.tx_hash, "the call succeeded without its effect");
            let code = ReasonCode::EffectMissing;
            Some(included(Verdict::Failed).because(code.as_str(), code.message()))
        }
        "failed" => {
            let revert = decode_revert(told.return_data.as_ref().map_or(&[][..], |data| data.as_ref()));
            Some(included(Verdict::Failed).because(revert.code.as_str(), revert.message))
        }
        "conflict" if ours && is_open => {
            let code = ReasonCode::CommandConflict;
            Some(included(Verdict::Failed).because(code.as_str(), "the executor knows this id with another payload"))
        }
        "expired" if ours && is_open => {
            let code = ReasonCode::CommandExpired;
            Some(included(Verdict::Expired).because(code.as_str(), code.message()))
        }
        // It would be skipped again however often it is sent, and each time costs gas.
        "skipped" if ours && is_open => {
            tracing::error!(seq = held.seq, kind, tx = %told.tx_hash, "skipped, and no run of it is indexed");
            let code = ReasonCode::RunUnknown;
            Some(included(Verdict::Failed).because(code.as_str(), code.message()))
        }
        // Deferred: its slot lets go of it at confirmed depth.
        _ => None,
    }
}

/// Confirms or finalizes what is deep enough; whether anything is.
async fn deepen(tx: &mut PgConnection, batch: &Batch, event: Event) -> Result<bool, ProjectionError> {
    let chain_id = batch.chain_id.cast_signed();
    let deep = match event {
        Event::Confirmed => results::mined_to(tx, chain_id, batch.confirmed.cast_signed()).await?,
        _ => results::unsettled_to(tx, chain_id, batch.finalized.cast_signed()).await?,
    };
    let held = transition::hold(tx, &deep).await?;
    let changes: Vec<Change> = held.iter().map(|command| Change::of(command.seq, event)).collect();
    write(tx, &held, &changes, batch.live).await?;
    Ok(!changes.is_empty())
}

async fn write(tx: &mut PgConnection, held: &[Held], changes: &[Change], live: bool) -> Result<(), ProjectionError> {
    transition::apply(tx, held, changes, live).await.map_err(|error| match error {
        TransitionError::Database(error) => ProjectionError::Database(error),
        illegal @ TransitionError::Illegal { .. } => ProjectionError::Broken(illegal.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(state: State, in_block: bool) -> Held {
        Held { seq: 1, state, in_block, cancel_requested: false, reason_code: None, failure: None }
    }

    fn told(status: &'static str) -> Told {
        Told {
            id: B256::ZERO,
            status,
            target: None,
            return_data: None,
            executor: Address::ZERO,
            tx_hash: B256::ZERO,
            block_number: 1,
            block_hash: B256::ZERO,
            block_time: OffsetDateTime::UNIX_EPOCH,
            log_index: 0,
        }
    }

    #[test]
    fn a_skip_without_a_known_run_ends_the_command_and_is_not_sent_again() {
        let change = |ours| change(&held(State::Prepared, false), "mint", &told("skipped"), ours, false);
        let ended = change(true).unwrap();
        assert_eq!(ended.event, Event::Included(Verdict::Failed));
        assert_eq!(ended.reason.unwrap().code, ReasonCode::RunUnknown.as_str());
        assert!(change(false).is_none(), "somebody else's transaction says nothing about ours");
    }

    #[test]
    fn a_run_overrules_an_end_without_a_block_and_repeats_one_with() {
        let event =
            |in_block| change(&held(State::Failed, in_block), "mint", &told("executed"), true, true).unwrap().event;
        assert_eq!(event(false), Event::Overruled(Verdict::Done));
        assert_eq!(event(true), Event::Included(Verdict::Done));
    }
}
