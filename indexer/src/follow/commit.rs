//! One transaction: the cursor's compare-and-set first, then whatever goes and whatever comes. In a backfill, that of the
//! next batch has begun by then: it holds what needs nothing of what is before it, and its compare-and-set comes next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use sqlx::{PgConnection, PgPool};
use tokenx_config::failpoint;
use tokenx_config::retry::{Policy, Verdict, retry};
use tokenx_migrations::{Addr, Session, Word, outbox};

use super::store::{self, Cursor};
pub(super) use crate::project::Label;
use crate::project::{self, Applied};
use crate::read::int;
use crate::{Batch, BlockRef, ChainLog, Fork, IndexerError, Projection, metrics};

/// For a batch that meets a lock or a serialization failure; a broken database is the follower's to wait for.
const AGAIN: Policy = Policy::within(Duration::from_millis(20), Duration::from_millis(500), Duration::from_secs(10));

/// Writes batches.
#[derive(Clone)]
pub(super) struct Writer {
    pub(super) pool: PgPool,
    pub(super) projections: Vec<Arc<dyn Projection>>,
}

/// Where the cursor goes with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// To the batch's last block.
    Forward,
    /// Nowhere: a late contract's past is filled in below it.
    Fill(Fill),
}

/// A part of a late contract's past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) contract: Address,
    /// How far its past has been read before it.
    pub(super) from: u64,
    /// How far its past is read with this batch.
    pub(super) to: u64,
    /// Whether that is all of it.
    pub(super) done: bool,
    /// What kept logs turn out to come from.
    pub(super) labels: Vec<Label>,
    /// Headers to store that may be there already.
    pub(super) headers: Vec<BlockRef>,
}

/// An open transaction with a batch's logs and transfers, seen by nobody and gone when dropped.
pub(super) struct Ahead(Session);

impl Writer {
    /// Keeps the logs of a batch whose turn has not come. `None` where that fails: all of it is written in its turn.
    pub(super) async fn ahead(&self, chain_id: u64, logs: &[ChainLog], live: bool) -> Option<Ahead> {
        let begun = async {
            let mut session = begin(&self.pool, live).await?;
            project::keep(chain_id, logs, &mut session).await?;
            Ok::<_, sqlx::Error>(Ahead(session))
        };
        begun.await.inspect_err(|error| tracing::debug!(%error, "nothing was written ahead")).ok()
    }

    /// Commits `batch` on top of `cursor`, after taking `fork` back if there is one. All of it or nothing.
    pub(super) async fn commit(
        &self,
        mut ahead: Option<Ahead>,
        cursor: &Cursor,
        fork: Option<&Fork>,
        batch: &Batch,
        to: &Move,
    ) -> Result<(), IndexerError> {
        let chain = batch.chain_id.to_string();
        let begun = Instant::now();
        let verdict = |error: &IndexerError| {
            if error.retryable() {
                metrics::COMMIT_RETRIES.with_label_values(&[&chain]).inc();
                Verdict::Retry
            } else {
                Verdict::GiveUp
            }
        };
        let applied = retry(AGAIN, verdict, || self.attempt(ahead.take(), cursor, fork, batch, to)).await?;
        metrics::COMMIT_SECONDS.observe(begun.elapsed().as_secs_f64());
        metrics::LOGS.with_label_values(&[&chain]).inc_by(batch.logs.len() as u64);
        metrics::UNDECODED.with_label_values(&[&chain]).inc_by(applied.undecoded);
        metrics::INEXACT.with_label_values(&[&chain]).inc_by(applied.inexact);
        if let Some(fork) = fork {
            metrics::REORGS.with_label_values(&[&chain]).inc();
            // Deeper than 2^32 blocks is beyond any bucket.
            metrics::REORG_DEPTH.observe(f64::from(u32::try_from(fork.depth()).unwrap_or(u32::MAX)));
        }
        if applied.told > 0 || (batch.live && !batch.logs.is_empty()) {
            // Only a hint: subscribers poll as well.
            if let Err(error) = outbox::wake(&self.pool).await {
                tracing::debug!(%error, "subscribers were not woken");
            }
        }
        Ok(())
    }

