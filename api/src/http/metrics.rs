//! The api's own metrics. No label takes a value that a client chooses.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge};
use tokenx_config::metrics;

struct Http {
    requests: IntCounterVec,
    seconds: HistogramVec,
    limited: IntCounterVec,
    connections: IntGauge,
    passwords: IntCounter,
}

/// Upper bounds in seconds: from a cached read to a password check on a busy machine.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

static HTTP: LazyLock<Http> = LazyLock::new(|| Http {
    requests: metrics::counters("tokenx_http_requests_total", "Requests answered.", &["method", "route", "status"]),
    seconds: metrics::histograms(
        "tokenx_http_request_duration_seconds",
        "From request head to answer head.",
        &["method", "route"],
        &BUCKETS,
    ),
    limited: metrics::counters("tokenx_rate_limited_total", "Requests refused by a rate limit.", &["class"]),
    passwords: metrics::counter(
        "tokenx_password_checks_total",
        "Passwords hashed to check them, those of unknown accounts included.",
    ),
    connections: metrics::gauge("tokenx_http_connections", "Connections open now."),
});

/// Registers the families, so that they are there before the first request.
pub fn init() {
    LazyLock::force(&HTTP);
}

/// Notes an answer. `route` is the router's pattern; `None` where nothing matched.
pub fn answered(method: &str, route: Option<&str>, status: u16, took: Duration) {
    let method = match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method,
        _ => "other",
    };
    let route = route.unwrap_or("unmatched");
    HTTP.requests.with_label_values(&[method, route, &status.to_string()]).inc();
    HTTP.seconds.with_label_values(&[method, route]).observe(took.as_secs_f64());
}

/// Notes a request refused by a rate limit.
pub fn rate_limited(class: &str) {
    HTTP.limited.with_label_values(&[class]).inc();
}

/// Notes that a password was hashed to check it.
pub fn password_checked() {
    HTTP.passwords.inc();
}

/// Counts a connection for as long as the guard lives.
pub fn connection() -> ConnectionGuard {
    HTTP.connections.inc();
    ConnectionGuard(())
}

/// See [`connection`].
#[derive(Debug)]
pub struct ConnectionGuard(());

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        HTTP.connections.dec();
    }
}
