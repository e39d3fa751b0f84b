//! The root of queries.

use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Object};
use tokenx_indexer::read::pages::{EventKind, TokenKey};

use super::cursor::{Cursor, HoldingOrder, Order, Page};
use super::fault::Fault;
use super::limits::rows;
use super::loaders::{InstrumentOf, TokenAt};
use super::reader::Reader;
use super::scalars::Addr;
use super::types::command::{self, Command, CommandFilter};
use super::types::deal::{self, Deal, DealFilter};
use super::types::event::{
    self, Burn, BurnFilter, EventConnection, Freeze, FreezeFilter, Mint, MintFilter, Recovery, RecoveryFilter,
    Transfer, TransferFilter,
};
use super::types::holding::{self, HoldingConnection, HoldingFilter};
use super::types::meta::Meta;
use super::types::offering::{self, OfferingConnection, OfferingFilter};
use super::types::order::{self, OrderFilter};
use super::types::redemption::{self, RedemptionConnection, RedemptionFilter};
use super::types::rent::{self, Rent};
use super::types::status::{self, Status};
use super::types::subscription::{self, SubscriptionConnection, SubscriptionFilter};
use super::types::token::{self, Token, TokenFilter};
use super::types::total::Total;
use super::types::trade::{self, Trade};
use crate::offerings::view::Offering;
use crate::policy::Operation;
use crate::portfolio::view::{self as portfolio, Portfolio};

/// Securities on chain: tokens, who holds them, and what happened to them, as of the indexed head.
///
/// Chain facts by address are public; who is behind an address shows by the role of the bearer token sent with the
/// request. There are no mutations: what writes goes through the REST routes, whose command ids make a retry safe.
pub(super) struct Query;

fn reader<'a>(ctx: &Context<'a>) -> Result<&'a Arc<Reader>, Fault> {
    ctx.data_opt::<Arc<Reader>>().ok_or_else(|| Fault::internal("a query without a reader"))
}

#[Object(use_type_description = false)]
impl Query {
    /// What this answer is as of.
    #[graphql(name = "_meta")]
    async fn meta(&self, ctx: &Context<'_>) -> Result<Meta, Fault> {
        reader(ctx)?.cursor().await.cloned().map(Meta::from)
    }

    /// One token, by its address or its instrument id; null where there is none.
    async fn token(
        &self,
        ctx: &Context<'_>,
        address: Option<Addr>,
        instrument_id: Option<String>,
    ) -> Result<Option<Token>, Fault> {
        let reader = reader(ctx)?;
        let row = match (address, instrument_id) {
            (Some(address), None) => reader.load(TokenAt(address.0)).await?,
            (None, Some(id)) => reader.load(InstrumentOf(id)).await?,
            _ => return Err(Fault::bad_input("token: send either address or instrumentId")),
        };
        Ok(row.map(|row| Token::new(reader.clone(), row)))
    }

