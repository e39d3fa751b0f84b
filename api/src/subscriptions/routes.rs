//! Subscriptions read back: an offering's by its issuer and staff, an investor's own.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use tokenx_indexer::read;
use tokenx_indexer::read::pages::Window;
use uuid::Uuid;

use super::record::{self, Filter};
use super::view::{self, SubscriptionPage};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::query::Query;
use crate::investors::party_of;
use crate::offerings::record as offerings;
use crate::offerings::routes::{offering_id, own};

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100, 1_000);

/// Subscriptions of an offering, newest first.
#[utoipa::path(
    get,
    path = "/offerings/{offering_id}/subscriptions",
    params(
        ("offering_id" = Uuid, Path, description = "The offering"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = SubscriptionPage))
)]
pub(crate) async fn of_offering(
    Extract(app): Extract<App>,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    query: Query,
) -> Result<Json<SubscriptionPage>, ApiError> {
    let id = offering_id(id)?;
    own(&viewer, offerings::find(app.pool(), id).await?)?;
    page(&app, query, Filter { offering_id: Some(id), ..Filter::default() }).await
}

/// The party's subscriptions, newest first.
#[utoipa::path(
    get,
    path = "/investors/subscriptions",
    params(
        ("offering_id" = Option<Uuid>, Query, description = "Only of this offering"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = SubscriptionPage))
)]
pub(crate) async fn of_investor(
    Extract(app): Extract<App>,
    viewer: Viewer,
    mut query: Query,
) -> Result<Json<SubscriptionPage>, ApiError> {
    let offering_id = query.text("offering_id", |text| text.parse::<Uuid>().map_err(|_| "value is not a UUID"));
    let party_id = Some(party_of(&viewer)?.to_owned());
    page(&app, query, Filter { party_id, offering_id }).await
}

async fn page(app: &App, mut query: Query, filter: Filter) -> Result<Json<SubscriptionPage>, ApiError> {
    let before = query.text("cursor", |text| text.parse().map_err(|_| "value is not a cursor of this list"));
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let records = record::list(&mut *tx, &filter, &Window::newest(before, limit.cast_signed() + 1)).await?;
    Ok(Json(view::page(records, wanted)))
}
