//! `POST /v2/admin/token/{token_id}/deploy|list|delist|passivate|burn`: what the keeper does for a token. Each answers the
//! command; the token's status follows from what the chain makes of it.
//!
//! Asked again while a command is on its way, the answer is that command. With an `Idempotency-Key` it is that command
//! for ever.

use alloy::primitives::{B256, U256};
use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sqlx::PgConnection;
use tokenx_contracts::amount::Amount;
use tokenx_contracts::codes::ReasonCode;
use tokenx_contracts::ids::{CommandId, Scope};
use tokenx_keeper::{AcceptError, CommandView, NewCommand, Operation, Payout, Sale};
use utoipa::ToSchema;

use super::facts::{self, Facts};
use super::money::{Zero, amount};
use super::record::{self, Record};
use super::routes::{note, tenant, unknown};
use super::status::{Action, Status};
use crate::app::App;
use crate::error::{ApiError, FieldError};
use crate::http::asked::{self, Named};
use crate::http::body::MaybeJson;
use crate::http::idempotency::REPLAYED;
use crate::http::object::Object;
use crate::object_id;
use crate::token_app::commands::{CommandRecord, record as command_record};

/// What `deploy` takes: how much the node's Executor may do to the token in a UTC day, in whole tokens. The maximum
/// supply unless given.
#[derive(Debug, Default, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct DeployRequest {
    /// Mint.
    #[schema(required = false, schema_with = crate::openapi::number)]
    daily_mint_limit: Option<String>,
    /// Burn, and as much place under holds.
    #[schema(required = false, schema_with = crate::openapi::number)]
    daily_burn_limit: Option<String>,
    /// Move, and as much burn, by force.
    #[schema(required = false, schema_with = crate::openapi::number)]
    daily_force_limit: Option<String>,
}

/// A token's id.
#[derive(Debug)]
pub(crate) struct TokenId(String);

impl Named for TokenId {
    fn named(text: &str) -> Option<TokenId> {
        object_id::is_valid(text).then(|| TokenId(text.to_owned()))
    }

    fn unknown() -> ApiError {
        unknown()
    }
}

/// What every action is asked with.
type Asked = asked::Asked<TokenId>;

/// Deploys a draft, or one whose deployment has failed.
#[utoipa::path(
    post,
    path = "/v2/admin/token/{token_id}/deploy",
    params(
        ("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    request_body(content = DeployRequest, content_type = "application/json"),
    responses((status = 202, description = "The command", body = CommandRecord))
)]
pub(crate) async fn deploy(asked: Asked, MaybeJson(body): MaybeJson) -> Result<Response, ApiError> {
    asked.run(Action::Deploy, &body).await
}

/// Goes on with a sale. The first listing is an offering's approval.
#[utoipa::path(
    post,
    path = "/v2/admin/token/{token_id}/list",
    params(
        ("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    responses((status = 202, description = "The command", body = CommandRecord))
)]
pub(crate) async fn list(asked: Asked, MaybeJson(body): MaybeJson) -> Result<Response, ApiError> {
    asked.run(Action::List, &body).await
}

/// Stops a sale for now.
#[utoipa::path(
    post,
    path = "/v2/admin/token/{token_id}/delist",
    params(
        ("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    responses((status = 202, description = "The command", body = CommandRecord))
)]
pub(crate) async fn delist(asked: Asked, MaybeJson(body): MaybeJson) -> Result<Response, ApiError> {
    asked.run(Action::Delist, &body).await
}

/// Ends a sale for ever.
#[utoipa::path(
    post,
    path = "/v2/admin/token/{token_id}/passivate",
    params(
        ("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    responses((status = 202, description = "The command", body = CommandRecord))
)]
pub(crate) async fn passivate(asked: Asked, MaybeJson(body): MaybeJson) -> Result<Response, ApiError> {
    asked.run(Action::Passivate, &body).await
}

