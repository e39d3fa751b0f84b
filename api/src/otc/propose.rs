//! `POST /otc/deals`: a proposal is checked and kept, with what its maker holds back, in one transaction under the maker's
//! lock.

use alloy::primitives::{B256, U256};
use alloy::sol_types::SolStruct;
use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sqlx::PgConnection;
use time::Duration;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::amount::AmountText;
use tokenx_contracts::ids::Holder;
use tokenx_contracts::restrictions;
use tokenx_indexer::read::pages::Window;
use tokenx_keeper::{Contract, Deal as Message};
use tokenx_migrations::{Addr, Uint256, Word};
use uuid::Uuid;

use super::body::{DealProposal, Pays, Proposed, Subject};
use super::desk::Desk;
use super::record::{self, Deal, Stage};
use super::settle::command_id;
use super::view::DealView;
use crate::admin::By;
use crate::app::App;
use crate::ats::body::base;
use crate::ats::check::allowed;
use crate::ats::market::{Closed, seconds};
use crate::ats::names::Does;
use crate::ats::signed::{Clock, GRACE, SIGNED_GRACE};
use crate::ats::worth;
use crate::auth::Viewer;
use crate::compliance::check as predictor;
use crate::error::{ApiError, FieldError};
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::idempotency::{IdempotencyKey, REPLAYED};
use crate::http::intent::{Permit, Said, sent_before};
use crate::investors::{lock, party_of};
use crate::kyc::consequence;
use crate::money::allowance::{Allowance, Gives};
use crate::money::{self, Towards};
use crate::offerings::record::{self as offerings, Record as Offering};
use crate::offerings::routes::seen;
use crate::offerings::visibility::Sees;
use crate::store::parties::Profile;
use crate::store::{parties, reserved};
use crate::tokens::record::{self as tokens, Record as Token};
use crate::tokens::routes::now;
use crate::wallets::record::{self as wallets, Kind as Custody, Record as Wallet};

/// How long a proposal can be accepted, unless it says so itself.
const USUALLY: Duration = Duration::days(1);