    async fn attempt(
        &self,
        ahead: Option<Ahead>,
        cursor: &Cursor,
        fork: Option<&Fork>,
        batch: &Batch,
        to: &Move,
    ) -> Result<Applied, IndexerError> {
        let (mut tx, kept) = match ahead {
            Some(Ahead(session)) => (session, true),
            None => (begin(&self.pool, batch.live).await?, false),
        };
        move_cursor(cursor, fork, batch, to, &mut tx).await?;
        if let Move::Fill(fill) = to {
            project::relabel(batch.chain_id, &fill.labels, &mut tx).await?;
            for header in &fill.headers {
                store::put_block(batch.chain_id, header, &mut tx).await?;
            }
        }
        let mut told = 0;
        if let Some(fork) = fork {
            // The rooms above first: their rows may stand on ours.
            for projection in self.projections.iter().rev() {
                projection.rollback(fork, &mut tx).await.map_err(|error| named(projection.as_ref(), error))?;
            }
            told = project::rollback(fork, batch, &mut tx).await?;
            store::put_block(fork.chain_id, &fork.to, &mut tx).await?;
        }
        if !kept {
            project::keep(batch.chain_id, &batch.logs, &mut tx).await?;
        }
        let mut applied = project::apply(batch, &mut tx).await?;
        applied.told += told;
        for projection in &self.projections {
            projection.apply(batch, &mut tx).await.map_err(|error| named(projection.as_ref(), error))?;
        }
        if fork.is_some() {
            failpoint::hit("indexer.before_heal").map_err(sqlx::Error::Io)?;
        }
        failpoint::hit("indexer.before_commit").map_err(sqlx::Error::Io)?;
        sqlx::raw_sql("COMMIT").execute(&mut *tx).await?;
        tx.give_back();
        failpoint::hit("indexer.after_commit").map_err(sqlx::Error::Io)?;
        Ok(applied)
    }
}

fn named(projection: &dyn Projection, error: crate::ProjectionError) -> IndexerError {
    IndexerError::Projection { name: projection.name(), error }
}

/// Begins a transaction that goes by key and waits for a lock at most two seconds; it ends with the session. The past may
/// be lost with a crash of Postgres, cursor and all: it is read again.
async fn begin(pool: &PgPool, live: bool) -> Result<Session, sqlx::Error> {
    let mut session = Session::acquire(pool).await?;
    sqlx::raw_sql("BEGIN").execute(&mut *session).await?;
    sqlx::raw_sql(tokenx_migrations::BY_KEY).execute(&mut *session).await?;
    sqlx::raw_sql("SET LOCAL lock_timeout = '2s'").execute(&mut *session).await?;
    if !live {
        sqlx::raw_sql("SET LOCAL synchronous_commit = off").execute(&mut *session).await?;
    }
    Ok(session)
}

/// The compare-and-set that makes two writers impossible and a repeated batch harmless.
async fn move_cursor(
    cursor: &Cursor,
    fork: Option<&Fork>,
    batch: &Batch,
    to: &Move,
    tx: &mut PgConnection,
) -> Result<(), IndexerError> {
    let moved = match to {
        Move::Forward => {
            sqlx::query(
                "UPDATE chain_cursors
                    SET number = $4, hash = $5, head = $6, confirmed = $7, finalized = $8, reorgs = reorgs + $9,
                        rewrites = rewrites + $9, halted = NULL, polled_at = now(), advanced_at = now()
                  WHERE chain_id = $1 AND number = $2 AND hash = $3",
            )
            .bind(int(batch.chain_id))
            .bind(int(cursor.block.number))
            .bind(Word(cursor.block.hash))
            .bind(int(batch.to.number))
            .bind(Word(batch.to.hash))
            .bind(int(batch.head))
            .bind(int(batch.confirmed))
            .bind(int(batch.finalized))
            .bind(i64::from(fork.is_some()))
            .execute(&mut *tx)
            .await?
        }
        Move::Fill(fill) => {
            sqlx::query(
                "WITH held AS (
                     UPDATE chain_cursors
                        SET rewrites = rewrites + 1, polled_at = now()
                      WHERE chain_id = $1 AND number = $2 AND hash = $3
                     RETURNING chain_id
                 )
                 UPDATE watched w
                    SET filled_to = CASE WHEN $6 THEN NULL ELSE $5 END
                   FROM held
                  WHERE w.chain_id = held.chain_id AND w.address = $4 AND w.filled_to = $7",
            )
            .bind(int(batch.chain_id))
            .bind(int(cursor.block.number))
            .bind(Word(cursor.block.hash))
            .bind(Addr(fill.contract))
            .bind(int(fill.to))
            .bind(fill.done)
            .bind(int(fill.from))
            .execute(&mut *tx)
            .await?
        }
    };
    if moved.rows_affected() == 1 { Ok(()) } else { Err(IndexerError::CursorMoved(batch.chain_id)) }
}
