//! Currencies: the payment tokens in which prices are written.

use alloy::primitives::Address;
use serde_json::json;
use sqlx::PgPool;
use tokenx_migrations::Addr;

use super::{By, Error, Note, exists_on, note};
use crate::object_id;
use crate::store::currencies;
use crate::tokens::Currency;

/// The most decimals that a currency may have.
const MAX_DECIMALS: u8 = 36;

/// A currency to be known.
#[derive(Debug, Clone)]
pub struct NewCurrency {
    /// EIP-155 id of its chain.
    pub chain_id: u64,
    /// Its contract.
    pub address: Address,
    /// What people call it.
    pub symbol: String,
    /// Decimals of its units, as its contract says them. They are for ever: prices are written by them.
    pub decimals: u8,
}

/// Adds a currency.
///
/// # Errors
/// When its symbol or decimals are out of range, or its contract is one already.
pub async fn add_currency(pool: &PgPool, by: By<'_>, new: NewCurrency) -> Result<Currency, Error> {
    let NewCurrency { chain_id, address, symbol, decimals } = new;
    let fits = (1..=32).contains(&symbol.chars().count());
    if !fits || symbol.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let message = format!("{symbol:?} is not 1-32 printable characters without spaces");
        return Err(Error::Invalid { field: "symbol", message });
    }
    if decimals > MAX_DECIMALS {
        let message = format!("{decimals} decimals are more than {MAX_DECIMALS}");
        return Err(Error::Invalid { field: "decimals", message });
    }
    if address.is_zero() {
        return Err(Error::Invalid { field: "address", message: "the zero address is no contract".to_owned() });
    }
    let chain = i64::try_from(chain_id)
        .map_err(|_| Error::Invalid { field: "chain_id", message: format!("{chain_id} is too large") })?;
    let currency = Currency { currency_id: object_id::generate(), address, symbol, decimals };
    let mut tx = tokenx_migrations::begin(pool).await?;
    sqlx::query(
        "INSERT INTO currencies (currency_id, chain_id, address, symbol, decimals)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&currency.currency_id)
    .bind(chain)
    .bind(Addr(address))
    .bind(&currency.symbol)
    .bind(i16::from(decimals))
    .execute(&mut *tx)
    .await
    .map_err(exists_on("currencies_address_unique", || format!("{address} is a currency already")))?;
    let subject = format!("currency:{}", currency.currency_id);
    let detail = json!({
        "chain_id": chain_id,
        "address": address.to_checksum(None),
        "symbol": currency.symbol,
        "decimals": decimals,
    });
    note(&mut tx, by, Note { action: "currency.add", subject, detail }).await?;
    tx.commit().await?;
    Ok(currency)
}

/// The currencies of a chain, oldest first.
///
/// # Errors
/// The database's.
pub async fn list_currencies(pool: &PgPool, chain_id: u64) -> Result<Vec<Currency>, Error> {
    Ok(currencies::list(pool, chain_id).await?)
}
