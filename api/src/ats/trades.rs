//! `GET /ats/orderbook/{offering_id}` and `GET /ats/trades`: what is bid and asked, and what was traded, for whoever sees the
//! offering. Nobody is named.

use alloy::primitives::B256;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use tokenx_contracts::amount::Amount;
use tokenx_indexer::read;
use tokenx_keeper::{State as CommandState, Verdict};
use tokenx_migrations::{Uint256, Word};
use utoipa::ToSchema;
use uuid::Uuid;

use super::market::{Market, seconds};
use super::names::Does;
use super::signed::Clock;
use super::view::{decimals, read_cursor, write_cursor};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::http::query::Query;
use crate::investors::wallets::PAGE;
use crate::offerings::record::{self as offerings, Record as Offering};
use crate::offerings::routes::{offering_id, seen};
use crate::tokens::details::timestamp;
use crate::tokens::record as tokens;

/// The depth of a book.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderBook {
    offering_id: Uuid,
    instrument_id: String,
    /// What is paid with; null before the market has terms.
    #[schema(required)]
    currency: Option<String>,
    /// Whether orders are taken and matched now.
    open: bool,
    /// Why not; null while it is open.
    #[schema(required)]
    reason_code: Option<&'static str>,
    /// Price of the last trade; null before the first.
    #[schema(required)]
    last_price: Option<String>,
    /// The best one first: the highest price that somebody pays.
    bids: Vec<Level>,
    /// The best one first: the lowest price that somebody takes.
    asks: Vec<Level>,
}

/// All orders at one price.
#[derive(Debug, Serialize, ToSchema)]
pub struct Level {
    /// For a whole token.
    #[schema(schema_with = crate::openapi::amount_out)]
    price: Amount,
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::amount_out)]
    quantity: Amount,
    /// How many.
    orders: i64,
}

/// What two orders have traded.
#[derive(Debug, Serialize, ToSchema)]
pub struct TradeView {
    id: Uuid,
    instrument_id: String,
    /// For a whole token: the price of the order that was there first.
    #[schema(schema_with = crate::openapi::amount_out)]
    price: Amount,
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::amount_out)]
    quantity: Amount,
    /// What they are worth, rounded against the order that came second.
    #[schema(schema_with = crate::openapi::amount_out)]
    cost: Amount,
    /// What is paid with.
    currency: String,
    /// What the order did that came second: buy or sell.
    taker_side: &'static str,
    #[schema(format = DateTime)]
    matched_at: String,
    settlement: Settlement,
}

/// How far a trade has come on chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct Settlement {
    /// pending: it was not asked for yet; else its command's state: accepted, ready, prepared, broadcast, mined, confirmed,
    /// final, failed, expired, cancelled.
    pub(crate) state: &'static str,
    /// Whether the chain has moved tokens and money.
    pub(crate) settled: bool,
    /// Why it came to nothing.
    #[schema(required)]
    pub(crate) reason_code: Option<String>,
    /// The transaction that settled it.
    #[schema(required)]
    transaction_hash: Option<String>,
    /// Its block.
    #[schema(required)]
    block_number: Option<i64>,
}

/// A page of trades.
#[derive(Debug, Serialize, ToSchema)]
pub struct TradePage {
    items: Vec<TradeView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A trade with what its command says.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs, reason = "as the view's columns, which say it")]
pub struct Trade {
    pub trade_id: Uuid,
    pub place: i64,
    pub instrument_id: String,
    pub sell_order: Uuid,
    pub buy_order: Uuid,
    pub quantity: Uint256,
    pub price: Uint256,
    pub cost: Uint256,
    pub buy_rests: bool,
    pub matched_at: OffsetDateTime,
    #[sqlx(flatten)]
    pub progress: Progress,
    pub decimals: i16,
    pub payment_decimals: i16,
    pub payment_symbol: String,
}

/// What a settlement's command says of it.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs, reason = "as the views' columns, which say it")]
pub struct Progress {
    pub refusal_code: Option<String>,
    pub state: Option<String>,
    pub verdict: Option<String>,
    pub is_settled: bool,
    pub tx_hash: Option<Word>,
    pub block_number: Option<i64>,
    pub reason_code: Option<String>,
}

impl Progress {
    /// How far it has come.
    pub fn settlement(&self) -> Settlement {
        let verdict = self.verdict.as_deref().and_then(Verdict::parse);
        let state = self.state.as_deref().and_then(|state| CommandState::parse(state, verdict));
        let name = match (&self.refusal_code, state) {
            (Some(_), _) => CommandState::Failed.name(),
            (None, Some(state)) => state.name(),
            (None, None) => "pending",
        };
        let settled = self.is_settled;
        Settlement {
            state: name,
            settled,
            reason_code: self.reason_code.clone().filter(|_| !settled),
            transaction_hash: self.transaction().map(|hash| hash.to_string()),
            block_number: self.block_number.filter(|_| settled),
        }
    }

    /// The transaction that has settled it.
    pub fn transaction(&self) -> Option<B256> {
        self.tx_hash.filter(|_| self.is_settled).map(|hash| hash.0)
    }
}

impl From<&Trade> for TradeView {
    fn from(trade: &Trade) -> TradeView {
        let money = decimals(trade.payment_decimals);
        TradeView {
            id: trade.trade_id,
            instrument_id: trade.instrument_id.clone(),
            price: Amount::new(trade.price.0, money),
            quantity: Amount::new(trade.quantity.0, decimals(trade.decimals)),
            cost: Amount::new(trade.cost.0, money),
            currency: trade.payment_symbol.clone(),
            taker_side: if trade.buy_rests { "sell" } else { "buy" },
            matched_at: timestamp(trade.matched_at),
            settlement: trade.progress.settlement(),
        }
    }
}

