//! Signing in by a wallet's signature (EIP-4361): a nonce of ours, a message that names us and the chain, and a signature of
//! the address in it (EIP-191). Whoever holds the key of an investor's approved wallet is that investor's oldest account.

mod message;
mod nonce;

use alloy::primitives::{Address, Signature};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use tokenx_indexer::read;
use tokenx_migrations::Addr;
use utoipa::ToSchema;

use self::message::Message;
pub(crate) use self::nonce::Nonces;
use super::revocation::{self, Reason};
use super::routes::{SessionAnswer, answer};
use super::session::{self, Proof};
use crate::app::App;
use crate::error::{ApiError, FieldError};
use crate::http::body::{JsonBody, MaybeJson};
use crate::http::envelope::RequestId;
use crate::http::guard::count_login;
use crate::http::object::{Object, text_of};
use crate::store::users::{self, User};
use crate::token_app::timestamp;

/// The longest message that is read, in characters.
const MAX_MESSAGE: usize = 4_096;
/// How far another machine's clock may be ahead.
const LEEWAY: Duration = Duration::seconds(60);

/// What a wallet's message is to say.
#[derive(Debug, Serialize, ToSchema)]
pub struct WalletNonce {
    /// Good once, for five minutes.
    nonce: String,
    #[schema(format = DateTime)]
    expires_at: String,
    /// Ours; a page on an origin that may call this API names its own instead.
    domain: String,
    uri: String,
    version: &'static str,
    chain_id: u64,
}

/// What `POST /auth/wallet/login` takes.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct WalletLoginRequest {
    /// The EIP-4361 message that was signed, to the letter.
    #[schema(max_length = 4096)]
    message: String,
    /// 65 bytes in hexadecimal.
    #[schema(pattern = "^0x[0-9a-fA-F]{130}$")]
    signature: String,
}

/// Gives a nonce for a message. Nothing is kept of it until it is used.
#[utoipa::path(
    post,
    path = "/auth/wallet/nonce",
    responses((status = 200, description = "What the message is to say", body = WalletNonce))
)]
pub(crate) async fn nonce(State(app): State<App>, MaybeJson(body): MaybeJson) -> Result<Json<WalletNonce>, ApiError> {
    let errors = Object::parse(&body)?.errors();
    if !errors.is_empty() {
        return Err(ApiError::Rejected(errors));
    }
    let (nonce, expires_at) = app.nonces().issue(OffsetDateTime::now_utc())?;
    let uri = app.settings().server.public_url();
    Ok(Json(WalletNonce {
        nonce,
        expires_at: timestamp(expires_at),
        domain: authority(&uri).to_owned(),
        uri,
        version: message::VERSION,
        chain_id: app.chain_id(),
    }))
}

/// Opens a sign-in for the investor whose approved wallet signed the message.
#[utoipa::path(
    post,
    path = "/auth/wallet/login",
    request_body = WalletLoginRequest,
    responses((status = 200, description = "Signed in", body = SessionAnswer))
)]
pub(crate) async fn login(
    State(app): State<App>,
    request_id: RequestId,
    JsonBody(body): JsonBody,
) -> Result<Json<SessionAnswer>, ApiError> {
    let mut body = Object::parse(&body)?;
    let message = body.read("message", None, text_of(1..=MAX_MESSAGE));
    let signature = body.read("signature", None, text_of(132..=132));
    let errors = body.errors();
    let (Some(text), Some(signature), true) = (message, signature, errors.is_empty()) else {
        return Err(ApiError::Rejected(errors));
    };
    let bad = |field, message: &'static str| ApiError::Rejected(vec![FieldError::body(field, "value_error", message)]);
    let signature: Signature =
        signature.parse().map_err(|_| bad("signature", "value is not 65 bytes in hexadecimal"))?;
    let message = Message::parse(&text).map_err(|error| bad("message", error))?;

    count_login(&app, &message.address.to_checksum(None))?;
    let now = OffsetDateTime::now_utc();
    let nonce = check(&app, &message, now)?;
    // Of the two signatures that every message has, wallets make the one with the lower s.
    let signer = signature.normalize_s().is_none().then(|| signature.recover_address_from_msg(&text).ok()).flatten();
    if signer != Some(message.address) {
        return Err(ApiError::Unauthenticated("the signature is not that of the message's address"));
    }
    let user = owner(&app, message.address).await?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    if !revocation::revoke(&mut tx, nonce.id, Reason::Spent, nonce.expires_at).await? {
        return Err(ApiError::Unauthenticated("the nonce was used before: ask for a new one"));
    }
    tx.commit().await?;
    Ok(Json(answer(&app, session::open(&app, user, Proof::Signature, &request_id.0).await?)))
}

/// Whether the message is for us, for this chain, and of this time.
fn check(app: &App, message: &Message<'_>, now: OffsetDateTime) -> Result<nonce::Nonce, ApiError> {
    let server = &app.settings().server;
    let ours = server.public_url();
    let mut origins = std::iter::once(ours.as_str()).chain(server.cors_origins.iter().map(String::as_str));
    let Some(origin) = origins.find(|origin| authority(origin) == message.domain) else {
        return Err(ApiError::Unauthenticated("the message is for another domain"));
    };
    if !message.is_of(origin_of(origin)) {
        return Err(ApiError::Unauthenticated("the message's URI is not of its domain"));
    }
    if message.chain_id != app.chain_id() {
        return Err(ApiError::Unauthenticated("the message is for another chain"));
    }
    if message.issued_at > now + LEEWAY || message.not_before.is_some_and(|at| at > now) {
        return Err(ApiError::Unauthenticated("the message is not valid yet"));
    }
    if message.expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::Unauthenticated("the message has expired: sign a new one"));
    }
    let nonce = app.nonces().read(message.nonce, now);
    nonce.ok_or(ApiError::Unauthenticated("the nonce is not one of ours, or has expired: ask for a new one"))
}

/// The account that an address signs in as: its party's oldest, once the registry has the wallet as one of the party's.
async fn owner(app: &App, address: Address) -> Result<User, ApiError> {
    const NOBODY: ApiError = ApiError::Unauthenticated("the wallet is no approved wallet of an investor's");
    let party: Option<String> = sqlx::query_scalar("SELECT party_id FROM wallets WHERE address = $1")
        .bind(Addr(address))
        .fetch_optional(app.pool())
        .await?;
    let party = party.ok_or(NOBODY)?;
    let record = read::investor_wallet(app.pool(), app.chain_id(), address).await?;
    if !record.is_some_and(|record| record.whitelisted()) {
        return Err(NOBODY);
    }
    users::of_party(app.pool(), &party).await?.ok_or(NOBODY)
}

/// `scheme://host:port` of a URL.
fn origin_of(url: &str) -> &str {
    let start = url.find("://").map_or(0, |place| place + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |place| start + place);
    &url[..end]
}

/// `host:port` of a URL.
fn authority(url: &str) -> &str {
    origin_of(url).split_once("://").map_or(url, |(_, authority)| authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_ends_before_the_path() {
        assert_eq!(origin_of("https://api.example.com:8443/v1?x"), "https://api.example.com:8443");
        assert_eq!(authority("https://api.example.com:8443/v1"), "api.example.com:8443");
        assert_eq!(authority("http://127.0.0.1:8080"), "127.0.0.1:8080");
    }
}
