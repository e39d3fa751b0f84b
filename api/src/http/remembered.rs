//! Answers that are remembered for a day: who asks again with the same `Idempotency-Key` gets the first one, and nothing is
//! done twice. For writes that end here; what ends on chain keeps its key in its own row, for ever.
//!
//! A refusal is not remembered: its key is free. Nor is what was cut short: the key is free again once the request's time is
//! over, and the write's own rules tell whether it was done.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use time::OffsetDateTime;

use super::body;
use super::idempotency::REPLAYED;
use crate::app::App;
use crate::error::ApiError;
use crate::policy::Rule;

/// The headers of an answer that say something of its body.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];
/// What a request has besides its largest file, in bytes.
const REST: usize = 1 << 20;

/// A request that was given a name.
struct Named<'a> {
    caller: &'a str,
    operation: &'static str,
    key: &'a str,
    /// What is asked.
    request: [u8; 32],
}

/// Has the handler answer, or gives the answer that it gave before.
///
/// # Errors
/// When the key stands for another request, or for one that is still being answered.
pub(super) async fn once(
    app: &App,
    (caller, rule, key): (&str, &Rule, &str),
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let body = body::read(body, app.settings().files.max_bytes.saturating_add(REST)).await?;
    let path = parts.uri.path();
    let request = Sha256::new().chain_update(path.strip_prefix("/v1").unwrap_or(path)).chain_update(&body);
    let named = Named { caller, operation: rule.id, key, request: request.finalize().into() };
    let Some(claimed_at) = named.claim(app).await? else { return named.answer(app.pool()).await };
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(ApiError::internal)?;
    let kept = if head.status.is_success() {
        named.keep(app.pool(), claimed_at, (head.status, &head.headers, &body)).await
    } else {
        named.free(app.pool(), claimed_at).await
    };
    // What was done is done, and is what the client is to hear.
    if let Err(error) = kept {
        tracing::warn!(%error, "an answer is not remembered");
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

impl Named<'_> {
    /// Since when the key is this request's; `None` where somebody had it before.
    async fn claim(&self, app: &App) -> Result<Option<OffsetDateTime>, sqlx::Error> {
        sqlx::query_scalar(
            "INSERT INTO idempotency_keys AS k (caller, operation, key, request, claimed_at)
             VALUES ($1, $2, $3, $4, now())
                 ON CONFLICT (caller, operation, key)
                 DO UPDATE SET request = excluded.request, claimed_at = now(),
                               status = NULL, headers = NULL, body = NULL
                  WHERE k.claimed_at < now() - interval '1 day'
                     OR (k.status IS NULL AND k.claimed_at < now() - $5 * interval '1 ms')
             RETURNING claimed_at",
        )
        .bind(self.caller)
        .bind(self.operation)
        .bind(self.key)
        .bind(&self.request[..])
        .bind(i64::try_from(app.settings().server.request_timeout_ms).unwrap_or(i64::MAX))
        .fetch_optional(app.pool())
        .await
    }

    /// What was answered before.
    async fn answer(&self, pool: &PgPool) -> Result<Response, ApiError> {
        type Row = (Vec<u8>, Option<i16>, Option<Value>, Option<Vec<u8>>);
        let row: Option<Row> = sqlx::query_as(
            "SELECT request, status, headers, body
               FROM idempotency_keys
              WHERE caller = $1 AND operation = $2 AND key = $3",
        )
        .bind(self.caller)
        .bind(self.operation)
        .bind(self.key)
        .fetch_optional(pool)
        .await?;
        let asked_again = "the first request with this idempotency key is still being answered: ask again in a moment";
        let Some((request, status, headers, body)) = row else { return Err(ApiError::Conflict(asked_again.into())) };
        if request != self.request {
            let other = "this idempotency key was used for another request: choose a new one";
            return Err(ApiError::Conflict(other.into()));
        }
        let (Some(status), Some(headers), Some(body)) = (status, headers, body) else {
            return Err(ApiError::Conflict(asked_again.into()));
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            status.try_into().ok().and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or_default();
        for name in KEPT {
            if let Some(value) = headers.get(name.as_str()).and_then(Value::as_str) {
                response.headers_mut().insert(name, HeaderValue::from_str(value).map_err(ApiError::internal)?);
            }
        }
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        Ok(response)
    }

    async fn keep(
        &self,
        pool: &PgPool,
        claimed_at: OffsetDateTime,
        (status, headers, body): (StatusCode, &HeaderMap, &[u8]),
    ) -> Result<(), sqlx::Error> {
        let kept = KEPT.into_iter().filter_map(|name| {
            let value = headers.get(&name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), Value::from(value)))
        });
        sqlx::query(
            "UPDATE idempotency_keys
                SET status = $5, headers = $6, body = $7
              WHERE caller = $1 AND operation = $2 AND key = $3 AND claimed_at = $4",
        )
        .bind(self.caller)
        .bind(self.operation)
        .bind(self.key)
        .bind(claimed_at)
        .bind(status.as_u16().cast_signed())
        .bind(Value::Object(kept.collect::<Map<_, _>>()))
        .bind(body)
        .execute(pool)
        .await
        .map(drop)
    }

    async fn free(&self, pool: &PgPool, claimed_at: OffsetDateTime) -> Result<(), sqlx::Error> {
        sqlx::query(
            "DELETE FROM idempotency_keys
              WHERE caller = $1 AND operation = $2 AND key = $3 AND claimed_at = $4",
        )
        .bind(self.caller)
        .bind(self.operation)
        .bind(self.key)
        .bind(claimed_at)
        .execute(pool)
        .await
        .map(drop)
    }
}

/// Removes what is older than a day.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_old(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM idempotency_keys WHERE claimed_at < now() - interval '1 day'")
        .execute(pool)
        .await
        .map(drop)
}
