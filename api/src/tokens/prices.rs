//! `POST /v2/admin/token/{token_id}/prices`: what a whole token is worth, said by its issuer or a transfer agent.

use alloy::primitives::U256;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use tokenx_migrations::Uint256;
use utoipa::ToSchema;

use super::details::{PriceView, timestamp};
use super::draft::line;
use super::money::{Price, Zero, amount};
use super::record;
use super::routes::{note, now, tenant, token_id, unknown};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::object::{Object, instant};
use crate::object_id;

/// How far a sender's clock may be ahead of ours.
const AHEAD: Duration = Duration::minutes(1);

/// A price.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct PriceNote {
    /// Of one whole token, in the currency of its `token_price`; read exactly from its text.
    #[schema(schema_with = crate::openapi::number)]
    price: String,
    /// Who or what says so.
    #[schema(min_length = 1, max_length = 200, example = "appraisal 2026-03")]
    source: String,
    /// When it was worth that; now unless given, and not later.
    #[schema(required = false, format = DateTime)]
    as_of: Option<String>,
}

/// A price that is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct PriceRecord {
    id: String,
    token_id: String,
    price: PriceView,
    source: String,
    #[schema(format = DateTime)]
    as_of: String,
    #[schema(format = DateTime)]
    created_at: String,
}

/// Says what a whole token is worth. The price of its record stays what it is.
#[utoipa::path(
    post,
    path = "/v2/admin/token/{token_id}/prices",
    params(("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$")),
    request_body = PriceNote,
    responses(
        (status = 201, description = "Kept", body = PriceRecord),
        (status = 200, description = "Kept before: this source has said this price of this time", body = PriceRecord),
    )
)]
pub(crate) async fn add(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let token_id = token_id(id)?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let record = record::lock(&mut tx, &token_id, tenant(&viewer)).await?.ok_or_else(unknown)?;
    let currency = record.draft.token_price.currency;
    let now = now();
    let mut body = Object::parse(&body)?;
    let price = body.read("price", None, |raw| amount(raw, Some(currency.decimals), Zero::Refused));
    let source = body.read("source", None, line);
    let as_of = body.read("as_of", Some(&now), |raw| match instant(raw)? {
        later if later > now + AHEAD => Err("a price is of the past".to_owned()),
        time => Ok(time),
    });
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    let (Some(price), Some(source), Some(as_of)) = (price, source, as_of) else {
        return Err(ApiError::internal("a field neither read nor refused"));
    };
    let new = Kept {
        price_id: object_id::generate(),
        units: price.base(),
        currency_id: currency.currency_id.clone(),
        created_at: now,
    };
    let made = insert(&mut tx, &token_id, &new, &source, as_of).await?;
    let kept = if made { new } else { kept(&mut tx, &token_id, &source, as_of).await? };
    if !made && (kept.units, &kept.currency_id) != (price.base(), &currency.currency_id) {
        let at = timestamp(as_of);
        return Err(ApiError::Conflict(format!("{source:?} has said another price of {at}: say one of another time")));
    }
    if made {
        let detail = json!({ "price": price.to_string(), "source": source, "as_of": timestamp(as_of) });
        note(&mut tx, &viewer, &request_id, "token.price", &token_id, detail).await?;
        tx.commit().await?;
    }
    let status = if made { StatusCode::CREATED } else { StatusCode::OK };
    let record = PriceRecord {
        id: kept.price_id,
        token_id,
        price: PriceView::of(&Price::new(currency, kept.units)),
        source,
        as_of: timestamp(as_of),
        created_at: timestamp(kept.created_at),
    };
    Ok((status, Json(record)).into_response())
}

/// What a row of `prices` says beside its key.
struct Kept {
    price_id: String,
    units: U256,
    currency_id: String,
    created_at: OffsetDateTime,
}

/// False where the source has spoken of this time before.
async fn insert(
    conn: &mut PgConnection,
    token_id: &str,
    new: &Kept,
    source: &str,
    as_of: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO prices (price_id, token_id, price, currency_id, source, as_of, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT ON CONSTRAINT prices_once DO NOTHING",
    )
    .bind(&new.price_id)
    .bind(token_id)
    .bind(Uint256(new.units))
    .bind(&new.currency_id)
    .bind(source)
    .bind(as_of)
    .bind(new.created_at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn kept(
    conn: &mut PgConnection,
    token_id: &str,
    source: &str,
    as_of: OffsetDateTime,
) -> Result<Kept, sqlx::Error> {
    let row: (String, Uint256, String, OffsetDateTime) = sqlx::query_as(
        "SELECT price_id, price, currency_id, created_at
           FROM prices
          WHERE token_id = $1 AND source = $2 AND as_of = $3",
    )
    .bind(token_id)
    .bind(source)
    .bind(as_of)
    .fetch_one(conn)
    .await?;
    let (price_id, units, currency_id, created_at) = row;
    Ok(Kept { price_id, units: units.0, currency_id, created_at })
}
