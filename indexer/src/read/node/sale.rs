use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use tokenx_migrations::Addr;

use super::{Of, Origin, Part, listed, newest};
use crate::read::{Columns, int};

/// Where a sale stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingStatus {
    /// Never was for sale.
    NotListed,
    /// For sale, within the times of its terms.
    Listed,
    /// Not for sale for now.
    Delisted,
    /// Not for sale any more, for ever.
    Passive,
    /// A status that this program does not know.
    Other(u8),
}

impl ListingStatus {
    /// As the contract numbers it.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::NotListed,
            1 => Self::Listed,
            2 => Self::Delisted,
            3 => Self::Passive,
            other => Self::Other(other),
        }
    }
}

/// On which terms units are sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingTerms {
    /// What is paid with.
    pub payment_token: Address,
    /// Unix second from which is sold; 0 = at once.
    pub opens_at: u64,
    /// Unix second from which is sold no more; 0 = never.
    pub closes_at: u64,
    /// Base units of the payment token for one whole token.
    pub price: U256,
    /// What an investor must have bought after a purchase, base units.
    pub min_purchase: U256,
    /// What an investor may buy in all, base units; `None` = no limit.
    pub max_purchase: Option<U256>,
    /// What may be set aside for fees, base units.
    pub max_fees: U256,
    /// Hundredths of a per cent of the maximum supply that are for sale.
    pub salable_bps: u16,
}

/// The sale of a token at its own node. All figures are base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The token.
    pub token: Address,
    /// The listing contract.
    pub contract: Address,
    /// Where it stands.
    pub status: ListingStatus,
    /// `None` before any were set.
    pub terms: Option<ListingTerms>,
    /// Salable share of the maximum supply, in whole tokens (`listed_supply`).
    pub listed: U256,
    /// What investors have bought (`purchased_supply`).
    pub purchased: U256,
    /// What is set aside for fees (`total_fee_supply`).
    pub fees: U256,
    /// Both together (`sold_supply`), never above `listed`.
    pub sold: U256,
}

/// The sale of each token; tokens whose node has no listing are left out.
///
/// # Errors
/// The database's.
pub async fn listings_of_tokens(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    tokens: &[Address],
) -> Result<HashMap<Address, Listing>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM listings WHERE chain_id = $1 AND token = ANY ($2::bytea[])")
        .bind(int(chain_id))
        .bind(tokens.iter().copied().map(Addr).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    rows.iter().map(|row| Ok((row.address("token")?, listing(row)?))).collect()
}

/// A row of the view `listings`, whatever else there is in it.
///
/// # Errors
/// A column that is missing or NULL.
pub fn listing(row: &PgRow) -> Result<Listing, sqlx::Error> {
    let terms = |payment_token| {
        Ok::<_, sqlx::Error>(ListingTerms {
            payment_token,
            opens_at: row.height("opens_at")?,
            closes_at: row.height("closes_at")?,
            price: row.amount("price")?,
            min_purchase: row.amount("min_purchase")?,
            max_purchase: Some(row.amount("max_purchase")?).filter(|most| !most.is_zero()),
            max_fees: row.amount("max_fees")?,
            // The column holds a chain's 16 bits.
            salable_bps: u16::try_from(row.try_get::<i32, _>("salable_bps")?).unwrap_or(u16::MAX),
        })
    };
    Ok(Listing {
        token: row.address("token")?,
        contract: row.address("contract")?,
        // The column holds a chain's byte.
        status: ListingStatus::from_code(u8::try_from(row.try_get::<i32, _>("status")?).unwrap_or(u8::MAX)),
        terms: row.maybe_address("payment_token")?.map(terms).transpose()?,
        listed: row.amount("listed")?,
        purchased: row.amount("purchased")?,
        fees: row.amount("fees")?,
        sold: row.amount("sold")?,
    })
}

/// What an investor has bought of a token at a listing, over all its wallets, base units.
///
/// # Errors
/// The database's.
pub async fn purchased_by(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    listing: Address,
    token: Address,
    investor_id: u64,
) -> Result<U256, sqlx::Error> {
    let row = sqlx::query(
        "SELECT by_investor
           FROM purchases
          WHERE chain_id = $1 AND contract = $2 AND token = $3 AND investor_id = $4
          ORDER BY block_number DESC, log_index DESC
          LIMIT 1",
    )
    .bind(int(chain_id))
    .bind(Addr(listing))
    .bind(Addr(token))
    .bind(int(investor_id))
    .fetch_optional(db)
    .await?;
    row.map_or(Ok(U256::ZERO), |row| row.amount("by_investor"))
}

/// Units that were bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Where it was said.
    pub origin: Origin,
    /// The token.
    pub token: Address,
    /// The wallet that has paid and got the units.
    pub buyer: Address,
    /// The investor behind it then.
    pub investor_id: u64,
    /// Base units.
    pub quantity: U256,
    /// What was paid with.
    pub payment_token: Address,
    /// Base units of it.
    pub cost: U256,
}

/// Purchases of a token, or by a wallet.
///
/// # Errors
/// The database's.
pub async fn purchases(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    of: Of,
    part: Part,
) -> Result<Vec<Purchase>, sqlx::Error> {
    let rows = match of {
        Of::Token(token) => listed!(newest!("purchases", "token"), db, chain_id, token, part),
        Of::Wallet(wallet) => listed!(newest!("purchases", "buyer"), db, chain_id, wallet, part),
    };
    rows.iter()
        .map(|row| {
            Ok(Purchase {
                origin: Origin::from_row(row)?,
                token: row.address("token")?,
                buyer: row.address("buyer")?,
                investor_id: row.height("investor_id")?,
                quantity: row.amount("quantity")?,
                payment_token: row.address("payment_token")?,
                cost: row.amount("cost")?,
            })
        })
        .collect()
}
