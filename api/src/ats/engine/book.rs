use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{End, Entry, Event, Input, Order, Place, Rest, Side};

/// The orders of one instrument that wait or rest.
#[derive(Debug, Clone, Default)]
pub struct Book {
    bids: Queue,
    asks: Queue,
    /// Stops that buy, and those that sell.
    rising: Queue,
    falling: Queue,
    /// Where each order is.
    places: HashMap<u64, (Place, Side, Key)>,
    /// Price of the last trade.
    last: Option<u128>,
    now: u64,
    /// The next place.
    rank: u64,
    /// No order ends before.
    soonest: u64,
}

/// Orders by what comes first: the better price, then the earlier place. Stops come by whose price is reached first.
type Queue = BTreeMap<Key, Order>;
type Key = (u128, u64);

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
        let each = |place, queue: &Queue| {
            let entry = move |((_, rank), order): (&Key, &Order)| Entry { rank: *rank, place, order: *order };
            queue.iter().map(entry).collect::<Vec<_>>()
        };
        let mut entries = each(Place::Rests, &self.bids);
        entries.extend(each(Place::Rests, &self.asks));
        entries.extend(each(Place::Waits, &self.rising));
        entries.extend(each(Place::Waits, &self.falling));
        entries.sort_unstable_by_key(|entry| entry.rank);
        entries
    }

    /// The order of this id, where it waits or rests; its quantity is what is left.
    pub fn order(&self, id: u64) -> Option<(Place, Order)> {
        let (place, side, key) = self.places.get(&id)?;
        let order = match place {
            Place::Rests => self.resting(*side).get(key),
            Place::Waits => self.waiting(*side).get(key),
        };
        order.map(|order| (*place, *order))
    }

    /// The best price of a side.
    pub fn best(&self, side: Side) -> Option<u128> {
        self.resting(side).first_key_value().map(|(_, order)| order.limit)
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
        if self.places.contains_key(&order.id) {
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
        let Some((place, side, key)) = self.places.remove(&id) else { return };
        let queue = match place {
            Place::Rests => self.resting_mut(side),
            Place::Waits => self.waiting_mut(side),
        };
        if let Some(order) = queue.remove(&key) {
            events.push(Event::Ended { id, left: order.quantity, end });
        }
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
            let (queue, places) = match order.side {
                Side::Buy => (&mut self.asks, &mut self.places),
                Side::Sell => (&mut self.bids, &mut self.places),
            };
            let Some(mut first) = queue.first_entry() else { break };
            let maker = first.get_mut();
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
                places.remove(&id);
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
        queue.values().take_while(move |maker| crosses(&order, maker))
    }

    /// Takes the stops whose price this is, in the order of arrival.
    fn set_off(&mut self, price: u128, next: &mut VecDeque<Order>) {
        let met = |queue: &Queue| queue.first_key_value().is_some_and(|(_, order)| is_met(order, price));
        if !met(&self.rising) && !met(&self.falling) {
            return;
        }
        let mut off: Vec<(u64, Order)> = Vec::new();
        for queue in [&mut self.rising, &mut self.falling] {
            while let Some(first) = queue.first_entry() {
                if !is_met(first.get(), price) {
                    break;
                }
                let (_, rank) = *first.key();
                off.push((rank, first.remove()));
            }
        }
        off.sort_unstable_by_key(|(rank, _)| *rank);
        for (_, order) in off {
            self.places.remove(&order.id);
            next.push_back(order);
        }
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
        self.places.insert(order.id, (place, order.side, key));
        match place {
            Place::Rests => self.resting_mut(order.side).insert(key, order),
            Place::Waits => self.waiting_mut(order.side).insert(key, order),
        };
    }

    fn resting(&self, side: Side) -> &Queue {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn resting_mut(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn waiting(&self, side: Side) -> &Queue {
        match side {
            Side::Buy => &self.rising,
            Side::Sell => &self.falling,
        }
    }

    fn waiting_mut(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Buy => &mut self.rising,
            Side::Sell => &mut self.falling,
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

fn is_met(order: &Order, price: u128) -> bool {
    order.stop.is_none_or(|stop| reaches(order.side, stop, price))
}
