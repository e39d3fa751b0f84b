//! Instruments, in the order of their deployment.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgExecutor, Postgres, Row};
use tokenx_migrations::Addr;

use super::{ABOVE_ALL, BELOW_ALL, Choice, Range, Window, addresses, int, tokens_of};
use crate::read::instruments::{Instrument, from_row};

/// A token's place: the block of its deployment, then its address.
pub type TokenKey = (u64, Address);

/// Which instruments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokenFilter {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Which tokens.
    pub tokens: Choice<Address>,
    /// Which instruments.
    pub instruments: Choice<String>,
    /// Which symbols.
    pub symbols: Choice<String>,
    /// Only tokens of the nodes with these Executors.
    pub executors: Option<Vec<Address>>,
    /// Block of the deployment.
    pub created_block: Range<u64>,
    /// Base units.
    pub supply: Range<U256>,
}

/// `$1`–`$12`: the filter.
macro_rules! matching {
    () => {
        " FROM instruments i
         WHERE i.chain_id = $1
           AND ($2::bytea[]  IS NULL OR i.token = ANY ($2))
           AND ($3::bytea    IS NULL OR i.token <> $3)
           AND ($4::text[]   IS NULL OR i.instrument_id = ANY ($4))
           AND ($5::text     IS NULL OR i.instrument_id <> $5)
           AND ($6::text[]   IS NULL OR i.symbol = ANY ($6))
           AND ($7::text     IS NULL OR i.symbol <> $7)
           AND ($8::bytea[]  IS NULL OR i.executor = ANY ($8))
           AND ($9::bigint   IS NULL OR i.created_block >= $9)
           AND ($10::bigint  IS NULL OR i.created_block <= $10)
           AND ($11::numeric IS NULL OR i.total_supply >= $11)
           AND ($12::numeric IS NULL OR i.total_supply <= $12)"
    };
}

macro_rules! page {
    ($direction:literal) => {
        concat!(
            "SELECT i.*",
            matching!(),
            " AND (i.created_block, i.token::bytea) > ($13, $14)
              AND (i.created_block, i.token::bytea) < ($15, $16)
            ORDER BY i.created_block ",
            $direction,
            ", i.token ",
            $direction,
            " LIMIT $17"
        )
    };
}

/// A page of instruments.
///
/// # Errors
/// The database's.
pub async fn token_page(
    db: impl PgExecutor<'_>,
    filter: &TokenFilter,
    window: &Window<TokenKey>,
) -> Result<Vec<Instrument>, sqlx::Error> {
    let query = if window.descending { page!("DESC") } else { page!("ASC") };
    let above = window.above.map_or((BELOW_ALL, Address::ZERO), |(block, token)| (int(block), token));
    let below = window.below.map_or((ABOVE_ALL, Address::ZERO), |(block, token)| (int(block), token));
    let rows = bound(query, filter)
        .bind(above.0)
        .bind(Addr(above.1))
        .bind(below.0)
        .bind(Addr(below.1))
        .bind(window.limit)
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| from_row(filter.chain_id, row)).collect()
}

/// How many instruments match.
///
/// # Errors
/// The database's.
pub async fn count_tokens(db: impl PgExecutor<'_>, filter: &TokenFilter) -> Result<i64, sqlx::Error> {
    bound(concat!("SELECT count(*)", matching!()), filter).fetch_one(db).await?.try_get(0)
}

fn bound<'q>(query: &'static str, filter: &'q TokenFilter) -> Query<'q, Postgres, PgArguments> {
    let ((since, until), (least, most)) = (filter.created_block.ints(), filter.supply.amounts());
    sqlx::query(query)
        .bind(int(filter.chain_id))
        .bind(filter.tokens.any_bytes())
        .bind(filter.tokens.not_bytes())
        .bind(filter.instruments.any.as_ref())
        .bind(filter.instruments.not.as_ref())
        .bind(filter.symbols.any.as_ref())
        .bind(filter.symbols.not.as_ref())
        .bind(addresses(filter.executors.as_ref()))
        .bind(since)
        .bind(until)
        .bind(least)
        .bind(most)
}

/// The instruments of these tokens; tokens that nobody follows are left out.
///
/// # Errors
/// The database's.
pub async fn instruments_of_tokens(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    tokens: &[Address],
) -> Result<HashMap<Address, Instrument>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM instruments WHERE chain_id = $1 AND token = ANY ($2::bytea[])")
        .bind(int(chain_id))
        .bind(tokens_of(tokens))
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| from_row(chain_id, row).map(|instrument| (instrument.token, instrument))).collect()
}
