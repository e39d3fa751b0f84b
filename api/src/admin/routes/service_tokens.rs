//! `/admin/service-tokens`.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{by, complete, cut, id, paging, refused, uuid};
use crate::admin::{self, MAX_DAYS, NewServiceToken, ServiceToken};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::object::{Object, integer, text, text_of};
use crate::http::query::Query;
use crate::policy::{Role, Scope};
use crate::token_app::timestamp;

/// Days that a token lives unless asked otherwise.
const DAYS: u16 = 90;

/// A service token, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceTokenRecord {
    id: Uuid,
    name: String,
    role: Role,
    scopes: Vec<String>,
    #[schema(format = DateTime)]
    expires_at: String,
    revoked: bool,
}

/// A page of service tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceTokenPage {
    items: Vec<ServiceTokenRecord>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A service token to be made.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct ServiceTokenRequest {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Any role but investor.
    role: Role,
    /// Of the role issuer, and only there.
    #[schema(required = false)]
    issuer_id: Option<Uuid>,
    /// What it may be used for.
    #[schema(min_items = 1, example = json!(["data:read"]))]
    scopes: Vec<String>,
    /// Days that it lives, 90 unless given.
    #[schema(required = false, minimum = 1, maximum = 365)]
    days: u16,
}

/// A service token that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewToken {
    id: Uuid,
    /// Its text, which is not kept and shown this once.
    token: String,
}

impl From<ServiceToken> for ServiceTokenRecord {
    fn from(token: ServiceToken) -> ServiceTokenRecord {
        let ServiceToken { service_token_id, name, role, scopes, expires_at, revoked } = token;
        ServiceTokenRecord { id: service_token_id, name, role, scopes, expires_at: timestamp(expires_at), revoked }
    }
}

/// Service tokens, newest first. None of them can be shown again.
#[utoipa::path(
    get,
    path = "/admin/service-tokens",
    params(
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = ServiceTokenPage))
)]
pub(crate) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<ServiceTokenPage>, ApiError> {
    let (limit, before) = paging(&mut query);
    query.finish()?;
    let mut page = admin::service_token_page(app.pool(), before, limit.cast_signed() + 1).await?;
    let next_cursor = cut(&mut page, limit, |token| token.service_token_id.to_string());
    Ok(Json(ServiceTokenPage { items: page.into_iter().map(ServiceTokenRecord::from).collect(), next_cursor }))
}

/// Makes a service token. Its text is in this answer and nowhere else.
#[utoipa::path(
    post,
    path = "/admin/service-tokens",
    request_body = ServiceTokenRequest,
    responses((status = 201, description = "The token", body = NewToken))
)]
pub(crate) async fn add(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<NewToken>), ApiError> {
    let mut body = Object::parse(&body)?;
    let name = body.read("name", None, text_of(1..=200));
    let role = body.read("role", None, |raw| text(raw).map_err(str::to_owned)?.parse::<Role>());
    let issuer_id = body.nullable("issuer_id", None, uuid);
    let scopes = body.read("scopes", None, scopes);
    let days = body.read("days", Some(&DAYS), integer(1..=i64::from(MAX_DAYS)));
    let (Some(name), Some(role), Some(issuer_id), Some(scopes), Some(days)) = (name, role, issuer_id, scopes, days)
    else {
        return Err(refused(body));
    };
    complete(body)?;
    let actor = viewer.actor();
    let new = NewServiceToken { name, role, issuer_id, scopes, days };
    let (id, token) = admin::add_service_token(app.pool(), by(&actor, &request_id), new).await?;
    Ok((StatusCode::CREATED, Json(NewToken { id, token: token.expose_secret().to_owned() })))
}

/// Ends a service token, within two seconds everywhere. Twice is once.
#[utoipa::path(
    post,
    path = "/admin/service-tokens/{service_token_id}/revoke",
    params(("service_token_id" = Uuid, Path, description = "The token")),
    responses((status = 204, description = "It is dead"))
)]
pub(crate) async fn revoke(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, ApiError> {
    let id = id(path, "service token")?;
    let actor = viewer.actor();
    admin::revoke_service_token(app.pool(), by(&actor, &request_id), id).await?;
    app.revocations().learn(id, OffsetDateTime::now_utc() + time::Duration::days(i64::from(MAX_DAYS)));
    Ok(StatusCode::NO_CONTENT)
}

fn scopes(raw: &RawValue) -> Result<Vec<Scope>, String> {
    let names: Vec<String> =
        serde_json::from_str(raw.get()).map_err(|_| "value is not a list of strings".to_owned())?;
    let mut scopes = names.iter().map(|name| name.parse()).collect::<Result<Vec<Scope>, _>>()?;
    scopes.sort_unstable_by_key(|scope| scope.as_str());
    scopes.dedup();
    Ok(scopes)
}
