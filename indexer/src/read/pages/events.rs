//! Mints, burns and transfers, in the order of the chain.

use std::collections::HashMap;

use alloy::primitives::{Address, B256, U256};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgExecutor, Postgres, Row};
use tokenx_migrations::Word;

use super::{ABOVE_ALL, BELOW_ALL, Window, addresses, int, place};
use crate::read::{Columns, uint};

/// An event's place: its block, then its place in the block.
pub type EventKey = (u64, u64);

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Supply made.
    Mint,
    /// Supply destroyed, by force too.
    Burn,
    /// Every ERC-20 Transfer, those of mints and burns among them.
    Transfer,
}

/// Which events. Blocks are a matter of the window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventFilter {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Only of these tokens.
    pub tokens: Option<Vec<Address>>,
    /// Only of these instruments.
    pub instruments: Option<Vec<String>>,
    /// Only of tokens of the nodes with these Executors.
    pub executors: Option<Vec<Address>>,
    /// Only from these wallets.
    pub from: Option<Vec<Address>>,
    /// Only to these wallets.
    pub to: Option<Vec<Address>>,
    /// Only from or to these wallets.
    pub wallets: Option<Vec<Address>>,
    /// Only from or to wallets of this investor.
    pub investor: Option<u64>,
    /// Only of this transaction.
    pub tx_hash: Option<B256>,
    /// Only what was, or was not, done by force.
    pub forced: Option<bool>,
}

/// Units that came into being, went, or changed hands. The zero address stands for where a mint comes from and a
/// burn goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// The instrument.
    pub instrument_id: String,
    /// Its token.
    pub token: Address,
    /// Decimals of the amount.
    pub decimals: u8,
    /// Executor of the token's node; `None` for a followed token.
    pub executor: Option<Address>,
    /// Block of the event.
    pub block_number: u64,
    /// Place of the event in the block.
    pub log_index: u64,
    /// Time of the block, Unix seconds.
    pub block_time: u64,
    /// Transaction of the event.
    pub tx_hash: B256,
    /// Whose units they were.
    pub from: Address,
    /// Whose they are.
    pub to: Address,
    /// The investor behind `from`; `None`: the wallet is its own party.
    pub from_investor: Option<u64>,
    /// The investor behind `to`; `None`: the wallet is its own party.
    pub to_investor: Option<u64>,
    /// Base units.
    pub amount: U256,
    /// Without the holder's consent.
    pub forced: bool,
    /// The reason word; `None` where the event has none.
    pub reason: Option<B256>,
    /// Who called the token; `None` where the event does not say.
    pub operator: Option<Address>,
    /// On-chain id of the command that caused it; `None` where none did.
    pub command_key: Option<B256>,
}

impl EventRow {
    /// Its place.
    #[must_use]
    pub const fn key(&self) -> EventKey {
        (self.block_number, self.log_index)
    }
}

/// The three tables in one shape; Postgres pulls these up, indexes included.
macro_rules! mints {
    () => {
        "(SELECT chain_id, block_number, log_index, block_time, tx_hash, token,
                 '\\x0000000000000000000000000000000000000000'::bytea AS from_wallet, wallet::bytea AS to_wallet,
                 amount, false AS forced, reason, operator, command_key
            FROM mints)"
    };
}

macro_rules! burns {
    () => {
        "(SELECT chain_id, block_number, log_index, block_time, tx_hash, token,
                 wallet::bytea AS from_wallet, '\\x0000000000000000000000000000000000000000'::bytea AS to_wallet,
                 amount, forced, reason, operator, command_key
            FROM burns)"
    };
}

macro_rules! transfers {
    () => {
        "(SELECT chain_id, block_number, log_index, block_time, tx_hash, token,
                 from_wallet::bytea AS from_wallet, to_wallet::bytea AS to_wallet,
                 amount, forced, reason, operator, command_key
            FROM transfers)"
    };
}

macro_rules! columns {
    () => {
        "SELECT i.instrument_id, i.decimals, i.executor, e.token, e.block_number, e.log_index, e.block_time, e.tx_hash,
                e.from_wallet, e.to_wallet, wf.investor_id AS from_investor, wt.investor_id AS to_investor,
                e.amount, e.forced, e.reason, e.operator, e.command_key"
    };
}

