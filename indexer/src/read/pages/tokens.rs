//! Instruments, in the order of their deployment.

use std::collections::HashMap;

use alloy::primitives::Address;
use sqlx::PgExecutor;
use tokenx_migrations::Addr;

use super::{ABOVE_ALL, BELOW_ALL, Window, addresses, int};
use crate::read::instruments::{Instrument, from_row};

/// A token's place: the block of its deployment, then its address.
pub type TokenKey = (u64, Address);

/// Which instruments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokenFilter {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Only these tokens.
    pub tokens: Option<Vec<Address>>,
    /// Only these instruments.
    pub instruments: Option<Vec<String>>,
    /// Only tokens of the nodes with these Executors.
    pub executors: Option<Vec<Address>>,
}

/// `$1`–`$4`: the filter.
macro_rules! matching {
    () => {
        " FROM instruments i
         WHERE i.chain_id = $1
           AND ($2::bytea[] IS NULL OR i.token = ANY ($2))
           AND ($3::text[]  IS NULL OR i.instrument_id = ANY ($3))
           AND ($4::bytea[] IS NULL OR i.executor = ANY ($4))"
    };
}

macro_rules! page {
    ($direction:literal) => {
        concat!(
            "SELECT i.*",
            matching!(),
            " AND (i.created_block, i.token::bytea) > ($5, $6)
              AND (i.created_block, i.token::bytea) < ($7, $8)
            ORDER BY i.created_block ",
            $direction,
            ", i.token ",
            $direction,
            " LIMIT $9"
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
    let rows = sqlx::query(query)
        .bind(int(filter.chain_id))
        .bind(addresses(filter.tokens.as_ref()))
        .bind(filter.instruments.as_ref())
        .bind(addresses(filter.executors.as_ref()))
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
    sqlx::query_scalar(concat!("SELECT count(*)", matching!()))
        .bind(int(filter.chain_id))
        .bind(addresses(filter.tokens.as_ref()))
        .bind(filter.instruments.as_ref())
        .bind(addresses(filter.executors.as_ref()))
        .fetch_one(db)
        .await
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
        .bind(tokens.iter().map(|token| token.as_slice()).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| from_row(chain_id, row).map(|instrument| (instrument.token, instrument))).collect()
}
