//! Beginning transactions.

use sqlx::{PgPool, Postgres, SqlSafeStr, Transaction};

/// Begins a transaction that may read and write.
///
/// Safe to cancel, which the driver's own `begin` is not: it learns that a transaction is open only from the server's
/// answer, and a future dropped before (a deadline, a client gone) gives the pool a connection whose next user would
/// write into a transaction that nobody commits. Here the answer is awaited in any case, and a transaction that nobody
/// waits for any more is rolled back.
///
/// # Errors
/// The database's, or that no connection came free.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_with(pool, "BEGIN").await
}

/// As [`begin`], read only, and every statement sees the state of the first one.
///
/// # Errors
/// As [`begin`].
pub async fn begin_snapshot(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_with(pool, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
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
