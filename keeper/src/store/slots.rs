//! Slots and their attempts. Bytes are written here before they are sent, and nothing else is ever sent.

use alloy::primitives::{Address, B256, Bytes, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};
use tokenx_config::failpoint;
use tokenx_migrations::{Addr, Uint256, Word};

use super::transition::{self, Change, TransitionError};
use super::{lanes, queue};
use crate::fees::Fees;
use crate::state::Event;
use crate::tx::Signed;

/// What an attempt carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Batch,
    Noop,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Batch => "batch",
            Kind::Noop => "noop",
        }
    }

    pub(crate) fn parse(name: &str) -> Kind {
        if name == "noop" { Kind::Noop } else { Kind::Batch }
    }
}

/// A signed batch, ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub nonce: i64,
    pub executor: Address,
    pub commands: Vec<i64>,
    pub gas_limit: u64,
    pub signed: Signed,
}

/// Why nothing was prepared. Whatever it was, nothing was written and nothing leaked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error("another keeper owns the lane, or its nonce moved")]
    Fenced,
    #[error("a command moved on while it was signed for")]
    Moved,
    #[error(transparent)]
    Transition(#[from] TransitionError),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Writes signed batches in one transaction: the lane's nonce by compare-and-swap, the slots, their commands, the
/// bytes. After the commit, and not before, they may be sent.
pub(crate) async fn prepare(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    head: i64,
    slots: &[Prepared],
) -> Result<(), PrepareError> {
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Ok(()) };
    let mut tx = pool.begin().await?;
    if !lanes::advance(&mut tx, lane_id, epoch, first.nonce, last.nonce + 1).await? {
        return Err(PrepareError::Fenced);
    }
    let nonces: Vec<i64> = slots.iter().map(|slot| slot.nonce).collect();
    sqlx::query(
        "INSERT INTO slots (lane_id, nonce, executor, state)
         SELECT $1, nonce, executor, 'open'
           FROM unnest($2::bigint[], $3::bytea[]) AS s (nonce, executor)",
    )
    .bind(lane_id)
    .bind(&nonces)
    .bind(slots.iter().map(|slot| Addr(slot.executor)).collect::<Vec<_>>())
    .execute(&mut *tx)
    .await?;

    let mut seqs = Vec::new();
    let (mut of_nonce, mut idx) = (Vec::new(), Vec::new());
    for slot in slots {
        for (i, seq) in slot.commands.iter().enumerate() {
            seqs.push(*seq);
            of_nonce.push(slot.nonce);
            idx.push(i32::try_from(i).unwrap_or(i32::MAX));
        }
    }
    let held = transition::hold(&mut tx, &seqs).await?;
    if held.len() != seqs.len() {
        return Err(PrepareError::Moved);
    }
    let changes: Vec<Change> = seqs.iter().map(|seq| Change::of(*seq, Event::Prepared)).collect();
    match transition::apply(&mut tx, &held, &changes, true).await {
        // Cancelled, expired or adopted from the chain while it was signed for.
        Err(TransitionError::Illegal { .. }) => return Err(PrepareError::Moved),
        other => other?,
    }
    queue::unrefuse(&mut tx, &seqs).await?;
    sqlx::query(
        "INSERT INTO slot_commands (lane_id, nonce, idx, command_seq)
         SELECT $1, nonce, idx, seq
           FROM unnest($2::bigint[], $3::integer[], $4::bigint[]) AS s (nonce, idx, seq)",
    )
    .bind(lane_id)
    .bind(&of_nonce)
    .bind(&idx)
    .bind(&seqs)
    .execute(&mut *tx)
    .await?;
    for slot in slots {
        insert_attempt(&mut tx, lane_id, slot.nonce, Kind::Batch, slot.gas_limit, head, &slot.signed).await?;
    }
    failpoint::hit("keeper.before_prepare").map_err(sqlx::Error::Io)?;
    tx.commit().await?;
    Ok(())
}

