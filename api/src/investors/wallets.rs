//! `/investors/wallets`: a party's wallets, and new ones, which wait for a compliance officer.

use alloy::primitives::Address;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use tokenx_indexer::read;
use tokenx_keeper::hosted::{self, HostedError};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{lock, party_of};
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::auth::{Viewer, secret_bytes};
use crate::error::{ApiError, FieldError};
use crate::http::body::{JsonBody, MaybeJson};
use crate::http::envelope::RequestId;
use crate::http::idempotency::{IdempotencyKey, REPLAYED};
use crate::http::object::{Object, text, text_of};
use crate::http::query::Query;
use crate::store::parties;
use crate::tokens::details::timestamp;
use crate::tokens::routes::now;
use crate::wallets::challenge::{self, Binding, Challenge};
use crate::wallets::record::{self, Filter, Kind, Record};
use crate::wallets::state::State;
use crate::wallets::view::{self, WalletPage, WalletView};

/// Page size unless asked otherwise, and at most.
pub(crate) const PAGE: (u64, u64) = (100, 1_000);
/// The most wallets of a party: each hosted one is a key that somebody keeps.
const MOST: i64 = 20;

/// A wallet to be registered.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct WalletRequest {
    /// hosted unless given: a new key, held here. self_custody: one whose key the party holds, which proves it.
    #[schema(required = false, pattern = "^(hosted|self_custody)$")]
    kind: Option<String>,
    /// Of the challenge that was signed; for self_custody.
    #[schema(required = false, nullable = false, max_length = 64)]
    nonce: Option<String>,
    /// The challenge's message, signed by the wallet's key (EIP-191, `personal_sign`); for self_custody.
    #[schema(required = false, nullable = false, pattern = "^0x[0-9a-fA-F]{130}$")]
    signature: Option<String>,
}

/// For which wallet a challenge is asked.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct ChallengeRequest {
    /// The wallet's address.
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    address: String,
}

/// What a wallet is to sign.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChallengeView {
    /// For the registration.
    nonce: String,
    /// To be signed byte for byte (EIP-191, `personal_sign`).
    message: String,
    /// From then on it is not taken.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// The party's wallets, newest first.
#[utoipa::path(
    get,
    path = "/investors/wallets",
    params(
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = WalletPage))
)]
pub(crate) async fn wallets(
    Extract(app): Extract<App>,
    viewer: Viewer,
    mut query: Query,
) -> Result<Json<WalletPage>, ApiError> {
    let before = query.text("cursor", cursor);
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let filter = Filter { party_id: Some(party_of(&viewer)?.to_owned()), before, ..Filter::default() };
    let mut tx = read::snapshot(app.pool()).await?;
    // One more than asked for says whether there is another page.
    let mut records = record::list(&mut *tx, &filter, limit.cast_signed() + 1).await?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let more = records.len() > wanted;
    records.truncate(wanted);
    Ok(Json(view::page(view::all(&app, &mut tx, records).await?, more)))
}

/// What the key of the party's own wallet is to sign, so that it can be registered. Good once, for ten minutes.
#[utoipa::path(
    post,
    path = "/investors/wallets/challenge",
    request_body = ChallengeRequest,
    responses((status = 201, description = "The challenge", body = ChallengeView))
)]
pub(crate) async fn challenge(
    Extract(app): Extract<App>,
    viewer: Viewer,
    JsonBody(body): JsonBody,
) -> Result<Response, ApiError> {
    let mut body = Object::parse(&body)?;
    let address = body.read("address", None, |raw| {
        let text = text(raw)?;
        match text.parse::<Address>() {
            Ok(address) if address.is_zero() => Err("nobody holds the key of the zero address"),
            Ok(address) if text.starts_with("0x") => Ok(address),
            _ => Err("value is not an address: 0x and 40 hex digits"),
        }
    });
    let errors = body.errors();
    let (Some(address), true) = (address, errors.is_empty()) else { return Err(ApiError::Rejected(errors)) };
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let party = lock(&app, &mut tx, &viewer).await?;
    let url = app.settings().server.public_url();
    let domain = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
    let binding = Binding { domain, chain_id: app.chain_id(), party_id: &party.party_id, address };
    let challenge = Challenge::new(binding, &URL_SAFE_NO_PAD.encode(secret_bytes()?), now());
    challenge::keep(&mut tx, &party.party_id, address, &challenge).await?;
    tx.commit().await?;
    let Challenge { nonce, message, expires_at } = challenge;
    Ok((StatusCode::CREATED, Json(ChallengeView { nonce, message, expires_at: timestamp(expires_at) })).into_response())
}

