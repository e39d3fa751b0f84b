//! Who is asking: people by short-lived access tokens with rotating refresh tokens, tools by opaque service
//! tokens. Both end in a [`Viewer`], which is all that the rest of the crate knows of either.

pub mod access;
pub mod password;
pub mod revocation;
pub mod routes;
pub mod service;
pub mod session;
pub mod wallet;

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokenx_contracts::ReasonCode;
use uuid::Uuid;

use crate::app::App;
use crate::error::ApiError;
use crate::policy::{Operation, POLICY, Role, Rule, Scope};

/// How often the token of something that stays open is looked at: with the revocation list's own half second within the
/// promised two.
const TOKEN_CHECK: Duration = Duration::from_millis(500);

/// Whoever makes an authenticated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// A person or a tool.
    pub subject: Subject,
    /// What they are to the platform.
    pub role: Role,
    /// The issuer whose things an issuer sees; `None` for every other role.
    pub issuer_id: Option<Uuid>,
    /// The party that an investor acts for; `None` for every other role.
    pub party_id: Option<String>,
    /// What revocation names: the sign-in's family, or the service token.
    pub token_id: Uuid,
    /// When the token ends by itself.
    pub expires_at: OffsetDateTime,
    /// An investor who may look and not act. Anybody else who is suspended is no viewer.
    pub suspended: bool,
}

/// The account behind a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A person.
    User(Uuid),
    /// A tool, narrowed to scopes.
    Service {
        /// The service token's id.
        id: Uuid,
        /// What it may be used for.
        scopes: Vec<Scope>,
    },
}

impl Viewer {
    /// The name under which audit log and commands know the account.
    pub fn actor(&self) -> String {
        match &self.subject {
            Subject::User(id) => format!("user:{id}"),
            Subject::Service { id, .. } => format!("service:{id}"),
        }
    }

    /// Whether a person asks, and no tool.
    pub fn is_person(&self) -> bool {
        matches!(self.subject, Subject::User(_))
    }

    /// What a suspension names: the user; a service token is revoked instead.
    fn account(&self) -> Uuid {
        match self.subject {
            Subject::User(id) | Subject::Service { id, .. } => id,
        }
    }

    /// Looks whether the token, or the account behind it, has ended before its time.
    ///
    /// # Errors
    /// 401 of a revoked token; 403 of a suspended account, an investor's excepted; 503 where it cannot be told.
    async fn check(&mut self, app: &App) -> Result<(), ApiError> {
        let [revoked, barred] = app.revocations().revoked(app.pool(), [self.token_id, self.account()]).await?;
        if revoked {
            return Err(ApiError::Unauthenticated("the token is revoked"));
        }
        if barred && self.role != Role::Investor {
            return Err(suspended());
        }
        self.suspended = barred;
        Ok(())
    }

    /// Whether an operation is open to it, by its row of the policy table.
    pub fn may(&self, operation: Operation) -> bool {
        let open = |rule: &Rule| rule.who.permits(self.role) && self.has_scope(rule.scopes);
        POLICY.iter().any(|rule| rule.operation == operation && open(rule))
    }

    /// Waits until the token has ended: what is open as long as it holds ends with it.
    pub(crate) async fn ended(&self, app: &App) {
        loop {
            let left = self.expires_at - OffsetDateTime::now_utc();
            // A token that cannot be checked is not good.
            if !left.is_positive() || self.clone().check(app).await.is_err() {
                return;
            }
            tokio::time::sleep(TOKEN_CHECK.min(left.unsigned_abs())).await;
        }
    }

    /// Whether the token opens an operation that any of these scopes opens. People are not scoped.
    pub fn has_scope(&self, any_of: &[Scope]) -> bool {
        match &self.subject {
            Subject::User(_) => true,
            Subject::Service { scopes, .. } => scopes.iter().any(|scope| any_of.contains(scope)),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Viewer, ApiError> {
        parts.extensions.get::<Viewer>().cloned().ok_or_else(|| ApiError::internal("a viewer where none is checked"))
    }
}

/// Reads the request's bearer token.
///
/// # Errors
/// 401 where it is absent, malformed, expired, revoked or not ours; 503 where that cannot be told.
pub async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Viewer, ApiError> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        return Err(ApiError::Unauthenticated("not authenticated: send one authorization header with a bearer token"));
    };
    let token = value
        .to_str()
        .ok()
        .and_then(bearer)
        .ok_or(ApiError::Unauthenticated("the authorization header carries no bearer token"))?;
    authenticate_token(app, token).await
}

/// Whose token the header carries, where a token is optional. None is anonymous; a bad one is refused, never taken for
/// none.
///
/// # Errors
/// As [`authenticate`].
pub async fn viewer(app: &App, headers: &HeaderMap) -> Result<Option<Viewer>, ApiError> {
    match headers.contains_key(header::AUTHORIZATION) {
        true => authenticate(app, headers).await.map(Some),
        false => Ok(None),
    }
}

/// Reads a bearer token that came by another way than the header (a socket's first message).
///
/// # Errors
/// As [`authenticate`].
pub async fn authenticate_token(app: &App, token: &str) -> Result<Viewer, ApiError> {
    let mut viewer = if service::looks_like_one(token) {
        app.service_tokens().find(app.pool(), token).await?
    } else {
        app.access_keys().verify(token)?
    };
    viewer.check(app).await?;
    Ok(viewer)
}

/// The token of an authorization header's value; `None` where that is no bearer token.
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// What a suspended account hears.
pub(crate) fn suspended() -> ApiError {
    let reason = ReasonCode::AccountSuspended;
    ApiError::Barred(reason, format!("{}: ask who runs the platform", reason.message()))
}

/// 256 random bits.
pub(crate) fn secret_bytes() -> Result<[u8; 32], ApiError> {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).map_err(ApiError::internal)?;
    Ok(bytes)
}

/// What is stored of an opaque token. It has 256 random bits, so a plain hash is enough.
fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_scheme_carries_a_token() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for bad in ["Bearer", "Bearer ", "Basic abc", "abc", ""] {
            assert_eq!(bearer(bad), None, "{bad:?}");
        }
    }
}
