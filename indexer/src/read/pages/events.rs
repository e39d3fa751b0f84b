//! Mints, burns, transfers, freezes and recoveries, in the order of the chain.

use std::collections::HashMap;

use alloy::primitives::{Address, B256, U256};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgExecutor, Postgres, Row};

use super::{ABOVE_ALL, BELOW_ALL, Choice, Range, Window, addresses, int, place, tokens_of};
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
    /// What is frozen of a wallet changed.
    Freeze,
    /// A wallet was replaced.
    Recovery,
}

/// Which events. Blocks are a matter of the window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventFilter {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Of which tokens.
    pub tokens: Choice<Address>,
    /// Of which instruments.
    pub instruments: Choice<String>,
    /// Only of tokens of the nodes with these Executors.
    pub executors: Option<Vec<Address>>,
    /// From which wallets.
    pub from: Choice<Address>,
    /// To which wallets.
    pub to: Choice<Address>,
    /// From or to which wallets.
    pub wallets: Choice<Address>,
    /// Only from or to one of these wallets.
    pub owned: Option<Vec<Address>>,
    /// Only of these transactions.
    pub txs: Option<Vec<B256>>,
    /// Only what was, or was not, done by force.
    pub forced: Option<bool>,
    /// Base units.
    pub amount: Range<U256>,
    /// Time of the block, Unix seconds.
    pub time: Range<u64>,
}

/// Units that came into being, went, changed hands, or were frozen. The zero address stands for where a mint comes from
/// and a burn goes to; both sides of a freeze are the wallet.
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
    /// Base units; of a freeze all that is frozen after it.
    pub amount: U256,
    /// The whole wallet is frozen after it; `None` where it is no freeze.
    pub address_frozen: Option<bool>,
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

/// The tables in one shape; Postgres pulls these up, indexes included.
macro_rules! mints {
    () => {
        "(SELECT chain_id, block_number, log_index, block_time, tx_hash, token,
                 '\\x0000000000000000000000000000000000000000'::bytea AS from_wallet, wallet::bytea AS to_wallet,
                 ARRAY[wallet::bytea] AS wallets,
                 amount, NULL::boolean AS address_frozen, false AS forced, reason, operator, command_key
            FROM mints)"
    };
}

macro_rules! burns {
    () => {
        "(SELECT chain_id, block_number, log_index, block_time, tx_hash, token,
                 wallet::bytea AS from_wallet, '\\x0000000000000000000000000000000000000000'::bytea AS to_wallet,
                 ARRAY[wallet::bytea] AS wallets,
                 amount, NULL::boolean AS address_frozen, forced, reason, operator, command_key
            FROM burns)"
    };
}

macro_rules! transfers {
    () => {
        "(SELECT chain_id, block_number, log_index, block_time, tx_hash, token,
                 from_wallet::bytea AS from_wallet, to_wallet::bytea AS to_wallet,
                 ARRAY[from_wallet::bytea, to_wallet::bytea] AS wallets,
                 amount, NULL::boolean AS address_frozen, forced, reason, operator, command_key
            FROM transfers)"
    };
}

macro_rules! freezes {
    () => {
        "(SELECT chain_id, block_number, log_index, block_time, tx_hash, token,
                 wallet::bytea AS from_wallet, wallet::bytea AS to_wallet,
                 ARRAY[wallet::bytea] AS wallets,
                 frozen AS amount, address_frozen, true AS forced, reason, operator, command_key
            FROM freezes)"
    };
}

macro_rules! recoveries {
    () => {
        "(SELECT chain_id, block_number, log_index, block_time, tx_hash, token,
                 lost::bytea AS from_wallet, replacement::bytea AS to_wallet,
                 ARRAY[lost::bytea, replacement::bytea] AS wallets,
                 amount, NULL::boolean AS address_frozen, true AS forced, reason, operator, command_key
            FROM recoveries)"
    };
}

/// A statement over the table of a kind.
macro_rules! of {
    ($kind:expr, $statement:ident $(, $direction:literal)?) => {
        match $kind {
            EventKind::Mint => $statement!(mints!() $(, $direction)?),
            EventKind::Burn => $statement!(burns!() $(, $direction)?),
            EventKind::Transfer => $statement!(transfers!() $(, $direction)?),
            EventKind::Freeze => $statement!(freezes!() $(, $direction)?),
            EventKind::Recovery => $statement!(recoveries!() $(, $direction)?),
        }
    };
}

