//! The chain indexed again from its first block into a database of its own, and compared row by row.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::PgPool;
use tokenx_anvil_tests::{TestDatabase, eventually};
use tokenx_indexer::{Indexer, read};
use tokenx_keeper::CommandProjection;
use tokio_util::sync::CancellationToken;

use super::Whole;

/// Tables of a chain that are not its logs': where following stands and how it went, and what we want done.
const NOT_DERIVED: &[&str] = &[
    "blocks",
    "chain_cursors",
    "command_states",
    "currencies",
    "executors",
    "keeper_status",
    "lanes",
    "monitor_snapshots",
    "nodes",
    "reorgs",
];

/// All rows of a table by its name, for this connection.
const ROWS_OF: &str = "CREATE OR REPLACE FUNCTION pg_temp.rows_of(name text) RETURNS SETOF text LANGUAGE plpgsql AS
                       $$ BEGIN RETURN QUERY EXECUTE format('SELECT to_jsonb(t)::text FROM %I t', name); END $$";

/// Everything that the logs of a chain came to: table, and its rows as text.
pub(super) type Rows = Vec<(String, BTreeSet<String>)>;

/// The rows of every table that is derived from logs, as text.
pub(super) async fn derived(pool: &PgPool) -> Rows {
    let mut connection = pool.acquire().await.unwrap();
    sqlx::query(ROWS_OF).execute(&mut *connection).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT t.table_name::text
           FROM information_schema.tables t
           JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
          WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.column_name = 'chain_id'
            AND NOT t.table_name = ANY ($1) AND t.table_name NOT LIKE 'reconciliation%'
          ORDER BY 1",
    )
    .bind(NOT_DERIVED)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut all = Vec::new();
    for table in tables {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT pg_temp.rows_of($1)").bind(&table).fetch_all(&mut *connection).await.unwrap();
        all.push((table, rows.into_iter().collect()));
    }
    all
}

/// Headers above the final block: those of which a reorg may still make others.
async fn headers(pool: &PgPool) -> Vec<(i64, Vec<u8>, Vec<u8>, i64)> {
    sqlx::query_as(
        "SELECT b.number, b.hash::bytea, b.parent_hash::bytea, b.block_time
           FROM blocks b
           JOIN chain_cursors c ON c.chain_id = b.chain_id AND b.number > c.finalized
          ORDER BY b.number",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

impl Whole {
    /// The tables are what indexing the node's chain from scratch gives. The head must not move meanwhile.
    pub(super) async fn equals_a_fresh_index(&self) {
        let database = TestDatabase::create().await.unwrap();
        let pool = database.pool().await.unwrap();
        let mut settings = self.settings.clone();
        settings.database.url = database.url().into();
        settings.monitor.enabled = false;
        let results = CommandProjection::open(&pool, self.chain()).await.unwrap();
        let indexer = Indexer::builder(&settings, pool.clone()).with_projection(Arc::new(results)).build();
        let stop = CancellationToken::new();
        let following = tokio::spawn(indexer.run(stop.clone()));
        let ours = self.cursor().await;
        eventually("the chain is indexed again", || async {
            let cursor = read::cursor(&pool, self.chain()).await.unwrap()?;
            ((cursor.number, cursor.hash) == (ours.number, ours.hash)).then_some(())
        })
        .await;
        stop.cancel();
        following.await.unwrap().unwrap();

        assert_eq!(headers(self.pool()).await, headers(&pool).await, "headers that are not final");
        let (ours, fresh) = (derived(self.pool()).await, derived(&pool).await);
        assert!(ours.len() >= 12 && ours.iter().any(|(table, rows)| table == "mints" && !rows.is_empty()));
        for ((table, ours), (_, fresh)) in ours.iter().zip(&fresh) {
            let only =
                |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).take(3).cloned().collect::<Vec<_>>();
            let (too_many, missing) = (only(ours, fresh), only(fresh, ours));
            assert!(
                too_many.is_empty() && missing.is_empty(),
                "{table}: {} rows, {} in a fresh index; too many: {too_many:#?}, missing: {missing:#?}",
                ours.len(),
                fresh.len()
            );
        }
        pool.close().await;
    }
}
