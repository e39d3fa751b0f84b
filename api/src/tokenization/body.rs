//! The members that requests share, and what a refusal calls them.

use alloy::primitives::{Address, B256, keccak256};
use serde_json::value::RawValue;
use sqlx::PgExecutor;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::amount::{Amount, AmountText};
use tokenx_contracts::ids::{CommandId, Holder, InstrumentId};
use tokenx_indexer::read::{self, Instrument};
use tokenx_keeper::{Field, Refusal};
use tokenx_migrations::Addr;
use uuid::Uuid;

use super::intake::{Declined, Whose};
use crate::app::App;
use crate::error::{ApiError, FieldError};
use crate::http::object::{Object, text, text_of};

/// A reason code fits the event's word with a byte to spare: whoever reads the chain reads it as text.
const REASON_LENGTH: usize = 31;
/// Characters of a reference.
const REFERENCE_LENGTH: usize = 128;

/// The members of a request that is read and looked up one by one, so that every bad one is named.
pub(crate) struct Body<'a> {
    app: &'a App,
    object: Object,
    refused: Vec<FieldError>,
}

impl<'a> Body<'a> {
    pub(crate) fn parse(app: &'a App, body: &[u8]) -> Result<Body<'a>, ApiError> {
        Ok(Body { app, object: Object::parse(body)?, refused: Vec::new() })
    }

    /// `command_id`, or the id that stands for `key`.
    pub(crate) fn command_id(&mut self, key: Option<&CommandId>) -> Option<CommandId> {
        self.object.read("command_id", key, parsed::<CommandId, _>)
    }

    pub(crate) async fn instrument(&mut self) -> Result<Option<(InstrumentId, Instrument)>, ApiError> {
        let id = self.object.read("instrument_id", None, parsed::<InstrumentId, _>);
        self.known(id).await
    }

    /// `None` within: all instruments.
    pub(crate) async fn maybe_instrument(&mut self) -> Result<Option<Option<(InstrumentId, Instrument)>>, ApiError> {
        match self.object.nullable("instrument_id", None, parsed::<InstrumentId, _>) {
            None => Ok(None),
            Some(None) => Ok(Some(None)),
            Some(id) => Ok(self.known(id).await?.map(Some)),
        }
    }

    async fn known(&mut self, id: Option<InstrumentId>) -> Result<Option<(InstrumentId, Instrument)>, ApiError> {
        let Some(id) = id else { return Ok(None) };
        let found = read::instrument(self.app.pool(), self.app.chain_id(), id.as_str()).await?;
        if found.is_none() {
            let message = format!("there is no instrument {id}");
            self.refused.push(FieldError::refused("instrument_id", ReasonCode::UnknownInstrument, message));
        }
        Ok(found.map(|found| (id, found)))
    }

    /// `party_id` or `wallet_id`, and which of them was sent.
    pub(crate) async fn whose(&mut self) -> Result<Option<(&'static str, Whose)>, ApiError> {
        let party = self.object.nullable("party_id", None, parsed::<Holder, _>);
        let wallet = self.object.nullable("wallet_id", None, parsed::<WalletName, _>);
        let (Some(party), Some(wallet)) = (party, wallet) else { return Ok(None) };
        match (party, wallet) {
            (Some(holder), None) => match Whose::of(self.app, holder).await? {
                Ok(whose) => Ok(Some(("party_id", whose))),
                Err(refusal) => {
                    self.refused.push(named(refusal, "party_id", "party_id"));
                    Ok(None)
                }
            },
            (None, Some(name)) => Ok(self.address("wallet_id", name).await?.map(|a| ("wallet_id", Whose::Wallet(a)))),
            (Some(_), Some(_)) => {
                self.object.refuse("wallet_id", "send either party_id or wallet_id, not both");
                Ok(None)
            }
            (None, None) => {
                self.object.refuse("party_id", "field required: send party_id, or wallet_id");
                Ok(None)
            }
        }
    }

    /// A party's primary wallet, or a wallet by its address; `None` within: nobody.
    pub(crate) async fn maybe_holder(&mut self, member: &'static str) -> Result<Option<Option<Address>>, ApiError> {
        match self.object.nullable(member, None, parsed::<Holder, _>) {
            None => Ok(None),
            Some(None) => Ok(Some(None)),
            Some(Some(holder)) => {
                let found = Whose::of(self.app, holder).await?;
                match found.and_then(|whose| whose.wallet().ok_or_else(no_wallet)) {
                    Ok(wallet) => Ok(Some(Some(wallet))),
                    Err(refusal) => {
                        self.refused.push(named(refusal, member, member));
                        Ok(None)
                    }
                }
            }
        }
    }

    /// A wallet by its id, or by its address.
    pub(crate) async fn wallet(&mut self, member: &'static str) -> Result<Option<Address>, ApiError> {
        match self.object.read(member, None, parsed::<WalletName, _>) {
            Some(name) => self.address(member, name).await,
            None => Ok(None),
        }
    }

    async fn address(&mut self, member: &'static str, name: WalletName) -> Result<Option<Address>, ApiError> {
        let id = match name {
            WalletName::Address(address) => return Ok(Some(address)),
            WalletName::Id(id) => id,
        };
        let found = address_of(self.app.pool(), id).await?;
        if found.is_none() {
            let message = format!("there is no wallet {id}");
            self.refused.push(FieldError::refused(member, ReasonCode::UnknownWallet, message));
        }
        Ok(found)
    }

    /// Base units of the instrument; of one that is not known only the shape is checked.
    pub(crate) fn amount(&mut self, decimals: Option<u8>) -> Option<Amount> {
        self.object.read("amount", None, |raw| fitting(raw, decimals)).flatten()
    }

    /// `None` within: none was sent.
    pub(crate) fn maybe_amount(&mut self, decimals: Option<u8>) -> Option<Option<Amount>> {
        match self.object.nullable("amount", None, |raw| fitting(raw, decimals))? {
            None => Some(None),
            Some(fits) => fits.map(Some),
        }
    }

    /// The word of the event.
    pub(crate) fn reason_code(&mut self) -> Option<B256> {
        self.object.read("reason_code", None, |raw| {
            let code = text(raw).map_err(str::to_owned)?;
            let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            if (1..=REASON_LENGTH).contains(&code.len()) && code.bytes().all(allowed) {
                Ok(B256::right_padding_from(code.as_bytes()))
            } else {
                Err(format!("value is no reason code: use 1 to {REASON_LENGTH} of A-Z, 0-9 and _, such as COURT_ORDER"))
            }
        })
    }

    pub(crate) fn reference(&mut self) -> Option<String> {
        self.object.read("reference", None, text_of(1..=REFERENCE_LENGTH))
    }

    pub(crate) fn refuse(&mut self, member: &'static str, message: &str) {
        self.object.refuse(member, message);
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Every member that was refused.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let mut errors = self.object.errors();
        errors.extend(self.refused);
        if errors.is_empty() { Ok(()) } else { Err(ApiError::Rejected(errors)) }
    }
}

/// A wallet as requests name it.
#[derive(Clone, Copy)]
enum WalletName {
    Id(Uuid),
    Address(Address),
}

impl std::str::FromStr for WalletName {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<WalletName, &'static str> {
        match name.parse::<Holder>() {
            Ok(Holder::Wallet(address)) => Ok(WalletName::Address(address)),
            _ => name.parse().map(WalletName::Id).map_err(|_| "value is neither a wallet's id nor an address"),
        }
    }
}

