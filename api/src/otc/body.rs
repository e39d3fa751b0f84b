//! What a deal is proposed and accepted with.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tokenx_contracts::amount::AmountText;
use tokenx_contracts::ids::{CommandId, Holder, InstrumentId};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ats::names::Does;
use crate::error::ApiError;
use crate::http::intent::{Permit, PermitRequest, Said, address, permit, proof, uint, word};
use crate::http::object::{Object, instant, text};

/// What one party proposes to another.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read member by member, so that every bad one is named")]
pub struct DealProposal {
    /// The client's own name for it, once per party: the same name and the same deal is the same deal. The
    /// `Idempotency-Key` unless given.
    #[schema(required = false, min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    client_deal_id: Option<String>,
    /// The offering whose instrument changes hands; or send instrument_id.
    #[schema(required = false, nullable = false)]
    offering_id: Option<Uuid>,
    /// The instrument that changes hands; or send offering_id.
    #[schema(required = false, nullable = false, min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9._-]+$")]
    instrument_id: Option<String>,
    /// What the proposing party does: buy or sell.
    #[schema(pattern = "^(buy|sell)$")]
    side: String,
    /// By which wallet of its own.
    wallet_id: Uuid,
    /// With whom: a party, which chooses the wallet, or a wallet's address.
    #[schema(min_length = 1, max_length = 128)]
    counterparty: String,
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::amount_in)]
    quantity: String,
    /// For a whole token, rounded for all of them against the accepting party; or send total.
    #[schema(required = false, schema_with = crate::openapi::amount_in)]
    price: Option<String>,
    /// For all of it; or send price.
    #[schema(required = false, schema_with = crate::openapi::amount_in)]
    total: Option<String>,
    /// Until when it can be accepted; a day unless given.
    #[schema(required = false, nullable = false, format = DateTime)]
    expires_at: Option<String>,
    /// The deal as the wallet has signed it; for a wallet whose key the party holds. It names the other one's wallet.
    #[schema(required = false, nullable = false)]
    intent: Option<DealIntent>,
    /// The proof of that (EIP-712), 0x and hex digits.
    #[schema(required = false, nullable = false, pattern = "^0x([0-9a-fA-F]{2})+$")]
    signature: Option<String>,
    /// An allowance for the OTC desk (ERC-2612): of the tokens that the wallet sells, or of the money that it pays.
    #[schema(required = false, nullable = false)]
    permit: Option<PermitRequest>,
}

/// What a proposal is accepted with.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct DealAcceptance {
    /// By which wallet of the accepting party; where the proposal names one, by that.
    wallet_id: Uuid,
    /// The deal as the wallet has signed it; for a wallet whose key the party holds.
    #[schema(required = false, nullable = false)]
    intent: Option<DealIntent>,
    /// The proof of that (EIP-712), 0x and hex digits.
    #[schema(required = false, nullable = false, pattern = "^0x([0-9a-fA-F]{2})+$")]
    signature: Option<String>,
    /// An allowance for the OTC desk, as in a proposal.
    #[schema(required = false, nullable = false)]
    permit: Option<PermitRequest>,
}

/// The message `Deal` of the domain `tokenx OtcDesk`, version 1. Numbers are decimal digits.
#[derive(Debug, ToSchema)]
#[allow(dead_code, non_snake_case, reason = "a shape, by the names that are signed")]
pub struct DealIntent {
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    token: String,
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    seller: String,
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    buyer: String,
    #[schema(pattern = "^[0-9]{1,78}$")]
    quantity: String,
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    paymentToken: String,
    /// For all of it, a fee included.
    #[schema(pattern = "^[0-9]{1,78}$")]
    payment: String,
    #[schema(pattern = "^[0-9]{1,5}$")]
    maxFeeBps: String,
    #[schema(pattern = "^[0-9]{1,20}$")]
    validFrom: String,
    /// Last Unix second at which it may be settled.
    #[schema(pattern = "^[0-9]{1,20}$")]
    deadline: String,
    /// Zero: nothing else was agreed on.
    #[schema(pattern = "^0x0{64}$")]
    terms: String,
    #[schema(pattern = "^0x[0-9a-fA-F]{64}$")]
    salt: String,
}