async fn insert_attempt(
    conn: &mut PgConnection,
    lane_id: i64,
    nonce: i64,
    kind: Kind,
    gas_limit: u64,
    head: i64,
    signed: &Signed,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO attempts (hash, lane_id, nonce, n, kind, raw, gas_limit, max_fee, max_priority_fee, signed_at_block)
         SELECT $1, s.lane_id, s.nonce,
                coalesce((SELECT max(a.n) FROM attempts a
                           WHERE a.lane_id = s.lane_id AND a.nonce = s.nonce), 0) + 1,
                $4, $5, $6, $7, $8, $9
           FROM slots s
          WHERE s.lane_id = $2 AND s.nonce = $3 AND s.state = 'open'",
    )
    .bind(Word(signed.hash))
    .bind(lane_id)
    .bind(nonce)
    .bind(kind.name())
    .bind(signed.raw.as_ref())
    .bind(gas_limit.cast_signed())
    .bind(Uint256(U256::from(signed.fees.max_fee)))
    .bind(Uint256(U256::from(signed.fees.tip)))
    .bind(head)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes a replacement for a slot that is still open; false if the slot has ended or the lane has another owner.
pub(crate) async fn replace(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    nonce: i64,
    kind: Kind,
    gas_limit: u64,
    head: i64,
    signed: &Signed,
) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin().await?;
    if lanes::hold(&mut tx, lane_id, epoch).await?.is_none() {
        return Ok(false);
    }
    let written = insert_attempt(&mut tx, lane_id, nonce, kind, gas_limit, head, signed).await?;
    failpoint::hit("keeper.before_replace")?;
    tx.commit().await?;
    Ok(written)
}

/// An open slot with its newest attempt; `attempt` is none where a nonce has to be filled that nobody signed for.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub nonce: i64,
    pub wants_noop: bool,
    pub passed_at: Option<i64>,
    pub attempt: Option<Attempt>,
}

/// Signed bytes of a slot.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub hash: B256,
    pub kind: Kind,
    pub raw: Bytes,
    pub fees: Fees,
    pub signed_at_block: i64,
    /// Indexed head at its first send; none while it has not been sent since it was signed or given back.
    pub waits_since: Option<i64>,
    pub sends: i32,
    pub last_outcome: Option<String>,
    /// Never sent, asked for again, or doubtful for long enough.
    pub due: bool,
}

/// Sent bytes that no block holds after so many more are sent again: a pool may have dropped them.
const RESEND_AFTER_BLOCKS: i64 = 2;

/// The lane's open slots in nonce order.
pub(crate) async fn open(pool: &PgPool, lane_id: i64, head: i64) -> Result<Vec<Open>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT s.nonce, s.wants_noop, s.passed_at,
                a.hash, a.kind, a.raw, a.max_fee, a.max_priority_fee, a.signed_at_block, a.waits_since, a.sends, a.last_outcome,
                (a.first_sent_at IS NULL OR a.next_send_at <= now() OR a.last_sent_block + $3 <= $2) AS due
           FROM slots s
           LEFT JOIN LATERAL (
                SELECT *
                  FROM attempts a
                 WHERE a.lane_id = s.lane_id AND a.nonce = s.nonce
                 ORDER BY a.n DESC
                 LIMIT 1
                ) a ON true
          WHERE s.lane_id = $1 AND s.state = 'open'
          ORDER BY s.nonce",
    )
    .bind(lane_id)
    .bind(head)
    .bind(RESEND_AFTER_BLOCKS)
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Open {
                nonce: row.try_get("nonce")?,
                wants_noop: row.try_get("wants_noop")?,
                passed_at: row.try_get("passed_at")?,
                attempt: read_attempt(row)?,
            })
        })
        .collect()
}

fn read_attempt(row: &PgRow) -> Result<Option<Attempt>, sqlx::Error> {
    let Some(hash) = row.try_get::<Option<Word>, _>("hash")? else { return Ok(None) };
    Ok(Some(Attempt {
        hash: hash.0,
        kind: Kind::parse(row.try_get("kind")?),
        raw: row.try_get::<Vec<u8>, _>("raw")?.into(),
        fees: Fees {
            max_fee: row.try_get::<Uint256, _>("max_fee")?.0.saturating_to(),
            tip: row.try_get::<Uint256, _>("max_priority_fee")?.0.saturating_to(),
        },
        signed_at_block: row.try_get("signed_at_block")?,
        waits_since: row.try_get("waits_since")?,
        sends: row.try_get("sends")?,
        last_outcome: row.try_get("last_outcome")?,
        due: row.try_get::<Option<bool>, _>("due")?.unwrap_or(true),
    }))
}

