//! Slots and lanes as blocks come and go. Written by the projection, in the indexer's transaction.

use std::collections::HashSet;

use alloy::primitives::{Address, B256};
use sqlx::PgConnection;
use tokenx_migrations::{Addr, Word};

use super::results::Told;

/// Notes the lanes' transaction counts as of the indexed block.
pub(crate) async fn nonces(
    conn: &mut PgConnection,
    chain_id: i64,
    at: i64,
    nonces: &[(Address, u64)],
) -> Result<(), sqlx::Error> {
    if nonces.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO lane_nonces (lane_id, nonce, at_block)
         SELECT l.lane_id, n.nonce, $2
           FROM unnest($3::bytea[], $4::bigint[]) AS n (address, nonce)
           JOIN lanes l ON l.chain_id = $1 AND l.address = n.address
             ON CONFLICT (lane_id) DO UPDATE SET nonce = excluded.nonce, at_block = excluded.at_block",
    )
    .bind(chain_id)
    .bind(at)
    .bind(nonces.iter().map(|(address, _)| Addr(*address)).collect::<Vec<_>>())
    .bind(nonces.iter().map(|(_, nonce)| nonce.cast_signed()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the open slots whose transactions left these logs; the hashes that are ours.
pub(crate) async fn include(conn: &mut PgConnection, told: &[Told]) -> Result<HashSet<B256>, sqlx::Error> {
    let mut seen = HashSet::new();
    let first: Vec<&Told> = told.iter().filter(|one| seen.insert(one.tx_hash)).collect();
    let ours: Vec<(Word, i64)> = sqlx::query_as("SELECT hash, lane_id FROM attempts WHERE hash = ANY ($1)")
        .bind(first.iter().map(|one| Word(one.tx_hash)).collect::<Vec<_>>())
        .fetch_all(&mut *conn)
        .await?;
    if ours.is_empty() {
        return Ok(HashSet::new());
    }
    sqlx::query("UPDATE lanes SET reverts_in_a_row = 0 WHERE lane_id = ANY ($1) AND reverts_in_a_row > 0")
        .bind(ours.iter().map(|(_, lane)| *lane).collect::<Vec<_>>())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "UPDATE slots s
            SET state             = 'included',
                tx_hash           = t.hash,
                block_number      = t.number,
                block_hash        = t.block,
                first_included_at = coalesce(s.first_included_at, now())
           FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) AS t (hash, number, block)
           JOIN attempts a ON a.hash = t.hash
          WHERE s.lane_id = a.lane_id AND s.nonce = a.nonce AND s.state = 'open'",
    )
    .bind(first.iter().map(|one| Word(one.tx_hash)).collect::<Vec<_>>())
    .bind(first.iter().map(|one| one.block_number).collect::<Vec<_>>())
    .bind(first.iter().map(|one| Word(one.block_hash)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(ours.into_iter().map(|(hash, _)| hash.0).collect())
}

/// Notes open slots whose nonce the chain has passed without a log of ours: the lane reads their receipts. Each block
/// says it anew, so that a count that a node gave in the midst of a reorg holds no longer than that block.
pub(crate) async fn pass(conn: &mut PgConnection, chain_id: i64, at: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE slots s
            SET passed_at = CASE WHEN s.nonce < n.nonce THEN $2 END
           FROM lanes l
           JOIN lane_nonces n ON n.lane_id = l.lane_id
          WHERE l.chain_id = $1 AND s.lane_id = l.lane_id AND s.state = 'open'
            AND (s.nonce < n.nonce) = (s.passed_at IS NULL)",
    )
    .bind(chain_id)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Ended slots in final blocks are done with.
pub(crate) async fn settle(conn: &mut PgConnection, chain_id: i64, finalized: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE slots s
            SET settled = true
           FROM lanes l
          WHERE l.chain_id = $1 AND s.lane_id = l.lane_id
            AND s.state <> 'open' AND NOT s.settled AND s.released AND s.block_number <= $2",
    )
    .bind(chain_id)
    .bind(finalized)
    .execute(conn)
    .await?;
    Ok(())
}

/// Opens the slots again that ended above `to`, and has every open one sent again: a reorg may have emptied the pools.
/// One whose commands have gone elsewhere meanwhile only gives its nonce up.
/// Their wait for a block begins anew, so that the very same bytes go first.
pub(crate) async fn reopen(conn: &mut PgConnection, chain_id: i64, to: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM lane_nonces n
          USING lanes l
          WHERE l.chain_id = $1 AND n.lane_id = l.lane_id AND n.at_block > $2",
    )
    .bind(chain_id)
    .bind(to)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "UPDATE slots s
            SET state        = 'open',
                tx_hash      = NULL,
                block_number = NULL,
                block_hash   = NULL,
                passed_at    = NULL,
                wants_noop   = s.wants_noop
                               OR NOT EXISTS (SELECT FROM slot_commands c
                                               WHERE c.lane_id = s.lane_id AND c.nonce = s.nonce AND c.live)
                              AND NOT EXISTS (SELECT FROM slot_errands e
                                               WHERE e.lane_id = s.lane_id AND e.nonce = s.nonce),
                released     = false
           FROM lanes l
          WHERE l.chain_id = $1 AND s.lane_id = l.lane_id AND s.state <> 'open' AND NOT s.settled
            AND s.block_number > $2",
    )
    .bind(chain_id)
    .bind(to)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "UPDATE slots s
            SET passed_at = NULL
           FROM lanes l
          WHERE l.chain_id = $1 AND s.lane_id = l.lane_id AND s.state = 'open' AND s.passed_at > $2",
    )
    .bind(chain_id)
    .bind(to)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "UPDATE attempts a
            SET next_send_at = now(), waits_since = NULL
           FROM slots s
           JOIN lanes l ON l.lane_id = s.lane_id
          WHERE l.chain_id = $1 AND s.state = 'open' AND a.lane_id = s.lane_id AND a.nonce = s.nonce",
    )
    .bind(chain_id)
    .execute(conn)
    .await?;
    Ok(())
}
