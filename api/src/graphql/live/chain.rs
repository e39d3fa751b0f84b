//! Transfers, holdings and status, from the chain's tables.
//!
//! What was told of blocks that are not final yet is kept, so that it can be taken back.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use alloy::primitives::Address;
use time::OffsetDateTime;
use tokenx_indexer::read;
use tokenx_indexer::read::pages::{self, EventFilter, EventKey, EventKind, EventRow, HoldingRow, Window};
use tokio::sync::broadcast::Sender;

use super::{BATCH, EventNews, QUEUE, Tail, Turn, follow};
use crate::app::App;

/// What subscribers are told of.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    pub(super) transfers: Sender<EventNews>,
    pub(super) holdings: Sender<HoldingRow>,
    pub(super) status: Sender<()>,
}

struct Chain {
    app: App,
    topics: Topics,
    /// Everything up to this place has been told; `None` before the chain was ever read.
    told: Option<EventKey>,
    /// The newest reorg that has been told.
    reorg: i64,
    /// Transfers of blocks that may still go, in order.
    transfers: VecDeque<Arc<EventRow>>,
    /// Block, token and wallet of whatever else changed holdings in such blocks, in order.
    bound: VecDeque<(u64, Address, Address)>,
    /// The monitor's last pass that has been told.
    status: Option<OffsetDateTime>,
}

/// Reads on from the indexed head. What is not final below it counts as told: a reorg takes it back like the rest.
pub(super) async fn begin(app: &App) -> Result<Topics, sqlx::Error> {
    let topics = Topics { transfers: Sender::new(QUEUE), holdings: Sender::new(QUEUE), status: Sender::new(QUEUE) };
    let newest = read::reorgs_after(app.pool(), app.chain_id(), 0).await?;
    let mut chain = Chain {
        app: app.clone(),
        topics: topics.clone(),
        told: None,
        reorg: newest.map_or(0, |(newest, _)| newest),
        transfers: VecDeque::new(),
        bound: VecDeque::new(),
        status: None,
    };
    // Nobody listens yet.
    while chain.read().await? {}
    follow(app, chain);
    Ok(topics)
}

impl Tail for Chain {
    const WHAT: &'static str = "the chain's tables";

    async fn read(&mut self) -> Result<bool, sqlx::Error> {
        let chain_id = self.app.chain_id();
        let mut tx = tokenx_migrations::begin_snapshot(self.app.pool()).await?;
        let Some(cursor) = read::cursor(&mut *tx, chain_id).await? else { return Ok(false) };
        let reorg = read::reorgs_after(&mut *tx, chain_id, self.reorg).await?;
        let told = self.told.unwrap_or((cursor.finalized, u64::MAX));
        let from = reorg.map_or(told, |(_, ancestor)| told.min((ancestor, u64::MAX)));

        let filter = EventFilter { chain_id, ..Default::default() };
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let window = Window { above: Some(from), below: None, descending: false, limit };
        let rows = pages::event_page(&mut *tx, EventKind::Transfer, &filter, &window).await?;
        let last = rows.last().map(EventRow::key).filter(|_| rows.len() == BATCH);
        let to = last.unwrap_or((cursor.number, u64::MAX));
        let bound = read::bound_after(&mut *tx, chain_id, from, to).await?;

        let gone = |block: u64| block > from.0;
        let lost = self.transfers.iter().filter(|row| gone(row.block_number));
        let moved =
            rows.iter().chain(lost.map(Arc::as_ref)).flat_map(|row| [(row.token, row.from), (row.token, row.to)]);
        let freed = self.bound.iter().filter(|(block, ..)| gone(*block));
        let changed: BTreeSet<_> =
            moved.chain(bound.iter().chain(freed).map(|(_, token, wallet)| (*token, *wallet))).collect();
        let holdings = if changed.is_empty() || self.topics.holdings.receiver_count() == 0 {
            Vec::new()
        } else {
            let accounts: Vec<_> = changed.into_iter().collect();
            pages::holdings_of_accounts(&mut *tx, chain_id, &accounts).await?
        };
        let status = read::status_taken(&mut *tx, chain_id).await?;
        tx.commit().await?;

        // Nothing fails from here on: what was read is told once. Nobody listening any more is no fault.
        while let Some(row) = self.transfers.pop_back_if(|row| gone(row.block_number)) {
            let _ = self.topics.transfers.send((Turn::Removed, row));
        }
        for row in rows.into_iter().map(Arc::new) {
            let _ = self.topics.transfers.send((Turn::Added, row.clone()));
            self.transfers.push_back(row);
        }
        for holding in holdings {
            let _ = self.topics.holdings.send(holding);
        }
        if status != self.status {
            let _ = self.topics.status.send(());
        }
        while self.bound.pop_back_if(|(block, ..)| gone(*block)).is_some() {}
        self.bound.extend(bound);
        while self.bound.pop_front_if(|(block, ..)| *block <= cursor.finalized).is_some() {}
        while self.transfers.pop_front_if(|row| row.block_number <= cursor.finalized).is_some() {}
        (self.told, self.status) = (Some(to), status);
        self.reorg = reorg.map_or(self.reorg, |(newest, _)| newest);
        Ok(last.is_some())
    }
}
