//! The rules once more, as plainly as they can be said: one list, looked through from the beginning every time.

use super::{End, Entry, Event, Input, Order, Place, Rest, Side};

#[derive(Debug, Clone, Default)]
pub(super) struct Reference {
    pub(super) entries: Vec<Entry>,
    last: Option<u128>,
    now: u64,
    rank: u64,
}

impl Reference {
    pub(super) fn apply(&mut self, input: Input) -> Vec<Event> {
        let mut events = Vec::new();
        match input {
            Input::Cancel(id) => self.end(|order| order.id == id, End::Cancelled, &mut events),
            Input::Time(now) => {
                self.now = self.now.max(now);
                let now = self.now;
                self.end(|order| order.until <= now, End::Expired, &mut events);
            }
            Input::Place(order) if self.entries.iter().any(|entry| entry.order.id == order.id) => {}
            Input::Place(order) if order.until <= self.now => {
                events.push(Event::Ended { id: order.id, left: order.quantity, end: End::Expired });
            }
            Input::Place(order) => match (order.stop, self.last) {
                (Some(stop), None) => self.wait(order, stop, &mut events),
                (Some(stop), Some(last)) if !met(order.side, stop, last) => self.wait(order, stop, &mut events),
                _ => self.run(order, &mut events),
            },
        }
        events
    }

    fn wait(&mut self, order: Order, _: u128, events: &mut Vec<Event>) {
        let rank = self.keep(Place::Waits, order);
        events.push(Event::Waits { id: order.id, rank });
    }

    fn run(&mut self, order: Order, events: &mut Vec<Event>) {
        let mut next = vec![order];
        while !next.is_empty() {
            let order = next.remove(0);
            if order.stop.is_some() {
                events.push(Event::Triggered { id: order.id });
            }
            self.trade(Order { stop: None, ..order }, &mut next, events);
        }
    }

    fn trade(&mut self, mut order: Order, next: &mut Vec<Order>, events: &mut Vec<Event>) {
        if order.rest == Rest::AllOrNothing {
            // Does it fill, if it is tried on a copy?
            let mut tried = Vec::new();
            self.clone().trade(Order { rest: Rest::Never, ..order }, &mut Vec::new(), &mut tried);
            if let Some(Event::Ended { end, .. }) = tried.last()
                && *end != End::Filled
            {
                events.push(Event::Ended { id: order.id, left: order.quantity, end: *end });
                return;
            }
        }
        while order.quantity > 0 {
            let Some(best) = self.best_for(&order) else {
                if order.rest == Rest::UntilEnd {
                    let rank = self.keep(Place::Rests, order);
                    events.push(Event::Rests { id: order.id, rank });
                } else {
                    events.push(Event::Ended { id: order.id, left: order.quantity, end: End::Unfilled });
                }
                return;
            };
            let maker = self.entries[best].order;
            if maker.party == order.party {
                events.push(Event::Ended { id: order.id, left: order.quantity, end: End::SelfTrade });
                return;
            }
            let quantity = maker.quantity.min(order.quantity);
            let (side, price) = (order.side, maker.limit);
            events.push(Event::Traded { maker: maker.id, taker: order.id, side, price, quantity });
            order.quantity -= quantity;
            self.entries[best].order.quantity -= quantity;
            if self.entries[best].order.quantity == 0 {
                self.entries.remove(best);
                events.push(Event::Ended { id: maker.id, left: 0, end: End::Filled });
            }
            self.last = Some(price);
            let is_off = |entry: &Entry| {
                entry.place == Place::Waits && entry.order.stop.is_some_and(|stop| met(entry.order.side, stop, price))
            };
            next.extend(self.entries.iter().filter(|entry| is_off(entry)).map(|entry| entry.order));
            self.entries.retain(|entry| !is_off(entry));
        }
        events.push(Event::Ended { id: order.id, left: 0, end: End::Filled });
    }

    /// The best order on the other side that agrees on a price: the earliest of the best price.
    fn best_for(&self, order: &Order) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (at, entry) in self.entries.iter().enumerate() {
            let agrees = match order.side {
                Side::Buy => entry.order.side == Side::Sell && entry.order.limit <= order.limit,
                Side::Sell => entry.order.side == Side::Buy && entry.order.limit >= order.limit,
            };
            if entry.place != Place::Rests || !agrees {
                continue;
            }
            // Entries are in the order of arrival, so only a better price beats an earlier one.
            let beats = best.is_none_or(|best| match order.side {
                Side::Buy => entry.order.limit < self.entries[best].order.limit,
                Side::Sell => entry.order.limit > self.entries[best].order.limit,
            });
            if beats {
                best = Some(at);
            }
        }
        best
    }

    fn keep(&mut self, place: Place, order: Order) -> u64 {
        let rank = self.rank;
        self.rank += 1;
        self.entries.push(Entry { rank, place, order });
        rank
    }

    fn end(&mut self, which: impl Fn(&Order) -> bool, end: End, events: &mut Vec<Event>) {
        for entry in self.entries.iter().filter(|entry| which(&entry.order)) {
            events.push(Event::Ended { id: entry.order.id, left: entry.order.quantity, end });
        }
        self.entries.retain(|entry| !which(&entry.order));
    }
}

fn met(side: Side, stop: u128, price: u128) -> bool {
    match side {
        Side::Buy => stop <= price,
        Side::Sell => stop >= price,
    }
}
