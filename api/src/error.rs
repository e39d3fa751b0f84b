//! One error type, two faithful families. A handler returns an [`ApiError`]; which body the client sees is
//! decided by the [`Surface`] of the route, in one place ([`ApiError::render`]).

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokenx_contracts::codes::ReasonCode;

/// Which error family a route speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    /// The Token App: `{"detail": …}`, validation is 422 with a list.
    TokenApp,
    /// The platform reference and token details: `application/problem+json`, invalid input is 400.
    Platform,
}

impl Surface {
    /// The family of a path, known to the router or not.
    pub fn of(path: &str) -> Surface {
        let token_app = ["/api/admin", "/data/admin", "/status", "/healthz", "/readyz", "/metrics"]
            .iter()
            .any(|prefix| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        if token_app { Surface::TokenApp } else { Surface::Platform }
    }
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: `body` or `query`, then the field's name where there is one.
    pub loc: Vec<Cow<'static, str>>,
    /// What is wrong and with which value, for people.
    pub msg: String,
    /// What is wrong, for programs.
    pub kind: Cow<'static, str>,
    /// Set where the field is well-formed and the state of the world refuses it.
    pub reason: Option<ReasonCode>,
}

impl FieldError {
    /// A malformed field of the body.
    pub fn body(field: &'static str, kind: &'static str, msg: impl Into<String>) -> FieldError {
        FieldError { loc: vec!["body".into(), field.into()], msg: msg.into(), kind: kind.into(), reason: None }
    }

    /// A malformed query parameter.
    pub fn query(field: &'static str, kind: &'static str, msg: impl Into<String>) -> FieldError {
        FieldError { loc: vec!["query".into(), field.into()], msg: msg.into(), kind: kind.into(), reason: None }
    }

    /// A body that is no JSON object at all.
    pub fn broken_body(msg: impl Into<String>) -> FieldError {
        FieldError { loc: vec!["body".into()], msg: msg.into(), kind: "json_invalid".into(), reason: None }
    }

    /// A well-formed field of the body that the present state refuses.
    pub fn refused(field: &'static str, reason: ReasonCode, msg: impl Into<String>) -> FieldError {
        let kind = reason.as_str().to_ascii_lowercase().into();
        FieldError { loc: vec!["body".into(), field.into()], msg: msg.into(), kind, reason: Some(reason) }
    }

    /// The field's name: what follows `body` or `query`, joined by dots.
    fn field(&self) -> String {
        match &self.loc[..] {
            [] => "body".to_owned(),
            [whole] => whole.clone().into_owned(),
            [_, within @ ..] => within.join("."),
        }
    }
}

/// The state of a rate limit, for the headers that tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    /// Requests per minute.
    pub limit: u32,
    /// Requests left now.
    pub remaining: u32,
    /// Seconds until the next is allowed; 0 when there is one left.
    pub retry_after: u64,
}

/// Everything that can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No token, or one that does not hold.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Known, but not allowed.
    #[error("{0}")]
    Forbidden(String),
    /// Known, and barred as a person.
    #[error("{1}")]
    Barred(ReasonCode, String),
    /// Nothing there, or nothing that the caller may know of.
    #[error("{0}")]
    NotFound(String),
    /// The path exists, the method does not.
    #[error("this path does not take {0}")]
    MethodNotAllowed(String),
    /// Contradicts what is already there.
    #[error("{0}")]
    Conflict(String),
    /// Made to a version that is not the newest.
    #[error("{0}")]
    PreconditionFailed(String),
    /// A change that does not say to which version it is made.
    #[error("{0}")]
    PreconditionRequired(String),
    /// Was there, and is not kept any more.
    #[error("{0}")]
    Gone(String),
    /// Malformed, or refused by state: every bad field.
    #[error("{} field(s) refused", .0.len())]
    Rejected(Vec<FieldError>),
    /// Body above the limit.
    #[error("the body is larger than {0} bytes")]
    PayloadTooLarge(usize),
    /// Too many requests.
    #[error("too many requests: {} a minute, try again in {} s", .0.limit, .0.retry_after)]
    TooManyRequests(RateState),
    /// A part that we depend on does not answer in time.
    #[error("{0}")]
    Unavailable(String),
    /// Our fault. The source goes to the log, never to the client.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ApiError {
    /// Our fault, from any error.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ApiError {
        ApiError::Internal(source.into())
    }

    /// The status in a family: malformed input is 422 in the Token App, 400 elsewhere.
    pub fn status(&self, surface: Surface) -> StatusCode {
        match self {
            ApiError::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            ApiError::Forbidden(_) | ApiError::Barred(..) => StatusCode::FORBIDDEN,
            ApiError::NotFound(_) => StatusCode::NOT_FOUND,
            ApiError::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::Conflict(_) => StatusCode::CONFLICT,
            ApiError::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
            ApiError::PreconditionRequired(_) => StatusCode::PRECONDITION_REQUIRED,
            ApiError::Gone(_) => StatusCode::GONE,
            ApiError::Rejected(fields) => match surface {
                Surface::Platform if fields.iter().any(|field| field.reason.is_none()) => StatusCode::BAD_REQUEST,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            },
            ApiError::PayloadTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            ApiError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            ApiError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer that the client sees.
    pub fn render(&self, surface: Surface, instance: &str, request_id: &str) -> Response {
        let status = self.status(surface);
        let mut response = match surface {
            Surface::TokenApp => (status, Json(self.token_app_body(request_id))).into_response(),
            Surface::Platform => {
                let mut response = (status, Json(self.problem_body(status, instance, request_id))).into_response();
                let problem = HeaderValue::from_static("application/problem+json");
                response.headers_mut().insert(header::CONTENT_TYPE, problem);
                response
            }
        };
        let headers = response.headers_mut();
        match self {
            ApiError::Unauthenticated(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            ApiError::TooManyRequests(state) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(state.retry_after));
                state.write(headers);
            }
            ApiError::Unavailable(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }

    /// What a person reads: the cause, or for our own faults the id that finds it in the log.
    fn detail(&self, request_id: &str) -> String {
        match self {
            ApiError::Internal(_) => format!("internal error: quote request id {request_id}"),
            other => other.to_string(),
        }
    }

    fn token_app_body(&self, request_id: &str) -> Value {
        match self {
            ApiError::Rejected(fields) => {
                let list: Vec<Value> = fields
                    .iter()
                    .map(|field| json!({ "loc": field.loc, "msg": field.msg, "type": field.kind }))
                    .collect();
                json!({ "detail": list })
            }
            other => json!({ "detail": other.detail(request_id) }),
        }
    }

    fn problem_body(&self, status: StatusCode, instance: &str, request_id: &str) -> Value {
        let mut problem = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": self.detail(request_id),
            "instance": instance,
            "request_id": request_id,
        });
        if let ApiError::Barred(reason, _) = self {
            problem["reason_code"] = json!(reason.as_str());
        }
        if let ApiError::Rejected(fields) = self {
            let list: Vec<Value> =
                fields.iter().map(|field| json!({ "field": field.field(), "message": field.msg })).collect();
            problem["errors"] = Value::Array(list);
            if status == StatusCode::UNPROCESSABLE_ENTITY
                && let Some(reason) = fields.iter().find_map(|field| field.reason)
            {
                problem["reason_code"] = json!(reason.as_str());
            }
        }
        problem
    }
}

