//! `GET /docs`: the OpenAPI document for people. The page and its scripts come with the binary.

use std::sync::{Arc, LazyLock};

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::Config;

use crate::error::ApiError;

static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::new(["/openapi.json"]).try_it_out_enabled(true).persist_authorization(false)));

/// A file of the page.
#[utoipa::path(
    get,
    path = "/docs",
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 308, description = "To the page itself"),
    )
)]
pub(crate) async fn serve(request: Request) -> Result<Response, ApiError> {
    let path = request.uri().path();
    let Some(file) = path.strip_prefix("/docs/") else { return Ok(Redirect::permanent("/docs/").into_response()) };
    // Its own error says "file not found" for what the bundle lacks and is ours for the rest.
    let file = if file.is_empty() { "index.html" } else { file };
    let found =
        utoipa_swagger_ui::serve(file, CONFIG.clone()).map_err(|error| ApiError::internal(error.to_string()))?;
    let Some(found) = found else { return Err(ApiError::NotFound(format!("nothing is at {path}"))) };
    let content_type = HeaderValue::from_str(&found.content_type).map_err(ApiError::internal)?;
    let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    Ok((headers, found.bytes.into_owned()).into_response())
}
