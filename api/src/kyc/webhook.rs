//! `POST /webhooks/kyc/sumsub`: what the provider says. Believed by its digest alone; heard once, however often it comes;
//! and what an older word says never outdoes a newer one.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::course::later;
use super::digest::{self, Doubt};
use super::event::Event;
use super::{consequence, record};
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::error::{ApiError, FieldError};
use crate::http::body::RawBody;
use crate::http::envelope::RequestId;
use crate::store::parties;
use crate::tokens::routes::now;
use crate::wallets::state::Wish;

/// Where webhooks come in.
pub const PATH: &str = "/webhooks/kyc/sumsub";

/// What became of a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct Heard {
    /// applied; known: it came before; older: something newer is known; ignored: it is about nobody, or nothing, that
    /// matters here.
    result: &'static str,
}

/// What the KYC provider says of an applicant, signed.
#[utoipa::path(
    post,
    path = "/webhooks/kyc/sumsub",
    params(
        ("x-payload-digest" = String, Header, description = "HMAC of the body, hexadecimal"),
        ("x-payload-digest-alg" = Option<String>, Header, description = "HMAC_SHA256_HEX unless given, or HMAC_SHA512_HEX"),
    ),
    request_body = Object,
    responses((status = 200, description = "It was heard", body = Heard))
)]
pub(crate) async fn receive(
    Extract(app): Extract<App>,
    request_id: RequestId,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Json<Heard>, ApiError> {
    let Some(kyc) = app.kyc() else { return Err(ApiError::NotFound("no KYC provider is in use here".into())) };
    digest::check(&kyc.webhook_secret, &headers, &body).map_err(|doubt| match doubt {
        Doubt::Forged => ApiError::Unauthenticated("the digest is not this body's under the webhook's secret"),
        malformed => {
            ApiError::Rejected(vec![FieldError::query("x-payload-digest", "value_error", malformed.to_string())])
        }
    })?;
    let event = Event::read(&body).map_err(|error| {
        ApiError::Rejected(vec![FieldError::broken_body(format!("the body is no webhook: {error}"))])
    })?;
    let heard = |result| Ok(Json(Heard { result }));
    let Some(event) = event else { return heard("ignored") };
    let provider = kyc.provider.name();
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let Some(known) = record::by_external_id(&mut *tx, provider, &event.external_id).await? else {
        // Not an error, or it would be sent again and again.
        tracing::info!(external_id = event.external_id, "a KYC webhook about nobody we know");
        return heard("ignored");
    };
    let party = parties::lock(&mut tx, &known.party_id).await?;
    let was = record::find(&mut *tx, known.applicant_id).await?;
    let (Some(party), Some(was)) = (party, was) else {
        return Err(ApiError::internal("an application that is gone, or its party"));
    };
    if !record::hear(&mut tx, &was, &event).await? {
        return heard("known");
    }
    let Some(said) = event.said() else {
        tx.commit().await?;
        return heard("ignored");
    };
    if later(was.said, said) != said {
        tx.commit().await?;
        return heard("older");
    }
    let comment = event.comment.as_deref();
    record::say(&mut tx, &was, said, (&event.provider_id, comment)).await?;
    let is = record::Record { said: Some(said), ..was.clone() };
    let (before, after) = (was.status(now()), is.status(now()));
    let counts =
        record::newest(&mut *tx, &party.party_id).await?.is_some_and(|new| new.applicant_id == is.applicant_id);
    let actor = format!("provider:{provider}");
    let by = By { actor: &actor, request_id: Some(&request_id.0) };
    let wish = match (before.is_good(), after.is_good()) {
        (true, false) => Some(Wish::Revoke),
        (false, true) => Some(Wish::Whitelist),
        _ => None,
    };
    let commands = match wish.filter(|_| counts) {
        Some(wish) => consequence::follow(&app, &mut tx, by, (&party, wish)).await?,
        None => Vec::new(),
    };
    let detail = json!({
        "party_id": party.party_id,
        "word": said.word.as_str(),
        "said_at_ms": said.at,
        "comment": comment,
        "status": after.as_str(),
        "commands": commands,
    });
    let subject = format!("applicant:{}", is.applicant_id);
    admin::note(&mut tx, by, Note { action: "kyc.said", subject, detail }).await?;
    tx.commit().await?;
    app.commands().wake();
    heard("applied")
}
