//! `POST /offerings/{id}/subscribe`: a subscription is checked and kept, with what it holds back and the commands that buy,
//! in one transaction under the locks of its party and its offering.

use alloy::primitives::{Address, Bytes, U256, keccak256};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use tokenx_contracts::amount::{Amount, AmountError};
use tokenx_contracts::codes::ReasonCode;
use tokenx_contracts::ids::{CommandId, PartyId, Scope};
use tokenx_contracts::restrictions;
use tokenx_indexer::read;
use tokenx_keeper::{
    AcceptError, Consent, Contract, Field, NewCommand, Operation, Permit, Purchase as Signed, Refusal, Sale,
};
use uuid::Uuid;

use super::body::{Asked, Intent, SubscriptionRequest};
use super::course::Purchase;
use super::record::{self, New, Record, Shelf};
use super::view::Subscription;
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::auth::Viewer;
use crate::compliance::check as predictor;
use crate::error::{ApiError, FieldError};
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::idempotency::{IdempotencyKey, REPLAYED};
use crate::http::intent::Said;
use crate::investors::{lock, party_of};
use crate::kyc::consequence;
use crate::money::{self, Towards};
use crate::offerings::course::Status;
use crate::offerings::facts::{self, Facts};
use crate::offerings::record::{self as offerings, Record as Offering};
use crate::offerings::routes::{offering_id, seen};
use crate::store::parties::Profile;
use crate::tokens::facts::Deployment;
use crate::tokens::routes::now;
use crate::wallets::record::{self as wallets, Kind, Record as Wallet};

/// How long what is signed for a hosted wallet counts; its command ends earlier.
const HOSTED: Duration = Duration::days(30);

/// Subscribes: reserves supply and money, then buys on chain for the wallet, or waits until the wallet has bought by itself.
/// The same `command_id` and the same subscription is the same one, for ever; so is the same `Idempotency-Key`.
#[utoipa::path(
    post,
    path = "/offerings/{offering_id}/subscribe",
    params(
        ("offering_id" = Uuid, Path, description = "The offering"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    request_body = SubscriptionRequest,
    responses((status = 202, description = "The subscription, on its way to the chain", body = Subscription))
)]
pub(crate) async fn subscribe(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    IdempotencyKey(key): IdempotencyKey,
    id: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let id = offering_id(id)?;
    let actor = viewer.actor();
    let asked = Asked::read(&body, key.as_deref());
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    if let Ok(asked) = &asked {
        let names = (actor.as_str(), key.as_deref());
        let known = record::known(&mut *tx, party_of(&viewer)?, &asked.command_id, names).await?;
        if let Some(known) = replayed(&known, id, asked)? {
            return Ok(answer(known, true));
        }
    }
    let found = offerings::find(&mut *tx, id).await?;
    let offering = seen(&mut tx, &viewer, found).await?;
    let asked = asked?;
    let wallet = own_wallet(&mut tx, &viewer, asked.wallet_id).await?;
    let facts = facts::of_one(&mut tx, app.chain_id(), &offering).await?;
    let Some(Sold { listing, payment_token, .. }) = Sold::of(&offering, &facts) else {
        return Err(not_on_sale(&offering, &facts));
    };
    // Nobody waits for the chain with a lock in his hands.
    tx.commit().await?;
    money::watch(&app, (wallet.address, payment_token, listing)).await?;

    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let party = lock(&app, &mut tx, &viewer).await?;
    let names = (actor.as_str(), key.as_deref());
    let known = record::known(&mut *tx, &party.party_id, &asked.command_id, names).await?;
    if let Some(known) = replayed(&known, id, &asked)? {
        return Ok(answer(known, true));
    }
    let found = offerings::lock(&mut tx, id).await?;
    let offering = seen(&mut tx, &viewer, found).await?;
    let wallet = own_wallet(&mut tx, &viewer, asked.wallet_id).await?;
    let case = Case { app: &app, party: &party, wallet: &wallet, offering: &offering, asked: &asked };
    let by = By { actor: &actor, request_id: Some(&request_id.0) };
    let new = case.checked(&mut tx, by, key).await?;
    record::insert(&mut tx, &new).await?;
    case.ask(&mut tx, by, &new).await?;
    let detail = json!({
        "party_id": new.party_id,
        "token_id": offering.token_id,
        "instrument_id": offering.instrument_id,
        "offering_id": new.offering_id,
        "wallet": new.wallet.to_checksum(None),
        "command_id": new.command_id,
        "quantity": (new.quantity / new.unit).to_string(),
        "cost": new.cost.to_string(),
        "purchase": new.purchase.as_str(),
    });
    let subject = format!("subscription:{}", new.subscription_id);
    admin::note(&mut tx, by, Note { action: "offering.subscribe", subject, detail }).await?;
    let shown = record::find(&mut *tx, new.subscription_id).await?;
    let shown = shown.ok_or_else(|| ApiError::internal("a subscription that does not show"))?;
    tx.commit().await?;
    app.commands().wake();
    Ok(answer(&shown, false))
}

