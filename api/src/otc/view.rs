//! Deals as each of their parties sees them, `GET /otc/deals` and `GET /otc/deals/{deal_id}`.

use alloy::primitives::{B256, U256};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use serde::Serialize;
use time::OffsetDateTime;
use tokenx_contracts::amount::Amount;
use tokenx_contracts::ids::InstrumentId;
use tokenx_indexer::read;
use utoipa::ToSchema;
use uuid::Uuid;

use super::record::{self, Filter, Shown, Stage, State};
use crate::app::App;
use crate::ats::names::Does;
use crate::ats::trades::Settlement;
use crate::ats::view::{decimals, read_cursor, write_cursor};
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::asked::Named;
use crate::http::query::Query;
use crate::investors::party_of;
use crate::investors::wallets::PAGE;
use crate::tokens::details::timestamp;

/// A deal, as one of its parties sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DealView {
    id: Uuid,
    /// The party's own name for it; null of what another one has proposed.
    #[schema(required)]
    client_deal_id: Option<String>,
    /// maker: the party has proposed it; taker: it is to accept it.
    role: &'static str,
    offering_id: Uuid,
    instrument_id: String,
    /// What the party does: buy or sell.
    side: &'static str,
    /// By which wallet of its own; a taker that was not named by its wallet chooses it when it accepts.
    wallet_id: Uuid,
    counterparty: Counterparty,
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::amount_out)]
    quantity: Amount,
    /// For a whole token; null where a total was agreed on.
    #[schema(required)]
    price: Option<String>,
    /// For all of it: what the buyer pays. A fee comes out of it.
    #[schema(schema_with = crate::openapi::amount_out)]
    total: Amount,
    /// What is paid with.
    currency: String,
    /// proposed; accepted: on its way to the chain; settled; failed: the chain has refused; cancelled; cancel_pending: the
    /// same, and what the maker's wallet has signed counts until the wallet takes it back on chain or its deadline passes;
    /// declined; expired.
    state: &'static str,
    /// Why it has come to nothing, where neither party has asked for that.
    #[schema(required)]
    reason_code: Option<String>,
    /// Whose fault a refusal by the chain was: buyer or seller; null where it was neither's, or cannot be told.
    #[schema(required)]
    at_fault: Option<String>,
    settlement: Settlement,
    /// What the party holds back for it still: tokens where it sells, money where it buys.
    #[schema(schema_with = crate::openapi::amount_out)]
    reserved: Amount,
    /// What both wallets sign; null while the other one's wallet is not told.
    #[schema(required)]
    message: Option<DealMessage>,
    /// Until when it can be accepted.
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// With whom, as far as that was told: a maker tells who it is, and names a party or a wallet; wallets are told by agreeing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Counterparty {
    #[schema(required)]
    party_id: Option<String>,
    /// Its address.
    #[schema(required)]
    wallet: Option<String>,
}

/// The message `Deal` of the domain `tokenx OtcDesk`, version 1, at the desk's address.
#[derive(Debug, Serialize, ToSchema)]
#[allow(non_snake_case, reason = "the names that are signed")]
pub struct DealMessage {
    /// Where the desk is.
    desk: String,
    /// What the chain knows the deal by (EIP-712).
    digest: String,
    token: String,
    seller: String,
    buyer: String,
    quantity: String,
    paymentToken: String,
    payment: String,
    maxFeeBps: String,
    validFrom: String,
    deadline: String,
    terms: String,
    salt: String,
}

/// A page of deals.
#[derive(Debug, Serialize, ToSchema)]
pub struct DealPage {
    items: Vec<DealView>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

impl Shown {
    /// Whether a party knows the other one's wallet: the taker does, who is to sign for it; the maker where it has named it,
    /// or both have agreed.
    pub(crate) fn tells_wallet(&self, party_id: &str) -> bool {
        self.deal.taker == party_id || self.deal.taker_fixed || self.deal.stage == Stage::Accepted
    }

    /// The other one's name, where a party knows it: the maker has told its own, and knows the taker's if it has named it.
    pub(crate) fn counterparty_of(&self, party_id: &str) -> Option<&str> {
        let deal = &self.deal;
        if deal.taker == party_id { Some(&deal.maker) } else { (!deal.taker_fixed).then_some(&*deal.taker) }
    }

    /// Why it has come to nothing.
    pub(crate) fn reason(&self) -> Option<&str> {
        let failed = || self.progress.reason_code.as_deref().filter(|_| self.shown == State::Failed);
        self.deal.ended_code.as_deref().or_else(failed).filter(|_| self.shown != State::Settled)
    }

