//! `/transfer-agent/redemptions`: requests that wait, and what is decided on them.

use alloy::primitives::{B256, U256};
use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sqlx::PgConnection;
use tokenx_contracts::codes::ReasonCode;
use tokenx_contracts::ids::{CommandId, InstrumentId, Scope};
use tokenx_indexer::read::{self, node};
use tokenx_keeper::{AcceptError, Field, NewCommand, Operation, Payout, Refusal};
use utoipa::ToSchema;

use super::course::{Status, Verdict};
use super::record::{self, Case, Decision, Filter, Held, Id, Offer};
use super::request::{page, worth};
use super::view::{self, Redemption, RedemptionPage, Shown};
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::compliance::wallets::reason;
use crate::error::{ApiError, FieldError};
use crate::http::asked::{self, Named};
use crate::http::body::{JsonBody, MaybeJson};
use crate::http::idempotency::REPLAYED;
use crate::http::object::Object;
use crate::http::query::Query;
use crate::tokens::money::{Price, Zero, amount};
use crate::tokens::record as token_record;
use crate::tokens::routes::now;

/// What is paid.
#[derive(Debug, Default, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct RedemptionApproval {
    /// For a whole token, in the currency of the request; what it is worth now unless given, and not more.
    #[schema(required = false, schema_with = crate::openapi::number)]
    price: Option<String>,
}

/// Why not.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct RedemptionRefusal {
    /// What its party is told.
    #[schema(min_length = 1, max_length = 1_000)]
    reason: String,
}

/// Requests, newest first: those that wait for a decision, unless another status is named, or `all`.
#[utoipa::path(
    get,
    path = "/transfer-agent/redemptions",
    params(
        ("status" = Option<String>, Query, description = "held unless given; requested, approving, rejecting, paid, \
            rejected, cancelled, failed, or all"),
        ("party_id" = Option<String>, Query, description = "Only of this party"),
        ("instrument_id" = Option<String>, Query, description = "Only of this instrument"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = RedemptionPage))
)]
pub(crate) async fn redemptions(
    Extract(app): Extract<App>,
    mut query: Query,
) -> Result<Json<RedemptionPage>, ApiError> {
    let status = query.text("status", |text| match text {
        "all" => Ok(None),
        name => Status::parse(name).map(Some).map_err(|known| format!("{known}, or all")),
    });
    let status = status.unwrap_or(Some(Status::Held));
    let filter = Filter {
        party_id: query.text("party_id", |text| {
            if text.contains('\0') { Err("value holds a NUL character") } else { Ok(text.to_owned()) }
        }),
        open: matches!(status, Some(Status::Requested | Status::Held | Status::Approving | Status::Rejecting)),
        ..Filter::default()
    };
    page(&app, query, filter, status).await.map(Json)
}

/// Says yes: the held units are burned and paid for, in one transaction. Whoever asked cannot.
#[utoipa::path(
    post,
    path = "/transfer-agent/redemptions/{redemption_id}/approve",
    params(
        ("redemption_id" = String, Path, description = "The request"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    request_body(content = RedemptionApproval, content_type = "application/json"),
    responses((status = 202, description = "The request, on its way to be paid", body = Redemption))
)]
pub(crate) async fn approve(asked: Asked, MaybeJson(body): MaybeJson) -> Result<Response, ApiError> {
    let mut tx = tokenx_migrations::begin(asked.app.pool()).await?;
    let shown = asked.lock(&mut tx).await?;
    let mut body = Object::parse(&body)?;
    let currency = &shown.case.min_payout.currency;
    let price = body.nullable("price", None, |raw| amount(raw, Some(currency.decimals), Zero::Refused)).flatten();
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    let price = price.map(|price| Price::new(currency.clone(), price.base()));
    if asked.repeats(&shown.case, Verdict::Approved, price.as_ref()) {
        return Ok(again(&shown));
    }
    let held = asked.waits(&mut tx, &shown).await?;
    let offer = asked.offer(&mut tx, &shown, price).await?;
    let (request_id, payout) = (held.request_id, offer.payout.amount.base());
    let instrument = instrument(&shown.case)?;
    let operation = Payout::ApproveRedemption { instrument, request_id, payout, reason: word(&shown.case) };
    asked.decide(tx, shown.case, held, (Some(offer), None), operation.into()).await
}

