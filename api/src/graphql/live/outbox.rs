//! Mints and commands, from the outbox.

use std::collections::HashMap;
use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use serde::Deserialize;
use tokenx_indexer::read::pages::{EventRow, Window};
use tokenx_indexer::read::{self, Instrument, pages};
use tokenx_keeper::CommandFilter;
use tokenx_migrations::Position;
use tokenx_migrations::outbox::{self, Kept};
use tokio::sync::broadcast::Sender;

use super::{BATCH, CommandNews, EventNews, QUEUE, Tail, Turn, follow};
use crate::app::App;

/// What subscribers are told of.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    pub(super) mints: Sender<EventNews>,
    pub(super) commands: Sender<CommandNews>,
}

struct Outbox {
    app: App,
    position: Position,
    topics: Topics,
}

/// Reads on from the newest event there is.
pub(super) async fn begin(app: &App) -> Result<Topics, sqlx::Error> {
    let topics = Topics { mints: Sender::new(QUEUE), commands: Sender::new(QUEUE) };
    let position = outbox::head(app.pool()).await?;
    follow(app, Outbox { app: app.clone(), position, topics: topics.clone() });
    Ok(topics)
}

impl Tail for Outbox {
    const WHAT: &'static str = "the outbox";

    async fn read(&mut self) -> Result<bool, sqlx::Error> {
        let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
        let events = outbox::read_after(self.app.pool(), self.position, limit).await?;
        let Some(last) = events.last() else { return Ok(false) };
        let (position, more) = (last.position, events.len() == BATCH);
        if self.topics.commands.receiver_count() > 0 {
            self.tell_commands(&events).await?;
        }
        if self.topics.mints.receiver_count() > 0 {
            self.tell_mints(events).await?;
        }
        self.position = position;
        Ok(more)
    }
}

impl Outbox {
    async fn tell_mints(&self, events: Vec<Kept>) -> Result<(), sqlx::Error> {
        let chain_id = self.app.chain_id();
        let told: Vec<(Turn, Mint)> = events.into_iter().filter_map(|event| mint(chain_id, event)).collect();
        if told.is_empty() {
            return Ok(());
        }
        let tokens: Vec<Address> = told.iter().map(|(_, mint)| mint.token).collect();
        let wallets: Vec<Address> = told.iter().map(|(_, mint)| mint.wallet).collect();
        let tokens = pages::instruments_of_tokens(self.app.pool(), chain_id, &tokens).await?;
        let investors = read::investors_of_wallets(self.app.pool(), chain_id, &wallets).await?;
        for (turn, mint) in told {
            // Nobody listening any more is no fault.
            let _ = self.topics.mints.send((turn, Arc::new(mint.row(&tokens, &investors))));
        }
        Ok(())
    }

    async fn tell_commands(&self, events: &[Kept]) -> Result<(), sqlx::Error> {
        let told: Vec<(i64, &str)> = events.iter().filter_map(command).collect();
        let (Some(first), Some(last)) = (told.iter().map(|t| t.0).min(), told.iter().map(|t| t.0).max()) else {
            return Ok(());
        };
        let seqs = told.iter().map(|(seq, _)| *seq).collect();
        let filter = CommandFilter { seqs: Some(seqs), ..Default::default() };
        let window = Window { above: Some(first - 1), below: Some(last + 1), descending: false, limit: i64::MAX };
        let views = tokenx_keeper::command_page(self.app.pool(), &filter, &window).await?;
        let views: HashMap<i64, _> = views.into_iter().map(|view| (view.seq, view)).collect();
        for (seq, state) in told {
            let Some(view) = views.get(&seq) else { continue };
            let _ = self.topics.commands.send((state.to_owned(), view.clone()));
        }
        Ok(())
    }
}

/// The command that an event is about, and the state that it entered.
fn command(event: &Kept) -> Option<(i64, &str)> {
    let seq = event.subject.strip_prefix("command:")?.parse().ok()?;
    Some((seq, event.payload.get("state")?.as_str()?))
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
            address_frozen: None,
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
