//! `POST /offerings/{offering_id}/publish|approve|reject`: its issuer asks, another account decides, the keeper lists.

use alloy::primitives::U256;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use time::OffsetDateTime;

use super::body::Rejection;
use super::course::{Act, State, Status, Step};
use super::facts::{self, Facts};
use super::listing;
use super::record::{self, Decision, Record};
use super::routes::{by, lock, note, open};
use super::view::{self, Offering};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::http::body::{JsonBody, MaybeJson};
use crate::http::envelope::RequestId;
use crate::http::object::{Object, text_of};
use crate::tokens::routes::now;
use crate::tokens::status::Status as TokenStatus;

/// Asks for a decision. What the offering lacks is listed, all of it.
#[utoipa::path(
    post,
    path = "/offerings/{offering_id}/publish",
    params(("offering_id" = Uuid, Path, description = "The offering")),
    responses((status = 200, description = "The offering, which waits for a decision", body = Offering))
)]
pub(crate) async fn publish(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    MaybeJson(body): MaybeJson,
) -> Result<Response, ApiError> {
    nothing(&body)?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let was = lock(&mut tx, &viewer, id).await?;
    let state = was.state.after(Act::Publish).ok_or_else(|| beyond(&was))?;
    open(&app, &mut tx, &was).await?;
    let now = now();
    let facts = facts::of_one(&mut tx, app.chain_id(), &was).await?;
    complete(&was, &facts, now)?;
    let published = Some((viewer.actor(), now));
    let record = Record { state, published, rejection: None, ..was }.touched(now);
    record::write(&mut tx, &record).await?;
    note(&mut tx, by(&viewer.actor(), &request_id), "offering.publish", &record, json!({})).await?;
    let answer = view::answer(&app, &mut tx, StatusCode::OK, record).await?;
    tx.commit().await?;
    Ok(answer)
}

/// Says yes, and has the keeper set the offering's terms and list its token. Whoever published it cannot. Where the
/// listing has come to nothing (`listing.problem`), another yes tries again.
#[utoipa::path(
    post,
    path = "/offerings/{offering_id}/approve",
    params(("offering_id" = Uuid, Path, description = "The offering")),
    responses((status = 202, description = "The offering, whose listing is on its way", body = Offering))
)]
pub(crate) async fn approve(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    MaybeJson(body): MaybeJson,
) -> Result<Response, ApiError> {
    nothing(&body)?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let was = lock(&mut tx, &viewer, id).await?;
    let state = was.state.after(Act::Approve).ok_or_else(|| undecidable(&was))?;
    another(&was, &viewer)?;
    open(&app, &mut tx, &was).await?;
    let now = now();
    let facts = facts::of_one(&mut tx, app.chain_id(), &was).await?;
    let course = facts.course(&was, now);
    if was.state == State::Approved && (course.next() != Step::Stuck || course.status() != Status::Approved) {
        return Err(undecidable(&was));
    }
    complete(&was, &facts, now)?;
    let record = Record { state, round: was.round + 1, settled: false, ..decided(was, &viewer, &request_id, now) };
    record::write(&mut tx, &record).await?;
    note(&mut tx, by(&viewer.actor(), &request_id), "offering.approve", &record, json!({ "round": record.round }))
        .await?;
    let record = listing::step(&app, &mut tx, record).await?;
    let answer = view::answer(&app, &mut tx, StatusCode::ACCEPTED, record).await?;
    tx.commit().await?;
    app.commands().wake();
    Ok(answer)
}

/// Says no, and why. Its issuer may change it and publish it again.
#[utoipa::path(
    post,
    path = "/offerings/{offering_id}/reject",
    params(("offering_id" = Uuid, Path, description = "The offering")),
    request_body = Rejection,
    responses((status = 200, description = "The offering, which its issuer may change again", body = Offering))
)]
pub(crate) async fn reject(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let was = lock(&mut tx, &viewer, id).await?;
    let mut body = Object::parse(&body)?;
    let reason = body.read("reason", None, |raw| {
        let reason = text_of(1..=1_000)(raw)?;
        if reason.trim().is_empty() { Err("say why".to_owned()) } else { Ok(reason) }
    });
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    let state = was.state.after(Act::Reject).ok_or_else(|| undecidable(&was))?;
    another(&was, &viewer)?;
    let now = now();
    let record = Record { state, rejection: reason, ..decided(was, &viewer, &request_id, now) };
    record::write(&mut tx, &record).await?;
    let detail = json!({ "reason": record.rejection });
    note(&mut tx, by(&viewer.actor(), &request_id), "offering.reject", &record, detail).await?;
    let answer = view::answer(&app, &mut tx, StatusCode::OK, record).await?;
    tx.commit().await?;
    Ok(answer)
}

