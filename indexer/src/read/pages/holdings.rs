//! Positions at the indexed head or as of a past block, in the order of their tokens and wallets or by size.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgExecutor, Postgres, Row};
use tokenx_migrations::{Addr, Uint256};

use super::{Choice, Range, Window, addresses, int, tokens_of};
use crate::read::{Columns, Position, uint};

/// A position's place, whether a list goes by token and wallet or by size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldingKey {
    /// Its token.
    pub token: Address,
    /// Its wallet.
    pub wallet: Address,
    /// Its size.
    pub balance: U256,
}

/// Which positions. Those at zero, and those of tokens whose logs do not add up, never show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HoldingFilter {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// As of this block; `None`: the indexed head.
    pub at: Option<u64>,
    /// In which tokens.
    pub tokens: Choice<Address>,
    /// In which instruments.
    pub instruments: Choice<String>,
    /// Only in tokens of the nodes with these Executors.
    pub executors: Option<Vec<Address>>,
    /// Of which wallets.
    pub wallets: Choice<Address>,
    /// Only of these wallets.
    pub owned: Option<Vec<Address>>,
    /// Base units.
    pub balance: Range<U256>,
    /// Only those whose whole wallet is, or is not, frozen for the token.
    pub address_frozen: Option<bool>,
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

impl HoldingRow {
    /// Its place.
    #[must_use]
    pub const fn key(&self) -> HoldingKey {
        HoldingKey { token: self.token, wallet: self.wallet, balance: self.position.balance }
    }
}

/// Where positions are: those of the head, and with `$2` those of a block.
macro_rules! now {
    () => {
        "(SELECT chain_id, token, wallet, balance, frozen, address_frozen,
                 (SELECT coalesce(sum(k.amount), 0)
                    FROM unexpired_holds k
                   WHERE k.chain_id = s.chain_id AND k.token = s.token AND k.wallet = s.wallet) AS held
            FROM holdings s)"
    };
}

macro_rules! then {
    () => {
        "positions_at($1, $2)"
    };
}

pub(super) use {now, then};

/// `$1`–`$13`: the filter.
macro_rules! matching {
    ($positions:expr) => {
        concat!(
            " FROM ",
            $positions,
            " h
              JOIN instruments i           ON i.chain_id = h.chain_id AND i.token  = h.token AND i.inexact_block IS NULL
              LEFT JOIN investor_wallets w ON w.chain_id = h.chain_id AND w.wallet = h.wallet
             WHERE h.chain_id = $1
               AND h.balance  > 0
               AND ($2::bigint  IS NULL OR i.created_block <= $2)
               AND ($3::bytea[] IS NULL OR h.token = ANY ($3))
               AND ($4::bytea   IS NULL OR h.token <> $4)
               AND ($5::text[]  IS NULL OR i.instrument_id = ANY ($5))
               AND ($6::text    IS NULL OR i.instrument_id <> $6)
               AND ($7::bytea[] IS NULL OR i.executor = ANY ($7))
               AND ($8::bytea[] IS NULL OR h.wallet = ANY ($8))
               AND ($9::bytea   IS NULL OR h.wallet <> $9)
               AND ($10::bytea[] IS NULL OR h.wallet = ANY ($10))
               AND ($11::numeric IS NULL OR h.balance >= $11)
               AND ($12::numeric IS NULL OR h.balance <= $12)
               AND ($13::boolean IS NULL OR h.address_frozen = $13)"
        )
    };
}

/// `$14`–`$21`: whether it goes by size, the keys and the limit. With what it goes by known, Postgres plans for that alone.
macro_rules! page {
    ($positions:expr, $direction:literal) => {
        page!($positions, $direction, "")
    };
    ($positions:expr, $direction:literal, $more:literal) => {
        concat!(
            "SELECT i.instrument_id, i.decimals, i.executor, h.token, h.wallet, w.investor_id,
                    h.balance, h.frozen, h.address_frozen, h.held",
            matching!($positions),
            $more,
            " AND ($15::bytea IS NULL
                   OR CASE WHEN $14 THEN (h.balance::numeric, h.token::bytea, h.wallet::bytea) > ($17::numeric, $15, $16::bytea)
                           ELSE (h.token::bytea, h.wallet::bytea) > ($15, $16) END)
              AND ($18::bytea IS NULL
                   OR CASE WHEN $14 THEN (h.balance::numeric, h.token::bytea, h.wallet::bytea) < ($20::numeric, $18, $19::bytea)
                           ELSE (h.token::bytea, h.wallet::bytea) < ($18, $19) END)
            ORDER BY CASE WHEN $14 THEN h.balance::numeric END ",
            $direction,
            ", h.token ",
            $direction,
            ", h.wallet ",
            $direction,
            " LIMIT $21"
        )
    };
}

/// One page for each token of `$22`, by one statement.
macro_rules! pages {
    ($positions:expr, $direction:literal) => {
        concat!(
            "SELECT page.* FROM unnest($22::bytea[]) AS parent (token) CROSS JOIN LATERAL (",
            page!($positions, $direction, " AND h.token = parent.token"),
            ") page"
        )
    };
}

