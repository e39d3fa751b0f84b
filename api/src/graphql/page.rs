//! GraphiQL, for people: one page that has all it needs within it, made by `api/graphiql/make.mjs`.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

static PAGE: &[u8] = include_bytes!("../../graphiql/graphiql.html.gz");

/// Whether it is a person's browser that asks.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("text/html") && !headers.contains_key(header::UPGRADE)
}

/// The page. It may run what is within it and talk to this host: the browser loads nothing else.
pub(super) fn page() -> Response {
    let policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
                  font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
        (header::VARY, HeaderValue::from_static("accept, upgrade")),
    ];
    (headers, PAGE).into_response()
}
