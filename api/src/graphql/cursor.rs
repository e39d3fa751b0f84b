//! Relay paging over keys: `first`/`after` from the front of the list, `last`/`before` from its back.

use alloy::primitives::U256;
use async_graphql::connection::{Connection, CursorType, Edge};
use async_graphql::{Enum, ObjectType, OutputType};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;
use tokenx_indexer::read::pages::{EventKey, HolderKey, HoldingKey, TokenKey, Window};
use uuid::Uuid;

use super::fault::Fault;
use super::limits::{NESTED_PAGE, PAGE};
use crate::offerings::record as offerings;
use crate::redemptions::record as redemptions;

/// A key that a list is ordered by.
pub(super) trait Key: Clone + Send + Sync {
    /// Tells the cursors of one list from another's.
    const LIST: char;

    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl Key for TokenKey {
    const LIST: char = 't';

    fn write(&self) -> String {
        format!("{}.{:x}", self.0, self.1)
    }

    fn read(text: &str) -> Option<TokenKey> {
        let (block, token) = text.split_once('.')?;
        Some((block.parse().ok()?, token.parse().ok()?))
    }
}

impl Key for HoldingKey {
    const LIST: char = 'h';

    fn write(&self) -> String {
        format!("{:x}.{:x}.{:x}", self.token, self.wallet, self.balance)
    }

    fn read(text: &str) -> Option<HoldingKey> {
        let mut parts = text.split('.');
        let (token, wallet) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let balance = number(parts.next()?)?;
        parts.next().is_none().then_some(HoldingKey { token, wallet, balance })
    }
}

impl Key for HolderKey {
    const LIST: char = 'p';

    fn write(&self) -> String {
        format!("{:x}.{:x}", self.0, self.1)
    }

    fn read(text: &str) -> Option<HolderKey> {
        let (balance, wallet) = text.split_once('.')?;
        Some((number(balance)?, wallet.parse().ok()?))
    }
}

/// A number in hexadecimal digits.
fn number(text: &str) -> Option<U256> {
    let digits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| U256::from_str_radix(text, 16).ok())?
}

/// Mints, burns, transfers, freezes, recoveries and periods of rent share it: a cursor is a place in the chain.
impl Key for EventKey {
    const LIST: char = 'e';

    fn write(&self) -> String {
        format!("{}.{}", self.0, self.1)
    }

    fn read(text: &str) -> Option<EventKey> {
        let (block, log_index) = text.split_once('.')?;
        Some((block.parse().ok()?, log_index.parse().ok()?))
    }
}

/// Commands, in the order of their acceptance.
impl Key for i64 {
    const LIST: char = 'c';

    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<i64> {
        text.parse().ok()
    }
}

/// Subscriptions, in the order of their ids, which is that of their times.
impl Key for Uuid {
    const LIST: char = 's';

    fn write(&self) -> String {
        self.simple().to_string()
    }

    fn read(text: &str) -> Option<Uuid> {
        text.parse().ok()
    }
}

/// Lists in the order of when their rows were made; rows of one moment by their ids.
macro_rules! made_at {
    ($place:ty, $list:literal, $read:expr) => {
        impl Key for $place {
            const LIST: char = $list;

            fn write(&self) -> String {
                format!("{}.{}", self.0.unix_timestamp_nanos(), self.1)
            }

            fn read(text: &str) -> Option<$place> {
                let (at, id) = text.split_once('.')?;
                let at = OffsetDateTime::from_unix_timestamp_nanos(at.parse().ok()?).ok()?;
                Some((at, $read(id)?))
            }
        }
    };
}

made_at!(offerings::Place, 'o', |id: &str| id.parse().ok());
made_at!(redemptions::Place, 'r', redemptions::Id::parse);

/// An opaque cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor<K>(pub(super) K);

impl<K: Key> Cursor<K> {
    fn read(argument: &str, text: &str) -> Result<K, Fault> {
        let key = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let text = String::from_utf8(bytes).ok()?;
            K::read(text.strip_prefix(K::LIST)?)
        };
        key().ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            Fault::bad_input(format!("{argument}: {shown:?} is no cursor of this list: use one that it gave"))
        })
    }
}

impl<K: Key> CursorType for Cursor<K> {
    type Error = String;

    fn decode_cursor(text: &str) -> Result<Self, String> {
        Cursor::read("cursor", text).map(Cursor).map_err(|fault| fault.message)
    }

    fn encode_cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}{}", K::LIST, self.0.write()))
    }
}

