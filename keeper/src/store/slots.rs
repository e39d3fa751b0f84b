//! Slots and their attempts. Bytes are written here before they are sent, and nothing else is ever sent.

use alloy::primitives::{Address, B256, Bytes, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row};
use tokenx_config::failpoint;
use tokenx_migrations::{Addr, Uint256, Word};

use super::errands::{self, Errand, UnderWay};
use super::lanes::{self, Cursor};
use super::permits;
use super::transition::{self, Change, TransitionError};
use crate::fees::Fees;
use crate::state::Event;
use crate::tx::Signed;

/// What an attempt carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Commands.
    Batch,
    Noop,
    /// Gas for a hosted wallet.
    Fund,
    /// A hosted wallet's own.
    Approve,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Batch => "batch",
            Kind::Noop => "noop",
            Kind::Fund => "fund",
            Kind::Approve => "approve",
        }
    }

    pub(crate) fn parse(name: &str) -> Kind {
        match name {
            "noop" => Kind::Noop,
            "fund" => Kind::Fund,
            "approve" => Kind::Approve,
            _ => Kind::Batch,
        }
    }
}

/// A signed transaction, ready to be written: a batch, or what serves a wallet in place of one.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub nonce: i64,
    pub kind: Kind,
    /// Of a batch.
    pub executor: Option<Address>,
    pub commands: Vec<i64>,
    pub errand: Option<Errand>,
    /// Wallets whose permits it passes on, signed for the nonces that they had at the head.
    pub permits: Vec<Address>,
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

/// Writes signed transactions in one of the database's: the lane's nonce by compare-and-swap, the slots, their commands,
/// the bytes. After the commit, and not before, they may be sent.
pub(crate) async fn prepare(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    (chain_id, cursor): (i64, Cursor),
    slots: &[Prepared],
) -> Result<(), PrepareError> {
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Ok(()) };
    let head = cursor.number;
    let served: Vec<Address> = slots.iter().filter_map(|slot| Some(slot.errand?.wallet)).collect();
    let mut tx = tokenx_migrations::begin(pool).await?;
    // A wallet's balance is read of the chain; what simulation says of a batch is said of it again when it runs.
    if !served.is_empty() && !lanes::hold_branch(&mut tx, chain_id, cursor).await? {
        return Err(PrepareError::Moved);
    }
    if !lanes::advance(&mut tx, lane_id, epoch, first.nonce, last.nonce + 1).await? {
        return Err(PrepareError::Fenced);
    }
    let owners: Vec<Address> = slots.iter().flat_map(|slot| slot.permits.iter().copied()).collect();
    let wallets = [owners.as_slice(), &served].concat();
    permits::hold(&mut tx, chain_id, &wallets).await?;
    let errands = errands::under_way(&mut tx, chain_id, &wallets, head).await?;
    let busy = |wallet: &Address, is: fn(&UnderWay) -> bool| errands.get(wallet).is_some_and(is);
    if !permits::under_way(&mut tx, chain_id, &owners, head).await?.is_empty()
        || owners.iter().any(|owner| busy(owner, |one| one.approve))
        || served.iter().any(|wallet| busy(wallet, |one| one.fund))
    {
        return Err(PrepareError::Moved);
    }
    insert(&mut tx, lane_id, head, slots).await?;

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
    let changes: Vec<Change> =
        seqs.iter().map(|seq| Change { lane: Some(lane_id), ..Change::of(*seq, Event::Prepared) }).collect();
    match transition::apply(&mut tx, &held, &changes, true).await {
        // Cancelled, expired or adopted from the chain while it was signed for.
        Err(TransitionError::Illegal { .. }) => return Err(PrepareError::Moved),
        other => other?,
    }
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
    failpoint::hit("keeper.before_prepare").map_err(sqlx::Error::Io)?;
    tx.commit().await?;
    Ok(())
}

/// Writes slots with their bytes, and whom they serve.
pub(super) async fn insert(
    conn: &mut PgConnection,
    lane_id: i64,
    head: i64,
    slots: &[Prepared],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO slots (lane_id, nonce, executor, state)
         SELECT $1, nonce, executor, 'open'
           FROM unnest($2::bigint[], $3::bytea[]) AS s (nonce, executor)",
    )
    .bind(lane_id)
    .bind(slots.iter().map(|slot| slot.nonce).collect::<Vec<_>>())
    .bind(slots.iter().map(|slot| slot.executor.map(Addr)).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    errands::insert(&mut *conn, lane_id, slots).await?;
    let attempts: Vec<NewAttempt<'_>> = slots
        .iter()
        .map(|slot| NewAttempt { nonce: slot.nonce, kind: slot.kind, gas_limit: slot.gas_limit, signed: &slot.signed })
        .collect();
    insert_attempts(conn, lane_id, head, &attempts).await?;
    Ok(())
}

