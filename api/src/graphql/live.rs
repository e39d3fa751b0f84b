//! News of mints: the outbox's tail, read once a process and handed to its subscribers.
//!
//! A mint is told when its block is indexed, so a reorg may take it back: then it is told again as removed, and after
//! that what the new branch has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use serde::Deserialize;
use tokenx_indexer::read::pages::EventRow;
use tokenx_indexer::read::{self, Instrument, pages};
use tokenx_migrations::Position;
use tokenx_migrations::outbox::{self, Kept};
use tokio::sync::{OnceCell, broadcast};

use crate::app::App;

/// How often the tail is read.
const POLL: Duration = Duration::from_millis(200);
/// Pause after a read that failed.
const RETRY: Duration = Duration::from_secs(1);
/// Events read at once.
const BATCH: i64 = 500;
/// News that wait for one subscriber; one that falls further behind is told so and ends.
const QUEUE: usize = 4_096;

/// What happened to a mint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Its block was indexed.
    Added,
    /// Its block is no longer on the chain.
    Removed,
}

/// One piece of news.
pub(crate) type News = (Turn, Arc<EventRow>);

/// The process's tail of the outbox; begins with the first subscriber.
#[derive(Debug, Default)]
pub(crate) struct Live {
    news: OnceCell<broadcast::Sender<News>>,
}

impl Live {
    /// News from now on.
    ///
    /// # Errors
    /// The database's, where the tail cannot begin.
    pub(crate) async fn subscribe(&self, app: &App) -> Result<broadcast::Receiver<News>, sqlx::Error> {
        let begin = async || {
            let position = outbox::head(app.pool()).await?;
            let sender = broadcast::Sender::new(QUEUE);
            tokio::spawn(Tail { app: app.clone(), position, sender: sender.clone() }.run());
            Ok::<_, sqlx::Error>(sender)
        };
        Ok(self.news.get_or_try_init(begin).await?.subscribe())
    }
}

struct Tail {
    app: App,
    position: Position,
    sender: broadcast::Sender<News>,
}

impl Tail {
    async fn run(mut self) {
        let stop = self.app.stop().clone();
        loop {
            let pause = match self.read().await {
                // A full batch has more behind it.
                Ok(true) => continue,
                Ok(false) => POLL,
                Err(error) => {
                    tracing::warn!(error = %error, "the outbox could not be read: news wait");
                    RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads on; whether there may be more at once.
    async fn read(&mut self) -> Result<bool, sqlx::Error> {
        let events = outbox::read_after(self.app.pool(), self.position, BATCH).await?;
        let Some(last) = events.last() else { return Ok(false) };
        let (position, more) = (last.position, events.len() == usize::try_from(BATCH).unwrap_or(0));
        let chain_id = self.app.chain_id();
        let told: Vec<(Turn, Mint)> = events.into_iter().filter_map(|event| mint(chain_id, event)).collect();
        if !told.is_empty() && self.sender.receiver_count() > 0 {
            let tokens: Vec<Address> = told.iter().map(|(_, mint)| mint.token).collect();
            let wallets: Vec<Address> = told.iter().map(|(_, mint)| mint.wallet).collect();
            let tokens = pages::instruments_of_tokens(self.app.pool(), chain_id, &tokens).await?;
            let investors = read::investors_of_wallets(self.app.pool(), chain_id, &wallets).await?;
            for (turn, mint) in told {
                // Nobody listening any more is no fault.
                let _ = self.sender.send((turn, Arc::new(mint.row(&tokens, &investors))));
            }
        }
        self.position = position;
        Ok(more)
    }
}

/// What the indexer says of a mint.
#[derive(Debug, Deserialize)]
struct Mint {
    chain_id: u64,
    instrument_id: String,
    token: Address,
    decimals: u8,
    wallet: Address,
    amount: String,
    reason: Option<B256>,
    operator: Option<Address>,
    command_key: Option<B256>,
    block_number: u64,
    block_time: u64,
    log_index: u64,
    tx_hash: B256,
}

impl Mint {
    fn row(self, tokens: &HashMap<Address, Instrument>, investors: &HashMap<Address, u64>) -> EventRow {
        EventRow {
            executor: tokens.get(&self.token).and_then(|token| token.executor),
            instrument_id: self.instrument_id,
            token: self.token,
            decimals: self.decimals,
            block_number: self.block_number,
            log_index: self.log_index,
            block_time: self.block_time,
            tx_hash: self.tx_hash,
            from: Address::ZERO,
            to: self.wallet,
            from_investor: None,
            to_investor: investors.get(&self.wallet).copied(),
            // The indexer writes nothing but digits of a uint256.
            amount: U256::from_str_radix(&self.amount, 10).unwrap_or_default(),
            forced: false,
            reason: self.reason,
            operator: self.operator,
            command_key: self.command_key,
        }
    }
}

/// The mint that an event is about, if it is about one of this chain.
fn mint(chain_id: u64, event: Kept) -> Option<(Turn, Mint)> {
    let turn = match event.kind.as_str() {
        "mint" => Turn::Added,
        "mint.removed" => Turn::Removed,
        _ => return None,
    };
    match serde_json::from_value::<Mint>(event.payload) {
        Ok(mint) => (mint.chain_id == chain_id).then_some((turn, mint)),
        Err(error) => {
            let position = event.position;
            tracing::error!(%position, error = %error, "an event is not what its kind says: it is passed over");
            None
        }
    }
}