    /// Units or money that a party holds back for it.
    pub(crate) fn reserved_by(&self, party_id: &str) -> U256 {
        let holds = match self.shown {
            State::Proposed => self.deal.maker == party_id,
            State::Accepted => true,
            _ => false,
        };
        match self.deal.side_of(party_id) {
            _ if !holds => U256::ZERO,
            Does::Sell => self.deal.quantity.0,
            Does::Buy => self.deal.payment.0,
        }
    }
}

impl DealView {
    pub(super) fn of(shown: &Shown, party_id: &str) -> DealView {
        let deal = &shown.deal;
        let is_maker = deal.taker != party_id;
        let side = deal.side_of(party_id);
        let (own, other) = if is_maker {
            (deal.maker_wallet_id, if deal.maker_sells { deal.buyer } else { deal.seller })
        } else {
            (deal.taker_wallet_id, if deal.maker_sells { deal.seller } else { deal.buyer })
        };
        let money = |base| Amount::new(base, decimals(shown.payment_decimals));
        let units = |base| Amount::new(base, decimals(shown.decimals));
        let reserved = shown.reserved_by(party_id);
        let told = shown.tells_wallet(party_id);
        DealView {
            id: deal.deal_id,
            client_deal_id: is_maker.then(|| deal.client_deal_id.clone()),
            role: if is_maker { "maker" } else { "taker" },
            offering_id: deal.offering_id,
            instrument_id: deal.instrument_id.clone(),
            side: side.as_str(),
            wallet_id: own,
            counterparty: Counterparty {
                party_id: shown.counterparty_of(party_id).map(str::to_owned),
                wallet: told.then(|| other.0.to_checksum(None)),
            },
            quantity: units(deal.quantity.0),
            price: deal.price.map(|price| money(price.0).to_string()),
            total: money(deal.payment.0),
            currency: shown.payment_symbol.clone(),
            state: shown.shown.as_str(),
            reason_code: shown.reason().map(str::to_owned),
            at_fault: deal.at_fault.clone().filter(|_| shown.shown == State::Failed),
            settlement: shown.progress.settlement(),
            reserved: if side == Does::Sell { units(reserved) } else { money(reserved) },
            message: told.then(|| DealMessage::of(shown)),
            expires_at: timestamp(OffsetDateTime::from_unix_timestamp(deal.until).unwrap_or(deal.created_at)),
            created_at: timestamp(deal.created_at),
            updated_at: timestamp(deal.updated_at),
        }
    }
}

impl DealMessage {
    fn of(shown: &Shown) -> DealMessage {
        let deal = &shown.deal;
        DealMessage {
            desk: deal.desk.0.to_checksum(None),
            digest: deal.digest.0.to_string(),
            token: deal.token.0.to_checksum(None),
            seller: deal.seller.0.to_checksum(None),
            buyer: deal.buyer.0.to_checksum(None),
            quantity: deal.quantity.0.to_string(),
            paymentToken: deal.payment_token.0.to_checksum(None),
            payment: deal.payment.0.to_string(),
            maxFeeBps: deal.max_fee_bps.to_string(),
            validFrom: deal.valid_from.to_string(),
            deadline: deal.deadline.to_string(),
            terms: B256::ZERO.to_string(),
            salt: deal.salt.0.to_string(),
        }
    }
}

/// The party's deals, newest first: what it has proposed, and what others have proposed to it.
#[utoipa::path(
    get,
    path = "/otc/deals",
    params(
        ("instrument_id" = Option<String>, Query, description = "Only of this instrument"),
        ("state" = Option<String>, Query, description = "Only proposed, accepted, settled, failed, cancelled, \
            cancel_pending, declined or expired ones"),
        ("role" = Option<String>, Query, description = "Only those that the party has proposed (maker), or that others have (taker)"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = DealPage))
)]
pub(crate) async fn deals(
    Extract(app): Extract<App>,
    viewer: Viewer,
    mut query: Query,
) -> Result<Json<DealPage>, ApiError> {
    let party_id = party_of(&viewer)?;
    let filter = Filter {
        party_id: party_id.to_owned(),
        instrument_id: query.text("instrument_id", |text| InstrumentId::parse(text).map(InstrumentId::into_string)),
        state: query.text("state", State::parse),
        own: query.text("role", |text| match text {
            "maker" => Ok(true),
            "taker" => Ok(false),
            _ => Err("value is neither maker nor taker"),
        }),
        before: query.text("cursor", |text| read_cursor(text).ok_or("value is not a cursor of this list")),
    };
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let mut tx = read::snapshot(app.pool()).await?;
    // One more than asked for says whether there is another page.
    let mut page = record::list(&mut *tx, &filter, limit.cast_signed() + 1).await?;
    let more = page.len() > wanted;
    page.truncate(wanted);
    let last = page.last().filter(|_| more);
    Ok(Json(DealPage {
        next_cursor: last.map(|shown| write_cursor(shown.deal.created_at, shown.deal.deal_id)),
        items: page.iter().map(|shown| DealView::of(shown, party_id)).collect(),
    }))
}

/// One deal of the party's.
#[utoipa::path(
    get,
    path = "/otc/deals/{deal_id}",
    params(("deal_id" = Uuid, Path, description = "The deal")),
    responses((status = 200, description = "The deal", body = DealView))
)]
pub(crate) async fn deal(
    Extract(app): Extract<App>,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<DealView>, ApiError> {
    let party_id = party_of(&viewer)?;
    let DealId(id) = id.ok().and_then(|Path(id)| DealId::named(&id)).ok_or_else(unknown)?;
    let shown = record::shown(app.pool(), party_id, id).await?.ok_or_else(unknown)?;
    Ok(Json(DealView::of(&shown, party_id)))
}

/// A deal's id.
#[derive(Debug)]
pub(crate) struct DealId(pub(super) Uuid);

impl Named for DealId {
    fn named(text: &str) -> Option<DealId> {
        text.parse().ok().map(DealId)
    }

    fn unknown() -> ApiError {
        unknown()
    }
}

pub(super) fn unknown() -> ApiError {
    ApiError::NotFound("the party has no deal with this id".into())
}
