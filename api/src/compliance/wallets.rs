//! `/compliance/wallets`: which wallets wait, and what is decided on them. An approval has the keeper whitelist the wallet;
//! it is approved once the chain says so.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokenx_indexer::read;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::admin::{self, By, Note};
use crate::app::App;
use crate::error::ApiError;
use crate::http::asked::{self, Named};
use crate::http::body::{JsonBody, MaybeJson};
use crate::http::idempotency::REPLAYED;
use crate::http::object::{Object, text_of};
use crate::http::query::Query;
use crate::investors::wallets::{PAGE, cursor};
use crate::kyc::consequence;
use crate::store::parties::{self, Profile};
use crate::tokens::routes::now;
use crate::wallets::record::{self, Decision, Filter, Kind, Record};
use crate::wallets::registry;
use crate::wallets::state::{State, Verdict, Wish};
use crate::wallets::view::{self, Shown, WalletPage, WalletView};

/// Why something is rejected.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct Refusal {
    /// What its party is told.
    #[schema(min_length = 1, max_length = 1_000)]
    reason: String,
}

/// Wallets, newest first: those that wait for a decision, unless another status is named, or `all`.
#[utoipa::path(
    get,
    path = "/compliance/wallets",
    params(
        ("status" = Option<String>, Query, description = "pending unless given; approving, approved, rejected, failed, \
            revoked, or all"),
        ("party_id" = Option<String>, Query, description = "Only of this party"),
        ("kind" = Option<String>, Query, description = "Only hosted, or self_custody"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = WalletPage))
)]
pub(crate) async fn wallets(Extract(app): Extract<App>, mut query: Query) -> Result<Json<WalletPage>, ApiError> {
    let status = query.text("status", |text| {
        let named = State::ALL.into_iter().find(|state| state.as_str() == text);
        let known = || State::ALL.map(State::as_str).join(", ");
        match (text, named) {
            ("all", _) => Ok(None),
            (_, Some(state)) => Ok(Some(state)),
            _ => Err(format!("value is no status: use all, or one of {}", known())),
        }
    });
    let status = status.unwrap_or(Some(State::Pending));
    let mut filter = Filter {
        party_id: query.text("party_id", |text| {
            if text.contains('\0') { Err("value holds a NUL character") } else { Ok(text.to_owned()) }
        }),
        kind: query.text("kind", Kind::parse),
        undecided: status == Some(State::Pending),
        before: query.text("cursor", cursor),
    };
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let mut page: Vec<Shown> = Vec::new();
    // A status follows from the chain and is no column: pages are read until enough of them have it. One more than
    // asked for says whether there is another page.
    loop {
        let records = record::list(&mut *tx, &filter, limit.cast_signed() + 1).await?;
        let all = records.len() <= wanted;
        filter.before = records.last().map(|record| record.wallet_id);
        let shown = view::all(&app, &mut tx, records).await?;
        page.extend(shown.into_iter().filter(|shown| status.is_none_or(|status| shown.state == status)));
        if all || page.len() > wanted {
            break;
        }
    }
    let more = page.len() > wanted;
    page.truncate(wanted);
    Ok(Json(view::page(page, more)))
}

/// Says yes, where the party's KYC is approved: the keeper writes the wallet into the registry. Whoever registered it cannot. Where that has come to nothing
/// (status failed, or revoked), another yes tries again.
#[utoipa::path(
    post,
    path = "/compliance/wallets/{wallet_id}/approve",
    params(
        ("wallet_id" = Uuid, Path, description = "The wallet"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    responses((status = 202, description = "The wallet, on its way to the registry", body = WalletView))
)]
pub(crate) async fn approve(asked: Asked, MaybeJson(body): MaybeJson) -> Result<Response, ApiError> {
    let errors = Object::parse(&body)?.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    let mut tx = tokenx_migrations::begin(asked.app.pool()).await?;
    let (party, shown) = asked.lock(&mut tx).await?;
    if asked.repeats(&shown.record, Verdict::Approved) {
        return asked.again(StatusCode::ACCEPTED, shown);
    }
    asked.another(&shown.record)?;
    if !matches!(shown.state, State::Pending | State::Failed | State::Revoked) {
        return Err(decided(&shown));
    }
    consequence::spotless(&asked.app, &mut tx, &party, "wallet_id").await?;
    consequence::require(&mut tx, &party, &shown.record).await?;
    let mut record = shown.record;
    record.decision = Some(asked.decision(Verdict::Approved, None));
    let actor = asked.viewer.actor();
    let by = By { actor: &actor, request_id: Some(&asked.request_id.0) };
    let wish = (&mut record, &party, Wish::Whitelist);
    registry::ask(asked.app.commands(), &mut tx, by, wish).await.map_err(registry::refused)?;
    note(&mut tx, by, "wallet.approve", &record, json!({ "command_id": record.command })).await?;
    let shown = view::one(&asked.app, &mut tx, record).await?;
    tx.commit().await?;
    asked.app.commands().wake();
    Ok((StatusCode::ACCEPTED, Json(WalletView::from(shown))).into_response())
}

