//! The one event path: whatever is derived from the chain is a [`Projection`].

use alloy::primitives::Address;
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::{Batch, Fork, Table};

/// Why a projection could not apply or take back a batch. Ends the transaction: nothing of the batch is kept.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// The database's. Serialization failures, deadlocks and lock time-outs make the whole batch run again.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A rule of the projection itself is broken. Following stops, since retrying cannot help.
    #[error("{0}")]
    Broken(String),
}

/// Tables that are a pure function of the chain's logs, and the effects that follow from them.
///
/// `apply` and `rollback` run inside the transaction that moves the cursor, after the chain's own tables. They write
/// set-wise, take as little time as they can, and do no I/O but the database's. Tables must come out the same whether
/// blocks arrive one by one or a thousand at once; effects belong under `if batch.live`, keyed by
/// [`Batch::effect_key`].
#[async_trait]
pub trait Projection: Send + Sync {
    /// Name of its place in the `projections` table; never changes.
    fn name(&self) -> &'static str;

    /// Rises when its tables would come out differently from the same logs.
    fn version(&self) -> i32;

    /// Applies a batch. Called for every head block, also where it has no logs.
    ///
    /// # Errors
    /// See [`ProjectionError`].
    async fn apply(&self, batch: &Batch, tx: &mut PgConnection) -> Result<(), ProjectionError>;

    /// Takes back everything above `fork.to`.
    ///
    /// # Errors
    /// See [`ProjectionError`].
    async fn rollback(&self, fork: &Fork, tx: &mut PgConnection) -> Result<(), ProjectionError>;

    /// Those of its tables that logs alone determine: a rebuild derives them again and compares.
    fn tables(&self) -> &'static [Table] {
        &[]
    }

    /// Applies a batch of logs to [`Self::tables`] and to nothing else; a table's name stands there for its rebuilt one.
    ///
    /// # Errors
    /// See [`ProjectionError`].
    async fn derive(&self, _batch: &Batch, _tx: &mut PgConnection) -> Result<(), ProjectionError> {
        Ok(())
    }
}

/// Accounts whose transaction count is read at each applied head block, by block hash, beside its logs.
pub trait AccountWatch: Send + Sync {
    /// The accounts now; asked before each read, so it must not block.
    fn accounts(&self, chain_id: u64) -> Vec<Address>;
}