fn answer(record: &Record, is_replay: bool) -> Response {
    let mut answer = (StatusCode::ACCEPTED, Json(Subscription::from(record))).into_response();
    if is_replay {
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    answer
}

/// What this very request led to before.
fn replayed<'r>(known: &'r [Record], offering_id: Uuid, asked: &Asked) -> Result<Option<&'r Record>, ApiError> {
    let is = |record: &Record| {
        let quantity = asked.quantity.to_amount(0).map(|amount| amount.base().saturating_mul(record.unit));
        record.offering_id == offering_id
            && record.wallet_id == asked.wallet_id
            && record.command_id == asked.command_id.as_str()
            && quantity == Ok(record.quantity)
            && asked.signed.as_ref().is_none_or(|(intent, _)| record.salt == Some(intent.salt))
            && (asked.signed.is_some() == (record.purchase == Purchase::Signed))
    };
    match known {
        [] => Ok(None),
        [one] if is(one) => Ok(Some(one)),
        _ => Err(ApiError::Conflict(
            "this command_id, or this idempotency key, was used for another subscription: choose a new one".into(),
        )),
    }
}

async fn own_wallet(conn: &mut PgConnection, viewer: &Viewer, wallet_id: Uuid) -> Result<Wallet, ApiError> {
    let party_id = party_of(viewer)?;
    let wallet = wallets::find(conn, wallet_id).await?.filter(|wallet| wallet.party_id == party_id);
    wallet.ok_or_else(|| ApiError::NotFound("the party has no wallet with this id".into()))
}

/// What the chain sells, and for what.
#[derive(Clone, Copy)]
struct Sold {
    deployed: Deployment,
    listing: Address,
    payment_token: Address,
    /// Base units of that for a whole token.
    price: U256,
}

impl Sold {
    /// `None` while it is not on sale.
    fn of(offering: &Offering, facts: &Facts) -> Option<Sold> {
        let now = OffsetDateTime::now_utc();
        let published = facts.course(offering, now).status() == Status::Published;
        let is_open = published && offering.terms.opens_at.is_none_or(|opens| opens <= now);
        let deployed = facts.chain.deployment.filter(|_| is_open)?;
        let listing = deployed.listing?;
        let terms = listing.terms?;
        Some(Sold { deployed, listing: listing.contract, payment_token: terms.payment_token, price: terms.price })
    }
}

fn not_on_sale(offering: &Offering, facts: &Facts) -> ApiError {
    let status = facts.course(offering, OffsetDateTime::now_utc()).status();
    let message = match (status, offering.terms.opens_at) {
        (Status::Published, Some(opens)) => format!("the offering opens at second {}", opens.unix_timestamp()),
        _ => format!("the offering is {}: nothing is sold", status.as_str()),
    };
    refused("offering_id", ReasonCode::NotOnSale, message)
}

/// A request with what it is about, its party and its offering locked.
struct Case<'a> {
    app: &'a App,
    party: &'a Profile,
    wallet: &'a Wallet,
    offering: &'a Offering,
    asked: &'a Asked,
}

