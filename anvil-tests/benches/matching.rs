//! How many orders a second the matching engine takes, on one core and without a database; beside it, in the same run, what
//! one ordered map does that has each of them put in and taken out, which is the least that a book must do.
//!
//! `cargo bench -p tokenx-anvil-tests --bench matching -- [orders]`; default 2,000,000.

#![allow(clippy::print_stdout, reason = "a benchmark's result")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use tokenx_api::ats::engine::{Book, Event, Input, Order, Rest, Side};

/// What the orders are drawn from; the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        // xorshift64*: good enough to spread prices.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

/// Orders around one price: `crossing` in a hundred would trade with the other side at once, the others are up to 200 ticks
/// away from it; one input in ten takes back an earlier order.
fn log(orders: u64, crossing: u64) -> Vec<Input> {
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let order = |draw: &mut Draw, id: u64| {
        let side = if draw.below(2) == 0 { Side::Buy } else { Side::Sell };
        let (near, far) = (draw.below(20), 1 + draw.below(200));
        let crosses = draw.below(100) < crossing;
        let price = match (side, crosses) {
            (Side::Buy, true) => 10_000 + near,
            (Side::Sell, true) => 10_000 - near,
            (Side::Buy, false) => 10_000 - far,
            (Side::Sell, false) => 10_000 + far,
        };
        Order {
            id,
            party: draw.below(1_000_000),
            side,
            quantity: u128::from(1 + draw.below(100)),
            limit: u128::from(price),
            stop: None,
            rest: Rest::UntilEnd,
            until: u64::MAX,
        }
    };
    (0..orders)
        .map(
            |id| {
                if draw.below(10) == 0 { Input::Cancel(draw.below(id + 1)) } else { Input::Place(order(&mut draw, id)) }
            },
        )
        .collect()
}

fn engine(log: &[Input]) -> (f64, usize, usize) {
    let mut book = Book::default();
    let mut events: Vec<Event> = Vec::with_capacity(64);
    let mut trades = 0;
    let start = Instant::now();
    for input in log {
        book.apply(*input, &mut events);
        trades += events.iter().filter(|event| matches!(event, Event::Traded { .. })).count();
        events.clear();
    }
    (rate(log.len(), start), trades, book.entries().len())
}

/// Each order put into one ordered map, and taken out again once 10,000 others came.
fn map(log: &[Input]) -> f64 {
    let mut map: BTreeMap<(u128, u64), Order> = BTreeMap::new();
    let orders: Vec<Order> = log.iter().filter_map(|i| if let Input::Place(o) = i { Some(*o) } else { None }).collect();
    let start = Instant::now();
    for (at, order) in orders.iter().enumerate() {
        map.insert((order.limit, order.id), *order);
        if let Some(old) = at.checked_sub(10_000).map(|old| orders[old]) {
            map.remove(&(old.limit, old.id));
        }
    }
    black_box(map.len());
    rate(orders.len(), start)
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(inputs: usize, start: Instant) -> f64 {
    inputs as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn main() {
    let orders = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(2_000_000);
    for crossing in [30, 50, 70] {
        let log = log(orders, crossing);
        let (rate, trades, left) = engine(&log);
        let raw = map(&log);
        println!(
            "{crossing} % crossing: {rate:.2} M orders/s, {trades} trades, {left} orders left; one ordered map {raw:.2} \
             M/s, ratio {:.2}",
            rate / raw
        );
    }
}
