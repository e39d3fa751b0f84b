//! Lists that are walked from either end: a page begins behind a key, not behind a number of rows, so it costs the
//! same wherever it is and stays where it was while rows arrive above it.

mod events;
mod holders;
mod holdings;
mod tokens;

use alloy::primitives::{Address, U256};
use tokenx_migrations::Uint256;

pub use events::{
    EventFilter, EventKey, EventKind, EventRow, count_events, count_events_of_tokens, event_page, events_of_tokens,
};
pub use holders::{HolderFilter, HolderKey, HolderRow, count_holders_of_tokens, holders_of_tokens};
pub use holdings::{
    HoldingFilter, HoldingKey, HoldingRow, count_holdings, count_holdings_of_tokens, holding_page,
    holdings_of_accounts, holdings_of_tokens,
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

impl<K> Window<K> {
    /// The newest rows below a key.
    #[must_use]
    pub const fn newest(below: Option<K>, limit: i64) -> Self {
        Self { above: None, below, descending: true, limit }
    }
}

/// What a column may say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Choice<T> {
    /// Only one of these; `None`: anything.
    pub any: Option<Vec<T>>,
    /// Not this.
    pub not: Option<T>,
}

impl<T> Default for Choice<T> {
    fn default() -> Self {
        Self { any: None, not: None }
    }
}

impl<T> Choice<T> {
    /// One of these and nothing else.
    #[must_use]
    pub const fn of(any: Vec<T>) -> Self {
        Self { any: Some(any), not: None }
    }
}

impl Choice<Address> {
    fn any_bytes(&self) -> Option<Vec<&[u8]>> {
        addresses(self.any.as_ref())
    }

    fn not_bytes(&self) -> Option<&[u8]> {
        self.not.as_ref().map(|address| address.as_slice())
    }
}

/// How small and how large a number may be, both inclusive; `None`: any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Range<T> {
    /// The least.
    pub least: Option<T>,
    /// The greatest.
    pub most: Option<T>,
}

impl<T> Default for Range<T> {
    fn default() -> Self {
        Self { least: None, most: None }
    }
}

impl Range<U256> {
    fn amounts(&self) -> (Option<Uint256>, Option<Uint256>) {
        (self.least.map(Uint256), self.most.map(Uint256))
    }
}

impl Range<u64> {
    fn ints(&self) -> (Option<i64>, Option<i64>) {
        (self.least.map(int), self.most.map(int))
    }
}

/// Addresses as an array parameter.
fn addresses(list: Option<&Vec<Address>>) -> Option<Vec<&[u8]>> {
    list.map(|list| list.iter().map(|address| address.as_slice()).collect())
}

/// Tokens as an array parameter.
fn tokens_of(tokens: &[Address]) -> Vec<&[u8]> {
    tokens.iter().map(|token| token.as_slice()).collect()
}

/// A height below every block, and one above.
const BELOW_ALL: i64 = -1;
const ABOVE_ALL: i64 = i64::MAX;

/// A place in a block as the database keeps it.
pub(super) fn place(log_index: u64) -> i32 {
    i32::try_from(log_index).unwrap_or(i32::MAX)
}