/// A page of positions, by size or by token and wallet.
///
/// # Errors
/// The database's.
pub async fn holding_page(
    db: impl PgExecutor<'_>,
    filter: &HoldingFilter,
    by_size: bool,
    window: &Window<HoldingKey>,
) -> Result<Vec<HoldingRow>, sqlx::Error> {
    let query = match (filter.at.is_some(), window.descending) {
        (false, false) => page!(now!(), "ASC"),
        (false, true) => page!(now!(), "DESC"),
        (true, false) => page!(then!(), "ASC"),
        (true, true) => page!(then!(), "DESC"),
    };
    let rows = windowed(bound(query, filter), by_size, window).fetch_all(db).await?;
    rows.iter().map(holding_row).collect()
}

/// The same page of each token's positions; tokens without any are left out.
///
/// # Errors
/// The database's.
pub async fn holdings_of_tokens(
    db: impl PgExecutor<'_>,
    tokens: &[Address],
    filter: &HoldingFilter,
    by_size: bool,
    window: &Window<HoldingKey>,
) -> Result<HashMap<Address, Vec<HoldingRow>>, sqlx::Error> {
    let query = match (filter.at.is_some(), window.descending) {
        (false, false) => pages!(now!(), "ASC"),
        (false, true) => pages!(now!(), "DESC"),
        (true, false) => pages!(then!(), "ASC"),
        (true, true) => pages!(then!(), "DESC"),
    };
    let rows = windowed(bound(query, filter), by_size, window).bind(tokens_of(tokens)).fetch_all(db).await?;
    let mut pages: HashMap<Address, Vec<HoldingRow>> = HashMap::new();
    for row in &rows {
        let row = holding_row(row)?;
        pages.entry(row.token).or_default().push(row);
    }
    Ok(pages)
}

/// The positions of these tokens and wallets at the indexed head, those at zero too; accounts that never were are left
/// out.
///
/// # Errors
/// The database's.
pub async fn holdings_of_accounts(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    accounts: &[(Address, Address)],
) -> Result<Vec<HoldingRow>, sqlx::Error> {
    let query = concat!(
        "SELECT i.instrument_id, i.decimals, i.executor, h.token, h.wallet, w.investor_id,
                h.balance, h.frozen, h.address_frozen, h.held
           FROM unnest($2::bytea[], $3::bytea[]) AS a (token, wallet)
           JOIN ",
        now!(),
        " h ON h.chain_id = $1 AND h.token = a.token AND h.wallet = a.wallet
           JOIN instruments i           ON i.chain_id = h.chain_id AND i.token  = h.token AND i.inexact_block IS NULL
           LEFT JOIN investor_wallets w ON w.chain_id = h.chain_id AND w.wallet = h.wallet
          ORDER BY h.token, h.wallet"
    );
    let rows = sqlx::query(query)
        .bind(int(chain_id))
        .bind(accounts.iter().map(|(token, _)| Addr(*token)).collect::<Vec<_>>())
        .bind(accounts.iter().map(|(_, wallet)| Addr(*wallet)).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    rows.iter().map(holding_row).collect()
}

/// How many positions match.
///
/// # Errors
/// The database's.
pub async fn count_holdings(db: impl PgExecutor<'_>, filter: &HoldingFilter) -> Result<i64, sqlx::Error> {
    let query = match filter.at {
        None => concat!("SELECT count(*)", matching!(now!())),
        Some(_) => concat!("SELECT count(*)", matching!(then!())),
    };
    bound(query, filter).fetch_one(db).await?.try_get(0)
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
    macro_rules! counts {
        ($positions:expr) => {
            concat!(
                "SELECT h.token, count(*) AS positions",
                matching!($positions),
                " AND h.token = ANY ($14::bytea[]) GROUP BY h.token"
            )
        };
    }
    let query = match filter.at {
        None => counts!(now!()),
        Some(_) => counts!(then!()),
    };
    let rows = bound(query, filter).bind(tokens_of(tokens)).fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.address("token")?, row.try_get("positions")?))).collect()
}

type Bound<'q> = Query<'q, Postgres, PgArguments>;

fn bound<'q>(query: &'static str, filter: &'q HoldingFilter) -> Bound<'q> {
    let (least, most) = filter.balance.amounts();
    sqlx::query(query)
        .bind(int(filter.chain_id))
        .bind(filter.at.map(int))
        .bind(filter.tokens.any_bytes())
        .bind(filter.tokens.not_bytes())
        .bind(filter.instruments.any.as_ref())
        .bind(filter.instruments.not.as_ref())
        .bind(addresses(filter.executors.as_ref()))
        .bind(filter.wallets.any_bytes())
        .bind(filter.wallets.not_bytes())
        .bind(addresses(filter.owned.as_ref()))
        .bind(least)
        .bind(most)
        .bind(filter.address_frozen)
}

fn windowed<'q>(query: Bound<'q>, by_size: bool, window: &Window<HoldingKey>) -> Bound<'q> {
    let bounds = [window.above, window.below];
    let query = bounds.into_iter().fold(query.bind(by_size), |query, key| {
        query
            .bind(key.map(|key| Addr(key.token)))
            .bind(key.map(|key| Addr(key.wallet)))
            .bind(key.map(|key| Uint256(key.balance)))
    });
    query.bind(window.limit)
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
