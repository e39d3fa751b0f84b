//! Commands that wait for a slot.

use std::collections::HashMap;

use alloy::primitives::{Address, B256, Bytes};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row};
use time::OffsetDateTime;
use tokenx_contracts::ReasonCode;
use tokenx_migrations::{Addr, Word};

use super::lanes;
use super::transition::{self, Change, TransitionError};
use crate::Operation;
use crate::gas::ItemGas;
use crate::state::Event;

/// A command ready to be put in a slot.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub seq: i64,
    pub onchain_id: B256,
    pub executor: Address,
    pub target: Address,
    pub data: Bytes,
    pub gas: ItemGas,
    pub subject: String,
    /// May it change places with others of its subject that may too? Intake has seen to it that all of them can run.
    pub commutes: bool,
    pub valid_until: Option<OffsetDateTime>,
    /// Simulation has refused it before, and not at this head.
    pub doubted: bool,
    /// What was asked, where signatures are missing in the call that hosted wallets' keys are to make.
    pub mandate: Option<Box<Operation>>,
}

/// A refusal of one item by simulation.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub seq: i64,
    pub code: ReasonCode,
    pub message: String,
}

/// Commands that are ended at once.
const LATE: i64 = 1_000;

/// Ends what waited past its deadline, whatever state its lane is in; whether there may be more.
pub(crate) async fn expire(pool: &PgPool, chain_id: i64) -> Result<bool, TransitionError> {
    let late: Vec<i64> = sqlx::query_scalar(
        "SELECT seq
           FROM command_states
          WHERE chain_id = $1 AND state IN ('accepted', 'ready') AND valid_until <= now()
          ORDER BY seq
          LIMIT $2",
    )
    .bind(chain_id)
    .bind(LATE)
    .fetch_all(pool)
    .await?;
    if late.is_empty() {
        return Ok(false);
    }
    let mut tx = tokenx_migrations::begin(pool).await?;
    let held = transition::hold(&mut tx, &late).await?;
    let code = ReasonCode::CommandExpired;
    // A lane may have prepared it meanwhile: then the chain keeps the deadline.
    let changes: Vec<Change> = held
        .iter()
        .filter(|command| crate::state::step(command.state, Event::DeadlinePassed).is_ok())
        .map(|command| Change::of(command.seq, Event::DeadlinePassed).because(code.as_str(), code.message()))
        .collect();
    transition::apply(&mut tx, &held, &changes, true).await?;
    tx.commit().await?;
    Ok(i64::try_from(late.len()).is_ok_and(|late| late == LATE))
}

/// Frees what waits for lanes that are none of `ours` and that nobody works, so that others may take it.
pub(crate) async fn unroute(pool: &PgPool, chain_id: i64, ours: &[i64]) -> Result<(), TransitionError> {
    let mut tx = tokenx_migrations::begin(pool).await?;
    let stranded: Vec<i64> = sqlx::query_scalar(
        "SELECT seq
           FROM command_states
          WHERE chain_id = $1 AND state = 'ready' AND lane_id IS NOT NULL AND lane_id <> ALL ($2)
            AND lane_id <> ALL ($3)
          ORDER BY seq
            FOR NO KEY UPDATE",
    )
    .bind(chain_id)
    .bind(ours)
    .bind(lanes::worked(&mut tx, chain_id).await?)
    .fetch_all(&mut *tx)
    .await?;
    let held = transition::hold(&mut tx, &stranded).await?;
    let changes: Vec<Change> = held.iter().map(|command| Change::of(command.seq, Event::Unrouted)).collect();
    transition::apply(&mut tx, &held, &changes, true).await?;
    sqlx::query("UPDATE command_states SET lane_id = NULL WHERE seq = ANY ($1)")
        .bind(&stranded)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// A subject some of whose commands belong to a lane, or are refused.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Busy {
    /// The first of its commands in a slot.
    pub slotted: Option<i64>,
    /// The first of those whose order matters.
    pub ordered: Option<i64>,
    /// The first that simulation has refused at this head.
    pub refused: Option<i64>,
    /// The first of those whose order matters.
    pub refused_ordered: Option<i64>,
}

/// What a lane may choose from, all of one moment: else something could seem to wait that another lane has put into a
/// slot meanwhile, and what comes after it would go first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    /// Subjects of which something is on its way or refused at this head.
    pub busy: HashMap<String, Busy>,
    /// Commands that wait, in order.
    pub waiting: Vec<Candidate>,
}

/// Whose a lane's commands are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of {
    pub chain_id: i64,
    pub lane_id: i64,
    /// This lane's share of the subjects that no lane has: index, of how many.
    pub share: (i64, i64),
}