/// What came of sending one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub hash: B256,
    pub nonce: i64,
    pub outcome: &'static str,
    /// Seconds until the same bytes are sent again; `None` = when blocks pass without it.
    pub again_after: Option<f64>,
}

/// Writes down what was sent, and that its commands are on their way. Advisory: lost, the bytes are sent again.
pub(crate) async fn mark_sent(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    head: i64,
    sent: &[Sending],
) -> Result<(), TransitionError> {
    let mut tx = pool.begin().await?;
    if lanes::hold(&mut tx, lane_id, epoch).await?.is_none() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE attempts a
            SET sends           = a.sends + 1,
                first_sent_at   = coalesce(a.first_sent_at, now()),
                last_sent_at    = now(),
                last_sent_block = $4,
                waits_since     = coalesce(a.waits_since, $4),
                next_send_at    = now() + make_interval(secs => s.again_after),
                last_outcome    = s.outcome
           FROM unnest($1::bytea[], $2::text[], $3::double precision[]) AS s (hash, outcome, again_after)
          WHERE a.hash = s.hash",
    )
    .bind(sent.iter().map(|s| Word(s.hash)).collect::<Vec<_>>())
    .bind(sent.iter().map(|s| s.outcome).collect::<Vec<_>>())
    .bind(sent.iter().map(|s| s.again_after).collect::<Vec<_>>())
    .bind(head)
    .execute(&mut *tx)
    .await?;
    let prepared: Vec<i64> = sqlx::query_scalar(
        "SELECT c.seq
           FROM slot_commands s
           JOIN commands c ON c.seq = s.command_seq
          WHERE s.lane_id = $1 AND s.nonce = ANY ($2) AND s.live AND c.state = 'prepared'",
    )
    .bind(lane_id)
    .bind(sent.iter().map(|s| s.nonce).collect::<Vec<_>>())
    .fetch_all(&mut *tx)
    .await?;
    let held = transition::hold(&mut tx, &prepared).await?;
    let changes: Vec<Change> = held
        .iter()
        .filter(|command| command.state == crate::state::State::Prepared)
        .map(|command| Change::of(command.seq, Event::Sent))
        .collect();
    transition::apply(&mut tx, &held, &changes, true).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives a nonce up: its bytes can never be included.
pub(crate) async fn want_noop(pool: &PgPool, lane_id: i64, nonce: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE slots SET wants_noop = true WHERE lane_id = $1 AND nonce = $2 AND state = 'open'")
        .bind(lane_id)
        .bind(nonce)
        .execute(pool)
        .await?;
    Ok(())
}

/// All attempts of a slot, whichever of them a block may hold.
pub(crate) async fn attempts_of(pool: &PgPool, lane_id: i64, nonce: i64) -> Result<Vec<(B256, Kind)>, sqlx::Error> {
    let rows: Vec<(Word, String)> =
        sqlx::query_as("SELECT hash, kind FROM attempts WHERE lane_id = $1 AND nonce = $2 ORDER BY n")
            .bind(lane_id)
            .bind(nonce)
            .fetch_all(pool)
            .await?;
    Ok(rows.into_iter().map(|(hash, kind)| (hash.0, Kind::parse(&kind))).collect())
}

/// How a slot ended without a log to say so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub nonce: i64,
    pub state: &'static str,
    pub tx_hash: Option<B256>,
    pub block_number: i64,
    pub block_hash: Option<B256>,
}

/// Ends slots that are still open.
pub(crate) async fn end(pool: &PgPool, (lane_id, epoch): (i64, i64), endings: &[Ending]) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    if lanes::hold(&mut tx, lane_id, epoch).await?.is_none() {
        return Ok(());
    }
    for ending in endings {
        sqlx::query(
            "UPDATE slots
                SET state = $3, tx_hash = $4, block_number = $5, block_hash = $6
              WHERE lane_id = $1 AND nonce = $2 AND state = 'open'",
        )
        .bind(lane_id)
        .bind(ending.nonce)
        .bind(ending.state)
        .bind(ending.tx_hash.map(Word))
        .bind(ending.block_number)
        .bind(ending.block_hash.map(Word))
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await
}

