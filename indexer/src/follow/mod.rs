//! Following one chain: look at the node's head, decide, read, write, again.
//!
//! ```text
//!   tip ─► on our branch? ─no─► common ancestor ─► read new branch ─► one transaction: out, in, cursor
//!              │ yes
//!              ├─ final blocks ahead ─► ranges by number, prefetched ─► one transaction each
//!              └─ newer blocks ahead ─► headers, then logs by hash ──► one transaction
//! ```

mod commit;
mod expiry;
mod fetch;
mod fork;
mod late;
pub(crate) mod lock;
mod plan;
pub(crate) mod projections;
mod start;
mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use tokenx_config::retry::Policy;
use tokenx_config::{Chain, Finality, failpoint};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::source::{Source, Span, hints};
use crate::watch::WatchSet;
use crate::{AccountWatch, Batch, BlockRef, ChainLog, Fork, IndexerError, Projection, metrics};
use commit::{Ahead, Move, Writer};
use fetch::{Fetched, Reader};
use fork::Relation;
use lock::WriterLock;
use plan::{Plan, View, plan};
use store::{Cursor, Late};

/// Pauses after an error: short at first, since most pass by themselves.
const AFTER_ERROR: Policy = Policy::forever(Duration::from_millis(50), Duration::from_secs(5));
/// How often the writer's lock is checked and the database is told that the node still answers.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Ranges that wait while one is read, one is written, and one before it is committed: four are in memory.
const READ_AHEAD: usize = 1;
/// Blocks of a new branch that one transaction takes; a longer branch goes on in the next ones.
const BRANCH: u64 = 256;
/// Blocks that are asked for first: an answer that is too large costs more than some that are small.
const FIRST_SPAN: u64 = 128;
/// Stored headers that are compared at once on the way down to the common ancestor.
const STEP_DOWN: i64 = 32;

/// Follows one chain into one database.
pub(crate) struct Follower {
    pub(crate) chain: Chain,
    pub(crate) direct_url: SecretString,
    pub(crate) pool: PgPool,
    pub(crate) projections: Vec<Arc<dyn Projection>>,
    pub(crate) accounts: Vec<Arc<dyn AccountWatch>>,
}

/// The highest final block, not above the head.
fn finality(chain: &Chain, head: u64, tag: Option<u64>) -> u64 {
    match chain.finality {
        Finality::Depth(depth) => plan::at_depth(head, depth),
        Finality::Finalized => tag.unwrap_or(0).min(head),
    }
}

impl Follower {
    /// Follows until `stop`, as soon as no other process does. Returns early only for what no waiting can mend.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), IndexerError> {
        let source = Source::connect(&self.chain)?;
        let hint = Arc::new(Notify::new());
        let _listening = self.chain.ws_url.as_ref().map(|url| {
            let listening = hints(url.expose_secret().to_owned(), hint.clone(), stop.clone());
            AbortOnDropHandle::new(tokio::spawn(listening))
        });
        let mut pauses = AFTER_ERROR.pauses();
        while !stop.is_cancelled() {
            let result = match self.writer(&source, &stop).await {
                Ok(Some(mut session)) => session.follow(&hint, &stop).await,
                Ok(None) => return Ok(()),
                Err(error) => Err(error),
            };
            match result {
                Ok(()) => return Ok(()),
                Err(error) if error.is_setup() => return Err(error),
                Err(error) => {
                    tracing::warn!(chain_id = self.chain.chain_id, %error, "following starts over");
                    wait(pauses.next().unwrap_or(HOUSEKEEPING), &stop).await;
                }
            }
        }
        Ok(())
    }

    /// Waits for the writer's lock and prepares to write.
    async fn writer(&self, source: &Source, stop: &CancellationToken) -> Result<Option<Session<'_>>, IndexerError> {
        let url = self.direct_url.expose_secret();
        let Some(lock) = WriterLock::acquire(url, self.chain.chain_id, stop).await? else { return Ok(None) };
        let mut set: Vec<(&'static str, i32)> = vec![projections::OWN];
        set.extend(self.projections.iter().map(|projection| (projection.name(), projection.version())));
        let cursor = start::prepare(&self.chain, source, &self.pool, &set).await?;
        let (watched, late) = store::watched(&self.pool, self.chain.chain_id).await?;
        // Four ranges are in memory at once, each as text and as logs; and a burst of logs should still fit the cap.
        let target = (self.chain.max_response_bytes / 16) as u64;
        Ok(Some(Session {
            setup: self,
            label: self.chain.chain_id.to_string(),
            source: source.clone(),
            writer: Writer { pool: self.pool.clone(), projections: self.projections.clone() },
            lock,
            cursor,
            watched,
            late,
            outdated: false,
            span: Span::new(FIRST_SPAN, self.chain.batch_blocks, target),
            kept_house: Instant::now(),
        }))
    }
}

