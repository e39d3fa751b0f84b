//! `POST /compliance/applicants/{applicant_id}/approve|reject`: an officer decides, once, and the registry follows.

use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sqlx::{PgConnection, Postgres, Transaction};
use tokenx_contracts::codes::ReasonCode;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::wallets::{Refusal, reason};
use super::view::ApplicantView;
use crate::admin::{self, By, Note};
use crate::error::{ApiError, FieldError};
use crate::http::asked::{self, Named};
use crate::http::body::{JsonBody, MaybeJson};
use crate::http::idempotency::REPLAYED;
use crate::http::object::{Object, instant, integer, text_of};
use crate::kyc::consequence;
use crate::kyc::course::Word;
use crate::kyc::record::{self, Approval, Decision, Outcome, Record};
use crate::store::parties::{self, Profile};
use crate::tokens::details::timestamp;
use crate::tokens::routes::now;
use crate::wallets::state::Wish;

/// What is to be said of an applicant. What it leaves out is what the provider found, else what is known of the party.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct ApprovalRequest {
    /// ISO 3166-1 numeric.
    #[schema(required = false, nullable = false, minimum = 1, maximum = 999)]
    country: Option<u16>,
    /// As the platform numbers it; 0 = not given.
    #[schema(required = false, nullable = false, minimum = 0, maximum = 255)]
    investor_class: Option<u8>,
    /// On what its accreditation rests; null: it is not accredited.
    #[schema(required = false, min_length = 1, max_length = 200)]
    accreditation_method: Option<String>,
    /// When the accreditation ends; null: never.
    #[schema(required = false, format = DateTime)]
    accredited_until: Option<String>,
    /// When the approval ends; `kyc.valid_days` from now unless given.
    #[schema(required = false, nullable = false, format = DateTime)]
    kyc_expires_at: Option<String>,
    /// Why, where the provider has not found it good.
    #[schema(required = false, nullable = false, min_length = 1, max_length = 1_000)]
    override_reason: Option<String>,
}

/// Says yes, and what the registry is to say of the party's wallets. Against the provider's word only with a reason.
#[utoipa::path(
    post,
    path = "/compliance/applicants/{applicant_id}/approve",
    params(
        ("applicant_id" = Uuid, Path, description = "The application"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    request_body(content = ApprovalRequest, content_type = "application/json"),
    responses((status = 200, description = "The application, approved", body = ApplicantView))
)]
pub(crate) async fn approve(asked: Asked, MaybeJson(body): MaybeJson) -> Result<Response, ApiError> {
    let mut tx = tokenx_migrations::begin(asked.app.pool()).await?;
    let (party, record) = asked.lock(&mut tx).await?;
    let approval = asked.approval(&body, &party, &record)?;
    if asked.repeats(&record, |outcome| matches!(outcome, Outcome::Approved(_))) {
        return Ok(asked.again(record));
    }
    asked.decidable(&mut tx, &record).await?;
    consequence::spotless(&asked.app, &mut tx, &party, "applicant_id").await?;
    let good = record.said.is_some_and(|said| said.word == Word::Good);
    if !good && approval.override_reason.is_none() {
        let word = record.said.map_or("said nothing yet", |said| said.word.as_str());
        let message = format!("the provider's word is {word}: against it an approval says why");
        let refused = FieldError::refused("override_reason", ReasonCode::KycNotApproved, message);
        return Err(ApiError::Rejected(vec![refused]));
    }
    let party = Profile {
        country: approval.country,
        investor_class: approval.investor_class,
        kyc_expires_at: approval.kyc_expires_at,
        ..party
    };
    let detail = json!({
        "country": approval.country,
        "investor_class": approval.investor_class,
        "accreditation_method": approval.accreditation_method,
        "accredited_until": approval.accredited_until.map(timestamp),
        "kyc_expires_at": approval.kyc_expires_at.map(timestamp),
        "override_reason": approval.override_reason,
    });
    asked
        .decide(tx, record, (&party, Wish::Whitelist), (Outcome::Approved(approval), "applicant.approve", detail))
        .await
}

/// Says no, and why. The party's wallets are taken off the registry's list.
#[utoipa::path(
    post,
    path = "/compliance/applicants/{applicant_id}/reject",
    params(
        ("applicant_id" = Uuid, Path, description = "The application"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    request_body = Refusal,
    responses((status = 200, description = "The application, rejected", body = ApplicantView))
)]
pub(crate) async fn reject(asked: Asked, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let reason = reason(&body)?;
    let mut tx = tokenx_migrations::begin(asked.app.pool()).await?;
    let (party, record) = asked.lock(&mut tx).await?;
    if asked.repeats(&record, |outcome| matches!(outcome, Outcome::Rejected(_))) {
        return Ok(asked.again(record));
    }
    asked.decidable(&mut tx, &record).await?;
    let detail = json!({ "reason": reason });
    asked.decide(tx, record, (&party, Wish::Revoke), (Outcome::Rejected(reason), "applicant.reject", detail)).await
}

/// An application's id.
#[derive(Debug)]
pub(crate) struct ApplicantId(Uuid);

impl Named for ApplicantId {
    fn named(text: &str) -> Option<ApplicantId> {
        text.parse().ok().map(ApplicantId)
    }

