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

/// What wallets have of each payment token for which somebody watches them, as of the block with it, by wallet and token.
///
/// # Errors
/// The database's.
pub async fn purses_of(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    wallets: &[Address],
) -> Result<Vec<(Address, Address, U256, u64)>, sqlx::Error> {
    let wallets: Vec<Addr> = wallets.iter().copied().map(Addr).collect();
    let rows: Vec<(Addr, Addr, Uint256, i64)> = sqlx::query_as(
        "SELECT DISTINCT ON (wallet, payment_token) wallet, payment_token, balance, block_number
           FROM payment_balances
          WHERE chain_id = $1 AND wallet = ANY ($2::bytea[]) AND block_number IS NOT NULL AND watched_until > now()
          ORDER BY wallet, payment_token, block_number DESC",
    )
    .bind(int(chain_id))
    .bind(wallets)
    .fetch_all(db)
    .await?;
    let purse =
        |(wallet, token, balance, block): (Addr, Addr, Uint256, i64)| (wallet.0, token.0, balance.0, uint(block));
    Ok(rows.into_iter().map(purse).collect())
}
