//! Orders as they are answered, and `GET /ats/orders`.

use alloy::primitives::U256;
use axum::Json;
use axum::extract::State as Extract;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use time::OffsetDateTime;
use tokenx_contracts::amount::Amount;
use tokenx_indexer::read;
use utoipa::ToSchema;
use uuid::Uuid;

use super::names::{Does, State};
use super::record::{self, Filter, Shown};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::query::Query;
use crate::investors::party_of;
use crate::investors::wallets::PAGE;
use crate::tokens::details::timestamp;

/// An order of a party.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderView {
    id: Uuid,
    client_order_id: String,
    offering_id: Uuid,
    instrument_id: String,
    wallet_id: Uuid,
    /// buy or sell.
    side: &'static str,
    /// limit, market, stop or stop_limit.
    r#type: &'static str,
    /// day, gtc, ioc or fok.
    time_in_force: &'static str,
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::amount_out)]
    quantity: Amount,
    /// Its worst price for a whole token, which is what is signed.
    #[schema(schema_with = crate::openapi::amount_out)]
    limit_price: Amount,
    /// The price of a trade from which on it counts; null where it always does.
    #[schema(required, nullable)]
    stop_price: Option<String>,
    /// What is paid with.
    currency: String,
    /// pending: its book has not taken it yet; waiting: for its stop price; open; filled; cancelled; cancel_pending: it is
    /// matched no more, and what its wallet has signed counts on chain until the wallet takes it back or it expires;
    /// expired.
    state: &'static str,
    /// Why it ended unfilled, or a trade of it failed; null where neither is so.
    #[schema(required)]
    reason_code: Option<String>,
    /// Tokens that were matched.
    #[schema(schema_with = crate::openapi::amount_out)]
    filled_quantity: Amount,
    /// Of these, the ones whose trades the chain has settled.
    #[schema(schema_with = crate::openapi::amount_out)]
    settled_quantity: Amount,
    /// Of these, the ones whose trades came to nothing: units and money stayed where they were.
    #[schema(schema_with = crate::openapi::amount_out)]
    failed_quantity: Amount,
    /// What it holds back still: tokens where it sells, money where it buys. Trades hold back their own.
    #[schema(schema_with = crate::openapi::amount_out)]
    reserved: Amount,
    /// What the chain knows it by (EIP-712), for a wallet that takes it back there.
    #[schema(pattern = "^0x[0-9a-f]{64}$")]
    digest: String,
    /// From then on it is not matched.
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A page of orders.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderPage {
    items: Vec<OrderView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

impl OrderView {
    pub(crate) fn of(shown: &Shown) -> OrderView {
        let order = &shown.order;
        let (decimals, money) = (decimals(shown.decimals), decimals(shown.payment_decimals));
        let units = |base: U256| Amount::new(base, decimals);
        let price = |base: U256| Amount::new(base, money);
        OrderView {
            id: order.order_id,
            client_order_id: order.client_order_id.clone(),
            offering_id: order.offering_id,
            instrument_id: order.instrument_id.clone(),
            wallet_id: order.wallet_id,
            side: order.side.as_str(),
            r#type: order.kind.as_str(),
            time_in_force: order.time_in_force.as_str(),
            quantity: units(order.quantity.0),
            limit_price: price(order.limit_price.0),
            stop_price: order.stop_price.map(|stop| price(stop.0).to_string()),
            currency: shown.payment_symbol.clone(),
            state: state(shown),
            reason_code: order.reason_code.clone(),
            filled_quantity: units(order.filled.0),
            settled_quantity: units(shown.settled.0),
            failed_quantity: units(shown.failed.0),
            reserved: if order.side == Does::Sell { units(order.reserved.0) } else { price(order.reserved.0) },
            digest: order.digest.0.to_string(),
            expires_at: timestamp(OffsetDateTime::from_unix_timestamp(order.until).unwrap_or(order.created_at)),
            created_at: timestamp(order.created_at),
            updated_at: timestamp(order.updated_at),
        }
    }
}

/// Where an order stands, as it is shown.
pub(crate) fn state(shown: &Shown) -> &'static str {
    if shown.counts_on_chain { "cancel_pending" } else { shown.order.state.as_str() }
}

/// A column's CHECK keeps it within a byte.
pub(crate) fn decimals(column: i16) -> u8 {
    u8::try_from(column).unwrap_or_default()
}

/// The party's orders, newest first.
#[utoipa::path(
    get,
    path = "/ats/orders",
    params(
        ("offering_id" = Option<Uuid>, Query, description = "Only of this offering"),
        ("wallet_id" = Option<Uuid>, Query, description = "Only by this wallet"),
        ("state" = Option<String>, Query, description = "Only pending, waiting, open, filled, cancelled or expired ones"),
        ("side" = Option<String>, Query, description = "Only buy, or sell"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = OrderPage))
)]
pub(crate) async fn orders(
    Extract(app): Extract<App>,
    viewer: Viewer,
    mut query: Query,
) -> Result<Json<OrderPage>, ApiError> {
    let id = |text: &str| text.parse::<Uuid>().map_err(|_| "value is not a UUID");
    let filter = Filter {
        party_id: party_of(&viewer)?.to_owned(),
        offering_id: query.text("offering_id", id),
        wallet_id: query.text("wallet_id", id),
        state: query.text("state", State::parse),
        side: query.text("side", Does::parse),
        before: query.text("cursor", |text| read_cursor(text).ok_or("value is not a cursor of this list")),
    };
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let mut tx = read::snapshot(app.pool()).await?;
    // One more than asked for says whether there is another page.
    let mut page = record::list(&mut *tx, &filter, limit.cast_signed() + 1).await?;
    let more = page.len() > wanted;
    page.truncate(wanted);
    let last = page.last().filter(|_| more);
    Ok(Json(OrderPage {
        next_cursor: last.map(|shown| write_cursor(shown.order.created_at, shown.order.order_id)),
        items: page.iter().map(OrderView::of).collect(),
    }))
}

pub(crate) fn write_cursor(at: OffsetDateTime, id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{id}", at.unix_timestamp_nanos()))
}

pub(crate) fn read_cursor(text: &str) -> Option<(OffsetDateTime, Uuid)> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (at, id) = plain.split_once(':')?;
    Some((OffsetDateTime::from_unix_timestamp_nanos(at.parse().ok()?).ok()?, id.parse().ok()?))
}
