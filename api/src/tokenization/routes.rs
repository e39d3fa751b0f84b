//! Mint, burn, freeze, unfreeze, force-transfer.

use alloy::primitives::{Address, B256};
use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokenx_contracts::ids::{CommandId, InstrumentId};
use tokenx_keeper::{CommandView, Operation, State};
use utoipa::ToSchema;

use super::body::{Body, declined, id_of_key};
use super::everywhere;
use super::intake::{Asker, Whose};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::idempotency::{IdempotencyKey, REPLAYED};
use crate::token_app::commands::{CommandRecord, record};

/// What mint and burn take: a party (its primary wallet), or a wallet.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read member by member, so that every bad one is named")]
pub struct SupplyOrder {
    /// The client's name for this command; without one, `Idempotency-Key` names it.
    #[schema(
        required = false,
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]+$",
        example = "mint-2025-01-01-001"
    )]
    command_id: Option<String>,
    /// The instrument.
    #[schema(min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9._-]+$", example = "rCC")]
    instrument_id: String,
    /// A party, or a wallet's address.
    #[schema(required = false, min_length = 1, max_length = 128, example = "alice::122...")]
    party_id: Option<String>,
    /// A wallet's id, or its address.
    #[schema(required = false)]
    wallet_id: Option<String>,
    /// Whole tokens: a decimal string, or a number read exactly from its text.
    #[schema(schema_with = crate::openapi::amount_in)]
    amount: String,
}

/// What freeze and unfreeze take.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct FreezeOrder {
    /// The client's name for this command; without one, `Idempotency-Key` names it.
    #[schema(required = false, min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    command_id: Option<String>,
    /// The instrument; all that there are unless given.
    #[schema(required = false, min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9._-]+$", example = "rCC")]
    instrument_id: Option<String>,
    /// A party, or a wallet's address.
    #[schema(required = false, min_length = 1, max_length = 128, example = "alice::122...")]
    party_id: Option<String>,
    /// A wallet's id, or its address.
    #[schema(required = false)]
    wallet_id: Option<String>,
    /// Whole tokens, which needs an instrument; the whole wallet unless given.
    #[schema(required = false, schema_with = crate::openapi::amount_in)]
    amount: Option<String>,
}

/// What a forced transfer takes.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct ForceTransferOrder {
    /// The client's name for this command; without one, `Idempotency-Key` names it.
    #[schema(required = false, min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    command_id: Option<String>,
    /// The instrument.
    #[schema(min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9._-]+$", example = "rCC")]
    instrument_id: String,
    /// The id of the wallet that gives, or its address.
    from_wallet_id: String,
    /// The id of the wallet that gets, or its address.
    to_wallet_id: String,
    /// Whole tokens: a decimal string, or a number read exactly from its text.
    #[schema(schema_with = crate::openapi::amount_in)]
    amount: String,
    /// Why; it stands in the event, as text.
    #[schema(min_length = 1, max_length = 31, pattern = "^[A-Z0-9_]+$", example = "COURT_ORDER")]
    reason_code: String,
    /// Where its papers are; kept here, not on chain.
    #[schema(min_length = 1, max_length = 128, example = "HC/2025/117")]
    reference: String,
}

/// The command as it was accepted. How far it has come: `GET /api/admin/commands/{command_id}`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Taken {
    #[serde(flatten)]
    command: CommandRecord,
    /// Of a freeze in every instrument, or its end: the ids of its commands, one an instrument.
    #[serde(skip_serializing_if = "Option::is_none")]
    command_ids: Option<Vec<String>>,
}

/// Who asks, with what besides the body.
#[derive(Debug)]
pub(crate) struct Request {
    pub(super) app: App,
    pub(super) viewer: Viewer,
    pub(super) request_id: RequestId,
    pub(super) key: Option<CommandId>,
}