/// Says no, and why: the units are free again.
#[utoipa::path(
    post,
    path = "/transfer-agent/redemptions/{redemption_id}/reject",
    params(
        ("redemption_id" = String, Path, description = "The request"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    request_body = RedemptionRefusal,
    responses((status = 202, description = "The request, on its way to be let go of", body = Redemption))
)]
pub(crate) async fn reject(asked: Asked, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let reason = reason(&body)?;
    let mut tx = tokenx_migrations::begin(asked.app.pool()).await?;
    let shown = asked.lock(&mut tx).await?;
    if asked.repeats(&shown.case, Verdict::Rejected, None) {
        return Ok(again(&shown));
    }
    let held = asked.waits(&mut tx, &shown).await?;
    let (request_id, instrument) = (held.request_id, instrument(&shown.case)?);
    let operation = Payout::RejectRedemption { instrument, request_id, reason: word(&shown.case) };
    asked.decide(tx, shown.case, held, (None, Some(reason)), operation.into()).await
}

impl Named for Id {
    fn named(text: &str) -> Option<Id> {
        Id::parse(text)
    }

    fn unknown() -> ApiError {
        unknown()
    }
}

/// What every decision on a request is asked with.
type Asked = asked::Asked<Id>;

impl Asked {
    /// The request. Nobody else decides on one of its token meanwhile.
    async fn lock(&self, conn: &mut PgConnection) -> Result<Shown, ApiError> {
        let chain_id = self.app.chain_id();
        let case = record::find(&mut *conn, chain_id, &self.id).await?.ok_or_else(unknown)?;
        token_record::lock(conn, &case.token_id, None).await?;
        let case = record::find(&mut *conn, chain_id, &self.id).await?.ok_or_else(unknown)?;
        view::one(conn, case).await
    }

    /// Whether this very decision was taken before, under the same key.
    fn repeats(&self, case: &Case, verdict: Verdict, price: Option<&Price>) -> bool {
        let same = |decision: &Decision| {
            let asked = decision.offer.as_ref().map(|offer| &offer.price);
            decision.verdict == verdict
                && decision.by == self.viewer.actor()
                && decision.key == self.key
                && (price.is_none() || price == asked)
        };
        self.key.is_some() && case.decision.as_ref().is_some_and(same)
    }

    /// What the desk holds, where somebody else than the one who asked is to decide on it. Its number is believed once it
    /// is confirmed: a reorg could give it to another request.
    async fn waits(&self, conn: &mut PgConnection, shown: &Shown) -> Result<Held, ApiError> {
        if shown.case.requested_by.as_ref() == Some(&self.viewer.actor()) {
            return Err(ApiError::Forbidden("this account has asked for it: another one decides on it".into()));
        }
        let held = match (shown.status, shown.case.held) {
            (Status::Held, Some(held)) => held,
            (Status::Requested, _) => {
                return Err(ApiError::Conflict("the desk does not hold the units yet: try again shortly".into()));
            }
            (status, _) => {
                let detail = format!("the request is {}: there is nothing to decide on", status.as_str());
                return Err(ApiError::Conflict(detail));
            }
        };
        let confirmed = read::as_of(conn, self.app.chain_id()).await?;
        if confirmed.is_none_or(|confirmed| confirmed.block < held.block) {
            return Err(ApiError::Conflict("the hold is not confirmed yet: try again shortly".into()));
        }
        Ok(held)
    }

    /// What is paid: no less than was signed, no more than the desk's terms and its fund allow.
    async fn offer(&self, conn: &mut PgConnection, shown: &Shown, price: Option<Price>) -> Result<Offer, ApiError> {
        let (case, nav) = (&shown.case, shown.nav.clone());
        let refuse = |field, code, message| Err(ApiError::Rejected(vec![FieldError::refused(field, code, message)]));
        let currency = &case.min_payout.currency;
        let price = match price {
            Some(price) => price,
            None if nav.price.currency == *currency => nav.price.clone(),
            None => {
                let message = "the token is worth something in another currency: send the price".to_owned();
                return refuse("price", ReasonCode::WrongPaymentToken, message);
            }
        };
        let token = read::instrument(&mut *conn, self.app.chain_id(), &case.instrument_id).await?;
        let token = token.ok_or_else(|| ApiError::internal("a redemption of a token that is not there"))?.token;
        let desk = read::contracts_of_token(&mut *conn, self.app.chain_id(), token).await?.redemption_desk;
        let desk = desk.ok_or_else(|| ApiError::internal("a redemption at no desk"))?;
        let unit = U256::from(10).saturating_pow(U256::from(case.quantity.decimals()));
        let units = worth(case.quantity.base(), price.amount.base(), unit);
        let payout = Price::new(currency.clone(), units);
        if units < case.min_payout.amount.base() {
            let (payout, least) = (payout.amount, case.min_payout.amount);
            return refuse("price", ReasonCode::PayoutTooLow, format!("{payout} is below the {least} that was signed"));
        }
        let terms = node::redemption_terms(&mut *conn, self.app.chain_id(), desk, token).await?;
        let most = terms
            .filter(|terms| terms.payment_token == currency.address)
            .map_or(U256::ZERO, |terms| worth(case.quantity.base(), terms.max_price, unit));
        if units > most {
            let (payout, most) = (payout.amount, Price::new(currency.clone(), most).amount);
            let message = format!(
                "{payout} is above the {most} that the desk pays: it follows what the token is worth, say a new price first"
            );
            return refuse("price", ReasonCode::PayoutTooHigh, message);
        }
        let funds = node::funds_of_token(&mut *conn, self.app.chain_id(), token).await?;
        let fund = funds.iter().find(|fund| fund.contract == desk && fund.payment_token == currency.address);
        let promised = record::promised(conn, self.app.chain_id(), &case.token_id, currency.address).await?;
        let left = fund.map_or(U256::ZERO, |fund| fund.available).saturating_sub(promised);
        if units > left {
            let (payout, left) = (payout.amount, Price::new(currency.clone(), left).amount);
            let message = format!("{payout} is more than the {left} that the token's redemption fund has left");
            return refuse("price", ReasonCode::RedemptionUnfunded, message);
        }
        Ok(Offer { price, payout, nav })
    }