/// The deal as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "as the contract names them")]
pub struct Intent {
    pub token: Address,
    pub seller: Address,
    pub buyer: Address,
    pub quantity: U256,
    pub payment_token: Address,
    pub payment: U256,
    pub max_fee_bps: U256,
    pub valid_from: U256,
    pub deadline: U256,
    pub terms: B256,
    pub salt: B256,
}

/// What is proposed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The instrument of this offering.
    Offering(Uuid),
    /// This instrument.
    Instrument(InstrumentId),
}

/// What is paid.
#[derive(Debug, Clone)]
pub enum Pays {
    /// For a whole token.
    Price(AmountText),
    /// For all of it.
    Total(AmountText),
}

/// A proposal that is well-formed.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as the request's members, which say it")]
pub struct Proposed {
    pub client_deal_id: String,
    pub subject: Subject,
    pub side: Does,
    pub wallet_id: Uuid,
    pub counterparty: Holder,
    pub quantity: AmountText,
    pub pays: Pays,
    pub expires_at: Option<OffsetDateTime>,
    pub consent: Consent,
}

/// What a wallet whose key is its party's sends along.
#[derive(Debug, Clone)]
pub struct Consent {
    /// What it has signed, and the proof.
    pub signed: Option<(Intent, Bytes)>,
    /// What it lets the desk take.
    pub permit: Option<Permit>,
}

/// An acceptance that is well-formed.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as the request's members, which say it")]
pub struct Accepted {
    pub wallet_id: Uuid,
    pub consent: Consent,
}

impl Proposed {
    /// Reads a body; `key` names the deal where the body does not.
    ///
    /// # Errors
    /// Every bad member.
    pub fn read(body: &[u8], key: Option<&str>) -> Result<Proposed, ApiError> {
        let mut body = Object::parse(body)?;
        let named = key.map(str::to_owned);
        let client_deal_id = body.read("client_deal_id", named.as_ref(), |raw| {
            CommandId::parse(text(raw)?).map(CommandId::into_string).map_err(|error| error.to_string())
        });
        let offering = body.nullable("offering_id", None, id).flatten();
        let instrument = body.nullable("instrument_id", None, instrument).flatten();
        let side = body.read("side", None, |raw| Does::parse(&text(raw)?));
        let wallet_id = body.read("wallet_id", None, id);
        let counterparty =
            body.read("counterparty", None, |raw| text(raw)?.parse::<Holder>().map_err(|error| error.to_string()));
        let quantity = body.read("quantity", None, AmountText::from_json);
        let price = body.nullable("price", None, AmountText::from_json).flatten();
        let total = body.nullable("total", None, AmountText::from_json).flatten();
        let expires_at = body.nullable("expires_at", None, instant).flatten();
        let subject = match (offering, instrument) {
            (Some(offering), None) => Some(Subject::Offering(offering)),
            (None, Some(instrument)) => Some(Subject::Instrument(instrument)),
            _ => {
                body.refuse("offering_id", "send either offering_id or instrument_id");
                None
            }
        };
        let pays = match (price, total) {
            (Some(price), None) => Some(Pays::Price(price)),
            (None, Some(total)) => Some(Pays::Total(total)),
            _ => {
                body.refuse("price", "send either price or total");
                None
            }
        };
        let consent = Consent::read(&mut body);
        let errors = body.errors();
        if !errors.is_empty() {
            return Err(ApiError::Rejected(errors));
        }
        let proposed = (|| {
            Some(Proposed {
                client_deal_id: client_deal_id?,
                subject: subject?,
                side: side?,
                wallet_id: wallet_id?,
                counterparty: counterparty?,
                quantity: quantity?,
                pays: pays?,
                expires_at,
                consent,
            })
        })();
        proposed.ok_or_else(|| ApiError::internal("a member neither read nor refused"))
    }

