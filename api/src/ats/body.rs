//! What an order is asked with.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use tokenx_contracts::amount::{Amount, AmountError, AmountText};
use tokenx_contracts::ids::CommandId;
use utoipa::ToSchema;
use uuid::Uuid;

use super::names::{Does, Kind, TimeInForce};
use crate::error::{ApiError, FieldError};
use crate::http::intent::{self, Permit, PermitRequest};
use crate::http::object::{Object, text};

/// What becomes of an order.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read member by member, so that every bad one is named")]
pub struct OrderRequest {
    /// The client's own name for it, once per party: the same name and the same order is the same order.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    client_order_id: String,
    /// The offering whose instrument is traded.
    offering_id: Uuid,
    /// By which wallet of the party.
    wallet_id: Uuid,
    /// buy or sell.
    #[schema(pattern = "^(buy|sell)$")]
    side: String,
    /// limit, market, stop or stop_limit.
    #[schema(pattern = "^(limit|market|stop|stop_limit)$")]
    r#type: String,
    /// Whole tokens, in whole lots.
    #[schema(schema_with = crate::openapi::amount_in)]
    quantity: String,
    /// The most that it pays for a whole token, or the least that it takes; of a limit or stop_limit order.
    #[schema(required = false, schema_with = crate::openapi::amount_in)]
    limit_price: Option<String>,
    /// The price of a trade from which on it counts; of a stop or stop_limit order.
    #[schema(required = false, schema_with = crate::openapi::amount_in)]
    stop_price: Option<String>,
    /// day or gtc; a limit order also ioc or fok; a market order is ioc. day unless given.
    #[schema(required = false, nullable = false, pattern = "^(day|gtc|ioc|fok)$")]
    time_in_force: Option<String>,
    /// The order as the wallet has signed it; for a wallet whose key the party holds.
    #[schema(required = false, nullable = false)]
    intent: Option<OrderIntent>,
    /// The proof of that (EIP-712), 0x and hex digits.
    #[schema(required = false, nullable = false, pattern = "^0x([0-9a-fA-F]{2})+$")]
    signature: Option<String>,
    /// An allowance for the market (ERC-2612): of the tokens that it sells, or of the money that it pays.
    #[schema(required = false, nullable = false)]
    permit: Option<PermitRequest>,
}

/// The message `Order` of the market's contract. Numbers are decimal strings.
#[derive(Debug, ToSchema)]
#[allow(dead_code, non_snake_case, reason = "a shape, by the names that are signed")]
pub struct OrderIntent {
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    wallet: String,
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    token: String,
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    paymentToken: String,
    /// 0 buys, 1 sells.
    #[schema(pattern = "^[01]$")]
    side: String,
    #[schema(pattern = "^[0-9]{1,78}$")]
    quantity: String,
    /// The worst price, also of a market or stop order.
    #[schema(pattern = "^[0-9]{1,78}$")]
    limitPrice: String,
    #[schema(pattern = "^[0-9]{1,5}$")]
    maxFeeBps: String,
    #[schema(pattern = "^[0-9]{1,20}$")]
    validFrom: String,
    #[schema(pattern = "^[0-9]{1,20}$")]
    expiry: String,
    #[schema(pattern = "^0x[0-9a-fA-F]{64}$")]
    salt: String,
}

/// The order as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "as the contract names them")]
pub struct Intent {
    pub wallet: Address,
    pub token: Address,
    pub payment_token: Address,
    pub side: U256,
    pub quantity: U256,
    pub limit_price: U256,
    pub max_fee_bps: U256,
    pub valid_from: U256,
    pub expiry: U256,
    pub salt: B256,
}

/// A request that is well-formed.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as the request's members, which say it")]
pub struct Asked {
    pub client_order_id: String,
    pub offering_id: Uuid,
    pub wallet_id: Uuid,
    pub side: Does,
    pub kind: Kind,
    pub time_in_force: TimeInForce,
    pub quantity: AmountText,
    pub limit_price: Option<AmountText>,
    pub stop_price: Option<AmountText>,
    pub signed: Option<(Intent, Bytes)>,
    pub permit: Option<Permit>,
}

