//! What a wallet had at a past block, and what there was of a token.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use sqlx::PgExecutor;
use tokenx_migrations::{Addr, Uint256};

use super::{int, uint};

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

/// What existed of each token after a block, in base units; tokens of which nothing ever had are left out.
///
/// # Errors
/// The database's.
pub async fn supplies_at(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    tokens: &[(Address, u64)],
) -> Result<HashMap<(Address, u64), U256>, sqlx::Error> {
    let rows: Vec<(Addr, i64, Uint256)> = sqlx::query_as(
        "SELECT t.token, t.block, s.supply_after
           FROM unnest($2::bytea[], $3::bigint[]) AS t (token, block)
          CROSS JOIN LATERAL (SELECT supply_after
                                FROM supply_changes
                               WHERE chain_id = $1 AND token = t.token AND block_number <= t.block
                               ORDER BY block_number DESC, log_index DESC
                               LIMIT 1) s",
    )
    .bind(int(chain_id))
    .bind(tokens.iter().map(|(token, _)| Addr(*token)).collect::<Vec<_>>())
    .bind(tokens.iter().map(|(_, block)| int(*block)).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(token, block, supply)| ((token.0, uint(block)), supply.0)).collect())
}
