//! What followers of the tables ask: what changed since they last looked, and whether a branch was lost meanwhile.

use alloy::primitives::Address;
use sqlx::{PgExecutor, Row};

use super::pages::EventKey;
use super::{AsOf, Columns, int, uint};

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

/// The (token, wallet) of which something may be another at one block than at an earlier one, or be another's: moved,
/// frozen, held, run out by time, registered. None is missing while [`AsOf::rewrites`] is the same at both.
///
/// # Errors
/// The database's.
pub async fn accounts_changed(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    after: AsOf,
    to: AsOf,
) -> Result<Vec<(Address, Address)>, sqlx::Error> {
    // A hold that was changed above the later block is not in `holds` as it was at that block, nor is when it ran out:
    // its account counts as changed until that block has been passed.
    let rows = sqlx::query(
        "SELECT token, wallet FROM holding_changes WHERE chain_id = $1 AND block_number > $2 AND block_number <= $3
          UNION
         SELECT token, wallet FROM freezes         WHERE chain_id = $1 AND block_number > $2 AND block_number <= $3
          UNION
         SELECT token, wallet FROM hold_changes    WHERE chain_id = $1 AND block_number > $2
          UNION
         SELECT token, wallet FROM holds           WHERE chain_id = $1 AND until > $4 AND until <= $5
          UNION
         SELECT h.token, h.wallet
           FROM investor_wallets w
           JOIN holdings h ON h.chain_id = w.chain_id AND h.wallet = w.wallet
          WHERE w.chain_id = $1 AND w.since_block > $2 AND w.since_block <= $3",
    )
    .bind(int(chain_id))
    .bind(int(after.block))
    .bind(int(to.block))
    .bind(int(after.time))
    .bind(int(to.time))
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.address("token")?, row.address("wallet")?))).collect()
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