/// Proposes a deal. The same `client_deal_id` and the same deal is the same one, for ever; so is the same
/// `Idempotency-Key`.
#[utoipa::path(
    post,
    path = "/otc/deals",
    params(("idempotency-key" = Option<String>, Header, description = "The client's own name for this request")),
    request_body = DealProposal,
    responses((status = 201, description = "The deal, for the other party to accept", body = DealView))
)]
pub(crate) async fn propose(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let asked = Proposed::read(&body, key.as_deref())?;
    let actor = viewer.actor();
    watch(&app, &viewer, &asked).await?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let party = lock(&app, &mut tx, &viewer).await?;
    let (offering, token) = subject(&mut tx, &viewer, &asked.subject).await?;
    let fingerprint = asked.fingerprint(&offering.instrument_id);
    let named = (party.party_id.as_str(), asked.client_deal_id.as_str());
    let known = record::known(&mut *tx, named, (&actor, key.as_deref())).await?;
    let (deal_id, replayed) = match known.as_slice() {
        [] => {
            let wallet = own_wallet(&mut tx, &party.party_id, asked.wallet_id).await?;
            let case = Case { app: &app, party: &party, wallet: &wallet, asked: &asked };
            let new = case.checked(&mut tx, (&offering, &token), (&actor, key, fingerprint)).await?;
            record::insert(&mut tx, &new).await.map_err(sent_before("otc_deals_digest_key"))?;
            let by = By { actor: &actor, request_id: Some(&request_id.0) };
            allow(&app, &mut tx, by, (&new, &wallet, asked.consent.permit.as_ref())).await?;
            record::tell(&mut tx, by, &new, "deal.propose", json!({ "state": Stage::Proposed.as_str() })).await?;
            (new.deal_id, false)
        }
        [one] if one.fingerprint.0 == fingerprint => (one.deal_id, true),
        _ => {
            let detail = "this client_deal_id, or this idempotency key, was used for another deal: choose a new one";
            return Err(ApiError::Conflict(detail.into()));
        }
    };
    let shown = record::shown(&mut *tx, &party.party_id, deal_id).await?;
    let shown = shown.ok_or_else(|| ApiError::internal("a deal that is not shown"))?;
    tx.commit().await?;
    app.commands().wake();
    let mut answer = (StatusCode::CREATED, Json(DealView::of(&shown, &party.party_id))).into_response();
    if replayed {
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(answer)
}

/// Has the money watched that the maker would pay with, before anybody waits for a lock. What is not there is refused below.
async fn watch(app: &App, viewer: &Viewer, asked: &Proposed) -> Result<(), ApiError> {
    if asked.side == Does::Sell {
        return Ok(());
    }
    let mut conn = app.pool().acquire().await?;
    let Ok(wallet) = own_wallet(&mut conn, party_of(viewer)?, asked.wallet_id).await else { return Ok(()) };
    let Ok((_, token)) = subject(&mut conn, viewer, &asked.subject).await else { return Ok(()) };
    let Ok(desk) = Desk::of(app, &mut conn, &token).await? else { return Ok(()) };
    drop(conn);
    money::watch(app, (wallet.address, desk.currency.address, desk.contract)).await
}

/// An offering that the viewer sees, and its token: the one that is named, or the instrument's newest.
async fn subject(conn: &mut PgConnection, viewer: &Viewer, subject: &Subject) -> Result<(Offering, Token), ApiError> {
    let found = match subject {
        Subject::Offering(id) => offerings::find(&mut *conn, *id).await?,
        Subject::Instrument(id) => {
            let sees = Sees::of(conn, viewer).await?;
            let filter = offerings::Filter { sees, instrument_id: Some(id.as_str().to_owned()), ..Default::default() };
            let found = offerings::list(&mut *conn, &filter, &Window::newest(None, 1)).await?.into_iter().next();
            let unknown =
                || refused("instrument_id", ReasonCode::UnknownInstrument, format!("no {id} is offered to you"));
            Some(found.ok_or_else(unknown)?)
        }
    };
    let offering = seen(conn, viewer, found).await?;
    let token = tokens::of_ids(conn, &[&offering.token_id]).await?.into_iter().next();
    let token = token.ok_or_else(|| ApiError::internal("an offering of no token"))?;
    Ok((offering, token))
}

/// A wallet of the party's.
///
/// # Errors
/// 404 where it is not.
pub(super) async fn own_wallet(conn: &mut PgConnection, party_id: &str, wallet_id: Uuid) -> Result<Wallet, ApiError> {
    let wallet = wallets::find(conn, wallet_id).await?.filter(|wallet| wallet.party_id == party_id);
    wallet.ok_or_else(|| ApiError::NotFound("the party has no wallet with this id".into()))
}

/// A proposal with whom it is about, its maker locked.
struct Case<'a> {
    app: &'a App,
    party: &'a Profile,
    wallet: &'a Wallet,
    asked: &'a Proposed,
}

