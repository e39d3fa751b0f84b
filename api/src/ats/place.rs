//! `POST /ats/orders`: an order is checked and kept, with what it reserves, in one transaction under its party's lock. Its book
//! takes it afterwards.

use alloy::primitives::{B256, U256};
use alloy::sol_types::SolStruct;
use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sqlx::PgConnection;
use tokenx_contracts::ReasonCode;
use tokenx_keeper::{Contract, Side};
use tokenx_migrations::{Addr, Uint256, Word};
use uuid::Uuid;

use super::body::{Asked, Intent, OrderRequest, base};
use super::check::{self, Ask, Facts, Refusal};
use super::engine::Side as EngineSide;
use super::market::{Market, seconds};
use super::names::{Does, Kind, State, TimeInForce};
use super::record::{self, Order};
use super::signed::{Clock, GRACE, SIGNED_GRACE};
use super::view::OrderView;
use super::{matching, worth};
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::auth::Viewer;
use crate::compliance::check as predictor;
use crate::error::{ApiError, FieldError};
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::idempotency::{IdempotencyKey, REPLAYED};
use crate::http::intent::{Said, sent_before};
use crate::investors::lock;
use crate::kyc::{consequence, record as kyc};
use crate::money;
use crate::money::allowance::{Allowance, Gives};
use crate::offerings::record as offerings;
use crate::offerings::routes::shown;
use crate::offerings::visibility::Sees;
use crate::store::reserved;
use crate::tokens::record as tokens;
use crate::tokens::routes::now;
use crate::wallets::record::{self as wallets, Kind as Custody, Record as Wallet};

/// Seconds that an order waits for its book which is to be filled at once.
const AT_ONCE: u64 = 60;
/// Seconds of a day.
const DAY: u64 = 86_400;

/// Places an order. The same `client_order_id` and the same order is the same one, for ever; so is the same
/// `Idempotency-Key`.
#[utoipa::path(
    post,
    path = "/ats/orders",
    params(("idempotency-key" = Option<String>, Header, description = "The client's own name for this request")),
    request_body = OrderRequest,
    responses((status = 201, description = "The order, on its way to its book", body = OrderView))
)]
pub(crate) async fn place(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let asked = Asked::read(&body)?;
    let request = Request { app: &app, id: &request_id, viewer: &viewer, key, asked };
    let taken = match request.take().await? {
        // The first order that pays with this money.
        Taken::Unwatched(purse) => {
            money::watch(&app, purse).await?;
            request.take().await?
        }
        taken => taken,
    };
    match taken {
        Taken::Placed(order) => Ok((StatusCode::CREATED, Json(*order)).into_response()),
        Taken::Before(order) => {
            let mut answer = (StatusCode::CREATED, Json(*order)).into_response();
            answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(answer)
        }
        Taken::Unwatched(_) => Err(money::unread()),
    }
}

/// An order that is asked for, and by whom.
struct Request<'a> {
    app: &'a App,
    id: &'a RequestId,
    viewer: &'a Viewer,
    key: Option<String>,
    asked: Asked,
}

/// What became of it.
enum Taken {
    Placed(Box<OrderView>),
    /// It had been placed before.
    Before(Box<OrderView>),
    /// Nothing yet: nobody has looked at the money that it would pay with.
    Unwatched(money::Purse),
}

