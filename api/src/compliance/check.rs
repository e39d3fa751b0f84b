//! `POST /compliance/check`: would the token let this happen? The verdict of the contract's own predictor, from indexed facts
//! and the same rules that a command is held to before it is taken.

use alloy::primitives::{Address, U256};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sqlx::PgConnection;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::restrictions::{self, Investor, Token, Wallet};
use tokenx_indexer::read::{self, Instrument};
use utoipa::ToSchema;

use super::Block;
use crate::app::App;
use crate::error::{ApiError, FieldError};
use crate::http::body::JsonBody;
use crate::tokenization::body::Body;

/// What a check takes.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read member by member, so that every bad one is named")]
pub struct CheckRequest {
    /// The instrument.
    #[schema(min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9._-]+$", example = "rCC")]
    instrument_id: String,
    /// Who gives: a party (its primary wallet), or a wallet's address. Nobody: a mint.
    #[schema(required = false, min_length = 1, max_length = 128, example = "alice::122...")]
    from: Option<String>,
    /// Who gets. Nobody: a burn.
    #[schema(required = false, min_length = 1, max_length = 128)]
    to: Option<String>,
    /// Whole tokens: a decimal string, or a number read exactly from its text.
    #[schema(schema_with = crate::openapi::amount_in)]
    amount: String,
}

/// What the token would say.
#[derive(Debug, Serialize, ToSchema)]
pub struct Verdict {
    /// It would go through.
    allowed: bool,
    /// The token's restriction code (ERC-1404); 0 = none.
    code: u8,
    /// Why not, for programs; null where it is allowed.
    #[schema(required, example = "RECIPIENT_NOT_WHITELISTED")]
    reason_code: Option<&'static str>,
    /// Why not, for people; null where it is allowed.
    #[schema(required)]
    message: Option<&'static str>,
    /// The block that the verdict is as of: the indexed head.
    as_of: Block,
}

/// Says whether a transfer, a mint or a burn would go through, and why not. Nothing is done.
#[utoipa::path(
    post,
    path = "/compliance/check",
    request_body = CheckRequest,
    responses((status = 200, description = "The verdict", body = Verdict))
)]
pub(crate) async fn check(State(app): State<App>, JsonBody(body): JsonBody) -> Result<Json<Verdict>, ApiError> {
    let mut body = Body::parse(&app, &body)?;
    let instrument = body.instrument().await?;
    let from = body.maybe_holder("from").await?.map(not_zero);
    let to = body.maybe_holder("to").await?.map(not_zero);
    let amount = body.amount(instrument.as_ref().map(|(_, known)| known.decimals));
    if let (Some(None), Some(None)) = (from, to) {
        body.refuse("from", "send from, to, or both: nobody gives to nobody");
    }
    body.finish()?;
    let all = (|| Some((instrument?.1.token, from?, to?, amount?.base())))();
    let (token, from, to, amount) = all.ok_or_else(|| ApiError::internal("a member neither read nor refused"))?;
    let mut tx = read::snapshot(app.pool()).await?;
    let as_of = Block::head(&app, &mut tx).await?;
    let unread = || ApiError::Unavailable("the chain is being read anew: try again".into());
    // Read again: all of it as of that block.
    let instrument = read::instrument_of_token(&mut *tx, app.chain_id(), token).await?.ok_or_else(unread)?;
    predictable(&app, &instrument)?;
    let verdict = verdict(&mut tx, &instrument, from, to, amount, as_of.seconds).await?;
    Ok(Json(Verdict {
        allowed: verdict.is_ok(),
        code: verdict.err().and_then(ReasonCode::restriction).unwrap_or_default(),
        reason_code: verdict.err().map(ReasonCode::as_str),
        message: verdict.err().map(ReasonCode::message),
        as_of,
    }))
}

/// The zero address stands for a mint and a burn, as it does for the token.
fn not_zero(wallet: Option<Address>) -> Option<Address> {
    wallet.filter(|wallet| !wallet.is_zero())
}

