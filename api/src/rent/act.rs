//! `POST /v2/admin/token/{token_id}/rent`: paying into the fund, opening a period, claiming what a wallet has earned. Each
//! answers the keeper's command; with an `Idempotency-Key`, the same one for ever.

use alloy::primitives::{Address, Bytes, U256, keccak256};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use tokenx_contracts::amount::Amount;
use tokenx_contracts::codes::ReasonCode;
use tokenx_contracts::ids::{CommandId, Scope};
use tokenx_indexer::read::{self, node};
use tokenx_keeper::{Claim, Consent, Contract, Fund, Funding, Payout, Permit};
use utoipa::ToSchema;
use uuid::Uuid;

use super::period::{accept, on_its_way, open};
use super::schedule::{self, Next, Schedule};
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::idempotency::{IdempotencyKey, REPLAYED};
use crate::http::intent::{address, proof, same, uint, word};
use crate::http::object::{Object, integer, text};
use crate::investors;
use crate::policy::Role;
use crate::token_app::commands::{CommandRecord, record as command_record};
use crate::tokens::money::{Zero, amount};
use crate::tokens::record as token_record;
use crate::tokens::routes::{now, token_id};
use crate::wallets::record::{self as wallets, Kind, Record as Wallet};

/// How long a claim for a hosted wallet may be carried.
const HOSTED: Duration = Duration::days(1);

/// What is to be done. Issuer and transfer agent fund and open; investors claim for wallets of their own.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct RentAction {
    #[schema(pattern = "^(fund|open|claim)$")]
    action: String,
    /// To fund: what is paid in. To open: what is divided, the income of the token's record unless given.
    #[schema(required = false, schema_with = crate::openapi::number)]
    amount: Option<String>,
    /// To open: the next period, and that is the one unless given.
    #[schema(required = false, nullable = false, minimum = 1, maximum = 65_535)]
    period: Option<u16>,
    /// To claim: the party's wallet.
    #[schema(required = false, nullable = false)]
    wallet_id: Option<Uuid>,
    /// To fund, or to claim for a self-custody wallet: what is signed for the rent distributor (EIP-712).
    #[schema(required = false, nullable = false)]
    intent: Option<RentIntent>,
    /// The wallet's signature of the intent.
    #[schema(required = false, nullable = false, pattern = "^0x([0-9a-fA-F]{2})+$")]
    signature: Option<String>,
    /// To fund: lets the rent distributor take the money (ERC-2612), where the wallet has not allowed it yet.
    #[schema(required = false)]
    permit: Option<PermitIntent>,
}

/// The message `Funding` (all members) or `Claim` (wallet, token, deadline and salt) of the domain `tokenx RentDistributor`,
/// version 1. Numbers are decimal digits.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct RentIntent {
    /// Who pays, or is paid.
    wallet: String,
    /// The token's contract.
    token: String,
    /// What rent is paid in.
    #[schema(rename = "paymentToken", required = false, nullable = false)]
    payment_token: Option<String>,
    /// Base units of that.
    #[schema(required = false, nullable = false)]
    amount: Option<String>,
    /// Last Unix second at which it counts.
    deadline: String,
    /// A word that no other intent of the wallet for the distributor has.
    salt: String,
}

/// What ERC-2612 has a wallet sign for the contract that takes its money.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct PermitIntent {
    /// Base units that may be taken.
    value: String,
    /// Last Unix second at which it counts.
    deadline: String,
    /// 65 bytes.
    #[schema(pattern = "^0x[0-9a-fA-F]{130}$")]
    signature: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Fund,
    Open,
    Claim,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Action::Fund => "fund",
            Action::Open => "open",
            Action::Claim => "claim",
        }
    }

    fn parse(name: &str) -> Result<Action, &'static str> {
        let found = [Action::Fund, Action::Open, Action::Claim].into_iter().find(|action| action.as_str() == name);
        found.ok_or("value is no action: use fund, open or claim")
    }
}

/// Who asks, under which key.
struct Asker<'a> {
    app: &'a App,
    viewer: &'a Viewer,
    request_id: &'a RequestId,
    key: Option<String>,
    actor: String,
}