impl Request<'_> {
    /// Places the order in one transaction.
    async fn take(&self) -> Result<Taken, ApiError> {
        let Request { app, id: request_id, viewer, key, asked } = self;
        let actor = viewer.actor();
        let mut tx = tokenx_migrations::begin(app.pool()).await?;
        let party = lock(app, &mut tx, viewer).await?;
        let offering = shown(Sees::All, offerings::find(&mut *tx, asked.offering_id).await?)?;
        let token = tokens::of_ids(&mut *tx, &[&offering.token_id]).await?.into_iter().next();
        let token = token.ok_or_else(|| ApiError::internal("an offering of no token"))?;
        let fingerprint = asked.fingerprint(token.draft.decimals);
        let known = record::known(&mut *tx, &party.party_id, &asked.client_order_id, &actor, key.as_deref()).await?;
        if let Some(order) = replayed(&known, fingerprint)? {
            let shown = record::shown(&mut *tx, &party.party_id, order.order_id).await?;
            let shown = shown.ok_or_else(|| ApiError::internal("an order that is not shown"))?;
            return Ok(Taken::Before(Box::new(OrderView::of(&shown))));
        }
        let application = kyc::newest(&mut *tx, &party.party_id).await?;
        let offering = shown(Sees::of_party(party.country, application.as_ref()), Some(offering))?;
        let wallet = wallets::find(&mut *tx, asked.wallet_id).await?.filter(|wallet| wallet.party_id == party.party_id);
        let wallet = wallet.ok_or_else(|| ApiError::NotFound("the party has no wallet with this id".into()))?;
        consequence::allows(application.as_ref(), &party, &wallet)?;
        let now_at = now();
        let clock = Clock::read(app, &mut tx, seconds(now_at)).await?;
        let market = Market::of(app, &mut tx, &token, clock.stand).await?.map_err(|closed| refused(closed.into()))?;
        let figures = Figures::of(app, &mut tx, (asked, &wallet, &market), clock).await?;
        let ask = Ask { side: asked.side, quantity: figures.quantity, limit: figures.limit, stop: figures.stop };
        let money = match money(app, &mut tx, (asked, &wallet, &market)).await? {
            Ok(money) => money,
            Err(purse) => return Ok(Taken::Unwatched(purse)),
        };
        let facts = facts(&mut tx, (&wallet, &market), money, clock).await?;
        check::check(&ask, &market, &facts).map_err(refused)?;
        let message = figures.message(&wallet, &market);
        let side = if asked.side == Does::Buy { Side::Buy } else { Side::Sell };
        let domain = Contract::SecondaryMarket.domain(app.chain_id(), market.contract);
        let digest = message.of(market.instrument.token, side).eip712_signing_hash(&domain);
        let reserved = match asked.side {
            Does::Sell => figures.quantity,
            Does::Buy => worth::at_most(figures.quantity, figures.limit, market.unit, figures.max_fee_bps),
        };
        let order = Order {
            order_id: figures.order_id,
            place: 0,
            party_id: party.party_id.clone(),
            investor_id: party.investor_id.cast_signed(),
            client_order_id: asked.client_order_id.clone(),
            fingerprint: Word(fingerprint),
            placed_by: actor.clone(),
            request_id: request_id.0.to_string(),
            idempotency_key: key.clone(),
            offering_id: offering.offering_id,
            instrument_id: market.instrument.instrument_id.clone(),
            chain_id: app.chain_id().cast_signed(),
            token: Addr(market.instrument.token),
            market: Addr(market.contract),
            wallet_id: wallet.wallet_id,
            wallet: Addr(wallet.address),
            side: asked.side,
            kind: asked.kind,
            time_in_force: asked.time_in_force,
            quantity: Uint256(figures.quantity),
            limit_price: Uint256(figures.limit),
            stop_price: figures.stop.map(Uint256),
            until: figures.until.cast_signed(),
            payment_token: Addr(market.terms.payment_token),
            max_fee_bps: i32::from(figures.max_fee_bps),
            valid_from: figures.valid_from.cast_signed(),
            expiry: figures.expiry.cast_signed(),
            salt: Word(figures.salt),
            digest: Word(digest),
            signature: asked.signed.as_ref().map(|(_, proof)| proof.to_vec()),
            state: State::Pending,
            rank: None,
            filled: Uint256(U256::ZERO),
            reserved: Uint256(reserved),
            ending: None,
            reason_code: None,
            created_at: now_at,
            updated_at: now_at,
        };
        record::insert(&mut tx, &order).await.map_err(sent_before("orders_digest_key"))?;
        let by = By { actor: &actor, request_id: Some(&request_id.0) };
        let allowance = Allowance {
            wallet: &wallet,
            instrument_id: &order.instrument_id,
            gives: if order.side == Does::Sell {
                Gives::Units(order.token.0)
            } else {
                Gives::Money(order.payment_token.0)
            },
            contract: Contract::SecondaryMarket,
            spender: order.market.0,
            until: order.expiry.unsigned_abs(),
        };
        allowance.ask(app, &mut tx, by, asked.permit.as_ref()).await?;
        let detail = json!({
            "party_id": order.party_id,
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "instrument_id": order.instrument_id,
            "wallet": order.wallet.0.to_checksum(None),
            "side": order.side.as_str(),
            "type": order.kind.as_str(),
            "time_in_force": order.time_in_force.as_str(),
            "quantity": market.units(figures.quantity),
            "limit_price": market.price(figures.limit),
            "stop_price": figures.stop.map(|stop| market.price(stop)),
            "state": State::Pending.as_str(),
        });
        admin::note(&mut tx, by, Note { action: "order.place", subject: format!("order:{}", order.order_id), detail })
            .await?;
        tx.commit().await?;
        app.commands().wake();
        matching::ring(app, &order.instrument_id);
        Ok(Taken::Placed(Box::new(OrderView::of(&market.fresh(order)))))
    }
}

