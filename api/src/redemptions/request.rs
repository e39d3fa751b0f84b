//! `/investor/redemptions`: what holders ask to be taken back, and what became of it.

use alloy::primitives::{Bytes, U256, keccak256};
use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use tokenx_contracts::amount::{Amount, AmountText};
use tokenx_contracts::codes::ReasonCode;
use tokenx_contracts::ids::{CommandId, InstrumentId, Scope, onchain_id};
use tokenx_indexer::read::pages::Window;
use tokenx_indexer::read::{self, node};
use tokenx_keeper::{AcceptError, Field, NewCommand, Operation, Payout, Redemption as Signed, Refusal};
use utoipa::ToSchema;
use uuid::Uuid;

use super::course::Status;
use super::record::{self, Case, Filter, Id, Place};
use super::view::{self, Redemption, RedemptionPage, Shown};
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::idempotency::{IdempotencyKey, REPLAYED};
use crate::http::intent::{address, proof, same, uint, word};
use crate::http::object::{Object, text};
use crate::http::query::Query;
use crate::investors;
use crate::store::reserved;
use crate::tokens::facts::{self, Facts};
use crate::tokens::money::{Zero, amount};
use crate::tokens::record as token_record;
use crate::tokens::routes::now;
use crate::wallets::record::{self as wallets, Kind, Record as Wallet};

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100, 1_000);
/// How long the desk may be asked for a hosted wallet.
const HOSTED: Duration = Duration::days(1);

/// What is to be redeemed.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct RedemptionRequest {
    #[schema(min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9._-]+$")]
    instrument_id: String,
    /// The party's wallet that has the units, and is paid.
    wallet_id: Uuid,
    #[schema(schema_with = crate::openapi::amount_in)]
    quantity: String,
    /// Least for a whole token, in the currency that the token is redeemed in; anything unless given.
    #[schema(required = false, schema_with = crate::openapi::number)]
    min_price: Option<String>,
    /// Of a self-custody wallet: what it signs for the redemption desk (EIP-712).
    #[schema(required = false, nullable = false)]
    intent: Option<RedemptionIntent>,
    /// Of a self-custody wallet: its signature of the intent.
    #[schema(required = false, nullable = false, pattern = "^0x([0-9a-fA-F]{2})+$")]
    signature: Option<String>,
}

/// The message `Redemption` of the domain `tokenx RedemptionDesk`, version 1. Numbers are decimal digits.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct RedemptionIntent {
    /// The wallet's address.
    wallet: String,
    /// The token's contract.
    token: String,
    /// Base units of the token.
    quantity: String,
    /// What the token is redeemed in.
    #[schema(rename = "paymentToken")]
    payment_token: String,
    /// Base units of that for all of it, at least: quantity times min_price, rounded down.
    #[schema(rename = "minPayout")]
    min_payout: String,
    /// Last Unix second at which it counts.
    deadline: String,
    /// A word that no other intent of the wallet for the desk has.
    salt: String,
}