    /// Writes the decision and has the keeper carry it out.
    async fn decide(
        &self,
        mut tx: sqlx::Transaction<'static, sqlx::Postgres>,
        case: Case,
        held: Held,
        (offer, rejection): (Option<Offer>, Option<String>),
        operation: Operation,
    ) -> Result<Response, ApiError> {
        let verdict = if offer.is_some() { Verdict::Approved } else { Verdict::Rejected };
        let attempt = record::next_attempt(&mut tx, &case.token_id, held.request_id).await?;
        let kind = if verdict == Verdict::Approved { "redemption_approve" } else { "redemption_reject" };
        let command_id = format!("{kind}:{}:{}:{attempt}", case.token_id, held.request_id);
        let command_id = CommandId::parse(command_id).map_err(ApiError::internal)?;
        let actor = self.viewer.actor();
        let command = NewCommand {
            scope: Scope::System,
            command_id: command_id.clone(),
            operation,
            requested_by: actor.clone(),
            request_id: self.request_id.0.to_string(),
            answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
            valid_until: None,
        };
        self.app.commands().accept_in(&mut tx, &command).await.map_err(refused)?;
        let detail = json!({
            "party_id": case.party_id,
            "token_id": case.token_id,
            "price": offer.as_ref().map(|offer| offer.price.amount.to_string()),
            "payout": offer.as_ref().map(|offer| offer.payout.amount.to_string()),
            "reason": rejection,
            "command_id": command_id,
        });
        let decision = Decision {
            attempt,
            verdict,
            offer,
            rejection,
            by: actor.clone(),
            at: now(),
            key: self.key.clone(),
            command: command_id.into_string(),
        };
        record::decide(&mut tx, &case, held.request_id, &decision).await?;
        let action = if verdict == Verdict::Approved { "redemption.approve" } else { "redemption.reject" };
        let by = By { actor: &actor, request_id: Some(&self.request_id.0) };
        admin::note(&mut tx, by, Note { action, subject: format!("redemption:{}", case.id), detail }).await?;
        let shown = view::one(&mut tx, Case { decision: Some(decision), ..case }).await?;
        tx.commit().await?;
        self.app.commands().wake();
        Ok((StatusCode::ACCEPTED, Json(Redemption::from(&shown))).into_response())
    }
}

fn again(shown: &Shown) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(Redemption::from(shown))).into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn instrument(case: &Case) -> Result<InstrumentId, ApiError> {
    InstrumentId::parse(case.instrument_id.as_str()).map_err(ApiError::internal)
}

/// The word in the event: the request's id, where it was made here.
fn word(case: &Case) -> B256 {
    match case.id {
        Id::Ours(id) => B256::from(U256::from(id.as_u128())),
        Id::Direct(..) => B256::ZERO,
    }
}

/// What a client hears of a decision that the keeper did not take.
fn refused(error: AcceptError) -> ApiError {
    match error {
        AcceptError::Refused(Refusal { code, field, message }) => {
            let field = if field == Field::Amount { "price" } else { "redemption_id" };
            ApiError::Rejected(vec![FieldError::refused(field, code, message)])
        }
        AcceptError::Database(error) => error.into(),
        conflict @ AcceptError::Conflict(_) => ApiError::internal(conflict),
    }
}

fn unknown() -> ApiError {
    ApiError::NotFound("there is no redemption with this id".into())
}
