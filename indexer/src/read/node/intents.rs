use alloy::primitives::{Address, B256};
use sqlx::{PgExecutor, Row};
use tokenx_migrations::{Addr, Word};

use crate::read::{Columns, int, uint};

/// Whether a wallet's salt is used or taken back at a node's contract: what it signed with it never counts again.
///
/// # Errors
/// The database's.
pub async fn intent_used(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    contract: Address,
    wallet: Address,
    salt: B256,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT
                          FROM intents
                         WHERE chain_id = $1 AND contract = $2 AND wallet = $3 AND salt = $4)",
    )
    .bind(int(chain_id))
    .bind(Addr(contract))
    .bind(Addr(wallet))
    .bind(Word(salt))
    .fetch_one(db)
    .await
}

/// Where a node's contract pays proceeds and what is left over; `None` for a contract that nobody listens to.
///
/// # Errors
/// The database's.
pub async fn treasury(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    contract: Address,
) -> Result<Option<Address>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT treasury
           FROM treasuries
          WHERE chain_id = $1 AND contract = $2
          ORDER BY block_number DESC, log_index DESC
          LIMIT 1",
    )
    .bind(int(chain_id))
    .bind(Addr(contract))
    .fetch_optional(db)
    .await?;
    row.map(|row| row.address("treasury")).transpose()
}

/// When a token has ended for ever, Unix seconds; `None` while it has not.
///
/// # Errors
/// The database's.
pub async fn retired_at(db: impl PgExecutor<'_>, chain_id: u64, token: Address) -> Result<Option<u64>, sqlx::Error> {
    let row = sqlx::query("SELECT block_time FROM retirements WHERE chain_id = $1 AND token = $2")
        .bind(int(chain_id))
        .bind(Addr(token))
        .fetch_optional(db)
        .await?;
    row.map(|row| Ok(uint(row.try_get("block_time")?))).transpose()
}