impl FromRequestParts<App> for Request {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Request, ApiError> {
        let viewer = Viewer::from_request_parts(parts, app).await?;
        let IdempotencyKey(key) = IdempotencyKey::from_request_parts(parts, app).await?;
        let path = parts.uri.path();
        let route = path.strip_prefix("/v1").unwrap_or(path);
        let key = key.map(|key| id_of_key(&viewer.actor(), route, &key)).transpose()?;
        Ok(Request { request_id: RequestId::from_request_parts(parts, app).await?, app: app.clone(), viewer, key })
    }
}

/// Mints to a whitelisted wallet.
#[utoipa::path(
    post,
    path = "/tokenization/mint",
    params(("idempotency-key" = Option<String>, Header, description = "Names the command where `command_id` does not")),
    request_body = SupplyOrder,
    responses((status = 202, description = "The command", body = Taken))
)]
pub(crate) async fn mint(request: Request, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let mint = |instrument, to, amount| Operation::Mint { instrument, to, amount, reason: B256::ZERO };
    request.supply(&body, mint).await
}

/// Burns what a wallet can spend.
#[utoipa::path(
    post,
    path = "/tokenization/burn",
    params(("idempotency-key" = Option<String>, Header, description = "Names the command where `command_id` does not")),
    request_body = SupplyOrder,
    responses((status = 202, description = "The command", body = Taken))
)]
pub(crate) async fn burn(request: Request, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let burn = |instrument, from, amount| Operation::Burn { instrument, from, amount, reason: B256::ZERO };
    request.supply(&body, burn).await
}

/// Freezes units of a wallet, or the wallet: in an instrument, or in all.
#[utoipa::path(
    post,
    path = "/tokenization/freeze",
    params(("idempotency-key" = Option<String>, Header, description = "Names the command where `command_id` does not")),
    request_body = FreezeOrder,
    responses((status = 202, description = "The command", body = Taken))
)]
pub(crate) async fn freeze(request: Request, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    request.freezing(&body, true).await
}

/// Ends a freeze of units, or of the wallet.
#[utoipa::path(
    post,
    path = "/tokenization/unfreeze",
    params(("idempotency-key" = Option<String>, Header, description = "Names the command where `command_id` does not")),
    request_body = FreezeOrder,
    responses((status = 202, description = "The command", body = Taken))
)]
pub(crate) async fn unfreeze(request: Request, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    request.freezing(&body, false).await
}

/// Moves units by law: free ones first, then frozen ones.
#[utoipa::path(
    post,
    path = "/tokenization/force-transfer",
    params(("idempotency-key" = Option<String>, Header, description = "Names the command where `command_id` does not")),
    request_body = ForceTransferOrder,
    responses((status = 202, description = "The command", body = Taken))
)]
pub(crate) async fn force_transfer(request: Request, JsonBody(body): JsonBody) -> Result<Response, ApiError> {
    let mut body = Body::parse(&request.app, &body)?;
    let command_id = body.command_id(request.key.as_ref());
    let instrument = body.instrument().await?;
    let from = body.wallet("from_wallet_id").await?;
    let to = body.wallet("to_wallet_id").await?;
    let amount = body.amount(instrument.as_ref().map(|(_, known)| known.decimals));
    let reason = body.reason_code();
    let reference = body.reference();
    body.finish()?;
    let all = (|| Some((command_id?, instrument?.0, from?, to?, amount?.base(), reason?, reference?)))();
    let (command_id, instrument, from, to, amount, reason, reference) = all.ok_or_else(unread)?;
    let force = |from| {
        let (instrument, reference) = (instrument.clone(), Some(reference.clone()));
        Operation::ForcedTransfer { instrument, from, to, amount, reason, reference }
    };
    request.take(&command_id, ["from_wallet_id", "to_wallet_id"], &Whose::Wallet(from), force).await
}

impl Request {
    async fn supply(
        &self,
        body: &[u8],
        operation: impl Fn(InstrumentId, Address, alloy::primitives::U256) -> Operation,
    ) -> Result<Response, ApiError> {
        let mut body = Body::parse(&self.app, body)?;
        let command_id = body.command_id(self.key.as_ref());
        let instrument = body.instrument().await?;
        let whose = body.whose().await?;
        let amount = body.amount(instrument.as_ref().map(|(_, known)| known.decimals));
        body.finish()?;
        let all = (|| Some((command_id?, instrument?.0, whose?, amount?.base())))();
        let (command_id, instrument, (member, whose), amount) = all.ok_or_else(unread)?;
        let operation = |wallet| operation(instrument.clone(), wallet, amount);
        self.take(&command_id, [member, member], &whose, operation).await
    }

