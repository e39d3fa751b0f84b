//! The one way a command's state is written: lock the rows in `seq` order, step each in memory, write all back with
//! one statement, tell the outbox what people wait for.

use std::collections::HashMap;

use alloy::primitives::B256;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use tokenx_migrations::{Word, outbox};

use crate::state::{Event, Illegal, State, Verdict, step};

/// A command's row, locked by this transaction.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub seq: i64,
    pub state: State,
    /// A block holds its verdict.
    pub in_block: bool,
    pub cancel_requested: bool,
    pub reason_code: Option<String>,
    pub failure: Option<String>,
}

/// What happens to one command.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub seq: i64,
    pub event: Event,
    /// What follows at once.
    pub then: Option<Event>,
    pub outcome: Option<Outcome>,
    pub reason: Option<Reason>,
    /// The lane it belongs to from here on.
    pub lane: Option<i64>,
}

/// Where the chain gave its verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub tx_hash: B256,
    pub block_number: i64,
    pub block_hash: B256,
    pub block_time: OffsetDateTime,
    pub log_index: i32,
}

/// Why a command ended without effect.
#[derive(Clone, Debug)]
pub(crate) struct Reason {
    pub code: String,
    pub message: String,
}

impl Change {
    pub(crate) fn of(seq: i64, event: Event) -> Self {
        Self { seq, event, then: None, outcome: None, reason: None, lane: None }
    }

    pub(crate) fn because(mut self, code: impl Into<String>, message: impl Into<String>) -> Self {
        self.reason = Some(Reason { code: code.into(), message: message.into() });
        self
    }
}

/// Why a change was not written. `Illegal` is a lost race or a bug: the transaction must not commit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransitionError {
    #[error("command {seq}: {illegal}")]
    Illegal { seq: i64, illegal: Illegal },
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Locks commands in `seq` order, the order of every writer.
pub(crate) async fn hold(conn: &mut PgConnection, seqs: &[i64]) -> Result<Vec<Held>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT seq, state, verdict, block_number IS NOT NULL AS in_block, cancel_requested, reason_code, failure
           FROM command_states
          WHERE seq = ANY ($1)
          ORDER BY seq
            FOR NO KEY UPDATE",
    )
    .bind(seqs)
    .fetch_all(conn)
    .await?;
    rows.iter().map(held).collect()
}

fn held(row: &sqlx::postgres::PgRow) -> Result<Held, sqlx::Error> {
    let verdict = row.try_get::<Option<&str>, _>("verdict")?.and_then(Verdict::parse);
    let name: &str = row.try_get("state")?;
    Ok(Held {
        seq: row.try_get("seq")?,
        state: State::parse(name, verdict).ok_or_else(|| crate::view::decode_error("state", name.to_owned()))?,
        in_block: row.try_get("in_block")?,
        cancel_requested: row.try_get("cancel_requested")?,
        reason_code: row.try_get("reason_code")?,
        failure: row.try_get("failure")?,
    })
}

/// Columns of the one UPDATE, in parallel arrays.
#[derive(Default)]
struct Columns {
    seq: Vec<i64>,
    state: Vec<&'static str>,
    verdict: Vec<Option<&'static str>>,
    settled: Vec<bool>,
    forget: Vec<bool>,
    tx_hash: Vec<Option<Word>>,
    block_number: Vec<Option<i64>>,
    block_hash: Vec<Option<Word>>,
    block_time: Vec<Option<OffsetDateTime>>,
    log_index: Vec<Option<i32>>,
    reason_code: Vec<Option<String>>,
    failure: Vec<Option<String>>,
    lane: Vec<Option<i64>>,
}

/// Steps each change and writes what came out. `held` are the rows locked before; a change of a command that is not
/// among them is left out. Notices go to the outbox only if `live`.
pub(crate) async fn apply(
    conn: &mut PgConnection,
    held: &[Held],
    changes: &[Change],
    live: bool,
) -> Result<(), TransitionError> {
    let mut columns = Columns::default();
    let mut notices = Vec::new();
    for change in changes {
        let Ok(at) = held.binary_search_by_key(&change.seq, |command| command.seq) else { continue };
        let command = &held[at];
        let (mut next, mut settle, mut forget) = (command.state, false, false);
        let mut told = Vec::new();
        for event in std::iter::once(change.event).chain(change.then) {
            let (state, effects) =
                step(next, event).map_err(|illegal| TransitionError::Illegal { seq: change.seq, illegal })?;
            settle |= effects.settle;
            forget |= effects.forget_outcome;
            told.extend(effects.publish.map(|kind| (kind, state)));
            next = state;
        }
        if next == command.state && !settle && !forget && told.is_empty() && change.outcome.is_none() {
            continue;
        }
        let verdict = match next {
            State::Mined(verdict) => Some(verdict.name()),
            _ => None,
        };
        let outcome = change.outcome.filter(|_| next != command.state);
        columns.seq.push(change.seq);
        columns.state.push(next.name());
        columns.verdict.push(verdict);
        columns.settled.push(settle);
        columns.forget.push(forget);
        columns.tx_hash.push(outcome.map(|o| Word(o.tx_hash)));
        columns.block_number.push(outcome.map(|o| o.block_number));
        columns.block_hash.push(outcome.map(|o| Word(o.block_hash)));
        columns.block_time.push(outcome.map(|o| o.block_time));
        columns.log_index.push(outcome.map(|o| o.log_index));
        columns.reason_code.push(change.reason.as_ref().map(|r| r.code.clone()));
        columns.failure.push(change.reason.as_ref().map(|r| r.message.clone()));
        columns.lane.push(change.lane);
        if live {
            let reason = change.reason.as_ref().map(|r| (r.code.as_str(), r.message.as_str()));
            let kept = command.reason_code.as_deref().zip(command.failure.as_deref()).filter(|_| !forget);
            notices.extend(told.into_iter().map(|(kind, state)| Notice {
                seq: change.seq,
                kind,
                state,
                reason: reason.or(kept),
            }));
        }
    }
    if columns.seq.is_empty() {
        return Ok(());
    }
    write(conn, &columns).await?;
    publish(conn, &notices).await?;
    Ok(())
}