/// Bytes to be written for a slot.
struct NewAttempt<'a> {
    nonce: i64,
    kind: Kind,
    gas_limit: u64,
    signed: &'a Signed,
}

/// Writes attempts of slots that are open, save bytes that are written already: the same payload at the same price. How
/// many it wrote.
async fn insert_attempts(
    conn: &mut PgConnection,
    lane_id: i64,
    head: i64,
    attempts: &[NewAttempt<'_>],
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO attempts (hash, lane_id, nonce, n, kind, raw, gas_limit, max_fee, max_priority_fee, signed_at_block)
         SELECT t.hash, s.lane_id, s.nonce,
                coalesce((SELECT max(a.n) FROM attempts a
                           WHERE a.lane_id = s.lane_id AND a.nonce = s.nonce), 0) + 1,
                t.kind, t.raw, t.gas_limit, t.max_fee, t.tip, $2
           FROM unnest($3::bigint[], $4::bytea[], $5::text[], $6::bytea[], $7::bigint[], $8::numeric[], $9::numeric[])
             AS t (nonce, hash, kind, raw, gas_limit, max_fee, tip)
           JOIN slots s ON s.lane_id = $1 AND s.nonce = t.nonce AND s.state = 'open'
             ON CONFLICT (hash) DO NOTHING",
    )
    .bind(lane_id)
    .bind(head)
    .bind(attempts.iter().map(|a| a.nonce).collect::<Vec<_>>())
    .bind(attempts.iter().map(|a| Word(a.signed.hash)).collect::<Vec<_>>())
    .bind(attempts.iter().map(|a| a.kind.name()).collect::<Vec<_>>())
    .bind(attempts.iter().map(|a| a.signed.raw.as_ref()).collect::<Vec<_>>())
    .bind(attempts.iter().map(|a| a.gas_limit.cast_signed()).collect::<Vec<_>>())
    .bind(attempts.iter().map(|a| Uint256(U256::from(a.signed.fees.max_fee))).collect::<Vec<_>>())
    .bind(attempts.iter().map(|a| Uint256(U256::from(a.signed.fees.tip))).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Writes a replacement for a slot that is still open; false if the slot has ended, the lane has another owner, or these
/// very bytes are there.
pub(crate) async fn replace(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    nonce: i64,
    kind: Kind,
    gas_limit: u64,
    head: i64,
    signed: &Signed,
) -> Result<bool, sqlx::Error> {
    let mut tx = tokenx_migrations::begin(pool).await?;
    if lanes::hold(&mut tx, lane_id, epoch).await?.is_none() {
        return Ok(false);
    }
    let attempt = NewAttempt { nonce, kind, gas_limit, signed };
    let written = insert_attempts(&mut tx, lane_id, head, &[attempt]).await? == 1;
    failpoint::hit("keeper.before_replace")?;
    tx.commit().await?;
    Ok(written)
}

/// An open slot with its newest attempt; `attempt` is none where a nonce has to be filled that nobody signed for.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub nonce: i64,
    /// All others of the lane wait for it.
    pub is_first: bool,
    pub wants_noop: bool,
    pub passed_at: Option<i64>,
    /// A reorg took out of the chain what it may build upon: it is not sent before that is back.
    pub waits: bool,
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

/// The lane's open slots that something may have to be done about, in nonce order: the first one, those to be sent,
/// replaced or settled. `low` is the fee below which an offer may be priced out, in wei per gas.
///
/// A slot waits for those of other lanes that were in a block before it was opened and are in none now: its commands
/// were found runnable upon theirs. What waits is younger than what it waits for, so nothing waits in a circle; and
/// what follows it in its lane is younger still, so it waits too. For a halted lane nothing waits: that may be for ever.
pub(crate) async fn open(pool: &PgPool, lane_id: i64, head: i64, low: u128) -> Result<Vec<Open>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT *
           FROM (SELECT s.nonce, s.nonce = min(s.nonce) OVER () AS is_first, s.wants_noop, s.passed_at,
                        coalesce(s.opened_at > (SELECT min(e.first_included_at)
                                                  FROM slots e
                                                  JOIN lanes of_e ON of_e.lane_id = e.lane_id
                                                  JOIN lanes ours ON ours.lane_id = $1 AND ours.chain_id = of_e.chain_id
                                                 WHERE e.state = 'open' AND e.first_included_at IS NOT NULL
                                                   AND e.lane_id <> $1 AND of_e.halted_reason IS NULL), false) AS waits,
                        a.hash, a.kind, a.raw, a.max_fee, a.max_priority_fee, a.signed_at_block, a.waits_since, a.sends,
                        a.last_outcome,
                        (a.first_sent_at IS NULL OR a.next_send_at <= now() OR a.last_sent_block + $3 <= $2) AS due
                   FROM slots s
                   LEFT JOIN LATERAL (
                        SELECT *
                          FROM attempts a
                         WHERE a.lane_id = s.lane_id AND a.nonce = s.nonce
                         ORDER BY a.n DESC
                         LIMIT 1
                        ) a ON true
                  WHERE s.lane_id = $1 AND s.state = 'open') s
          WHERE s.is_first OR s.due OR s.wants_noop OR s.passed_at IS NOT NULL OR s.hash IS NULL
             OR s.last_outcome = 'underpriced' OR s.max_fee::numeric < $4
          ORDER BY s.nonce",
    )
    .bind(lane_id)
    .bind(head)
    .bind(RESEND_AFTER_BLOCKS)
    .bind(Uint256(U256::from(low)))
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Open {
                nonce: row.try_get("nonce")?,
                is_first: row.try_get("is_first")?,
                wants_noop: row.try_get("wants_noop")?,
                passed_at: row.try_get("passed_at")?,
                waits: row.try_get("waits")?,
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
    pub outcome: &'static str,
    /// Seconds until the same bytes are sent again; `None` = when blocks pass without it.
    pub again_after: Option<f64>,
}

/// Writes down what was sent, by which its commands are on their way. Advisory: lost, the bytes are sent again.
pub(crate) async fn mark_sent(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    head: i64,
    sent: &[Sending],
) -> Result<(), sqlx::Error> {
    let mut tx = tokenx_migrations::begin(pool).await?;
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
    tx.commit().await
}

/// Gives a nonce up: its bytes can never be included.
pub(crate) async fn want_noop(pool: &PgPool, (lane_id, epoch): (i64, i64), nonce: i64) -> Result<(), sqlx::Error> {
    let mut tx = tokenx_migrations::begin(pool).await?;
    if lanes::hold(&mut tx, lane_id, epoch).await?.is_none() {
        return Ok(());
    }
    sqlx::query("UPDATE slots SET wants_noop = true WHERE lane_id = $1 AND nonce = $2 AND state = 'open'")
        .bind(lane_id)
        .bind(nonce)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// Bytes of a slot that a block may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub nonce: i64,
    pub hash: B256,
    pub kind: Kind,
}

/// All attempts of these slots, whichever of them a block may hold.
pub(crate) async fn attempts_of(pool: &PgPool, lane_id: i64, nonces: &[i64]) -> Result<Vec<Sent>, sqlx::Error> {
    let rows: Vec<(i64, Word, String)> = sqlx::query_as(
        "SELECT nonce, hash, kind
           FROM attempts
          WHERE lane_id = $1 AND nonce = ANY ($2)
          ORDER BY nonce, n",
    )
    .bind(lane_id)
    .bind(nonces)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(nonce, hash, kind)| Sent { nonce, hash: hash.0, kind: Kind::parse(&kind) }).collect())
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

