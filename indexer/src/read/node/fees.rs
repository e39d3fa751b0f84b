use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use tokenx_migrations::Addr;

use super::Money;
use crate::read::{Columns, int};

/// One figure for each party.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split<T> {
    /// Of who owns the platform.
    pub platform_owner: T,
    /// Of who owns the node.
    pub node_owner: T,
    /// Of the node.
    pub node: T,
}

/// Who gets the fees of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeTerms {
    /// Wallets of the parties.
    pub beneficiaries: Split<Address>,
    /// Shares of what trades pay, hundredths of a per cent; 10,000 in all.
    pub shares_bps: Split<u16>,
}

/// The fees of a token at its own node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// The fee vault.
    pub contract: Address,
    /// `None` before any were set.
    pub terms: Option<FeeTerms>,
    /// What each party has been given of the fee supply, base units.
    pub allocated: Split<U256>,
}

/// The fees of each token; tokens whose node has no fee vault are left out.
///
/// # Errors
/// The database's.
pub async fn fees_of_tokens(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    tokens: &[Address],
) -> Result<HashMap<Address, Fees>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT *, contract AS vault
           FROM token_fees
          WHERE chain_id = $1 AND token = ANY ($2::bytea[])",
    )
    .bind(int(chain_id))
    .bind(tokens.iter().copied().map(Addr).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.address("token")?, fees(row)?))).collect()
}

/// A row of the view `token_fees`, whose contract is called `vault`, whatever else there is in it.
///
/// # Errors
/// A column that is missing or NULL.
pub fn fees(row: &PgRow) -> Result<Fees, sqlx::Error> {
    // A vault takes no share above 10,000.
    let bps = |column| Ok::<_, sqlx::Error>(u16::try_from(row.try_get::<i32, _>(column)?).unwrap_or(u16::MAX));
    let terms = |platform_owner| {
        Ok::<_, sqlx::Error>(FeeTerms {
            beneficiaries: Split { platform_owner, node_owner: row.address("node_owner")?, node: row.address("node")? },
            shares_bps: Split {
                platform_owner: bps("platform_owner_bps")?,
                node_owner: bps("node_owner_bps")?,
                node: bps("node_bps")?,
            },
        })
    };
    Ok(Fees {
        contract: row.address("vault")?,
        terms: row.maybe_address("platform_owner")?.map(terms).transpose()?,
        allocated: Split {
            platform_owner: row.amount("platform_owner_has")?,
            node_owner: row.amount("node_owner_has")?,
            node: row.amount("node_has")?,
        },
    })
}

/// What trades of a token have paid and nobody has been given; payment tokens that never paid any are left out.
///
/// # Errors
/// The database's.
pub async fn fee_pots_of_token(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
) -> Result<Vec<Money>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT contract, payment_token, pot AS amount
           FROM fee_pot_balances
          WHERE chain_id = $1 AND token = $2
          ORDER BY contract, payment_token",
    )
    .bind(int(chain_id))
    .bind(Addr(token))
    .fetch_all(db)
    .await?;
    rows.iter().map(Money::from_row).collect()
}

/// What a wallet may draw from fee vaults; where it has nothing is left out.
///
/// # Errors
/// The database's.
pub async fn fee_credits_of_wallet(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    wallet: Address,
) -> Result<Vec<Money>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT contract, payment_token, credit AS amount
           FROM fee_credit_balances
          WHERE chain_id = $1 AND wallet = $2 AND credit > 0
          ORDER BY contract, payment_token",
    )
    .bind(int(chain_id))
    .bind(Addr(wallet))
    .fetch_all(db)
    .await?;
    rows.iter().map(Money::from_row).collect()
}

/// What a wallet may draw from a fee vault in a payment token, base units.
///
/// # Errors
/// The database's.
pub async fn fee_credit(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    vault: Address,
    payment_token: Address,
    wallet: Address,
) -> Result<U256, sqlx::Error> {
    let row = sqlx::query(
        "SELECT credit
           FROM fee_credits
          WHERE chain_id = $1 AND contract = $2 AND payment_token = $3 AND wallet = $4
          ORDER BY block_number DESC, log_index DESC
          LIMIT 1",
    )
    .bind(int(chain_id))
    .bind(Addr(vault))
    .bind(Addr(payment_token))
    .bind(Addr(wallet))
    .fetch_optional(db)
    .await?;
    row.map_or(Ok(U256::ZERO), |row| row.amount("credit"))
}
