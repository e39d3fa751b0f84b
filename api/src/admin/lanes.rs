//! Lanes of the keeper that were halted, which an operator lets go on.

use alloy::primitives::Address;
use serde_json::json;
use sqlx::PgPool;

use super::{By, Error, Note, note};

/// Lets a halted lane of a chain go on. Its keeper notices by itself.
///
/// # Errors
/// When the chain has no such lane, or it is not halted.
pub async fn resume_lane(pool: &PgPool, by: By<'_>, chain_id: u64, address: Address) -> Result<(), Error> {
    let mut tx = tokenx_migrations::begin(pool).await?;
    let Some(reason) = tokenx_keeper::resume(&mut tx, chain_id, address).await? else {
        return Err(Error::Refused(format!("no lane {address} of chain {chain_id} is halted: nothing to resume")));
    };
    let detail = json!({ "chain_id": chain_id, "halted_reason": reason });
    note(&mut tx, by, Note { action: "lane.resume", subject: format!("lane:{address}"), detail }).await?;
    tx.commit().await?;
    Ok(())
}
