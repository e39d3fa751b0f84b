//! What investors do for the party they act for: who it is, its wallets.

pub mod approval;
pub mod kyc;
pub mod me;
pub mod wallets;

use sqlx::PgConnection;
use tokenx_contracts::codes::ReasonCode;

use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::store::parties::{self, Profile};

/// The party that an investor acts for.
///
/// # Errors
/// Never: the guard lets investors alone come here.
pub(crate) fn party_of(viewer: &Viewer) -> Result<&str, ApiError> {
    viewer.party_id.as_deref().ok_or_else(|| ApiError::internal("an investor who acts for no party"))
}

/// The party, locked for a write of its own.
///
/// # Errors
/// 403 where the person as such is barred.
pub(crate) async fn lock(app: &App, conn: &mut PgConnection, viewer: &Viewer) -> Result<Profile, ApiError> {
    let party = parties::lock(&mut *conn, party_of(viewer)?).await?;
    let party = party.ok_or_else(|| ApiError::internal("an investor of a party that is not there"))?;
    if parties::is_sanctioned(conn, app.chain_id(), party.investor_id).await? {
        let detail = "the registry has a wallet of this party under sanctions: ask the platform's compliance officer";
        return Err(ApiError::Barred(ReasonCode::SanctionsHit, detail.to_owned()));
    }
    Ok(party)
}