impl Case<'_> {
    /// The deal, where nothing stands in its way.
    async fn checked(
        &self,
        conn: &mut PgConnection,
        (offering, token): (&Offering, &Token),
        (actor, key, fingerprint): (&str, Option<String>, B256),
    ) -> Result<Deal, ApiError> {
        let Case { app, party, wallet, asked } = self;
        consequence::require(conn, party, wallet).await?;
        let (other, taker_fixed) = self.counterparty(conn).await?;
        let desk = Desk::of(app, conn, token).await?.map_err(closed)?;
        desk.is_open().map_err(closed)?;
        let created_at = now();
        let clock = Clock::read(app, conn, seconds(created_at)).await?;
        let until = self.until(clock)?;
        let deal_id = Uuid::now_v7();
        let quantity = base("quantity", &asked.quantity, desk.instrument.decimals)?;
        let (price, payment) = self.payment(&desk, quantity)?;
        let (seller, buyer) = match asked.side {
            Does::Sell => (wallet.address, other.address),
            Does::Buy => (other.address, wallet.address),
        };
        let message = Message {
            seller,
            buyer,
            quantity,
            payment_token: desk.currency.address,
            payment,
            max_fee_bps: desk.terms.fee_bps,
            valid_from: clock.head,
            deadline: until + GRACE,
            terms: B256::ZERO,
            salt: B256::from(U256::from(deal_id.as_u128())),
        };
        let (message, until) = self.signed(message, until, (&desk, clock))?;
        self.may_trade(conn, &desk, (&other, quantity, clock)).await?;
        covered(app, conn, &desk, (wallet, asked.side, asked.consent.permit.as_ref()), (quantity, payment)).await?;
        Ok(Deal {
            deal_id,
            place: 0,
            maker: party.party_id.clone(),
            taker: other.party_id.clone(),
            client_deal_id: asked.client_deal_id.clone(),
            fingerprint: Word(fingerprint),
            proposed_by: actor.to_owned(),
            idempotency_key: key,
            offering_id: offering.offering_id,
            instrument_id: offering.instrument_id.clone(),
            chain_id: app.chain_id().cast_signed(),
            token: Addr(desk.instrument.token),
            desk: Addr(desk.contract),
            maker_sells: asked.side == Does::Sell,
            taker_fixed,
            maker_wallet_id: wallet.wallet_id,
            taker_wallet_id: other.wallet_id,
            seller: Addr(seller),
            buyer: Addr(buyer),
            quantity: Uint256(quantity),
            payment_token: Addr(message.payment_token),
            price: price.map(Uint256),
            payment: Uint256(payment),
            max_fee_bps: i32::from(message.max_fee_bps),
            valid_from: message.valid_from.cast_signed(),
            until: until.cast_signed(),
            deadline: message.deadline.cast_signed(),
            salt: Word(message.salt),
            digest: Word(digest(app, &desk, &message)),
            maker_signature: asked.consent.signed.as_ref().map(|(_, proof)| proof.to_vec()),
            taker_signature: None,
            stage: Stage::Proposed,
            ended_code: None,
            command_id: command_id(deal_id),
            at_fault: None,
            created_at,
            updated_at: created_at,
        })
    }

    /// The other one's wallet: the one that is named, or the party's primary one until it chooses; and whether it is named.
    async fn counterparty(&self, conn: &mut PgConnection) -> Result<(Wallet, bool), ApiError> {
        let refuse = |code, message: String| Err(refused("counterparty", code, message));
        let (address, fixed) = match &self.asked.counterparty {
            Holder::Wallet(address) => (*address, true),
            Holder::Party(id) => {
                let Some(party) = parties::find(&mut *conn, id).await? else {
                    return refuse(ReasonCode::UnknownParty, format!("there is no party {id}"));
                };
                let Some(primary) = parties::primary_wallet(&mut *conn, self.app.chain_id(), &party).await? else {
                    return refuse(ReasonCode::WalletNotWhitelisted, "the party has no approved wallet".to_owned());
                };
                (primary, false)
            }
        };
        let Some(other) = wallets::at(conn, address).await? else {
            return refuse(ReasonCode::UnknownWallet, format!("{address} is nobody's wallet here"));
        };
        if other.party_id == self.party.party_id {
            return refuse(ReasonCode::SelfTrade, "a deal needs two parties".to_owned());
        }
        // What the wallet signs names the other one's.
        if self.wallet.kind == Custody::SelfCustody && !fixed {
            return Err(bad(
                "counterparty",
                "the wallet's own key signs the deal: name the other wallet by its address",
            ));
        }
        Ok((other, fixed))
    }

    /// Until when it can be accepted, Unix seconds.
    fn until(&self, clock: Clock) -> Result<u64, ApiError> {
        let most = clock.now + u64::from(self.app.settings().market.gtc_days) * 86_400;
        let until = match self.asked.expires_at {
            None => (clock.now + USUALLY.whole_seconds().unsigned_abs()).min(most),
            Some(at) => seconds(at),
        };
        if until <= clock.now || until > most {
            let message = format!("send a time within the next {} days", self.app.settings().market.gtc_days);
            return Err(bad("expires_at", &message));
        }
        Ok(until)
    }

    /// What is paid for all of it, and for a whole token where that was named. Rounded against whoever accepts: up where it
    /// pays, down where it is paid.
    fn payment(&self, desk: &Desk, quantity: U256) -> Result<(Option<U256>, U256), ApiError> {
        let decimals = desk.currency.decimals;
        let read = |name, text: &AmountText| base(name, text, decimals);
        let (name, price, payment) = match &self.asked.pays {
            Pays::Total(total) => ("total", None, read("total", total)?),
            Pays::Price(price) => {
                let price = read("price", price)?;
                let maker_buys = self.asked.side == Does::Buy;
                ("price", Some(price), worth::of_trade(quantity, price, desk.unit, 0, maker_buys).cost)
            }
        };
        let left = worth::of_trade(desk.unit, payment, desk.unit, desk.terms.fee_bps, true).proceeds;
        if left.is_zero() {
            let code = ReasonCode::TradeTooSmall;
            return Err(refused(name, code, code.message().to_owned()));
        }
        Ok((price, payment))
    }

    /// The deal with what its maker has signed, and until when it can be accepted then.
    fn signed(&self, deal: Message, until: u64, (desk, clock): (&Desk, Clock)) -> Result<(Message, u64), ApiError> {
        let Some((intent, _)) = consent(self.wallet, &self.asked.consent.signed)? else { return Ok((deal, until)) };
        let mut said = Said::default();
        intent.speaks_of(&deal, desk.instrument.token, &mut said);
        // The fee is the seller's: a buyer does not say how high it may become.
        match self.asked.side {
            Does::Sell => said.fits_fee(intent.max_fee_bps, desk.terms.fee_bps),
            Does::Buy => said.is("maxFeeBps", intent.max_fee_bps, U256::from(desk.terms.fee_bps)),
        }
        let deadline = said.lives(intent.valid_from, ("deadline", intent.deadline), clock);
        let deadline = said.finish(deadline)?;
        let (max_fee_bps, valid_from) = (intent.max_fee_bps.to(), intent.valid_from.to());
        let deal = Message { max_fee_bps, valid_from, deadline, salt: intent.salt, ..deal };
        Ok((deal, until.min(deadline - SIGNED_GRACE)))
    }

    /// What the token says of the maker, whoever the other one is, and of the other one, however much it has.
    async fn may_trade(
        &self,
        conn: &mut PgConnection,
        desk: &Desk,
        (other, quantity, clock): (&Wallet, U256, Clock),
    ) -> Result<(), ApiError> {
        let token = predictor::token(conn, &desk.instrument).await?;
        let own = predictor::wallet(conn, &desk.instrument, self.wallet.address).await?;
        let theirs = predictor::wallet(conn, &desk.instrument, other.address).await?;
        let against = if self.asked.side == Does::Sell { Does::Buy } else { Does::Sell };
        allowed(self.asked.side, &token, &own, quantity, clock.now)
            .map_err(|code| restricted(code, self.asked.side))?;
        allowed(against, &token, &theirs, U256::ZERO, clock.now).map_err(|code| restricted(code, self.asked.side))
    }
}

