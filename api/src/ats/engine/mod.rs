//! Matching of one instrument's orders: price before time, at the price of the order that was there first. Pure: a book and
//! an input make the next book and what happened, whoever asks and whenever; the only clock is the one that is told.
//!
//! Prices are integer ticks, quantities base units; neither has more than 128 bits, nor can the chain's have. Every order has
//! a worst price, as it is signed with one. The kinds that people know are made of three things: a stop price or none, whether
//! what is not filled rests, and an end.
//!
//! | kind | `stop` | `rest` |
//! |---|---|---|
//! | limit | – | as its time in force says |
//! | market | – | [`Rest::Never`] |
//! | stop | yes | [`Rest::Never`] |
//! | stop-limit | yes | as its time in force says |
//!
//! `day` and `gtc` rest until their end, `ioc` never rests, `fok` trades whole or not at all.
//!
//! Nobody trades with himself: where an order meets one of its own party, it is the newer one that ends there. An order that
//! is all or nothing counts what lies before that.
//!
//! A stop waits until a trade has reached its price, or one has already when it comes. What one trade sets off comes in the
//! order of arrival, after the order that made the trade has ended or rests.

mod book;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use book::Book;

/// What an order does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// It buys: its limit is the most it pays.
    Buy,
    /// It sells: its limit is the least it takes.
    Sell,
}

/// What becomes of what cannot be filled at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rest {
    /// It waits in the book.
    UntilEnd,
    /// It is cancelled.
    Never,
    /// Nothing of the order is filled unless all of it is.
    AllOrNothing,
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Tells it apart from every other one of the book's life.
    pub id: u64,
    /// Whose it is.
    pub party: u64,
    /// What it does.
    pub side: Side,
    /// Base units of it that are to be filled.
    pub quantity: u128,
    /// Its worst price.
    pub limit: u128,
    /// The price that a trade must reach before it counts: from below where it buys, from above where it sells.
    pub stop: Option<u128>,
    /// What becomes of what cannot be filled at once.
    pub rest: Rest,
    /// Unix second from which it no longer counts.
    pub until: u64,
}

/// What is told to a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A new order. One whose id is in the book already changes nothing.
    Place(Order),
    /// The end of an order, where it is in the book.
    Cancel(u64),
    /// The time, Unix seconds. It never runs backwards: an earlier one changes nothing.
    Time(u64),
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The order waits for its stop price.
    Waits {
        /// The order.
        id: u64,
        /// Its place among all that came to wait or rest.
        rank: u64,
    },
    /// A trade has reached its stop price: from now on it counts.
    Triggered {
        /// The order.
        id: u64,
    },
    /// Two orders traded.
    Traded {
        /// The order that was there first.
        maker: u64,
        /// The one that came.
        taker: u64,
        /// What the taker does.
        side: Side,
        /// The maker's limit.
        price: u128,
        /// Base units, above zero.
        quantity: u128,
    },
    /// What is left of the order rests in the book.
    Rests {
        /// The order.
        id: u64,
        /// Its place among all that came to wait or rest: at one price, the lower comes first.
        rank: u64,
    },
    /// The order is no longer in the book.
    Ended {
        /// The order.
        id: u64,
        /// Base units of it that were not filled.
        left: u128,
        /// Why.
        end: End,
    },
}

/// Why an order is no longer in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// All of it was filled.
    Filled,
    /// The rest of it found nobody, and it does not wait.
    Unfilled,
    /// It met an order of its own party.
    SelfTrade,
    /// Somebody asked for it.
    Cancelled,
    /// Its time is over.
    Expired,
}

/// Whether an order waits for its stop price, or rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A trade must reach its stop price first.
    Waits,
    /// It can be traded with.
    Rests,
}

/// An order in a book, with which the same book can be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its place among all that came to wait or rest.
    pub rank: u64,
    /// Whether it waits or rests.
    pub place: Place,
    /// The order; its quantity is what is left.
    pub order: Order,
}