/// Asks for units to be redeemed: they are reserved at once and then held at the redemption desk, until a transfer agent
/// decides. With an `Idempotency-Key` it is asked for once, however often it is sent.
#[utoipa::path(
    post,
    path = "/investor/redemptions",
    params(("idempotency-key" = Option<String>, Header, description = "The client's own name for this request")),
    request_body = RedemptionRequest,
    responses((status = 202, description = "The request, on its way to the desk", body = Redemption))
)]
pub(crate) async fn request(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let party = investors::lock(&app, &mut tx, &viewer).await?;
    let mut body = Object::parse(&body)?;
    let asked = Asked::read(&app, &mut tx, &mut body, &party.party_id).await?;
    let errors = body.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    let actor = viewer.actor();
    if let Some(key) = &key
        && let Some(known) = record::by_key(&mut *tx, &actor, key).await?
    {
        if !asked.is(&known) {
            let detail = "this idempotency key was used for another request: choose a new one";
            return Err(ApiError::Conflict(detail.into()));
        }
        let shown = view::one(&mut tx, known).await?;
        let mut answer = (StatusCode::ACCEPTED, Json(Redemption::from(&shown))).into_response();
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        return Ok(answer);
    }
    let redemption_id = Uuid::now_v7();
    let (token_id, operation) = asked.operation(redemption_id)?;
    let Operation::Payout(Payout::RequestRedemption { redemption, .. }) = &operation else {
        return Err(ApiError::internal("a redemption that is none"));
    };
    let command_id = CommandId::parse(format!("redemption_request:{redemption_id}:-:1")).map_err(ApiError::internal)?;
    let new = record::New {
        redemption_id,
        party_id: &party.party_id,
        redemption,
        token_id: &token_id,
        min_price: asked.min_price.map(|price| price.base()),
        by: &actor,
        key: key.as_deref(),
        command: (command_id.as_str(), onchain_id(&Scope::System, &command_id)),
        at: now(),
    };
    record::insert(&mut tx, &new).await?;
    let detail = json!({
        "party_id": party.party_id,
        "token_id": token_id,
        "wallet": redemption.wallet.to_checksum(None),
        "quantity": redemption.quantity.to_string(),
        "payment_token": redemption.payment_token.to_checksum(None),
        "min_payout": redemption.min_payout.to_string(),
        "command_id": command_id,
    });
    let command = NewCommand {
        scope: Scope::System,
        command_id: command_id.clone(),
        operation: operation.clone(),
        requested_by: actor.clone(),
        request_id: request_id.0.to_string(),
        answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
        valid_until: None,
    };
    app.commands().accept_in(&mut tx, &command).await.map_err(refused)?;
    asked.breaks_no_promise(&app, &mut tx).await?;
    let by = By { actor: &actor, request_id: Some(&request_id.0) };
    let note = Note { action: "redemption.request", subject: format!("redemption:{redemption_id}"), detail };
    admin::note(&mut tx, by, note).await?;
    let case = record::find(&mut *tx, app.chain_id(), &Id::Ours(redemption_id)).await?;
    let case = case.ok_or_else(|| ApiError::internal("a redemption that was not written"))?;
    let shown = view::one(&mut tx, case).await?;
    tx.commit().await?;
    app.commands().wake();
    Ok((StatusCode::ACCEPTED, Json(Redemption::from(&shown))).into_response())
}

/// The party's redemptions, newest first: those that were asked for here, and those that its wallets have made at a desk
/// themselves.
#[utoipa::path(
    get,
    path = "/investor/redemptions",
    params(
        ("status" = Option<String>, Query, description = "Only in this state"),
        ("instrument_id" = Option<String>, Query, description = "Only of this instrument"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = RedemptionPage))
)]
pub(crate) async fn history(
    Extract(app): Extract<App>,
    viewer: Viewer,
    mut query: Query,
) -> Result<Json<RedemptionPage>, ApiError> {
    let status = query.text("status", Status::parse);
    let filter = Filter { party_id: Some(investors::party_of(&viewer)?.to_owned()), ..Filter::default() };
    page(&app, query, filter, status).await.map(Json)
}

/// A page of the requests of a filter, its other parameters read here. A status follows from the chain and is no column:
/// pages are read until enough of them have it. One more than asked for says whether there is another page.
pub(super) async fn page(
    app: &App,
    mut query: Query,
    mut filter: Filter,
    status: Option<Status>,
) -> Result<RedemptionPage, ApiError> {
    filter.instrument_id = query.text("instrument_id", |text| InstrumentId::parse(text).map(InstrumentId::into_string));
    let before = query.text("cursor", |text| read_cursor(text).ok_or("value is not a cursor of this list"));
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let mut tx = read::snapshot(app.pool()).await?;
    let (shown, more) = some(app, &mut tx, &filter, before, status, limit).await?;
    let next_cursor = shown.last().filter(|_| more).map(|shown| write_cursor(&shown.case));
    Ok(RedemptionPage { items: shown.iter().map(Redemption::from).collect(), next_cursor })
}