macro_rules! joined {
    ($events:expr) => {
        concat!(
            " FROM ",
            $events,
            " e
              JOIN instruments i            ON i.chain_id  = e.chain_id AND i.token   = e.token
              LEFT JOIN investor_wallets wf ON wf.chain_id = e.chain_id AND wf.wallet = e.from_wallet
              LEFT JOIN investor_wallets wt ON wt.chain_id = e.chain_id AND wt.wallet = e.to_wallet"
        )
    };
}

/// `$1`–`$14`: the window's keys and the filter.
macro_rules! matching {
    () => {
        " WHERE e.chain_id = $1
            AND (e.block_number, e.log_index) > ($2, $3)
            AND (e.block_number, e.log_index) < ($4, $5)
            AND ($6::bytea[]   IS NULL OR e.token = ANY ($6))
            AND ($7::text[]    IS NULL OR i.instrument_id = ANY ($7))
            AND ($8::bytea[]   IS NULL OR i.executor = ANY ($8))
            AND ($9::bytea[]   IS NULL OR e.from_wallet = ANY ($9))
            AND ($10::bytea[]  IS NULL OR e.to_wallet = ANY ($10))
            AND ($11::bytea[]  IS NULL OR e.from_wallet = ANY ($11) OR e.to_wallet = ANY ($11))
            AND ($12::bigint   IS NULL OR wf.investor_id = $12 OR wt.investor_id = $12)
            AND ($13::bytea    IS NULL OR e.tx_hash = $13)
            AND ($14::boolean  IS NULL OR e.forced = $14)"
    };
}

macro_rules! page {
    ($events:expr, $direction:literal) => {
        concat!(
            columns!(),
            joined!($events),
            matching!(),
            " ORDER BY e.block_number ",
            $direction,
            ", e.log_index ",
            $direction,
            " LIMIT $15"
        )
    };
}

/// One page for each token of `$16`, by one statement.
macro_rules! pages {
    ($events:expr, $direction:literal) => {
        concat!(
            "SELECT page.* FROM unnest($16::bytea[]) AS parent (token) CROSS JOIN LATERAL (",
            columns!(),
            joined!($events),
            matching!(),
            " AND e.token = parent.token ORDER BY e.block_number ",
            $direction,
            ", e.log_index ",
            $direction,
            " LIMIT $15) page"
        )
    };
}

macro_rules! count {
    ($events:expr) => {
        concat!("SELECT count(*)", joined!($events), matching!())
    };
}

macro_rules! counts {
    ($events:expr) => {
        concat!(
            "SELECT e.token, count(*) AS events",
            joined!($events),
            matching!(),
            " AND e.token = ANY ($15::bytea[]) GROUP BY e.token"
        )
    };
}

/// A page of events.
///
/// # Errors
/// The database's.
pub async fn event_page(
    db: impl PgExecutor<'_>,
    kind: EventKind,
    filter: &EventFilter,
    window: &Window<EventKey>,
) -> Result<Vec<EventRow>, sqlx::Error> {
    let query = match (kind, window.descending) {
        (EventKind::Mint, false) => page!(mints!(), "ASC"),
        (EventKind::Mint, true) => page!(mints!(), "DESC"),
        (EventKind::Burn, false) => page!(burns!(), "ASC"),
        (EventKind::Burn, true) => page!(burns!(), "DESC"),
        (EventKind::Transfer, false) => page!(transfers!(), "ASC"),
        (EventKind::Transfer, true) => page!(transfers!(), "DESC"),
    };
    let rows = bound(query, filter, window).bind(window.limit).fetch_all(db).await?;
    rows.iter().map(event_row).collect()
}