impl Asked {
    /// Reads a body.
    ///
    /// # Errors
    /// Every bad member.
    pub fn read(body: &[u8]) -> Result<Asked, ApiError> {
        let mut body = Object::parse(body)?;
        let client_order_id = body.read("client_order_id", None, |raw| {
            CommandId::parse(text(raw)?).map(|id| id.as_str().to_owned()).map_err(|error| error.to_string())
        });
        let id = |raw: &serde_json::value::RawValue| text(raw)?.parse::<Uuid>().map_err(|_| "value is not a UUID");
        let offering_id = body.read("offering_id", None, id);
        let wallet_id = body.read("wallet_id", None, id);
        let side = body.read("side", None, |raw| Does::parse(&text(raw)?));
        let kind = body.read("type", None, |raw| Kind::parse(&text(raw)?));
        let quantity = body.read("quantity", None, AmountText::from_json);
        let limit_price = body.nullable("limit_price", None, AmountText::from_json).flatten();
        let stop_price = body.nullable("stop_price", None, AmountText::from_json).flatten();
        let time = body.nullable("time_in_force", None, |raw| TimeInForce::parse(&text(raw)?)).flatten();
        let intent = body.nullable_object("intent", None, |message, _| intent_of(message)).flatten();
        let signature = body.nullable("signature", None, intent::proof).flatten();
        let permit = body.nullable_object("permit", None, |given, _| intent::permit(given)).flatten();
        if let Some(kind) = kind {
            fits(&mut body, kind, "limit_price", limit_price.is_some(), kind.is_limit());
            fits(&mut body, kind, "stop_price", stop_price.is_some(), kind.is_stop());
            if let Some(time) = time.filter(|time| !kind.times().contains(time)) {
                let known: Vec<&str> = kind.times().iter().map(|time| time.as_str()).collect();
                body.refuse("time_in_force", format!("a {kind} order is not {time}: use {}", known.join(" or ")));
            }
        }
        if intent.is_some() != signature.is_some() {
            body.refuse("signature", "an intent and its signature come together");
        }
        let errors = body.errors();
        if !errors.is_empty() {
            return Err(ApiError::Rejected(errors));
        }
        let asked = (|| {
            Some(Asked {
                client_order_id: client_order_id?,
                offering_id: offering_id?,
                wallet_id: wallet_id?,
                side: side?,
                kind: kind?,
                time_in_force: time.or_else(|| kind?.times().first().copied())?,
                quantity: quantity?,
                limit_price,
                stop_price,
                signed: intent.zip(signature),
                permit,
            })
        })();
        asked.ok_or_else(|| ApiError::internal("a member neither read nor refused"))
    }

    /// What makes two requests the same one: the order that is asked for, not how its numbers are written.
    pub fn fingerprint(&self, decimals: u8) -> B256 {
        let number =
            |text: &AmountText| text.to_amount(36).map_or_else(|error| error.to_string(), |a| a.base().to_string());
        let price = |text: &Option<AmountText>| text.as_ref().map_or_else(|| "-".to_owned(), number);
        let quantity =
            self.quantity.to_amount(decimals).map_or_else(|_| number(&self.quantity), |a| a.base().to_string());
        let parts = [
            self.client_order_id.clone(),
            self.offering_id.to_string(),
            self.wallet_id.to_string(),
            self.side.as_str().to_owned(),
            self.kind.as_str().to_owned(),
            self.time_in_force.as_str().to_owned(),
            quantity,
            price(&self.limit_price),
            price(&self.stop_price),
            self.signed.as_ref().map_or_else(|| "-".to_owned(), |(intent, _)| intent.salt.to_string()),
        ];
        // No part can hold a line feed.
        keccak256(parts.join("\n"))
    }
}

/// A number in base units.
///
/// # Errors
/// 400, by the member.
pub fn base(name: &'static str, text: &AmountText, decimals: u8) -> Result<U256, ApiError> {
    let refuse =
        |error: AmountError| ApiError::Rejected(vec![FieldError::body(name, "value_error", error.to_string())]);
    text.to_amount(decimals).map(|amount: Amount| amount.base()).map_err(refuse)
}

fn fits(body: &mut Object, kind: Kind, name: &'static str, given: bool, wanted: bool) {
    match (given, wanted) {
        (false, true) => body.refuse(name, format!("a {kind} order needs one")),
        (true, false) => body.refuse(name, format!("a {kind} order has none")),
        _ => {}
    }
}

fn intent_of(message: &mut Object) -> Option<Intent> {
    let wallet = message.read("wallet", None, intent::address);
    let token = message.read("token", None, intent::address);
    let payment_token = message.read("paymentToken", None, intent::address);
    let side = message.read("side", None, intent::uint);
    let quantity = message.read("quantity", None, intent::uint);
    let limit_price = message.read("limitPrice", None, intent::uint);
    let max_fee_bps = message.read("maxFeeBps", None, intent::uint);
    let valid_from = message.read("validFrom", None, intent::uint);
    let expiry = message.read("expiry", None, intent::uint);
    let salt = message.read("salt", None, intent::word);
    Some(Intent {
        wallet: wallet?,
        token: token?,
        payment_token: payment_token?,
        side: side?,
        quantity: quantity?,
        limit_price: limit_price?,
        max_fee_bps: max_fee_bps?,
        valid_from: valid_from?,
        expiry: expiry?,
        salt: salt?,
    })
}