impl RateState {
    /// Writes the `ratelimit-*` headers.
    pub fn write(self, headers: &mut axum::http::HeaderMap) {
        headers.insert("ratelimit-limit", HeaderValue::from(self.limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(self.retry_after));
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> ApiError {
        Arc::new(error).into()
    }
}

/// A read that several waited for failed for all of them.
impl From<Arc<sqlx::Error>> for ApiError {
    fn from(error: Arc<sqlx::Error>) -> ApiError {
        match *error {
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => {
                tracing::warn!(%error, "the database does not answer");
                ApiError::Unavailable("the database does not answer: try again shortly".into())
            }
            _ => ApiError::internal(error),
        }
    }
}

/// An error on its way out: the family is not known here, so the envelope renders it ([`crate::http::envelope`]).
#[derive(Debug, Clone)]
pub(crate) struct Pending(pub(crate) Arc<ApiError>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status(Surface::Platform).into_response();
        response.extensions_mut().insert(Pending(Arc::new(self)));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_bad() -> ApiError {
        ApiError::Rejected(vec![
            FieldError::body("amount", "value_error", "value is not a valid number"),
            FieldError::body("party_id", "missing", "field required"),
        ])
    }

    #[test]
    fn the_token_app_lists_every_bad_field_under_detail() {
        let error = both_bad();
        assert_eq!(error.status(Surface::TokenApp), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            error.token_app_body("r"),
            json!({ "detail": [
                { "loc": ["body", "amount"], "msg": "value is not a valid number", "type": "value_error" },
                { "loc": ["body", "party_id"], "msg": "field required", "type": "missing" },
            ]})
        );
    }

    #[test]
    fn the_platform_answers_malformed_input_with_a_problem_of_400() {
        let error = both_bad();
        let status = error.status(Surface::Platform);
        let body = error.problem_body(status, "/auth/login", "r-1");
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(body["errors"][0], json!({ "field": "amount", "message": "value is not a valid number" }));
        assert_eq!(body["request_id"], "r-1");
        assert!(body.get("reason_code").is_none());
    }

    #[test]
    fn our_own_fault_tells_the_id_and_nothing_else() {
        let error = ApiError::internal("password of the database is hunter2");
        for body in [error.token_app_body("r-9"), error.problem_body(StatusCode::INTERNAL_SERVER_ERROR, "/", "r-9")] {
            assert!(body["detail"].as_str().is_some_and(|detail| detail.contains("r-9")));
            assert!(!body.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn the_family_follows_the_path_and_not_a_prefix_of_its_name() {
        assert_eq!(Surface::of("/api/admin/mint"), Surface::TokenApp);
        assert_eq!(Surface::of("/status"), Surface::TokenApp);
        assert_eq!(Surface::of("/statuses"), Surface::Platform);
        assert_eq!(Surface::of("/v1/auth/login"), Surface::Platform);
    }
}