/// Ends a token for ever: one whose sale has ended and of which nothing is left.
#[utoipa::path(
    post,
    path = "/v2/admin/token/{token_id}/burn",
    params(
        ("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    responses((status = 202, description = "The command", body = CommandRecord))
)]
pub(crate) async fn burn(asked: Asked, MaybeJson(body): MaybeJson) -> Result<Response, ApiError> {
    asked.run(Action::Burn, &body).await
}

impl Asked {
    async fn run(self, action: Action, body: &[u8]) -> Result<Response, ApiError> {
        let Asked { app, viewer, .. } = &self;
        let mut tx = tokenx_migrations::begin(app.pool()).await?;
        // Whoever asks or edits waits here: what is decided below holds until it is committed.
        let record = record::lock(&mut tx, &self.id.0, tenant(viewer)).await?.ok_or_else(unknown)?;
        let facts = facts::of(&mut tx, app.chain_id(), std::slice::from_ref(&record)).await?;
        let facts = facts.into_iter().next().unwrap_or_default();
        let operation = operation(action, &record, &facts, body)?;
        if let Some(known) = self.known(&mut tx, action, &operation).await? {
            return answer(app, known, true).await;
        }
        let status = Status::of(&facts);
        if !status.takes(action) {
            return Err(ApiError::Conflict(format!(
                "the token is {}: it does not take {}",
                status.name(),
                action.as_str()
            )));
        }
        if let (Action::Burn, Some(deployed)) = (action, &facts.deployment)
            && !deployed.total_supply.is_zero()
        {
            let left = Amount::new(deployed.total_supply, record.draft.decimals);
            return Err(ApiError::Conflict(format!("{left} of the token are left: redeem or burn them first")));
        }
        let command_id = self.take_number(&mut tx, action).await?;
        let command = NewCommand {
            scope: Scope::System,
            command_id: command_id.clone(),
            operation,
            requested_by: viewer.actor(),
            request_id: self.request_id.0.to_string(),
            answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
            valid_until: None,
        };
        match app.commands().accept_in(&mut tx, &command).await {
            Ok(_) => {}
            Err(AcceptError::Refused(refusal)) => {
                let refused = FieldError::refused("token_id", refusal.code, refusal.message);
                return Err(ApiError::Rejected(vec![refused]));
            }
            Err(AcceptError::Database(error)) => return Err(error.into()),
            Err(conflict @ AcceptError::Conflict(_)) => return Err(ApiError::internal(conflict)),
        }
        let detail = json!({ "command_id": command_id });
        let verb = format!("token.{}", action.as_str());
        note(&mut tx, viewer, &self.request_id, &verb, &self.id.0, detail).await?;
        tx.commit().await?;
        app.commands().wake();
        let view = app.commands().view(&Scope::System, &command_id).await?;
        let view = view.ok_or_else(|| ApiError::internal(format!("command {command_id} is gone")))?;
        answer(app, view, false).await
    }

    /// The command that this request, or one like it that is still on its way, led to before.
    async fn known(
        &self,
        conn: &mut PgConnection,
        action: Action,
        operation: &Operation,
    ) -> Result<Option<CommandView>, ApiError> {
        let by_key: Option<String> = sqlx::query_scalar(
            "SELECT command_id
               FROM token_commands
              WHERE caller = $1 AND token_id = $2 AND kind = $3 AND idempotency_key = $4",
        )
        .bind(self.viewer.actor())
        .bind(&self.id.0)
        .bind(action.as_str())
        .bind(self.key.as_deref())
        .fetch_optional(&mut *conn)
        .await?;
        if let Some(command_id) = by_key {
            let view = self.view(command_id).await?;
            if view.operation == *operation {
                return Ok(Some(view));
            }
            return Err(ApiError::Conflict(
                "this idempotency key was used for another request: choose a new one".into(),
            ));
        }
        let newest: Option<String> = sqlx::query_scalar(
            "SELECT command_id
               FROM token_commands
              WHERE token_id = $1 AND kind = $2
              ORDER BY attempt DESC
              LIMIT 1",
        )
        .bind(&self.id.0)
        .bind(action.as_str())
        .fetch_optional(conn)
        .await?;
        let Some(command_id) = newest else { return Ok(None) };
        let view = self.view(command_id).await?;
        let waits = !view.state.is_ended() && !matches!(view.state, tokenx_keeper::State::Mined(_));
        Ok(waits.then_some(view))
    }