/// What a wallet whose key is its party's has signed; of another one there is nothing to send.
///
/// # Errors
/// 400, by what is missing or too much.
pub(super) fn consent<'a, T>(wallet: &Wallet, signed: &'a Option<T>) -> Result<Option<&'a T>, ApiError> {
    match (wallet.kind, signed) {
        (Custody::Hosted, None) => Ok(None),
        (Custody::SelfCustody, Some(signed)) => Ok(Some(signed)),
        (Custody::Hosted, Some(_)) => {
            Err(bad("intent", "the wallet's key is held here, which signs for it: send none"))
        }
        (Custody::SelfCustody, None) => {
            Err(bad("intent", "the wallet's own key signs its deals: send intent and signature"))
        }
    }
}

/// What the chain knows a deal by.
pub(super) fn digest(app: &App, desk: &Desk, message: &Message) -> B256 {
    let domain = Contract::OtcDesk.domain(app.chain_id(), desk.contract);
    message.of(desk.instrument.token).eip712_signing_hash(&domain)
}

/// Whether a wallet has what it promises, beside all else that it has promised.
///
/// # Errors
/// 422, by what it lacks.
pub(super) async fn covered(
    app: &App,
    conn: &mut PgConnection,
    desk: &Desk,
    (wallet, side, permit): (&Wallet, Does, Option<&Permit>),
    (quantity, payment): (U256, U256),
) -> Result<(), ApiError> {
    match side {
        Does::Sell => {
            let has = predictor::wallet(conn, &desk.instrument, wallet.address).await?;
            let position = [(desk.instrument.instrument_id.clone(), wallet.address)];
            let reserved = reserved::units(conn, &position).await?.into_values().next().unwrap_or_default();
            let free = has.balance.saturating_sub(has.frozen.saturating_add(has.held).saturating_add(reserved));
            if quantity > free {
                let message = format!("{} is free, {} was asked", desk.units(free), desk.units(quantity));
                return Err(refused("quantity", ReasonCode::InsufficientSpendable, message));
            }
        }
        Does::Buy => {
            let permit = permit.map(|permit| permit.value);
            let towards = Towards { contract: Contract::OtcDesk, address: desk.contract, permit };
            let free = money::buying_power(conn, app.chain_id(), wallet, desk.currency.address, towards).await?;
            if payment > free {
                let (free, needed) = (desk.money(free), desk.money(payment));
                let message = format!("{free} {} is free, {needed} is needed", desk.currency.symbol);
                return Err(refused("wallet_id", ReasonCode::InsufficientFunds, message));
            }
        }
    }
    Ok(())
}

