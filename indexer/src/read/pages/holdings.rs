//! Positions at the indexed head, in the order of their tokens and wallets.

use std::collections::HashMap;

use alloy::primitives::Address;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgExecutor, Postgres, Row};

use super::{Window, addresses, int};
use crate::read::{Columns, Position, uint};

/// A position's place: its token, then its wallet.
pub type HoldingKey = (Address, Address);

/// Which positions. Those at zero, and those of tokens whose logs do not add up, never show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HoldingFilter {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Only in these tokens.
    pub tokens: Option<Vec<Address>>,
    /// Only in these instruments.
    pub instruments: Option<Vec<String>>,
    /// Only in tokens of the nodes with these Executors.
    pub executors: Option<Vec<Address>>,
    /// Only of these wallets.
    pub wallets: Option<Vec<Address>>,
    /// Only of this investor's wallets.
    pub investor: Option<u64>,
}

/// What a wallet has of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldingRow {
    /// The instrument.
    pub instrument_id: String,
    /// Its token.
    pub token: Address,
    /// Decimals of the amounts.
    pub decimals: u8,
    /// Executor of the token's node; `None` for a followed token.
    pub executor: Option<Address>,
    /// The wallet.
    pub wallet: Address,
    /// The investor behind it; `None`: the wallet is its own party.
    pub investor_id: Option<u64>,
    /// The position.
    pub position: Position,
}

macro_rules! columns {
    () => {
        "SELECT i.instrument_id, i.decimals, i.executor, h.token, h.wallet, w.investor_id,
                h.balance, h.frozen, h.address_frozen,
                (SELECT coalesce(sum(k.amount), 0)
                   FROM unexpired_holds k
                  WHERE k.chain_id = h.chain_id AND k.token = h.token AND k.wallet = h.wallet) AS held"
    };
}

/// `$1`–`$6`: the filter.
macro_rules! matching {
    () => {
        " FROM holdings h
          JOIN instruments i           ON i.chain_id = h.chain_id AND i.token  = h.token AND i.inexact_block IS NULL
          LEFT JOIN investor_wallets w ON w.chain_id = h.chain_id AND w.wallet = h.wallet
         WHERE h.chain_id = $1
           AND h.balance  > 0
           AND ($2::bytea[] IS NULL OR h.token = ANY ($2))
           AND ($3::text[]  IS NULL OR i.instrument_id = ANY ($3))
           AND ($4::bytea[] IS NULL OR i.executor = ANY ($4))
           AND ($5::bytea[] IS NULL OR h.wallet = ANY ($5))
           AND ($6::bigint  IS NULL OR w.investor_id = $6)"
    };
}

macro_rules! page {
    ($direction:literal) => {
        concat!(
            columns!(),
            matching!(),
            " AND ($7::bytea IS NULL OR (h.token::bytea, h.wallet::bytea) > ($7, $8::bytea))
              AND ($9::bytea IS NULL OR (h.token::bytea, h.wallet::bytea) < ($9, $10::bytea))
            ORDER BY h.token ",
            $direction,
            ", h.wallet ",
            $direction,
            " LIMIT $11"
        )
    };
}

/// One page for each token of `$10`, by one statement.
macro_rules! pages {
    ($direction:literal) => {
        concat!(
            "SELECT page.* FROM unnest($10::bytea[]) AS parent (token) CROSS JOIN LATERAL (",
            columns!(),
            matching!(),
            " AND h.token = parent.token
              AND ($7::bytea IS NULL OR h.wallet > $7)
              AND ($8::bytea IS NULL OR h.wallet < $8)
            ORDER BY h.wallet ",
            $direction,
            " LIMIT $9) page"
        )
    };
}

/// A page of positions.
///
/// # Errors
/// The database's.
pub async fn holding_page(
    db: impl PgExecutor<'_>,
    filter: &HoldingFilter,
    window: &Window<HoldingKey>,
) -> Result<Vec<HoldingRow>, sqlx::Error> {
    let query = if window.descending { page!("DESC") } else { page!("ASC") };
    let rows = bound(query, filter)
        .bind(window.above.as_ref().map(|(token, _)| token.as_slice()))
        .bind(window.above.as_ref().map(|(_, wallet)| wallet.as_slice()))
        .bind(window.below.as_ref().map(|(token, _)| token.as_slice()))
        .bind(window.below.as_ref().map(|(_, wallet)| wallet.as_slice()))
        .bind(window.limit)
        .fetch_all(db)
        .await?;
    rows.iter().map(holding_row).collect()
}

/// The same page of each token's positions, between wallets; tokens without any are left out.
///
/// # Errors
/// The database's.
pub async fn holdings_of_tokens(
    db: impl PgExecutor<'_>,
    tokens: &[Address],
    filter: &HoldingFilter,
    window: &Window<Address>,
) -> Result<HashMap<Address, Vec<HoldingRow>>, sqlx::Error> {
    let query = if window.descending { pages!("DESC") } else { pages!("ASC") };
    let rows = bound(query, filter)
        .bind(window.above.as_ref().map(|wallet| wallet.as_slice()))
        .bind(window.below.as_ref().map(|wallet| wallet.as_slice()))
        .bind(window.limit)
        .bind(tokens.iter().map(|token| token.as_slice()).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    let mut pages: HashMap<Address, Vec<HoldingRow>> = HashMap::new();
    for row in &rows {
        let row = holding_row(row)?;
        pages.entry(row.token).or_default().push(row);
    }
    Ok(pages)
}

/// How many positions match.
///
/// # Errors
/// The database's.
pub async fn count_holdings(db: impl PgExecutor<'_>, filter: &HoldingFilter) -> Result<i64, sqlx::Error> {
    bound(concat!("SELECT count(*)", matching!()), filter).fetch_one(db).await?.try_get(0)
}

/// How many positions of each token match; tokens without any are left out.
///
/// # Errors
/// The database's.
pub async fn count_holdings_of_tokens(
    db: impl PgExecutor<'_>,
    tokens: &[Address],
    filter: &HoldingFilter,
) -> Result<HashMap<Address, i64>, sqlx::Error> {
    let query = concat!(
        "SELECT h.token, count(*) AS positions",
        matching!(),
        " AND h.token = ANY ($7::bytea[]) GROUP BY h.token"
    );
    let rows = bound(query, filter)
        .bind(tokens.iter().map(|token| token.as_slice()).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| Ok((row.address("token")?, row.try_get("positions")?))).collect()
}

fn bound<'q>(query: &'static str, filter: &'q HoldingFilter) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(query)
        .bind(int(filter.chain_id))
        .bind(addresses(filter.tokens.as_ref()))
        .bind(filter.instruments.as_ref())
        .bind(addresses(filter.executors.as_ref()))
        .bind(addresses(filter.wallets.as_ref()))
        .bind(filter.investor.map(int))
}

fn holding_row(row: &PgRow) -> Result<HoldingRow, sqlx::Error> {
    let position = Position {
        balance: row.amount("balance")?,
        frozen: row.amount("frozen")?,
        held: row.amount("held")?,
        address_frozen: row.try_get("address_frozen")?,
    };
    Ok(HoldingRow {
        instrument_id: row.try_get("instrument_id")?,
        token: row.address("token")?,
        decimals: u8::try_from(row.try_get::<i16, _>("decimals")?).unwrap_or(u8::MAX),
        executor: row.maybe_address("executor")?,
        wallet: row.address("wallet")?,
        investor_id: row.try_get::<Option<i64>, _>("investor_id")?.map(uint),
        position,
    })
}