impl Case<'_> {
    /// The subscription, where nothing stands in its way.
    async fn checked(&self, conn: &mut PgConnection, by: By<'_>, key: Option<String>) -> Result<New, ApiError> {
        let Case { app, party, wallet, offering, asked } = self;
        consequence::require(conn, party, wallet).await?;
        let facts = facts::of_one(conn, app.chain_id(), offering).await?;
        let Some(sold) = Sold::of(offering, &facts) else { return Err(not_on_sale(offering, &facts)) };
        let unit = sold.deployed.unit;
        let count = whole(asked)?;
        let quantity = count.checked_mul(unit).ok_or_else(|| too_many(asked))?;
        self.may_hold(conn, sold.deployed.token, quantity).await?;
        let cost = count.checked_mul(sold.price).ok_or_else(|| too_many(asked))?;
        let cursor = read::cursor(&mut *conn, app.chain_id()).await?;
        let cursor =
            cursor.ok_or_else(|| ApiError::Unavailable("the chain has not been read yet: try again".into()))?;
        let purchase = match (wallet.kind, &asked.signed) {
            (Kind::Hosted, None) if asked.permit.is_none() => Purchase::Hosted,
            (Kind::Hosted, _) => {
                return Err(bad("intent", "the wallet's key is held here, which signs for it: send none"));
            }
            (Kind::SelfCustody, Some(_)) => Purchase::Signed,
            (Kind::SelfCustody, None) => Purchase::Own,
        };
        let subscription_id = Uuid::now_v7();
        let created_at = now();
        let ttl = Duration::seconds(i64::from(app.settings().subscription.ttl_seconds));
        let new = New {
            subscription_id,
            offering_id: offering.offering_id,
            party_id: party.party_id.clone(),
            wallet_id: wallet.wallet_id,
            command_id: asked.command_id.clone(),
            purchase,
            chain_id: app.chain_id(),
            token: sold.deployed.token,
            listing: sold.listing,
            wallet: wallet.address,
            unit,
            quantity,
            payment_token: sold.payment_token,
            cost,
            salt: match (purchase, &asked.signed) {
                (_, Some((intent, _))) => Some(intent.salt),
                (Purchase::Own, None) => None,
                (_, None) => Some(keccak256(subscription_id.as_bytes())),
            },
            at_block: cursor.number,
            expires_at: (purchase != Purchase::Hosted).then_some(created_at + ttl),
            asked_by: by.actor.to_owned(),
            idempotency_key: key,
            created_at,
        };
        if let Some((intent, _)) = &asked.signed {
            says_the_same(intent, &new)?;
        }
        let shelf = record::shelf(conn, (app.chain_id(), new.token), (&party.party_id, party.investor_id)).await?;
        let shelf = shelf.ok_or_else(|| not_on_sale(offering, &facts))?;
        self.fits(&shelf, &new)?;
        let permit = asked.permit.as_ref().map(|permit| permit.value);
        // A wallet that buys by itself may give its allowance with the purchase.
        let permit = if purchase == Purchase::Own { Some(U256::MAX) } else { permit };
        let towards = Towards { contract: Contract::Listing, address: new.listing, permit };
        let power = money::buying_power(conn, app.chain_id(), wallet, new.payment_token, towards).await?;
        money::covers(power, new.cost)?;
        if purchase == Purchase::Own && record::promised(conn, &new).await?.1 {
            let detail = "the wallet is to buy another subscription of this token by itself: buy that one first";
            return Err(ApiError::Conflict(detail.into()));
        }
        if record::is_taken(conn, &new.party_id, &new.command_id).await? {
            return Err(ApiError::Conflict(AcceptError::Conflict(new.command_id.as_str().to_owned()).to_string()));
        }
        Ok(new)
    }

    /// What the token's own rules say of so many units for the wallet.
    async fn may_hold(&self, conn: &mut PgConnection, token: Address, quantity: U256) -> Result<(), ApiError> {
        let unread = || ApiError::Unavailable("the chain is being read anew: try again".into());
        let instrument = read::instrument_of_token(&mut *conn, self.app.chain_id(), token).await?.ok_or_else(unread)?;
        let rules = predictor::token(conn, &instrument).await?;
        let wallet = predictor::wallet(conn, &instrument, self.wallet.address).await?;
        let now = OffsetDateTime::now_utc().unix_timestamp().unsigned_abs();
        restrictions::mint(&rules, &wallet, quantity, now).map_err(|code| {
            let code = match code {
                ReasonCode::RecipientFrozen => ReasonCode::WalletFrozen,
                ReasonCode::RecipientNotWhitelisted => ReasonCode::WalletNotWhitelisted,
                ReasonCode::RecipientKycExpired => ReasonCode::KycExpired,
                other => other,
            };
            refused("wallet_id", code, code.message().to_owned())
        })
    }

    /// Whether so much is left, and within what an investor may buy over all its wallets.
    fn fits(&self, shelf: &Shelf, new: &New) -> Result<(), ApiError> {
        let left = shelf.listed.saturating_sub(shelf.sold).saturating_sub(shelf.reserved);
        if new.quantity > left {
            let message = format!("{} tokens are left, {} were asked for", left / new.unit, new.quantity / new.unit);
            return Err(refused("quantity", ReasonCode::SoldOut, message));
        }
        let units = |count: i64| U256::from(count.unsigned_abs()).saturating_mul(new.unit);
        let terms = &self.offering.terms;
        let total = shelf.bought_by.saturating_add(shelf.reserved_by).saturating_add(new.quantity);
        if total < units(terms.min_purchase) || terms.max_purchase.is_some_and(|most| total > units(most)) {
            let most = terms.max_purchase.map_or_else(|| "any number".to_owned(), |most| most.to_string());
            let total = total / new.unit;
            let message =
                format!("an investor buys {} to {most} tokens in all, this makes {total}", terms.min_purchase);
            return Err(refused("quantity", ReasonCode::PurchaseOutOfRange, message));
        }
        Ok(())
    }

    /// Has the keeper buy, after what lets the listing take the money.
    async fn ask(&self, conn: &mut PgConnection, by: By<'_>, new: &New) -> Result<(), ApiError> {
        let Some(salt) = new.salt else { return Ok(()) };
        let instrument = || self.offering.instrument_id.parse().map_err(ApiError::internal);
        let deadline = U256::from((new.created_at + HOSTED).unix_timestamp().unsigned_abs());
        let permit = match (&self.asked.permit, new.purchase) {
            (Some(given), _) => {
                let permit = Permit { owner: new.wallet, value: given.value, deadline: given.deadline };
                Some((permit, given.signature.clone()))
            }
            (None, Purchase::Hosted) => {
                // For all that it is to pay there: a permit takes the place of the one before.
                let (value, _) = record::promised(conn, new).await?;
                let value = value.saturating_add(new.cost);
                Some((Permit { owner: new.wallet, value, deadline }, Bytes::new()))
            }
            (None, _) => None,
        };
        if let Some((permit, signature)) = permit {
            let command_id = CommandId::parse(format!("permit:{}:-:1", new.subscription_id));
            let (contract, payment_token) = (Contract::Listing, new.payment_token);
            let consent = Consent::UsePermit { instrument: instrument()?, contract, payment_token, permit, signature };
            let named = (Scope::System, command_id.map_err(ApiError::internal)?);
            self.accept(conn, by, (named, consent.into(), new.expires_at)).await?;
        }
        let signed = self.asked.signed.as_ref();
        let purchase = Signed {
            wallet: new.wallet,
            quantity: new.quantity,
            payment_token: new.payment_token,
            max_cost: signed.map_or(new.cost, |(intent, _)| intent.max_cost),
            deadline: signed.map_or(deadline, |(intent, _)| intent.deadline),
            salt,
        };
        let signature = signed.map_or_else(Bytes::new, |(_, proof)| proof.clone());
        let party = PartyId::parse(new.party_id.clone()).map_err(ApiError::internal)?;
        let named = (Scope::Party(party), new.command_id.clone());
        let buy = Sale::Buy { instrument: instrument()?, purchase, signature };
        self.accept(conn, by, (named, buy.into(), new.expires_at)).await
    }

    async fn accept(
        &self,
        conn: &mut PgConnection,
        by: By<'_>,
        ((scope, command_id), operation, valid_until): ((Scope, CommandId), Operation, Option<OffsetDateTime>),
    ) -> Result<(), ApiError> {
        let command = NewCommand {
            answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
            scope,
            command_id,
            operation,
            requested_by: by.actor.to_owned(),
            request_id: by.request_id.unwrap_or_default().to_owned(),
            valid_until,
        };
        match self.app.commands().accept_in(conn, &command).await {
            Ok(_) => Ok(()),
            Err(AcceptError::Refused(Refusal { code, field, message })) => {
                let field = match field {
                    Field::Wallet => "wallet_id",
                    Field::Amount => "quantity",
                    Field::Signature => "signature",
                    Field::Until => "intent",
                    _ => "offering_id",
                };
                Err(refused(field, code, message))
            }
            Err(AcceptError::Database(error)) => Err(error.into()),
            Err(conflict @ AcceptError::Conflict(_)) => Err(ApiError::Conflict(conflict.to_string())),
        }
    }
}

