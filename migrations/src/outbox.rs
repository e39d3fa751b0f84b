//! The outbox: what happened, for subscribers. Appended to here and nowhere else, in the write's own transaction.

use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, Row};
use time::OffsetDateTime;

use crate::Position;

/// The NOTIFY channel that [`wake`] speaks on. A wake-up only: what is true is what [`read_after`] returns.
pub const CHANNEL: &str = "tokenx_outbox";

/// One event to append.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened: `mint`, `command.state`, `reorg.correction`.
    pub kind: String,
    /// What it is about; events of one subject stay in order.
    pub subject: String,
    /// The event as subscribers get it.
    pub payload: Value,
    /// Where set, a second event with this key is dropped: a re-derived effect happens once.
    /// By convention `kind:subject:block hash:log index`.
    pub effect_key: Option<String>,
}

/// An event as it was kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its place; hand the last one back to [`read_after`].
    pub position: Position,
    /// When it was appended, by the database's clock.
    pub at: OffsetDateTime,
    /// See [`Event::kind`].
    pub kind: String,
    /// See [`Event::subject`].
    pub subject: String,
    /// See [`Event::payload`].
    pub payload: Value,
}

/// Appends one event in the caller's transaction; an `effect_key` already there makes it a no-op.
///
/// # Errors
/// The database's.
pub async fn append(conn: &mut PgConnection, event: Event) -> Result<(), sqlx::Error> {
    append_all(conn, std::slice::from_ref(&event)).await
}

/// The statement of [`append_all`].
macro_rules! append {
    () => {
        "INSERT INTO outbox (kind, subject, payload, effect_key)
         SELECT kind, subject, payload::json, effect_key
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
                WITH ORDINALITY AS e (kind, subject, payload, effect_key, place)
          ORDER BY place"
    };
}

/// Appends several events in order with one statement.
///
/// # Errors
/// As [`append`].
pub async fn append_all(conn: &mut PgConnection, events: &[Event]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    // Looking for others with the same key costs half as much again, and most have none.
    let keyed = events.iter().any(|event| event.effect_key.is_some());
    let append = if keyed {
        concat!(append!(), " ON CONFLICT (effect_key) WHERE effect_key IS NOT NULL DO NOTHING")
    } else {
        append!()
    };
    sqlx::query(append)
        .bind(events.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.subject.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.payload.to_string()).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.effect_key.as_deref()).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

/// Wakes subscribers that LISTEN on [`CHANNEL`]. Call it after commit, coalesced: inside the transaction it would
/// take a lock that all notifying commits share.
///
/// # Errors
/// The database's; losing a wake-up costs a subscriber one poll interval.
pub async fn wake(db: impl PgExecutor<'_>) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(db).await?;
    Ok(())
}

/// Up to `limit` events after `position`, in order, none ever skipped: only those of transactions older than the
/// oldest one still running. A long write transaction anywhere on the server therefore holds events back.
///
/// # Errors
/// The database's.
pub async fn read_after(db: impl PgExecutor<'_>, position: Position, limit: i64) -> Result<Vec<Kept>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT xid::text AS xid, seq, at, kind, subject, payload
           FROM outbox
          WHERE (xid, seq) > ($1::text::xid8, $2)
            AND xid < pg_snapshot_xmin(pg_current_snapshot())
          ORDER BY outbox.xid, seq
          LIMIT $3",
    )
    .bind(position.xid.to_string())
    .bind(position.seq)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Kept {
                position: Position::from_columns(row.try_get("xid")?, row.try_get("seq")?)?,
                at: row.try_get("at")?,
                kind: row.try_get("kind")?,
                subject: row.try_get("subject")?,
                payload: row.try_get("payload")?,
            })
        })
        .collect()
}

/// The place of the newest event that [`read_after`] would give now; where a subscriber that wants only news begins.
///
/// # Errors
/// The database's.
pub async fn head(db: impl PgExecutor<'_>) -> Result<Position, sqlx::Error> {
    let row = sqlx::query(
        "SELECT xid::text AS xid, seq
           FROM outbox
          WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
          ORDER BY outbox.xid DESC, seq DESC
          LIMIT 1",
    )
    .fetch_optional(db)
    .await?;
    row.map_or(Ok(Position::START), |row| Position::from_columns(row.try_get("xid")?, row.try_get("seq")?))
}

/// Whether what comes after `position` can be told without a gap: the event there is still kept, or it is the start.
///
/// # Errors
/// The database's.
pub async fn keeps(db: impl PgExecutor<'_>, position: Position) -> Result<bool, sqlx::Error> {
    let kept: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM outbox WHERE xid = $1::text::xid8 AND seq = $2)")
        .bind(position.xid.to_string())
        .bind(position.seq)
        .fetch_one(db)
        .await?;
    Ok(kept || position == Position::START)
}

/// A durable subscriber, with the queue figures that `/status` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its name, unique.
    pub name: String,
    /// Events it has not read yet.
    pub queue_depth: i64,
    /// How many it lets wait before it drops.
    pub queue_maxsize: i64,
    /// Batches it has dropped, ever.
    pub dropped_batches_total: i64,
    /// When it last moved.
    pub updated_at: OffsetDateTime,
}

/// Registers a durable subscriber and gives its position: where it was, or the start of the outbox if it is new.
///
/// # Errors
/// The database's; `queue_maxsize` below 1 is one of them.
pub async fn register(db: impl PgExecutor<'_>, name: &str, queue_maxsize: i64) -> Result<Position, sqlx::Error> {
    let row = sqlx::query(
        "INSERT INTO outbox_consumers (name, xid, seq, queue_maxsize)
         VALUES ($1, '0', 0, $2)
             ON CONFLICT (name) DO UPDATE SET queue_maxsize = excluded.queue_maxsize
         RETURNING xid::text AS xid, seq",
    )
    .bind(name)
    .bind(queue_maxsize)
    .fetch_one(db)
    .await?;
    Position::from_columns(row.try_get("xid")?, row.try_get("seq")?)
}

/// Records how far a subscriber has read, and batches it dropped on the way. Never moves it back.
///
/// # Errors
/// The database's.
pub async fn advance(
    db: impl PgExecutor<'_>,
    name: &str,
    position: Position,
    dropped_batches: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox_consumers
            SET xid                   = $2::text::xid8,
                seq                   = $3,
                dropped_batches_total = dropped_batches_total + $4,
                updated_at            = now()
          WHERE name = $1
            AND (xid, seq) <= ($2::text::xid8, $3)",
    )
    .bind(name)
    .bind(position.xid.to_string())
    .bind(position.seq)
    .bind(dropped_batches)
    .execute(db)
    .await?;
    Ok(())
}

/// All durable subscribers by name.
///
/// # Errors
/// The database's.
pub async fn consumers(db: impl PgExecutor<'_>) -> Result<Vec<Consumer>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT c.name, c.queue_maxsize, c.dropped_batches_total, c.updated_at,
                (SELECT count(*) FROM outbox o WHERE (o.xid, o.seq) > (c.xid, c.seq)) AS queue_depth
           FROM outbox_consumers c
          ORDER BY c.name",
    )
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Consumer {
                name: row.try_get("name")?,
                queue_depth: row.try_get("queue_depth")?,
                queue_maxsize: row.try_get("queue_maxsize")?,
                dropped_batches_total: row.try_get("dropped_batches_total")?,
                updated_at: row.try_get("updated_at")?,
            })
        })
        .collect()
}
