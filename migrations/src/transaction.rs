//! Beginning transactions.

use sqlx::{PgPool, Postgres, SqlSafeStr, Transaction};

macro_rules! by_key {
    () => {
        "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL jit = off;
         SET LOCAL enable_seqscan = off; SET LOCAL enable_mergejoin = off"
    };
}

/// Makes the statements of a transaction go by key, whatever the tables hold: each is planned once per connection, and
/// never to read a table from end to end, nor its key from the beginning. Left to itself, Postgres does that to find two
/// thousand rows of forty thousand, each time, and keeps such a plan from when a table was small.
pub const BY_KEY: &str = by_key!();

/// Begins a transaction that may read and write, [`BY_KEY`].
///
/// Safe to cancel, which the driver's own `begin` is not: it learns that a transaction is open only from the server's
/// answer, and a future dropped before (a deadline, a client gone) gives the pool a connection whose next user would
/// write into a transaction that nobody commits. Here the answer is awaited in any case, and a transaction that nobody
/// waits for any more is rolled back.
///
/// # Errors
/// The database's, or that no connection came free.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_with(pool, concat!("BEGIN; ", by_key!())).await
}

/// As [`begin`], read only, and every statement sees the state of the first one.
///
/// # Errors
/// As [`begin`].
pub async fn begin_snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_with(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
}

/// As [`begin_snapshot`], [`BY_KEY`].
///
/// # Errors
/// As [`begin`].
pub async fn begin_look(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_with(pool, concat!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ", by_key!())).await
}

/// As [`begin`], by a `BEGIN` of the caller's own.
///
/// # Errors
/// As [`begin`].
pub async fn begin_with(pool: &PgPool, begin: &'static str) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let connection = pool.acquire().await?;
    tokio::spawn(Transaction::begin(connection, Some(begin.into_sql_str())))
        .await
        .map_err(|_| sqlx::Error::WorkerCrashed)?
}
