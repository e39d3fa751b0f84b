//! Lists that are walked from either end: a page begins behind a key, not behind a number of rows, so it costs the
//! same wherever it is and stays where it was while rows arrive above it.

mod events;
mod holdings;
mod tokens;

use alloy::primitives::Address;

pub use events::{
    EventFilter, EventKey, EventKind, EventRow, count_events, count_events_of_tokens, event_page, events_of_tokens,
};
pub use holdings::{
    HoldingFilter, HoldingKey, HoldingRow, count_holdings, count_holdings_of_tokens, holding_page, holdings_of_tokens,
};
pub use tokens::{TokenFilter, TokenKey, count_tokens, instruments_of_tokens, token_page};

use super::int;

/// A page between two keys, both exclusive, in the order of the keys or against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window<K> {
    /// Only rows above this key.
    pub above: Option<K>,
    /// Only rows below this key.
    pub below: Option<K>,
    /// Greatest key first.
    pub descending: bool,
    /// Rows at most.
    pub limit: i64,
}

/// Addresses as an array parameter.
fn addresses(list: Option<&Vec<Address>>) -> Option<Vec<&[u8]>> {
    list.map(|list| list.iter().map(|address| address.as_slice()).collect())
}

/// A height below every block, and one above.
const BELOW_ALL: i64 = -1;
const ABOVE_ALL: i64 = i64::MAX;

/// A place in a block as the database keeps it.
fn place(log_index: u64) -> i32 {
    i32::try_from(log_index).unwrap_or(i32::MAX)
}
