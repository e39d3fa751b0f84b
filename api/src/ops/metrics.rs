//! `GET /metrics`: one registry, JSON for people and scripts, the exposition format for scrapers.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use prometheus::TextEncoder;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// All metrics of the process, in the form that `accept` asks for.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((
        status = 200,
        description = "All metrics",
        content((Object = "application/json"), (String = "text/plain")),
    ))
)]
pub(crate) async fn metrics(headers: HeaderMap) -> Result<Response, ApiError> {
    let families = tokenx_config::metrics::registry().gather();
    let (content_type, body) = if wants_text(&headers) {
        (prometheus::TEXT_FORMAT, TextEncoder::new().encode_to_string(&families).map_err(ApiError::internal)?)
    } else {
        ("application/json", as_json(&families).to_string())
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::VARY, HeaderValue::from_static("accept")),
    ];
    Ok((headers, body).into_response())
}

/// Scrapers name a text format; curl and browsers do not.
fn wants_text(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.flat_map(|value| value.split(',')).any(|range| {
        let essence = range.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("text/plain") || essence.eq_ignore_ascii_case("application/openmetrics-text")
    })
}

fn as_json(families: &[MetricFamily]) -> Value {
    let families = families.iter().map(|family| {
        let values: Vec<Value> =
            family.get_metric().iter().map(|metric| value(family.get_field_type(), metric)).collect();
        let kind = format!("{:?}", family.get_field_type()).to_lowercase();
        (family.name().to_owned(), json!({ "type": kind, "help": family.help(), "values": values }))
    });
    Value::Object(families.collect())
}

fn value(kind: MetricType, metric: &Metric) -> Value {
    let labels: Map<String, Value> =
        metric.get_label().iter().map(|label| (label.name().to_owned(), json!(label.value()))).collect();
    match kind {
        MetricType::COUNTER => json!({ "labels": labels, "value": metric.get_counter().get_value() }),
        MetricType::GAUGE => json!({ "labels": labels, "value": metric.get_gauge().get_value() }),
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let buckets = histogram.get_bucket().iter();
            let buckets: Vec<Value> = buckets
                .map(|bucket| json!({ "le": bucket.upper_bound(), "count": bucket.cumulative_count() }))
                .collect();
            json!({
                "labels": labels,
                "count": histogram.get_sample_count(),
                "sum": histogram.get_sample_sum(),
                "buckets": buckets,
            })
        }
        // The registry makes no others.
        MetricType::SUMMARY | MetricType::UNTYPED => json!({ "labels": labels }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_for(accept: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        wants_text(&headers)
    }

    #[test]
    fn a_scraper_gets_text_and_everybody_else_json() {
        assert!(text_for("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"));
        assert!(text_for("text/plain"));
        assert!(!text_for("*/*"));
        assert!(!text_for("application/json"));
        assert!(!text_for("text/html,application/xhtml+xml"));
        assert!(!wants_text(&HeaderMap::new()));
    }

    #[test]
    fn every_family_is_in_the_json() {
        crate::http::metrics::init();
        crate::http::metrics::answered("GET", Some("/status"), 200, std::time::Duration::from_millis(3));
        let json = as_json(&tokenx_config::metrics::registry().gather());
        let requests = &json["tokenx_http_requests_total"];
        assert_eq!(requests["type"], "counter");
        assert!(requests["values"][0]["labels"]["route"].is_string());
        assert!(json["tokenx_http_request_duration_seconds"]["values"][0]["buckets"].is_array());
    }
}
