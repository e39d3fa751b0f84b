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
use crate::kyc::course::Status;
use crate::kyc::record;
use crate::store::{parties, users};
use crate::tokens::details::timestamp;
use crate::tokens::routes::now;

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
    /// On what its accreditation rests; null: it is not accredited.
    #[schema(required)]
    accreditation_method: Option<String>,
    /// When that ends; null: never.
    #[schema(required, format = DateTime)]
    accredited_until: Option<String>,
    /// not_started, pending, in_review, approved, rejected, expired.
    kyc_status: &'static str,
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
    let kyc = record::newest(&mut *tx, &party.party_id).await?;
    let accreditation = parties::accreditation(&mut *tx, &party.party_id).await?;
    Ok(Json(InvestorProfile {
        user_id,
        email: user.email,
        party_id: party.party_id,
        investor_id: party.investor_id,
        country: party.country,
        investor_class: party.investor_class,
        accreditation_method: accreditation.as_ref().map(|(method, _)| method.clone()),
        accredited_until: accreditation.and_then(|(_, until)| until).map(timestamp),
        kyc_status: kyc.map_or(Status::NotStarted, |record| record.status(now())).as_str(),
        kyc_expires_at: party.kyc_expires_at.map(timestamp),
    }))
}
