//! Entries against seals, seals against each other and against what the chain has of them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Instant;

use alloy::primitives::B256;
use sqlx::PgConnection;

use super::encoding::{self, Entry};
use super::{Head, Seal};
use crate::Position;

/// Seals read at once, with their entries: what a check holds in memory.
const BATCH: i64 = 50;

/// A seal's hash as it stands where nobody can change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The seal.
    pub number: u64,
    /// Its hash there.
    pub hash: B256,
    /// Where it stands, for people: a block, a transaction.
    pub place: String,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Seals that hold, of those that were looked at.
    pub seals: u64,
    /// Entries that they name.
    pub entries: u64,
    /// Entries after the last seal, which nothing vouches for yet.
    pub unsealed: u64,
    /// Anchors that name seals that hold.
    pub anchors: u64,
    /// The last seal that holds.
    pub head: Option<Head>,
    /// The first thing that is not as it was; all before it is.
    pub difference: Option<Difference>,
    /// Whether everything was looked at, up to the difference; else the rest comes after [`Verification::head`].
    pub complete: bool,
}

/// Something that is not as it was when it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {}: {what}", self.place())]
pub struct Difference {
    /// What was done.
    pub kind: Kind,
    /// The seal that tells.
    pub seal: u64,
    /// The place in the log, where it is about an entry: of the one that is there, or after which one is missing.
    pub position: Option<Position>,
    /// Both sides, for people.
    pub what: String,
}

impl Difference {
    fn place(&self) -> String {
        match self.position {
            Some(position) => format!("at {position} (seal {})", self.seal),
            None => format!("at seal {}", self.seal),
        }
    }
}

/// What was done to the log, as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An entry says something else.
    Tampered,
    /// An entry is gone.
    Removed,
    /// An entry was put among sealed ones.
    Inserted,
    /// Entries have changed places.
    Reordered,
    /// An entry stands at another place, though in the same order.
    Moved,
    /// A seal is not what its own hash says, or lacks, or does not follow the one before.
    Seal,
    /// The chain of blocks has another hash of a seal, or has a seal that is not there.
    Anchor,
}

