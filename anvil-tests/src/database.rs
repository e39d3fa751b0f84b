//! One Postgres for the process, one database for the test.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use sqlx::PgPool;
use sqlx::migrate::MigrateDatabase;
use tokenx::local::{Durability, Postgres, PostgresOptions, PostgresSource};
use tokio::sync::OnceCell;

static SERVER: OnceCell<Server> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

const POOL_SIZE: u32 = 12;
/// More than any benchmark writes.
const LOG_TO_USE_AGAIN_MB: u32 = 4096;

/// Where test databases are made.
#[derive(Debug)]
enum Server {
    /// Ours. Its `template1` is migrated, so that each database made there is a copy that needs nothing more.
    /// The supervisor removes it when this process ends.
    Private(Postgres),
    /// Named by `DATABASE_URL`: nothing but the tests' own databases is ever made there.
    Running(String),
}

impl Server {
    async fn start() -> Result<Self> {
        // `cargo test` shows this of failed tests and with --nocapture, where a wait needs explaining.
        #[allow(clippy::print_stderr, reason = "progress of a test run")]
        let report = |line: &str| eprintln!("{line}");
        let programs = match PostgresSource::find(&report).await? {
            PostgresSource::Running(url) => return Ok(Self::Running(url)),
            PostgresSource::Programs(programs) => programs,
        };
        let folder = crate::world::scratch_folder("postgres")?;
        let options =
            PostgresOptions { programs, folder, durability: Durability::Scratch, keep: false, identity: None };
        let postgres = Postgres::start(options, &report).await?;
        migrate(&postgres.url("template1")).await?;
        Ok(Self::Private(postgres))
    }
}

async fn migrate(url: &str) -> Result<()> {
    let pool = tokenx_migrations::connect(url, 1).await?;
    tokenx_migrations::migrate(&pool).await?;
    pool.close().await;
    Ok(())
}

/// Leaves the server with log files to use again, as one that has run for a while: making them takes as long as writing.
async fn wear_in(url: &str) -> Result<()> {
    let pool = tokenx_migrations::connect(url, 1).await?;
    for _ in 0..LOG_TO_USE_AGAIN_MB {
        sqlx::query("SELECT pg_logical_emit_message(false, 'wear in', repeat('x', 1 << 20))").execute(&pool).await?;
    }
    sqlx::query("CHECKPOINT").execute(&pool).await?;
    pool.close().await;
    Ok(())
}

/// A migrated, empty database for one test; dropped with it.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    /// Its own server, where it does not share that of the process.
    server: Option<Postgres>,
}

impl TestDatabase {
    /// Makes one. The first call of the process starts the server.
    pub async fn create() -> Result<Self> {
        let database = Self::on(SERVER.get_or_try_init(Server::start).await?).await?;
        if matches!(SERVER.get(), Some(Server::Running(_))) {
            migrate(&database.url).await?;
        }
        Ok(database)
    }

    /// Makes one on a server of its own that flushes to disk as in production: for benchmarks.
    pub async fn durable() -> Result<Self> {
        #[allow(clippy::print_stderr, reason = "progress of a benchmark")]
        let report = |line: &str| eprintln!("{line}");
        let programs = match PostgresSource::find(&report).await? {
            // It is as durable as whoever runs it wants.
            PostgresSource::Running(_) => return Self::create().await,
            PostgresSource::Programs(programs) => programs,
        };
        let folder = crate::world::scratch_folder("postgres")?;
        let options =
            PostgresOptions { programs, folder, durability: Durability::Flushed, keep: false, identity: None };
        let server = Postgres::start(options, &report).await?;
        let database = Self { url: server.url("postgres"), server: Some(server) };
        migrate(&database.url).await?;
        wear_in(&database.url).await?;
        Ok(database)
    }

    /// Makes one without any table.
    pub async fn empty() -> Result<Self> {
        let database = Self::create().await?;
        let pool = database.pool().await?;
        sqlx::query("DROP SCHEMA public CASCADE").execute(&pool).await?;
        sqlx::query("CREATE SCHEMA public").execute(&pool).await?;
        pool.close().await;
        Ok(database)
    }

    async fn on(server: &Server) -> Result<Self> {
        let name = format!("tokenx_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let url = match server {
            Server::Private(postgres) => postgres.url(&name),
            Server::Running(url) => tokenx::local::postgres::with_database(url, &name)?,
        };
        sqlx::Postgres::create_database(&url).await?;
        Ok(Self { url, server: None })
    }

    /// Its URL, password included.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A pool on it.
    pub async fn pool(&self) -> Result<PgPool> {
        Ok(tokenx_migrations::connect(&self.url, POOL_SIZE).await?)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if self.server.is_some() {
            return;
        }
        let url = self.url.clone();
        // Our caller may be the only thread of the runtime that is ending: use another thread, and its own.
        let dropped = std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(sqlx::Postgres::force_drop_database(&url))?)
        })
        .join();
        if !matches!(dropped, Ok(Ok(()))) {
            #[allow(clippy::print_stderr, reason = "a leftover should be seen, and is no failure of the test")]
            {
                eprintln!("a test's database was not dropped: {dropped:?}");
            }
        }
    }
}
