use alloy::primitives::{Address, U256};
use sqlx::{PgExecutor, Row};
use tokenx_migrations::{Addr, Uint256};

use crate::read::{Columns, int, uint};

/// What an investor has bought of a token in a time. Figures are base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buyer {
    /// The investor, as the registry numbers it.
    pub investor_id: u64,
    /// Units of the token.
    pub quantity: U256,
    /// Units of what was paid with.
    pub cost: U256,
    /// Purchases.
    pub purchases: u64,
    /// Time of the first one's block, Unix seconds.
    pub first: u64,
    /// Country in the registry at the indexed head, ISO 3166-1 numeric; 0 = not given.
    pub country: u16,
    /// Class in the registry at the indexed head; 0 = not given.
    pub investor_class: u8,
}

/// Who has bought a token from second `from` on and before `to`, by the blocks of their first purchases.
///
/// # Errors
/// The database's.
pub async fn buyers(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
    from: u64,
    to: Option<u64>,
) -> Result<Vec<Buyer>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT p.investor_id, sum(p.quantity) AS quantity, sum(p.cost) AS cost, count(*) AS purchases,
                min(p.block_time) AS first,
                coalesce((array_agg(w.country))[1], 0) AS country,
                coalesce((array_agg(w.investor_class))[1], 0::smallint) AS investor_class
           FROM purchases p
           LEFT JOIN investor_wallets w ON w.chain_id = p.chain_id AND w.wallet = p.buyer
          WHERE p.chain_id = $1 AND p.token = $2
            AND p.block_time >= $3 AND ($4::bigint IS NULL OR p.block_time < $4)
          GROUP BY p.investor_id
          ORDER BY min(p.block_number), p.investor_id",
    )
    .bind(int(chain_id))
    .bind(Addr(token))
    .bind(int(from))
    .bind(to.map(int))
    .fetch_all(db)
    .await?;
    let buyer = |row: &sqlx::postgres::PgRow| {
        Ok(Buyer {
            investor_id: row.height("investor_id")?,
            quantity: row.try_get::<Uint256, _>("quantity")?.0,
            cost: row.try_get::<Uint256, _>("cost")?.0,
            purchases: uint(row.try_get("purchases")?),
            first: row.height("first")?,
            country: u16::try_from(row.try_get::<i32, _>("country")?).unwrap_or_default(),
            investor_class: u8::try_from(row.try_get::<i16, _>("investor_class")?).unwrap_or_default(),
        })
    };
    rows.iter().map(buyer).collect()
}