/// Whether the token asks what is indexed here.
fn predictable(app: &App, instrument: &Instrument) -> Result<(), ApiError> {
    let refuse = |reason: ReasonCode, message: String| {
        Err(ApiError::Rejected(vec![FieldError::refused("instrument_id", reason, message)]))
    };
    let id = &instrument.instrument_id;
    if instrument.inexact.is_some() {
        return refuse(ReasonCode::InstrumentInexact, ReasonCode::InstrumentInexact.message().to_owned());
    }
    match instrument.registry {
        None => refuse(ReasonCode::InstrumentNotOperated, format!("the rules of instrument {id} are not known here")),
        known if known == app.settings().chain.registry => Ok(()),
        Some(other) => {
            let message = format!("instrument {id} asks registry {other}, which is not followed here");
            refuse(ReasonCode::RegistryUnavailable, message)
        }
    }
}

/// What the token would say at second `now`. No wallet on one side: a mint, or a burn.
async fn verdict(
    conn: &mut PgConnection,
    instrument: &Instrument,
    from: Option<Address>,
    to: Option<Address>,
    amount: U256,
    now: u64,
) -> Result<Result<(), ReasonCode>, ApiError> {
    let token = token(conn, instrument).await?;
    let giver = match from {
        Some(from) => Some(wallet(conn, instrument, from).await?),
        None => None,
    };
    let taker = match to {
        Some(to) if from != Some(to) => Some(wallet(conn, instrument, to).await?),
        _ => None,
    };
    Ok(match (giver, taker) {
        (Some(giver), taker) => {
            let allowed = match to {
                Some(_) => restrictions::transfer(&token, &giver, taker.as_ref(), amount, now),
                None => restrictions::burn(&token, &giver, amount),
            };
            allowed.and_then(|()| restrictions::covers(&giver, amount))
        }
        (None, Some(taker)) => restrictions::mint(&token, &taker, amount, now),
        (None, None) => Err(ReasonCode::InvalidWallet),
    })
}

/// The token, as its rules look at it.
pub(crate) async fn token(conn: &mut PgConnection, instrument: &Instrument) -> Result<Token, sqlx::Error> {
    let holders: i64 = match instrument.max_holders {
        None => 0,
        Some(_) => {
            sqlx::query_scalar("SELECT holder_count($1, $2)")
                .bind(instrument.chain_id.cast_signed())
                .bind(instrument.token.as_slice())
                .fetch_one(conn)
                .await?
        }
    };
    Ok(Token {
        transfers_paused: instrument.transfers_paused,
        supply_paused: instrument.supply_paused,
        left: instrument.max_supply.unwrap_or(U256::MAX).saturating_sub(instrument.total_supply),
        max_holders: instrument.max_holders.map_or(0, u64::from),
        holders: holders.unsigned_abs(),
        max_balance: instrument.max_balance.unwrap_or_default(),
    })
}

/// A wallet, as the token's rules look at it.
pub(crate) async fn wallet(
    conn: &mut PgConnection,
    instrument: &Instrument,
    address: Address,
) -> Result<Wallet, sqlx::Error> {
    let chain_id = instrument.chain_id;
    let position = read::position(&mut *conn, chain_id, instrument.token, address).await?;
    let record = read::investor_wallet(conn, chain_id, address).await?;
    let refused = |country| instrument.country_rule.as_ref().is_some_and(|rule| !rule.allows(country));
    let investor = record.map_or_else(Investor::default, |record| Investor {
        whitelisted: record.whitelisted(),
        sanctioned: record.sanctioned(),
        kyc_expires_at: record.kyc_expires_at,
        country_refused: refused(record.country),
    });
    let read::Position { balance, frozen, held, address_frozen } = position;
    Ok(Wallet { balance, frozen, held, address_frozen, investor })
}
