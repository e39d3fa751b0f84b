//! Lists of commands that are walked from either end.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgExecutor, Postgres, Row};
use time::OffsetDateTime;
use tokenx_indexer::read::pages::{Choice, Window};

use crate::{CommandView, view};

/// Which commands, for [`command_page`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandFilter {
    /// Only these, by their place in the order of acceptance.
    pub seqs: Option<Vec<i64>>,
    /// Only these scopes.
    pub scopes: Option<Vec<String>>,
    /// Only this client's id.
    pub command_id: Option<String>,
    /// Which states, by name.
    pub states: Choice<String>,
    /// Which operations, by name.
    pub kinds: Choice<String>,
    /// Of which instruments.
    pub instruments: Choice<String>,
    /// Accepted at or after this time.
    pub since: Option<OffsetDateTime>,
    /// Accepted before this time.
    pub before: Option<OffsetDateTime>,
}

/// `$1`–`$11`: the filter.
macro_rules! matching {
    () => {
        " WHERE ($1::text[]       IS NULL OR (c.scope || '') = ANY ($1))
            AND ($2::text         IS NULL OR c.command_id = $2)
            AND ($3::text[]       IS NULL OR c.state = ANY ($3))
            AND ($4::text         IS NULL OR c.state <> $4)
            AND ($5::text[]       IS NULL OR c.kind = ANY ($5))
            AND ($6::text         IS NULL OR c.kind <> $6)
            AND ($7::text[]       IS NULL OR c.instrument_id = ANY ($7))
            AND ($8::text         IS NULL OR c.instrument_id IS DISTINCT FROM $8)
            AND ($9::timestamptz  IS NULL OR c.created_at >= $9)
            AND ($10::timestamptz IS NULL OR c.created_at < $10)
            AND ($11::bigint[]    IS NULL OR c.seq = ANY ($11))"
    };
}

macro_rules! page {
    ($direction:literal) => {
        concat!(
            "SELECT c.*, a.attempts, a.newest
               FROM command_views c
              CROSS JOIN LATERAL (
                    SELECT count(*) AS attempts,
                           (array_agg(a.hash ORDER BY a.signed_at DESC, a.n DESC))[1]::bytea AS newest
                      FROM slot_commands s
                      JOIN attempts a USING (lane_id, nonce)
                     WHERE s.command_seq = c.seq AND a.kind = 'batch'
                    ) a",
            matching!(),
            " AND c.seq > $12 AND c.seq < $13 ORDER BY c.seq ",
            $direction,
            " LIMIT $14"
        )
    };
}

/// A page of commands in the order of their acceptance, or against it. The window's keys are [`CommandView::seq`].
///
/// # Errors
/// The database's.
pub async fn command_page(
    db: impl PgExecutor<'_>,
    filter: &CommandFilter,
    window: &Window<i64>,
) -> Result<Vec<CommandView>, sqlx::Error> {
    let query = if window.descending { page!("DESC") } else { page!("ASC") };
    let rows = bound(query, filter)
        .bind(window.above.unwrap_or(i64::MIN))
        .bind(window.below.unwrap_or(i64::MAX))
        .bind(window.limit)
        .fetch_all(db)
        .await?;
    rows.iter().map(view::read).collect()
}

/// How many commands match.
///
/// # Errors
/// The database's.
pub async fn count_commands(db: impl PgExecutor<'_>, filter: &CommandFilter) -> Result<i64, sqlx::Error> {
    bound(concat!("SELECT count(*) FROM command_views c", matching!()), filter).fetch_one(db).await?.try_get(0)
}

fn bound<'q>(query: &'static str, filter: &'q CommandFilter) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(query)
        .bind(filter.scopes.as_ref())
        .bind(filter.command_id.as_ref())
        .bind(filter.states.any.as_ref())
        .bind(filter.states.not.as_ref())
        .bind(filter.kinds.any.as_ref())
        .bind(filter.kinds.not.as_ref())
        .bind(filter.instruments.any.as_ref())
        .bind(filter.instruments.not.as_ref())
        .bind(filter.since)
        .bind(filter.before)
        .bind(filter.seqs.as_ref())
}