/// The same page of each token's events; tokens without any are left out.
///
/// # Errors
/// The database's.
pub async fn events_of_tokens(
    db: impl PgExecutor<'_>,
    kind: EventKind,
    tokens: &[Address],
    filter: &EventFilter,
    window: &Window<EventKey>,
) -> Result<HashMap<Address, Vec<EventRow>>, sqlx::Error> {
    let query = match (kind, window.descending) {
        (EventKind::Mint, false) => pages!(mints!(), "ASC"),
        (EventKind::Mint, true) => pages!(mints!(), "DESC"),
        (EventKind::Burn, false) => pages!(burns!(), "ASC"),
        (EventKind::Burn, true) => pages!(burns!(), "DESC"),
        (EventKind::Transfer, false) => pages!(transfers!(), "ASC"),
        (EventKind::Transfer, true) => pages!(transfers!(), "DESC"),
    };
    let parents: Vec<&[u8]> = tokens.iter().map(|token| token.as_slice()).collect();
    let rows = bound(query, filter, window).bind(window.limit).bind(parents).fetch_all(db).await?;
    let mut pages: HashMap<Address, Vec<EventRow>> = HashMap::new();
    for row in &rows {
        let row = event_row(row)?;
        pages.entry(row.token).or_default().push(row);
    }
    Ok(pages)
}

/// How many events lie in the window and match; its limit does not count.
///
/// # Errors
/// The database's.
pub async fn count_events(
    db: impl PgExecutor<'_>,
    kind: EventKind,
    filter: &EventFilter,
    window: &Window<EventKey>,
) -> Result<i64, sqlx::Error> {
    let query = match kind {
        EventKind::Mint => count!(mints!()),
        EventKind::Burn => count!(burns!()),
        EventKind::Transfer => count!(transfers!()),
    };
    bound(query, filter, window).fetch_one(db).await?.try_get(0)
}

/// How many events of each token lie in the window and match; tokens without any are left out.
///
/// # Errors
/// The database's.
pub async fn count_events_of_tokens(
    db: impl PgExecutor<'_>,
    kind: EventKind,
    tokens: &[Address],
    filter: &EventFilter,
    window: &Window<EventKey>,
) -> Result<HashMap<Address, i64>, sqlx::Error> {
    let query = match kind {
        EventKind::Mint => counts!(mints!()),
        EventKind::Burn => counts!(burns!()),
        EventKind::Transfer => counts!(transfers!()),
    };
    let parents: Vec<&[u8]> = tokens.iter().map(|token| token.as_slice()).collect();
    let rows = bound(query, filter, window).bind(parents).fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.address("token")?, row.try_get("events")?))).collect()
}

fn bound<'q>(
    query: &'static str,
    filter: &'q EventFilter,
    window: &Window<EventKey>,
) -> Query<'q, Postgres, PgArguments> {
    let above = window.above.map_or((BELOW_ALL, 0), |(block, log_index)| (int(block), place(log_index)));
    let below = window.below.map_or((ABOVE_ALL, 0), |(block, log_index)| (int(block), place(log_index)));
    sqlx::query(query)
        .bind(int(filter.chain_id))
        .bind(above.0)
        .bind(above.1)
        .bind(below.0)
        .bind(below.1)
        .bind(addresses(filter.tokens.as_ref()))
        .bind(filter.instruments.as_ref())
        .bind(addresses(filter.executors.as_ref()))
        .bind(addresses(filter.from.as_ref()))
        .bind(addresses(filter.to.as_ref()))
        .bind(addresses(filter.wallets.as_ref()))
        .bind(filter.investor.map(int))
        .bind(filter.tx_hash.map(Word))
        .bind(filter.forced)
}

fn event_row(row: &PgRow) -> Result<EventRow, sqlx::Error> {
    let investor = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(uint));
    Ok(EventRow {
        instrument_id: row.try_get("instrument_id")?,
        token: row.address("token")?,
        decimals: u8::try_from(row.try_get::<i16, _>("decimals")?).unwrap_or(u8::MAX),
        executor: row.maybe_address("executor")?,
        block_number: row.height("block_number")?,
        log_index: uint(i64::from(row.try_get::<i32, _>("log_index")?)),
        block_time: row.height("block_time")?,
        tx_hash: row.word("tx_hash")?,
        from: row.address("from_wallet")?,
        to: row.address("to_wallet")?,
        from_investor: investor("from_investor")?,
        to_investor: investor("to_investor")?,
        amount: row.amount("amount")?,
        forced: row.try_get("forced")?,
        reason: row.maybe_word("reason")?,
        operator: row.maybe_address("operator")?,
        command_key: row.maybe_word("command_key")?,
    })
}
