//! What the sweep keeps: how far its rotation has come, and what does not agree.

use std::collections::HashSet;

use alloy::primitives::B256;
use sqlx::{PgConnection, PgPool, Row};
use tokenx_migrations::{Addr, Word};

use super::figures::{Key, Place, Slice};
use super::question::Mismatch;
use crate::read::{Columns, int};

/// Rotations that are kept.
const KEPT: i64 = 100;

/// A rotation under way.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) id: i64,
    pub(super) after: Key,
}

/// The rotation under way, or a new one.
pub(super) async fn run(pool: &PgPool, chain_id: u64) -> Result<Run, sqlx::Error> {
    let row = sqlx::query(
        "WITH begun AS (
             INSERT INTO reconciliation_runs (chain_id)
             VALUES ($1)
                 ON CONFLICT (chain_id) WHERE finished_at IS NULL DO NOTHING
             RETURNING id, after_token, after_wallet
         )
         SELECT id, after_token, after_wallet FROM begun
          UNION ALL
         SELECT id, after_token, after_wallet FROM reconciliation_runs WHERE chain_id = $1 AND finished_at IS NULL
          LIMIT 1",
    )
    .bind(int(chain_id))
    .fetch_one(pool)
    .await?;
    Ok(Run { id: row.try_get("id")?, after: (row.try_get("after_token")?, row.try_get("after_wallet")?) })
}

/// What a slice came to.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The places that were compared.
    pub(super) asked: HashSet<Place>,
    /// What differed twice.
    pub(super) found: Vec<Mismatch>,
    /// The block at which it did the second time.
    pub(super) at: (u64, B256),
    /// Whether it was the last of its rotation.
    pub(super) done: bool,
}

/// Writes what a slice came to, and moves the rotation behind it. False if another process has done so meanwhile.
pub(super) async fn write(
    pool: &PgPool,
    chain_id: u64,
    run: &Run,
    slice: &Slice,
    outcome: &Outcome,
) -> Result<bool, sqlx::Error> {
    let mut tx = tokenx_migrations::begin(pool).await?;
    if !advance(run, slice, outcome.found.len() as u64, outcome.done, &mut tx).await? {
        return Ok(false);
    }
    for mismatch in &outcome.found {
        sqlx::query(
            "INSERT INTO reconciliation_mismatches (chain_id, token, wallet, what, ours, chains, block_number, block_hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                 ON CONFLICT (chain_id, token, wallet, what) WHERE resolved_at IS NULL DO UPDATE
                SET ours         = excluded.ours,
                    chains       = excluded.chains,
                    block_number = excluded.block_number,
                    block_hash   = excluded.block_hash,
                    last_seen    = now()",
        )
        .bind(int(chain_id))
        .bind(Addr(mismatch.token))
        .bind(mismatch.wallet.map(Addr))
        .bind(mismatch.what)
        .bind(&mismatch.ours)
        .bind(&mismatch.chains)
        .bind(int(outcome.at.0))
        .bind(Word(outcome.at.1))
        .execute(&mut *tx)
        .await?;
    }
    resolve(chain_id, run, &outcome.asked, outcome.done, &mut tx).await?;
    if outcome.done {
        sqlx::query(
            "DELETE FROM reconciliation_runs
              WHERE chain_id = $1
                AND id < (SELECT min(id)
                            FROM (SELECT id FROM reconciliation_runs WHERE chain_id = $1 ORDER BY id DESC LIMIT $2) kept)",
        )
        .bind(int(chain_id))
        .bind(KEPT)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Two processes may sweep, one following and one standing by: only the first to be here counts.
async fn advance(run: &Run, slice: &Slice, found: u64, done: bool, tx: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let to = slice.keys.last().unwrap_or(&run.after);
    let tokens = slice.keys.iter().filter(|(_, wallet)| wallet.is_empty()).count() as u64;
    let moved = sqlx::query(
        "UPDATE reconciliation_runs
            SET after_token  = $4,
                after_wallet = $5,
                tokens       = tokens + $6,
                holdings     = holdings + $7,
                mismatches   = mismatches + $8,
                first_block  = coalesce(first_block, $9),
                last_block   = $9,
                finished_at  = CASE WHEN $10 THEN now() END
          WHERE id = $1 AND after_token = $2 AND after_wallet = $3 AND finished_at IS NULL",
    )
    .bind(run.id)
    .bind(&run.after.0)
    .bind(&run.after.1)
    .bind(&to.0)
    .bind(&to.1)
    .bind(int(tokens))
    .bind(int(slice.keys.len() as u64 - tokens))
    .bind(int(found))
    .bind(int(slice.number))
    .bind(done)
    .execute(tx)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Ends mismatches that were compared again and not found; at the end of a rotation also those whose rows are gone, but
/// not those of tokens that cannot be asked now.
async fn resolve(
    chain_id: u64,
    run: &Run,
    asked: &HashSet<Place>,
    done: bool,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let (tokens, wallets): (Vec<&[u8]>, Vec<&[u8]>) = asked
        .iter()
        .map(|(token, wallet)| (token.as_slice(), wallet.as_ref().map_or(&[][..], |wallet| wallet.as_slice())))
        .unzip();
    sqlx::query(
        "UPDATE reconciliation_mismatches m
            SET resolved_at = now()
          WHERE m.chain_id = $1
            AND m.resolved_at IS NULL
            AND m.last_seen < now()
            AND (EXISTS (SELECT
                           FROM unnest($2::bytea[], $3::bytea[]) AS k (token, wallet)
                          WHERE k.token = m.token AND k.wallet = coalesce(m.wallet::bytea, ''))
                 OR $4 AND m.last_seen < (SELECT r.started_at FROM reconciliation_runs r WHERE r.id = $5)
                       AND NOT EXISTS (SELECT
                                         FROM instruments i
                                        WHERE i.chain_id = $1 AND i.token = m.token AND i.inexact_block IS NOT NULL)
                       AND NOT EXISTS (SELECT
                                         FROM watched w
                                        WHERE w.chain_id = $1 AND w.address = m.token AND w.filled_to IS NOT NULL))",
    )
    .bind(int(chain_id))
    .bind(tokens)
    .bind(wallets)
    .bind(done)
    .bind(run.id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Mismatches that stand, and when the last whole rotation ended (Unix seconds).
pub(super) async fn standing(pool: &PgPool, chain_id: u64) -> Result<(u64, Option<u64>), sqlx::Error> {
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM reconciliation_mismatches WHERE chain_id = $1 AND resolved_at IS NULL) AS open,
                (SELECT floor(extract(epoch FROM max(finished_at)))::bigint
                   FROM reconciliation_runs
                  WHERE chain_id = $1) AS finished",
    )
    .bind(int(chain_id))
    .fetch_one(pool)
    .await?;
    Ok((row.height("open")?, row.try_get::<Option<i64>, _>("finished")?.map(crate::read::uint)))
}