    /// What makes two requests the same one: the deal that is asked for, not how its numbers are written.
    pub fn fingerprint(&self, instrument_id: &str) -> B256 {
        let number =
            |text: &AmountText| text.to_amount(36).map_or_else(|error| error.to_string(), |a| a.base().to_string());
        let parts = [
            self.client_deal_id.clone(),
            instrument_id.to_owned(),
            self.side.as_str().to_owned(),
            self.wallet_id.to_string(),
            match &self.counterparty {
                Holder::Party(party) => party.as_str().to_owned(),
                Holder::Wallet(wallet) => wallet.to_string(),
            },
            number(&self.quantity),
            match &self.pays {
                Pays::Price(price) => format!("price {}", number(price)),
                Pays::Total(total) => format!("total {}", number(total)),
            },
            self.expires_at.map_or_else(|| "-".to_owned(), |at| at.unix_timestamp_nanos().to_string()),
            self.consent.signed.as_ref().map_or_else(|| "-".to_owned(), |(intent, _)| intent.salt.to_string()),
        ];
        // No part can hold a line feed.
        keccak256(parts.join("\n"))
    }
}

impl Accepted {
    /// Reads a body.
    ///
    /// # Errors
    /// Every bad member.
    pub fn read(body: &[u8]) -> Result<Accepted, ApiError> {
        let mut body = Object::parse(body)?;
        let wallet_id = body.read("wallet_id", None, id);
        let consent = Consent::read(&mut body);
        let errors = body.errors();
        match wallet_id {
            Some(wallet_id) if errors.is_empty() => Ok(Accepted { wallet_id, consent }),
            _ => Err(ApiError::Rejected(errors)),
        }
    }
}

impl Consent {
    fn read(body: &mut Object) -> Consent {
        let intent = body.nullable_object("intent", None, |message, _| Intent::read(message)).flatten();
        let signature = body.nullable("signature", None, proof).flatten();
        let permit = body.nullable_object("permit", None, |given, _| permit(given)).flatten();
        if intent.is_some() != signature.is_some() {
            body.refuse("signature", "an intent and its signature come together");
        }
        Consent { signed: intent.zip(signature), permit }
    }
}

impl Intent {
    fn read(message: &mut Object) -> Option<Intent> {
        let token = message.read("token", None, address);
        let seller = message.read("seller", None, address);
        let buyer = message.read("buyer", None, address);
        let quantity = message.read("quantity", None, uint);
        let payment_token = message.read("paymentToken", None, address);
        let payment = message.read("payment", None, uint);
        let max_fee_bps = message.read("maxFeeBps", None, uint);
        let valid_from = message.read("validFrom", None, uint);
        let deadline = message.read("deadline", None, uint);
        let terms = message.read("terms", None, word);
        let salt = message.read("salt", None, word);
        Some(Intent {
            token: token?,
            seller: seller?,
            buyer: buyer?,
            quantity: quantity?,
            payment_token: payment_token?,
            payment: payment?,
            max_fee_bps: max_fee_bps?,
            valid_from: valid_from?,
            deadline: deadline?,
            terms: terms?,
            salt: salt?,
        })
    }

    /// Holds against a deal what nobody who signs it is free to choose.
    pub(super) fn speaks_of(&self, deal: &tokenx_keeper::Deal, token: Address, said: &mut Said) {
        said.is("token", self.token, token);
        said.is("seller", self.seller, deal.seller);
        said.is("buyer", self.buyer, deal.buyer);
        said.is("quantity", self.quantity, deal.quantity);
        said.is("paymentToken", self.payment_token, deal.payment_token);
        said.is("payment", self.payment, deal.payment);
        said.is("terms", self.terms, deal.terms);
    }
}

fn id(raw: &RawValue) -> Result<Uuid, &'static str> {
    text(raw)?.parse().map_err(|_| "value is not a UUID")
}

fn instrument(raw: &RawValue) -> Result<InstrumentId, String> {
    InstrumentId::parse(text(raw)?).map_err(|error| error.to_string())
}
