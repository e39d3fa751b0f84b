//! `/offerings`: make, change, show and list.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_indexer::read;
use tokenx_indexer::read::pages::Window;
use utoipa::ToSchema;
use uuid::Uuid;

use super::body::{OfferingChange, OfferingRequest};
use super::course::{Act, Sale, State, Status};
use super::facts;
use super::record::{self, Filter, Record};
use super::terms::{Exemption, Terms};
use super::view::{self, Offering, Shown};
use super::visibility::Sees;
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::object::{Object, text};
use crate::http::precondition::IfMatch;
use crate::http::query::Query;
use crate::object_id;
use crate::store::currencies;
use crate::tokens::record as token_record;
use crate::tokens::routes::{now, tenant};

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100, 1_000);

/// A page of offerings.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferingPage {
    items: Vec<Offering>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// Makes a draft of a token's offering. A token has one at a time: the next one may come when that is closed.
#[utoipa::path(
    post,
    path = "/offerings",
    request_body = OfferingRequest,
    responses((status = 201, description = "The draft; its version is the etag", body = Offering))
)]
pub(crate) async fn create(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let mut body = Object::parse(&body)?;
    let token_id = body.read("token_id", None, |raw| match text(raw) {
        Ok(id) if object_id::is_valid(&id) => Ok(id),
        _ => Err("value is not the id of a token: 24 hex digits"),
    });
    let token = match &token_id {
        Some(id) => token_record::lock(&mut tx, id, tenant(&viewer)).await?,
        None => None,
    };
    let was = token.as_ref().map_or_else(Terms::of_nothing, |token| Terms::of_token(&token.draft));
    let terms = Terms::read(&mut body, &was, &currencies::list(&mut *tx, app.chain_id()).await?);
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    let token = token.ok_or_else(|| ApiError::NotFound("there is no token with this id".into()))?;
    let terms = terms.ok_or_else(|| ApiError::internal("a field neither read nor refused"))?;
    let now = now();
    make_room(&app, &mut tx, &token.token_id, now).await?;
    let record = Record {
        offering_id: Uuid::now_v7(),
        token_id: token.token_id,
        instrument_id: token.draft.instrument_id.into_string(),
        issuer_id: token.issuer_id,
        terms,
        state: State::Draft,
        round: 0,
        settled: false,
        version: 1,
        published: None,
        decision: None,
        rejection: None,
        closed_at: None,
        created_at: now,
        updated_at: now,
    };
    record::write(&mut tx, &record).await?;
    let detail = serde_json::to_value(&record.terms).map_err(ApiError::internal)?;
    note(&mut tx, by(&viewer.actor(), &request_id), "offering.add", &record, detail).await?;
    let place = HeaderValue::from_str(&format!("/offerings/{}", record.offering_id)).map_err(ApiError::internal)?;
    let mut answer = view::answer(&app, &mut tx, StatusCode::CREATED, record).await?;
    answer.headers_mut().insert(header::LOCATION, place);
    tx.commit().await?;
    Ok(answer)
}

/// Changes an offering: what the body names, and no more. Once it is approved only its words may change.
#[utoipa::path(
    patch,
    path = "/offerings/{offering_id}",
    params(
        ("offering_id" = Uuid, Path, description = "The offering"),
        ("if-match" = String, Header, description = "The etag of the version that is to be changed"),
    ),
    request_body = OfferingChange,
    responses((status = 200, description = "The offering as it is now; its version is the etag", body = Offering))
)]
pub(crate) async fn edit(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    expected: Result<IfMatch, ApiError>,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let was = lock(&mut tx, &viewer, id).await?;
    expected?.holds(was.version)?;
    let mut body = Object::parse(&body)?;
    let terms = Terms::read(&mut body, &was.terms, &currencies::list(&mut *tx, app.chain_id()).await?);
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    let terms = terms.ok_or_else(|| ApiError::internal("a field neither read nor refused"))?;
    let state = was.state.after(Act::Edit).ok_or_else(|| waits(&was))?;
    open(&app, &mut tx, &was).await?;
    let fixed = if state == State::Approved { was.terms.fixed_by_approval(&terms) } else { Vec::new() };
    if !fixed.is_empty() {
        return Err(ApiError::Conflict(format!("an approved offering keeps its {}", fixed.join(", "))));
    }
    let changed = changes(&was.terms, &terms)?;
    let record = Record { terms, state, ..was }.touched(now());
    record::write(&mut tx, &record).await?;
    note(&mut tx, by(&viewer.actor(), &request_id), "offering.edit", &record, Value::Object(changed)).await?;
    let answer = view::answer(&app, &mut tx, StatusCode::OK, record).await?;
    tx.commit().await?;
    Ok(answer)
}