/// Registers a wallet: a new hosted one, or the party's own, whose key has signed a challenge. It waits for approval. With
/// an `Idempotency-Key` it is registered once, however often it is asked for.
#[utoipa::path(
    post,
    path = "/investors/wallets",
    params(("idempotency-key" = Option<String>, Header, description = "The client's own name for this request")),
    request_body(content = WalletRequest, content_type = "application/json"),
    responses((status = 201, description = "The wallet, which waits for approval", body = WalletView))
)]
pub(crate) async fn register(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    IdempotencyKey(key): IdempotencyKey,
    MaybeJson(body): MaybeJson,
) -> Result<Response, ApiError> {
    let asked = Asked::read(&body)?;
    let actor = viewer.actor();
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let party = lock(&app, &mut tx, &viewer).await?;
    if let Some(key) = &key
        && let Some(known) = record::by_key(&mut *tx, &actor, key).await?
    {
        if known.kind != asked.kind() {
            let detail = "this idempotency key was used for another request: choose a new one";
            return Err(ApiError::Conflict(detail.into()));
        }
        let mut answer = answer(&app, &mut tx, known).await?;
        answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        return Ok(answer);
    }
    if record::count(&mut *tx, &party.party_id).await? >= MOST {
        return Err(ApiError::Conflict(format!("the party has {MOST} wallets already: use one of these")));
    }
    let wallet_id = Uuid::now_v7();
    let address = match &asked {
        Asked::Hosted => hosted::claim(&mut tx, &format!("wallet:{wallet_id}")).await.map_err(|error| match error {
            empty @ HostedError::Empty => ApiError::Unavailable(empty.to_string()),
            HostedError::Database(error) => error.into(),
            other => ApiError::internal(other),
        })?,
        Asked::Own { nonce, signature } => {
            let Some((address, message)) = challenge::take(&mut tx, &party.party_id, nonce).await? else {
                return Err(bad("nonce", "no such challenge, or it has served or expired: ask for a new one"));
            };
            challenge::check(address, &message, signature).map_err(|problem| bad("signature", problem))?;
            address
        }
    };
    let record = Record {
        wallet_id,
        party_id: party.party_id,
        address,
        kind: asked.kind(),
        registered_by: Some(actor.clone()),
        key,
        decision: None,
        command: None,
        commands: 0,
        due: None,
        created_at: now(),
    };
    if !record::insert(&mut tx, &record).await? {
        return Err(ApiError::Conflict(format!("wallet {} is registered already", address.to_checksum(None))));
    }
    let detail = json!({
        "party_id": record.party_id,
        "address": address.to_checksum(None),
        "kind": record.kind.as_str(),
    });
    let by = By { actor: &actor, request_id: Some(&request_id.0) };
    admin::note(&mut tx, by, Note { action: "wallet.register", subject: format!("wallet:{wallet_id}"), detail })
        .await?;
    let answer = answer(&app, &mut tx, record).await?;
    tx.commit().await?;
    Ok(answer)
}

/// Has the party's name stand for another one of its wallets, which must be approved: mints by party go there from now on,
/// burns are taken from there. Twice is once.
#[utoipa::path(
    post,
    path = "/investors/wallets/{wallet_id}/primary",
    params(("wallet_id" = Uuid, Path, description = "The wallet")),
    responses((status = 200, description = "The wallet, now the primary one", body = WalletView))
)]
pub(crate) async fn make_primary(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    let unknown = || ApiError::NotFound("the party has no wallet with this id".into());
    let wallet_id: Uuid = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let party = lock(&app, &mut tx, &viewer).await?;
    let record = record::find(&mut *tx, wallet_id).await?.filter(|record| record.party_id == party.party_id);
    let shown = view::one(&app, &mut tx, record.ok_or_else(unknown)?).await?;
    if shown.state != State::Approved {
        let detail = format!("the wallet is {}: only an approved one can be the primary one", shown.state.as_str());
        return Err(ApiError::Conflict(detail));
    }
    if parties::choose_primary(&mut tx, &party.party_id, wallet_id).await? {
        let actor = viewer.actor();
        let by = By { actor: &actor, request_id: Some(&request_id.0) };
        let subject = format!("wallet:{wallet_id}");
        let detail = json!({ "party_id": party.party_id, "address": shown.record.address.to_checksum(None) });
        admin::note(&mut tx, by, Note { action: "wallet.make_primary", subject, detail }).await?;
    }
    let shown = view::one(&app, &mut tx, shown.record).await?;
    tx.commit().await?;
    Ok(Json(WalletView::from(shown)).into_response())
}

/// What is to be registered.
enum Asked {
    Hosted,
    Own { nonce: String, signature: String },
}

impl Asked {
    fn read(body: &[u8]) -> Result<Asked, ApiError> {
        let mut body = Object::parse(body)?;
        let kind = body.read("kind", Some(&Kind::Hosted), |raw| Kind::parse(&text(raw)?));
        let asked = match kind {
            Some(Kind::SelfCustody) => {
                let nonce = body.read("nonce", None, text_of(1..=64));
                let signature = body.read("signature", None, text_of(132..=132));
                nonce.zip(signature).map(|(nonce, signature)| Asked::Own { nonce, signature })
            }
            Some(Kind::Hosted) => Some(Asked::Hosted),
            None => {
                body.ignore(&["nonce", "signature"]);
                None
            }
        };
        let errors = body.errors();
        match asked {
            Some(asked) if errors.is_empty() => Ok(asked),
            _ => Err(ApiError::Rejected(errors)),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Asked::Hosted => Kind::Hosted,
            Asked::Own { .. } => Kind::SelfCustody,
        }
    }
}

/// Where a list goes on: the id of its last wallet.
pub(crate) fn cursor(text: &str) -> Result<Uuid, &'static str> {
    text.parse().map_err(|_| "value is not a cursor of this list")
}

fn bad(field: &'static str, message: &str) -> ApiError {
    ApiError::Rejected(vec![FieldError::body(field, "value_error", message)])
}

async fn answer(app: &App, conn: &mut PgConnection, record: Record) -> Result<Response, ApiError> {
    let shown = view::one(app, conn, record).await?;
    Ok((StatusCode::CREATED, Json(WalletView::from(shown))).into_response())
}
