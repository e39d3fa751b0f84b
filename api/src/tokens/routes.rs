//! `/v2/admin/token`: make, change, show and list records.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_contracts::ids::InstrumentId;
use tokenx_indexer::read;
use tokenx_migrations::Addr;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{TokenChange, TokenRequest};
use super::details::Token;
use super::draft::Draft;
use super::facts;
use super::record::{self, Filter, Record};
use super::show::{all_shown, by_id, shown};
use super::status::Status;
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::object::Object;
use crate::http::query::Query;
use crate::object_id;
use crate::policy::Role;
use crate::store::currencies;

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100, 1_000);

/// A page of tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenPage {
    items: Vec<Token>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Makes a draft.
#[utoipa::path(
    post,
    path = "/v2/admin/token",
    request_body = TokenRequest,
    responses((status = 201, description = "The draft", body = Token))
)]
pub(crate) async fn create(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let mut body = Object::parse(&body)?;
    let draft = Draft::read(&mut body, None, &currencies::list(&mut *tx, app.chain_id()).await?);
    let node = node_of(&app, &mut tx, &viewer, &mut body, draft.as_ref()).await?;
    let (Some(draft), Some((issuer_id, executor))) = (draft, node) else { return Err(refused(body)) };
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    free(&app, &mut tx, &draft).await?;
    let now = now();
    let token_id = object_id::generate();
    let record = Record { token_id, issuer_id, executor: executor.0, draft, created_at: now, updated_at: now };
    record::write(&mut tx, &record).await?;
    let detail = serde_json::to_value(&record.draft).map_err(ApiError::internal)?;
    note(&mut tx, &viewer, &request_id, "token.add", &record.token_id, detail).await?;
    let location = format!("/v2/admin/token/{}", record.token_id);
    let token = shown(&app, &mut tx, record).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(token)).into_response())
}

/// Changes a token's record: what the body names, and no more.
#[utoipa::path(
    patch,
    path = "/v2/admin/token/{token_id}",
    params(("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$")),
    request_body = TokenChange,
    responses((status = 200, description = "The token as it is now", body = Token))
)]
pub(crate) async fn edit(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody,
) -> Result<Json<Token>, ApiError> {
    let id = token_id(id)?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let was = record::lock(&mut tx, &id, tenant(&viewer)).await?.ok_or_else(unknown)?;
    let mut body = Object::parse(&body)?;
    let draft = Draft::read(&mut body, Some(&was.draft), &currencies::list(&mut *tx, app.chain_id()).await?);
    let node = node_of(&app, &mut tx, &viewer, &mut body, draft.as_ref()).await?;
    let (Some(draft), Some((issuer_id, executor))) = (draft, node) else { return Err(refused(body)) };
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    let fixed = was.draft.fixed_by_deployment(&draft);
    if !fixed.is_empty() {
        let facts = facts::of(&mut tx, app.chain_id(), std::slice::from_ref(&was)).await?;
        if !facts.first().is_some_and(|facts| Status::of(facts).is_open()) {
            return Err(ApiError::Conflict(format!("a deployed token keeps its {}", fixed.join(", "))));
        }
    }
    if was.draft.instrument_id != draft.instrument_id {
        free(&app, &mut tx, &draft).await?;
    }
    let changed = changes(&was.draft, &draft)?;
    let record = Record { issuer_id, executor: executor.0, draft, updated_at: now(), ..was };
    record::write(&mut tx, &record).await?;
    note(&mut tx, &viewer, &request_id, "token.edit", &record.token_id, Value::Object(changed)).await?;
    let token = shown(&app, &mut tx, record).await?;
    tx.commit().await?;
    Ok(Json(token))
}

/// One token.
#[utoipa::path(
    get,
    path = "/v2/admin/token/{token_id}",
    params(("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$")),
    responses((status = 200, description = "The token", body = Token))
)]
pub(crate) async fn token(
    State(app): State<App>,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Token>, ApiError> {
    let token = by_id(&app, token_id(id)?, tenant(&viewer)).await?;
    token.map(Json).ok_or_else(unknown)
}

/// Tokens, newest first.
#[utoipa::path(
    get,
    path = "/v2/admin/token",
    params(
        ("status" = Option<u8>, Query, description = "Only in this state", minimum = 1, maximum = 8),
        ("node_id" = Option<String>, Query, description = "Only of this node", pattern = "^[0-9a-f]{24}$"),
        ("instrument_id" = Option<String>, Query, description = "Only that of this instrument", pattern = "^[A-Za-z0-9._-]{1,32}$"),
        ("type" = Option<u8>, Query, description = "Only of this type", minimum = 0, maximum = 1),
        ("is_public" = Option<bool>, Query, description = "Only public ones, or only others"),
        ("search" = Option<String>, Query, description = "In a name or the symbol, in any case", min_length = 1, max_length = 200),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = TokenPage))
)]
pub(crate) async fn tokens(
    State(app): State<App>,
    viewer: Viewer,
    mut query: Query,
) -> Result<Json<TokenPage>, ApiError> {
    let status = query.text("status", |text| within(text, 1..=8));
    let mut filter = Filter {
        issuer: tenant(&viewer),
        node_id: query.text("node_id", |text| {
            object_id::is_valid(text).then(|| text.to_owned()).ok_or("value is not 24 hex digits")
        }),
        instrument_id: query
            .text("instrument_id", str::parse::<InstrumentId>)
            .map(|instrument| instrument.as_str().to_owned()),
        kind: query.text("type", |text| within(text, 0..=1)).map(i16::from),
        is_public: query.text("is_public", |text| text.parse::<bool>().map_err(|_| "value is not true or false")),
        search: query.text("search", |text| {
            let fits = (1..=200).contains(&text.chars().count()) && !text.contains('\0');
            fits.then(|| text.to_owned()).ok_or("value is not 1 to 200 characters")
        }),
        before: query.text("cursor", |text| read_cursor(text).ok_or("value is not a cursor of this list")),
    };
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let mut page: Vec<(Record, facts::Facts)> = Vec::new();
    // A status follows from the chain and is no column: pages are read until enough of them have it. One more than
    // asked for says whether there is another page.
    loop {
        let records = record::list(&mut *tx, &filter, limit.cast_signed() + 1).await?;
        let last = records.last().map(|record| (record.created_at, record.token_id.clone()));
        let all = records.len() <= wanted;
        let facts = facts::of(&mut tx, app.chain_id(), &records).await?;
        page.extend(
            records
                .into_iter()
                .zip(facts)
                .filter(|(_, facts)| status.is_none_or(|code| Status::of(facts).code() == code)),
        );
        if all || page.len() > wanted {
            break;
        }
        filter.before = last;
    }
    let more = page.len() > wanted;
    page.truncate(wanted);
    let next_cursor = page.last().filter(|_| more).map(|(record, _)| write_cursor(record));
    let items = all_shown(&app, &mut tx, page).await?;
    Ok(Json(TokenPage { items, next_cursor }))
}

