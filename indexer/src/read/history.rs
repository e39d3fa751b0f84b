use alloy::primitives::{Address, B256, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use tokenx_migrations::Addr;

use super::{Columns, int};

/// Whose rows: an investor's wallets together, or one wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// All wallets that the registry has linked to this investor.
    Investor(u64),
    /// This wallet.
    Wallet(Address),
}

/// Which rows of a list, and which page of them.
#[derive(Clone, Debug)]
pub struct Filter {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// As of this block: rows above it do not exist. Take it from [`super::as_of`] in the same snapshot.
    pub at_block: u64,
    /// Only this instrument.
    pub instrument_id: Option<String>,
    /// Only these tokens, such as an issuer's own; `None` = all, empty = none.
    pub tokens: Option<Vec<Address>>,
    /// Only this party's rows.
    pub party: Option<Party>,
    /// Rows at most.
    pub limit: i64,
    /// Rows to pass over.
    pub offset: i64,
}

/// Supply made or destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupplyRow {
    /// The instrument.
    pub instrument_id: String,
    /// Its token.
    pub token: Address,
    /// Decimals of the amount.
    pub decimals: u8,
    /// Block of the event.
    pub block_number: u64,
    /// Place of the event in the block.
    pub log_index: u64,
    /// Time of the block, Unix seconds.
    pub block_time: u64,
    /// Transaction of the event.
    pub tx_hash: B256,
    /// The wallet that gained or lost the units.
    pub wallet: Address,
    /// The investor behind the wallet as of the filter's block; `None`: the wallet is its own party.
    pub investor_id: Option<u64>,
    /// Base units.
    pub amount: U256,
    /// Taken by force; never true for a mint.
    pub forced: bool,
    /// The reason word; `None` for a followed token.
    pub reason: Option<B256>,
    /// Who called the token; `None` for a followed token.
    pub operator: Option<Address>,
    /// On-chain id of the command that caused it; `None` where none did.
    pub command_key: Option<B256>,
}

/// Mints, newest first.
///
/// # Errors
/// The database's.
pub async fn mints(db: impl PgExecutor<'_>, filter: &Filter) -> Result<Vec<SupplyRow>, sqlx::Error> {
    let query = "SELECT i.instrument_id, i.decimals, m.token, m.block_number, m.log_index, m.block_time, m.tx_hash,
                        m.wallet, w.investor_id, m.amount, false AS forced, m.reason, m.operator, m.command_key
                   FROM mints m
                   JOIN instruments i ON i.chain_id = m.chain_id AND i.token = m.token
                   LEFT JOIN investor_wallets w
                          ON w.chain_id = m.chain_id AND w.wallet = m.wallet AND w.since_block <= $2
                  WHERE m.chain_id = $1
                    AND m.block_number <= $2
                    AND ($3::text IS NULL OR i.instrument_id = $3)
                    AND ($4::bytea[] IS NULL OR m.token = ANY ($4))
                    AND ($5::bigint IS NULL OR w.investor_id = $5)
                    AND ($6::bytea IS NULL OR m.wallet = $6)
                  ORDER BY m.block_number DESC, m.log_index DESC
                  LIMIT $7 OFFSET $8";
    page(db, query, filter).await
}

/// Burns, forced ones included, newest first.
///
/// # Errors
/// The database's.
pub async fn burns(db: impl PgExecutor<'_>, filter: &Filter) -> Result<Vec<SupplyRow>, sqlx::Error> {
    let query = "SELECT i.instrument_id, i.decimals, b.token, b.block_number, b.log_index, b.block_time, b.tx_hash,
                        b.wallet, w.investor_id, b.amount, b.forced, b.reason, b.operator, b.command_key
                   FROM burns b
                   JOIN instruments i ON i.chain_id = b.chain_id AND i.token = b.token
                   LEFT JOIN investor_wallets w
                          ON w.chain_id = b.chain_id AND w.wallet = b.wallet AND w.since_block <= $2
                  WHERE b.chain_id = $1
                    AND b.block_number <= $2
                    AND ($3::text IS NULL OR i.instrument_id = $3)
                    AND ($4::bytea[] IS NULL OR b.token = ANY ($4))
                    AND ($5::bigint IS NULL OR w.investor_id = $5)
                    AND ($6::bytea IS NULL OR b.wallet = $6)
                  ORDER BY b.block_number DESC, b.log_index DESC
                  LIMIT $7 OFFSET $8";
    page(db, query, filter).await
}

async fn page(db: impl PgExecutor<'_>, query: &'static str, filter: &Filter) -> Result<Vec<SupplyRow>, sqlx::Error> {
    let (investor, wallet) = match filter.party {
        None => (None, None),
        Some(Party::Investor(id)) => (Some(int(id)), None),
        Some(Party::Wallet(wallet)) => (None, Some(Addr(wallet))),
    };
    let tokens = filter.tokens.as_ref().map(|tokens| tokens.iter().copied().map(Addr).collect::<Vec<_>>());
    let rows = sqlx::query(query)
        .bind(int(filter.chain_id))
        .bind(int(filter.at_block))
        .bind(filter.instrument_id.as_deref())
        .bind(tokens)
        .bind(investor)
        .bind(wallet)
        .bind(filter.limit)
        .bind(filter.offset)
        .fetch_all(db)
        .await?;
    rows.iter().map(supply_row).collect()
}

fn supply_row(row: &PgRow) -> Result<SupplyRow, sqlx::Error> {
    Ok(SupplyRow {
        instrument_id: row.try_get("instrument_id")?,
        token: row.address("token")?,
        decimals: u8::try_from(row.try_get::<i16, _>("decimals")?).unwrap_or(u8::MAX),
        block_number: row.height("block_number")?,
        log_index: super::uint(i64::from(row.try_get::<i32, _>("log_index")?)),
        block_time: row.height("block_time")?,
        tx_hash: row.word("tx_hash")?,
        wallet: row.address("wallet")?,
        investor_id: row.try_get::<Option<i64>, _>("investor_id")?.map(super::uint),
        amount: row.amount("amount")?,
        forced: row.try_get("forced")?,
        reason: row.maybe_word("reason")?,
        operator: row.maybe_address("operator")?,
        command_key: row.maybe_word("command_key")?,
    })
}
