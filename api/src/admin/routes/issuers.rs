//! `/admin/issuers`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{by, complete, cut, paging, refused};
use crate::admin::{self, Issuer};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::object::{Object, text_of};
use crate::http::query::Query;

/// An organisation that issues instruments.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuerRecord {
    issuer_id: Uuid,
    name: String,
}

/// A page of issuers.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuerPage {
    items: Vec<IssuerRecord>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// An issuer to be known.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct IssuerRequest {
    /// Unique.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

impl From<Issuer> for IssuerRecord {
    fn from(Issuer { issuer_id, name }: Issuer) -> IssuerRecord {
        IssuerRecord { issuer_id, name }
    }
}

/// Issuers, newest first.
#[utoipa::path(
    get,
    path = "/admin/issuers",
    params(
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = IssuerPage))
)]
pub(crate) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<IssuerPage>, ApiError> {
    let (limit, before) = paging(&mut query);
    query.finish()?;
    let mut page = admin::issuer_page(app.pool(), before, limit.cast_signed() + 1).await?;
    let next_cursor = cut(&mut page, limit, |issuer| issuer.issuer_id.to_string());
    Ok(Json(IssuerPage { items: page.into_iter().map(IssuerRecord::from).collect(), next_cursor }))
}

/// Makes an issuer known.
#[utoipa::path(
    post,
    path = "/admin/issuers",
    request_body = IssuerRequest,
    responses((status = 201, description = "The issuer", body = IssuerRecord))
)]
pub(crate) async fn add(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<IssuerRecord>), ApiError> {
    let mut body = Object::parse(&body)?;
    let Some(name) = body.read("name", None, text_of(1..=200)) else { return Err(refused(body)) };
    complete(body)?;
    let actor = viewer.actor();
    let issuer = admin::add_issuer(app.pool(), by(&actor, &request_id), &name).await?;
    Ok((StatusCode::CREATED, Json(issuer.into())))
}
