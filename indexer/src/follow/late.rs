//! Contracts that settings named after the chain was first followed: their past is read below the cursor, beside the head.
//!
//! Which command caused a log follows from where it lies between an Executor's. Logs of a late contract meet those of
//! the same transactions that are kept already, and both learn their commands.

use std::collections::{BTreeSet, HashMap};

use alloy::primitives::B256;

use super::commit::{Fill, Label, Move};
use super::{Session, Tip, expiry, plan, store};
use crate::watch::WatchSet;
use crate::{Batch, BlockRef, ChainLog, IndexerError, attribution};

impl Session<'_> {
    /// One range of the past of the next late contract. It joins the others once its past reaches the cursor.
    pub(super) async fn fill_late(&mut self, tip: &Tip) -> Result<bool, IndexerError> {
        let Some(late) = self.late.first().copied() else { return Ok(false) };
        let chain_id = self.setup.chain.chain_id;
        let (from, cursor) = (late.filled_to + 1, self.cursor.block.number);
        let mut alone = WatchSet::default();
        alone.insert(late.address, late.kind);
        let end = plan::end(from, cursor, self.span.blocks(), 0);
        let (mut logs, mut labels, mut headers) = (Vec::new(), Vec::new(), Vec::new());
        if from <= end {
            let header = self.source.header(end).await?;
            logs = self.reader().parts(from, &header, &alone).await?;
            // Blocks that were not final when stored must be the ones that were just read, and the last one above all:
            // the node may be on another branch, on which the contract said nothing.
            let stored: HashMap<u64, B256> = store::headers(&self.setup.pool, chain_id, from, end, i64::MAX)
                .await?
                .iter()
                .map(|block| (block.number, block.hash))
                .collect();
            if stored.get(&end).is_some_and(|hash| *hash != header.hash) {
                return Err(IndexerError::Turned(end));
            }
            let differs = |log: &&ChainLog| stored.get(&log.block_number).is_some_and(|hash| *hash != log.block_hash);
            if let Some(log) = logs.iter().find(differs) {
                return Err(IndexerError::Turned(log.block_number));
            }
            (logs, labels) = self.attributed(logs).await?;
            headers = self.expiries_since(from, &logs).await?;
        }
        let batch = Batch {
            chain_id,
            from,
            to: self.cursor.block,
            blocks: Vec::new(),
            logs,
            nonces: Vec::new(),
            head: tip.head.number.max(cursor),
            confirmed: tip.confirmed.min(cursor),
            finalized: self.cursor.finalized,
            live: false,
            epoch: self.cursor.reorgs,
        };
        let done = end >= cursor;
        let fill = Move::Fill(Fill { contract: late.address, from: late.filled_to, to: end, done, labels, headers });
        self.outdated = true;
        self.writer.commit(None, &self.cursor, None, &batch, &fill).await?;
        tracing::info!(chain_id, contract = %late.address, to = end, done, "read a contract's past");
        Ok(true)
    }

    /// The blocks from which holds of `logs`, which begin at `from`, no longer bind, where their headers may be missing:
    /// those of all blocks that are not final yet are there.
    async fn expiries_since(&self, from: u64, logs: &[ChainLog]) -> Result<Vec<BlockRef>, IndexerError> {
        let times: BTreeSet<u64> = expiry::times(logs).collect();
        if times.is_empty() {
            return Ok(Vec::new());
        }
        let ends = self.source.headers_at(&[from.saturating_sub(1), self.cursor.finalized]).await?;
        let [below, to] = ends.as_slice() else { return Ok(Vec::new()) };
        Ok(expiry::first_blocks(&self.source, below, to, &times).await?)
    }

    /// `logs` of one contract decoded and with their commands, and the kept logs of their transactions whose command is
    /// another one now that these are known.
    async fn attributed(&self, logs: Vec<ChainLog>) -> Result<(Vec<ChainLog>, Vec<Label>), IndexerError> {
        let transactions: BTreeSet<(u64, B256)> = logs.iter().map(|log| (log.block_number, log.tx_hash)).collect();
        let kept = store::logs_of(&self.setup.pool, self.setup.chain.chain_id, &transactions).await?;
        let before: HashMap<_, _> = kept.iter().map(|log| ((log.block_number, log.log_index), log.command)).collect();

        let mut known = self.watched.clone();
        for late in &self.late {
            known.insert(late.address, late.kind);
        }
        let mut all = kept;
        all.iter_mut().for_each(|log| log.command = None);
        all.extend(logs);
        all.sort_unstable_by_key(|log| (log.block_number, log.log_index));
        known.decode(&mut all);
        attribution::attribute(&mut all);

        let (mut new, mut labels) = (Vec::new(), Vec::new());
        for log in all {
            match before.get(&(log.block_number, log.log_index)) {
                None => new.push(log),
                Some(command) if *command != log.command => {
                    labels.push(Label { block: log.block_number, log_index: log.log_index, command: log.command });
                }
                Some(_) => {}
            }
        }
        Ok((new, labels))
    }
}
