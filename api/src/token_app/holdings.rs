//! `GET /data/admin/holdings`: who holds what, as of the confirmed block.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokenx_indexer::read;
use utoipa::ToSchema;

use super::block_timestamp;
use super::scope::{Filters, as_of, visible_tokens};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::query::Query;

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100_000, 100_000);

/// A page of holdings.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldingsPage {
    scan: Scan,
    /// All that match, whatever the page.
    total: usize,
    holdings: Vec<Holding>,
}

/// What the page is as of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Scan {
    /// Time of the confirmed block.
    #[schema(format = DateTime)]
    scanned_at: String,
}

/// One wallet's spendable or locked part of one instrument.
#[derive(Debug, Serialize, ToSchema)]
pub struct Holding {
    /// Stable name of this part.
    pub(super) holding_cid: String,
    /// Whose.
    pub(super) party_id: String,
    /// Of what.
    pub(super) instrument_id: String,
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::amount_out)]
    pub(super) amount: String,
    /// Whether the chain would not let it move.
    pub(super) locked: bool,
}

/// Holdings as of the confirmed block.
#[utoipa::path(
    get,
    path = "/data/admin/holdings",
    params(
        ("party_id" = Option<String>, Query, description = "A party, or a wallet's address"),
        ("instrument_id" = Option<String>, Query, description = "An instrument", pattern = "^[A-Za-z0-9._-]{1,32}$"),
        ("limit" = Option<u64>, Query, description = "Page size, 100000 unless given", minimum = 1, maximum = 100_000),
        ("offset" = Option<u64>, Query, description = "Rows to pass over", minimum = 0),
    ),
    responses((status = 200, description = "By instrument, party and cid", body = HoldingsPage))
)]
pub(crate) async fn holdings(
    State(app): State<App>,
    viewer: Viewer,
    query: Query,
) -> Result<Json<HoldingsPage>, ApiError> {
    let filters = Filters::read(query, PAGE.0, PAGE.1)?;
    let mut conn = app.pool().acquire().await?;
    let as_of = as_of(&app, &mut conn).await?;
    let mut instruments = match (visible_tokens(&app, &viewer, &mut conn).await?, filters.instrument_id()) {
        (Some(own), _) => own,
        (None, Some(id)) => read::instruments_named(&mut *conn, app.chain_id(), id.as_str()).await?,
        (None, None) => read::instruments(&mut *conn, app.chain_id()).await?,
    };
    drop(conn);
    let wanted = |id: &str| filters.instrument_id().is_none_or(|only| only.as_str() == id);
    instruments.retain(|instrument| wanted(&instrument.instrument_id) && instrument.inexact.is_none());
    let register = app.register().now(&app, as_of).await?;
    let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    let (total, holdings) = register.page(&instruments, filters.holder(), count(filters.limit), count(filters.offset));
    let scanned_at = block_timestamp(register.as_of().map_or(as_of.time, |as_of| as_of.time));
    Ok(Json(HoldingsPage { scan: Scan { scanned_at }, total, holdings }))
}