fn decided(was: Record, viewer: &Viewer, request_id: &RequestId, now: OffsetDateTime) -> Record {
    let decision = Decision { by: viewer.actor(), at: now, request_id: request_id.0.to_string() };
    Record { decision: Some(decision), ..was.touched(now) }
}

/// Four eyes: whoever asked for the decision does not take it.
fn another(record: &Record, viewer: &Viewer) -> Result<(), ApiError> {
    match &record.published {
        Some((publisher, _)) if *publisher == viewer.actor() => {
            Err(ApiError::Forbidden("this account has published the offering: another one decides on it".into()))
        }
        _ => Ok(()),
    }
}

fn beyond(record: &Record) -> ApiError {
    ApiError::Conflict(format!("the offering is {}: it was published before", record.state.as_str()))
}

fn undecidable(record: &Record) -> ApiError {
    ApiError::Conflict(match record.state {
        State::Approved => "the offering was approved before".to_owned(),
        state => format!("the offering is {}: there is nothing to decide on", state.as_str()),
    })
}

/// A body that has nothing to say.
fn nothing(body: &[u8]) -> Result<(), ApiError> {
    let errors = Object::parse(body)?.errors();
    if errors.is_empty() { Ok(()) } else { Err(ApiError::Rejected(errors)) }
}

/// Whether nothing stands between the offering and its listing.
///
/// # Errors
/// All that does, by the member it is about.
fn complete(record: &Record, facts: &Facts, now: OffsetDateTime) -> Result<(), ApiError> {
    let terms = &record.terms;
    let mut lacks: Vec<FieldError> = Vec::new();
    let mut lack = |field, message: String| lacks.push(FieldError::body(field, "missing", message));
    if terms.exemption.is_none() {
        lack("exemption", "say under which exemption it is sold: 506b, 506c or reg_s".into());
    }
    if terms.closes_at.is_some_and(|closes| closes <= now) {
        lack("closes_at", "the window is over before it was open".into());
    }
    let listed = terms.listed(facts.token.draft.max_supply);
    let count = |quantity: i64| U256::from(quantity.unsigned_abs());
    if listed.is_zero() {
        lack("salable_percentage", "no whole token is for sale".into());
    } else if count(terms.min_purchase) > listed {
        lack("min_purchase_quantity", format!("{} are more than the {listed} for sale", terms.min_purchase));
    }
    if count(terms.max_fees) > listed {
        lack("max_fee_quantity", format!("{} are more than the {listed} for sale", terms.max_fees));
    }
    let most = facts.token.draft.max_supply;
    if terms.max_purchase.is_some_and(|quantity| count(quantity) > most) {
        lack("max_purchase_quantity", format!("there will never be more than {most}: use that, or null"));
    }
    match &facts.chain.deployment {
        None => lack("token_id", format!("the token is {}: deploy it first", TokenStatus::of(&facts.chain).name())),
        Some(deployed) => match &deployed.listing {
            None => lack("token_id", "the token's node has no listing contract".into()),
            Some(sale) => {
                let (sold, fees) = (sale.sold / deployed.unit, sale.fees / deployed.unit);
                if sold > listed {
                    lack("salable_percentage", format!("{sold} are sold already, and {listed} would be for sale"));
                }
                if fees > count(terms.max_fees) {
                    lack("max_fee_quantity", format!("{fees} are set aside for fees already"));
                }
            }
        },
    }
    if lacks.is_empty() { Ok(()) } else { Err(ApiError::Rejected(lacks)) }
}
