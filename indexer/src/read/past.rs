//! What wallets had at a past block, and what there was of a token.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use tokenx_migrations::{Addr, Uint256};

use super::{Columns, int, uint};

/// What a wallet had of a token at a block, in base units: something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The token.
    pub token: Address,
    /// The wallet.
    pub wallet: Address,
    /// All that it had.
    pub balance: U256,
    /// What the chain would not have let it move.
    pub locked: U256,
    /// The investor behind it; `None`: the wallet is its own party.
    pub investor_id: Option<u64>,
}

impl Account {
    fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            token: row.address("token")?,
            wallet: row.address("wallet")?,
            balance: row.amount("balance")?,
            locked: row.amount("locked")?,
            investor_id: row.try_get::<Option<i64>, _>("investor_id")?.map(uint),
        })
    }
}

/// All accounts with something in them at a block, in no order; those of tokens whose logs do not add up are left out.
///
/// # Errors
/// The database's.
pub async fn accounts_at(db: impl PgExecutor<'_>, chain_id: u64, block: u64) -> Result<Vec<Account>, sqlx::Error> {
    sqlx::query("SELECT * FROM holdings_at($1, $2)")
        .bind(int(chain_id))
        .bind(int(block))
        .fetch(db)
        .and_then(|row| async move { Account::of(&row) })
        .try_collect()
        .await
}

/// Those of these tokens and wallets that had something in them at a block, in no order: a few seeks each.
///
/// # Errors
/// The database's.
pub async fn these_accounts_at(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    block: u64,
    accounts: &[(Address, Address)],
) -> Result<Vec<Account>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT p.token, p.wallet, p.balance, w.investor_id,
                CASE WHEN p.address_frozen THEN p.balance ELSE least(p.balance, p.frozen + p.held) END AS locked
           FROM unnest((SELECT $3::bytea[]), (SELECT $4::bytea[])) AS a (token, wallet)
           JOIN positions_at($1, $2) p  ON p.token    = a.token AND p.wallet = a.wallet
           LEFT JOIN investor_wallets w ON w.chain_id = $1      AND w.wallet = a.wallet AND w.since_block <= $2",
    )
    .bind(int(chain_id))
    .bind(int(block))
    .bind(accounts.iter().map(|(token, _)| Addr(*token)).collect::<Vec<_>>())
    .bind(accounts.iter().map(|(_, wallet)| Addr(*wallet)).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    rows.iter().map(Account::of).collect()
}

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
