//! `POST /graphql`: one query.

use async_graphql::{Request, Response as Answer, ServerError, Value};
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access::Access;
use super::fault::RETRY_AFTER;
use super::limits::MAX_BODY;
use super::meter::Meter;
use crate::app::App;
use crate::auth;
use crate::error::{ApiError, FieldError};
use crate::http::client::ClientAddress;

/// The media type of the GraphQL-over-HTTP specification, in which a refused query is no 200.
const GRAPHQL_JSON: &str = "application/graphql-response+json";

/// What `POST /graphql` takes.
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code, reason = "describes the body; the library reads it")]
#[schema(as = GraphqlRequest)]
pub(crate) struct QueryRequest {
    /// The query, 8 kB at most.
    #[schema(max_length = 8192, example = "{ tokens { nodes { instrumentId totalSupply } } }")]
    query: String,
    /// Which operation of the query to run, where it has several.
    #[schema(rename = "operationName")]
    operation_name: Option<String>,
    /// Values of its variables.
    variables: Option<serde_json::Value>,
}

/// Runs a query of `schema.graphql`. A token is optional: without one, who is behind an address does not show.
#[utoipa::path(
    post,
    path = "/graphql",
    request_body = QueryRequest,
    responses((status = 200, description = "The answer, or `errors` with a code each in `extensions.code`", body = Object)),
)]
pub(crate) async fn query(
    State(app): State<App>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let viewer = auth::viewer(&app, &headers).await?;
    let request = read(&headers, body).await?;
    let access = Access::of(viewer);
    let meter = Meter::of(&app, &access, address);
    let answer = super::answer(&app, access, meter, request).await;
    Ok(render(&headers, &answer))
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Request, ApiError> {
    let refused = |message: String| ApiError::Rejected(vec![FieldError::broken_body(message)]);
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(refused(format!("content type {kind:?} is not read: send application/json")));
    }
    let bytes = to_bytes(body, MAX_BODY).await.map_err(|_| ApiError::PayloadTooLarge(MAX_BODY))?;
    let request: Request = serde_json::from_slice(&bytes)
        .map_err(|error| refused(format!("the body is not one graphql request: {error}")))?;
    if request.query.is_empty() {
        return Err(refused("the body has no query: send {\"query\": \"{ … }\"}".into()));
    }
    Ok(request)
}

fn render(headers: &HeaderMap, answer: &Answer) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let (kind, status) = if accept.contains(GRAPHQL_JSON) {
        // Refused before it ran: there is no data, not even null for a field.
        let refused = answer.is_err() && answer.data == Value::Null;
        (GRAPHQL_JSON, if refused { StatusCode::BAD_REQUEST } else { StatusCode::OK })
    } else {
        ("application/json", StatusCode::OK)
    };
    let body = match serde_json::to_vec(answer) {
        Ok(body) => body,
        Err(error) => return ApiError::internal(error).into_response(),
    };
    let mut response = (status, [(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response();
    // Said as REST says it too: libraries and proxies know what to do then.
    if let Some(seconds) = answer.errors.iter().find_map(retry_after) {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn retry_after(error: &ServerError) -> Option<u64> {
    match error.extensions.as_ref()?.get(RETRY_AFTER)? {
        Value::Number(seconds) => seconds.as_u64(),
        _ => None,
    }
}
