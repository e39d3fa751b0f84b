//! Tables derived again from the logs that Postgres keeps: to prove that they are what the logs say, or to make them so.
//!
//! Everything that is compared comes out of one read-only snapshot: the cursor, the logs and the live tables. So an
//! indexer may go on writing meanwhile, reorgs included, and neither disturbs the other. The rebuilt tables stand in a
//! schema of their own and are written in short transactions, since subscribers of the outbox wait for long ones.

mod compare;
mod replay;
mod table;

use std::sync::Arc;

use alloy::primitives::B256;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use time::OffsetDateTime;
use tokenx_config::Settings;
use tokenx_migrations::Word;

pub use compare::Difference;
pub use table::Table;

use crate::follow::{lock, projections};
use crate::read::{self, int};
use crate::{IndexerError, Projection};
use replay::Replay;
use table::{BLOCKS, OWN};

/// Key of the lock that keeps two rebuilds of one database apart: "tkxr".
const LOCK: i64 = 0x746b_7872;
/// Differences that are kept to be shown; the others are counted.
const SHOWN: usize = 100;

/// What a rebuild is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Deriving: logs done, of all.
    Deriving {
        /// So far.
        done: u64,
        /// In the snapshot.
        of: u64,
    },
    /// Comparing this table.
    Comparing(&'static str),
    /// Putting the rows that differ in their place.
    Replacing,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The block up to which logs were read: the cursor.
    pub block: (u64, B256),
    /// Logs that were read.
    pub logs: u64,
    /// Rows that were compared, in all tables.
    pub rows: u64,
    /// Rows that differ.
    pub differing: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// Derives a chain's tables again from its logs.
#[derive(Clone)]
pub struct Rebuild {
    chain_id: u64,
    url: SecretString,
    projections: Vec<Arc<dyn Projection>>,
}

impl std::fmt::Debug for Rebuild {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rebuild").field("chain_id", &self.chain_id).finish_non_exhaustive()
    }
}

impl Rebuild {
    /// Of `settings.chain`, with the projections that the indexer runs with.
    #[must_use]
    pub fn new(settings: &Settings, projections: Vec<Arc<dyn Projection>>) -> Self {
        let url = settings.database.direct_url().clone();
        Self { chain_id: settings.chain.chain_id, url, projections }
    }

    /// Compares, and changes nothing. An indexer may run.
    ///
    /// # Errors
    /// Tables of other projections, another rebuild under way, or the database's.
    pub async fn verify(&self, step: impl FnMut(Step) + Send) -> Result<Report, IndexerError> {
        let mut scratch = self.session().await?;
        let result = self.compared(&mut scratch, true, step).await;
        let (report, _) = cleared(&mut scratch, result).await?;
        Ok(report)
    }

    /// Compares, then puts every row that differs in its place, all in one transaction. Gives what had differed.
    ///
    /// # Errors
    /// [`IndexerError::Followed`] while an indexer runs, [`IndexerError::FollowedMeanwhile`] if one wrote all the same;
    /// else as [`Self::verify`], except that tables of other projections are what this is for.
    pub async fn replace(&self, mut step: impl FnMut(Step) + Send) -> Result<Report, IndexerError> {
        let mut scratch = self.session().await?;
        // Held by the session that writes: with the lock goes the right to write.
        lock::claim(&mut scratch, self.chain_id).await?;
        let result = async {
            let (report, touched) = self.compared(&mut scratch, false, &mut step).await?;
            step(Step::Replacing);
            self.swap(&report, touched, &mut scratch).await?;
            Ok(report)
        }
        .await;
        cleared(&mut scratch, result).await
    }