    async fn freezing(&self, body: &[u8], frozen: bool) -> Result<Response, ApiError> {
        let mut body = Body::parse(&self.app, body)?;
        let command_id = body.command_id(self.key.as_ref());
        let instrument = body.maybe_instrument().await?;
        let whose = body.whose().await?;
        let decimals = instrument.as_ref().and_then(|known| known.as_ref().map(|(_, known)| known.decimals));
        let amount = body.maybe_amount(decimals);
        if let (Some(None), Some(Some(_)) | None) = (&instrument, &amount) {
            body.refuse("amount", "an amount is of one instrument: send instrument_id, or no amount");
        }
        body.finish()?;
        let all = (|| Some((command_id?, instrument?, whose?, amount?)))();
        let (command_id, instrument, (member, whose), amount) = all.ok_or_else(unread)?;
        let Some((instrument, _)) = instrument else {
            return self.everywhere(&command_id, member, &whose, frozen).await;
        };
        let reason = B256::ZERO;
        let operation = |account| {
            let instrument = instrument.clone();
            match (amount, frozen) {
                (Some(amount), true) => Operation::Freeze { instrument, account, amount: amount.base(), reason },
                (Some(amount), false) => Operation::Unfreeze { instrument, account, amount: amount.base(), reason },
                (None, true) => Operation::FreezeAddress { instrument, account, reason, everywhere: false },
                (None, false) => Operation::UnfreezeAddress { instrument, account, reason, everywhere: false },
            }
        };
        self.take(&command_id, [member, member], &whose, operation).await
    }

    async fn everywhere(
        &self,
        command_id: &CommandId,
        member: &'static str,
        whose: &Whose,
        frozen: bool,
    ) -> Result<Response, ApiError> {
        let asker = self.asker(command_id);
        let Some(wallet) = whose.wallet() else {
            return Err(declined(super::intake::Declined::NoWallet, member, member));
        };
        let parts = everywhere::freeze(&asker, wallet, frozen).await?.map_err(|why| declined(why, member, member))?;
        self.answer(parts.first, Some(parts.command_ids), parts.replayed).await
    }

    pub(super) fn asker<'a>(&'a self, command_id: &'a CommandId) -> Asker<'a> {
        Asker { app: &self.app, viewer: &self.viewer, request_id: &self.request_id, command_id }
    }

    /// Hands an operation to the keeper and answers; `members` are what the request calls the wallet and the receiver.
    async fn take(
        &self,
        command_id: &CommandId,
        [wallet, receiver]: [&'static str; 2],
        whose: &Whose,
        operation: impl Fn(Address) -> Operation,
    ) -> Result<Response, ApiError> {
        let asker = self.asker(command_id);
        let accepted = asker.take(whose, operation).await?.map_err(|why| declined(why, wallet, receiver))?;
        let view = asker.earlier().await?;
        let view = view.ok_or_else(|| ApiError::internal(format!("command {command_id} is gone")))?;
        self.answer(view, None, accepted.replayed).await
    }

    /// The command as it was accepted, whatever has become of it: the first answer, whoever gave it.
    pub(super) async fn answer(
        &self,
        view: CommandView,
        command_ids: Option<Vec<String>>,
        replayed: bool,
    ) -> Result<Response, ApiError> {
        let accepted = CommandView {
            state: State::Accepted,
            attempts: 0,
            tx_hash: None,
            block_number: None,
            block_hash: None,
            block_time: None,
            reason_code: None,
            failure: None,
            updated_at: view.created_at,
            ..view
        };
        let taken = Taken { command: record(&self.app, accepted).await?, command_ids };
        let mut response = (StatusCode::ACCEPTED, Json(taken)).into_response();
        if replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

pub(super) fn unread() -> ApiError {
    ApiError::internal("a member neither read nor refused")
}
