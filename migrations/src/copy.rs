//! Rows on their way into a table, in the binary form that Postgres reads without parsing or rounding.
//!
//! `COPY` takes half the time of an `INSERT` from arrays of the same bytes, but the driver sends its end in a packet of its
//! own, which TCP holds back until the server has acknowledged the data: at once where they are many, some 40 ms later
//! where they fit a few packets. So few rows are inserted and many copied.

use alloy::primitives::{Address, B256, U256};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Encode, PgConnection, Postgres, QueryBuilder, Type};
use time::OffsetDateTime;

use crate::numeric::{self, Delta};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The length of what is not there.
const NULL: [u8; 4] = (-1i32).to_be_bytes();
const MICROS_FROM_UNIX_TO_POSTGRES_EPOCH: i128 = 946_684_800_000_000;
/// More bytes than this are copied: some of the largest packets, of 64 KiB on the loopback interface.
const MOST_INSERTED: usize = 256 << 10;
/// Bytes of one message: Postgres writes the rows of one while the next is on its way.
const MESSAGE: usize = 64 << 10;

/// A column's type, by its fixed numbers in `pg_type`: its own, and that of its array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    own: u32,
    array: u32,
}

impl Kind {
    const BOOLEAN: Self = Self { own: 16, array: 1000 };
    const BYTEA: Self = Self { own: 17, array: 1001 };
    const BIGINT: Self = Self { own: 20, array: 1016 };
    const SMALLINT: Self = Self { own: 21, array: 1005 };
    const INTEGER: Self = Self { own: 23, array: 1007 };
    const TEXT: Self = Self { own: 25, array: 1009 };
    const TIMESTAMPTZ: Self = Self { own: 1184, array: 1185 };
    const NUMERIC: Self = Self { own: 1700, array: 1231 };
    const JSONB: Self = Self { own: 3802, array: 3807 };
}

/// A value that a column may lack.
pub trait Field {
    /// What the column is.
    const KIND: Kind;
}

macro_rules! field {
    ($($type:ty => $kind:ident),* $(,)?) => {
        $(impl Field for $type {
            const KIND: Kind = Kind::$kind;
        })*
    };
}

field!(
    bool => BOOLEAN, i16 => SMALLINT, i32 => INTEGER, i64 => BIGINT, &str => TEXT, &[u8] => BYTEA, Address => BYTEA,
    B256 => BYTEA, U256 => NUMERIC, Delta => NUMERIC, OffsetDateTime => TIMESTAMPTZ, &serde_json::Value => JSONB,
);

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
    /// Those of the first row.
    kinds: Vec<Kind>,
    rows: u64,
    bytes: Vec<u8>,
}

impl Rows {
    /// No rows yet, of `columns` columns each.
    #[must_use]
    pub fn new(columns: i16) -> Self {
        Self { columns, kinds: Vec::new(), rows: 0, bytes: SIGNATURE.to_vec() }
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
    fn field(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.note(kind);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        write(&mut self.bytes);
        // A field is a value already in memory; Postgres refuses one above 1 GB, whatever this says.
        let length = i32::try_from(self.bytes.len() - start - 4).unwrap_or(i32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self
    }

    fn note(&mut self, kind: Kind) {
        if self.rows == 1 {
            self.kinds.push(kind);
        }
    }

    /// `value` by `write`, or NULL.
    pub fn or_null<T: Field>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T) -> &mut Self) -> &mut Self {
        if let Some(value) = value {
            return write(self, value);
        }
        self.note(T::KIND);
        self.bytes.extend_from_slice(&NULL);
        self
    }

    /// A `bigint`.
    pub fn bigint(&mut self, value: i64) -> &mut Self {
        self.field(Kind::BIGINT, |out| out.extend_from_slice(&value.to_be_bytes()))
    }

    /// An `integer`.
    pub fn integer(&mut self, value: i32) -> &mut Self {
        self.field(Kind::INTEGER, |out| out.extend_from_slice(&value.to_be_bytes()))
    }

    /// A `smallint`.
    pub fn smallint(&mut self, value: i16) -> &mut Self {
        self.field(Kind::SMALLINT, |out| out.extend_from_slice(&value.to_be_bytes()))
    }

