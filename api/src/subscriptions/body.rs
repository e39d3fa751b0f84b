//! What a subscription is asked with.

use alloy::primitives::{Address, B256, Bytes, U256};
use serde_json::value::RawValue;
use tokenx_contracts::amount::AmountText;
use tokenx_contracts::ids::CommandId;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::ApiError;
use crate::http::intent::{Permit, PermitRequest, address, permit, proof, uint, word};
use crate::http::object::{Object, text};

/// What is to be bought, and how.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read member by member, so that every bad one is named")]
pub struct SubscriptionRequest {
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::amount_in)]
    quantity: String,
    /// The party's wallet that pays and gets the tokens.
    wallet_id: Uuid,
    /// The client's own name for it, once per party; the `Idempotency-Key` unless given.
    #[schema(required = false, min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    command_id: Option<String>,
    /// Of a self-custody wallet: what it signs for the listing (EIP-712). Without one it buys by itself.
    #[schema(required = false, nullable = false)]
    intent: Option<PurchaseIntent>,
    /// Of a self-custody wallet: its signature of the intent.
    #[schema(required = false, nullable = false, pattern = "^0x([0-9a-fA-F]{2})+$")]
    signature: Option<String>,
    /// Of a self-custody wallet: what it lets the listing take of its money (ERC-2612).
    #[schema(required = false, nullable = false)]
    permit: Option<PermitRequest>,
}

/// The message `Purchase` of the domain `tokenx Listing`, version 1. Numbers are decimal digits.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct PurchaseIntent {
    /// The wallet's address.
    wallet: String,
    /// The token's contract.
    token: String,
    /// Base units of the token.
    quantity: String,
    /// What the token is sold for.
    #[schema(rename = "paymentToken")]
    payment_token: String,
    /// Base units of that, at most.
    #[schema(rename = "maxCost")]
    max_cost: String,
    /// Last Unix second at which it counts.
    deadline: String,
    /// A word that no other intent of the wallet for the listing has.
    salt: String,
}

/// The purchase as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "as the contract names them")]
pub struct Intent {
    pub wallet: Address,
    pub token: Address,
    pub quantity: U256,
    pub payment_token: Address,
    pub max_cost: U256,
    pub deadline: U256,
    pub salt: B256,
}

/// A request that is well-formed.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "as the request's members, which say it")]
pub struct Asked {
    pub quantity: AmountText,
    pub wallet_id: Uuid,
    pub command_id: CommandId,
    pub signed: Option<(Intent, Bytes)>,
    pub permit: Option<Permit>,
}

impl Asked {
    /// Reads a body; `key` names the request where the body does not.
    ///
    /// # Errors
    /// Every bad member.
    pub fn read(body: &[u8], key: Option<&str>) -> Result<Asked, ApiError> {
        let mut body = Object::parse(body)?;
        let quantity = body.read("quantity", None, AmountText::from_json);
        let wallet_id = body.read("wallet_id", None, |raw| text(raw)?.parse().map_err(|_| "value is not a UUID"));
        let named = key.and_then(|key| CommandId::parse(key).ok());
        let command_id = body.read("command_id", named.as_ref(), command_id);
        let intent = body.nullable_object("intent", None, |message, _| intent(message));
        let signature = body.nullable("signature", None, proof);
        let permit = body.nullable_object("permit", None, |given, _| permit(given)).flatten();
        if let (Some(Some(_)), Some(None)) | (Some(None), Some(Some(_))) = (&intent, &signature) {
            body.refuse("signature", "an intent and its signature come together");
        }
        let errors = body.errors();
        let asked = quantity.zip(wallet_id).zip(command_id);
        match asked {
            Some(((quantity, wallet_id), command_id)) if errors.is_empty() => {
                Ok(Asked { quantity, wallet_id, command_id, signed: intent.flatten().zip(signature.flatten()), permit })
            }
            _ => Err(ApiError::Rejected(errors)),
        }
    }
}

fn command_id(raw: &RawValue) -> Result<CommandId, String> {
    CommandId::parse(text(raw)?).map_err(|error| error.to_string())
}

fn intent(message: &mut Object) -> Option<Intent> {
    let wallet = message.read("wallet", None, address);
    let token = message.read("token", None, address);
    let quantity = message.read("quantity", None, uint);
    let payment_token = message.read("paymentToken", None, address);
    let max_cost = message.read("maxCost", None, uint);
    let deadline = message.read("deadline", None, uint);
    let salt = message.read("salt", None, word);
    Some(Intent {
        wallet: wallet?,
        token: token?,
        quantity: quantity?,
        payment_token: payment_token?,
        max_cost: max_cost?,
        deadline: deadline?,
        salt: salt?,
    })
}