/// The address of a wallet of the platform's.
///
/// # Errors
/// The database's.
async fn address_of(db: impl PgExecutor<'_>, wallet_id: Uuid) -> Result<Option<Address>, sqlx::Error> {
    let found: Option<Addr> = sqlx::query_scalar("SELECT address FROM wallets WHERE wallet_id = $1")
        .bind(wallet_id)
        .fetch_optional(db)
        .await?;
    Ok(found.map(|address| address.0))
}

/// The command id that stands for an idempotency key: another one for each caller and route.
///
/// # Errors
/// None that can be.
pub(crate) fn id_of_key(caller: &str, route: &str, key: &str) -> Result<CommandId, ApiError> {
    let hash = keccak256([caller, route, key].join("\0"));
    CommandId::parse(format!("key:{}", alloy::hex::encode(&hash[..20]))).map_err(ApiError::internal)
}

/// What the keeper refuses, under the names that the fields have in a request.
pub(crate) fn declined(declined: Declined, wallet: &'static str, receiver: &'static str) -> ApiError {
    let refusal = match declined {
        Declined::Refused(refusal) => refusal,
        Declined::NoWallet => no_wallet(),
    };
    ApiError::Rejected(vec![named(refusal, wallet, receiver)])
}

fn no_wallet() -> Refusal {
    let message = "the party has no approved wallet".to_owned();
    Refusal::with(ReasonCode::WalletNotWhitelisted, Field::Wallet, message)
}

fn named(refusal: Refusal, wallet: &'static str, receiver: &'static str) -> FieldError {
    let field = match refusal.field {
        Field::Wallet => wallet,
        Field::Receiver => receiver,
        Field::Amount => "amount",
        _ => "instrument_id",
    };
    FieldError::refused(field, refusal.code, refusal.message)
}

fn parsed<T, E>(raw: &RawValue) -> Result<T, String>
where
    T: std::str::FromStr<Err = E>,
    E: std::fmt::Display,
{
    text(raw)?.parse().map_err(|error: E| error.to_string())
}

fn fitting(raw: &RawValue, decimals: Option<u8>) -> Result<Option<Amount>, String> {
    let text = AmountText::from_json(raw).map_err(|error| error.to_string())?;
    let fits = match decimals {
        Some(decimals) => text.to_amount(decimals).map(Some),
        None => text.fits_some_token().map(|()| None),
    };
    fits.map_err(|error| error.to_string())
}
