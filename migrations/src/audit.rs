//! The audit log: who did what. Appended to here and nowhere else, always in the write's own transaction.

use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, Row};
use time::OffsetDateTime;

use crate::Position;

/// One entry to append.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Who: `user:<id>`, `service:<id>`, `cli:<name>` or `system`.
    pub actor: &'a str,
    /// What, noun first: `command.accept`, `wallet.approve`.
    pub action: &'a str,
    /// About what: `kind:<id>`.
    pub subject: &'a str,
    /// The request that caused it; `None` where nobody asked.
    pub request_id: Option<&'a str>,
    /// What else is worth keeping. Never a secret.
    pub detail: Value,
}

/// An entry as it was kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its place in the log.
    pub position: Position,
    /// When it was appended, by the database's clock.
    pub at: OffsetDateTime,
    /// See [`Entry::actor`].
    pub actor: String,
    /// See [`Entry::action`].
    pub action: String,
    /// See [`Entry::subject`].
    pub subject: String,
    /// See [`Entry::request_id`].
    pub request_id: Option<String>,
    /// See [`Entry::detail`].
    pub detail: Value,
}

/// Appends one entry in the caller's transaction.
///
/// # Errors
/// The database's, which end the caller's transaction: nothing is done that is not logged.
pub async fn append(conn: &mut PgConnection, entry: Entry<'_>) -> Result<(), sqlx::Error> {
    append_all(conn, &[entry]).await
}

/// Appends several entries in order with one statement, for writers that share a commit.
///
/// # Errors
/// As [`append`].
pub async fn append_all(conn: &mut PgConnection, entries: &[Entry<'_>]) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO audit_log (actor, action, subject, request_id, detail)
         SELECT actor, action, subject, request_id, detail
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
                WITH ORDINALITY AS e (actor, action, subject, request_id, detail, place)
          ORDER BY place",
    )
    .bind(entries.iter().map(|e| e.actor).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.action).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.subject).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.request_id).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| &e.detail).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// What a page of the log is to hold; the default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only by this actor.
    pub actor: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only about this subject.
    pub subject: Option<String>,
    /// Only at this time or later.
    pub from: Option<OffsetDateTime>,
    /// Only before this time.
    pub to: Option<OffsetDateTime>,
    /// Only entries before this place; `None`: from the end.
    pub before: Option<Position>,
}

/// A page of the log, newest first: up to `limit` entries.
///
/// # Errors
/// The database's.
pub async fn page(db: impl PgExecutor<'_>, filter: &Filter, limit: i64) -> Result<Vec<Kept>, sqlx::Error> {
    let before = filter.before.unwrap_or(Position { xid: u64::MAX, seq: i64::MAX });
    let named: Vec<&str> =
        [&filter.actor, &filter.action, &filter.subject].into_iter().filter_map(Option::as_deref).collect();
    // Without a name the index of names would be read from end to end.
    let page = if named.is_empty() {
        "SELECT xid::text AS xid, seq, at, actor, action, subject, request_id, detail
           FROM audit_log
          WHERE (xid, seq) < ($1::text::xid8, $2)
            AND ($4::timestamptz IS NULL OR at >= $4)
            AND ($5::timestamptz IS NULL OR at <  $5)
          ORDER BY audit_log.xid DESC, seq DESC
          LIMIT $3"
    } else {
        "SELECT xid::text AS xid, seq, at, actor, action, subject, request_id, detail
           FROM audit_log
          WHERE (xid, seq) < ($1::text::xid8, $2)
            AND ($4::timestamptz IS NULL OR at >= $4)
            AND ($5::timestamptz IS NULL OR at <  $5)
            AND ARRAY[actor, action, subject] @> $6::text[]
            AND ($7::text IS NULL OR actor   = $7)
            AND ($8::text IS NULL OR action  = $8)
            AND ($9::text IS NULL OR subject = $9)
          ORDER BY audit_log.xid DESC, seq DESC
          LIMIT $3"
    };
    let mut query =
        sqlx::query(page).bind(before.xid.to_string()).bind(before.seq).bind(limit).bind(filter.from).bind(filter.to);
    if !named.is_empty() {
        query = query.bind(named).bind(&filter.actor).bind(&filter.action).bind(&filter.subject);
    }
    // Planned for what is asked for: a name may be that of one entry, or of most.
    let rows = query.persistent(false).fetch_all(db).await?;
    rows.iter()
        .map(|row| {
            Ok(Kept {
                position: Position::from_columns(row.try_get("xid")?, row.try_get("seq")?)?,
                at: row.try_get("at")?,
                actor: row.try_get("actor")?,
                action: row.try_get("action")?,
                subject: row.try_get("subject")?,
                request_id: row.try_get("request_id")?,
                detail: row.try_get("detail")?,
            })
        })
        .collect()
}