/// The order that this very request led to before.
fn replayed(known: &[Order], fingerprint: B256) -> Result<Option<&Order>, ApiError> {
    match known {
        [] => Ok(None),
        [one] if one.fingerprint.0 == fingerprint => Ok(Some(one)),
        _ => {
            let detail = "this client_order_id, or this idempotency key, was used for another order: choose a new one";
            Err(ApiError::Conflict(detail.into()))
        }
    }
}

/// The order's figures in base units, as they are signed.
#[derive(Debug, Clone)]
struct Figures {
    order_id: Uuid,
    quantity: U256,
    limit: U256,
    stop: Option<U256>,
    until: u64,
    max_fee_bps: u16,
    valid_from: u64,
    expiry: u64,
    salt: B256,
}

impl Figures {
    async fn of(
        app: &App,
        conn: &mut PgConnection,
        (asked, wallet, market): (&Asked, &Wallet, &Market),
        clock: Clock,
    ) -> Result<Figures, ApiError> {
        let decimals = market.currency.decimals;
        let quantity = base("quantity", &asked.quantity, market.instrument.decimals)?;
        let limit = asked.limit_price.as_ref().map(|text| base("limit_price", text, decimals)).transpose()?;
        let stop = asked.stop_price.as_ref().map(|text| base("stop_price", text, decimals)).transpose()?;
        let worst = match (limit, stop) {
            (Some(limit), _) => limit,
            (None, Some(stop)) => check::collared(asked.side, stop, app.settings().market.collar_bps, market),
            (None, None) => {
                let best = best(conn, &market.instrument.instrument_id, asked.side).await?;
                let best = best.ok_or_else(|| refused(Refusal::plain("type", ReasonCode::NoLiquidity)))?;
                check::collared(asked.side, best, app.settings().market.collar_bps, market)
            }
        };
        let until = match asked.time_in_force {
            TimeInForce::Day => market.day_ends(clock.now),
            TimeInForce::Gtc => clock.now + u64::from(app.settings().market.gtc_days) * DAY,
            TimeInForce::Ioc | TimeInForce::Fok => clock.now + AT_ONCE,
        };
        let order_id = Uuid::now_v7();
        let figures = Figures {
            order_id,
            quantity,
            limit: worst,
            stop,
            until,
            max_fee_bps: market.terms.fee_bps,
            valid_from: clock.head,
            expiry: until + GRACE,
            salt: B256::from(U256::from(order_id.as_u128())),
        };
        match (&asked.signed, wallet.kind) {
            (None, Custody::Hosted) => Ok(figures),
            (Some((intent, _)), Custody::SelfCustody) => figures.signed(intent, (asked, wallet, market), clock),
            (Some(_), Custody::Hosted) => {
                Err(bad("intent", "the wallet's key is held here, which signs for it: send none"))
            }
            (None, Custody::SelfCustody) => {
                Err(bad("intent", "the wallet's own key signs its orders: send intent and signature"))
            }
        }
    }

