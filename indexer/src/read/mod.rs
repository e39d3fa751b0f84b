//! What the rooms above read. Every question about chain tables is asked here or through the view `unexpired_holds` and
//! the SQL functions `holdings_at(chain, block)`, `holding_rows_at(chain, block)`, `positions_at(chain, block)`,
//! `holds_at(chain, block)`, `holds_of_at(chain, token, wallet, block)`, `holder_count(chain, token)` and
//! `block_time_at(chain, block)` and `block_at(chain, time)`, which they may join with tables of their own.
//!
//! Functions take any executor, so that several of them can share one [`snapshot`].

mod cursor;
mod documents;
mod history;
mod holds;
mod instruments;
mod lockups;
mod news;
pub mod node;
pub mod pages;
mod past;
mod payments;
mod positions;
mod reconciliation;
mod status;

use alloy::primitives::{Address, B256, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Postgres, Row, Transaction};
use tokenx_migrations::{Addr, Uint256, Word};

pub use cursor::{AsOf, Cursor, as_of, caught_up, cursor};
pub use documents::{Document, NamedDocument, documents_named, documents_of_tokens};
pub use history::{Filter, Party, SupplyRow, burns, mints};
pub use holds::{Hold, HoldKind, holds_of_wallets};
pub use instruments::{
    CountryRule, Instrument, executors_of_instruments, instrument, instrument_of_token, instruments, instruments_named,
};
pub use lockups::{Lockup, LockupFilter, LockupKey, lockups};
pub use news::{accounts_changed, bound_after, reorgs_after, status_taken};
pub use node::{NodeContracts, contracts_of_executor, contracts_of_token};
pub(crate) use past::account_key;
pub use past::{Account, accounts_at, balance_at, supplies_at, these_accounts_at};
pub use payments::{Purse, purse, purses_of};
pub use positions::{
    InvestorWallet, Position, investor_wallet, investors_of_wallets, position, wallets_of_investor,
    wallets_of_investors,
};
pub use reconciliation::{ReconciliationStatus, reconciliation};
pub use status::{IndexerStatus, MonitorStatus, Snapshot, TokenStatus, status};

/// Begins a read-only transaction in which every statement sees the same state: a page and its total agree, and both
/// agree with the cursor that was read first.
///
/// # Errors
/// The database's.
pub async fn snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    tokenx_migrations::begin_snapshot(pool).await
}

/// A height, time or count as the database keeps it. The chain's uint64 above 2^63 are clamped: no real block is there.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The reverse of [`int`]; the tables hold nothing below zero.
pub(crate) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Typed columns of chain tables.
pub(crate) trait Columns {
    fn height(&self, column: &str) -> Result<u64, sqlx::Error>;
    fn address(&self, column: &str) -> Result<Address, sqlx::Error>;
    fn maybe_address(&self, column: &str) -> Result<Option<Address>, sqlx::Error>;
    fn word(&self, column: &str) -> Result<B256, sqlx::Error>;
    fn maybe_word(&self, column: &str) -> Result<Option<B256>, sqlx::Error>;
    fn amount(&self, column: &str) -> Result<U256, sqlx::Error>;
}

impl Columns for PgRow {
    fn height(&self, column: &str) -> Result<u64, sqlx::Error> {
        Ok(uint(self.try_get(column)?))
    }

    fn address(&self, column: &str) -> Result<Address, sqlx::Error> {
        Ok(self.try_get::<Addr, _>(column)?.0)
    }

    fn maybe_address(&self, column: &str) -> Result<Option<Address>, sqlx::Error> {
        Ok(self.try_get::<Option<Addr>, _>(column)?.map(|addr| addr.0))
    }

    fn word(&self, column: &str) -> Result<B256, sqlx::Error> {
        Ok(self.try_get::<Word, _>(column)?.0)
    }

    fn maybe_word(&self, column: &str) -> Result<Option<B256>, sqlx::Error> {
        Ok(self.try_get::<Option<Word>, _>(column)?.map(|word| word.0))
    }

    fn amount(&self, column: &str) -> Result<U256, sqlx::Error> {
        Ok(self.try_get::<Uint256, _>(column)?.0)
    }
}
