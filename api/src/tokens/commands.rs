//! `GET /v2/admin/command/{command_id}`: how far has come what the platform does for a token.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use tokenx_contracts::ids::{CommandId, Scope};

use super::routes::tenant;
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::store::issuers;
use crate::token_app::commands::{CommandRecord, record};

/// A command that the platform made for a token, as `deploy`, `list`, `delist`, `passivate` and `burn` answer it.
#[utoipa::path(
    get,
    path = "/v2/admin/command/{command_id}",
    params(("command_id" = String, Path, description = "The command's id, as it was answered")),
    responses((status = 200, description = "The command", body = CommandRecord))
)]
pub(crate) async fn command(
    State(app): State<App>,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<CommandRecord>, ApiError> {
    let unknown = || ApiError::NotFound("there is no command of a token with this id".into());
    let id = id.ok().and_then(|Path(id)| CommandId::parse(id).ok()).ok_or_else(unknown)?;
    let view = app.commands().view(&Scope::System, &id).await?.ok_or_else(unknown)?;
    let instrument = view.operation.instrument().ok_or_else(unknown)?.as_str().to_owned();
    if let Some(own) = tenant(&viewer) {
        let mut conn = app.pool().acquire().await?;
        let issuers = issuers::of_instruments(&mut conn, app.chain_id(), std::slice::from_ref(&instrument)).await?;
        if issuers.get(&instrument) != Some(&own) {
            return Err(unknown());
        }
    }
    record(&app, view).await.map(Json)
}