/// Ends slots that are still open as the cursor's branch has it; false where that branch or the lane is gone.
pub(crate) async fn end(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    (chain_id, cursor): (i64, Cursor),
    endings: &[Ending],
) -> Result<bool, sqlx::Error> {
    let mut tx = tokenx_migrations::begin(pool).await?;
    if !lanes::hold_branch(&mut tx, chain_id, cursor).await? || lanes::hold(&mut tx, lane_id, epoch).await?.is_none() {
        return Ok(false);
    }
    for ending in endings {
        sqlx::query(
            "UPDATE slots
                SET state = $3, tx_hash = $4, block_number = $5, block_hash = $6,
                    first_included_at = CASE WHEN $3 = 'included' THEN coalesce(first_included_at, now())
                                             ELSE first_included_at END
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
    tx.commit().await?;
    Ok(true)
}

/// Stops the lane over a slot that is still open on the cursor's branch; whether it is.
pub(crate) async fn halt(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    (chain_id, cursor): (i64, Cursor),
    nonce: i64,
    reason: &str,
) -> Result<bool, sqlx::Error> {
    let mut tx = tokenx_migrations::begin(pool).await?;
    if !lanes::hold_branch(&mut tx, chain_id, cursor).await? || lanes::hold(&mut tx, lane_id, epoch).await?.is_none() {
        return Ok(false);
    }
    let open: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM slots WHERE lane_id = $1 AND nonce = $2 AND state = 'open')")
            .bind(lane_id)
            .bind(nonce)
            .fetch_one(&mut *tx)
            .await?;
    if open {
        lanes::halt(&mut tx, lane_id, epoch, reason).await?;
    }
    tx.commit().await?;
    Ok(open)
}

/// Somebody used nonces of this key that no slot of ours had: write them down as stolen and go on above them.
pub(crate) async fn skip_foreign(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    (chain_id, cursor): (i64, Cursor),
    from: i64,
    to: i64,
) -> Result<bool, sqlx::Error> {
    let mut tx = tokenx_migrations::begin(pool).await?;
    if !lanes::hold_branch(&mut tx, chain_id, cursor).await?
        || !lanes::advance(&mut tx, lane_id, epoch, from, to).await?
    {
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
    .bind(cursor.number)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}
