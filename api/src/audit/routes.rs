//! `GET /compliance/audit-log` and `/compliance/audit-log/verify`.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokenx_migrations::audit::{self, Filter, Kept};
use tokenx_migrations::seal::{self, Difference, Head, Verification};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::http::query::Query;

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100, 1_000);
/// The longest name that is looked for, in bytes: no actor, action or subject is longer.
const MAX_NAME: usize = 512;
/// No seal has a greater number.
const MAX_SEAL: u64 = i64::MAX as u64;

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    items: Vec<AuditEntry>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
    /// The newest seal; null before the first.
    head: Option<AuditSeal>,
}

/// Who did what.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its place in the log.
    #[schema(example = "7345:12")]
    position: String,
    #[schema(format = DateTime)]
    at: String,
    /// `user:<id>`, `service:<id>`, `cli:<name>` or `system`.
    actor: String,
    #[schema(example = "command.accept")]
    action: String,
    /// What it is about, by kind and id.
    subject: String,
    /// The request that caused it; null where nobody asked.
    request_id: Option<String>,
    #[schema(value_type = Object)]
    detail: Value,
    /// The seal that names it; null for a second or so.
    seal: Option<u64>,
}

/// A seal: a hash over entries and over the seal before.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditSeal {
    number: u64,
    /// Its last entry.
    #[schema(example = "7345:12")]
    sealed_to: String,
    hash: String,
    #[schema(format = DateTime)]
    sealed_at: String,
}

/// What a check of the log found.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditVerification {
    /// Whether everything that was looked at is as it was sealed.
    intact: bool,
    /// Whether everything was looked at. Else ask for the rest, by `after_seal`.
    complete: bool,
    /// Seals that hold, of those that were looked at.
    seals: u64,
    /// Entries that they name.
    entries: u64,
    /// Entries after the last seal.
    unsealed: u64,
    /// Hashes on chain that are those of seals.
    anchors: u64,
    /// The last seal that holds.
    head: Option<AuditSeal>,
    /// The first thing that is not as it was; null where there is none.
    difference: Option<AuditDifference>,
}

/// Something that is not as it was sealed.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditDifference {
    /// `tampered`, `removed`, `inserted`, `reordered`, `moved`, `seal` or `anchor`.
    kind: &'static str,
    /// The seal that tells.
    seal: u64,
    /// The entry's place, or that of the entry before the one that is missing; null where it is about a seal.
    position: Option<String>,
    /// Both sides, for people.
    detail: String,
}

/// Who did what, newest first.
#[utoipa::path(
    get,
    path = "/compliance/audit-log",
    params(
        ("actor" = Option<String>, Query, description = "Only by this actor", min_length = 1, max_length = 512),
        ("action" = Option<String>, Query, description = "Only this action", min_length = 1, max_length = 512),
        ("subject" = Option<String>, Query, description = "Only about this subject", min_length = 1, max_length = 512),
        ("from" = Option<String>, Query, description = "Only at this time or later", format = DateTime),
        ("to" = Option<String>, Query, description = "Only before this time", format = DateTime),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = AuditPage))
)]
pub(crate) async fn page(State(app): State<App>, mut query: Query) -> Result<Json<AuditPage>, ApiError> {
    let filter = Filter {
        actor: query.text("actor", name),
        action: query.text("action", name),
        subject: query.text("subject", name),
        from: query.text("from", instant),
        to: query.text("to", instant),
        before: query.text("cursor", |text| text.parse().map_err(|_| "value is not a cursor of this list")),
    };
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let mut tx = tokenx_migrations::begin_snapshot(app.pool()).await?;
    // One more than asked for says whether there is another page.
    let mut page = audit::page(&mut *tx, &filter, limit.cast_signed() + 1).await?;
    let more = page.len() > wanted;
    page.truncate(wanted);
    let next_cursor = page.last().filter(|_| more).map(|entry| entry.position.to_string());
    let places: Vec<_> = page.iter().map(|entry| entry.position).collect();
    let seals = seal::seals_of(&mut *tx, &places).await?;
    let items = page.into_iter().zip(seals).map(|(kept, seal)| entry(kept, seal)).collect();
    let head = seal::head(&mut *tx).await?.map(shown);
    Ok(Json(AuditPage { items, next_cursor, head }))
}

/// Checks the log against its seals, and these against what the chain has of them: as much as can be in half of a request's
/// time. Where `complete` is false, the rest is asked for with the last seal that holds; `tokenx audit verify` does all at
/// once.
#[utoipa::path(
    get,
    path = "/compliance/audit-log/verify",
    params(
        ("after_seal" = Option<u64>, Query, description = "Only what comes after this seal: `head.number` of an answer \
            that was not complete", minimum = 1),
    ),
    responses((status = 200, description = "What was found", body = AuditVerification))
)]
pub(crate) async fn verify(State(app): State<App>, mut query: Query) -> Result<Json<AuditVerification>, ApiError> {
    let after = query.text("after_seal", |text| {
        let number = text.parse::<u64>().ok().filter(|number| (1..=MAX_SEAL).contains(number));
        number.ok_or("value is not the number of a seal")
    });
    query.finish()?;
    let until = Instant::now() + app.settings().server.request_timeout() / 2;
    Ok(Json(super::verify(app.pool(), app.chain_id(), after, Some(until)).await?.into()))
}

impl From<Verification> for AuditVerification {
    fn from(found: Verification) -> AuditVerification {
        AuditVerification {
            intact: found.difference.is_none(),
            complete: found.complete,
            seals: found.seals,
            entries: found.entries,
            unsealed: found.unsealed,
            anchors: found.anchors,
            head: found.head.map(shown),
            difference: found.difference.map(difference),
        }
    }
}

fn difference(found: Difference) -> AuditDifference {
    AuditDifference {
        kind: found.kind.as_str(),
        seal: found.seal,
        position: found.position.map(|position| position.to_string()),
        detail: found.what,
    }
}

fn entry(kept: Kept, seal: Option<u64>) -> AuditEntry {
    let Kept { position, at, actor, action, subject, request_id, detail } = kept;
    AuditEntry { position: position.to_string(), at: exact(at), actor, action, subject, request_id, detail, seal }
}

fn shown(head: Head) -> AuditSeal {
    AuditSeal {
        number: head.number,
        sealed_to: head.last.to_string(),
        hash: head.hash.to_string(),
        sealed_at: exact(head.sealed_at),
    }
}

/// As finely as it is hashed.
fn exact(at: OffsetDateTime) -> String {
    // Fails only for years that Postgres' clock does not reach.
    at.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

fn name(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("value is empty".into()),
        length if length > MAX_NAME => Err(format!("value is longer than {MAX_NAME} bytes")),
        _ if text.contains('\0') => Err("value contains a NUL character".into()),
        _ => Ok(text.to_owned()),
    }
}

fn instant(text: &str) -> Result<OffsetDateTime, &'static str> {
    let at =
        OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "value is not a time: write it as 2030-01-31T00:00:00Z")?;
    // Years that every offset and the database can write down.
    if (1..=9_998).contains(&at.year()) { Ok(at) } else { Err("value is a year out of range") }
}
