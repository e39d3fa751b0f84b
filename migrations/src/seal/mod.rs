//! Seals over the audit log. Entries go in unchained, each in its write's own transaction; a moment later a seal names
//! every entry that is there for good and is not sealed yet, and the hash of the seal before it. Whoever then changes,
//! removes, adds or moves an entry must make every later seal anew, and cannot make those anew whose hash stands elsewhere.

mod encoding;
mod verify;

use alloy::primitives::B256;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor, Row};
use time::OffsetDateTime;

pub use verify::{Anchor, Difference, Kind, Verification, verify};

use crate::{Position, Word};
use encoding::Entry;

/// Most entries of one seal.
const MOST: i64 = 1_000;

/// A seal as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Its place in the chain, from 1.
    pub number: u64,
    /// Its last entry; its first is the one after the last of the seal before.
    pub last: Position,
    /// The hash of each entry, in order.
    pub entries: Vec<B256>,
    /// Hash of the entries' places and hashes.
    pub root: B256,
    /// Hash of the seal before; zero for the first.
    pub previous: B256,
    /// Its own hash, over all of the above.
    pub hash: B256,
    /// When it was made, by the database's clock.
    pub sealed_at: OffsetDateTime,
}

/// Seals the next entries, in the caller's transaction: all that are older than the oldest transaction still running, up
/// to a thousand. `None` where there are none, or somebody else is at it.
///
/// # Errors
/// The database's, or that the transaction sees one state throughout (it must read what the last sealer wrote).
pub async fn next(conn: &mut PgConnection) -> Result<Option<Seal>, sqlx::Error> {
    let ours = "SELECT pg_try_advisory_xact_lock(hashtextextended('audit:seal', 0))";
    if !sqlx::query_scalar(ours).fetch_one(&mut *conn).await? {
        return Ok(None);
    }
    let (number, previous, after) =
        head(&mut *conn).await?.map_or((0, B256::ZERO, Position::START), |head| (head.number, head.hash, head.last));
    let rows = sqlx::query(
        "SELECT xid::text AS xid, seq, at, actor, action, subject, request_id, detail::text AS detail,
                clock_timestamp() AS now
           FROM audit_log
          WHERE (xid, seq) > ($1::text::xid8, $2)
            AND xid < pg_snapshot_xmin(pg_current_snapshot())
          ORDER BY audit_log.xid, seq
          LIMIT $3",
    )
    .bind(after.xid.to_string())
    .bind(after.seq)
    .bind(MOST)
    .fetch_all(&mut *conn)
    .await?;
    let entries = rows.iter().map(Entry::read).collect::<Result<Vec<_>, _>>()?;
    let (Some(row), Some(last)) = (rows.last(), entries.last()) else { return Ok(None) };
    let mut seal = Seal {
        number: number + 1,
        last: last.position,
        root: encoding::root(&entries),
        entries: entries.iter().map(|entry| entry.hash).collect(),
        previous,
        hash: B256::ZERO,
        sealed_at: row.try_get("now")?,
    };
    seal.hash = encoding::hash(&seal);
    insert(conn, &seal).await?;
    Ok(Some(seal))
}

async fn insert(conn: &mut PgConnection, seal: &Seal) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit_seals (number, last_xid, last_seq, entries, root, previous, hash, sealed_at)
         VALUES ($1, $2::text::xid8, $3, $4, $5, $6, $7, $8)",
    )
    .bind(seal.number.cast_signed())
    .bind(seal.last.xid.to_string())
    .bind(seal.last.seq)
    .bind(seal.entries.concat())
    .bind(Word(seal.root))
    .bind(Word(seal.previous))
    .bind(Word(seal.hash))
    .bind(seal.sealed_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// A seal without its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// See [`Seal::number`].
    pub number: u64,
    /// See [`Seal::last`].
    pub last: Position,
    /// See [`Seal::hash`].
    pub hash: B256,
    /// See [`Seal::sealed_at`].
    pub sealed_at: OffsetDateTime,
}

/// The newest seal.
///
/// # Errors
/// The database's.
pub async fn head(db: impl PgExecutor<'_>) -> Result<Option<Head>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT number, last_xid::text AS last_xid, last_seq, hash, sealed_at
           FROM audit_seals
          ORDER BY number DESC
          LIMIT 1",
    )
    .fetch_optional(db)
    .await?;
    row.as_ref().map(Head::read).transpose()
}

/// The seal of this number.
///
/// # Errors
/// The database's.
async fn numbered(db: impl PgExecutor<'_>, number: u64) -> Result<Option<Head>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT number, last_xid::text AS last_xid, last_seq, hash, sealed_at
           FROM audit_seals
          WHERE number = $1",
    )
    .bind(number.cast_signed())
    .fetch_optional(db)
    .await?;
    row.as_ref().map(Head::read).transpose()
}

/// When the oldest entry that no seal names was appended; `None` where there is none.
///
/// # Errors
/// The database's.
pub async fn unsealed_since(db: impl PgExecutor<'_>) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT a.at
           FROM audit_log a
          WHERE (a.xid, a.seq) > (coalesce((SELECT last_xid FROM audit_seals ORDER BY number DESC LIMIT 1), '0'),
                                  coalesce((SELECT last_seq FROM audit_seals ORDER BY number DESC LIMIT 1), 0))
          ORDER BY a.xid, a.seq
          LIMIT 1",
    )
    .fetch_optional(db)
    .await
}

/// The numbers of the seals that name these places, in their order; `None` of one that is not sealed yet.
///
/// # Errors
/// The database's.
pub async fn seals_of(db: impl PgExecutor<'_>, places: &[Position]) -> Result<Vec<Option<u64>>, sqlx::Error> {
    let numbers: Vec<Option<i64>> = sqlx::query_scalar(
        "SELECT s.number
           FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS p (xid, seq, place)
           LEFT JOIN LATERAL (
                SELECT number
                  FROM audit_seals
                 WHERE (last_xid, last_seq) >= (p.xid::xid8, p.seq)
                 ORDER BY last_xid, last_seq
                 LIMIT 1
                ) s ON true
          ORDER BY p.place",
    )
    .bind(places.iter().map(|place| place.xid.to_string()).collect::<Vec<_>>())
    .bind(places.iter().map(|place| place.seq).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    Ok(numbers.into_iter().map(|number| number.map(i64::cast_unsigned)).collect())
}

impl Head {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: row.try_get::<i64, _>("number")?.cast_unsigned(),
            last: Position::from_columns(row.try_get("last_xid")?, row.try_get("last_seq")?)?,
            hash: row.try_get::<Word, _>("hash")?.0,
            sealed_at: row.try_get("sealed_at")?,
        })
    }
}

impl Seal {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let entries: Vec<u8> = row.try_get("entries")?;
        Ok(Self {
            number: row.try_get::<i64, _>("number")?.cast_unsigned(),
            last: Position::from_columns(row.try_get("last_xid")?, row.try_get("last_seq")?)?,
            entries: entries.chunks_exact(32).map(B256::from_slice).collect(),
            root: row.try_get::<Word, _>("root")?.0,
            previous: row.try_get::<Word, _>("previous")?.0,
            hash: row.try_get::<Word, _>("hash")?.0,
            sealed_at: row.try_get("sealed_at")?,
        })
    }
}
