//! A place in an append-only table that is read in commit-safe order.

use std::fmt;

/// A row's place in `audit_log` or `outbox`: the writing transaction, then the row's number within the table.
///
/// Ordered as the tables are read. [`Position::START`] is before every row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The 64-bit transaction id (`xid8`) of the transaction that wrote the row.
    pub xid: u64,
    /// The row's identity number.
    pub seq: i64,
}

impl Position {
    /// Before every row.
    pub const START: Self = Self { xid: 0, seq: 0 };

    /// From the `xid::text` and `seq` columns of a row. `xid8` has no binary form that sqlx knows.
    pub(crate) fn from_columns(xid: &str, seq: i64) -> Result<Self, sqlx::Error> {
        let xid = xid
            .parse()
            .map_err(|error| sqlx::Error::ColumnDecode { index: "xid".to_owned(), source: Box::new(error) })?;
        Ok(Self { xid, seq })
    }
}

/// `xid:seq`, for logs.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.xid, self.seq)
    }
}
