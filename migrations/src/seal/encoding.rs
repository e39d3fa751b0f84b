//! What is hashed, byte for byte: whoever wants to check a seal without us needs no more than this page. Every hash is a
//! SHA-256 that begins with its own name; a number is eight bytes, the highest first; a text is its length as a number and
//! its bytes in UTF-8; a time is a number, microseconds since 1970.
//!
//! - **entry**: `tokenx audit entry`, time, actor, action, subject, a byte 1 and the request's id or a byte 0, and the
//!   detail as Postgres writes `jsonb`: members by length and then by bytes, numbers as they came.
//! - **root**: `tokenx audit root`, and of each entry the writing transaction's id, the number in the log, the hash.
//! - **seal**: `tokenx audit seal`, number, previous hash, place of the last entry, how many there are and their hashes,
//!   root, time.

use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::postgres::PgRow;
use time::OffsetDateTime;

use super::Seal;
use crate::Position;

/// An entry of the log, by its place and the hash of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub position: Position,
    pub hash: B256,
}

impl Entry {
    /// Of a row with `xid` and `detail` as text.
    pub(super) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let request_id: Option<&str> = row.try_get("request_id")?;
        let mut hash = Sha256::new_with_prefix(b"tokenx audit entry");
        hash.update(micros(row.try_get("at")?));
        for column in ["actor", "action", "subject"] {
            text(&mut hash, row.try_get(column)?);
        }
        hash.update([u8::from(request_id.is_some())]);
        if let Some(id) = request_id {
            text(&mut hash, id);
        }
        text(&mut hash, row.try_get("detail")?);
        let position = Position::from_columns(row.try_get("xid")?, row.try_get("seq")?)?;
        Ok(Self { position, hash: word(hash) })
    }
}

pub(super) fn root(entries: &[Entry]) -> B256 {
    let mut hash = Sha256::new_with_prefix(b"tokenx audit root");
    for entry in entries {
        place(&mut hash, entry.position);
        hash.update(entry.hash);
    }
    word(hash)
}

/// Of all members but its hash.
pub(super) fn hash(seal: &Seal) -> B256 {
    let mut hash = Sha256::new_with_prefix(b"tokenx audit seal");
    hash.update(seal.number.to_be_bytes());
    hash.update(seal.previous);
    place(&mut hash, seal.last);
    hash.update((seal.entries.len() as u64).to_be_bytes());
    for entry in &seal.entries {
        hash.update(entry);
    }
    hash.update(seal.root);
    hash.update(micros(seal.sealed_at));
    word(hash)
}

fn text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

fn place(hash: &mut Sha256, place: Position) {
    hash.update(place.xid.to_be_bytes());
    hash.update(place.seq.to_be_bytes());
}

/// As finely as Postgres keeps it.
fn micros(at: OffsetDateTime) -> [u8; 8] {
    let micros = at.unix_timestamp_nanos() / 1_000;
    i64::try_from(micros).unwrap_or(i64::MAX).to_be_bytes()
}

fn word(hash: Sha256) -> B256 {
    B256::from_slice(&hash.finalize())
}
