//! Who holds a token: the wallets of one investor together, by size.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgExecutor, Postgres, Row};
use tokenx_migrations::{Addr, Uint256};

use super::holdings::{now, then};
use super::{Range, Window, addresses, int, tokens_of};
use crate::read::{Columns, uint};

/// A holder's place among those of its token: how much, then the first of its wallets.
pub type HolderKey = (U256, Address);

/// Which holders. There are none of a token whose logs do not add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HolderFilter {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// As of this block; `None`: the indexed head.
    pub at: Option<u64>,
    /// Only of tokens of the nodes with these Executors.
    pub executors: Option<Vec<Address>>,
    /// Only these wallets.
    pub owned: Option<Vec<Address>>,
    /// All it has, in base units.
    pub balance: Range<U256>,
}

/// What an investor has of a token; or a wallet, where the registry names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderRow {
    /// The token.
    pub token: Address,
    /// Decimals of the amount.
    pub decimals: u8,
    /// Executor of the token's node; `None` for a followed token.
    pub executor: Option<Address>,
    /// The investor; `None`: the wallet is its own party.
    pub investor_id: Option<u64>,
    /// The wallets that hold, in order.
    pub wallets: Vec<Address>,
    /// All that they have, in base units.
    pub balance: U256,
}

impl HolderRow {
    /// Its place.
    #[must_use]
    pub fn key(&self) -> HolderKey {
        (self.balance, self.wallets.first().copied().unwrap_or_default())
    }
}

/// `$1`–`$6`: the filter, for each token of `$7`.
macro_rules! grouped {
    ($positions:expr) => {
        concat!(
            " FROM unnest($7::bytea[]) AS parent (token) CROSS JOIN LATERAL (
                SELECT i.decimals, i.executor, w.investor_id, sum(h.balance) AS balance,
                       array_agg(h.wallet::bytea ORDER BY h.wallet) AS wallets
                  FROM ",
            $positions,
            " h
                  JOIN instruments i           ON i.chain_id = h.chain_id AND i.token  = h.token AND i.inexact_block IS NULL
                  LEFT JOIN investor_wallets w ON w.chain_id = h.chain_id AND w.wallet = h.wallet
                 WHERE h.chain_id = $1
                   AND h.token    = parent.token
                   AND h.balance  > 0
                   AND ($2::bigint  IS NULL OR i.created_block <= $2)
                   AND ($3::bytea[] IS NULL OR i.executor = ANY ($3))
                   AND ($4::bytea[] IS NULL OR h.wallet = ANY ($4))
                 GROUP BY i.decimals, i.executor, w.investor_id, CASE WHEN w.investor_id IS NULL THEN h.wallet::bytea END
                HAVING ($5::numeric IS NULL OR sum(h.balance) >= $5)
                   AND ($6::numeric IS NULL OR sum(h.balance) <= $6)"
        )
    };
}

macro_rules! pages {
    ($positions:expr, $direction:literal) => {
        concat!(
            "SELECT parent.token, page.*",
            grouped!($positions),
            " AND ($8::numeric  IS NULL OR (sum(h.balance), (array_agg(h.wallet::bytea ORDER BY h.wallet))[1]) > ($8, $9::bytea))
              AND ($10::numeric IS NULL OR (sum(h.balance), (array_agg(h.wallet::bytea ORDER BY h.wallet))[1]) < ($10, $11::bytea))
            ORDER BY balance ",
            $direction,
            ", wallets ",
            $direction,
            " LIMIT $12) page"
        )
    };
}

macro_rules! counts {
    ($positions:expr) => {
        concat!("SELECT parent.token, count(*) AS holders", grouped!($positions), ") holder GROUP BY parent.token")
    };
}

/// The same page of each token's holders; tokens without any are left out.
///
/// # Errors
/// The database's.
pub async fn holders_of_tokens(
    db: impl PgExecutor<'_>,
    tokens: &[Address],
    filter: &HolderFilter,
    window: &Window<HolderKey>,
) -> Result<HashMap<Address, Vec<HolderRow>>, sqlx::Error> {
    let query = match (filter.at.is_some(), window.descending) {
        (false, false) => pages!(now!(), "ASC"),
        (false, true) => pages!(now!(), "DESC"),
        (true, false) => pages!(then!(), "ASC"),
        (true, true) => pages!(then!(), "DESC"),
    };
    let bounds = [window.above, window.below];
    let query = bounds.into_iter().fold(bound(query, filter, tokens), |query, key| {
        query.bind(key.map(|(balance, _)| Uint256(balance))).bind(key.map(|(_, wallet)| Addr(wallet)))
    });
    let rows = query.bind(window.limit).fetch_all(db).await?;
    let mut pages: HashMap<Address, Vec<HolderRow>> = HashMap::new();
    for row in &rows {
        let row = holder_row(row)?;
        pages.entry(row.token).or_default().push(row);
    }
    Ok(pages)
}

/// How many holders of each token match; tokens without any are left out.
///
/// # Errors
/// The database's.
pub async fn count_holders_of_tokens(
    db: impl PgExecutor<'_>,
    tokens: &[Address],
    filter: &HolderFilter,
) -> Result<HashMap<Address, i64>, sqlx::Error> {
    let query = match filter.at {
        None => counts!(now!()),
        Some(_) => counts!(then!()),
    };
    let rows = bound(query, filter, tokens).fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.address("token")?, row.try_get("holders")?))).collect()
}

fn bound<'q>(query: &'static str, filter: &'q HolderFilter, tokens: &'q [Address]) -> Query<'q, Postgres, PgArguments> {
    let (least, most) = filter.balance.amounts();
    sqlx::query(query)
        .bind(int(filter.chain_id))
        .bind(filter.at.map(int))
        .bind(addresses(filter.executors.as_ref()))
        .bind(addresses(filter.owned.as_ref()))
        .bind(least)
        .bind(most)
        .bind(tokens_of(tokens))
}

fn holder_row(row: &PgRow) -> Result<HolderRow, sqlx::Error> {
    let wallets: Vec<Addr> = row.try_get("wallets")?;
    Ok(HolderRow {
        token: row.address("token")?,
        decimals: u8::try_from(row.try_get::<i16, _>("decimals")?).unwrap_or(u8::MAX),
        executor: row.maybe_address("executor")?,
        investor_id: row.try_get::<Option<i64>, _>("investor_id")?.map(uint),
        wallets: wallets.into_iter().map(|wallet| wallet.0).collect(),
        balance: row.amount("balance")?,
    })
}