/// What people are told.
struct Notice<'a> {
    seq: i64,
    kind: &'static str,
    state: State,
    reason: Option<(&'a str, &'a str)>,
}

async fn publish(conn: &mut PgConnection, notices: &[Notice<'_>]) -> Result<(), sqlx::Error> {
    if notices.is_empty() {
        return Ok(());
    }
    let ids: Vec<(i64, String, String, Option<String>)> =
        sqlx::query_as("SELECT seq, scope, command_id, instrument_id FROM commands WHERE seq = ANY ($1)")
            .bind(notices.iter().map(|notice| notice.seq).collect::<Vec<_>>())
            .fetch_all(&mut *conn)
            .await?;
    let ids: HashMap<i64, _> =
        ids.into_iter().map(|(seq, scope, id, instrument_id)| (seq, (scope, id, instrument_id))).collect();
    let events: Vec<outbox::Event> = notices
        .iter()
        .filter_map(|notice| {
            let Notice { seq, kind, state, reason } = notice;
            let (scope, command_id, instrument_id) = ids.get(seq)?;
            Some(outbox::Event {
                kind: (*kind).to_owned(),
                subject: format!("command:{seq}"),
                payload: serde_json::json!({
                    "scope": scope,
                    "command_id": command_id,
                    "instrument_id": instrument_id,
                    "state": state.name(),
                    "reason_code": reason.map(|(code, _)| code),
                    "failure": reason.map(|(_, message)| message),
                }),
                // Its state changes with it, once.
                effect_key: None,
            })
        })
        .collect();
    outbox::append_all(conn, &events).await
}

async fn write(conn: &mut PgConnection, columns: &Columns) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE command_states c
            SET state        = n.state,
                verdict      = n.verdict,
                settled      = c.settled OR n.settled,
                tx_hash      = CASE WHEN n.forget THEN n.tx_hash ELSE coalesce(n.tx_hash, c.tx_hash)           END,
                block_number = CASE WHEN n.forget THEN n.block_number ELSE coalesce(n.block_number, c.block_number) END,
                block_hash   = CASE WHEN n.forget THEN n.block_hash ELSE coalesce(n.block_hash, c.block_hash)     END,
                block_time   = CASE WHEN n.forget THEN n.block_time ELSE coalesce(n.block_time, c.block_time)     END,
                log_index    = CASE WHEN n.forget THEN n.log_index ELSE coalesce(n.log_index, c.log_index)       END,
                reason_code  = CASE WHEN n.forget THEN n.reason_code ELSE coalesce(n.reason_code, c.reason_code)   END,
                failure      = CASE WHEN n.forget THEN n.failure ELSE coalesce(n.failure, c.failure)           END,
                lane_id      = coalesce(n.lane_id, c.lane_id),
                -- Simulation no longer repeats what it once refused.
                refused_first = CASE WHEN n.state = 'prepared' THEN NULL ELSE c.refused_first END,
                refused_last  = CASE WHEN n.state = 'prepared' THEN NULL ELSE c.refused_last  END,
                updated_at   = now()
           FROM unnest($1::bigint[], $2::text[], $3::text[], $4::boolean[], $5::boolean[], $6::bytea[], $7::bigint[],
                       $8::bytea[], $9::timestamptz[], $10::integer[], $11::text[], $12::text[], $13::bigint[])
             AS n (seq, state, verdict, settled, forget, tx_hash, block_number, block_hash, block_time, log_index,
                   reason_code, failure, lane_id)
          WHERE c.seq = n.seq",
    )
    .bind(&columns.seq)
    .bind(&columns.state)
    .bind(&columns.verdict)
    .bind(&columns.settled)
    .bind(&columns.forget)
    .bind(&columns.tx_hash)
    .bind(&columns.block_number)
    .bind(&columns.block_hash)
    .bind(&columns.block_time)
    .bind(&columns.log_index)
    .bind(&columns.reason_code)
    .bind(&columns.failure)
    .bind(&columns.lane)
    .execute(conn)
    .await?;
    Ok(())
}
