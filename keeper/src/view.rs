//! Commands as the rooms above see them.

use std::collections::HashMap;

use alloy::primitives::B256;
use sqlx::postgres::PgRow;
use sqlx::{PgExecutor, Row};
use time::OffsetDateTime;
use tokenx_contracts::ids::{CommandId, Scope};
use tokenx_migrations::Word;

use crate::Operation;
use crate::state::{State, Verdict};

/// A command and how far it has come.
#[derive(Clone, Debug)]
pub struct CommandView {
    /// Its place in the order of acceptance; also the paging key.
    pub seq: i64,
    /// Scope its id is unique in.
    pub scope: String,
    /// The client's id.
    pub command_id: String,
    /// The id the Executor remembers it by.
    pub onchain_id: B256,
    /// Canonical command.
    pub operation: Operation,
    /// Where it stands.
    pub state: State,
    /// Who asked, as in the audit log.
    pub requested_by: String,
    /// Signed transactions that carried it, replacements included.
    pub attempts: i64,
    /// The transaction that ran it, or the newest one sent for it.
    pub tx_hash: Option<B256>,
    /// Block of that transaction.
    pub block_number: Option<u64>,
    /// Hash of that block.
    pub block_hash: Option<B256>,
    /// Time of that block.
    pub block_time: Option<OffsetDateTime>,
    /// Why it failed, as a code of the catalogue.
    pub reason_code: Option<String>,
    /// Why it failed, as a sentence.
    pub failure: Option<String>,
    /// It may run until then.
    pub valid_until: Option<OffsetDateTime>,
    /// When it was accepted.
    pub created_at: OffsetDateTime,
    /// When it last moved.
    pub updated_at: OffsetDateTime,
}

/// Which commands to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this scope.
    pub scope: Option<String>,
    /// Only these states, by name; empty = all.
    pub states: Vec<String>,
    /// Only this instrument.
    pub instrument: Option<String>,
    /// Only commands accepted before this one.
    pub before: Option<i64>,
    /// At most so many, newest first.
    pub limit: i64,
}

/// One command by its id.
pub(crate) async fn view(
    db: impl PgExecutor<'_>,
    scope: &Scope,
    command_id: &CommandId,
) -> Result<Option<CommandView>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT c.*, a.attempts, a.newest
           FROM command_views c
          CROSS JOIN LATERAL (
                SELECT count(*) AS attempts, (array_agg(a.hash ORDER BY a.signed_at DESC, a.n DESC))[1]::bytea AS newest
                  FROM slot_commands s
                  JOIN attempts a USING (lane_id, nonce)
                 WHERE s.command_seq = c.seq AND a.kind = 'batch'
                ) a
          WHERE c.scope = $1 AND c.command_id = $2",
    )
    .bind(scope.to_string())
    .bind(command_id.as_str())
    .fetch_optional(db)
    .await?;
    row.as_ref().map(read).transpose()
}

/// Commands, newest first.
pub(crate) async fn list(db: impl PgExecutor<'_>, filter: &Filter) -> Result<Vec<CommandView>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT c.*, a.attempts, a.newest
           FROM command_views c
          CROSS JOIN LATERAL (
                SELECT count(*) AS attempts, (array_agg(a.hash ORDER BY a.signed_at DESC, a.n DESC))[1]::bytea AS newest
                  FROM slot_commands s
                  JOIN attempts a USING (lane_id, nonce)
                 WHERE s.command_seq = c.seq AND a.kind = 'batch'
                ) a
          WHERE ($1::text IS NULL OR c.scope || '' = $1)
            AND (cardinality($2::text[]) = 0 OR c.state = ANY ($2))
            AND ($3::text IS NULL OR c.instrument_id = $3)
            AND ($4::bigint IS NULL OR c.seq < $4)
          ORDER BY c.seq DESC
          LIMIT $5",
    )
    .bind(&filter.scope)
    .bind(&filter.states)
    .bind(&filter.instrument)
    .bind(filter.before)
    .bind(filter.limit)
    .fetch_all(db)
    .await?;
    rows.iter().map(read).collect()
}

/// The clients' ids of commands by their on-chain ids; ids that no command has are left out.
///
/// # Errors
/// The database's.
pub async fn command_ids(db: impl PgExecutor<'_>, onchain_ids: &[B256]) -> Result<HashMap<B256, String>, sqlx::Error> {
    let rows: Vec<(Word, String)> =
        sqlx::query_as("SELECT onchain_id, command_id FROM commands WHERE onchain_id = ANY ($1::bytea[])")
            .bind(onchain_ids.iter().map(B256::as_slice).collect::<Vec<_>>())
            .fetch_all(db)
            .await?;
    Ok(rows.into_iter().map(|(id, text)| (id.0, text)).collect())
}

pub(crate) fn read(row: &PgRow) -> Result<CommandView, sqlx::Error> {
    let verdict = row.try_get::<Option<&str>, _>("verdict")?.and_then(Verdict::parse);
    let name: &str = row.try_get("state")?;
    let state = State::parse(name, verdict).ok_or_else(|| decode_error("state", name.to_owned()))?;
    let operation: serde_json::Value = row.try_get("operation")?;
    let tx_hash = row.try_get::<Option<Word>, _>("tx_hash")?.or(row.try_get::<Option<Word>, _>("newest")?);
    Ok(CommandView {
        seq: row.try_get("seq")?,
        scope: row.try_get("scope")?,
        command_id: row.try_get("command_id")?,
        onchain_id: row.try_get::<Word, _>("onchain_id")?.0,
        operation: serde_json::from_value(operation).map_err(|e| decode_error("operation", e.to_string()))?,
        state,
        requested_by: row.try_get("requested_by")?,
        attempts: row.try_get("attempts")?,
        tx_hash: tx_hash.map(|word| word.0),
        block_number: row.try_get::<Option<i64>, _>("block_number")?.and_then(|n| u64::try_from(n).ok()),
        block_hash: row.try_get::<Option<Word>, _>("block_hash")?.map(|word| word.0),
        block_time: row.try_get("block_time")?,
        reason_code: row.try_get("reason_code")?,
        failure: row.try_get("failure")?,
        valid_until: row.try_get("valid_until")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

/// A row that this version cannot read.
pub(crate) fn decode_error(column: &str, what: String) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: what.into() }
}