/// The first requests of a filter that are in a state, and whether there are more.
async fn some(
    app: &App,
    conn: &mut PgConnection,
    filter: &Filter,
    mut before: Option<Place>,
    status: Option<Status>,
    limit: u64,
) -> Result<(Vec<Shown>, bool), ApiError> {
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let mut page: Vec<Shown> = Vec::new();
    loop {
        let window = Window::newest(before, limit.cast_signed() + 1);
        let cases = record::list(&mut *conn, app.chain_id(), filter, &window).await?;
        let all = cases.len() <= wanted;
        before = cases.last().map(Case::place);
        let shown = view::all(&mut *conn, cases).await?;
        page.extend(shown.into_iter().filter(|shown| status.is_none_or(|status| shown.status == status)));
        if all || page.len() > wanted {
            break;
        }
    }
    let more = page.len() > wanted;
    page.truncate(wanted);
    Ok((page, more))
}

/// A request, read; what it names is there and its own.
struct Asked {
    instrument_id: Option<InstrumentId>,
    token: Option<(token_record::Record, Facts)>,
    terms: Option<node::RedemptionTerms>,
    wallet: Option<Wallet>,
    quantity: Option<Amount>,
    min_price: Option<Amount>,
    signed: Option<(Signed, Bytes)>,
}

impl Asked {
    /// Reads a body. Members that are looked up come first: how the others are read follows from them.
    async fn read(app: &App, conn: &mut PgConnection, body: &mut Object, party_id: &str) -> Result<Asked, ApiError> {
        let instrument_id = body.read("instrument_id", None, |raw| {
            InstrumentId::parse(text(raw).map_err(str::to_owned)?).map_err(|error| error.to_string())
        });
        let wallet_id = body
            .read("wallet_id", None, |raw| text(raw)?.parse::<Uuid>().map_err(|_| "value is not the id of a wallet"));
        let wallet = match wallet_id {
            None => None,
            Some(id) => {
                let own = wallets::find(&mut *conn, id).await?.filter(|wallet| wallet.party_id == party_id);
                Some(own.ok_or_else(|| ApiError::NotFound("there is no wallet with this id".into()))?)
            }
        };
        let token = match &instrument_id {
            None => None,
            Some(id) => {
                let found = token_record::of_instruments(&mut *conn, app.chain_id(), &[id.as_str()]).await?;
                let facts = facts::of(conn, app.chain_id(), &found).await?;
                found.into_iter().zip(facts).next()
            }
        };
        let deployed = token.as_ref().and_then(|(_, facts)| facts.deployment);
        let desk = token.as_ref().and_then(|(_, facts)| facts.node).and_then(|node| node.contracts.redemption_desk);
        let terms = match deployed.zip(desk) {
            Some((deployed, desk)) => node::redemption_terms(&mut *conn, app.chain_id(), desk, deployed.token).await?,
            None => None,
        };
        let decimals = token.as_ref().map(|(record, _)| record.draft.decimals);
        let quantity = body.read("quantity", None, |raw| {
            let text = AmountText::from_json(raw)?;
            // Of a token that is not known only the shape is checked.
            decimals.map_or_else(
                || text.fits_some_token().map(|()| Amount::new(U256::ZERO, 0)),
                |decimals| text.to_amount(decimals),
            )
        });
        let money = token.as_ref().map(|(record, _)| record.draft.token_price.currency.decimals);
        let min_price = body.nullable("min_price", None, |raw| amount(raw, money, Zero::Refused)).flatten();
        let mut asked = Asked { instrument_id, token, terms, wallet, quantity, min_price, signed: None };
        asked.signed = asked.read_signed(body);
        Ok(asked)
    }

