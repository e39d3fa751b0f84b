//! `POST /otc/deals/{deal_id}/cancel`: a proposal is taken back by its maker, or declined by the other one. What a wallet of the
//! maker's own has signed counts on chain until the wallet takes it back there, which its signature may have us bring.

use axum::Json;
use serde_json::json;
use tokenx_contracts::ids::InstrumentId;
use tokenx_keeper::Trade;

use super::propose::bad;
use super::record::{self, Deal, Stage};
use super::view::{DealId, DealView, unknown};
use crate::admin::By;
use crate::ats::cancel::{CancelRequest, bring};
use crate::error::ApiError;
use crate::http::asked::Asked;
use crate::http::body::MaybeJson;
use crate::investors::lock;

/// Takes a proposal back, or declines it. Once more, it is answered as it is; what both have agreed on is not taken back.
#[utoipa::path(
    post,
    path = "/otc/deals/{deal_id}/cancel",
    params(("deal_id" = Uuid, Path, description = "The deal")),
    request_body(content = CancelRequest, content_type = "application/json"),
    responses((status = 200, description = "The deal as it is now", body = DealView))
)]
pub(crate) async fn cancel(
    Asked { app, viewer, request_id, id: DealId(id), .. }: Asked<DealId>,
    MaybeJson(body): MaybeJson,
) -> Result<Json<DealView>, ApiError> {
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let party = lock(&app, &mut tx, &viewer).await?;
    let deal = record::lock(&mut tx, id).await?;
    let is_party = |deal: &Deal| [&deal.maker, &deal.taker].contains(&&party.party_id);
    let deal = deal.filter(is_party).ok_or_else(unknown)?;
    let proof = CancelRequest::read(&body)?;
    let is_maker = deal.maker == party.party_id;
    if proof.is_some() && !(is_maker && deal.maker_signature.is_some()) {
        return Err(bad("signature", "nothing of this party's wallet was signed by its own key: send none"));
    }
    let actor = viewer.actor();
    let by = By { actor: &actor, request_id: Some(&request_id.0) };
    match deal.stage {
        Stage::Accepted => {
            return Err(ApiError::Conflict("both have agreed on the deal: it is on its way to the chain".into()));
        }
        Stage::Proposed => {
            let (stage, action) =
                if is_maker { (Stage::Cancelled, "deal.cancel") } else { (Stage::Declined, "deal.decline") };
            record::end(&mut tx, &deal, (stage, None)).await?;
            record::tell(&mut tx, by, &deal, action, json!({ "state": stage.as_str() })).await?;
        }
        Stage::Cancelled | Stage::Declined | Stage::Expired => {}
    }
    if let Some(proof) = proof {
        let instrument = InstrumentId::parse(deal.instrument_id.as_str()).map_err(ApiError::internal)?;
        let (message, signature) = (deal.message(), proof.clone());
        let party = if deal.maker_sells { message.seller } else { message.buyer };
        let cancellation = Trade::CancelDeal { instrument, deal: message, party, signature };
        bring(&app, &mut tx, by, (format!("deal_cancel:{id}"), &proof), cancellation).await?;
    }
    let shown = record::shown(&mut *tx, &party.party_id, id).await?.ok_or_else(unknown)?;
    tx.commit().await?;
    app.commands().wake();
    Ok(Json(DealView::of(&shown, &party.party_id)))
}
