//! What a wallet had at a past block.

use alloy::primitives::{Address, U256};
use sqlx::PgExecutor;
use tokenx_migrations::{Addr, Uint256};

use super::int;

/// The account's number in `holding_changes`, as SQL's `account_key(token, wallet)` gives it. Another may share it.
pub(crate) fn account_key(token: Address, wallet: Address) -> i64 {
    let last = |address: Address| address[12..].iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    (last(token) ^ last(wallet)).cast_signed()
}

/// The balance of `wallet` in `token` after `block`: one seek in the index of its changes, however long its history.
/// Blocks above the indexed head answer as the head does. Meaningless for a token that is marked inexact before `block`.
///
/// # Errors
/// The database's.
pub async fn balance_at(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
    wallet: Address,
    block: u64,
) -> Result<U256, sqlx::Error> {
    let last: Option<Uint256> = sqlx::query_scalar(
        "SELECT balance_after
           FROM holding_changes
          WHERE account_key = $5 AND chain_id = $1 AND token = $2 AND wallet = $3 AND block_number <= $4
          ORDER BY block_number DESC, log_index DESC
          LIMIT 1",
    )
    .bind(int(chain_id))
    .bind(Addr(token))
    .bind(Addr(wallet))
    .bind(int(block))
    .bind(account_key(token, wallet))
    .fetch_optional(db)
    .await?;
    Ok(last.map(|last| last.0).unwrap_or_default())
}
