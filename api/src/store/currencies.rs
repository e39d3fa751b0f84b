//! What is paid with.

use sqlx::PgExecutor;
use tokenx_migrations::Addr;

use crate::tokens::Currency;

/// The currencies of a chain, oldest first. They are few.
///
/// # Errors
/// The database's.
pub async fn list(db: impl PgExecutor<'_>, chain_id: u64) -> Result<Vec<Currency>, sqlx::Error> {
    let rows: Vec<(String, Addr, String, i16)> = sqlx::query_as(
        "SELECT currency_id, address, symbol, decimals
           FROM currencies
          WHERE chain_id = $1
          ORDER BY created_at, currency_id",
    )
    .bind(i64::try_from(chain_id).unwrap_or(i64::MAX))
    .fetch_all(db)
    .await?;
    let currency = |(currency_id, address, symbol, decimals): (String, Addr, String, i16)| Currency {
        currency_id,
        address: address.0,
        symbol,
        // The column's CHECK keeps it within a byte.
        decimals: u8::try_from(decimals).unwrap_or(u8::MAX),
    };
    Ok(rows.into_iter().map(currency).collect())
}
