use alloy::primitives::{Address, U256};
use sqlx::PgExecutor;
use tokenx_migrations::{Addr, Uint256};

use super::{int, uint};

/// A wallet's money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    /// Base units that it has.
    pub balance: U256,
    /// Base units of these that may be taken.
    pub allowance: U256,
    /// The block that this is as of.
    pub block: u64,
}

/// What a wallet has of a payment token and lets `spender` take; `None` where nobody watches it, or it was not read yet.
///
/// # Errors
/// The database's.
pub async fn purse(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    (wallet, payment_token, spender): (Address, Address, Address),
) -> Result<Option<Purse>, sqlx::Error> {
    let row: Option<(Uint256, Uint256, i64)> = sqlx::query_as(
        "SELECT balance, allowance, block_number
           FROM payment_balances
          WHERE chain_id = $1 AND wallet = $2 AND payment_token = $3 AND spender = $4 AND block_number IS NOT NULL",
    )
    .bind(int(chain_id))
    .bind(Addr(wallet))
    .bind(Addr(payment_token))
    .bind(Addr(spender))
    .fetch_optional(db)
    .await?;
    Ok(row.map(|(balance, allowance, block)| Purse { balance: balance.0, allowance: allowance.0, block: uint(block) }))
}
