//! `totalCount`: a field like any other, so it counts only when it is asked for.

use std::sync::Arc;

use alloy::primitives::Address;
use async_graphql::Object;
use tokenx_indexer::read::node::count_rent_periods;
use tokenx_indexer::read::pages::{self, EventFilter, EventKey, EventKind, HoldingFilter, TokenFilter, Window};
use tokenx_keeper::CommandFilter;

use super::{deal, order, trade};
use crate::graphql::fault::Fault;
use crate::graphql::loaders::{EventCount, HolderCount, HoldingCount};
use crate::graphql::reader::Reader;
use crate::offerings::record as offerings;
use crate::redemptions::record as redemptions;
use crate::subscriptions::record as subscriptions;

/// A list's rows, to be counted.
pub(in crate::graphql) struct Total {
    pub(in crate::graphql) reader: Arc<Reader>,
    pub(in crate::graphql) of: Counted,
}

/// Which list.
pub(in crate::graphql) enum Counted {
    Tokens(TokenFilter),
    Holdings(HoldingFilter),
    HoldingsOf(HoldingCount),
    HoldersOf(HolderCount),
    Events(EventKind, Box<EventFilter>, Window<EventKey>),
    EventsOf(EventCount),
    Commands(CommandFilter),
    Orders(order::Which),
    Trades(String),
    Deals(deal::Which),
    Offerings(offerings::Filter),
    Subscriptions(subscriptions::Filter),
    Redemptions(redemptions::Filter),
    RentPeriods(Address),
}

#[Object]
impl Total {
    /// All rows that match, whatever the page. Counted when asked for.
    async fn total_count(&self) -> Result<i64, Fault> {
        let (reader, of) = (&self.reader, &self.of);
        Ok(match of {
            Counted::Tokens(filter) => pages::count_tokens(&mut *reader.conn().await?, filter).await?,
            Counted::Holdings(filter) => pages::count_holdings(&mut *reader.conn().await?, filter).await?,
            Counted::HoldingsOf(key) => reader.load(key.clone()).await?.unwrap_or_default(),
            Counted::HoldersOf(key) => reader.load(key.clone()).await?.unwrap_or_default(),
            Counted::Events(kind, filter, window) => {
                pages::count_events(&mut *reader.conn().await?, *kind, filter, window).await?
            }
            Counted::EventsOf(key) => reader.load(key.clone()).await?.unwrap_or_default(),
            Counted::Orders(which) => order::count(&mut *reader.conn().await?, which).await?,
            Counted::Trades(instrument) => trade::count(&mut *reader.conn().await?, instrument).await?,
            Counted::Deals(which) => deal::count(&mut *reader.conn().await?, which).await?,
            Counted::Offerings(filter) => offerings::count(&mut *reader.conn().await?, filter).await?,
            Counted::Subscriptions(filter) => subscriptions::count(&mut *reader.conn().await?, filter).await?,
            Counted::Redemptions(filter) => {
                redemptions::count(&mut *reader.conn().await?, reader.chain_id(), filter).await?
            }
            Counted::RentPeriods(token) => {
                count_rent_periods(&mut *reader.conn().await?, reader.chain_id(), *token).await?
            }
            Counted::Commands(filter) => tokenx_keeper::count_commands(&mut *reader.conn().await?, filter).await?,
        })
    }
}