    async fn view(&self, command_id: String) -> Result<CommandView, ApiError> {
        let id = CommandId::parse(command_id).map_err(ApiError::internal)?;
        let view = self.app.commands().view(&Scope::System, &id).await?;
        view.ok_or_else(|| ApiError::internal(format!("command {id} is gone")))
    }

    /// The next command's id, its row written. The token is locked, so the number is free.
    async fn take_number(&self, conn: &mut PgConnection, action: Action) -> Result<CommandId, ApiError> {
        let attempt: i32 = sqlx::query_scalar(
            "SELECT coalesce(max(attempt), 0) + 1
               FROM token_commands
              WHERE token_id = $1 AND kind = $2",
        )
        .bind(&self.id.0)
        .bind(action.as_str())
        .fetch_one(&mut *conn)
        .await?;
        let command_id = CommandId::parse(format!("{}:{}:-:{attempt}", action.as_str(), self.id.0));
        let command_id = command_id.map_err(ApiError::internal)?;
        sqlx::query(
            "INSERT INTO token_commands (token_id, kind, attempt, command_id, caller, idempotency_key)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&self.id.0)
        .bind(action.as_str())
        .bind(attempt)
        .bind(command_id.as_str())
        .bind(self.viewer.actor())
        .bind(self.key.as_deref())
        .execute(conn)
        .await?;
        Ok(command_id)
    }
}

/// What an action is in the keeper's words.
fn operation(action: Action, record: &Record, facts: &Facts, body: &[u8]) -> Result<Operation, ApiError> {
    let (instrument, reason) = (record.draft.instrument_id.clone(), B256::ZERO);
    let mut body = Object::parse(body)?;
    let limits = match action {
        Action::Deploy => Some(limits(&mut body, record)),
        _ => None,
    };
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    Ok(match action {
        Action::Deploy => {
            let Some(node) = facts.node else {
                let refused = FieldError::refused("node_id", ReasonCode::UnknownNode, "the node is not on chain yet");
                return Err(ApiError::Rejected(vec![refused]));
            };
            let [mint, burn, force] =
                limits.flatten().ok_or_else(|| ApiError::internal("limits neither read nor refused"))?;
            Operation::DeployToken {
                instrument,
                node: node.key,
                name: record.draft.token_name.clone(),
                symbol: record.draft.token_symbol.clone(),
                decimals: record.draft.decimals,
                max_supply: units(record),
                daily_mint_limit: mint,
                daily_burn_limit: burn,
                daily_force_limit: force,
            }
        }
        Action::List => Sale::List { instrument, reason }.into(),
        Action::Delist => Sale::Delist { instrument, reason }.into(),
        Action::Passivate => Sale::Passivate { instrument, reason }.into(),
        Action::Burn => Payout::Retire { instrument, reason }.into(),
    })
}

/// The maximum supply in base units; a draft's fits 104 bits.
fn units(record: &Record) -> U256 {
    record.draft.max_supply * U256::from(10).pow(U256::from(record.draft.decimals))
}

fn limits(body: &mut Object, record: &Record) -> Option<[U256; 3]> {
    let most = Amount::new(units(record), record.draft.decimals);
    let mut limit = |name| {
        let limit = body.read(name, Some(&most), |raw| {
            let limit = amount(raw, Some(record.draft.decimals), Zero::Allowed).map_err(|error| error.to_string())?;
            if limit.base() > most.base() { Err(format!("{limit} is more than the maximum supply")) } else { Ok(limit) }
        });
        limit.map(|limit| limit.base())
    };
    let limits = [limit("daily_mint_limit"), limit("daily_burn_limit"), limit("daily_force_limit")];
    let [mint, burn, force] = limits;
    Some([mint?, burn?, force?])
}

async fn answer(app: &App, view: CommandView, replayed: bool) -> Result<Response, ApiError> {
    let command = command_record(app, view).await?;
    let mut response = (StatusCode::ACCEPTED, Json(command)).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