/// One offering.
#[utoipa::path(
    get,
    path = "/offerings/{offering_id}",
    params(("offering_id" = Uuid, Path, description = "The offering")),
    responses((status = 200, description = "The offering; its version is the etag", body = Offering))
)]
pub(crate) async fn offering(
    Extract(app): Extract<App>,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let id = offering_id(id)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let found = record::find(&mut *tx, id).await?;
    let record = seen(&mut tx, &viewer, found).await?;
    view::answer(&app, &mut tx, StatusCode::OK, record).await
}

/// Offerings, newest first.
#[utoipa::path(
    get,
    path = "/offerings",
    params(
        ("status" = Option<String>, Query, description = "Only in this state"),
        ("exemption" = Option<String>, Query, description = "Only under this exemption"),
        ("token_id" = Option<String>, Query, description = "Only of this token", pattern = "^[0-9a-f]{24}$"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = OfferingPage))
)]
pub(crate) async fn offerings(
    Extract(app): Extract<App>,
    viewer: Viewer,
    mut query: Query,
) -> Result<Json<OfferingPage>, ApiError> {
    let status = query.text("status", |text| {
        let found = Status::ALL.into_iter().find(|status| status.as_str() == text);
        let known = || Status::ALL.map(Status::as_str).join(", ");
        found.ok_or_else(|| format!("value is no status: use one of {}", known()))
    });
    let filter = Filter {
        exemption: query.text("exemption", Exemption::parse),
        token_id: query.text("token_id", |text| {
            object_id::is_valid(text).then(|| text.to_owned()).ok_or("value is not 24 hex digits")
        }),
        ..Filter::default()
    };
    let mut before = query.text("cursor", |text| read_cursor(text).ok_or("value is not a cursor of this list"));
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let filter = Filter { sees: Sees::of(&mut tx, &viewer).await?, ..filter };
    let mut page: Vec<Shown> = Vec::new();
    // A status follows from the chain and is no column: pages are read until enough of them have it. One more than
    // asked for says whether there is another page.
    loop {
        let records = record::list(&mut *tx, &filter, &Window::newest(before, limit.cast_signed() + 1)).await?;
        before = records.last().map(Record::place);
        let all = records.len() <= wanted;
        let shown = view::with_facts(&app, &mut tx, records).await?;
        page.extend(shown.into_iter().filter(|shown| status.is_none_or(|status| shown.course.status() == status)));
        if all || page.len() > wanted {
            break;
        }
    }
    let more = page.len() > wanted;
    page.truncate(wanted);
    let next_cursor = page.last().filter(|_| more).map(|shown| write_cursor(&shown.record));
    let items = view::all(&app, &mut tx, page).await?;
    Ok(Json(OfferingPage { items, next_cursor }))
}

/// Closes the offering that the token has, where it is over; the token is locked.
async fn make_room(app: &App, conn: &mut PgConnection, token_id: &str, now: OffsetDateTime) -> Result<(), ApiError> {
    let Some(record) = record::newest_of(conn, token_id).await? else { return Ok(()) };
    let facts = facts::of_one(conn, app.chain_id(), &record).await?;
    let course = facts.course(&record, now);
    if course.sale == Sale::Over {
        return Err(ApiError::Conflict("the token is not sold any more".into()));
    }
    let status = course.status();
    if status != Status::Closed {
        let (id, status) = (record.offering_id, status.as_str());
        return Err(ApiError::Conflict(format!("the token has an offering already: {id} is {status}")));
    }
    record::write(conn, &Record { closed_at: Some(now), ..record }).await
}

