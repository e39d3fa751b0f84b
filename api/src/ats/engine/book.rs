use std::collections::{BTreeMap, VecDeque};

// Ids are the database's to give: nobody can choose some that collide.
use alloy::primitives::map::HashMap;

use super::{End, Entry, Event, Input, Order, Place, Rest, Side};

/// The orders of one instrument that wait or rest.
#[derive(Debug, Clone, Default)]
pub struct Book {
    bids: Queue,
    asks: Queue,
    /// Stops that buy, and those that sell.
    rising: Queue,
    falling: Queue,
    orders: HashMap<u64, Kept>,
    /// Price of the last trade.
    last: Option<u128>,
    now: u64,
    /// The next place.
    rank: u64,
    /// No order ends before.
    soonest: u64,
}

/// Ids by what comes first: the better price, then the earlier place. Stops come by whose price is reached first.
type Queue = BTreeMap<Key, u64>;
type Key = (u128, u64);

/// An order, and where it is.
#[derive(Debug, Clone, Copy)]
struct Kept {
    place: Place,
    key: Key,
    order: Order,
}

impl Book {
    /// The book that has these orders, whose last trade was at `last`, and which gives `rank` as the next place.
    pub fn open(entries: impl IntoIterator<Item = Entry>, last: Option<u128>, now: u64, rank: u64) -> Book {
        let mut book = Book { last, now, rank, ..Book::default() };
        book.soonest = u64::MAX;
        for Entry { rank, place, order } in entries {
            book.put(place, rank, order);
            book.rank = book.rank.max(rank + 1);
        }
        book
    }

    /// Takes an input; what happened is added to `events`.
    pub fn apply(&mut self, input: Input, events: &mut Vec<Event>) {
        match input {
            Input::Place(order) => self.place(order, events),
            Input::Cancel(id) => self.cancel(id, End::Cancelled, events),
            Input::Time(now) => self.clock(now, events),
        }
    }

    /// All that waits or rests, in the order of arrival.
    pub fn entries(&self) -> Vec<Entry> {
        let entry = |kept: &Kept| Entry { rank: kept.key.1, place: kept.place, order: kept.order };
        let mut entries: Vec<Entry> = self.orders.values().map(entry).collect();
        entries.sort_unstable_by_key(|entry| entry.rank);
        entries
    }

    /// The order of this id, where it waits or rests; its quantity is what is left.
    pub fn order(&self, id: u64) -> Option<(Place, Order)> {
        self.orders.get(&id).map(|kept| (kept.place, kept.order))
    }

    /// The best price of a side.
    pub fn best(&self, side: Side) -> Option<u128> {
        self.first(Place::Rests, side).map(|kept| kept.order.limit)
    }

    /// Price of the last trade.
    pub fn last(&self) -> Option<u128> {
        self.last
    }

    /// The next place.
    pub fn rank(&self) -> u64 {
        self.rank
    }

    // ---------------------------------------------------------------- inputs

    fn place(&mut self, order: Order, events: &mut Vec<Event>) {
        if self.orders.contains_key(&order.id) {
            return;
        }
        if order.until <= self.now {
            events.push(Event::Ended { id: order.id, left: order.quantity, end: End::Expired });
            return;
        }
        if order.stop.is_some_and(|stop| !self.last.is_some_and(|last| reaches(order.side, stop, last))) {
            let rank = self.put_last(Place::Waits, order);
            events.push(Event::Waits { id: order.id, rank });
            return;
        }
        let mut next = VecDeque::from([order]);
        while let Some(order) = next.pop_front() {
            if order.stop.is_some() {
                events.push(Event::Triggered { id: order.id });
            }
            self.take(Order { stop: None, ..order }, &mut next, events);
        }
    }

    fn cancel(&mut self, id: u64, end: End, events: &mut Vec<Event>) {
        let Some(Kept { place, key, order }) = self.orders.remove(&id) else { return };
        self.queue_mut(place, order.side).remove(&key);
        events.push(Event::Ended { id, left: order.quantity, end });
    }

    fn clock(&mut self, now: u64, events: &mut Vec<Event>) {
        let now = self.now.max(now);
        self.now = now;
        if self.soonest > now {
            return;
        }
        // Most orders end with the day or after weeks, so that this is seldom.
        let entries = self.entries();
        for entry in entries.iter().filter(|entry| entry.order.until <= now) {
            self.cancel(entry.order.id, End::Expired, events);
        }
        let later = entries.iter().map(|entry| entry.order.until).filter(|until| *until > now);
        self.soonest = later.min().unwrap_or(u64::MAX);
    }

    // ---------------------------------------------------------------- matching

    /// Trades an order with what rests on the other side. Stops that a trade sets off are added to `next`.
    fn take(&mut self, mut order: Order, next: &mut VecDeque<Order>, events: &mut Vec<Event>) {
        let end = if order.rest == Rest::AllOrNothing && !self.can_fill(&order) {
            Some(self.unfillable(&order))
        } else {
            self.fill(&mut order, next, events)
        };
        let (id, left) = (order.id, order.quantity);
        match end {
            _ if left == 0 => events.push(Event::Ended { id, left, end: End::Filled }),
            Some(end) => events.push(Event::Ended { id, left, end }),
            None if order.rest == Rest::UntilEnd => {
                let rank = self.put_last(Place::Rests, order);
                events.push(Event::Rests { id, rank });
            }
            None => events.push(Event::Ended { id, left, end: End::Unfilled }),
        }
    }