    fn unknown() -> ApiError {
        unknown()
    }
}

/// What every decision on an application is asked with.
type Asked = asked::Asked<ApplicantId>;

impl Asked {
    /// The application and its party, for this transaction alone.
    async fn lock(&self, conn: &mut PgConnection) -> Result<(Profile, Record), ApiError> {
        let owner = record::find(&mut *conn, self.id.0).await?.ok_or_else(unknown)?.party_id;
        let party = parties::lock(&mut *conn, &owner).await?.ok_or_else(unknown)?;
        let record = record::find(&mut *conn, self.id.0).await?.ok_or_else(unknown)?;
        Ok((party, record))
    }

    /// Whether this very decision was taken before, under the same key.
    fn repeats(&self, record: &Record, same: impl Fn(&Outcome) -> bool) -> bool {
        let repeated = |decision: &Decision| {
            decision.by == self.viewer.actor() && decision.key == self.key && same(&decision.outcome)
        };
        self.key.is_some() && record.decision.as_ref().is_some_and(repeated)
    }

    fn again(&self, record: Record) -> Response {
        let mut response = (StatusCode::OK, Json(ApplicantView::from(record))).into_response();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }

    /// Refuses a second decision, one on an application that is past, and one's own.
    async fn decidable(&self, conn: &mut PgConnection, record: &Record) -> Result<(), ApiError> {
        if record.stands() {
            let status = record.status(now()).as_str();
            return Err(ApiError::Conflict(format!("the application is {status}: it was decided on before")));
        }
        let newest = record::newest(conn, &record.party_id).await?;
        if newest.is_some_and(|newest| newest.applicant_id != record.applicant_id) {
            return Err(ApiError::Conflict("a newer application of this party has taken its place".into()));
        }
        if record.begun_by == self.viewer.actor() {
            return Err(ApiError::Forbidden(
                "this account has begun the application: another one decides on it".into(),
            ));
        }
        Ok(())
    }

    /// What the body says of the party; what it leaves out is what is known.
    fn approval(&self, body: &[u8], party: &Profile, record: &Record) -> Result<Approval, ApiError> {
        let now = now();
        let future = |name: &'static str| {
            move |raw: &serde_json::value::RawValue| {
                let time = instant(raw)?;
                if time <= now { Err(format!("{name} has passed: give a time to come")) } else { Ok(time) }
            }
        };
        let found = record.facts.as_ref().and_then(|facts| facts.country);
        let days = i64::from(self.app.settings().kyc.valid_days);
        let until = now.saturating_add(time::Duration::days(days));
        let mut body = Object::parse(body)?;
        let country = body.read("country", Some(&found.unwrap_or(party.country)), integer(1..=999));
        let class = body.read("investor_class", Some(&party.investor_class), integer(0..=255));
        let method = body.nullable("accreditation_method", None, text_of(1..=200));
        let accredited = body.nullable("accredited_until", None, future("accredited_until"));
        let expires = body.read("kyc_expires_at", Some(&until), future("kyc_expires_at"));
        let why = body.read("override_reason", Some(&None), |raw| text_of(1..=1_000)(raw).map(Some));
        if let (Some(None), Some(Some(_))) = (&method, &accredited) {
            body.refuse("accredited_until", "an accreditation rests on something: give accreditation_method");
        }
        if let Some(Some(why)) = &why
            && why.trim().is_empty()
        {
            body.refuse("override_reason", "say why");
        }
        let errors = body.errors();
        match (country, class, method, accredited, expires, why) {
            (
                Some(country),
                Some(class),
                Some(method),
                Some(accredited_until),
                Some(expires),
                Some(override_reason),
            ) if errors.is_empty() => {
                Ok(Approval {
                    country,
                    investor_class: class,
                    accreditation_method: method,
                    accredited_until,
                    // The registry counts whole seconds.
                    kyc_expires_at: Some(expires.replace_nanosecond(0).unwrap_or(expires)),
                    override_reason,
                })
            }
            _ => Err(ApiError::Rejected(errors)),
        }
    }

    async fn decide(
        &self,
        mut tx: Transaction<'static, Postgres>,
        mut record: Record,
        follows: (&Profile, Wish),
        (outcome, action, detail): (Outcome, &str, Value),
    ) -> Result<Response, ApiError> {
        let actor = self.viewer.actor();
        let by = By { actor: &actor, request_id: Some(&self.request_id.0) };
        let on = record.said.map(|said| said.at);
        let decision = Decision { by: actor.clone(), at: now(), on, key: self.key.clone(), outcome };
        record::decide(&mut tx, &record, &decision).await?;
        let commands = consequence::follow(&self.app, &mut tx, by, follows).await?;
        let detail = json!({
            "by": actor,
            "party_id": record.party_id,
            "provider_word": record.said.map(|said| said.word.as_str()),
            "decision": detail,
            "commands": commands,
        });
        let subject = format!("applicant:{}", record.applicant_id);
        admin::note(&mut tx, by, Note { action, subject, detail }).await?;
        tx.commit().await?;
        self.app.commands().wake();
        record.decision = Some(decision);
        Ok((StatusCode::OK, Json(ApplicantView::from(record))).into_response())
    }
}

fn unknown() -> ApiError {
    ApiError::NotFound("there is no application with this id".into())
}
