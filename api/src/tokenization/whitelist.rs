//! `POST /tokenization/whitelist`: writes a wallet's record into the registry. Of a wallet that waits for a decision it is
//! the yes: under the same four eyes, in the same transaction.

use axum::response::Response;
use serde_json::json;
use sqlx::PgConnection;
use tokenx_contracts::ReasonCode;
use tokenx_keeper::{AcceptError, Operation};
use utoipa::ToSchema;

use super::body::{Body, declined};
use super::intake::Declined;
use super::routes::{Request, Taken, unread};
use crate::admin::{self, By, Note};
use crate::error::{ApiError, FieldError};
use crate::http::body::JsonBody;
use crate::kyc::consequence;
use crate::store::parties;
use crate::tokens::routes::now;
use crate::wallets::record::{self, Decision, Record};
use crate::wallets::registry;
use crate::wallets::state::Verdict;

/// What whitelist takes.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read member by member, so that every bad one is named")]
pub struct WhitelistOrder {
    /// The client's name for this command; without one, `Idempotency-Key` names it.
    #[schema(required = false, min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    command_id: Option<String>,
    /// The wallet's id, or its address.
    wallet_id: String,
}

/// Writes a wallet's record into the registry, as its party's stands here, whitelisted; its party's KYC is approved. That is a yes to a wallet that waits
/// for one, which whoever registered it cannot say.
#[utoipa::path(
    post,
    path = "/tokenization/whitelist",
    params(("idempotency-key" = Option<String>, Header, description = "Names the command where `command_id` does not")),
    request_body = WhitelistOrder,
    responses((status = 202, description = "The command", body = Taken))
)]
pub(crate) async fn whitelist(request: Request, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let mut body = Body::parse(&request.app, &body)?;
    let command_id = body.command_id(request.key.as_ref());
    let wallet = body.wallet("wallet_id").await?;
    body.finish()?;
    let (command_id, wallet) = command_id.zip(wallet).ok_or_else(unread)?;
    let asker = request.asker(&command_id);
    let mut tx = tokenx_migrations::begin(request.app.pool()).await?;
    let unknown = || {
        let message = format!("wallet {wallet} is of no party here");
        ApiError::Rejected(vec![FieldError::refused("wallet_id", ReasonCode::UnknownWallet, message)])
    };
    let owner = record::at(&mut *tx, wallet).await?.ok_or_else(unknown)?.party_id;
    // Whoever decides on the party or its wallets waits here.
    let party = parties::lock(&mut tx, &owner).await?.ok_or_else(unknown)?;
    // What is asked is the wallet: its party's record may have changed since.
    if let Some(earlier) = asker.earlier().await? {
        return match earlier.operation {
            Operation::Whitelist { wallet: known, .. } if known == wallet => request.answer(earlier, None, true).await,
            _ => Err(asker.taken()),
        };
    }
    let record = record::at(&mut *tx, wallet).await?.ok_or_else(unknown)?;
    consequence::spotless(&request.app, &mut tx, &party, "wallet_id").await?;
    consequence::require(&mut tx, &party, &record).await?;
    approve(&request, &mut tx, record).await?;
    let accepted = request.app.commands().accept_in(&mut tx, &asker.command(registry::whitelist(&party, wallet))).await;
    let accepted = accepted.map_err(|error| match error {
        AcceptError::Refused(refusal) => declined(Declined::Refused(refusal), "wallet_id", "wallet_id"),
        AcceptError::Conflict(_) => asker.taken(),
        AcceptError::Database(error) => error.into(),
    })?;
    tx.commit().await?;
    request.app.commands().wake();
    let view = asker.earlier().await?;
    let view = view.ok_or_else(|| ApiError::internal(format!("command {command_id} is gone")))?;
    request.answer(view, None, accepted.replayed).await
}

/// Decides on a wallet that waits for it.
async fn approve(request: &Request, conn: &mut PgConnection, mut record: Record) -> Result<(), ApiError> {
    let actor = request.viewer.actor();
    match &record.decision {
        Some(Decision { verdict: Verdict::Approved, .. }) => return Ok(()),
        Some(Decision { verdict: Verdict::Rejected, .. }) => {
            return Err(ApiError::Conflict("the wallet was rejected: it is not whitelisted".into()));
        }
        None if record.registered_by.as_ref() == Some(&actor) => {
            let message = "this account has registered the wallet: another one decides on it";
            return Err(ApiError::Forbidden(message.into()));
        }
        None => {}
    }
    let (verdict, by) = (Verdict::Approved, actor.clone());
    record.decision = Some(Decision { verdict, by, at: now(), key: None, rejection: None });
    record::update(&mut *conn, &record).await?;
    let by = By { actor: &actor, request_id: Some(&request.request_id.0) };
    let detail = json!({ "by": actor, "party_id": record.party_id, "address": record.address.to_checksum(None) });
    let subject = format!("wallet:{}", record.wallet_id);
    Ok(admin::note(conn, by, Note { action: "wallet.approve", subject, detail }).await?)
}