    /// Fills as much as there is; why it must end, where that is not for want of somebody to trade with.
    fn fill(&mut self, order: &mut Order, next: &mut VecDeque<Order>, events: &mut Vec<Event>) -> Option<End> {
        while order.quantity > 0 {
            let queue = match order.side {
                Side::Buy => &mut self.asks,
                Side::Sell => &mut self.bids,
            };
            let Some(first) = queue.first_entry() else { break };
            let Some(Kept { order: maker, .. }) = self.orders.get_mut(first.get()) else { break };
            if !crosses(order, maker) {
                break;
            }
            if maker.party == order.party {
                return Some(End::SelfTrade);
            }
            let (price, quantity) = (maker.limit, order.quantity.min(maker.quantity));
            maker.quantity -= quantity;
            order.quantity -= quantity;
            let filled = (maker.quantity == 0).then_some(maker.id);
            events.push(Event::Traded { maker: maker.id, taker: order.id, side: order.side, price, quantity });
            if let Some(id) = filled {
                first.remove();
                self.orders.remove(&id);
                events.push(Event::Ended { id, left: 0, end: End::Filled });
            }
            self.last = Some(price);
            self.set_off(price, next);
        }
        None
    }

    /// Whether all of an order can be filled now.
    fn can_fill(&self, order: &Order) -> bool {
        let mut left = order.quantity;
        for maker in self.makers(order) {
            if left == 0 || maker.party == order.party {
                break;
            }
            left = left.saturating_sub(maker.quantity);
        }
        left == 0
    }

    /// Why an order that is all or nothing is nothing.
    fn unfillable(&self, order: &Order) -> End {
        let met_itself = self.makers(order).any(|maker| maker.party == order.party);
        if met_itself { End::SelfTrade } else { End::Unfilled }
    }

    /// Whom an order could trade with, in their order.
    fn makers(&self, order: &Order) -> impl Iterator<Item = &Order> {
        let queue = match order.side {
            Side::Buy => &self.asks,
            Side::Sell => &self.bids,
        };
        let order = *order;
        let makers = queue.values().filter_map(|id| self.orders.get(id)).map(|kept| &kept.order);
        makers.take_while(move |maker| crosses(&order, maker))
    }

    /// Takes the stops whose price this is, in the order of arrival.
    fn set_off(&mut self, price: u128, next: &mut VecDeque<Order>) {
        let met = |order: &Order| order.stop.is_none_or(|stop| reaches(order.side, stop, price));
        let mut off: Vec<(u64, Order)> = Vec::new();
        for side in [Side::Buy, Side::Sell] {
            while let Some(Kept { key, order, .. }) = self.first(Place::Waits, side).filter(|kept| met(&kept.order)) {
                let (key, order) = (*key, *order);
                self.orders.remove(&order.id);
                self.queue_mut(Place::Waits, side).remove(&key);
                off.push((key.1, order));
            }
        }
        off.sort_unstable_by_key(|(rank, _)| *rank);
        next.extend(off.into_iter().map(|(_, order)| order));
    }

    // ---------------------------------------------------------------- queues

    fn put_last(&mut self, place: Place, order: Order) -> u64 {
        let rank = self.rank;
        self.rank += 1;
        self.put(place, rank, order);
        rank
    }

    fn put(&mut self, place: Place, rank: u64, order: Order) {
        let (first, order) = match (place, order.side) {
            (Place::Rests, Side::Buy) => (!order.limit, Order { stop: None, ..order }),
            (Place::Rests, Side::Sell) => (order.limit, Order { stop: None, ..order }),
            (Place::Waits, Side::Buy) => (order.stop.unwrap_or_default(), order),
            (Place::Waits, Side::Sell) => (!order.stop.unwrap_or(u128::MAX), order),
        };
        let key = (first, rank);
        self.soonest = self.soonest.min(order.until);
        self.orders.insert(order.id, Kept { place, key, order });
        self.queue_mut(place, order.side).insert(key, order.id);
    }

    /// What comes first of a side.
    fn first(&self, place: Place, side: Side) -> Option<&Kept> {
        let (_, id) = self.queue(place, side).first_key_value()?;
        self.orders.get(id)
    }

    fn queue(&self, place: Place, side: Side) -> &Queue {
        match (place, side) {
            (Place::Rests, Side::Buy) => &self.bids,
            (Place::Rests, Side::Sell) => &self.asks,
            (Place::Waits, Side::Buy) => &self.rising,
            (Place::Waits, Side::Sell) => &self.falling,
        }
    }

    fn queue_mut(&mut self, place: Place, side: Side) -> &mut Queue {
        match (place, side) {
            (Place::Rests, Side::Buy) => &mut self.bids,
            (Place::Rests, Side::Sell) => &mut self.asks,
            (Place::Waits, Side::Buy) => &mut self.rising,
            (Place::Waits, Side::Sell) => &mut self.falling,
        }
    }
}

/// Whether two orders of different sides agree on a price.
fn crosses(taker: &Order, maker: &Order) -> bool {
    match taker.side {
        Side::Buy => taker.limit >= maker.limit,
        Side::Sell => taker.limit <= maker.limit,
    }
}

/// Whether a trade at `price` reaches a stop.
fn reaches(side: Side, stop: u128, price: u128) -> bool {
    match side {
        Side::Buy => price >= stop,
        Side::Sell => price <= stop,
    }
}
