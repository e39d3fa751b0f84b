//! `/admin/users`.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{by, complete, cut, id, paging, refused, uuid};
use crate::admin::{self, NewUser};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::object::{Object, text, text_of};
use crate::http::query::Query;
use crate::policy::Role;
use crate::store::users::{self, Filter, User};

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserRecord {
    id: Uuid,
    email: String,
    role: Role,
    /// Of an issuer's user.
    issuer_id: Option<Uuid>,
    /// Of an investor.
    party_id: Option<String>,
    /// An investor may look still, anybody else may not come in.
    suspended: bool,
}

/// A page of accounts.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserPage {
    items: Vec<UserRecord>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// An account to be made.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct UserRequest {
    #[schema(min_length = 3, max_length = 254)]
    email: String,
    #[schema(min_length = 8, max_length = 1024)]
    password: String,
    role: Role,
    /// Of the role issuer, and only there.
    #[schema(required = false)]
    issuer_id: Option<Uuid>,
    /// Of the role investor, and only there.
    #[schema(required = false)]
    party_id: Option<String>,
}

/// An account's new password.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct PasswordRequest {
    #[schema(min_length = 8, max_length = 1024)]
    password: String,
}

impl From<User> for UserRecord {
    fn from(user: User) -> UserRecord {
        let User { user_id, email, role, issuer_id, party_id, suspended } = user;
        UserRecord { id: user_id, email, role, issuer_id, party_id, suspended }
    }
}

/// Accounts, newest first.
#[utoipa::path(
    get,
    path = "/admin/users",
    params(
        ("role" = Option<Role>, Query, description = "Only of this role"),
        ("email" = Option<String>, Query, description = "Only that of this email", min_length = 1, max_length = 254),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = UserPage))
)]
pub(crate) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<UserPage>, ApiError> {
    let role = query.text("role", str::parse::<Role>);
    let email = query.text("email", |text| {
        let fits = (1..=254).contains(&text.len()) && !text.contains('\0');
        fits.then(|| text.to_lowercase()).ok_or("value is no email address")
    });
    let (limit, before) = paging(&mut query);
    query.finish()?;
    let mut page = users::page(app.pool(), &Filter { role, email, before }, limit.cast_signed() + 1).await?;
    let next_cursor = cut(&mut page, limit, |user| user.user_id.to_string());
    Ok(Json(UserPage { items: page.into_iter().map(UserRecord::from).collect(), next_cursor }))
}

/// Makes an account.
#[utoipa::path(
    post,
    path = "/admin/users",
    request_body = UserRequest,
    responses((status = 201, description = "The account", body = UserRecord))
)]
pub(crate) async fn add(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<UserRecord>), ApiError> {
    let mut body = Object::parse(&body)?;
    let email = body.read("email", None, text_of(3..=254));
    let password = body.read("password", None, text);
    let role = body.read("role", None, |raw| text(raw).map_err(str::to_owned)?.parse::<Role>());
    let issuer_id = body.nullable("issuer_id", None, uuid);
    let party_id = body.nullable("party_id", None, text_of(1..=128));
    let (Some(email), Some(password), Some(role), Some(issuer_id), Some(party_id)) =
        (email, password, role, issuer_id, party_id)
    else {
        return Err(refused(body));
    };
    complete(body)?;
    let actor = viewer.actor();
    let new = NewUser { email, password: password.into(), role, issuer_id, party_id };
    let user = admin::add_user(app.pool(), &app.settings().auth, by(&actor, &request_id), new).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Suspends an account. An investor looks still and is refused every write with `ACCOUNT_SUSPENDED`; anybody else is out.
#[utoipa::path(
    post,
    path = "/admin/users/{user_id}/suspend",
    params(("user_id" = Uuid, Path, description = "The account")),
    responses((status = 200, description = "The account", body = UserRecord))
)]
pub(crate) async fn suspend(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<UserRecord>, ApiError> {
    set_suspended(&app, &viewer, &request_id, id(path, "account")?, true).await
}

/// Takes a suspension back.
#[utoipa::path(
    post,
    path = "/admin/users/{user_id}/resume",
    params(("user_id" = Uuid, Path, description = "The account")),
    responses((status = 200, description = "The account", body = UserRecord))
)]
pub(crate) async fn resume(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<UserRecord>, ApiError> {
    set_suspended(&app, &viewer, &request_id, id(path, "account")?, false).await
}

/// Gives an account another password and ends all its sign-ins, within two seconds everywhere.
#[utoipa::path(
    post,
    path = "/admin/users/{user_id}/password",
    params(("user_id" = Uuid, Path, description = "The account")),
    request_body = PasswordRequest,
    responses((status = 204, description = "Its sign-ins have ended"))
)]
pub(crate) async fn set_password(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    path: Result<Path<String>, PathRejection>,
    JsonBody(body): JsonBody,
) -> Result<StatusCode, ApiError> {
    let user_id = id(path, "account")?;
    let mut body = Object::parse(&body)?;
    let Some(password) = body.read("password", None, text) else { return Err(refused(body)) };
    complete(body)?;
    let (actor, password) = (viewer.actor(), SecretString::from(password));
    admin::set_password(app.pool(), &app.settings().auth, by(&actor, &request_id), user_id, password).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set_suspended(
    app: &App,
    viewer: &Viewer,
    request_id: &RequestId,
    user_id: Uuid,
    suspended: bool,
) -> Result<Json<UserRecord>, ApiError> {
    let actor = viewer.actor();
    let user = admin::suspend_user(app.pool(), by(&actor, request_id), user_id, suspended).await?;
    // Here at once, elsewhere when the list is read next.
    let until =
        if suspended { OffsetDateTime::now_utc() + time::Duration::days(1) } else { OffsetDateTime::UNIX_EPOCH };
    app.revocations().learn(user_id, until);
    Ok(Json(user.into()))
}
