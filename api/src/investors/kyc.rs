//! `/investors/kyc`: beginning an application, and where it stands.

use axum::Json;
use axum::extract::State as Extract;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use tokenx_indexer::read;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{lock, party_of};
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::body::MaybeJson;
use crate::http::envelope::RequestId;
use crate::http::object::{Object, text};
use crate::kyc::course::Status;
use crate::kyc::provider::Kind;
use crate::kyc::record::{self, Outcome, Record};
use crate::tokens::details::timestamp;
use crate::tokens::routes::now;

/// Who applies.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct KycRequest {
    /// individual unless given; company: its beneficial owners are looked at too.
    #[schema(required = false, pattern = "^(individual|company)$")]
    kind: Option<String>,
}

/// With what the applicant's page talks to the provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct KycStart {
    /// For the provider's own page or app.
    #[serde(rename = "applicantToken")]
    applicant_token: String,
    applicant_id: Uuid,
    /// From then on the token is not taken; ask for another one.
    #[schema(format = DateTime)]
    expires_at: String,
    /// individual or company.
    kind: &'static str,
    /// Who looks at the papers.
    provider: &'static str,
}

/// Where a party's KYC stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct KycStatus {
    /// not_started; pending: the applicant has to hand something in; in_review: the provider or an officer is at it;
    /// approved; rejected; expired.
    status: &'static str,
    /// Why it was rejected, or what is to be mended.
    #[schema(required)]
    reason: Option<String>,
    /// The newest application; null before one.
    #[schema(required)]
    applicant_id: Option<Uuid>,
    /// individual or company.
    #[schema(required)]
    kind: Option<&'static str>,
    #[schema(required, format = DateTime)]
    started_at: Option<String>,
    #[schema(required, format = DateTime)]
    decided_at: Option<String>,
    /// When an approval ends; null: never.
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
}

/// Begins an application, or goes on with the one that is open, with a fresh token. After a rejection, or an end, it is a
/// new one.
#[utoipa::path(
    post,
    path = "/investors/kyc/start",
    request_body(content = KycRequest, content_type = "application/json"),
    responses((status = 200, description = "The application", body = KycStart))
)]
pub(crate) async fn start(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    MaybeJson(body): MaybeJson,
) -> Result<Json<KycStart>, ApiError> {
    let mut body = Object::parse(&body)?;
    let kind = body.nullable("kind", None, |raw| Kind::parse(&text(raw)?));
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    let Some(kyc) = app.kyc() else {
        return Err(ApiError::Unavailable("no KYC provider is in use here: ask the platform's operator".into()));
    };
    let asked = kind.flatten();
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let party = lock(&app, &mut tx, &viewer).await?;
    let newest = record::newest(&mut *tx, &party.party_id).await?;
    let status = newest.as_ref().map(|record| record.status(now()));
    let open = match (newest, status) {
        (Some(record), Some(Status::Approved)) => {
            let until = record.until().map_or_else(String::new, |until| format!(" until {}", timestamp(until)));
            return Err(ApiError::Conflict(format!("the party's KYC is approved{until}")));
        }
        (Some(record), Some(Status::Pending | Status::InReview)) if record.provider == kyc.provider.name() => {
            if asked.is_some_and(|kind| kind != record.kind) {
                let detail = format!("an application as {} is open: finish that one", record.kind.as_str());
                return Err(ApiError::Conflict(detail));
            }
            record
        }
        (last, _) => {
            let number = last.map_or(0, |record| record.number).saturating_add(1);
            let record = Record {
                applicant_id: Uuid::now_v7(),
                number,
                kind: asked.unwrap_or(Kind::Individual),
                provider: kyc.provider.name().to_owned(),
                external_id: format!("{number}:{}", party.party_id),
                party_id: party.party_id,
                begun_by: viewer.actor(),
                said: None,
                comment: None,
                facts: None,
                decision: None,
                created_at: now(),
            };
            record::insert(&mut tx, &record).await?;
            let by = By { actor: &record.begun_by, request_id: Some(&request_id.0) };
            let detail = json!({
                "party_id": record.party_id,
                "kind": record.kind.as_str(),
                "provider": record.provider,
                "external_id": record.external_id,
            });
            let subject = format!("applicant:{}", record.applicant_id);
            admin::note(&mut tx, by, Note { action: "kyc.start", subject, detail }).await?;
            record
        }
    };
    // Nobody waits for the provider with a lock in hand; where it is of no use, the application stays for the next try.
    tx.commit().await?;
    let token = kyc.provider.token(&open.external_id, open.kind).await.map_err(|error| {
        tracing::error!(error = %error, "no token for a KYC applicant");
        ApiError::Unavailable("the KYC provider is of no use at the moment: try again shortly".into())
    })?;
    Ok(Json(KycStart {
        applicant_token: token.secret.expose_secret().to_owned(),
        applicant_id: open.applicant_id,
        expires_at: timestamp(token.expires_at),
        kind: open.kind.as_str(),
        provider: kyc.provider.name(),
    }))
}

/// Where the party's KYC stands.
#[utoipa::path(
    get,
    path = "/investors/kyc/status",
    responses((status = 200, description = "Where it stands", body = KycStatus))
)]
pub(crate) async fn status(Extract(app): Extract<App>, viewer: Viewer) -> Result<Json<KycStatus>, ApiError> {
    let mut tx = read::snapshot(app.pool()).await?;
    let newest = record::newest(&mut *tx, party_of(&viewer)?).await?;
    let status = newest.as_ref().map_or(Status::NotStarted, |record| record.status(now()));
    let decision = newest.as_ref().filter(|record| record.stands()).and_then(|record| record.decision.as_ref());
    Ok(Json(KycStatus {
        status: status.as_str(),
        reason: newest.as_ref().and_then(Record::reason).map(str::to_owned),
        applicant_id: newest.as_ref().map(|record| record.applicant_id),
        kind: newest.as_ref().map(|record| record.kind.as_str()),
        started_at: newest.as_ref().map(|record| timestamp(record.created_at)),
        decided_at: decision.map(|decision| timestamp(decision.at)),
        expires_at: decision.and_then(|decision| match &decision.outcome {
            Outcome::Approved(approval) => approval.kyc_expires_at.map(timestamp),
            Outcome::Rejected(_) => None,
        }),
    }))
}
