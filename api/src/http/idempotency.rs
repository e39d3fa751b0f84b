//! A client's own name for a request, so that its repetition is none.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

use crate::error::{ApiError, FieldError};

/// The header that carries the name.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Set on an answer to what was asked before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The name that a request came with, if any.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub(crate) Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<IdempotencyKey, ApiError> {
        IdempotencyKey::of(&parts.headers)
    }
}

impl IdempotencyKey {
    /// Of these headers.
    ///
    /// # Errors
    /// When there are two, or one that is too long or holds what cannot be read.
    pub(super) fn of(headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
        let mut sent = headers.get_all(KEY).iter();
        let Some(value) = sent.next() else { return Ok(IdempotencyKey(None)) };
        let key = value
            .to_str()
            .ok()
            .filter(|key| (1..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
        match (key, sent.next()) {
            (Some(key), None) => Ok(IdempotencyKey(Some(key.to_owned()))),
            _ => {
                let message = "send one idempotency key of 1 to 128 printable characters without spaces";
                Err(ApiError::Rejected(vec![FieldError::query("idempotency-key", "value_error", message)]))
            }
        }
    }
}