/// The draft's node: one of this chain and, for an issuer, its own.
async fn node_of(
    app: &App,
    conn: &mut PgConnection,
    viewer: &Viewer,
    body: &mut Object,
    draft: Option<&Draft>,
) -> Result<Option<(Uuid, Addr)>, ApiError> {
    let Some(draft) = draft else { return Ok(None) };
    let node = sqlx::query_as(
        "SELECT issuer_id, executor
           FROM nodes
          WHERE node_id  = $1
            AND chain_id = $2
            AND ($3::uuid IS NULL OR issuer_id = $3)",
    )
    .bind(&draft.node_id)
    .bind(app.chain_id().cast_signed())
    .bind(tenant(viewer))
    .fetch_optional(conn)
    .await?;
    if node.is_none() {
        body.refuse("node_id", format!("there is no node {:?}, or none of yours", draft.node_id));
    }
    Ok(node)
}

/// Refuses an instrument id that the chain knows already; that of another draft is refused by its constraint.
async fn free(app: &App, conn: &mut PgConnection, draft: &Draft) -> Result<(), ApiError> {
    let id = &draft.instrument_id;
    match read::instrument(conn, app.chain_id(), id.as_str()).await? {
        Some(_) => Err(record::instrument_taken(id)),
        None => Ok(()),
    }
}

/// What differs, by the member's name.
fn changes(was: &Draft, is: &Draft) -> Result<Map<String, Value>, ApiError> {
    let members = |draft| match serde_json::to_value(draft) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => Err(ApiError::internal(format!("a draft is no object: {other}"))),
        Err(error) => Err(ApiError::internal(error)),
    };
    let before = members(was)?;
    Ok(members(is)?.into_iter().filter(|(name, value)| before.get(name) != Some(value)).collect())
}

pub(super) async fn note(
    conn: &mut PgConnection,
    viewer: &Viewer,
    request_id: &RequestId,
    action: &str,
    token_id: &str,
    detail: Value,
) -> Result<(), ApiError> {
    let actor = viewer.actor();
    let by = By { actor: &actor, request_id: Some(&request_id.0) };
    let detail = json!({ "by": actor, "token": detail });
    Ok(admin::note(conn, by, Note { action, subject: format!("token:{token_id}"), detail }).await?)
}

/// The issuer that the viewer's tokens belong to; `None`: it sees all.
pub(crate) fn tenant(viewer: &Viewer) -> Option<Uuid> {
    // An issuer always has one: a database constraint. Without, it would own nothing.
    (viewer.role == Role::Issuer).then(|| viewer.issuer_id.unwrap_or_default())
}

/// A token's id in a path. What could not be one names nothing.
pub(crate) fn token_id(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    id.ok().map(|Path(id)| id).filter(|id| object_id::is_valid(id)).ok_or_else(unknown)
}

pub(super) fn unknown() -> ApiError {
    ApiError::NotFound("there is no token with this id".into())
}

fn refused(body: Object) -> ApiError {
    let mut errors = body.errors();
    if errors.is_empty() {
        errors.push(FieldError::broken_body("the body describes no token"));
    }
    ApiError::Rejected(errors)
}

/// Now, as finely as it is shown.
pub(crate) fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_millisecond(now.millisecond()).unwrap_or(now)
}

fn within(text: &str, range: std::ops::RangeInclusive<u8>) -> Result<u8, String> {
    let number = text.parse::<u8>().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("value is not an integer from {} to {}", range.start(), range.end()))
}

fn write_cursor(record: &Record) -> String {
    let millis = record.created_at.unix_timestamp_nanos() / 1_000_000;
    URL_SAFE_NO_PAD.encode(format!("{millis}.{}", record.token_id))
}

fn read_cursor(text: &str) -> Option<(OffsetDateTime, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (millis, token_id) = text.split_once('.')?;
    let at = OffsetDateTime::from_unix_timestamp_nanos(millis.parse::<i64>().ok().map(i128::from)? * 1_000_000).ok()?;
    object_id::is_valid(token_id).then(|| (at, token_id.to_owned()))
}
