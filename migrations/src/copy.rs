//! Rows in the binary form of `COPY … FROM STDIN (FORMAT binary)`, the fastest exact way into Postgres.

use alloy::primitives::{Address, B256, U256};
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::numeric::{self, Delta};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const MICROS_FROM_UNIX_TO_POSTGRES_EPOCH: i128 = 946_684_800_000_000;

/// Rows being written, field by field, in the order of the statement's columns.
///
/// ```
/// # use alloy::primitives::{Address, U256};
/// let mut rows = tokenx_migrations::copy::Rows::new(2);
/// rows.row().address(Address::ZERO).uint256(U256::MAX);
/// assert_eq!(rows.len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct Rows {
    columns: i16,
    rows: u64,
    bytes: Vec<u8>,
}

impl Rows {
    /// No rows yet, of `columns` columns each.
    #[must_use]
    pub fn new(columns: i16) -> Self {
        Self { columns, rows: 0, bytes: SIGNATURE.to_vec() }
    }

    /// How many rows have been begun.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.rows
    }

    /// No row begun?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes so far, for callers that bound their memory.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Begins the next row.
    pub fn row(&mut self) -> &mut Self {
        self.rows += 1;
        self.bytes.extend_from_slice(&self.columns.to_be_bytes());
        self
    }

    /// A field written by `write`, preceded by its length.
    fn field(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes);
        // A field is a value already in memory; Postgres refuses one above 1 GB, whatever this says.
        let length = i32::try_from(self.bytes.len() - start - 4).unwrap_or(i32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self
    }

    /// A NULL.
    pub fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&(-1i32).to_be_bytes());
        self
    }

    /// `value` by `write`, or NULL.
    pub fn or_null<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T) -> &mut Self) -> &mut Self {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }

    /// A `bigint`.
    pub fn bigint(&mut self, value: i64) -> &mut Self {
        self.field(|out| out.extend_from_slice(&value.to_be_bytes()))
    }

    /// An `integer`.
    pub fn integer(&mut self, value: i32) -> &mut Self {
        self.field(|out| out.extend_from_slice(&value.to_be_bytes()))
    }

    /// A `smallint`.
    pub fn smallint(&mut self, value: i16) -> &mut Self {
        self.field(|out| out.extend_from_slice(&value.to_be_bytes()))
    }

    /// A `boolean`.
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.field(|out| out.push(u8::from(value)))
    }

    /// A `text`. Postgres refuses NUL characters: clean what comes from a chain first.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.field(|out| out.extend_from_slice(value.as_bytes()))
    }

    /// A `jsonb`.
    pub fn jsonb(&mut self, value: &serde_json::Value) -> &mut Self {
        self.field(|out| {
            out.push(1);
            out.extend_from_slice(value.to_string().as_bytes());
        })
    }

    /// A `bytea`.
    pub fn bytea(&mut self, value: &[u8]) -> &mut Self {
        self.field(|out| out.extend_from_slice(value))
    }

    /// An `address`.
    pub fn address(&mut self, value: Address) -> &mut Self {
        self.bytea(value.as_slice())
    }

    /// A `word`.
    pub fn word(&mut self, value: B256) -> &mut Self {
        self.bytea(value.as_slice())
    }

    /// A `uint256`.
    pub fn uint256(&mut self, value: U256) -> &mut Self {
        self.field(|out| numeric::encode(false, value, out))
    }

    /// An `int257`.
    pub fn int257(&mut self, value: Delta) -> &mut Self {
        self.field(|out| numeric::encode(value.is_negative(), value.magnitude(), out))
    }

    /// A `timestamptz`, to the microsecond.
    pub fn timestamptz(&mut self, value: OffsetDateTime) -> &mut Self {
        let micros = value.unix_timestamp_nanos().div_euclid(1_000) - MICROS_FROM_UNIX_TO_POSTGRES_EPOCH;
        // The whole range of `OffsetDateTime` is within i64 microseconds.
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        self.field(|out| out.extend_from_slice(&micros.to_be_bytes()))
    }

    /// Sends the rows by `statement`, a `COPY table (columns) FROM STDIN (FORMAT binary)`; gives the number written.
    ///
    /// # Errors
    /// The database's, such as a violated constraint; the caller's transaction is then over.
    pub async fn send(self, conn: &mut PgConnection, statement: &'static str) -> Result<u64, sqlx::Error> {
        if self.rows == 0 {
            return Ok(0);
        }
        let mut bytes = self.bytes;
        bytes.extend_from_slice(&(-1i16).to_be_bytes());
        let mut copy = conn.copy_in_raw(statement).await?;
        copy.send(bytes).await?;
        copy.finish().await
    }
}
