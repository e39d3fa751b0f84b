//! `POST /otc/deals/{deal_id}/accept`: the other party agrees, with what it holds back, in one transaction under its lock and
//! the deal's.

use alloy::primitives::U256;
use axum::Json;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sqlx::PgConnection;
use tokenx_contracts::ReasonCode;
use tokenx_migrations::{Addr, Word};

use super::body::{Accepted, DealAcceptance};
use super::desk::Desk;
use super::propose::{allow, bad, closed, consent, covered, digest, own_wallet, predicted, refused};
use super::record::{self, Deal, Stage};
use super::view::{DealId, DealView, unknown};
use crate::admin::By;
use crate::app::App;
use crate::ats::market::seconds;
use crate::ats::names::Does;
use crate::ats::signed::Clock;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::asked::Asked;
use crate::http::body::JsonBody;
use crate::http::idempotency::REPLAYED;
use crate::http::intent::Said;
use crate::investors::{lock, party_of};
use crate::kyc::consequence;
use crate::money;
use crate::offerings::record as offerings;
use crate::offerings::routes::seen;
use crate::store::parties::Profile;
use crate::tokens::record as tokens;
use crate::tokens::routes::now;
use crate::wallets::record::Record as Wallet;

/// Accepts a deal that another party has proposed: the chain settles it. Accepted again, it is answered as it is.
#[utoipa::path(
    post,
    path = "/otc/deals/{deal_id}/accept",
    params(("deal_id" = Uuid, Path, description = "The deal")),
    request_body = DealAcceptance,
    responses((status = 202, description = "The deal, on its way to the chain", body = DealView))
)]
pub(crate) async fn accept(
    Asked { app, viewer, request_id, id: DealId(id), .. }: Asked<DealId>,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let known = record::shown(app.pool(), party_of(&viewer)?, id).await?.ok_or_else(unknown)?;
    let asked = Accepted::read(&body)?;
    watch(&app, &known.deal, &asked, party_of(&viewer)?).await?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let party = lock(&app, &mut tx, &viewer).await?;
    let deal = record::lock(&mut tx, id).await?.ok_or_else(unknown)?;
    if deal.taker != party.party_id {
        return Err(ApiError::Forbidden("this party has proposed the deal: the other one accepts it".into()));
    }
    let replayed = match deal.stage {
        Stage::Accepted if deal.taker_wallet_id == asked.wallet_id => true,
        Stage::Proposed => {
            let wallet = own_wallet(&mut tx, &party.party_id, asked.wallet_id).await?;
            let case = Case { app: &app, viewer: &viewer, party: &party, wallet: &wallet, asked: &asked };
            let deal = case.agreed(&mut tx, deal).await?;
            record::accept(&mut tx, &deal).await?;
            let actor = viewer.actor();
            let by = By { actor: &actor, request_id: Some(&request_id.0) };
            allow(&app, &mut tx, by, (&deal, &wallet, asked.consent.permit.as_ref())).await?;
            record::tell(&mut tx, by, &deal, "deal.accept", json!({ "state": Stage::Accepted.as_str() })).await?;
            false
        }
        stage => return Err(ApiError::Conflict(format!("the deal is {stage}: there is nothing to accept"))),
    };
    let shown = record::shown(&mut *tx, &party.party_id, id).await?.ok_or_else(unknown)?;
    tx.commit().await?;
    app.commands().wake();
    let mut answer = (StatusCode::ACCEPTED, Json(DealView::of(&shown, &party.party_id))).into_response();
    if replayed {
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(answer)
}

/// Has the money watched that the taker would pay with, before anybody waits for a lock.
async fn watch(app: &App, deal: &Deal, asked: &Accepted, party_id: &str) -> Result<(), ApiError> {
    if deal.taker != party_id || !deal.maker_sells || deal.stage != Stage::Proposed {
        return Ok(());
    }
    let mut conn = app.pool().acquire().await?;
    let wallet = own_wallet(&mut conn, party_id, asked.wallet_id).await?;
    drop(conn);
    money::watch(app, (wallet.address, deal.payment_token.0, deal.desk.0)).await
}

/// An acceptance with whom it is about, taker and deal locked.
struct Case<'a> {
    app: &'a App,
    viewer: &'a Viewer,
    party: &'a Profile,
    wallet: &'a Wallet,
    asked: &'a Accepted,
}

impl Case<'_> {
    /// The deal as both agree on it, where nothing stands in its way.
    async fn agreed(&self, conn: &mut PgConnection, mut deal: Deal) -> Result<Deal, ApiError> {
        let Case { app, viewer, party, wallet, asked } = self;
        if deal.taker_wallet_id != wallet.wallet_id && deal.taker_fixed {
            return Err(bad("wallet_id", "the proposal names another wallet of the party: accept it by that one"));
        }
        let clock = Clock::read(app, conn, seconds(now())).await?;
        if deal.until.unsigned_abs() <= clock.now {
            return Err(ApiError::Conflict("the deal has expired: there is nothing to accept".into()));
        }
        let offering = offerings::find(&mut *conn, deal.offering_id).await?;
        let offering = seen(conn, viewer, offering).await?;
        consequence::require(conn, party, wallet).await?;
        let token = tokens::of_ids(&mut *conn, &[&offering.token_id]).await?.into_iter().next();
        let token = token.ok_or_else(|| ApiError::internal("an offering of no token"))?;
        let desk = Desk::of(app, conn, &token).await?.map_err(closed)?;
        desk.is_open().map_err(closed)?;
        if (desk.currency.address, desk.contract) != (deal.payment_token.0, deal.desk.0) {
            let message = "the token is dealt in otherwise since this was proposed: have it proposed anew";
            return Err(refused("instrument_id", ReasonCode::WrongPaymentToken, message.to_owned()));
        }
        if i32::from(desk.terms.fee_bps) > deal.max_fee_bps {
            let (asked, agreed) = (desk.terms.fee_bps, deal.max_fee_bps);
            let message = format!("the fee is {asked} hundredths of a per cent now, {agreed} were agreed on");
            return Err(refused("instrument_id", ReasonCode::FeeAboveLimit, message));
        }
        let side = if deal.maker_sells { Does::Buy } else { Does::Sell };
        let own = if side == Does::Buy { &mut deal.buyer } else { &mut deal.seller };
        *own = Addr(wallet.address);
        deal.taker_wallet_id = wallet.wallet_id;
        let message = deal.message();
        deal.digest = Word(digest(app, &desk, &message));
        if let Some((intent, proof)) = consent(wallet, &asked.consent.signed)? {
            let mut said = Said::default();
            intent.speaks_of(&message, desk.instrument.token, &mut said);
            said.is("maxFeeBps", intent.max_fee_bps, U256::from(message.max_fee_bps));
            said.is("validFrom", intent.valid_from, U256::from(message.valid_from));
            said.is("deadline", intent.deadline, U256::from(message.deadline));
            said.is("salt", intent.salt, message.salt);
            said.finish(Some(()))?;
            deal.taker_signature = Some(proof.to_vec());
        }
        predicted(conn, &desk, (&message, side, clock)).await?;
        let promise = (message.quantity, message.payment);
        covered(app, conn, &desk, (wallet, side, asked.consent.permit.as_ref()), promise).await?;
        deal.stage = Stage::Accepted;
        deal.updated_at = now();
        Ok(deal)
    }
}