    /// The same with what the wallet has signed, where that is what the request says.
    fn signed(
        self,
        intent: &Intent,
        (asked, wallet, market): (&Asked, &Wallet, &Market),
        clock: Clock,
    ) -> Result<Figures, ApiError> {
        let mut said = Said::default();
        let side = U256::from(u8::from(asked.side == Does::Sell));
        let (token, paid) = (market.instrument.token, market.terms.payment_token);
        let most = match asked.kind {
            Kind::Limit | Kind::StopLimit => self.limit,
            // A worst price of the wallet's own is as good, where it is no worse.
            Kind::Market | Kind::Stop if asked.side == Does::Buy => self.limit.min(intent.limit_price),
            Kind::Market | Kind::Stop => self.limit.max(intent.limit_price),
        };
        said.is("wallet", intent.wallet, wallet.address);
        said.is("token", intent.token, token);
        said.is("paymentToken", intent.payment_token, paid);
        said.is("side", intent.side, side);
        said.is("quantity", intent.quantity, self.quantity);
        said.fits("limitPrice", intent.limit_price == most, format_args!("{most}, or a better one"));
        said.fits_fee(intent.max_fee_bps, market.terms.fee_bps);
        let expiry = said.lives(intent.valid_from, ("expiry", intent.expiry), clock);
        let expiry = said.finish(expiry)?;
        Ok(Figures {
            limit: intent.limit_price,
            until: self.until.min(expiry - SIGNED_GRACE),
            max_fee_bps: intent.max_fee_bps.to(),
            valid_from: intent.valid_from.to(),
            expiry,
            salt: intent.salt,
            ..self
        })
    }

    fn message(&self, wallet: &Wallet, market: &Market) -> tokenx_keeper::Order {
        tokenx_keeper::Order {
            wallet: wallet.address,
            payment_token: market.terms.payment_token,
            quantity: self.quantity,
            limit_price: self.limit,
            max_fee_bps: self.max_fee_bps,
            valid_from: self.valid_from,
            expiry: self.expiry,
            salt: self.salt,
        }
    }
}

/// The best price on the side that an order would trade with.
async fn best(conn: &mut PgConnection, instrument_id: &str, side: Does) -> Result<Option<U256>, sqlx::Error> {
    let best: Option<Uint256> = sqlx::query_scalar(match side.side() {
        EngineSide::Buy => {
            "SELECT min(limit_price)::numeric
               FROM orders
              WHERE instrument_id = $1 AND state = 'open' AND side = 'sell'"
        }
        EngineSide::Sell => {
            "SELECT max(limit_price)::numeric
               FROM orders
              WHERE instrument_id = $1 AND state = 'open' AND side = 'buy'"
        }
    })
    .bind(instrument_id)
    .fetch_one(conn)
    .await?;
    Ok(best.map(|best| best.0))
}

/// Money that the wallet may promise still; for an order that sells, none is needed.
async fn money(
    app: &App,
    conn: &mut PgConnection,
    (asked, wallet, market): (&Asked, &Wallet, &Market),
) -> Result<Result<U256, money::Purse>, sqlx::Error> {
    if asked.side == Does::Sell {
        return Ok(Ok(U256::ZERO));
    }
    let permit = asked.permit.as_ref().map(|permit| permit.value);
    let towards = money::Towards { contract: Contract::SecondaryMarket, address: market.contract, permit };
    money::known_buying_power(conn, app.chain_id(), wallet, market.terms.payment_token, towards).await
}

/// What is known of the wallet, in one place with what holds its units back.
async fn facts(
    conn: &mut PgConnection,
    (wallet, market): (&Wallet, &Market),
    money: U256,
    clock: Clock,
) -> Result<Facts, ApiError> {
    let instrument = &market.instrument;
    let position = [(instrument.instrument_id.clone(), wallet.address)];
    let reserved = reserved::units(&mut *conn, &position).await?.into_values().next().unwrap_or_default();
    Ok(Facts {
        token: predictor::token(conn, instrument).await?,
        wallet: predictor::wallet(conn, instrument, wallet.address).await?,
        reserved,
        money,
        now: clock.now,
    })
}

fn refused(refusal: Refusal) -> ApiError {
    let Refusal { field, code, message } = refusal;
    debug_assert!(check::PRE_TRADE.contains(&code), "{code} is not in the list of why orders are refused");
    match code {
        ReasonCode::SanctionsHit => ApiError::Barred(code, message),
        _ => ApiError::Rejected(vec![FieldError::refused(field, code, message)]),
    }
}

fn bad(field: &'static str, message: &str) -> ApiError {
    ApiError::Rejected(vec![FieldError::body(field, "value_error", message)])
}
