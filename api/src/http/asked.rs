//! What every act on one thing is asked with.

use std::fmt;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::envelope::RequestId;
use super::idempotency::IdempotencyKey;
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;

/// What names a thing in a path.
pub(crate) trait Named: fmt::Debug + Sized + Send {
    /// Reads it. What could not be one names nothing.
    fn named(text: &str) -> Option<Self>;

    /// What is heard where there is no such thing.
    fn unknown() -> ApiError;
}

/// Who asks, of which thing, and by which name for the request.
#[derive(Debug)]
pub(crate) struct Asked<I> {
    pub(crate) app: App,
    pub(crate) viewer: Viewer,
    pub(crate) request_id: RequestId,
    pub(crate) key: Option<String>,
    pub(crate) id: I,
}

impl<I: Named> FromRequestParts<App> for Asked<I> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Asked<I>, ApiError> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, app).await;
        let IdempotencyKey(key) = IdempotencyKey::from_request_parts(parts, app).await?;
        Ok(Asked {
            viewer: Viewer::from_request_parts(parts, app).await?,
            request_id: RequestId::from_request_parts(parts, app).await?,
            key,
            id: path.ok().and_then(|Path(id)| I::named(&id)).ok_or_else(I::unknown)?,
            app: app.clone(),
        })
    }
}