/// Pays into the token's rent fund, opens its next period, or claims what a wallet has earned.
#[utoipa::path(
    post,
    path = "/v2/admin/token/{token_id}/rent",
    params(
        ("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$"),
        ("idempotency-key" = Option<String>, Header, description = "The client's own name for this request"),
    ),
    request_body = RentAction,
    responses((status = 202, description = "The command", body = CommandRecord))
)]
pub(crate) async fn act(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    IdempotencyKey(key): IdempotencyKey,
    id: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let token_id = token_id(id)?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let rent = seen(&app, &mut tx, &viewer, &token_id).await?;
    let mut body = Object::parse(&body)?;
    let action = body.read("action", None, |raw| Action::parse(&text(raw)?));
    let Some(action) = action else {
        body.ignore(&["amount", "period", "wallet_id", "intent", "signature", "permit"]);
        return Err(ApiError::Rejected(body.errors()));
    };
    if (action == Action::Claim) != (viewer.role == Role::Investor) {
        let role = viewer.role;
        let detail = format!(
            "an account of the role {role} does not {}: investors claim, issuers fund and open",
            action.as_str()
        );
        return Err(ApiError::Forbidden(detail));
    }
    let asker = Asker { app: &app, viewer: &viewer, request_id: &request_id, key, actor: viewer.actor() };
    let (command_id, replayed) = match action {
        Action::Fund => asker.fund(&mut tx, &rent, body).await?,
        Action::Open => asker.open(&mut tx, &rent, body).await?,
        Action::Claim => asker.claim(&mut tx, &rent, body).await?,
    };
    tx.commit().await?;
    app.commands().wake();
    let view = app.commands().view(&Scope::System, &command_id).await?;
    let view = view.ok_or_else(|| ApiError::internal(format!("command {command_id} is gone")))?;
    let mut response = (StatusCode::ACCEPTED, Json(command_record(&app, view).await?)).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// A token's rent, for whom it is: its issuer, staff, and investors who have, or had, units of it.
pub(crate) async fn seen(
    app: &App,
    conn: &mut PgConnection,
    viewer: &Viewer,
    token_id: &str,
) -> Result<Schedule, ApiError> {
    let unknown = || ApiError::NotFound("there is no token with this id that pays rent".into());
    let rent = schedule::find(&mut *conn, app.chain_id(), token_id).await?.ok_or_else(unknown)?;
    let shows = match viewer.role {
        Role::Issuer => viewer.issuer_id == Some(rent.issuer_id),
        Role::Investor => holds(app, conn, viewer, &rent).await?,
        Role::ComplianceOfficer | Role::TransferAgent | Role::SuperAdmin => true,
    };
    if shows { Ok(rent) } else { Err(unknown()) }
}

async fn holds(app: &App, conn: &mut PgConnection, viewer: &Viewer, rent: &Schedule) -> Result<bool, ApiError> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT
                          FROM parties p
                          JOIN investor_wallets w ON w.chain_id = $1 AND w.investor_id = p.investor_id
                          JOIN holdings h         ON h.chain_id = w.chain_id AND h.token = $2 AND h.wallet = w.wallet
                         WHERE p.party_id = $3)",
    )
    .bind(app.chain_id().cast_signed())
    .bind(tokenx_migrations::Addr(rent.token))
    .bind(investors::party_of(viewer)?)
    .fetch_one(conn)
    .await?)
}