    /// What a self-custody wallet has signed; of a hosted one there is nothing to send.
    fn read_signed(&self, body: &mut Object) -> Option<(Signed, Bytes)> {
        match self.wallet.as_ref()?.kind {
            Kind::Hosted => {
                for name in ["intent", "signature"] {
                    body.nullable::<(), _>(name, None, |_| Err("the platform signs for a hosted wallet: leave it out"));
                }
                None
            }
            Kind::SelfCustody => {
                let signature = body.read("signature", None, proof);
                let intent = body.object("intent", None::<&Signed>, |message, _| self.read_intent(message));
                intent.zip(signature)
            }
        }
    }

    fn read_intent(&self, message: &mut Object) -> Option<Signed> {
        let wallet = same(message, "wallet", &self.wallet.as_ref()?.address, address);
        let token = self.token.as_ref().and_then(|(_, facts)| facts.deployment).map(|deployed| deployed.token);
        // Of a token that is not there the request is refused below.
        let _ = match token {
            Some(token) => same(message, "token", &token, address),
            None => message.read("token", None, address),
        };
        let payment_token = match &self.terms {
            Some(terms) => same(message, "paymentToken", &terms.payment_token, address),
            None => message.read("paymentToken", None, address),
        };
        let quantity = match self.quantity.filter(|_| self.token.is_some()) {
            Some(quantity) => same(message, "quantity", &quantity.base(), uint),
            None => message.read("quantity", None, uint),
        };
        let min_payout = match self.min_price.and(self.min_payout()) {
            Some(least) => same(message, "minPayout", &least, uint),
            None => message.read("minPayout", None, uint),
        };
        let deadline = message.read("deadline", None, uint);
        let salt = message.read("salt", None, word);
        Some(Signed {
            wallet: wallet?,
            quantity: quantity?,
            payment_token: payment_token?,
            min_payout: min_payout?,
            deadline: deadline?,
            salt: salt?,
        })
    }

    /// Least for all of it: rounded down, as the payout is.
    fn min_payout(&self) -> Option<U256> {
        let unit = self.token.as_ref().and_then(|(_, facts)| facts.deployment)?.unit;
        let Some(price) = self.min_price else { return Some(U256::ZERO) };
        Some(worth(self.quantity?.base(), price.base(), unit))
    }

    /// Whether this was asked for before.
    fn is(&self, known: &Case) -> bool {
        let same_price = self.min_price.map(|price| price.base()) == known.min_price.as_ref().map(|p| p.amount.base());
        self.instrument_id.as_ref().map(InstrumentId::as_str) == Some(known.instrument_id.as_str())
            && self.wallet.as_ref().map(|wallet| wallet.address) == Some(known.wallet)
            && self.quantity.map(|quantity| quantity.base()) == Some(known.quantity.base())
            && same_price
    }

    /// Refuses units that orders or trades were promised; all else that the wallet lacks the keeper has told. The request's
    /// own command is among what is reserved.
    async fn breaks_no_promise(&self, app: &App, conn: &mut PgConnection) -> Result<(), ApiError> {
        let (Some(id), Some(wallet)) = (&self.instrument_id, &self.wallet) else { return Ok(()) };
        let Some(instrument) = read::instrument(&mut *conn, app.chain_id(), id.as_str()).await? else { return Ok(()) };
        let position = [(instrument.instrument_id.clone(), wallet.address)];
        let reserved = reserved::units(&mut *conn, &position).await?.into_values().next().unwrap_or_default();
        let chain = read::position(&mut *conn, app.chain_id(), instrument.token, wallet.address).await?;
        let spendable = chain.balance.saturating_sub(chain.frozen.saturating_add(chain.held));
        if reserved > spendable {
            let units = |units| Amount::new(units, instrument.decimals);
            let message = format!(
                "{} is spendable, with this {} would be promised: cancel orders first",
                units(spendable),
                units(reserved)
            );
            let refused = FieldError::refused("quantity", ReasonCode::InsufficientSpendable, message);
            return Err(ApiError::Rejected(vec![refused]));
        }
        Ok(())
    }

