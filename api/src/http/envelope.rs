//! The outermost layer: request id, log line, metrics, deadline, panics, error family, security headers.
//! Whatever happens inside, what leaves here is a complete answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use super::metrics;
use crate::app::App;
use crate::error::{ApiError, Pending, Surface};

/// The header that carries a request's id, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request being answered: the client's own where it is well-formed, else a new UUID.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// 1–128 characters that no log or header can misread.
    fn of(headers: &HeaderMap) -> RequestId {
        let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| {
            (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
        });
        match sent {
            Some(id) => RequestId(id.into()),
            None => RequestId(Uuid::now_v7().to_string().into()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<RequestId, ApiError> {
        parts.extensions.get::<RequestId>().cloned().ok_or_else(|| ApiError::internal("a route outside the envelope"))
    }
}

/// Wraps the whole router.
pub async fn envelope(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|matched| matched.as_str().to_owned());
    let surface = Surface::of(&path);
    request.extensions_mut().insert(id.clone());

    let span = tracing::info_span!("request", request_id = %id.0, method = %method, path);
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    let deadline = app.settings().server.request_timeout();

    async move {
        let answered = match tokio::time::timeout(deadline, work).await {
            Ok(Ok(response)) => response,
            Ok(Err(panic)) => ApiError::internal(panic_message(&*panic)).into_response(),
            Err(_) => {
                let text = format!("no answer within {} s: try again", deadline.as_secs_f64());
                ApiError::Unavailable(text).into_response()
            }
        };
        let mut response = finish(answered, surface, &path, &id);
        secure(&mut response, &id);

        let took = started.elapsed();
        let status = response.status().as_u16();
        metrics::answered(method.as_str(), route.as_deref(), status, took);
        tracing::info!(status, took_ms = took.as_secs_f64() * 1e3, "answered");
        response
    }
    .instrument(span)
    .await
}

/// Gives an error its family's body, and logs our own faults with their cause: the one place that does.
fn finish(response: Response, surface: Surface, path: &str, id: &RequestId) -> Response {
    let Some(Pending(error)) = response.extensions().get::<Pending>().cloned() else { return response };
    if let ApiError::Internal(source) = &*error {
        tracing::error!(error = %source, "internal error");
    }
    let mut rendered = error.render(surface, path, &id.0);
    // What the layers below said beside the body stays: the methods that a path does take, whether a page of this
    // origin may read the answer, what is left of the rate limit. What the error itself says has precedence.
    let said: Vec<HeaderName> = rendered.headers().keys().cloned().collect();
    let kept = response.headers().iter().filter(|(name, _)| !said.contains(name) && *name != header::CONTENT_LENGTH);
    for (name, value) in kept {
        rendered.headers_mut().append(name, value.clone());
    }
    rendered
}

fn secure(response: &mut Response, id: &RequestId) {
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Answers belong to who asked; a page that may be kept or needs scripts says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(sent: &'static [u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_bytes(sent).unwrap());
        RequestId::of(&headers).0.to_string()
    }

    #[test]
    fn a_well_formed_request_id_is_echoed() {
        assert_eq!(id_for(b"order-17.retry_2:a"), "order-17.retry_2:a");
    }

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_replaced() {
        for bad in [&b"a b"[..], b"\"x\"", b"", "ö".as_bytes(), &[b'a'; 129]] {
            let bad: &'static [u8] = bad.to_vec().leak();
            assert!(id_for(bad).parse::<Uuid>().is_ok(), "{bad:?}");
        }
    }

    /// An app whose database is never asked.
    fn app() -> App {
        let mut settings = tokenx_config::Settings::embedded(tokenx_config::Profile::Test).unwrap();
        settings.server.request_timeout_ms = 50;
        let pool = sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
        let doors = tokenx_keeper::Doors { chain_id: 31_337, registry: None, registry_executor: None, factory: None };
        let commands = tokenx_keeper::Commands::new(pool.clone(), doors);
        App::new(settings.into(), pool, commands, tokio_util::sync::CancellationToken::new()).unwrap()
    }

    async fn answer_of(path: &str) -> (u16, serde_json::Value) {
        let router = axum::Router::new()
            .route("/api/admin/panic", axum::routing::get(async || -> &'static str { panic!("a secret") }))
            .route("/panic", axum::routing::get(async || -> &'static str { panic!("a secret") }))
            .route("/status", axum::routing::get(std::future::pending::<&'static str>))
            .layer(axum::middleware::from_fn_with_state(app(), envelope));
        let request = Request::builder().uri(path).header(REQUEST_ID, "r-1").body(axum::body::Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
        assert_eq!(response.headers()[REQUEST_ID], "r-1");
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_500_in_the_family_of_its_route_and_tells_nothing() {
        let (status, body) = answer_of("/api/admin/panic").await;
        assert_eq!((status, body), (500, serde_json::json!({ "detail": "internal error: quote request id r-1" })));
        let (status, body) = answer_of("/panic").await;
        assert_eq!((status, &body["request_id"], &body["status"]), (500, &"r-1".into(), &500.into()));
        assert!(!body.to_string().contains("a secret"));
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_in_time_is_a_503() {
        let (status, body) = answer_of("/status").await;
        assert_eq!(status, 503);
        assert!(body["detail"].as_str().is_some_and(|detail| detail.contains("0.05 s")), "{body}");
    }

    #[tokio::test]
    async fn health_and_metrics_can_move_to_an_address_of_their_own() {
        let status = async |router: axum::Router, path: &str| {
            let request = Request::builder().uri(path).body(axum::body::Body::empty()).unwrap();
            tower::ServiceExt::oneshot(router, request).await.unwrap().status().as_u16()
        };
        for path in ["/healthz", "/metrics"] {
            assert_eq!(status(crate::router(&app()), path).await, 200);
            assert_eq!(status(crate::router::ops_router(&app()), path).await, 200);
            assert_eq!(status(crate::router::public_router(&app()), path).await, 404);
        }
        assert_eq!(status(crate::router::ops_router(&app()), "/status").await, 404);
        assert_eq!(status(crate::router::public_router(&app()), "/status").await, 401);
    }
}
