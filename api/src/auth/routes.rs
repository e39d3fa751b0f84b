//! `POST /auth/login`, `/auth/refresh`, `/auth/logout`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::revocation::Reason;
use super::session::{self, Opened, Proof};
use super::{Subject, Viewer};
use crate::app::App;
use crate::error::ApiError;
use crate::http::body::{Fields, JsonBody};
use crate::http::envelope::RequestId;
use crate::http::guard::count_login;
use crate::policy::Role;
use crate::store::users;

/// The longest password that is hashed, in bytes: the rest would only cost time.
pub const MAX_PASSWORD: usize = 1_024;

/// What `POST /auth/login` takes.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct LoginRequest {
    /// The account.
    #[schema(max_length = 254)]
    email: String,
    /// Its password.
    #[schema(max_length = 1024)]
    password: String,
}

/// What `POST /auth/refresh` takes.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct RefreshRequest {
    /// The newest refresh token of the sign-in. Good once.
    refresh_token: String,
}

/// A sign-in's tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionAnswer {
    /// For the `authorization` header.
    access_token: String,
    /// For `POST /auth/refresh`, once.
    refresh_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: i64,
    /// Who signed in.
    user: UserAnswer,
}

/// An account as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserAnswer {
    id: Uuid,
    email: String,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    party_id: Option<String>,
}

/// Opens a sign-in. An unknown account and a wrong password answer the same, after the same time.
#[utoipa::path(
    post,
    path = "/auth/login",
    request_body = LoginRequest,
    responses((status = 200, description = "Signed in", body = SessionAnswer))
)]
pub(crate) async fn login(
    State(app): State<App>,
    request_id: RequestId,
    JsonBody(body): JsonBody,
) -> Result<Json<SessionAnswer>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let email = fields.text("email", non_empty::<254>);
    let password = fields.text("password", non_empty::<MAX_PASSWORD>);
    let (Some(email), Some(password)) = (email, password) else { return Err(ApiError::Rejected(fields.errors())) };
    let fields = fields.errors();
    if !fields.is_empty() {
        return Err(ApiError::Rejected(fields));
    }

    let email = email.to_lowercase();
    count_login(&app, &email)?;
    let found = users::by_email(app.pool(), &email).await?;
    let hash = found.as_ref().map(|(_, hash)| hash.clone());
    let matches = app.passwords().verify(SecretString::from(password), hash).await?;
    match found {
        Some((user, hash)) if matches => {
            let opened = session::open(&app, user, Proof::Password(&hash), &request_id.0).await?;
            Ok(Json(answer(&app, opened)))
        }
        _ => Err(ApiError::Unauthenticated("email or password is wrong")),
    }
}

/// Trades a refresh token for new tokens.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    request_body = RefreshRequest,
    responses((status = 200, description = "New tokens", body = SessionAnswer))
)]
pub(crate) async fn refresh(
    State(app): State<App>,
    request_id: RequestId,
    JsonBody(body): JsonBody,
) -> Result<Json<SessionAnswer>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let token = fields.text("refresh_token", non_empty::<MAX_PASSWORD>);
    let errors = fields.errors();
    match token {
        Some(token) if errors.is_empty() => Ok(Json(answer(&app, session::rotate(&app, &token, &request_id.0).await?))),
        _ => Err(ApiError::Rejected(errors)),
    }
}

/// Ends the sign-in that the token belongs to.
#[utoipa::path(post, path = "/auth/logout", responses((status = 204, description = "Signed out")))]
pub(crate) async fn logout(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
) -> Result<StatusCode, ApiError> {
    if matches!(viewer.subject, Subject::Service { .. }) {
        return Err(ApiError::Conflict("a service token has no session to end: revoke it instead".into()));
    }
    session::close(&app, viewer.token_id, &viewer.actor(), Reason::Logout, &request_id.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn answer(app: &App, opened: Opened) -> SessionAnswer {
    let Opened { user, access_token, refresh_token } = opened;
    SessionAnswer {
        access_token,
        refresh_token,
        token_type: "Bearer",
        expires_in: app.access_keys().ttl_seconds(),
        user: UserAnswer {
            id: user.user_id,
            email: user.email,
            role: user.role,
            issuer_id: user.issuer_id,
            party_id: user.party_id,
        },
    }
}

fn non_empty<const MAX: usize>(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("value is empty".into()),
        length if length > MAX => Err(format!("value is longer than {MAX} bytes")),
        // Postgres cannot hold it, and no account or token has it.
        _ if text.contains('\0') => Err("value contains a NUL character".into()),
        _ => Ok(text.to_owned()),
    }
}