/// Somebody used nonces of this key that no slot of ours had: write them down as stolen and go on above them.
pub(crate) async fn skip_foreign(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    from: i64,
    to: i64,
    at: i64,
) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin().await?;
    if !lanes::advance(&mut tx, lane_id, epoch, from, to).await? {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO slots (lane_id, nonce, state, passed_at, block_number)
         SELECT $1, nonce, 'stolen', $4, $4
           FROM generate_series($2::bigint, $3::bigint - 1) AS nonce",
    )
    .bind(lane_id)
    .bind(from)
    .bind(to)
    .bind(at)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}

/// Slots that ended deep enough for their commands to move on: their nonces, how they ended.
async fn releasable(
    conn: &mut PgConnection,
    lane_id: i64,
    confirmed: i64,
    finalized: i64,
) -> Result<Vec<(i64, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT s.nonce, s.state
           FROM slots s
          WHERE s.lane_id = $1 AND s.state <> 'open' AND NOT s.settled AND NOT s.released
            AND s.block_number <= CASE WHEN EXISTS (SELECT FROM slot_commands sc
                                                      JOIN commands c ON c.seq = sc.command_seq
                                                     WHERE sc.lane_id = s.lane_id AND sc.nonce = s.nonce
                                                       AND sc.live AND c.cancel_requested)
                                       THEN $3
                                       ELSE $2
                                  END
          ORDER BY s.nonce
          LIMIT 256
            FOR NO KEY UPDATE",
    )
    .bind(lane_id)
    .bind(confirmed)
    .bind(finalized)
    .fetch_all(conn)
    .await
}

/// What releasing ended slots came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Released {
    pub slots: usize,
    pub commands: usize,
    pub reverted: usize,
}

/// Lets go of commands that their slot did not run, once its end is deep enough: confirmed, or final where a
/// cancelled command ends by it. A third wholly reverted batch in a row halts the lane.
pub(crate) async fn release(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    confirmed: i64,
    finalized: i64,
) -> Result<Released, TransitionError> {
    let mut tx = pool.begin().await?;
    if lanes::hold(&mut tx, lane_id, epoch).await?.is_none() {
        return Ok(Released::default());
    }
    let ended = releasable(&mut tx, lane_id, confirmed, finalized).await?;
    if ended.is_empty() {
        return Ok(Released::default());
    }
    let nonces: Vec<i64> = ended.iter().map(|(nonce, _)| *nonce).collect();
    let seqs: Vec<i64> = sqlx::query_scalar(
        "SELECT c.seq
           FROM slot_commands s
           JOIN commands c ON c.seq = s.command_seq
          WHERE s.lane_id = $1 AND s.nonce = ANY ($2) AND s.live AND c.state IN ('prepared', 'broadcast')
          ORDER BY c.seq",
    )
    .bind(lane_id)
    .bind(&nonces)
    .fetch_all(&mut *tx)
    .await?;
    let held = transition::hold(&mut tx, &seqs).await?;
    let changes: Vec<Change> = held
        .iter()
        .map(|command| {
            // However its slot ended: what was taken back never goes again.
            if command.cancel_requested {
                let code = tokenx_contracts::ReasonCode::CommandCancelled;
                Change::of(command.seq, Event::CancelledInSlot).because(code.as_str(), code.message())
            } else {
                Change::of(command.seq, Event::Returned)
            }
        })
        .collect();
    transition::apply(&mut tx, &held, &changes, true).await?;
    sqlx::query(
        "UPDATE slot_commands SET live = false WHERE lane_id = $1 AND nonce = ANY ($2) AND command_seq = ANY ($3)",
    )
    .bind(lane_id)
    .bind(&nonces)
    .bind(&seqs)
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE slots SET released = true WHERE lane_id = $1 AND nonce = ANY ($2)")
        .bind(lane_id)
        .bind(&nonces)
        .execute(&mut *tx)
        .await?;
    if !seqs.is_empty() {
        failpoint::hit("keeper.before_release").map_err(sqlx::Error::Io)?;
    }
    let reverted = ended.iter().filter(|(_, state)| state == "reverted").count();
    for _ in 0..reverted {
        if lanes::count_revert(&mut tx, lane_id).await? >= MAX_REVERTS {
            let reason = "three batches in a row reverted as a whole: check the executor's roles and gas, then resume";
            lanes::halt(&mut tx, lane_id, epoch, reason).await?;
        }
    }
    tx.commit().await?;
    Ok(Released { slots: ended.len(), commands: seqs.len(), reverted })
}

/// Wholly reverted batches in a row that stop a lane.
const MAX_REVERTS: i32 = 3;