/// Which end of the list comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "Order")]
pub(super) enum Order {
    /// In the order of the chain.
    OldestFirst,
    /// Against it.
    NewestFirst,
}

/// The paging arguments, as they came.
#[derive(Debug, Clone, Default)]
pub(super) struct Page {
    pub(super) first: Option<i32>,
    pub(super) after: Option<String>,
    pub(super) last: Option<i32>,
    pub(super) before: Option<String>,
}

/// How to cut the rows that a window gave back to the page that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    size: usize,
    backward: bool,
    after: bool,
    before: bool,
}

impl Page {
    /// A page within a row: shorter unless asked otherwise.
    pub(super) fn nested(first: Option<i32>, after: Option<String>, last: Option<i32>, before: Option<String>) -> Page {
        let first = first.or(last.is_none().then_some(NESTED_PAGE));
        Page { first, after, last, before }
    }

    /// The window to read: a row more than the page has, so that there being more is known.
    ///
    /// # Errors
    /// Out of range, `first` with `last`, or a foreign cursor.
    pub(super) fn window<K: Key>(&self, order: Order) -> Result<(Window<K>, Cut), Fault> {
        let size = |name: &str, asked: i32| {
            usize::try_from(asked).ok().filter(|size| *size <= PAGE.1).ok_or_else(|| {
                Fault::bad_input(format!("{name}: {asked} is out of range: a page has 0 to {} rows", PAGE.1))
            })
        };
        let (size, backward) = match (self.first, self.last) {
            (Some(_), Some(_)) => return Err(Fault::bad_input("first and last exclude each other: send one of them")),
            (Some(first), None) => (size("first", first)?, false),
            (None, Some(last)) => (size("last", last)?, true),
            (None, None) => (PAGE.0, false),
        };
        let read = |name, text: &Option<String>| text.as_deref().map(|text| Cursor::read(name, text)).transpose();
        let (after, before): (Option<K>, Option<K>) = (read("after", &self.after)?, read("before", &self.before)?);
        let newest_first = order == Order::NewestFirst;
        let cut = Cut { size, backward, after: after.is_some(), before: before.is_some() };
        let (above, below) = if newest_first { (before, after) } else { (after, before) };
        let limit = i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1);
        Ok((Window { above, below, descending: newest_first != backward, limit }, cut))
    }
}

impl Cut {
    /// The page in list order, and whether there is more before and after it.
    fn apply<R>(self, mut rows: Vec<R>) -> (Vec<R>, bool, bool) {
        let more = rows.len() > self.size;
        rows.truncate(self.size);
        if self.backward {
            rows.reverse();
            (rows, more, self.before)
        } else {
            (rows, self.after, more)
        }
    }

    /// The connection over a window's rows. `total` counts only when it is asked for.
    pub(super) fn connection<K, R, N, T>(
        self,
        rows: Vec<R>,
        total: T,
        key: impl Fn(&R) -> K,
        node: impl Fn(R) -> N,
    ) -> Connection<Cursor<K>, N, T>
    where
        K: Key,
        N: OutputType,
        T: ObjectType,
    {
        let (rows, previous, next) = self.apply(rows);
        let mut connection = Connection::with_additional_fields(previous, next, total);
        connection.edges.extend(rows.into_iter().map(|row| Edge::new(Cursor(key(&row)), node(row))));
        connection
    }
}

/// How holdings are ordered; equal ones by token and wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "HoldingOrder")]
pub(super) enum HoldingOrder {
    /// By token, then by wallet.
    ByWallet,
    /// The most base units first.
    LargestFirst,
    /// The fewest base units first.
    SmallestFirst,
}

impl HoldingOrder {
    /// Whether they go by size, and from which end.
    pub(super) fn parts(self) -> (bool, Order) {
        match self {
            HoldingOrder::ByWallet => (false, Order::OldestFirst),
            HoldingOrder::LargestFirst => (true, Order::NewestFirst),
            HoldingOrder::SmallestFirst => (true, Order::OldestFirst),
        }
    }
}

/// How holders are ordered; equal ones by their first wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "HolderOrder")]
pub(super) enum HolderOrder {
    /// Whoever has most comes first.
    LargestFirst,
    /// Whoever has least comes first.
    SmallestFirst,
}

impl HolderOrder {
    /// From which end.
    pub(super) fn end(self) -> Order {
        match self {
            HolderOrder::LargestFirst => Order::NewestFirst,
            HolderOrder::SmallestFirst => Order::OldestFirst,
        }
    }
}