/// Whole tokens, as they are sold.
fn whole(asked: &Asked) -> Result<U256, ApiError> {
    match asked.quantity.to_amount(0) {
        Ok(count) => Ok(Amount::base(&count)),
        Err(AmountError::TooManyDecimals { value, .. }) => Err(refused(
            "quantity",
            ReasonCode::NotWhole,
            format!("only whole tokens are sold, {value} were asked for"),
        )),
        Err(error) => Err(bad("quantity", &error.to_string())),
    }
}

fn too_many(asked: &Asked) -> ApiError {
    refused("quantity", ReasonCode::SoldOut, format!("there are not as many tokens as {:?}", asked.quantity))
}

/// Refuses what the wallet has signed where the request says something else.
fn says_the_same(intent: &Intent, new: &New) -> Result<(), ApiError> {
    let mut said = Said::default();
    said.is("wallet", intent.wallet, new.wallet);
    said.is("token", intent.token, new.token);
    said.is("quantity", intent.quantity, new.quantity);
    said.is("paymentToken", intent.payment_token, new.payment_token);
    said.finish(Some(()))?;
    if intent.max_cost < new.cost {
        let message = format!("it costs {} base units, {} were signed for at most", new.cost, intent.max_cost);
        return Err(refused("intent", ReasonCode::CostAboveLimit, message));
    }
    Ok(())
}

fn refused(field: &'static str, code: ReasonCode, message: String) -> ApiError {
    ApiError::Rejected(vec![FieldError::refused(field, code, message)])
}

fn bad(field: &'static str, message: &str) -> ApiError {
    ApiError::Rejected(vec![FieldError::body(field, "value_error", message)])
}