/// What the token says of the deal as a whole, as its predictor would.
///
/// # Errors
/// 422, by its first restriction; the viewer is on this side.
pub(super) async fn predicted(
    conn: &mut PgConnection,
    desk: &Desk,
    (message, side, clock): (&Message, Does, Clock),
) -> Result<(), ApiError> {
    let token = predictor::token(conn, &desk.instrument).await?;
    let seller = predictor::wallet(conn, &desk.instrument, message.seller).await?;
    let buyer = predictor::wallet(conn, &desk.instrument, message.buyer).await?;
    restrictions::transfer(&token, &seller, Some(&buyer), message.quantity, clock.now)
        .and_then(|()| restrictions::covers(&seller, message.quantity))
        .map_err(|code| restricted(code, side))
}

/// Has the desk allowed to take what a wallet gives.
pub(super) async fn allow(
    app: &App,
    conn: &mut PgConnection,
    by: By<'_>,
    (deal, wallet, permit): (&Deal, &Wallet, Option<&Permit>),
) -> Result<(), ApiError> {
    let sells = deal.side_of(&wallet.party_id) == Does::Sell;
    let allowance = Allowance {
        wallet,
        instrument_id: &deal.instrument_id,
        gives: if sells { Gives::Units(deal.token.0) } else { Gives::Money(deal.payment_token.0) },
        contract: Contract::OtcDesk,
        spender: deal.desk.0,
        until: deal.deadline.unsigned_abs(),
    };
    allowance.ask(app, conn, by, permit).await
}

/// A restriction, by what it is about: the viewer's own wallet, the other one's, or neither's.
fn restricted(code: ReasonCode, side: Does) -> ApiError {
    use ReasonCode as R;
    let of = match code {
        R::SenderFrozen | R::SenderNotWhitelisted | R::SenderKycExpired | R::SenderSanctioned => Some(Does::Sell),
        R::AmountFrozen | R::AmountHeld | R::InsufficientBalance => Some(Does::Sell),
        R::TokenPaused => None,
        _ => Some(Does::Buy),
    };
    let field = match of {
        None => "instrument_id",
        Some(of) if of == side => "wallet_id",
        Some(_) => "counterparty",
    };
    refused(field, code, code.message().to_owned())
}

pub(super) fn closed(closed: Closed) -> ApiError {
    refused("instrument_id", closed.code, closed.message)
}

pub(super) fn refused(field: &'static str, code: ReasonCode, message: String) -> ApiError {
    ApiError::Rejected(vec![FieldError::refused(field, code, message)])
}

pub(super) fn bad(field: &'static str, message: &str) -> ApiError {
    ApiError::Rejected(vec![FieldError::body(field, "value_error", message)])
}
