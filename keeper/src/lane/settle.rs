//! What ends without a log: no-ops, batches that reverted as a whole, nonces that somebody else used. The indexer says
//! that the chain has passed the nonce; only then are receipts read, and only those on the indexed branch count.

use std::collections::HashMap;

use alloy::primitives::B256;
use alloy::rpc::types::TransactionReceipt;
use sqlx::PgPool;
use tokenx_config::failpoint;
use tokenx_migrations::Word;

use super::{Lane, LaneError};
use crate::metrics::METRICS;
use crate::rpc::CallError;
use crate::store::lanes::Cursor;
use crate::store::slots::{self, Ending, Kind, Open, Sent};

/// Receipts that are asked for at once.
const REQUEST: usize = 100;

impl Lane {
    /// Ends slots that the chain has passed; those that it has not. Receipts are asked for once at each indexed head:
    /// before the next one nothing new can come of it.
    pub(super) async fn settle(
        &mut self,
        open: Vec<Open>,
        cursor: Cursor,
        problem: &mut Option<String>,
    ) -> Result<Vec<Open>, LaneError> {
        // What is gone from under us, but whose receipt is not to be had yet, is neither replaced nor sent again.
        let (passed, still_open): (Vec<Open>, Vec<Open>) = open.into_iter().partition(|slot| slot.passed_at.is_some());
        if passed.is_empty() || self.settled_at == cursor.hash {
            return Ok(still_open);
        }
        let nonces: Vec<i64> = passed.iter().map(|slot| slot.nonce).collect();
        let sent = slots::attempts_of(&self.shared.pool, self.id.0, &nonces).await?;
        let receipts = match self.receipts(&sent).await {
            Ok(receipts) => receipts,
            // The others do not wait for these.
            Err(error) => {
                *problem = Some(format!("receipts from nonce {} on: {error}", nonces[0]));
                self.settled_at = cursor.hash;
                return Ok(still_open);
            }
        };
        let mut endings = Vec::new();
        for (nonce, passed_at) in passed.iter().filter_map(|slot| Some((slot.nonce, slot.passed_at?))) {
            let sent = sent.iter().filter(|sent| sent.nonce == nonce);
            match self.ending((nonce, passed_at), sent, &receipts, cursor).await? {
                Some(ending) => endings.push(ending),
                None => tracing::debug!(lane = %self.address, nonce, "passed without a receipt yet"),
            }
        }
        if !endings.is_empty() {
            failpoint::hit("keeper.before_settle")?;
            if slots::end(&self.shared.pool, self.id, (self.chain(), cursor), &endings).await? {
                self.tell(&endings);
            }
            failpoint::hit("keeper.after_settle")?;
        }
        self.settled_at = cursor.hash;
        Ok(still_open)
    }

    /// What the node has of these transactions.
    async fn receipts(&self, sent: &[Sent]) -> Result<HashMap<B256, TransactionReceipt>, CallError> {
        let mut receipts = HashMap::new();
        for request in sent.chunks(REQUEST) {
            let hashes: Vec<B256> = request.iter().map(|sent| sent.hash).collect();
            let answers = self.shared.rpc.receipts(&hashes).await?;
            receipts.extend(hashes.into_iter().zip(answers).filter_map(|(hash, receipt)| Some((hash, receipt?))));
        }
        Ok(receipts)
    }

    /// How a slot that the chain has passed ended, if that can be said.
    async fn ending(
        &self,
        (nonce, passed_at): (i64, i64),
        sent: impl Iterator<Item = &Sent>,
        receipts: &HashMap<B256, TransactionReceipt>,
        cursor: Cursor,
    ) -> Result<Option<Ending>, LaneError> {
        for Sent { hash, kind, .. } in sent.copied() {
            let Some(receipt) = receipts.get(&hash) else { continue };
            let (Some(number), Some(block)) = (receipt.block_number, receipt.block_hash) else { continue };
            let number = number.cast_signed();
            if number > cursor.number
                || !on_indexed_branch(&self.shared.pool, self.chain(), number, block, cursor).await?
            {
                continue;
            }
            let state = match (kind, receipt.status()) {
                (Kind::Noop, _) => "noop",
                (_, false) => "reverted",
                (Kind::Fund | Kind::Approve, true) => "included",
                (Kind::Batch, true) => {
                    // A batch that ran leaves logs; none were indexed.
                    let reason = format!("nonce {nonce}: transaction {hash} ran on an executor that is not indexed");
                    if slots::halt(&self.shared.pool, self.id, (self.chain(), cursor), nonce, &reason).await? {
                        tracing::error!(lane = %self.address, reason);
                    }
                    continue;
                }
            };
            let (tx_hash, block_hash) = (Some(hash), Some(block));
            return Ok(Some(Ending { nonce, state, tx_hash, block_number: number, block_hash }));
        }
        // Absence proves nothing until the block that passed it is final.
        if cursor.finalized < passed_at {
            return Ok(None);
        }
        Ok(Some(Ending { nonce, state: "stolen", tx_hash: None, block_number: passed_at, block_hash: None }))
    }

    fn tell(&self, endings: &[Ending]) {
        for Ending { nonce, state, tx_hash, .. } in endings {
            METRICS.endings.with_label_values(&[state]).inc();
            match tx_hash {
                Some(hash) if *state == "included" => {
                    tracing::info!(lane = %self.address, nonce, %hash, "what serves a hosted wallet is in a block");
                }
                Some(hash) => tracing::warn!(lane = %self.address, nonce, %hash, state, "a slot ended without a log"),
                None => tracing::error!(lane = %self.address, nonce, "somebody else used this nonce of the lane's key"),
            }
        }
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