impl Kind {
    /// Its name, for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tampered => "tampered",
            Self::Removed => "removed",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Moved => "moved",
            Self::Seal => "seal",
            Self::Anchor => "anchor",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Checks the log in the caller's transaction, which should see one state throughout, a few thousand entries at a time: all
/// of it, or what comes after a seal that was found to hold before. Ends at the first difference, or some entries after
/// `until`.
///
/// # Errors
/// The database's.
pub async fn verify(
    conn: &mut PgConnection,
    anchors: &[Anchor],
    after: Option<u64>,
    until: Option<Instant>,
) -> Result<Verification, sqlx::Error> {
    let mut found =
        Verification { seals: 0, entries: 0, unsealed: 0, anchors: 0, head: None, difference: None, complete: true };
    if let Some(number) = after {
        found.head = super::numbered(&mut *conn, number).await?;
        if found.head.is_none() {
            let what = "it is missing".to_owned();
            found.difference = Some(Difference { kind: Kind::Seal, seal: number, position: None, what });
            return Ok(found);
        }
    }
    let mut anchored: BTreeMap<u64, Vec<&Anchor>> = BTreeMap::new();
    for anchor in anchors.iter().filter(|anchor| after.is_none_or(|after| anchor.number > after)) {
        anchored.entry(anchor.number).or_default().push(anchor);
    }
    loop {
        let seals = seals_after(conn, found.head.map_or(0, |head| head.number)).await?;
        let Some(last) = seals.last() else { break };
        let named: usize = seals.iter().map(|seal| seal.entries.len()).sum();
        // One more than is named: enough to see that there are more.
        let limit = i64::try_from(named).unwrap_or(i64::MAX).saturating_add(1);
        let after = found.head.map_or(Position::START, |head| head.last);
        let entries = entries_between(conn, after, last.last, limit).await?;
        let mut entries = entries.as_slice();
        for seal in &seals {
            let (own, rest) = entries.split_at(entries.partition_point(|entry| entry.position <= seal.last));
            entries = rest;
            let hashes = anchored.remove(&seal.number).unwrap_or_default();
            let difference = of_chain(found.head.as_ref(), seal)
                .or_else(|| of_entries(seal, own))
                .or_else(|| of_anchors(seal, &hashes));
            if difference.is_some() {
                return Ok(Verification { difference, ..found });
            }
            found.seals += 1;
            found.entries += own.len() as u64;
            found.anchors += hashes.len() as u64;
            found.head =
                Some(Head { number: seal.number, last: seal.last, hash: seal.hash, sealed_at: seal.sealed_at });
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(Verification { complete: false, ..found });
        }
    }
    if let Some((number, hashes)) = anchored.pop_first() {
        let place = hashes.first().map_or_else(String::new, |anchor| anchor.place.clone());
        let end = found.head.map_or(0, |head| head.number);
        let what = format!("the chain has a hash of it ({place}), the log ends at seal {end}");
        found.difference = Some(Difference { kind: Kind::Anchor, seal: number, position: None, what });
        return Ok(found);
    }
    let after = found.head.map_or(Position::START, |head| head.last);
    let unsealed: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE (xid, seq) > ($1::text::xid8, $2)")
        .bind(after.xid.to_string())
        .bind(after.seq)
        .fetch_one(conn)
        .await?;
    found.unsealed = unsealed.cast_unsigned();
    Ok(found)
}

/// Does the seal follow the one before, and is it what its hash says?
fn of_chain(before: Option<&Head>, seal: &Seal) -> Option<Difference> {
    let (number, previous, after) =
        before.map_or((0, B256::ZERO, Position::START), |head| (head.number, head.hash, head.last));
    let broken = |seal, what| Some(Difference { kind: Kind::Seal, seal, position: None, what });
    if seal.number != number + 1 {
        return broken(number + 1, format!("it is missing, the next one is seal {}", seal.number));
    }
    if seal.previous != previous {
        return broken(seal.number, format!("it follows {}, seal {number} is {previous}", seal.previous));
    }
    if seal.last <= after {
        return broken(seal.number, format!("it ends at {}, seal {number} at {after}", seal.last));
    }
    let hash = encoding::hash(seal);
    if seal.hash != hash {
        return broken(seal.number, format!("its content has the hash {hash}, it says {}", seal.hash));
    }
    None
}

/// The first entry that is not as the seal has it. An entry is known by what it says, its place apart.
fn of_entries(seal: &Seal, own: &[Entry]) -> Option<Difference> {
    let found: HashSet<B256> = own.iter().map(|entry| entry.hash).collect();
    let named: HashSet<B256> = seal.entries.iter().copied().collect();
    let differs = |kind, position, what: String| {
        Some(Difference { kind, seal: seal.number, position, what: format!("{what}, of {}", seal.entries.len()) })
    };
    for place in 0..own.len().max(seal.entries.len()) {
        let (entry, sealed) = (own.get(place), seal.entries.get(place));
        let nth = format!("entry {} of the seal", place + 1);
        let before = || place.checked_sub(1).and_then(|before| own.get(before)).map(|entry| entry.position);
        match (entry, sealed) {
            (Some(entry), Some(sealed)) if entry.hash == *sealed => {}
            (Some(entry), Some(sealed)) => {
                let here = Some(entry.position);
                let what = format!("{nth} has the hash {}, sealed was {sealed}", entry.hash);
                return match (named.contains(&entry.hash), found.contains(sealed)) {
                    (true, true) => differs(Kind::Reordered, here, what),
                    (true, false) => differs(Kind::Removed, before(), what),
                    (false, true) => differs(Kind::Inserted, here, what),
                    (false, false) => differs(Kind::Tampered, here, what),
                };
            }
            (Some(entry), None) => {
                return differs(Kind::Inserted, Some(entry.position), format!("{nth} was never sealed"));
            }
            (None, Some(sealed)) => {
                return differs(Kind::Removed, before(), format!("{nth}, sealed as {sealed}, is gone"));
            }
            (None, None) => {}
        }
    }
    if encoding::root(own) == seal.root {
        return None;
    }
    let last = own.last().map(|entry| entry.position);
    differs(Kind::Moved, last, format!("the places up to this one give another root than {}", seal.root))
}

fn of_anchors(seal: &Seal, anchors: &[&Anchor]) -> Option<Difference> {
    let other = anchors.iter().find(|anchor| anchor.hash != seal.hash)?;
    let what = format!(
        "the chain has its hash as {} ({}), it is {}: it, or one before it, was made anew",
        other.hash, other.place, seal.hash
    );
    Some(Difference { kind: Kind::Anchor, seal: seal.number, position: None, what })
}

async fn seals_after(conn: &mut PgConnection, number: u64) -> Result<Vec<Seal>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT number, last_xid::text AS last_xid, last_seq, entries, root, previous, hash, sealed_at
           FROM audit_seals
          WHERE number > $1
          ORDER BY number
          LIMIT $2",
    )
    .bind(number.cast_signed())
    .bind(BATCH)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Seal::read).collect()
}

async fn entries_between(
    conn: &mut PgConnection,
    after: Position,
    last: Position,
    limit: i64,
) -> Result<Vec<Entry>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT xid::text AS xid, seq, at, actor, action, subject, request_id, detail::text AS detail
           FROM audit_log
          WHERE (xid, seq) >  ($1::text::xid8, $2)
            AND (xid, seq) <= ($3::text::xid8, $4)
          ORDER BY audit_log.xid, seq
          LIMIT $5",
    )
    .bind(after.xid.to_string())
    .bind(after.seq)
    .bind(last.xid.to_string())
    .bind(last.seq)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(Entry::read).collect()
}
