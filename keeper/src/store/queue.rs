//! Commands that wait for a slot.

use alloy::primitives::{Address, B256, Bytes};
use sqlx::{PgConnection, PgPool, Row};
use time::OffsetDateTime;
use tokenx_contracts::ReasonCode;
use tokenx_migrations::{Addr, Word};

use super::transition::{self, Change, TransitionError};
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
}

/// A refusal of one item by simulation.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub seq: i64,
    pub code: ReasonCode,
    pub message: String,
}

/// Ends what waited past its deadline; whatever state its lane is in.
pub(crate) async fn expire(pool: &PgPool, chain_id: i64) -> Result<(), TransitionError> {
    let late: Vec<i64> = sqlx::query_scalar(
        "SELECT seq
           FROM commands
          WHERE chain_id = $1 AND state IN ('accepted', 'ready') AND valid_until <= now()
          ORDER BY seq
          LIMIT 1000",
    )
    .bind(chain_id)
    .fetch_all(pool)
    .await?;
    if late.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin().await?;
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
    Ok(())
}

/// Gives waiting commands to this lane: a subject's whole queue, in order, and none of which another lane has an
/// open command. `part` of `parts` is this lane's share of the subjects that nobody has. No fence: what is given to a
/// lane is its next owner's as well.
pub(crate) async fn claim(
    pool: &PgPool,
    chain_id: i64,
    lane_id: i64,
    (part, parts): (i64, i64),
    limit: i64,
) -> Result<u64, TransitionError> {
    let mut tx = pool.begin().await?;
    let free: Vec<i64> = sqlx::query_scalar(
        "WITH routed AS MATERIALIZED (
              SELECT subject, bool_or(lane_id = $2) AS here, bool_or(lane_id <> $2) AS elsewhere
                FROM commands
               WHERE chain_id = $1 AND lane_id IS NOT NULL AND state IN ('ready', 'prepared', 'broadcast')
               GROUP BY subject
         )
         SELECT c.seq
           FROM commands c
           LEFT JOIN routed r ON r.subject = c.subject
          WHERE c.chain_id = $1 AND c.state IN ('accepted', 'ready') AND c.lane_id IS NULL
            AND CASE WHEN r.subject IS NULL
                     THEN (hashtextextended(c.subject, 0) & 9223372036854775807) % $4 = $3
                     ELSE r.here AND NOT r.elsewhere
                END
          ORDER BY c.seq
          LIMIT $5
            FOR NO KEY UPDATE OF c SKIP LOCKED",
    )
    .bind(chain_id)
    .bind(lane_id)
    .bind(part)
    .bind(parts)
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    if free.is_empty() {
        return Ok(0);
    }
    let held = transition::hold(&mut tx, &free).await?;
    let changes: Vec<Change> = held
        .iter()
        .filter(|command| command.state == crate::state::State::Accepted)
        .map(|command| Change::of(command.seq, Event::Released))
        .collect();
    transition::apply(&mut tx, &held, &changes, true).await?;
    let done = sqlx::query("UPDATE commands SET lane_id = $2 WHERE seq = ANY ($1)")
        .bind(&free)
        .bind(lane_id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}

