//! `POST /api/admin/mint` and `/burn`.
//!
//! The order is fixed: who asks (the guard), what the body says, which instrument and party that means, whether
//! this very command was accepted before, and only then whether the present state allows it. A refused request
//! leaves nothing behind and its command id stays free.

use alloy::primitives::{Address, B256, U256};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tokenx_contracts::ReasonCode;
use tokenx_contracts::amount::{Amount, AmountError, AmountText};
use tokenx_contracts::ids::{CommandId, Holder, InstrumentId};
use tokenx_indexer::read::{self, Instrument};
use tokenx_keeper::{Accepted, Field, Operation, Refusal};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::http::body::{Fields, JsonBody};
use crate::http::envelope::RequestId;
use crate::http::idempotency::REPLAYED;
use crate::tokenization::intake::{Asker, Declined, Whose};

/// What mint and burn take.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct SupplyRequest {
    /// The client's name for this command; the same command under the same name runs once.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$", example = "mint-2025-01-01-001")]
    command_id: String,
    /// The instrument.
    #[schema(min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9._-]+$", example = "rCC")]
    instrument_id: String,
    /// A party (its primary wallet) or a wallet's address.
    #[schema(min_length = 1, max_length = 128, example = "alice::122...")]
    party_id: String,
    /// Whole tokens: a decimal string, or a number read exactly from its text.
    #[schema(schema_with = crate::openapi::amount_in)]
    amount: String,
}

/// What mint and burn answer, now and whenever they are repeated.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: stored with the command, and repeated byte for byte")]
pub struct Submitted {
    command_id: String,
    #[schema(example = "submitted")]
    status: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mint,
    Burn,
}

/// Mints to a party.
#[utoipa::path(
    post,
    path = "/api/admin/mint",
    request_body = SupplyRequest,
    responses((status = 200, description = "Taken, now or before", body = Submitted))
)]
pub(crate) async fn mint(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    submit(&app, Kind::Mint, &viewer, &request_id, &body).await
}

/// Burns what a party holds.
#[utoipa::path(
    post,
    path = "/api/admin/burn",
    request_body = SupplyRequest,
    responses((status = 200, description = "Taken, now or before", body = Submitted))
)]
pub(crate) async fn burn(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    submit(&app, Kind::Burn, &viewer, &request_id, &body).await
}

/// What a body asks for, as far as it can be told.
struct Asked {
    command_id: Option<CommandId>,
    instrument: Option<Instrument>,
    holder: Option<Whose>,
    amount: Option<Amount>,
}

/// A request whose every field has a meaning.
struct Complete {
    command_id: CommandId,
    instrument_id: InstrumentId,
    holder: Whose,
    amount: Amount,
}

async fn submit(
    app: &App,
    kind: Kind,
    viewer: &Viewer,
    request_id: &RequestId,
    body: &[u8],
) -> Result<Response, ApiError> {
    let mut fields = Fields::parse(body)?;
    let asked = Asked::read(app, &mut fields).await?;
    let mut errors = fields.errors();
    if !errors.is_empty() {
        asked.check_state(app, kind, &mut errors).await?;
        return Err(ApiError::Rejected(errors));
    }
    let Some(complete) = asked.complete() else { return Err(ApiError::internal("a field neither read nor refused")) };
    match complete.accept(app, kind, viewer, request_id).await? {
        Ok(accepted) => Ok(answer(accepted)),
        Err(refusal) => {
            let mut errors = vec![refusal];
            complete.into_asked(app).await?.check_state(app, kind, &mut errors).await?;
            Err(ApiError::Rejected(errors))
        }
    }
}