    /// Removes what a rebuild left that was killed. Any rebuild does so first.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn clean(&self) -> Result<(), IndexerError> {
        Ok(remove(&mut self.session().await?).await?)
    }

    fn tables(&self) -> impl Iterator<Item = &'static Table> + '_ {
        OWN.iter().chain(self.projections.iter().flat_map(|projection| projection.tables()))
    }

    /// A session that rebuilds alone on this database.
    async fn session(&self) -> Result<PgConnection, IndexerError> {
        // Without `public` in the path, a table that was forgotten in the list is an error and never written to.
        let options = connection(&self.url)?.options([("search_path", "reindex"), ("synchronous_commit", "off")]);
        let mut session = options.connect().await?;
        let alone: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut session).await?;
        if alone { Ok(session) } else { Err(IndexerError::RebuildRunning) }
    }

    /// Makes empty tables.
    async fn make(&self, scratch: &mut PgConnection) -> Result<(), IndexerError> {
        let mut tx = scratch.begin().await?;
        sqlx::query("DROP SCHEMA IF EXISTS reindex CASCADE").execute(&mut *tx).await?;
        sqlx::query("CREATE SCHEMA reindex").execute(&mut *tx).await?;
        for table in self.tables().chain([&BLOCKS]) {
            sqlx::query(table.create).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Derives and compares. Gives also when a follower last touched the cursor, as the snapshot has it.
    async fn compared(
        &self,
        scratch: &mut PgConnection,
        same_set: bool,
        mut step: impl FnMut(Step) + Send,
    ) -> Result<(Report, OffsetDateTime), IndexerError> {
        self.make(scratch).await?;
        let mut session = connection(&self.url)?.connect().await?;
        let mut live = session.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let cursor = read::cursor(&mut *live, self.chain_id).await?.ok_or(IndexerError::NotFollowed(self.chain_id))?;
        if same_set {
            projections::check(&mut live, self.chain_id, &self.set()).await?;
        }
        let replay = Replay { chain_id: self.chain_id, projections: &self.projections };
        let logs = replay.run(&mut live, scratch, |done, of| step(Step::Deriving { done, of })).await?;
        let mut report =
            Report { block: (cursor.number, cursor.hash), logs, rows: 0, differing: 0, differences: Vec::new() };
        for table in self.tables() {
            step(Step::Comparing(table.name));
            let found = |difference| {
                report.differing += 1;
                if report.differences.len() < SHOWN {
                    report.differences.push(difference);
                }
            };
            report.rows += compare::compare(table, self.chain_id, &mut live, scratch, found).await?;
        }
        Ok((report, cursor.polled_at))
    }

    /// One transaction: readers see the tables before it or after it.
    async fn swap(
        &self,
        report: &Report,
        touched: OffsetDateTime,
        scratch: &mut PgConnection,
    ) -> Result<(), IndexerError> {
        let mut tx = scratch.begin().await?;
        // A follower that lost its lock may not know it yet. Whatever it writes, it touches the cursor's row: the rows
        // are those of the snapshot only while nobody has, and nobody can while this transaction holds it.
        let untouched: Option<i32> = sqlx::query_scalar(
            "UPDATE public.chain_cursors
                SET rewrites = rewrites + 1
              WHERE chain_id = $1 AND number = $2 AND hash = $3 AND polled_at = $4
             RETURNING 1",
        )
        .bind(int(self.chain_id))
        .bind(int(report.block.0))
        .bind(Word(report.block.1))
        .bind(touched)
        .fetch_optional(&mut *tx)
        .await?;
        if untouched.is_none() {
            return Err(IndexerError::FollowedMeanwhile(self.chain_id));
        }
        sqlx::query("SET LOCAL synchronous_commit = on").execute(&mut *tx).await?;
        for table in self.tables() {
            sqlx::query(table.remove).bind(int(self.chain_id)).execute(&mut *tx).await?;
            sqlx::query(table.insert).bind(int(self.chain_id)).execute(&mut *tx).await?;
        }
        sqlx::query("SET LOCAL search_path = public").execute(&mut *tx).await?;
        projections::record(&mut tx, self.chain_id, &self.set()).await?;
        tx.commit().await?;
        Ok(())
    }

    fn set(&self) -> Vec<(&'static str, i32)> {
        let rooms = self.projections.iter().map(|projection| (projection.name(), projection.version()));
        [projections::OWN].into_iter().chain(rooms).collect()
    }
}

fn connection(url: &SecretString) -> Result<PgConnectOptions, IndexerError> {
    let options: PgConnectOptions = url.expose_secret().parse()?;
    Ok(options.application_name("tokenx-reindex"))
}

/// Removes what a rebuild made, and gives what came of it: an error of its own goes before one of removing.
async fn cleared<T>(scratch: &mut PgConnection, result: Result<T, IndexerError>) -> Result<T, IndexerError> {
    let removed = remove(scratch).await;
    let done = result?;
    removed?;
    Ok(done)
}

async fn remove(scratch: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("DROP SCHEMA IF EXISTS reindex CASCADE").execute(&mut *scratch).await?;
    // The server notices a little later than we that a session has ended.
    sqlx::query("SELECT pg_advisory_unlock_all()").execute(scratch).await?;
    Ok(())
}