/// What is bid and asked for an offering's instrument, by price.
#[utoipa::path(
    get,
    path = "/ats/orderbook/{offering_id}",
    params(
        ("offering_id" = Uuid, Path, description = "The offering"),
        ("depth" = Option<u64>, Query, description = "Prices on each side, 50 unless given", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "The best prices first", body = OrderBook))
)]
pub(crate) async fn orderbook(
    Extract(app): Extract<App>,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    mut query: Query,
) -> Result<Json<OrderBook>, ApiError> {
    let id = offering_id(id)?;
    let depth = query.integer("depth", 50, 1..=1_000);
    query.finish()?;
    let mut tx = read::snapshot(app.pool()).await?;
    let found = offerings::find(&mut *tx, id).await?;
    let offering = seen(&mut tx, &viewer, found).await?;
    let token = tokens::of_ids(&mut *tx, &[&offering.token_id]).await?.into_iter().next();
    let token = token.ok_or_else(|| ApiError::internal("an offering of no token"))?;
    let clock = Clock::read(&app, &mut tx, seconds(OffsetDateTime::now_utc())).await?;
    let market = Market::of(&app, &mut tx, &token, clock.stand).await?;
    let closed = match &market {
        Ok(market) => market.is_open(clock.now).err(),
        Err(closed) => Some(closed.clone()),
    };
    let last: Option<Uint256> = sqlx::query_scalar("SELECT last_price FROM books WHERE instrument_id = $1")
        .bind(&offering.instrument_id)
        .fetch_optional(&mut *tx)
        .await?
        .flatten();
    let money = market.as_ref().map_or(token.draft.token_price.currency.decimals, |market| market.currency.decimals);
    let scale = (token.draft.decimals, money);
    let bids = levels(&mut tx, &offering.instrument_id, Does::Buy, depth.cast_signed(), scale).await?;
    let asks = levels(&mut tx, &offering.instrument_id, Does::Sell, depth.cast_signed(), scale).await?;
    Ok(Json(OrderBook {
        offering_id: offering.offering_id,
        instrument_id: offering.instrument_id,
        currency: market.as_ref().ok().map(|market| market.currency.symbol.clone()),
        open: closed.is_none(),
        reason_code: closed.map(|closed| closed.code.as_str()),
        last_price: last.map(|last| Amount::new(last.0, money).to_string()),
        bids,
        asks,
    }))
}

async fn levels(
    conn: &mut PgConnection,
    instrument_id: &str,
    side: Does,
    depth: i64,
    (decimals, money): (u8, u8),
) -> Result<Vec<Level>, sqlx::Error> {
    let rows: Vec<(Uint256, Uint256, i64)> = sqlx::query_as(match side {
        Does::Buy => {
            "SELECT limit_price::numeric, sum(quantity::numeric - filled::numeric), count(*)
               FROM orders
              WHERE instrument_id = $1 AND state = 'open' AND side = 'buy'
              GROUP BY limit_price
              ORDER BY limit_price DESC
              LIMIT $2"
        }
        Does::Sell => {
            "SELECT limit_price::numeric, sum(quantity::numeric - filled::numeric), count(*)
               FROM orders
              WHERE instrument_id = $1 AND state = 'open' AND side = 'sell'
              GROUP BY limit_price
              ORDER BY limit_price
              LIMIT $2"
        }
    })
    .bind(instrument_id)
    .bind(depth)
    .fetch_all(conn)
    .await?;
    let level = |(price, quantity, orders): (Uint256, Uint256, i64)| Level {
        price: Amount::new(price.0, money),
        quantity: Amount::new(quantity.0, decimals),
        orders,
    };
    Ok(rows.into_iter().map(level).collect())
}

/// What was traded of an offering's instrument, newest first.
#[utoipa::path(
    get,
    path = "/ats/trades",
    params(
        ("offering_id" = Uuid, Query, description = "The offering"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = TradePage))
)]
pub(crate) async fn trades(
    Extract(app): Extract<App>,
    viewer: Viewer,
    mut query: Query,
) -> Result<Json<TradePage>, ApiError> {
    let id = query.text("offering_id", |text| text.parse::<Uuid>().map_err(|_| "value is not a UUID"));
    let before = query.text("cursor", |text| read_cursor(text).ok_or("value is not a cursor of this list"));
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let Some(id) = id else {
        return Err(ApiError::Rejected(vec![FieldError::query("offering_id", "missing", "say of which offering")]));
    };
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let found = offerings::find(&mut *tx, id).await?;
    let offering: Offering = seen(&mut tx, &viewer, found).await?;
    // One more than asked for says whether there is another page.
    let mut page = list(&mut *tx, &offering.instrument_id, before, limit.cast_signed() + 1).await?;
    let more = page.len() > wanted;
    page.truncate(wanted);
    let last = page.last().filter(|_| more);
    Ok(Json(TradePage {
        next_cursor: last.map(|trade| write_cursor(trade.matched_at, trade.trade_id)),
        items: page.iter().map(TradeView::from).collect(),
    }))
}

/// Trades of an instrument, newest first, those before a place.
///
/// # Errors
/// The database's.
pub async fn list(
    db: impl PgExecutor<'_>,
    instrument_id: &str,
    before: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<Trade>, sqlx::Error> {
    let (at, id) = before.unzip();
    sqlx::query_as(
        "SELECT *
           FROM trade_records
          WHERE instrument_id = $1
            AND ($2::timestamptz IS NULL OR (matched_at, trade_id) < ($2, $3))
          ORDER BY matched_at DESC, trade_id DESC
          LIMIT $4",
    )
    .bind(instrument_id)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(db)
    .await
}