    /// Tokens, oldest first. Every list gives 50 rows unless asked otherwise, and 500 at most.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn tokens(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<TokenFilter>,
        #[graphql(default_with = "Order::OldestFirst")] order: Order,
    ) -> Result<Option<Connection<Cursor<TokenKey>, Token, Total>>, Fault> {
        token::connection(reader(ctx)?, Page { first, after, last, before }, order, filter).await.map(Some)
    }

    /// Holdings above zero, by token and wallet unless asked otherwise. As of a past block they are what the contracts
    /// would have said then.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn holdings(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<HoldingFilter>,
        #[graphql(default_with = "HoldingOrder::ByWallet")] order: HoldingOrder,
        as_of_block: Option<u64>,
    ) -> Result<Option<HoldingConnection>, Fault> {
        let page = Page { first, after, last, before };
        holding::connection(reader(ctx)?, None, page, order, filter, as_of_block).await.map(Some)
    }

    /// Mints, newest first.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn mints(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<MintFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<EventConnection<Mint>>, Fault> {
        let page = Page { first, after, last, before };
        event::connection(reader(ctx)?, EventKind::Mint, None, page, order, filter).await.map(Some)
    }

    /// Burns, forced ones included, newest first.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn burns(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<BurnFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<EventConnection<Burn>>, Fault> {
        let page = Page { first, after, last, before };
        event::connection(reader(ctx)?, EventKind::Burn, None, page, order, filter).await.map(Some)
    }

    /// Transfers, mints and burns among them, newest first.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn transfers(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<TransferFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<EventConnection<Transfer>>, Fault> {
        let page = Page { first, after, last, before };
        event::connection(reader(ctx)?, EventKind::Transfer, None, page, order, filter).await.map(Some)
    }

    /// Changes of what is frozen, newest first.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn freezes(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<FreezeFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<EventConnection<Freeze>>, Fault> {
        let page = Page { first, after, last, before };
        event::connection(reader(ctx)?, EventKind::Freeze, None, page, order, filter).await.map(Some)
    }

    /// Recoveries of lost wallets, newest first.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn recoveries(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<RecoveryFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<EventConnection<Recovery>>, Fault> {
        let page = Page { first, after, last, before };
        event::connection(reader(ctx)?, EventKind::Recovery, None, page, order, filter).await.map(Some)
    }

    /// Commands, newest first, for whom `GET /api/admin/commands/{command_id}` answers.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn commands(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<CommandFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<Connection<Cursor<i64>, Command, Total>>, Fault> {
        command::connection(reader(ctx)?, Page { first, after, last, before }, order, filter).await.map(Some)
    }

    /// The asker's own orders, newest first, for whom `GET /ats/orders` answers.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<OrderFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<Connection<Cursor<i64>, order::Order, Total>>, Fault> {
        order::connection(reader(ctx)?, Page { first, after, last, before }, order, filter).await.map(Some)
    }

    /// What was traded of an offering's instrument, newest first; null where the asker does not see the offering.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn trades(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        offering_id: ID,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<Connection<Cursor<i64>, Trade, Total>>, Fault> {
        trade::connection(reader(ctx)?, Page { first, after, last, before }, order, &offering_id).await
    }

    /// The asker's own OTC deals, newest first, for whom `GET /otc/deals` answers.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn deals(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<DealFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<Connection<Cursor<i64>, Deal, Total>>, Fault> {
        deal::connection(reader(ctx)?, Page { first, after, last, before }, order, filter).await.map(Some)
    }

    /// One offering, for whom `GET /offerings/{offering_id}` shows it; null for others.
    async fn offering(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Offering>, Fault> {
        offering::one(reader(ctx)?, &id).await
    }

    /// Offerings that the asker sees, newest first: the ones of `GET /offerings`.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn offerings(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<OfferingFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<OfferingConnection>, Fault> {
        offering::connection(reader(ctx)?, Page { first, after, last, before }, order, filter).await.map(Some)
    }

    /// Subscriptions, newest first: an investor's own, or an offering's for its issuer and staff; null where the asker may not
    /// know of that offering.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn subscriptions(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<SubscriptionFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<SubscriptionConnection>, Fault> {
        subscription::connection(reader(ctx)?, Page { first, after, last, before }, order, filter).await
    }

    /// Redemptions, newest first: an investor's own, or all for whoever decides on them.
    #[graphql(complexity = "rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn redemptions(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<RedemptionFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Option<RedemptionConnection>, Fault> {
        redemption::connection(reader(ctx)?, Page { first, after, last, before }, order, filter).await.map(Some)
    }

    /// A token's rent, for whom `GET /v2/admin/token/{token_id}/rent` shows it; null for others.
    async fn rent(&self, ctx: &Context<'_>, token_id: ID) -> Result<Option<Rent>, Fault> {
        rent::one(reader(ctx)?, &token_id).await
    }

    /// What the asking investor has in all its wallets, what that is worth and cost, and what it has brought.
    async fn portfolio(&self, ctx: &Context<'_>) -> Result<Option<Portfolio>, Fault> {
        let reader = reader(ctx)?;
        let viewer = reader.access().may(Operation::GetPortfolio)?;
        let mut conn = reader.conn().await?;
        Ok(Some(Box::pin(portfolio::of(reader.app(), &mut conn, viewer)).await?))
    }

    /// Figures of each instrument as of the confirmed block, for whom `GET /status` answers; null before the
    /// monitor's first pass.
    async fn status(&self, ctx: &Context<'_>) -> Result<Option<Status>, Fault> {
        let reader = reader(ctx)?;
        reader.access().may(Operation::GetStatus)?;
        status::latest(reader).await
    }
}