impl Asker<'_> {
    fn by(&self) -> By<'_> {
        By { actor: &self.actor, request_id: Some(&self.request_id.0) }
    }

    /// The command that this key has led to before.
    async fn known(
        &self,
        conn: &mut PgConnection,
        rent: &Schedule,
        asked: &Value,
    ) -> Result<Option<CommandId>, ApiError> {
        let row: Option<(Value, String)> = sqlx::query_as(
            "SELECT asked, command_id
               FROM rent_acts
              WHERE asked_by = $1 AND token_id = $2 AND idempotency_key = $3",
        )
        .bind(&self.actor)
        .bind(&rent.token_id)
        .bind(self.key.as_deref())
        .fetch_optional(conn)
        .await?;
        match row {
            None => Ok(None),
            Some((before, command_id)) if before == *asked => {
                CommandId::parse(command_id).map(Some).map_err(ApiError::internal)
            }
            Some(_) => {
                Err(ApiError::Conflict("this idempotency key was used for another request: choose a new one".into()))
            }
        }
    }

    /// Keeps what was asked, under its id.
    async fn keep(
        &self,
        conn: &mut PgConnection,
        rent: &Schedule,
        (act_id, action, asked): (Uuid, Action, &Value),
        command_id: &CommandId,
    ) -> Result<(), ApiError> {
        sqlx::query(
            "INSERT INTO rent_acts (act_id, token_id, action, asked, asked_by, idempotency_key, command_id, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(act_id)
        .bind(&rent.token_id)
        .bind(action.as_str())
        .bind(asked)
        .bind(&self.actor)
        .bind(self.key.as_deref())
        .bind(command_id.as_str())
        .bind(now())
        .execute(&mut *conn)
        .await?;
        if action == Action::Open {
            // Noted with the opening itself.
            return Ok(());
        }
        let detail = json!({ "by": self.actor, "token": asked, "command_id": command_id });
        let name = format!("rent.{}", action.as_str());
        let note = Note { action: &name, subject: format!("token:{}", rent.token_id), detail };
        Ok(admin::note(conn, self.by(), note).await?)
    }

    async fn fund(
        &self,
        conn: &mut PgConnection,
        rent: &Schedule,
        mut body: Object,
    ) -> Result<(CommandId, bool), ApiError> {
        let currency = &rent.income.currency;
        let paid = body.read("amount", None, |raw| amount(raw, Some(currency.decimals), Zero::Refused));
        let signature = body.read("signature", None, proof);
        let funding = body.object("intent", None::<&Funding>, |message, _| {
            let wallet = message.read("wallet", None, address);
            same(message, "token", &rent.token, address);
            let payment_token = same(message, "paymentToken", &currency.address, address);
            let units = match paid {
                Some(paid) => same(message, "amount", &paid.base(), uint),
                None => message.read("amount", None, uint),
            };
            let (deadline, salt) = (message.read("deadline", None, uint), message.read("salt", None, word));
            Some(Funding {
                wallet: wallet?,
                payment_token: payment_token?,
                amount: units?,
                deadline: deadline?,
                salt: salt?,
            })
        });
        let permit = body.nullable_object("permit", None, |permit, _: Option<&(U256, U256, Bytes)>| {
            let (value, deadline) = (permit.read("value", None, uint), permit.read("deadline", None, uint));
            let signature = permit.read("signature", None, proof);
            Some((value?, deadline?, signature?))
        });
        let errors = body.errors();
        let (Some(funding), Some(signature), true) = (funding, signature, errors.is_empty()) else {
            return Err(ApiError::Rejected(errors));
        };
        let asked = json!({
            "action": "fund",
            "wallet": funding.wallet.to_checksum(None),
            "amount": funding.amount.to_string(),
            "salt": funding.salt,
        });
        if let Some(known) = self.known(conn, rent, &asked).await? {
            return Ok((known, true));
        }
        let act_id = Uuid::now_v7();
        let instrument = || rent.instrument_id.clone();
        if let Some((value, deadline, signature)) = permit.flatten() {
            let contract = Contract::RentDistributor;
            let permit = Permit { owner: funding.wallet, value, deadline };
            let payment_token = currency.address;
            let consent = Consent::UsePermit { instrument: instrument(), contract, payment_token, permit, signature };
            accept(self.app, conn, self.by(), &id("rent_permit", act_id)?, consent).await?;
        }
        let command_id = id("rent_fund", act_id)?;
        let pay_in = Payout::PayIn { instrument: instrument(), fund: Fund::Rent, funding, signature };
        accept(self.app, conn, self.by(), &command_id, pay_in).await?;
        self.keep(conn, rent, (act_id, Action::Fund, &asked), &command_id).await?;
        Ok((command_id, false))
    }

    async fn open(
        &self,
        conn: &mut PgConnection,
        rent: &Schedule,
        mut body: Object,
    ) -> Result<(CommandId, bool), ApiError> {
        let currency = &rent.income.currency;
        let period = body.nullable("period", None, integer::<u16>(1..=65_535)).flatten();
        let divided =
            body.nullable("amount", None, |raw| amount(raw, Some(currency.decimals), Zero::Refused)).flatten();
        let errors = body.errors();
        if !errors.is_empty() {
            return Err(ApiError::Rejected(errors));
        }
        let asked = json!({
            "action": "open",
            "period": period,
            "amount": divided.map(|divided| divided.base().to_string()),
        });
        if let Some(known) = self.known(conn, rent, &asked).await? {
            return Ok((known, true));
        }
        // Whoever opens waits here: what is decided below holds until it is committed.
        token_record::lock(conn, &rent.token_id, None).await?;
        let rent = &seen(self.app, conn, self.viewer, &rent.token_id).await?;
        let units = divided.unwrap_or(rent.income.amount).base();
        if let Some((command_id, before)) = on_its_way(conn, rent).await? {
            let same = period.is_none_or(|period| u64::from(period) == rent.next_period()) && before == units;
            return if same {
                Ok((CommandId::parse(command_id).map_err(ApiError::internal)?, true))
            } else {
                Err(ApiError::Conflict(format!("period {} is being opened already", rent.next_period())))
            };
        }
        self.may_open(conn, rent, period, units).await?;
        let command_id = open(self.app, conn, self.by(), rent, units).await?;
        self.keep(conn, rent, (Uuid::now_v7(), Action::Open, &asked), &command_id).await?;
        Ok((command_id, false))
    }

    /// 422, by what stands in the way.
    async fn may_open(
        &self,
        conn: &mut PgConnection,
        rent: &Schedule,
        period: Option<u16>,
        units: U256,
    ) -> Result<(), ApiError> {
        let refuse = |field, code, message| Err(ApiError::Rejected(vec![FieldError::refused(field, code, message)]));
        let next = rent.next_period();
        if let Some(period) = period.filter(|period| u64::from(*period) != next) {
            let message = format!("period {period} is not the next one: that is {next}");
            return refuse("period", ReasonCode::RentPeriod, message);
        }
        let now = schedule::chain_time(conn, self.app.chain_id()).await?;
        let earns = schedule::somebody_earns(&mut *conn, self.app.chain_id(), rent).await?;
        match rent.next(now, earns) {
            Next::NoTerms => {
                let message = "the rent distributor has no terms for the token yet: try again shortly".to_owned();
                return refuse("token_id", ReasonCode::InvalidTerms, message);
            }
            Next::Waits | Next::Over => {
                let due = rent.due_at(next).unwrap_or_default();
                return refuse("period", ReasonCode::RentPeriod, format!("period {next} is due at second {due}"));
            }
            Next::Unscheduled | Next::Unfunded | Next::NobodyEarns | Next::Due => {}
        }
        if units > rent.available {
            let decimals = rent.income.currency.decimals;
            let (asked, left) = (Amount::new(units, decimals), Amount::new(rent.available, decimals));
            return refuse(
                "amount",
                ReasonCode::FundTooSmall,
                format!("{asked} is more than the {left} that the fund has"),
            );
        }
        if !earns {
            return refuse("token_id", ReasonCode::NobodyEarns, ReasonCode::NobodyEarns.message().to_owned());
        }
        Ok(())
    }

    async fn claim(
        &self,
        conn: &mut PgConnection,
        rent: &Schedule,
        mut body: Object,
    ) -> Result<(CommandId, bool), ApiError> {
        let party = investors::lock(self.app, conn, self.viewer).await?;
        let wallet_id = body
            .read("wallet_id", None, |raw| text(raw)?.parse::<Uuid>().map_err(|_| "value is not the id of a wallet"));
        let wallet = match wallet_id {
            None => None,
            Some(id) => {
                let own = wallets::find(&mut *conn, id).await?.filter(|wallet| wallet.party_id == party.party_id);
                Some(own.ok_or_else(|| ApiError::NotFound("there is no wallet with this id".into()))?)
            }
        };
        let signed = wallet.as_ref().and_then(|wallet| signed_claim(&mut body, rent, wallet));
        if wallet.is_none() {
            body.ignore(&["intent", "signature"]);
        }
        let errors = body.errors();
        let (Some(wallet), true) = (wallet, errors.is_empty()) else { return Err(ApiError::Rejected(errors)) };
        let address = wallet.address;
        let asked = json!({ "action": "claim", "wallet": address.to_checksum(None) });
        if let Some(known) = self.known(conn, rent, &asked).await? {
            return Ok((known, true));
        }
        if let Some(open) = open_claim(conn, rent, &asked).await? {
            return Ok((open, true));
        }
        self.may_claim(conn, rent, address).await?;
        let act_id = Uuid::now_v7();
        let hosted = || {
            let until = (OffsetDateTime::now_utc() + HOSTED).unix_timestamp().unsigned_abs();
            Claim { wallet: address, deadline: U256::from(until), salt: keccak256(act_id.as_bytes()) }
        };
        let (claim, signature) = signed.unwrap_or_else(|| (hosted(), Bytes::new()));
        let command_id = id("rent_claim", act_id)?;
        let claim = Payout::ClaimRent { instrument: rent.instrument_id.clone(), claim, signature };
        accept(self.app, conn, self.by(), &command_id, claim).await?;
        self.keep(conn, rent, (act_id, Action::Claim, &asked), &command_id).await?;
        Ok((command_id, false))
    }

    /// 422, by what stands in the way.
    async fn may_claim(&self, conn: &mut PgConnection, rent: &Schedule, wallet: Address) -> Result<(), ApiError> {
        let refuse = |code, message| Err(ApiError::Rejected(vec![FieldError::refused("wallet_id", code, message)]));
        let now = schedule::chain_time(conn, self.app.chain_id()).await?;
        if let Some(reason) = withheld(conn, self.app.chain_id(), rent.token, wallet, now).await? {
            return refuse(ReasonCode::RentWithheld, format!("the wallet may not be paid now: {reason}"));
        }
        let account = node::rent_account(&mut *conn, self.app.chain_id(), rent.token, wallet).await?;
        if account.claimable().is_zero() {
            return refuse(ReasonCode::NothingToPay, "the wallet has no rent to get".to_owned());
        }
        Ok(())
    }
}

