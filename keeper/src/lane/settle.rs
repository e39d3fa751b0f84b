//! What ends without a log: no-ops, batches that reverted as a whole, nonces that somebody else used. The indexer says
//! that the chain has passed the nonce; only then are receipts read, and only those on the indexed branch count.

use alloy::primitives::B256;
use sqlx::PgPool;
use tokenx_config::failpoint;
use tokenx_migrations::Word;

use super::{Lane, LaneError};
use crate::metrics::METRICS;
use crate::store::lanes::{self, Cursor};
use crate::store::slots::{self, Ending, Kind, Open};

impl Lane {
    /// Ends slots that the chain has passed; those that are still open.
    pub(super) async fn settle(&self, open: Vec<Open>, cursor: Cursor) -> Result<Vec<Open>, LaneError> {
        let mut endings = Vec::new();
        let mut still_open = Vec::with_capacity(open.len());
        for slot in open {
            let Some(passed_at) = slot.passed_at else {
                still_open.push(slot);
                continue;
            };
            match self.ending(slot.nonce, passed_at, cursor).await? {
                Some(ending) => endings.push(ending),
                // Gone from under us, but the receipt is not to be had yet: neither replaced nor sent again.
                None => tracing::debug!(lane = %self.address, nonce = slot.nonce, "passed without a receipt yet"),
            }
        }
        if !endings.is_empty() {
            failpoint::hit("keeper.before_settle")?;
            slots::end(&self.shared.pool, self.id, &endings).await?;
            failpoint::hit("keeper.after_settle")?;
        }
        Ok(still_open)
    }

    async fn ending(&self, nonce: i64, passed_at: i64, cursor: Cursor) -> Result<Option<Ending>, LaneError> {
        let attempts = slots::attempts_of(&self.shared.pool, self.id.0, nonce).await?;
        let hashes: Vec<B256> = attempts.iter().map(|(hash, _)| *hash).collect();
        let receipts = if hashes.is_empty() { Vec::new() } else { self.shared.rpc.receipts(&hashes).await? };
        for ((hash, kind), receipt) in attempts.into_iter().zip(receipts) {
            let Some(receipt) = receipt else { continue };
            let (Some(number), Some(block)) = (receipt.block_number, receipt.block_hash) else { continue };
            let number = number.cast_signed();
            if number > cursor.number
                || !on_indexed_branch(&self.shared.pool, self.chain(), number, block, cursor).await?
            {
                continue;
            }
            let state = match (kind, receipt.status()) {
                (Kind::Noop, _) => "noop",
                (Kind::Batch, false) => "reverted",
                (Kind::Batch, true) => {
                    // A batch that ran leaves logs; none were indexed.
                    let reason = format!("nonce {nonce}: transaction {hash} ran on an executor that is not indexed");
                    tracing::error!(lane = %self.address, reason);
                    let mut conn = self.shared.pool.acquire().await?;
                    lanes::halt(&mut conn, self.id.0, self.id.1, &reason).await?;
                    continue;
                }
            };
            tracing::warn!(lane = %self.address, nonce, %hash, state, "a slot ended without a log");
            METRICS.endings.with_label_values(&[state]).inc();
            let (tx_hash, block_hash) = (Some(hash), Some(block));
            return Ok(Some(Ending { nonce, state, tx_hash, block_number: number, block_hash }));
        }
        // Absence proves nothing until the block that passed it is final.
        if cursor.finalized < passed_at {
            return Ok(None);
        }
        tracing::error!(lane = %self.address, nonce, "somebody else used this nonce of the lane's key");
        METRICS.endings.with_label_values(&["stolen"]).inc();
        Ok(Some(Ending { nonce, state: "stolen", tx_hash: None, block_number: passed_at, block_hash: None }))
    }
}

/// Is that block the one the indexer has at its height? A block below the headers it keeps is final.
async fn on_indexed_branch(
    pool: &PgPool,
    chain_id: i64,
    number: i64,
    hash: B256,
    cursor: Cursor,
) -> Result<bool, sqlx::Error> {
    let stored: Option<Word> = sqlx::query_scalar("SELECT hash FROM blocks WHERE chain_id = $1 AND number = $2")
        .bind(chain_id)
        .bind(number)
        .fetch_optional(pool)
        .await?;
    Ok(stored.map_or(number <= cursor.finalized, |stored| stored.0 == hash))
}
