//! `DELETE /ats/orders/{order_id}`: an order is taken out of its book. What a wallet of the party's own has signed counts on
//! chain until the wallet takes it back there, which its signature may have us bring.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use serde_json::json;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::ids::{CommandId, InstrumentId, Scope};
use tokenx_keeper::{AcceptError, NewCommand, Operation, Trade};
use utoipa::ToSchema;
use uuid::Uuid;

use super::matching;
use super::record::{self, Order};
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

/// What the end of an order may come with.
#[derive(Debug, Default, ToSchema)]
#[allow(dead_code, reason = "a shape: read member by member, so that every bad one is named")]
pub struct CancelRequest {
    /// The wallet's proof of `Cancellation(wallet, id)` (EIP-712), whose id is the order's digest: it is brought to the chain.
    #[schema(required = false, nullable = false, pattern = "^0x([0-9a-fA-F]{2})+$")]
    signature: Option<String>,
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
    let mut body = Object::parse(&body)?;
    let signature = body.nullable("signature", None, intent::proof).flatten();
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
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
        bring(&app, &mut tx, by, (&order, proof)).await?;
    }
    tx.commit().await?;
    app.commands().wake();
    // Where another process is at the book, it, or the next one, ends the order.
    while matching::turn(&app, &order.instrument_id).await? {}
    let shown = record::shown(app.pool(), &party.party_id, order_id).await?.ok_or_else(unknown)?;
    Ok(Json(OrderView::of(&shown)))
}

/// Has the keeper bring the wallet's own cancellation to the chain, once.
async fn bring(
    app: &App,
    conn: &mut sqlx::PgConnection,
    by: By<'_>,
    (order, signature): (&Order, alloy::primitives::Bytes),
) -> Result<(), ApiError> {
    let command_id = CommandId::parse(format!("cancel:{}:-:1", order.order_id)).map_err(ApiError::internal)?;
    let instrument = InstrumentId::parse(order.instrument_id.clone()).map_err(ApiError::internal)?;
    let operation: Operation =
        Trade::CancelOrder { instrument, wallet: order.wallet.0, order: order.digest.0, signature }.into();
    let new = NewCommand {
        scope: Scope::System,
        answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
        command_id,
        operation,
        requested_by: by.actor.to_owned(),
        request_id: by.request_id.unwrap_or_default().to_owned(),
        valid_until: None,
    };
    match app.commands().accept_in(conn, &new).await {
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
