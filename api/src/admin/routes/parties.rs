//! `/admin/parties`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tokenx_contracts::ids::PartyId;
use utoipa::ToSchema;

use super::{by, complete, cut, paging, refused};
use crate::admin::{self, NewParty, Party};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::body::JsonBody;
use crate::http::envelope::RequestId;
use crate::http::object::{Object, instant, integer, text};
use crate::http::query::Query;
use crate::token_app::timestamp;

/// A party.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartyRecord {
    #[schema(example = "alice::122...")]
    party_id: String,
    /// Its number in the investor registry.
    investor_id: u64,
    /// ISO 3166-1 numeric.
    country: u16,
    /// The class that the registry carries.
    investor_class: u8,
    /// When its KYC ends; null: never.
    #[schema(format = DateTime)]
    kyc_expires_at: Option<String>,
}

/// A page of parties.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartyPage {
    items: Vec<PartyRecord>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A party to be known.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct PartyRequest {
    /// Unique and for ever; not like an address.
    #[schema(min_length = 1, max_length = 128)]
    party_id: String,
    /// ISO 3166-1 numeric.
    #[schema(minimum = 1, maximum = 999)]
    country: u16,
    /// The class that the registry carries, 0 unless given.
    #[schema(required = false, minimum = 0, maximum = 255)]
    investor_class: u8,
    /// When its KYC ends; never where absent.
    #[schema(required = false, format = DateTime)]
    kyc_expires_at: Option<String>,
}

impl From<Party> for PartyRecord {
    fn from(party: Party) -> PartyRecord {
        let Party { party_id, investor_id, country, investor_class, kyc_expires_at } = party;
        PartyRecord { party_id, investor_id, country, investor_class, kyc_expires_at: kyc_expires_at.map(timestamp) }
    }
}

/// Parties, newest first.
#[utoipa::path(
    get,
    path = "/admin/parties",
    params(
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = PartyPage))
)]
pub(crate) async fn list(State(app): State<App>, mut query: Query) -> Result<Json<PartyPage>, ApiError> {
    let (limit, before) = paging(&mut query);
    query.finish()?;
    let mut page = admin::party_page(app.pool(), before, limit.cast_signed() + 1).await?;
    let next_cursor = cut(&mut page, limit, |party| party.investor_id.to_string());
    Ok(Json(PartyPage { items: page.into_iter().map(PartyRecord::from).collect(), next_cursor }))
}

/// Makes a party known.
#[utoipa::path(
    post,
    path = "/admin/parties",
    request_body = PartyRequest,
    responses((status = 201, description = "The party", body = PartyRecord))
)]
pub(crate) async fn add(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    JsonBody(body): JsonBody,
) -> Result<(StatusCode, Json<PartyRecord>), ApiError> {
    let mut body = Object::parse(&body)?;
    let party_id = body.read("party_id", None, |raw| {
        PartyId::parse(text(raw).map_err(str::to_owned)?).map_err(|error| error.to_string())
    });
    let country = body.read("country", None, integer(1..=999));
    let investor_class = body.read("investor_class", Some(&0), integer(0..=255));
    let kyc_expires_at = body.nullable("kyc_expires_at", None, instant);
    let (Some(party_id), Some(country), Some(investor_class), Some(kyc_expires_at)) =
        (party_id, country, investor_class, kyc_expires_at)
    else {
        return Err(refused(body));
    };
    complete(body)?;
    let actor = viewer.actor();
    let new = NewParty { party_id, country, investor_class, kyc_expires_at };
    let party = admin::add_party(app.pool(), by(&actor, &request_id), new).await?;
    Ok((StatusCode::CREATED, Json(party.into())))
}
