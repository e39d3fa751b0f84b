use alloy::primitives::{Address, U256};
use sqlx::PgExecutor;
use sqlx::postgres::PgRow;
use tokenx_migrations::Addr;

use crate::read::{Columns, int};

/// Money that a contract keeps for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// Who keeps it.
    pub contract: Address,
    /// Of which payment token.
    pub payment_token: Address,
    /// Base units of it.
    pub amount: U256,
}

impl Money {
    pub(super) fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            contract: row.address("contract")?,
            payment_token: row.address("payment_token")?,
            amount: row.amount("amount")?,
        })
    }
}

/// A book of a redemption desk or a rent distributor: what an issuer has paid in for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fund {
    /// Whose book.
    pub contract: Address,
    /// Of which payment token.
    pub payment_token: Address,
    /// Paid in and not spoken for, base units of it.
    pub available: U256,
    /// Spoken for and not paid out.
    pub owed: U256,
}

/// The books of a token; payment tokens that nobody ever paid in are left out.
///
/// # Errors
/// The database's.
pub async fn funds_of_token(db: impl PgExecutor<'_>, chain_id: u64, token: Address) -> Result<Vec<Fund>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT contract, payment_token, available, owed
           FROM fund_balances
          WHERE chain_id = $1 AND token = $2
          ORDER BY contract, payment_token",
    )
    .bind(int(chain_id))
    .bind(Addr(token))
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Fund {
                contract: row.address("contract")?,
                payment_token: row.address("payment_token")?,
                available: row.amount("available")?,
                owed: row.amount("owed")?,
            })
        })
        .collect()
}