macro_rules! columns {
    () => {
        "SELECT i.instrument_id, i.decimals, i.executor, e.token, e.block_number, e.log_index, e.block_time, e.tx_hash,
                e.from_wallet, e.to_wallet, wf.investor_id AS from_investor, wt.investor_id AS to_investor,
                e.amount, e.address_frozen, e.forced, e.reason, e.operator, e.command_key"
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

/// `$1`–`$23`: the window's keys and the filter. An index finds wallets on either side, whichever side is asked for.
macro_rules! matching {
    () => {
        " WHERE e.chain_id = $1
            AND (e.block_number, e.log_index) > ($2, $3)
            AND (e.block_number, e.log_index) < ($4, $5)
            AND ($6::bytea[]   IS NULL OR e.token = ANY ($6))
            AND ($7::bytea     IS NULL OR e.token <> $7)
            AND ($8::text[]    IS NULL OR i.instrument_id = ANY ($8))
            AND ($9::text      IS NULL OR i.instrument_id <> $9)
            AND ($10::bytea[]  IS NULL OR i.executor = ANY ($10))
            AND ($11::bytea[]  IS NULL OR (e.wallets && $11 AND e.from_wallet = ANY ($11)))
            AND ($12::bytea    IS NULL OR e.from_wallet <> $12)
            AND ($13::bytea[]  IS NULL OR (e.wallets && $13 AND e.to_wallet = ANY ($13)))
            AND ($14::bytea    IS NULL OR e.to_wallet <> $14)
            AND ($15::bytea[]  IS NULL OR e.wallets && $15)
            AND ($16::bytea    IS NULL OR NOT e.wallets @> ARRAY[$16])
            AND ($17::bytea[]  IS NULL OR e.wallets && $17)
            AND ($18::bytea[]  IS NULL OR e.tx_hash = ANY ($18))
            AND ($19::boolean  IS NULL OR e.forced = $19)
            AND ($20::numeric  IS NULL OR e.amount >= $20)
            AND ($21::numeric  IS NULL OR e.amount <= $21)
            AND ($22::bigint   IS NULL OR e.block_time >= $22)
            AND ($23::bigint   IS NULL OR e.block_time <= $23)"
    };
}

macro_rules! page {
    ($events:expr, $direction:literal) => {
        page!($events, $direction, "")
    };
    ($events:expr, $direction:literal, $more:literal) => {
        concat!(
            columns!(),
            joined!($events),
            matching!(),
            $more,
            " ORDER BY e.block_number ",
            $direction,
            ", e.log_index ",
            $direction,
            " LIMIT $24"
        )
    };
}

/// One page for each token of `$25`, by one statement.
macro_rules! pages {
    ($events:expr, $direction:literal) => {
        concat!(
            "SELECT page.* FROM unnest($25::bytea[]) AS parent (token) CROSS JOIN LATERAL (",
            page!($events, $direction, " AND e.token = parent.token"),
            ") page"
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
            " AND e.token = ANY ($24::bytea[]) GROUP BY e.token"
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
    let query = if window.descending { of!(kind, page, "DESC") } else { of!(kind, page, "ASC") };
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
    let query = if window.descending { of!(kind, pages, "DESC") } else { of!(kind, pages, "ASC") };
    let query = bound(query, filter, window).bind(window.limit).bind(tokens_of(tokens));
    let rows = query.fetch_all(db).await?;
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
    bound(of!(kind, count), filter, window).fetch_one(db).await?.try_get(0)
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
    let query = bound(of!(kind, counts), filter, window).bind(tokens_of(tokens));
    let rows = query.fetch_all(db).await?;
    rows.iter().map(|row| Ok((row.address("token")?, row.try_get("events")?))).collect()
}

fn bound<'q>(
    query: &'static str,
    filter: &'q EventFilter,
    window: &Window<EventKey>,
) -> Query<'q, Postgres, PgArguments> {
    let above = window.above.map_or((BELOW_ALL, 0), |(block, log_index)| (int(block), place(log_index)));
    let below = window.below.map_or((ABOVE_ALL, 0), |(block, log_index)| (int(block), place(log_index)));
    let ((least, most), (since, until)) = (filter.amount.amounts(), filter.time.ints());
    sqlx::query(query)
        .bind(int(filter.chain_id))
        .bind(above.0)
        .bind(above.1)
        .bind(below.0)
        .bind(below.1)
        .bind(filter.tokens.any_bytes())
        .bind(filter.tokens.not_bytes())
        .bind(filter.instruments.any.as_ref())
        .bind(filter.instruments.not.as_ref())
        .bind(addresses(filter.executors.as_ref()))
        .bind(filter.from.any_bytes())
        .bind(filter.from.not_bytes())
        .bind(filter.to.any_bytes())
        .bind(filter.to.not_bytes())
        .bind(filter.wallets.any_bytes())
        .bind(filter.wallets.not_bytes())
        .bind(addresses(filter.owned.as_ref()))
        .bind(filter.txs.as_ref().map(|txs| txs.iter().map(B256::as_slice).collect::<Vec<_>>()))
        .bind(filter.forced)
        .bind(least)
        .bind(most)
        .bind(since)
        .bind(until)
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
        address_frozen: row.try_get("address_frozen")?,
        forced: row.try_get("forced")?,
        reason: row.maybe_word("reason")?,
        operator: row.maybe_address("operator")?,
        command_key: row.maybe_word("command_key")?,
    })
}