    /// A `boolean`.
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.field(Kind::BOOLEAN, |out| out.push(u8::from(value)))
    }

    /// A `text`. Postgres refuses NUL characters: clean what comes from a chain first.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.field(Kind::TEXT, |out| out.extend_from_slice(value.as_bytes()))
    }

    /// A `jsonb`.
    pub fn jsonb(&mut self, value: &serde_json::Value) -> &mut Self {
        self.field(Kind::JSONB, |out| {
            out.push(1);
            out.extend_from_slice(value.to_string().as_bytes());
        })
    }

    /// A `bytea`.
    pub fn bytea(&mut self, value: &[u8]) -> &mut Self {
        self.field(Kind::BYTEA, |out| out.extend_from_slice(value))
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
        self.field(Kind::NUMERIC, |out| numeric::encode(false, value, out))
    }

    /// An `int257`.
    pub fn int257(&mut self, value: Delta) -> &mut Self {
        self.field(Kind::NUMERIC, |out| numeric::encode(value.is_negative(), value.magnitude(), out))
    }

    /// A `timestamptz`, to the microsecond.
    pub fn timestamptz(&mut self, value: OffsetDateTime) -> &mut Self {
        let micros = value.unix_timestamp_nanos().div_euclid(1_000) - MICROS_FROM_UNIX_TO_POSTGRES_EPOCH;
        // The whole range of `OffsetDateTime` is within i64 microseconds.
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        self.field(Kind::TIMESTAMPTZ, |out| out.extend_from_slice(&micros.to_be_bytes()))
    }

    /// Writes the rows `into` a table, named with its columns in brackets; gives their number.
    ///
    /// Not to be dropped midway on a connection that somebody else uses later: see [`Session`](crate::Session).
    ///
    /// # Errors
    /// The database's, such as a violated constraint; the caller's transaction is then over.
    pub async fn send(self, conn: &mut PgConnection, into: &'static str) -> Result<u64, sqlx::Error> {
        match self.bytes.len() {
            _ if self.rows == 0 => Ok(0),
            ..=MOST_INSERTED => self.insert(conn, into).await,
            _ => self.copy(conn, into).await,
        }
    }

    async fn copy(self, conn: &mut PgConnection, into: &'static str) -> Result<u64, sqlx::Error> {
        let mut bytes = self.bytes;
        bytes.extend_from_slice(&(-1i16).to_be_bytes());
        let mut copy = conn.copy_in_raw(&format!("COPY {into} FROM STDIN (FORMAT binary)")).await?;
        for message in bytes.chunks(MESSAGE) {
            copy.send(message).await?;
        }
        copy.finish().await
    }

    async fn insert(self, conn: &mut PgConnection, into: &'static str) -> Result<u64, sqlx::Error> {
        let mut insert = QueryBuilder::<Postgres>::new("INSERT INTO ");
        insert.push(into).push(" SELECT * FROM unnest(");
        let mut arrays = insert.separated(", ");
        for array in self.arrays() {
            arrays.push_bind(array);
        }
        insert.push(")");
        Ok(insert.build().execute(conn).await?.rows_affected())
    }

    /// The same fields by column.
    fn arrays(&self) -> Vec<Array> {
        let rows = u32::try_from(self.rows).unwrap_or(u32::MAX);
        let mut arrays: Vec<Array> = self.kinds.iter().map(|kind| Array::new(*kind, rows)).collect();
        let mut rest = &self.bytes[SIGNATURE.len()..];
        while let Some((_, mut fields)) = rest.split_first_chunk::<2>() {
            for array in &mut arrays {
                fields = array.take(fields);
            }
            rest = fields;
        }
        arrays
    }
}

/// One column's fields as an array parameter.
struct Array {
    kind: Kind,
    bytes: Vec<u8>,
}

impl Array {
    fn new(kind: Kind, length: u32) -> Self {
        // One dimension, perhaps with NULLs; its length, counted from 1.
        let header = [1u32, 1, kind.own, length, 1];
        Self { kind, bytes: header.iter().flat_map(|word| word.to_be_bytes()).collect() }
    }

    /// Takes the first field of `fields`; gives those after it.
    fn take<'a>(&mut self, fields: &'a [u8]) -> &'a [u8] {
        let length = match fields.first_chunk() {
            Some(&NULL) | None => 0,
            Some(&length) => usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX),
        };
        let (field, rest) = fields.split_at(fields.len().min(length.saturating_add(4)));
        self.bytes.extend_from_slice(field);
        rest
    }
}

impl Type<Postgres> for Array {
    fn type_info() -> PgTypeInfo {
        <Vec<Vec<u8>> as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Array {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buf.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(Oid(self.kind.array)))
    }
}
