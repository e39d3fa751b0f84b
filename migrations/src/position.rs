//! A place in an append-only table that is read in commit-safe order.

use std::fmt;
use std::str::FromStr;

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

/// Not two numbers with a colon between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is two whole numbers with a colon between, as 1234:56")]
pub struct NoPosition;

/// Reads what [`fmt::Display`] wrote, and nothing else.
impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (xid, seq) = text.split_once(':').ok_or(NoPosition)?;
        let position = Self { xid: xid.parse().map_err(|_| NoPosition)?, seq: seq.parse().map_err(|_| NoPosition)? };
        if position.to_string() == text { Ok(position) } else { Err(NoPosition) }
    }
}

/// `xid:seq`, for logs and for clients that read on.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.xid, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_as_it_was_written_and_nothing_else_does() {
        for position in [Position::START, Position { xid: u64::MAX, seq: i64::MAX }, Position { xid: 7, seq: 1 }] {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for bad in ["", ":", "1", "1:", ":1", "+1:2", "01:2", "1:2:3", " 1:2", "18446744073709551616:1", "1:2\n"] {
            assert_eq!(bad.parse::<Position>(), Err(NoPosition), "{bad:?}");
        }
    }
}
