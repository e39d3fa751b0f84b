//! Reading ranges: prefetched while the one before is written, and complete before they are written.

use std::time::Duration;

use alloy::primitives::Address;
use tokenx_config::retry::Policy;
use tokio::sync::mpsc;

use super::plan;
use crate::source::{Source, Span};
use crate::watch::{Found, Kind, WatchSet};
use crate::{BlockRef, ChainLog, IndexerError, SourceError, attribution};

/// A node that cannot be asked now is asked again within a backfill; then the follower starts over from the cursor.
const PATIENCE: Policy = Policy::within(Duration::from_millis(100), Duration::from_secs(2), Duration::from_secs(20));

/// Blocks that were read, with the logs of the contracts that were known then.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) from: u64,
    pub(super) to: BlockRef,
    /// Headers to store.
    pub(super) blocks: Vec<BlockRef>,
    pub(super) logs: Vec<ChainLog>,
    pub(super) nonces: Vec<(Address, u64)>,
    /// Read block by block and by hash, each of them.
    by_hash: bool,
    asked: WatchSet,
    /// The logs are decoded by what was asked, and attributed.
    decoded: bool,
}

impl Fetched {
    fn decode(&mut self) {
        if !self.decoded {
            self.asked.decode(&mut self.logs);
            attribution::attribute(&mut self.logs);
            self.decoded = true;
        }
    }
}

/// What a prefetching reader needs.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) source: Source,
    pub(super) watched: WatchSet,
    pub(super) live_from: u64,
}

impl Reader {
    /// Reads the final blocks `from..=to` into `out`, adapting the length of ranges, until all are read or nobody
    /// listens. Gives the length that it ended with.
    pub(super) async fn prefetch(
        self,
        from: u64,
        to: u64,
        mut span: Span,
        out: mpsc::Sender<Result<Fetched, IndexerError>>,
    ) -> Span {
        let queries = self.watched.queries();
        let mut next = from;
        let mut pauses = PATIENCE.pauses();
        while next <= to {
            let end = plan::end(next, to, span.blocks(), self.live_from);
            let asked = end - next + 1;
            match self.source.range(next, end, &queries).await {
                Ok((header, answer)) => {
                    span.answered(asked, answer.bytes);
                    pauses = PATIENCE.pauses();
                    let mut fetched = Fetched {
                        from: next,
                        to: header,
                        blocks: vec![header],
                        logs: answer.logs,
                        nonces: Vec::new(),
                        by_hash: false,
                        asked: self.watched.clone(),
                        decoded: false,
                    };
                    // While the range before it is written.
                    fetched.decode();
                    if out.send(Ok(fetched)).await.is_err() {
                        break;
                    }
                    next = end + 1;
                }
                Err(error) if span.refused(asked, error.class()) => {
                    tracing::debug!(%error, asked, next = span.blocks(), "asking for fewer blocks");
                }
                Err(error) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => {
                        let _ = out.send(Err(error.into())).await;
                        break;
                    }
                },
            }
        }
        span
    }

    /// Reads blocks that a reorg may still replace, by hash, and the accounts' transaction counts at the last of them.
    pub(super) async fn tail(&self, blocks: Vec<BlockRef>, accounts: &[Address]) -> Result<Fetched, IndexerError> {
        let (Some(first), Some(last)) = (blocks.first().copied(), blocks.last().copied()) else {
            return Err(SourceError::not_found("eth_getBlockByNumber", "a block to read").into());
        };
        let (answer, nonces) = self.source.at_hashes(&blocks, &self.watched.queries(), accounts).await?;
        Ok(Fetched {
            from: first.number,
            to: last,
            blocks,
            logs: answer.logs,
            nonces,
            by_hash: true,
            asked: self.watched.clone(),
            decoded: false,
        })
    }

    /// Fetches the logs of contracts that `fetched` was read without, since its own factory logs make them known, and
    /// decodes all. Their logs count from their first block, whatever the log index. Gives the contracts known after it.
    ///
    /// A range by number ends with the first block that makes one known: what comes after it is to be read with them,
    /// ahead and in answers of bounded size like everything else.
    pub(super) async fn complete(&self, fetched: &mut Fetched) -> Result<WatchSet, IndexerError> {
        let is_new = |found: &Found| matches!(self.watched.kind(found.address), None | Some(Kind::Followed));
        if !fetched.by_hash
            && let Some(first) = self.watched.found(&fetched.logs).into_iter().find(is_new)
            && first.block < fetched.to.number
        {
            fetched.to = self.source.header(first.block).await?;
            fetched.blocks = vec![fetched.to];
            fetched.logs.retain(|log| log.block_number <= first.block);
        }
        loop {
            let mut needed = self.watched.clone();
            for found in needed.found(&fetched.logs) {
                needed.insert(found.address, found.kind);
            }
            let missing = needed.beyond(&fetched.asked);
            if missing.is_empty() {
                fetched.decode();
                return Ok(needed);
            }
            let more = if fetched.by_hash {
                self.source.at_hashes(&fetched.blocks, &missing.queries(), &[]).await?.0.logs
            } else {
                self.parts(fetched.from, &fetched.to, &missing).await?
            };
            // A contract may be there already, as another kind that was asked for less.
            fetched.logs.retain(|log| missing.kind(log.address).is_none());
            fetched.logs.extend(more);
            fetched.logs.sort_unstable_by_key(|log| (log.block_number, log.log_index));
            (fetched.asked, fetched.decoded) = (needed, false);
        }
    }

    /// Logs of `watched` in `from..=to.number`, in as many parts as the endpoint wants.
    pub(super) async fn parts(
        &self,
        from: u64,
        to: &BlockRef,
        watched: &WatchSet,
    ) -> Result<Vec<ChainLog>, IndexerError> {
        let queries = watched.queries();
        let mut span = Span::new(u64::MAX, u64::MAX, u64::MAX);
        let mut logs = Vec::new();
        let mut next = from;
        while next <= to.number {
            let end = plan::end(next, to.number, span.blocks(), 0);
            match self.source.range(next, end, &queries).await {
                Ok((header, _)) if end == to.number && header.hash != to.hash => return Err(IndexerError::Turned(end)),
                Ok((_, answer)) => {
                    logs.extend(answer.logs);
                    next = end + 1;
                }
                Err(error) if span.refused(end - next + 1, error.class()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(logs)
    }
}
