//! What followers of the tables ask: what changed since they last looked, and whether a branch was lost meanwhile.

use alloy::primitives::Address;
use sqlx::{PgExecutor, Row};

use super::pages::EventKey;
use super::{Columns, int, uint};

/// The newest reorg after the one with this number, and the highest block that all of those after it left standing;
/// `None` where there was none.
///
/// # Errors
/// The database's.
pub async fn reorgs_after(db: impl PgExecutor<'_>, chain_id: u64, id: i64) -> Result<Option<(i64, u64)>, sqlx::Error> {
    let (newest, ancestor): (Option<i64>, Option<i64>) =
        sqlx::query_as("SELECT max(id), min(ancestor_number) FROM reorgs WHERE chain_id = $1 AND id > $2")
            .bind(int(chain_id))
            .bind(id)
            .fetch_one(db)
            .await?;
    Ok(newest.zip(ancestor.map(uint)))
}

/// The (block, token, wallet) of which something was frozen, held or released after one place of the chain, up to another.
///
/// # Errors
/// The database's.
pub async fn bound_after(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    after: EventKey,
    to: EventKey,
) -> Result<Vec<(u64, Address, Address)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT block_number, token, wallet
           FROM (SELECT chain_id, block_number, log_index, token, wallet FROM freezes
                  UNION ALL
                 SELECT chain_id, block_number, log_index, token, wallet FROM hold_changes) changes
          WHERE chain_id = $1
            AND (block_number, log_index) > ($2, $3)
            AND (block_number, log_index) <= ($4, $5)
          ORDER BY block_number, log_index",
    )
    .bind(int(chain_id))
    .bind(int(after.0))
    .bind(super::pages::place(after.1))
    .bind(int(to.0))
    .bind(super::pages::place(to.1))
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.height("block_number")?, row.address("token")?, row.address("wallet")?))).collect()
}

/// When the monitor's last pass ended; `None` before the first.
///
/// # Errors
/// The database's.
pub async fn status_taken(db: impl PgExecutor<'_>, chain_id: u64) -> Result<Option<time::OffsetDateTime>, sqlx::Error> {
    let row = sqlx::query("SELECT taken_at FROM monitor_snapshots WHERE chain_id = $1")
        .bind(int(chain_id))
        .fetch_optional(db)
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}