    /// The token, and what is asked of its desk.
    ///
    /// # Errors
    /// 422, by what stands in the way. What the keeper knows of wallet and units it says itself.
    fn operation(&self, redemption_id: Uuid) -> Result<(String, Operation), ApiError> {
        let refuse =
            |code, message: &str| Err(ApiError::Rejected(vec![FieldError::refused("instrument_id", code, message)]));
        let (Some(instrument), Some(wallet), Some(quantity)) = (&self.instrument_id, &self.wallet, self.quantity)
        else {
            return Err(ApiError::internal("a member neither read nor refused"));
        };
        let Some((record, facts)) = &self.token else {
            return refuse(
                ReasonCode::UnknownInstrument,
                "there is no such instrument, or nobody says what it is worth",
            );
        };
        if facts.deployment.is_none() {
            return refuse(ReasonCode::UnknownInstrument, "the instrument is not on chain yet");
        }
        if facts.node.and_then(|node| node.contracts.redemption_desk).is_none() {
            return refuse(ReasonCode::NodeContractMissing, "the instrument's node has no redemption desk");
        }
        let Some(terms) = &self.terms else {
            return refuse(
                ReasonCode::InvalidTerms,
                "the redemption desk has no terms for the instrument yet: try again shortly",
            );
        };
        if terms.payment_token != record.draft.token_price.currency.address && self.min_price.is_some() {
            let message = "the token is redeemed in another currency than its price is in: leave min_price out";
            return refuse(ReasonCode::WrongPaymentToken, message);
        }
        let min_payout = self.min_payout().unwrap_or_default();
        let hosted = || Signed {
            wallet: wallet.address,
            quantity: quantity.base(),
            payment_token: terms.payment_token,
            min_payout,
            deadline: U256::from((OffsetDateTime::now_utc() + HOSTED).unix_timestamp().unsigned_abs()),
            salt: keccak256(redemption_id.as_bytes()),
        };
        let (redemption, signature) = self.signed.clone().unwrap_or_else(|| (hosted(), Bytes::new()));
        let instrument = instrument.clone();
        Ok((record.token_id.clone(), Payout::RequestRedemption { instrument, redemption, signature }.into()))
    }
}

/// What units are worth at a price of a whole token, rounded down to the currency's decimals.
pub(crate) fn worth(quantity: U256, price: U256, unit: U256) -> U256 {
    // What is held fits 104 bits, and no price that a desk pays has more than 128.
    quantity.saturating_mul(price).checked_div(unit).unwrap_or_default()
}

/// What a client hears of a request that the keeper did not take.
fn refused(error: AcceptError) -> ApiError {
    match error {
        AcceptError::Refused(Refusal { code, field, message }) => {
            let field = match field {
                Field::Wallet => "wallet_id",
                Field::Amount => "quantity",
                Field::Signature => "signature",
                Field::Until => "intent",
                _ => "instrument_id",
            };
            ApiError::Rejected(vec![FieldError::refused(field, code, message)])
        }
        AcceptError::Database(error) => error.into(),
        conflict @ AcceptError::Conflict(_) => ApiError::internal(conflict),
    }
}

fn write_cursor(case: &Case) -> String {
    let micros = case.created_at.unix_timestamp_nanos() / 1_000;
    URL_SAFE_NO_PAD.encode(format!("{micros}.{}", case.id))
}

fn read_cursor(text: &str) -> Option<Place> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (micros, id) = text.split_once('.')?;
    let at = OffsetDateTime::from_unix_timestamp_nanos(micros.parse::<i64>().ok().map(i128::from)? * 1_000).ok()?;
    Some((at, Id::parse(id)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payout_is_rounded_down() {
        let unit = U256::from(1_000);
        assert_eq!(worth(U256::from(1_500), U256::from(3), unit), U256::from(4));
        assert_eq!(worth(U256::from(333), U256::from(3), unit), U256::ZERO);
        assert_eq!(worth(U256::ZERO, U256::MAX, unit), U256::ZERO);
    }
}
