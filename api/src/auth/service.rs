//! Service tokens: opaque, for back-office tools; a role narrowed by scopes, a year at most.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::future::Cache;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Subject, Viewer, secret_bytes, token_hash};
use crate::error::ApiError;
use crate::policy::{Role, Scope};

/// Tells a service token from a JWT, and a leaked one from noise.
const PREFIX: &str = "tkx_";
/// How long a token once found needs no look-up. Revocation does not wait for it.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Tokens remembered at most.
const CAPACITY: u64 = 10_000;

/// Whether the text is meant as a service token.
pub fn looks_like_one(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// A new token: the text, shown once, and what is stored of it.
///
/// # Errors
/// Only for want of randomness.
pub fn generate() -> Result<(String, [u8; 32]), ApiError> {
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret_bytes()?));
    let hash = token_hash(&token);
    Ok((token, hash))
}

/// Finds service tokens, remembering those that it found.
#[derive(Debug)]
pub struct ServiceTokens {
    found: Cache<[u8; 32], Viewer>,
}

impl Default for ServiceTokens {
    fn default() -> ServiceTokens {
        ServiceTokens { found: Cache::builder().max_capacity(CAPACITY).time_to_live(REMEMBERED).build() }
    }
}

impl ServiceTokens {
    /// Whose token this is.
    ///
    /// # Errors
    /// 401 where there is none such or its time is over.
    pub async fn find(&self, pool: &PgPool, token: &str) -> Result<Viewer, ApiError> {
        let hash = token_hash(token);
        let viewer = match self.found.get(&hash).await {
            Some(viewer) => viewer,
            None => {
                let viewer = look_up(pool, &hash).await?;
                self.found.insert(hash, viewer.clone()).await;
                viewer
            }
        };
        if viewer.expires_at <= OffsetDateTime::now_utc() {
            return Err(ApiError::Unauthenticated("the service token has expired: ask for a new one"));
        }
        Ok(viewer)
    }
}

async fn look_up(pool: &PgPool, hash: &[u8; 32]) -> Result<Viewer, ApiError> {
    type Row = (Uuid, String, Option<Uuid>, Vec<String>, OffsetDateTime);
    let row: Option<Row> = sqlx::query_as(
        "SELECT service_token_id, role, issuer_id, scopes, expires_at
           FROM service_tokens
          WHERE token_hash = $1",
    )
    .bind(&hash[..])
    .fetch_optional(pool)
    .await?;
    let Some((id, role, issuer_id, scopes, expires_at)) = row else {
        return Err(ApiError::Unauthenticated("the token is not valid"));
    };
    let role: Role = role.parse().map_err(|error: String| ApiError::internal(error))?;
    let scopes = scopes.iter().map(|scope| scope.parse::<Scope>()).collect::<Result<Vec<_>, _>>();
    let scopes = scopes.map_err(ApiError::internal)?;
    let subject = Subject::Service { id, scopes };
    Ok(Viewer { subject, role, issuer_id, party_id: None, token_id: id, expires_at, suspended: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_token_is_long_random_and_recognisable() {
        let (one, hash) = generate().unwrap();
        let (other, _) = generate().unwrap();
        assert!(looks_like_one(&one) && one.len() == PREFIX.len() + 43);
        assert_ne!(one, other);
        assert_eq!(hash, token_hash(&one));
    }
}