fn answer(accepted: Accepted) -> Response {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let mut response = (json, accepted.answer).into_response();
    if accepted.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

impl Asked {
    async fn read(app: &App, fields: &mut Fields) -> Result<Asked, ApiError> {
        let command_id = fields.text("command_id", str::parse::<CommandId>);
        let instrument_id = fields.text("instrument_id", str::parse::<InstrumentId>);
        let holder = fields.text("party_id", str::parse::<Holder>);
        let amount = fields.required("amount").map(AmountText::from_json);

        let instrument = match &instrument_id {
            None => None,
            Some(id) => {
                let found = read::instrument(app.pool(), app.chain_id(), id.as_str()).await?;
                if found.is_none() {
                    let msg = format!("there is no instrument {id}");
                    fields.refuse(FieldError::refused("instrument_id", ReasonCode::UnknownInstrument, msg));
                }
                found
            }
        };
        let holder = match holder {
            None => None,
            Some(holder) => match Whose::of(app, holder).await? {
                Ok(whose) => Some(whose),
                Err(refusal) => {
                    fields.refuse(named_field(refusal));
                    None
                }
            },
        };
        let amount = amount.and_then(|text| {
            let fits = match &instrument {
                Some(instrument) => text.and_then(|text| text.to_amount(instrument.decimals).map(Some)),
                None => text.and_then(|text| text.fits_some_token().map(|()| None)),
            };
            fits.unwrap_or_else(|error| {
                fields.refuse(FieldError::body("amount", "value_error", amount_message(&error)));
                None
            })
        });
        Ok(Asked { command_id, instrument, holder, amount })
    }

    fn complete(self) -> Option<Complete> {
        let instrument_id = InstrumentId::parse(self.instrument?.instrument_id).ok()?;
        Some(Complete { command_id: self.command_id?, instrument_id, holder: self.holder?, amount: self.amount? })
    }

    /// Adds what the present state has against fields that are fine in themselves, so that one answer names all.
    async fn check_state(&self, app: &App, kind: Kind, errors: &mut Vec<FieldError>) -> Result<(), ApiError> {
        let named = |errors: &[FieldError], field: &str| {
            errors.iter().any(|error| error.loc.last().is_some_and(|last| last == field))
        };
        let Some(holder) = &self.holder else { return Ok(()) };
        let Some(wallet) = holder.wallet() else {
            if !named(errors, "party_id") {
                errors.push(no_wallet());
            }
            return Ok(());
        };
        if kind == Kind::Mint && !named(errors, "party_id") {
            let record = read::investor_wallet(app.pool(), app.chain_id(), wallet).await?;
            if !record.is_some_and(|record| record.whitelisted()) {
                errors.push(named_field(Refusal::of_wallet(ReasonCode::WalletNotWhitelisted, Field::Wallet, wallet)));
            }
        }
        if let (Kind::Burn, Some(instrument), Some(amount)) = (kind, &self.instrument, &self.amount)
            && !named(errors, "amount")
        {
            let position = read::position(app.pool(), app.chain_id(), instrument.token, wallet).await?;
            if amount.base() > position.spendable() {
                let spendable = Amount::new(position.spendable(), instrument.decimals);
                errors.push(named_field(Refusal::insufficient_spendable(wallet, spendable, *amount)));
            }
        }
        Ok(())
    }
}

impl Complete {
    /// Hands the command to the keeper; the inner error is a refusal of state.
    async fn accept(
        &self,
        app: &App,
        kind: Kind,
        viewer: &Viewer,
        request_id: &RequestId,
    ) -> Result<Result<Accepted, FieldError>, ApiError> {
        let asker = Asker { app, viewer, request_id, command_id: &self.command_id };
        let taken = asker.take(&self.holder, |wallet| self.operation(kind, wallet)).await?;
        Ok(taken.map_err(|declined| match declined {
            Declined::Refused(refusal) => named_field(refusal),
            Declined::NoWallet => no_wallet(),
        }))
    }

    fn operation(&self, kind: Kind, wallet: Address) -> Operation {
        let instrument = self.instrument_id.clone();
        let (amount, reason): (U256, B256) = (self.amount.base(), B256::ZERO);
        match kind {
            Kind::Mint => Operation::Mint { instrument, to: wallet, amount, reason },
            Kind::Burn => Operation::Burn { instrument, from: wallet, amount, reason },
        }
    }

    async fn into_asked(self, app: &App) -> Result<Asked, ApiError> {
        let instrument = read::instrument(app.pool(), app.chain_id(), self.instrument_id.as_str()).await?;
        Ok(Asked {
            command_id: Some(self.command_id),
            instrument,
            holder: Some(self.holder),
            amount: Some(self.amount),
        })
    }
}

fn no_wallet() -> FieldError {
    FieldError::refused("party_id", ReasonCode::WalletNotWhitelisted, "the party has no approved wallet")
}

/// The keeper's refusal under the name that the field has here.
fn named_field(refusal: Refusal) -> FieldError {
    let field = match refusal.field {
        Field::Instrument => "instrument_id",
        Field::Wallet | Field::Receiver => "party_id",
        Field::Amount => "amount",
        Field::Until => "until",
        Field::Hold => "hold_id",
        Field::Countries => "countries",
        Field::Document => "name",
        Field::Terms => "terms",
        Field::Signature => "signature",
        Field::Order => "order",
        Field::Node => "node",
        Field::Contract => "contract",
    };
    FieldError::refused(field, refusal.code, refusal.message)
}

/// The reference text's own words for what is no number; ours, which name the value, for the rest.
fn amount_message(error: &AmountError) -> String {
    match error {
        AmountError::NotANumber(_) | AmountError::Exponent(_) => "value is not a valid number".into(),
        other => other.to_string(),
    }
}