/// Frees what waits for lanes that are no longer configured, so that others may take it.
pub(crate) async fn unroute(pool: &PgPool, chain_id: i64, lanes: &[i64]) -> Result<(), TransitionError> {
    let mut tx = pool.begin().await?;
    let stranded: Vec<i64> = sqlx::query_scalar(
        "SELECT seq
           FROM commands
          WHERE chain_id = $1 AND state = 'ready' AND lane_id IS NOT NULL AND lane_id <> ALL ($2)
          ORDER BY seq
            FOR NO KEY UPDATE",
    )
    .bind(chain_id)
    .bind(lanes)
    .fetch_all(&mut *tx)
    .await?;
    let held = transition::hold(&mut tx, &stranded).await?;
    let changes: Vec<Change> = held.iter().map(|command| Change::of(command.seq, Event::Unrouted)).collect();
    transition::apply(&mut tx, &held, &changes, true).await?;
    sqlx::query("UPDATE commands SET lane_id = NULL WHERE seq = ANY ($1)").bind(&stranded).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// This lane's ready commands in order, save those that wait and what follows them on their subject. A command waits
/// after a refusal by simulation at this head, and while an earlier one of its subject is in a slot: that slot may end
/// without running it, and the later one would come first. Mints and burns do not wait for each other.
///
/// Executors take turns, a batch of `items` each, so that none starves another; those in `shunned` are left out.
pub(crate) async fn candidates(
    pool: &PgPool,
    (lane_id, chain_id): (i64, i64),
    head: i64,
    shunned: &[Address],
    (items, limit): (i64, i64),
) -> Result<Vec<Candidate>, sqlx::Error> {
    let rows = sqlx::query(
        "WITH slotted AS MATERIALIZED (
              SELECT subject, min(seq) AS seq, min(seq) FILTER (WHERE kind NOT IN ('mint', 'burn')) AS ordered_seq
                FROM commands
               WHERE chain_id = $2 AND lane_id = $1 AND state IN ('prepared', 'broadcast')
               GROUP BY subject
         ),
         waits AS MATERIALIZED (
              SELECT c.subject, min(c.seq) AS seq
                FROM commands c
                LEFT JOIN slotted s ON s.subject = c.subject
               WHERE c.chain_id = $2 AND c.lane_id = $1 AND c.state = 'ready'
                 AND (c.refused_last >= $3
                      OR c.seq > CASE WHEN c.kind IN ('mint', 'burn') THEN s.ordered_seq ELSE s.seq END)
               GROUP BY c.subject
         )
         SELECT c.seq, c.onchain_id, c.executor, c.target, c.data, c.gas_limit, c.gas_expected, c.subject,
                c.kind IN ('mint', 'burn') AS commutes, c.valid_until
           FROM commands c
           LEFT JOIN waits w ON w.subject = c.subject
          WHERE c.chain_id = $2 AND c.lane_id = $1 AND c.state = 'ready'
            AND (w.seq IS NULL OR c.seq < w.seq)
            AND c.executor <> ALL ($5)
          ORDER BY (row_number() OVER (PARTITION BY c.executor ORDER BY c.seq) - 1) / $6, c.seq
          LIMIT $4",
    )
    .bind(lane_id)
    .bind(chain_id)
    .bind(head)
    .bind(limit)
    .bind(shunned.iter().copied().map(Addr).collect::<Vec<_>>())
    .bind(items.max(1))
    .fetch_all(pool)
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
            })
        })
        .collect()
}

/// Notes refusals at this head. One that repeats at a head `confirmations` blocks later, with no open command of its
/// subject ahead of it that could change it, ends its command: no nonce was spent. Says nothing once the indexer has
/// gone on: what was ahead at this head may have run since, and the refusal would be of a state that is no more.
pub(crate) async fn refuse(
    pool: &PgPool,
    chain_id: i64,
    (head, hash): (i64, B256),
    confirmations: i64,
    refused: &[Refused],
) -> Result<(), TransitionError> {
    if refused.is_empty() {
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    let seqs: Vec<i64> = refused.iter().map(|r| r.seq).collect();
    let held = transition::hold(&mut tx, &seqs).await?;
    let for_good: Vec<i64> = sqlx::query_scalar::<_, Option<i64>>(
        "UPDATE commands c
            SET refused_first = coalesce(c.refused_first, $2), refused_last = $2
          WHERE c.seq = ANY ($1) AND c.state = 'ready'
            AND EXISTS (SELECT FROM chain_cursors k WHERE k.chain_id = $4 AND k.number = $2 AND k.hash = $5)
         RETURNING CASE WHEN c.refused_first + $3 <= $2
                         AND NOT EXISTS (SELECT FROM commands ahead
                                          WHERE ahead.subject = c.subject AND ahead.seq < c.seq
                                            AND ahead.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared',
                                                                'broadcast'))
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

/// Forgets refusals that simulation no longer repeats.
pub(crate) async fn unrefuse(conn: &mut PgConnection, seqs: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE commands
            SET refused_first = NULL, refused_last = NULL
          WHERE seq = ANY ($1) AND refused_first IS NOT NULL",
    )
    .bind(seqs)
    .execute(conn)
    .await?;
    Ok(())
}