/// The narrower of two lower bounds, and of two upper ones.
pub(super) fn narrowed<K: Ord + Copy>(window: Window<K>, above: Option<K>, below: Option<K>) -> Window<K> {
    let below = match (window.below, below) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Window { above: window.above.max(above), below, ..window }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;

    use super::*;

    const HOLDING: HoldingKey =
        HoldingKey { token: Address::repeat_byte(1), wallet: Address::ZERO, balance: U256::MAX };

    fn page(first: Option<i32>, last: Option<i32>) -> Page {
        Page { first, last, ..Page::default() }
    }

    fn cursor<K: Key>(key: K) -> String {
        Cursor(key).encode_cursor()
    }

    #[test]
    fn a_cursor_reads_back_as_the_key_it_was_made_of() {
        fn reads_back<K: Key + PartialEq + std::fmt::Debug>(key: K) {
            assert_eq!(Cursor::<K>::read("after", &cursor(key.clone())), Ok(key));
        }
        reads_back::<TokenKey>((7, Address::repeat_byte(0xff)));
        reads_back(HOLDING);
        reads_back::<HolderKey>((U256::ZERO, Address::ZERO));
        reads_back::<EventKey>((u64::MAX, 3));
        reads_back(-4i64);
        reads_back(Uuid::now_v7());
        let made = OffsetDateTime::UNIX_EPOCH + time::Duration::microseconds(1_700_000_000_123_456);
        reads_back::<offerings::Place>((made, Uuid::now_v7()));
        let direct = redemptions::Id::Direct("67d8774e903bfcbe7eb5d93e".to_owned(), 7);
        reads_back::<redemptions::Place>((made, direct));
    }

    #[test]
    fn the_cursor_of_another_list_and_noise_are_refused() {
        for bad in ["", "!", "AAAA", "ZQ", &cursor(9i64), &cursor(HOLDING), &"a".repeat(9_999)] {
            assert!(Cursor::<EventKey>::read("after", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_out_of_range_are_errors_and_not_clamped() {
        for bad in [page(Some(-1), None), page(Some(501), None), page(None, Some(501)), page(Some(1), Some(1))] {
            assert!(bad.window::<EventKey>(Order::NewestFirst).is_err(), "{bad:?}");
        }
        let (window, _) = page(None, None).window::<EventKey>(Order::NewestFirst).unwrap();
        assert_eq!((window.limit, window.descending), (51, true));
    }

    /// A list of 1 to 9 read through windows, as the database reads it.
    fn read(page: &Page, order: Order) -> (Vec<i64>, bool, bool) {
        let (window, cut) = page.window::<i64>(order).unwrap();
        let inside = |key: &i64| window.above.is_none_or(|above| *key > above) && window.below.is_none_or(|b| *key < b);
        let mut rows: Vec<i64> = (1..=9).filter(inside).collect();
        if window.descending {
            rows.reverse();
        }
        rows.truncate(usize::try_from(window.limit).unwrap());
        cut.apply(rows)
    }

    #[test]
    fn a_list_is_walked_from_either_end_in_either_order() {
        for (order, list) in
            [(Order::OldestFirst, (1..=9).collect::<Vec<i64>>()), (Order::NewestFirst, (1..=9).rev().collect())]
        {
            let mut forward: Vec<i64> = Vec::new();
            let mut ask = page(Some(4), None);
            loop {
                let (rows, previous, next) = read(&ask, order);
                assert_eq!(previous, !forward.is_empty());
                forward.extend(&rows);
                if !next {
                    break;
                }
                ask.after = rows.last().map(|key| cursor(*key));
            }
            assert_eq!(forward, list);

            let mut backward: Vec<i64> = Vec::new();
            let mut ask = page(None, Some(4));
            loop {
                let (rows, previous, next) = read(&ask, order);
                assert_eq!(next, !backward.is_empty());
                backward.splice(0..0, rows.iter().copied());
                if !previous {
                    break;
                }
                ask.before = rows.first().map(|key| cursor(*key));
            }
            assert_eq!(backward, list);
        }
    }

    #[test]
    fn the_narrower_bound_counts() {
        let window = Window { above: Some(3), below: None, descending: false, limit: 1 };
        let narrow = narrowed(window, Some(2), Some(9));
        assert_eq!((narrow.above, narrow.below), (Some(3), Some(9)));
        let narrow = narrowed(narrow, Some(5), Some(11));
        assert_eq!((narrow.above, narrow.below), (Some(5), Some(9)));
    }
}
