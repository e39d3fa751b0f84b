//! Lists of commands that are walked from either end.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgExecutor, Postgres, Row};
use tokenx_indexer::read::pages::Window;

use crate::{CommandView, view};

/// Which commands, for [`command_page`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandFilter {
    /// Only these scopes; empty = none.
    pub scopes: Vec<String>,
    /// Only this client's id.
    pub command_id: Option<String>,
    /// Only these states, by name.
    pub states: Option<Vec<String>>,
    /// Only these operations, by name.
    pub kinds: Option<Vec<String>>,
    /// Only of these instruments.
    pub instruments: Option<Vec<String>>,
}

/// `$1`–`$5`: the filter.
macro_rules! matching {
    () => {
        " WHERE c.scope = ANY ($1)
            AND ($2::text   IS NULL OR c.command_id = $2)
            AND ($3::text[] IS NULL OR c.state = ANY ($3))
            AND ($4::text[] IS NULL OR c.kind = ANY ($4))
            AND ($5::text[] IS NULL OR c.instrument_id = ANY ($5))"
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
            " AND c.seq > $6 AND c.seq < $7 ORDER BY c.seq ",
            $direction,
            " LIMIT $8"
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
        .bind(&filter.scopes)
        .bind(filter.command_id.as_ref())
        .bind(filter.states.as_ref())
        .bind(filter.kinds.as_ref())
        .bind(filter.instruments.as_ref())
}