/// Looks at what waits for a slot of a lane at this head, up to `limit` commands of each Executor that is not in
/// `shunned`.
pub(crate) async fn look(
    pool: &PgPool,
    of: Of,
    head: i64,
    shunned: &[Address],
    limit: i64,
) -> Result<Queue, sqlx::Error> {
    let mut tx = tokenx_migrations::begin_look(pool).await?;
    let (busy, moved) = busy(&mut tx, of, head).await?;
    let waiting = waiting(&mut tx, of, &moved, head, shunned, limit).await?;
    tx.commit().await?;
    Ok(Queue { busy, waiting })
}

/// Subjects that are not with the lane whose share they are of.
#[derive(Clone, Debug, Default)]
struct Moved {
    /// This lane has them, of another's share.
    here: Vec<String>,
    /// Another lane has them, of this one's share.
    elsewhere: Vec<String>,
}

/// The subjects of which something is on its way or refused at this head.
async fn busy(conn: &mut PgConnection, of: Of, head: i64) -> Result<(HashMap<String, Busy>, Moved), sqlx::Error> {
    let rows = sqlx::query(
        "SELECT subject,
                coalesce(bool_or(lane_id = $1), false)   AS here,
                coalesce(bool_or(lane_id <> $1), false)  AS elsewhere,
                min(seq) FILTER (WHERE slotted)          AS slotted,
                min(seq) FILTER (WHERE slotted AND NOT commutes) AS ordered,
                min(seq) FILTER (WHERE refused)          AS refused,
                min(seq) FILTER (WHERE refused AND NOT commutes) AS refused_ordered,
                (hashtextextended(subject, 0) & 9223372036854775807) % $5 = $4 AS share
           FROM (SELECT subject, lane_id, seq, commutes, state = 'prepared' AS slotted, false AS refused
                   FROM command_states
                  WHERE chain_id = $2 AND lane_id IS NOT NULL AND state IN ('ready', 'prepared')
                  UNION ALL
                 SELECT subject, NULL, seq, commutes, false, true
                   FROM command_states
                  WHERE chain_id = $2 AND refused_last >= $3 AND state IN ('accepted', 'ready')) open
          GROUP BY subject",
    )
    .bind(of.lane_id)
    .bind(of.chain_id)
    .bind(head)
    .bind(of.share.0)
    .bind(of.share.1)
    .fetch_all(conn)
    .await?;
    let mut busy = HashMap::with_capacity(rows.len());
    let mut moved = Moved::default();
    for row in rows {
        let subject: String = row.try_get("subject")?;
        match (row.try_get("here")?, row.try_get("elsewhere")?, row.try_get("share")?) {
            (true, false, false) => moved.here.push(subject.clone()),
            (_, true, true) => moved.elsewhere.push(subject.clone()),
            _ => {}
        }
        let one = Busy {
            slotted: row.try_get("slotted")?,
            ordered: row.try_get("ordered")?,
            refused: row.try_get("refused")?,
            refused_ordered: row.try_get("refused_ordered")?,
        };
        busy.insert(subject, one);
    }
    Ok((busy, moved))
}

/// Commands that wait for a slot of this lane, up to `limit` of each Executor, in order: those that have been in one,
/// and of those that no lane has the ones whose subject this lane has, or nobody, and it is of this lane's share. Left
/// out are those refused at this head, those past their deadline, and the Executors in `shunned`.
async fn waiting(
    conn: &mut PgConnection,
    of: Of,
    moved: &Moved,
    head: i64,
    shunned: &[Address],
    limit: i64,
) -> Result<Vec<Candidate>, sqlx::Error> {
    let rows = sqlx::query(
        "WITH RECURSIVE doors AS (
              (SELECT executor
                 FROM command_states
                WHERE chain_id = $2 AND state IN ('accepted', 'ready')
                ORDER BY executor
                LIMIT 1)
               UNION ALL
              SELECT (SELECT c.executor
                        FROM command_states c
                       WHERE c.chain_id = $2 AND c.state IN ('accepted', 'ready') AND c.executor > d.executor
                       ORDER BY c.executor
                       LIMIT 1)
                FROM doors d
               WHERE d.executor IS NOT NULL
         )
         SELECT c.*, asked.onchain_id, asked.target, asked.data, asked.gas_limit, asked.gas_expected,
                CASE WHEN asked.mandate THEN asked.operation END AS mandate
           FROM doors d
          CROSS JOIN LATERAL (
                SELECT c.seq, c.executor, c.subject, c.commutes, c.valid_until, c.refused_first IS NOT NULL AS doubted
                  FROM command_states c
                 WHERE c.chain_id = $2 AND c.executor = d.executor AND c.state IN ('accepted', 'ready')
                   AND (c.lane_id = $1
                        OR c.lane_id IS NULL
                           AND c.subject NOT IN (SELECT unnest($9::text[]))
                           AND ((hashtextextended(c.subject, 0) & 9223372036854775807) % $4 = $3
                                OR c.subject IN (SELECT unnest($8::text[]))))
                   AND (c.refused_last IS NULL OR c.refused_last < $5)
                   AND (c.valid_until IS NULL OR c.valid_until > now())
                 ORDER BY c.seq
                 LIMIT $7
                ) c
           JOIN commands asked ON asked.seq = c.seq
          WHERE d.executor <> ALL ($6)
          ORDER BY c.seq",
    )
    .bind(of.lane_id)
    .bind(of.chain_id)
    .bind(of.share.0)
    .bind(of.share.1)
    .bind(head)
    .bind(shunned.iter().copied().map(Addr).collect::<Vec<_>>())
    .bind(limit)
    .bind(&moved.here)
    .bind(&moved.elsewhere)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Candidate {
                seq: row.try_get("seq")?,
                onchain_id: row.try_get::<Word, _>("onchain_id")?.0,
                executor: row.try_get::<Addr, _>("executor")?.0,
                target: row.try_get::<Addr, _>("target")?.0,
                data: row.try_get::<Vec<u8>, _>("data")?.into(),
                gas: ItemGas {
                    limit: row.try_get::<i64, _>("gas_limit")?.cast_unsigned(),
                    expected: row.try_get::<i64, _>("gas_expected")?.cast_unsigned(),
                },
                subject: row.try_get("subject")?,
                commutes: row.try_get("commutes")?,
                valid_until: row.try_get("valid_until")?,
                doubted: row.try_get("doubted")?,
                mandate: row.try_get::<Option<Json<Box<Operation>>>, _>("mandate")?.map(|Json(operation)| operation),
            })
        })
        .collect()
}