/// Refuses what is over.
pub(super) async fn open(app: &App, conn: &mut PgConnection, record: &Record) -> Result<(), ApiError> {
    let facts = facts::of_one(conn, app.chain_id(), record).await?;
    match facts.course(record, OffsetDateTime::now_utc()).status() {
        Status::Closed => Err(ApiError::Conflict("the offering is closed".into())),
        _ => Ok(()),
    }
}

/// An offering that the viewer may write of, for a change: an issuer its own.
pub(super) async fn lock(
    conn: &mut PgConnection,
    viewer: &Viewer,
    id: Result<Path<String>, PathRejection>,
) -> Result<Record, ApiError> {
    own(viewer, record::lock(conn, offering_id(id)?).await?)
}

/// An offering, where the viewer may know all of it: an issuer its own, staff every one.
pub(crate) fn own(viewer: &Viewer, record: Option<Record>) -> Result<Record, ApiError> {
    record.filter(|record| viewer.issuer_id.is_none_or(|own| own == record.issuer_id)).ok_or_else(unknown)
}

/// An offering, where the viewer sees it.
pub(crate) async fn seen(conn: &mut PgConnection, viewer: &Viewer, record: Option<Record>) -> Result<Record, ApiError> {
    shown(Sees::of(conn, viewer).await?, record)
}

/// An offering, where it is one of those.
pub(crate) fn shown(sees: Sees, record: Option<Record>) -> Result<Record, ApiError> {
    record.filter(|record| sees.shows(record)).ok_or_else(unknown)
}

/// An offering's id in a path. What could not be one names nothing.
pub(crate) fn offering_id(id: Result<Path<String>, PathRejection>) -> Result<Uuid, ApiError> {
    id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)
}

fn unknown() -> ApiError {
    ApiError::NotFound("there is no offering with this id".into())
}

/// It cannot be changed while it waits for a decision.
pub(super) fn waits(record: &Record) -> ApiError {
    ApiError::Conflict(format!("the offering is {}: it stays as it is until it is decided on", record.state.as_str()))
}

pub(super) fn by<'a>(actor: &'a str, request_id: &'a RequestId) -> By<'a> {
    By { actor, request_id: Some(&request_id.0) }
}

pub(super) async fn note(
    conn: &mut PgConnection,
    by: By<'_>,
    action: &str,
    record: &Record,
    detail: Value,
) -> Result<(), ApiError> {
    let detail = json!({ "by": by.actor, "token_id": record.token_id, "offering": detail });
    Ok(admin::note(conn, by, Note { action, subject: format!("offering:{}", record.offering_id), detail }).await?)
}

/// What differs, by the member's name.
fn changes(was: &Terms, is: &Terms) -> Result<Map<String, Value>, ApiError> {
    let members = |terms| match serde_json::to_value(terms) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => Err(ApiError::internal(format!("terms are no object: {other}"))),
        Err(error) => Err(ApiError::internal(error)),
    };
    let before = members(was)?;
    Ok(members(is)?.into_iter().filter(|(name, value)| before.get(name) != Some(value)).collect())
}

fn write_cursor(record: &Record) -> String {
    let millis = record.created_at.unix_timestamp_nanos() / 1_000_000;
    URL_SAFE_NO_PAD.encode(format!("{millis}.{}", record.offering_id))
}

fn read_cursor(text: &str) -> Option<(OffsetDateTime, Uuid)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (millis, offering_id) = text.split_once('.')?;
    let at = OffsetDateTime::from_unix_timestamp_nanos(millis.parse::<i64>().ok().map(i128::from)? * 1_000_000).ok()?;
    Some((at, offering_id.parse().ok()?))
}