/// What a self-custody wallet has signed; of a hosted one there is nothing to send.
fn signed_claim(body: &mut Object, rent: &Schedule, wallet: &Wallet) -> Option<(Claim, Bytes)> {
    match wallet.kind {
        Kind::Hosted => {
            for name in ["intent", "signature"] {
                body.nullable::<(), _>(name, None, |_| Err("the platform signs for a hosted wallet: leave it out"));
            }
            None
        }
        Kind::SelfCustody => {
            let signature = body.read("signature", None, proof);
            let claim = body.object("intent", None::<&Claim>, |message, _| {
                let owner = same(message, "wallet", &wallet.address, address);
                same(message, "token", &rent.token, address);
                let (deadline, salt) = (message.read("deadline", None, uint), message.read("salt", None, word));
                Some(Claim { wallet: owner?, deadline: deadline?, salt: salt? })
            });
            claim.zip(signature)
        }
    }
}

/// A claim for the same wallet that is on its way.
async fn open_claim(conn: &mut PgConnection, rent: &Schedule, asked: &Value) -> Result<Option<CommandId>, ApiError> {
    let open: Option<String> = sqlx::query_scalar(
        "SELECT a.command_id
           FROM rent_acts a
           JOIN command_views v ON v.scope = 'system' AND v.command_id = a.command_id
          WHERE a.token_id = $1 AND a.action = 'claim' AND a.asked = $2
            AND v.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared', 'broadcast')
          LIMIT 1",
    )
    .bind(&rent.token_id)
    .bind(asked)
    .fetch_optional(conn)
    .await?;
    open.map(|id| CommandId::parse(id).map_err(ApiError::internal)).transpose()
}

/// Why a wallet is paid no rent now; what it earns goes on accruing.
pub(super) async fn withheld(
    conn: &mut PgConnection,
    chain_id: u64,
    token: Address,
    wallet: Address,
    now: u64,
) -> Result<Option<&'static str>, sqlx::Error> {
    let record = read::investor_wallet(&mut *conn, chain_id, wallet).await?;
    let position = read::position(conn, chain_id, token, wallet).await?;
    Ok(match record {
        _ if position.address_frozen => Some("frozen"),
        Some(record) if record.sanctioned() => Some("sanctioned"),
        Some(record) if !record.whitelisted() => Some("revoked"),
        Some(record) if !record.eligible_at(now) => Some("kyc_expired"),
        Some(_) => None,
        None => Some("not_whitelisted"),
    })
}

fn id(kind: &str, act_id: Uuid) -> Result<CommandId, ApiError> {
    CommandId::parse(format!("{kind}:{act_id}:-:1")).map_err(ApiError::internal)
}