/// Notes refusals at this head, and forgets earlier ones of what would run now. One that repeats at a head
/// `confirmations` blocks later, with no open command of its subject ahead of it that could change it, ends its command:
/// no nonce was spent. What is refused for as long itself changes nothing. Says nothing once the indexer has gone on:
/// what was ahead at this head may have run since, and the refusal would be of a state that is no more. Nor is anything
/// refused for good while the chain lacks what a reorg took: it was accepted upon a state with it.
pub(crate) async fn refuse(
    pool: &PgPool,
    chain_id: i64,
    (head, hash): (i64, B256),
    confirmations: i64,
    refused: &[Refused],
    runnable: &[i64],
) -> Result<(), TransitionError> {
    if refused.is_empty() && runnable.is_empty() {
        return Ok(());
    }
    let mut tx = tokenx_migrations::begin(pool).await?;
    let seqs: Vec<i64> = refused.iter().map(|r| r.seq).collect();
    let held = transition::hold(&mut tx, &[&seqs, runnable].concat()).await?;
    sqlx::query("UPDATE command_states SET refused_first = NULL, refused_last = NULL WHERE seq = ANY ($1)")
        .bind(runnable)
        .execute(&mut *tx)
        .await?;
    let for_good: Vec<i64> = sqlx::query_scalar::<_, Option<i64>>(
        "UPDATE command_states c
            SET refused_first = coalesce(c.refused_first, $2), refused_last = $2
          WHERE c.seq = ANY ($1) AND c.state IN ('accepted', 'ready')
            AND EXISTS (SELECT FROM chain_cursors k WHERE k.chain_id = $4 AND k.number = $2 AND k.hash = $5)
         RETURNING CASE WHEN c.refused_first + $3 <= $2
                         AND NOT EXISTS (SELECT FROM command_states ahead
                                          WHERE ahead.subject = c.subject AND ahead.seq < c.seq
                                            AND ahead.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared')
                                            AND (ahead.refused_first IS NULL OR ahead.refused_first + $3 > $2
                                                 OR ahead.refused_last < $2 AND ahead.seq <> ALL ($1)))
                         AND NOT EXISTS (SELECT FROM slots s
                                           JOIN lanes l ON l.lane_id = s.lane_id
                                          WHERE l.chain_id = $4 AND l.halted_reason IS NULL
                                            AND s.state = 'open' AND s.first_included_at IS NOT NULL)
                        THEN c.seq END",
    )
    .bind(&seqs)
    .bind(head)
    .bind(confirmations)
    .bind(chain_id)
    .bind(Word(hash))
    .fetch_all(&mut *tx)
    .await?
    .into_iter()
    .flatten()
    .collect();
    let changes: Vec<Change> = refused
        .iter()
        .filter(|r| for_good.contains(&r.seq))
        .map(|r| Change::of(r.seq, Event::Refused).because(r.code.as_str(), r.message.clone()))
        .collect();
    transition::apply(&mut tx, &held, &changes, true).await?;
    tx.commit().await?;
    Ok(())
}
