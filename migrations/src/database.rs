//! Opening, migrating and checking a database.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool, Row};

static MIGRATOR: Migrator = sqlx::migrate!("./sql");

/// `server_version_num` of Postgres 15, the oldest that the SQL here is written for and tested on.
const OLDEST_SERVER: i32 = 150_000;
/// How long a caller waits for a free connection before it is told that the pool is exhausted.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Prepared statements that a connection keeps: all that there are. One that was dropped is planned five times anew before
/// its plan is kept, which for the largest ones takes a hundred times as long as running it.
const STATEMENTS: usize = 2_000;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The URL is not one.
    #[error("database url is not valid: {0}: write it as postgres://user:password@host:port/name")]
    Url(String),
    /// No connection, or a query failed on the way.
    #[error("database: {0}")]
    Query(#[from] sqlx::Error),
    /// The server is older than the floor.
    #[error("postgres {found} is too old: use 15 or newer")]
    ServerTooOld {
        /// The server's own version text.
        found: String,
    },
    /// Migrations of this binary that the database has not had.
    #[error("database lacks migration {first} and later ({count} in all): run `tokenx migrate`")]
    Behind {
        /// The first one missing.
        first: i64,
        /// How many are missing.
        count: usize,
    },
    /// A migration in the database that this binary does not know.
    #[error("database has migration {version}, unknown to this tokenx: run the version that made it, or a newer one")]
    Ahead {
        /// The unknown one.
        version: i64,
    },
    /// A migration was applied from another text than this binary's.
    #[error("migration {version} was applied from another text: restore the released file, or recreate the database")]
    Changed {
        /// The one that differs.
        version: i64,
    },
    /// A logical dump was restored into a younger server: positions in outbox and audit log lie ahead of its
    /// transaction counter, and subscribers would wait for it to catch up.
    #[error(
        "outbox is ahead of this server's transaction counter ({outbox} > {server}): restore by physical backup or replication"
    )]
    Restored {
        /// The newest transaction id in the outbox.
        outbox: String,
        /// The server's next one.
        server: String,
    },
    /// A migration failed; nothing of it was applied.
    #[error("migration failed: {0}")]
    Migrate(#[source] MigrateError),
}

/// A transaction whose process says nothing for so long is rolled back: its machine is gone or stands still, and others
/// wait for its locks.
const IDLE_IN_TRANSACTION: &str = "SET idle_in_transaction_session_timeout = '10s'";

/// Opens a pool of at most `max_connections` and makes sure that the server answers and is new enough.
///
/// # Errors
/// [`DatabaseError::Url`], [`DatabaseError::Query`] or [`DatabaseError::ServerTooOld`].
pub async fn connect(url: &str, max_connections: u32) -> Result<PgPool, DatabaseError> {
    // The parser's error names what is wrong, never the URL itself, which holds a password.
    let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| DatabaseError::Url(error.to_string()))?;
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(IDLE_IN_TRANSACTION).await.map(drop) }))
        .connect_with(options.application_name("tokenx").statement_cache_capacity(STATEMENTS))
        .await?;
    let row = sqlx::query(
        "SELECT current_setting('server_version_num')::int AS number,
                current_setting('server_version')          AS text",
    )
    .fetch_one(&pool)
    .await?;
    if row.try_get::<i32, _>("number")? < OLDEST_SERVER {
        return Err(DatabaseError::ServerTooOld { found: row.try_get("text")? });
    }
    Ok(pool)
}

/// Applies the migrations that the database lacks, each in its own transaction, all under one lock; safe to run from
/// several processes at once. The lock is a session's: do not go through a transaction-mode pooler here.
///
/// # Errors
/// [`DatabaseError::Ahead`] or [`DatabaseError::Changed`] for a database that is not this binary's,
/// [`DatabaseError::Migrate`] where a migration fails.
pub async fn migrate(pool: &PgPool) -> Result<(), DatabaseError> {
    MIGRATOR.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => DatabaseError::Ahead { version },
        MigrateError::VersionMismatch(version) => DatabaseError::Changed { version },
        other => DatabaseError::Migrate(other),
    })
}

/// Lets a role that owns nothing do what serving takes: read and write, but change nothing that was audited or migrated.
///
/// # Errors
/// [`DatabaseError::Query`], with what Postgres says: there is no such role, or it has the owner's own rights.
pub async fn open_to(pool: &PgPool, role: &str) -> Result<(), DatabaseError> {
    sqlx::query("SELECT open_to($1::name)").bind(role).execute(pool).await?;
    Ok(())
}

/// Refuses a database that is not exactly at this binary's migrations.
///
/// # Errors
/// What is wrong and what to do; see [`DatabaseError`].
pub async fn check(pool: &PgPool) -> Result<(), DatabaseError> {
    let applied = applied(pool).await?;
    if let Some((version, _)) = applied.iter().find(|(version, _)| !MIGRATOR.version_exists(*version)) {
        return Err(DatabaseError::Ahead { version: *version });
    }
    let mut missing = Vec::new();
    for migration in MIGRATOR.iter() {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            None => missing.push(migration.version),
            Some((version, checksum)) if checksum.as_slice() != migration.checksum.as_ref() => {
                return Err(DatabaseError::Changed { version: *version });
            }
            Some(_) => {}
        }
    }
    if let Some(&first) = missing.first() {
        return Err(DatabaseError::Behind { first, count: missing.len() });
    }
    check_counter(pool).await
}

/// The migrations that the database has had, with the checksum of their text.
async fn applied(pool: &PgPool) -> Result<Vec<(i64, Vec<u8>)>, DatabaseError> {
    let kept: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(pool).await?;
    if !kept {
        return Ok(Vec::new());
    }
    Ok(sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(pool)
        .await?)
}

async fn check_counter(pool: &PgPool) -> Result<(), DatabaseError> {
    let ahead: Option<(String, String)> = sqlx::query_as(
        "SELECT o.xid::text, pg_snapshot_xmax(pg_current_snapshot())::text
           FROM (SELECT xid FROM outbox ORDER BY xid DESC LIMIT 1) o
          WHERE o.xid >= pg_snapshot_xmax(pg_current_snapshot())",
    )
    .fetch_optional(pool)
    .await?;
    ahead.map_or(Ok(()), |(outbox, server)| Err(DatabaseError::Restored { outbox, server }))
}

/// Will the same transaction, run again from its start, probably succeed? True for a serialization failure, a
/// deadlock, a lock timeout, a transaction left standing for too long and a lost connection.
#[must_use]
pub fn retryable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            // Class 57P: the server is shutting down or starting; class 08: the connection broke.
            error.code().is_some_and(|code| {
                matches!(code.as_ref(), "40001" | "40P01" | "55P03" | "25P03")
                    || code.starts_with("57P")
                    || code.starts_with("08")
            })
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
        _ => false,
    }
}
