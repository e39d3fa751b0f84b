//! The root of subscriptions.

use std::sync::Arc;

use alloy::primitives::Address;
use async_graphql::{Context, Enum, InputObject, SimpleObject, Subscription};
use futures::{Stream, stream};
use tokenx_indexer::read::pages::EventRow;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::access::Access;
use super::fault::{Code, Fault};
use super::live::{News, Turn};
use super::reader::{Bounds, Reader};
use super::scalars::Addr;
use super::types::event::{Face, Mint};
use super::types::{addresses, one_of};
use crate::app::App;

/// News, over `graphql-transport-ws`.
pub(super) struct Subscriptions;

/// What happened to a mint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum NewMintKind {
    /// Its block was indexed.
    Added,
    /// A reorg took its block off the chain: forget it. What the chain has instead follows.
    Removed,
}

impl From<Turn> for NewMintKind {
    fn from(turn: Turn) -> NewMintKind {
        match turn {
            Turn::Added => NewMintKind::Added,
            Turn::Removed => NewMintKind::Removed,
        }
    }
}

/// News of a mint.
#[derive(SimpleObject)]
pub(super) struct NewMint {
    /// What happened to it.
    kind: NewMintKind,
    /// The mint.
    mint: Mint,
}

/// Whose mints. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(super) struct NewMintFilter {
    /// The instrument's id.
    instrument_id: Option<String>,
    #[graphql(name = "instrumentId_in")]
    instrument_id_in: Option<Vec<String>>,
    /// The token's address.
    token: Option<Addr>,
    #[graphql(name = "token_in")]
    token_in: Option<Vec<Addr>>,
    /// The wallet that receives.
    wallet: Option<Addr>,
    #[graphql(name = "wallet_in")]
    wallet_in: Option<Vec<Addr>>,
    /// The party behind it. Only parties that you may see.
    party: Option<String>,
}

/// The filter, looked up.
struct Wanted {
    instruments: Option<Vec<String>>,
    tokens: Option<Vec<Address>>,
    wallets: Option<Vec<Address>>,
    bounds: Bounds,
}

impl Wanted {
    fn has(&self, row: &EventRow) -> bool {
        self.instruments.as_ref().is_none_or(|ids| ids.contains(&row.instrument_id))
            && self.tokens.as_ref().is_none_or(|tokens| tokens.contains(&row.token))
            && self.wallets.as_ref().is_none_or(|wallets| wallets.contains(&row.to))
            && self.bounds.investor.is_none_or(|investor| row.to_investor == Some(investor))
            && self.bounds.executors.as_ref().is_none_or(|own| row.executor.is_some_and(|of| own.contains(&of)))
    }
}

#[Subscription(use_type_description = false)]
impl Subscriptions {
    /// Mints from now on, as their blocks are indexed; one of the moments before may come, too. A mint that a reorg
    /// takes back comes again as `REMOVED`, also where it was minted before the subscription.
    async fn new_mint(
        &self,
        ctx: &Context<'_>,
        filter: Option<NewMintFilter>,
    ) -> Result<impl Stream<Item = Result<NewMint, Fault>>, Fault> {
        let absent = || Fault::internal("a subscription without its asker");
        let app = ctx.data_opt::<App>().ok_or_else(absent)?.clone();
        let access = ctx.data_opt::<Access>().ok_or_else(absent)?.clone();
        let filter = filter.unwrap_or_default();
        let wanted = Arc::new(Wanted {
            instruments: one_of(filter.instrument_id, filter.instrument_id_in),
            tokens: addresses(filter.token, filter.token_in),
            wallets: addresses(filter.wallet, filter.wallet_in),
            bounds: Reader::new(&app, access.clone()).bounds(filter.party.as_deref()).await?,
        });
        let news = app.live().subscribe(&app).await?;
        Ok(stream::unfold(Some(news), move |news| {
            let (app, access, wanted) = (app.clone(), access.clone(), wanted.clone());
            async move {
                let (item, news) = next(news?, &wanted).await?;
                // Each piece of news is read for as of its own moment.
                let told = |(turn, row): News| NewMint {
                    kind: turn.into(),
                    mint: Mint::of(Reader::new(&app, access), Arc::unwrap_or_clone(row)),
                };
                Some((item.map(told), news))
            }
        }))
    }
}

type Item = Result<News, Fault>;

/// The next piece of news that is wanted; after an error there is none.
async fn next(mut news: Receiver<News>, wanted: &Wanted) -> Option<(Item, Option<Receiver<News>>)> {
    loop {
        let (turn, row) = match news.recv().await {
            Ok(told) => told,
            Err(RecvError::Closed) => return None,
            Err(RecvError::Lagged(missed)) => {
                let message = format!("{missed} pieces of news were missed: query what you need and subscribe again");
                return Some((Err(Fault::new(Code::TooSlow, message)), None));
            }
        };
        if wanted.has(&row) {
            return Some((Ok((turn, row)), Some(news)));
        }
    }
}
