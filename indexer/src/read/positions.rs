use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use tokenx_migrations::Addr;

use super::{Columns, int};

/// What a wallet has of a token at the indexed head, in base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// All it has.
    pub balance: U256,
    /// The frozen amount, absolute; may exceed the balance.
    pub frozen: U256,
    /// The sum of the holds and lockups that had not expired at the head's time.
    pub held: U256,
    /// The whole address is frozen.
    pub address_frozen: bool,
}

impl Position {
    /// What the chain would not let the wallet move.
    #[must_use]
    pub fn locked(&self) -> U256 {
        if self.address_frozen { self.balance } else { self.balance.min(self.frozen.saturating_add(self.held)) }
    }

    /// What is left to move or burn.
    #[must_use]
    pub fn spendable(&self) -> U256 {
        self.balance - self.locked()
    }
}

/// The position of `wallet` in `token`; all zero where it never had any.
///
/// # Errors
/// The database's.
pub async fn position(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    token: Address,
    wallet: Address,
) -> Result<Position, sqlx::Error> {
    let row = sqlx::query(
        "SELECT h.balance, h.frozen, h.address_frozen,
                (SELECT coalesce(sum(k.amount), 0)
                   FROM unexpired_holds k
                  WHERE k.chain_id = h.chain_id AND k.token = h.token AND k.wallet = h.wallet) AS held
           FROM holdings h
          WHERE h.chain_id = $1 AND h.token = $2 AND h.wallet = $3",
    )
    .bind(int(chain_id))
    .bind(Addr(token))
    .bind(Addr(wallet))
    .fetch_optional(db)
    .await?;
    row.map_or(Ok(Position::default()), |row| {
        Ok(Position {
            balance: row.amount("balance")?,
            frozen: row.amount("frozen")?,
            held: row.amount("held")?,
            address_frozen: row.try_get("address_frozen")?,
        })
    })
}

/// A wallet's record in the investor registry at the indexed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvestorWallet {
    /// The wallet.
    pub wallet: Address,
    /// The registry that says so.
    pub registry: Address,
    /// The investor behind it; never another one.
    pub investor_id: u64,
    /// ISO 3166-1 numeric, 0 = not given.
    pub country: u16,
    /// Class as the platform numbers it, 0 = not given.
    pub investor_class: u8,
    /// Unix seconds from which the KYC no longer counts, 0 = never.
    pub kyc_expires_at: u64,
    /// Bit 0 whitelisted, bit 1 sanctioned.
    pub flags: u8,
    /// Block in which it was first registered.
    pub since_block: u64,
}

impl InvestorWallet {
    /// Whitelisted and not sanctioned. Says nothing of KYC expiry, which is a matter of the block's time.
    #[must_use]
    pub const fn whitelisted(&self) -> bool {
        self.flags & 0b11 == 0b01
    }

    /// Under sanctions, whitelisted or not.
    #[must_use]
    pub const fn sanctioned(&self) -> bool {
        self.flags & 0b10 != 0
    }

    /// Whitelisted, not sanctioned, and KYC that still counts at `time` (Unix seconds).
    #[must_use]
    pub const fn eligible_at(&self, time: u64) -> bool {
        self.whitelisted() && (self.kyc_expires_at == 0 || time < self.kyc_expires_at)
    }
}

/// The registry's record of `wallet`; `None` if it was never registered.
///
/// # Errors
/// The database's.
pub async fn investor_wallet(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    wallet: Address,
) -> Result<Option<InvestorWallet>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM investor_wallets WHERE chain_id = $1 AND wallet = $2")
        .bind(int(chain_id))
        .bind(Addr(wallet))
        .fetch_optional(db)
        .await?;
    row.as_ref().map(wallet_from_row).transpose()
}

/// All wallets of an investor, first registered first.
///
/// # Errors
/// The database's.
pub async fn wallets_of_investor(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    investor_id: u64,
) -> Result<Vec<InvestorWallet>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT *
           FROM investor_wallets
          WHERE chain_id = $1 AND investor_id = $2
          ORDER BY since_block, wallet",
    )
    .bind(int(chain_id))
    .bind(int(investor_id))
    .fetch_all(db)
    .await?;
    rows.iter().map(wallet_from_row).collect()
}

/// All wallets of these investors, first registered first.
///
/// # Errors
/// The database's.
pub async fn wallets_of_investors(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    investor_ids: &[u64],
) -> Result<Vec<InvestorWallet>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT *
           FROM investor_wallets
          WHERE chain_id = $1 AND investor_id = ANY ($2::bigint[])
          ORDER BY since_block, wallet",
    )
    .bind(int(chain_id))
    .bind(investor_ids.iter().map(|id| int(*id)).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    rows.iter().map(wallet_from_row).collect()
}

/// The investors behind these wallets; wallets that no registry ever named are left out.
///
/// # Errors
/// The database's.
pub async fn investors_of_wallets(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    wallets: &[Address],
) -> Result<HashMap<Address, u64>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT wallet, investor_id
           FROM investor_wallets
          WHERE chain_id = $1 AND wallet = ANY ($2::bytea[])",
    )
    .bind(int(chain_id))
    .bind(wallets.iter().map(|wallet| wallet.as_slice()).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.address("wallet")?, row.height("investor_id")?))).collect()
}

fn wallet_from_row(row: &PgRow) -> Result<InvestorWallet, sqlx::Error> {
    Ok(InvestorWallet {
        wallet: row.address("wallet")?,
        registry: row.address("registry")?,
        investor_id: row.height("investor_id")?,
        country: row.try_get::<i32, _>("country")?.try_into().unwrap_or(0),
        investor_class: row.try_get::<i16, _>("investor_class")?.try_into().unwrap_or(0),
        kyc_expires_at: row.height("kyc_expires_at")?,
        flags: row.try_get::<i16, _>("flags")?.try_into().unwrap_or(0),
        since_block: row.height("since_block")?,
    })
}