/// Says no, and why.
#[utoipa::path(
    post,
    path = "/compliance/wallets/{wallet_id}/reject",
    params(
        ("wallet_id" = Uuid, Path, description = "The wallet"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    request_body = Refusal,
    responses((status = 200, description = "The wallet, rejected", body = WalletView))
)]
pub(crate) async fn reject(asked: Asked, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let reason = reason(&body)?;
    let mut tx = tokenx_migrations::begin(asked.app.pool()).await?;
    let (_, shown) = asked.lock(&mut tx).await?;
    if asked.repeats(&shown.record, Verdict::Rejected) {
        return asked.again(StatusCode::OK, shown);
    }
    asked.another(&shown.record)?;
    if shown.state != State::Pending {
        return Err(decided(&shown));
    }
    let mut record = shown.record;
    record.decision = Some(asked.decision(Verdict::Rejected, Some(reason.clone())));
    record::update(&mut tx, &record).await?;
    let actor = asked.viewer.actor();
    let by = By { actor: &actor, request_id: Some(&asked.request_id.0) };
    note(&mut tx, by, "wallet.reject", &record, json!({ "reason": reason })).await?;
    let shown = view::one(&asked.app, &mut tx, record).await?;
    tx.commit().await?;
    Ok((StatusCode::OK, Json(WalletView::from(shown))).into_response())
}

/// A wallet's id.
#[derive(Debug)]
pub(crate) struct WalletId(Uuid);

impl Named for WalletId {
    fn named(text: &str) -> Option<WalletId> {
        text.parse().ok().map(WalletId)
    }

    fn unknown() -> ApiError {
        unknown()
    }
}

/// What every decision on a wallet is asked with.
type Asked = asked::Asked<WalletId>;

impl Asked {
    /// The wallet and its party, for this transaction alone.
    async fn lock(&self, conn: &mut PgConnection) -> Result<(Profile, Shown), ApiError> {
        let owner = record::find(&mut *conn, self.id.0).await?.ok_or_else(unknown)?.party_id;
        let party = parties::lock(&mut *conn, &owner).await?.ok_or_else(unknown)?;
        let record = record::find(&mut *conn, self.id.0).await?.ok_or_else(unknown)?;
        Ok((party, view::one(&self.app, conn, record).await?))
    }

    /// Whether this very decision was taken before, under the same key.
    fn repeats(&self, record: &Record, verdict: Verdict) -> bool {
        let same = |decision: &Decision| {
            decision.verdict == verdict && decision.by == self.viewer.actor() && decision.key == self.key
        };
        self.key.is_some() && record.decision.as_ref().is_some_and(same)
    }

    fn again(&self, status: StatusCode, shown: Shown) -> Result<Response, ApiError> {
        let mut response = (status, Json(WalletView::from(shown))).into_response();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }

    /// Four eyes: whoever registered it does not decide on it.
    fn another(&self, record: &Record) -> Result<(), ApiError> {
        if record.registered_by == Some(self.viewer.actor()) {
            return Err(ApiError::Forbidden(
                "this account has registered the wallet: another one decides on it".into(),
            ));
        }
        Ok(())
    }

    fn decision(&self, verdict: Verdict, rejection: Option<String>) -> Decision {
        Decision { verdict, by: self.viewer.actor(), at: now(), key: self.key.clone(), rejection }
    }
}

/// The reason that a rejection must give.
pub(crate) fn reason(body: &[u8]) -> Result<String, ApiError> {
    let mut body = Object::parse(body)?;
    let reason = body.read("reason", None, |raw| {
        let reason = text_of(1..=1_000)(raw)?;
        if reason.trim().is_empty() { Err("say why".to_owned()) } else { Ok(reason) }
    });
    let errors = body.errors();
    match reason {
        Some(reason) if errors.is_empty() => Ok(reason),
        _ => Err(ApiError::Rejected(errors)),
    }
}

fn unknown() -> ApiError {
    ApiError::NotFound("there is no wallet with this id".into())
}

fn decided(shown: &Shown) -> ApiError {
    ApiError::Conflict(format!("the wallet is {}: it was decided on before", shown.state.as_str()))
}

async fn note(
    conn: &mut PgConnection,
    by: By<'_>,
    action: &str,
    record: &Record,
    detail: Value,
) -> Result<(), ApiError> {
    let detail = json!({
        "by": by.actor,
        "party_id": record.party_id,
        "address": record.address.to_checksum(None),
        "decision": detail,
    });
    Ok(admin::note(conn, by, Note { action, subject: format!("wallet:{}", record.wallet_id), detail }).await?)
}
