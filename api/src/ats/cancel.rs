//! `DELETE /ats/orders/{order_id}`: an order is taken out of its book. What a wallet of the party's own has signed counts on
//! chain until the wallet takes it back there, which its signature may have us bring.

use alloy::primitives::{Bytes, keccak256};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use serde_json::json;
use sqlx::PgConnection;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::ids::{CommandId, InstrumentId};
use tokenx_keeper::{AcceptError, Trade};
use utoipa::ToSchema;
use uuid::Uuid;

use super::matching;
use super::record;
use super::view::OrderView;
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::http::body::MaybeJson;
use crate::http::envelope::RequestId;
use crate::http::intent;
use crate::http::object::Object;
use crate::investors::lock;
use crate::store::commands;

/// What the end of an order may come with.
#[derive(Debug, Default, ToSchema)]
#[allow(dead_code, reason = "a shape: read member by member, so that every bad one is named")]
pub struct CancelRequest {
    /// The wallet's proof of `Cancellation(wallet, id)` (EIP-712), whose id is the order's digest: it is brought to the chain.
    #[schema(required = false, nullable = false, pattern = "^0x([0-9a-fA-F]{2})+$")]
    signature: Option<String>,
}

impl CancelRequest {
    /// Reads a body.
    ///
    /// # Errors
    /// Every bad member.
    pub(crate) fn read(body: &[u8]) -> Result<Option<Bytes>, ApiError> {
        let mut body = Object::parse(body)?;
        let signature = body.nullable("signature", None, intent::proof).flatten();
        let errors = body.errors();
        if errors.is_empty() { Ok(signature) } else { Err(ApiError::Rejected(errors)) }
    }
}

/// Cancels what is left of an order. Cancelled again, it is answered as it is.
#[utoipa::path(
    delete,
    path = "/ats/orders/{order_id}",
    params(("order_id" = Uuid, Path, description = "The order")),
    request_body(content = CancelRequest, content_type = "application/json"),
    responses((status = 200, description = "The order as it is now", body = OrderView))
)]
pub(crate) async fn cancel(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    MaybeJson(body): MaybeJson,
) -> Result<Json<OrderView>, ApiError> {
    let order_id: Uuid = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)?;
    let signature = CancelRequest::read(&body)?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let party = lock(&app, &mut tx, &viewer).await?;
    let order = record::lock(&mut tx, &party.party_id, order_id).await?.ok_or_else(unknown)?;
    if signature.is_some() && order.signature.is_none() {
        let message = "the wallet's key is held here: send none";
        return Err(ApiError::Rejected(vec![FieldError::body("signature", "value_error", message)]));
    }
    let actor = viewer.actor();
    let by = By { actor: &actor, request_id: Some(&request_id.0) };
    if order.state.is_live() && order.ending.is_none() {
        record::end(&mut tx, &[order_id], &[ReasonCode::OrderCancelled.as_str()]).await?;
        let detail = json!({
            "party_id": order.party_id,
            "order_id": order_id,
            "client_order_id": order.client_order_id,
            "instrument_id": order.instrument_id,
        });
        admin::note(&mut tx, by, Note { action: "order.cancel", subject: format!("order:{order_id}"), detail }).await?;
    }
    if let Some(proof) = signature {
        let instrument = InstrumentId::parse(order.instrument_id.clone()).map_err(ApiError::internal)?;
        let (wallet, digest, signature) = (order.wallet.0, order.digest.0, proof.clone());
        let cancellation = Trade::CancelOrder { instrument, wallet, order: digest, signature };
        bring(&app, &mut tx, by, (format!("cancel:{order_id}"), &proof), cancellation).await?;
    }
    tx.commit().await?;
    app.commands().wake();
    // Where another process is at the book, it, or the next one, ends the order.
    while matching::turn(&app, &order.instrument_id).await? {}
    let shown = record::shown(app.pool(), &party.party_id, order_id).await?.ok_or_else(unknown)?;
    Ok(Json(OrderView::of(&shown)))
}

/// Has the keeper bring a wallet's own cancellation to the chain. Each proof goes there once: a bad one does not stand in the
/// way of a better.
pub(crate) async fn bring(
    app: &App,
    conn: &mut PgConnection,
    by: By<'_>,
    (what, proof): (String, &Bytes),
    cancellation: Trade,
) -> Result<(), ApiError> {
    let command_id = format!("{what}:{}:1", alloy::hex::encode(&keccak256(proof)[..8]));
    let command_id = CommandId::parse(command_id).map_err(ApiError::internal)?;
    match app.commands().accept_in(conn, &commands::of_system(command_id, cancellation.into(), by, None)).await {
        Ok(_) => Ok(()),
        Err(AcceptError::Refused(refusal)) => {
            Err(ApiError::Rejected(vec![FieldError::refused("signature", refusal.code, refusal.message)]))
        }
        Err(AcceptError::Database(error)) => Err(error.into()),
        Err(conflict @ AcceptError::Conflict(_)) => Err(ApiError::internal(conflict)),
    }
}

fn unknown() -> ApiError {
    ApiError::NotFound("the party has no order with this id".into())
}
