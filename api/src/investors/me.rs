//! `GET /investors/me`: whom an investor acts for.

use axum::Json;
use axum::extract::State as Extract;
use serde::Serialize;
use tokenx_indexer::read;
use utoipa::ToSchema;
use uuid::Uuid;

use super::party_of;
use crate::app::App;
use crate::auth::{Subject, Viewer};
use crate::error::ApiError;
use crate::store::{parties, users};
use crate::tokens::details::timestamp;

/// An investor and the party behind it.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvestorProfile {
    user_id: Uuid,
    email: String,
    /// The party, as every text names it.
    party_id: String,
    /// Its number in the investor registry.
    investor_id: u64,
    /// ISO 3166-1 numeric.
    country: u16,
    /// As the platform numbers it; 0 = not given.
    investor_class: u8,
    /// When its KYC ends; null: never.
    #[schema(required, format = DateTime)]
    kyc_expires_at: Option<String>,
}

/// Whom the investor acts for.
#[utoipa::path(
    get,
    path = "/investors/me",
    responses((status = 200, description = "The investor and its party", body = InvestorProfile))
)]
pub(crate) async fn me(Extract(app): Extract<App>, viewer: Viewer) -> Result<Json<InvestorProfile>, ApiError> {
    let mut tx = read::snapshot(app.pool()).await?;
    let party = parties::profile(&mut *tx, party_of(&viewer)?).await?;
    let party = party.ok_or_else(|| ApiError::internal("an investor of a party that is not there"))?;
    let Subject::User(user_id) = viewer.subject else {
        return Err(ApiError::internal("an investor that is no person"));
    };
    let user = users::by_id(&mut tx, user_id).await?;
    let user = user.ok_or_else(|| ApiError::internal("an account that is not there"))?;
    Ok(Json(InvestorProfile {
        user_id,
        email: user.email,
        party_id: party.party_id,
        investor_id: party.investor_id,
        country: party.country,
        investor_class: party.investor_class,
        kyc_expires_at: party.kyc_expires_at.map(timestamp),
    }))
}
