//! `GET /api/admin/commands/{command_id}`: how far a command has come.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use tokenx_contracts::amount::Amount;
use tokenx_contracts::ids::{CommandId, Scope};
use tokenx_indexer::read;
use tokenx_keeper::CommandView;
use utoipa::ToSchema;

use super::timestamp;
use crate::app::App;
use crate::error::ApiError;
use crate::store::parties;

/// A command and where it stands. What does not apply, or is not known yet, is left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommandRecord {
    /// The client's name for it.
    pub command_id: String,
    /// `mint`, `burn`, …
    pub operation: &'static str,
    /// Of what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrument_id: Option<String>,
    /// Whose wallet it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub party_id: Option<String>,
    /// That wallet, EIP-55.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet: Option<String>,
    /// Whole tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::openapi::amount_out)]
    pub amount: Option<String>,
    /// accepted, awaiting_approval, ready, prepared, broadcast, mined, confirmed, final; or how it ended: failed,
    /// cancelled, expired, rejected.
    pub state: &'static str,
    /// Why it failed, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    /// Why it failed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Signed transactions that carried it, replacements included.
    pub attempts: i64,
    /// The transaction that ran it, or the newest sent for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_hash: Option<String>,
    /// That transaction's block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_number: Option<u64>,
    /// That block's hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_hash: Option<String>,
    /// That block's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub block_time: Option<String>,
    /// When it was accepted.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it last moved.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// One command of the operations' scope.
#[utoipa::path(
    get,
    path = "/api/admin/commands/{command_id}",
    params(("command_id" = String, Path, description = "The client's name for the command")),
    responses((status = 200, description = "The command", body = CommandRecord))
)]
pub(crate) async fn command(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<CommandRecord>, ApiError> {
    let unknown = || ApiError::NotFound("there is no command with this id".into());
    // What could not be an id, or is no text at all, names nothing.
    let id = id.ok().and_then(|Path(id)| CommandId::parse(id).ok()).ok_or_else(unknown)?;
    let view = app.commands().view(&Scope::Ops, &id).await?.ok_or_else(unknown)?;
    record(&app, view).await.map(Json)
}

/// A command as people see it.
///
/// # Errors
/// The database's.
pub async fn record(app: &App, view: CommandView) -> Result<CommandRecord, ApiError> {
    let mut conn = app.pool().acquire().await?;
    let instrument_id = view.operation.instrument().map(|id| id.as_str().to_owned());
    let instrument = match &instrument_id {
        Some(id) => read::instrument(&mut *conn, app.chain_id(), id).await?,
        None => None,
    };
    let amount = view.operation.amount().zip(instrument).map(|(base, known)| Amount::new(base, known.decimals));
    let wallet = view.operation.wallet();
    let party_id = match wallet {
        None => None,
        Some(wallet) => {
            let record = read::investor_wallet(&mut *conn, app.chain_id(), wallet).await?;
            let investor_id = record.map(|record| record.investor_id);
            let names = parties::names(&mut conn, &Vec::from_iter(investor_id)).await?;
            Some(parties::name_of(&names, investor_id, wallet))
        }
    };
    Ok(CommandRecord {
        command_id: view.command_id,
        operation: view.operation.kind(),
        instrument_id,
        party_id,
        wallet: wallet.map(|wallet| wallet.to_checksum(None)),
        amount: amount.map(|amount| amount.to_string()),
        state: view.state.name(),
        reason_code: view.reason_code,
        reason: view.failure,
        attempts: view.attempts,
        transaction_hash: view.tx_hash.map(|hash| format!("{hash:#x}")),
        block_number: view.block_number,
        block_hash: view.block_hash.map(|hash| format!("{hash:#x}")),
        block_time: view.block_time.map(timestamp),
        created_at: timestamp(view.created_at),
        updated_at: timestamp(view.updated_at),
    })
}