async fn wait(pause: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// The node's head and what counts as confirmed and final under it.
#[derive(Clone, Copy, Debug)]
struct Tip {
    head: BlockRef,
    confirmed: u64,
    finalized: u64,
}

/// Following with the writer's lock in hand.
struct Session<'a> {
    setup: &'a Follower,
    label: String,
    source: Source,
    writer: Writer,
    lock: WriterLock,
    cursor: Cursor,
    watched: WatchSet,
    late: Vec<Late>,
    /// What `watched` and `late` were read from may have changed since.
    outdated: bool,
    span: Span,
    kept_house: Instant,
}

impl Session<'_> {
    async fn follow(&mut self, hint: &Notify, stop: &CancellationToken) -> Result<(), IndexerError> {
        let poll = self.setup.chain.poll_interval();
        let mut pauses = AFTER_ERROR.pauses();
        loop {
            let pause = match self.turn(stop).await {
                Ok(more) => {
                    pauses = AFTER_ERROR.pauses();
                    if more { Duration::ZERO } else { poll }
                }
                Err(error @ (IndexerError::CursorMoved(_) | IndexerError::LockLost(_))) => return Err(error),
                Err(error) if error.is_setup() => return Err(error),
                Err(error) => {
                    self.report(&error).await;
                    pauses.next().unwrap_or(HOUSEKEEPING)
                }
            };
            if stop.is_cancelled() {
                return Ok(());
            }
            if !pause.is_zero() {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = hint.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }

    /// An error that passes is a line in the log; one that halts is told to everybody.
    async fn report(&mut self, error: &IndexerError) {
        let chain_id = self.setup.chain.chain_id;
        if !error.halts() {
            tracing::warn!(chain_id, %error, "following pauses");
            return;
        }
        tracing::error!(chain_id, %error, "following has stopped");
        metrics::HALTED.with_label_values(&[&self.label]).set(1);
        self.cursor.halted = true;
        if let Err(error) = store::halt(&self.setup.pool, chain_id, &error.to_string()).await {
            tracing::warn!(chain_id, %error, "the halt could not be stored");
        }
    }

    /// One look at the node and what follows from it. True if there may be more to do at once.
    async fn turn(&mut self, stop: &CancellationToken) -> Result<bool, IndexerError> {
        if self.outdated {
            (self.watched, self.late) = store::watched(&self.setup.pool, self.setup.chain.chain_id).await?;
            self.outdated = false;
        }
        let chain = &self.setup.chain;
        let (head, tag) = self.source.tip(chain.finality == Finality::Finalized).await?;
        let (confirmed, finalized) = start::depths(chain, head.number, tag);
        let tip = Tip { head, confirmed, finalized };
        metrics::HEAD.with_label_values(&[&self.label]).set(head.number.cast_signed());
        self.keep_house(head.number).await?;

        if head.number <= self.cursor.block.number {
            let Some(shared) = self.shared(&head).await? else { return self.heal(&tip).await };
            if shared >= self.cursor.finalized {
                self.resume().await?;
            }
            return self.fill_late(&tip).await;
        }
        let Cursor { block, live_from, .. } = self.cursor;
        let view = View { cursor: block.number, head: head.number, confirmed, finalized, live_from };
        match plan(view) {
            Plan::Idle => self.fill_late(&tip).await,
            Plan::Backfill { from, to } => {
                // Ranges by number are only as good as the block they continue.
                if self.source.header(self.cursor.block.number).await?.hash != self.cursor.block.hash {
                    return self.heal(&tip).await;
                }
                self.backfill(from, to, &tip, stop).await?;
                Ok(true)
            }
            Plan::Tail { from, to } => {
                let headers = if from == head.number { vec![head] } else { self.source.headers(from, to).await? };
                match fork::relate(&self.cursor.block, &headers) {
                    Relation::Extends => {
                        let fetched = self.reader().tail(headers, &self.accounts()).await?;
                        self.write(fetched, None, None, &tip).await?;
                        Ok(to < head.number || !self.late.is_empty())
                    }
                    Relation::Forks => self.heal(&tip).await,
                    Relation::Turned => Err(IndexerError::Turned(from)),
                }
            }
        }
    }

    /// The highest stored block at or below the node's head, if the node has it too: then it only lags. `None` if it is
    /// on another branch.
    async fn shared(&self, head: &BlockRef) -> Result<Option<u64>, IndexerError> {
        let stored = store::headers(&self.setup.pool, self.setup.chain.chain_id, 0, head.number, 1).await?;
        // A node that has not come as far as our first block.
        let Some(ours) = stored.first() else { return Ok(Some(0)) };
        let there = if ours.number == head.number { *head } else { self.source.header(ours.number).await? };
        Ok((there.hash == ours.hash).then_some(ours.number))
    }

    /// The node has our final block: whatever had stopped us is over, though there may be nothing new to write.
    async fn resume(&mut self) -> Result<(), IndexerError> {
        if self.cursor.halted {
            store::resume(&self.setup.pool, self.setup.chain.chain_id).await?;
            self.cursor.halted = false;
            metrics::HALTED.with_label_values(&[&self.label]).set(0);
        }
        Ok(())
    }

    fn reader(&self) -> Reader {
        Reader { source: self.source.clone(), watched: self.watched.clone(), live_from: self.cursor.live_from }
    }

    fn accounts(&self) -> Vec<Address> {
        let chain_id = self.setup.chain.chain_id;
        let mut all: Vec<Address> = self.setup.accounts.iter().flat_map(|watch| watch.accounts(chain_id)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Final blocks: while a range is committed the next one is written, and the one after that is read. Ends early where
    /// contracts came to light that the ranges ahead were read without.
    async fn backfill(&mut self, from: u64, to: u64, tip: &Tip, stop: &CancellationToken) -> Result<(), IndexerError> {
        let (send, mut ranges) = mpsc::channel(READ_AHEAD);
        let asked = self.watched.clone();
        let reading = AbortOnDropHandle::new(tokio::spawn(self.reader().prefetch(from, to, self.span, send)));
        let (writer, chain_id, live_from) = (self.writer.clone(), self.setup.chain.chain_id, self.cursor.live_from);
        let mut next = async || {
            let fetched = ranges.recv().await?;
            let ahead = match &fetched {
                Ok(fetched) => writer.ahead(chain_id, &fetched.logs, fetched.to.number > live_from).await,
                Err(_) => None,
            };
            Some((fetched, ahead))
        };
        let mut turn = next().await;
        while let Some((fetched, ahead)) = turn {
            let (written, following) = tokio::join!(self.write(fetched?, ahead, None, tip), next());
            written?;
            turn = following;
            if stop.is_cancelled() || self.watched != asked {
                return Ok(());
            }
            self.keep_house(tip.head.number).await?;
        }
        if let Ok(span) = reading.await {
            self.span = span;
            metrics::SPAN_BLOCKS.with_label_values(&[&self.label]).set(span.blocks().cast_signed());
        }
        Ok(())
    }

    /// The node is on another branch: back to the common ancestor and up again, in one transaction, the new branch in
    /// hand before anything goes.
    async fn heal(&mut self, tip: &Tip) -> Result<bool, IndexerError> {
        let ancestor = self.ancestor(tip.head.number).await?;
        let to = plan::end(ancestor.number + 1, tip.head.number, BRANCH, self.cursor.live_from);
        let branch = self.source.headers(ancestor.number + 1, to).await?;
        if fork::relate(&ancestor, &branch) != Relation::Extends {
            return Err(IndexerError::Turned(ancestor.number + 1));
        }
        let fetched = self.reader().tail(branch, &self.accounts()).await?;
        let fork = Fork {
            chain_id: self.setup.chain.chain_id,
            to: ancestor,
            from: self.cursor.block,
            epoch: self.cursor.reorgs + 1,
        };
        tracing::warn!(
            chain_id = fork.chain_id, depth = fork.depth(), ancestor = ancestor.number, old = %fork.from.hash,
            new = %fetched.to.hash, "the chain turned: going over to its new branch"
        );
        self.write(fetched, None, Some(fork), tip).await?;
        Ok(true)
    }

    /// The highest stored block that the node has as well. Final blocks are never given up.
    async fn ancestor(&self, head: u64) -> Result<BlockRef, IndexerError> {
        let (pool, chain_id) = (&self.setup.pool, self.setup.chain.chain_id);
        let lowest = self.cursor.finalized.min(self.cursor.block.number);
        let mut top = self.cursor.block.number.min(head);
        loop {
            let stored = store::headers(pool, chain_id, lowest, top, STEP_DOWN).await?;
            let numbers: Vec<u64> = stored.iter().map(|block| block.number).collect();
            let node = self.source.headers_at(&numbers).await?;
            if let Some(ancestor) = fork::ancestor(&stored, &node) {
                return Ok(ancestor);
            }
            match numbers.last() {
                Some(&last) if last > lowest => top = last - 1,
                // Nothing was kept below the first block, so nothing final is lost by starting from there again.
                _ if self.cursor.finalized < self.cursor.start_block => {
                    return Ok(self.source.header(self.cursor.start_block - 1).await?);
                }
                _ => return Err(IndexerError::BelowFinality { finalized: self.cursor.finalized }),
            }
        }
    }

    /// Completes what was read, and commits it, some of it written `ahead`.
    async fn write(
        &mut self,
        mut fetched: Fetched,
        ahead: Option<Ahead>,
        fork: Option<Fork>,
        tip: &Tip,
    ) -> Result<(), IndexerError> {
        // Contracts that only a branch now gone had are still listened to here; they just say nothing.
        let known = self.reader().complete(&mut fetched).await?;
        // What comes to light has logs of its own, and other logs mean something else by it.
        let ahead = ahead.filter(|_| known == self.watched);
        failpoint::hit("indexer.fetched").map_err(sqlx::Error::Io)?;

        let to = fetched.to;
        if to.number - fetched.from >= fetched.blocks.len() as u64 {
            let expiries = self.expiries(&to, &fetched.logs).await?;
            fetched.blocks.extend(expiries.into_iter().filter(|block| block.number != to.number));
        }
        let batch = Batch {
            chain_id: self.setup.chain.chain_id,
            from: fetched.from,
            to,
            blocks: fetched.blocks,
            logs: fetched.logs,
            nonces: fetched.nonces,
            head: tip.head.number.max(to.number),
            confirmed: tip.confirmed.min(to.number),
            finalized: self.cursor.finalized.max(tip.finalized.min(to.number)).min(to.number),
            live: to.number > self.cursor.live_from,
            epoch: self.cursor.reorgs + u64::from(fork.is_some()),
        };
        self.outdated |= fork.is_some();
        self.writer.commit(ahead, &self.cursor, fork.as_ref(), &batch, &Move::Forward).await?;
        self.cursor.block = to;
        self.cursor.finalized = batch.finalized;
        self.cursor.reorgs = batch.epoch;
        self.cursor.halted = false;
        self.watched = known;
        self.show(&batch, tip);
        Ok(())
    }

    /// The blocks above the cursor and up to `to` from which holds no longer bind: those that stand, and those of
    /// `logs`.
    async fn expiries(&self, to: &BlockRef, logs: &[ChainLog]) -> Result<Vec<BlockRef>, IndexerError> {
        let (pool, from) = (&self.setup.pool, &self.cursor.block);
        let standing = store::expiring(pool, self.setup.chain.chain_id, from.timestamp, to.timestamp).await?;
        let times = standing.into_iter().chain(expiry::times(logs)).collect();
        Ok(expiry::first_blocks(&self.source, from, to, &times).await?)
    }

    /// Once a second: is the lock still ours, and do the other rooms know that the node answers?
    async fn keep_house(&mut self, head: u64) -> Result<(), IndexerError> {
        if self.kept_house.elapsed() < HOUSEKEEPING {
            return Ok(());
        }
        self.kept_house = Instant::now();
        self.lock.check().await?;
        Ok(store::polled(&self.setup.pool, self.setup.chain.chain_id, head).await?)
    }

    fn show(&self, batch: &Batch, tip: &Tip) {
        let set = |gauge: &prometheus::IntGaugeVec, value: u64| {
            gauge.with_label_values(&[&self.label]).set(value.cast_signed());
        };
        set(&metrics::INDEXED, batch.to.number);
        set(&metrics::CONFIRMED, batch.confirmed);
        set(&metrics::FINALIZED, batch.finalized);
        set(&metrics::HALTED, 0);
        set(&metrics::LAG_SECONDS, tip.head.timestamp.saturating_sub(batch.to.timestamp));
        tracing::debug!(
            chain_id = batch.chain_id,
            from = batch.from,
            to = batch.to.number,
            logs = batch.logs.len(),
            "committed"
        );
    }
}
