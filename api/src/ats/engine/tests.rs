use std::collections::HashMap;

use proptest::prelude::*;

use super::reference::Reference;
use super::*;

/// Sequences of inputs that each law is tried on: 100,000 in the long form of the campaigns.
fn cases() -> ProptestConfig {
    let long = std::env::var("TOKENX_CAMPAIGN").is_ok_and(|form| form == "long");
    ProptestConfig::with_cases(if long { 100_000 } else { 1_000 })
}

fn any_order() -> impl Strategy<Value = Order> {
    let side = prop::sample::select(vec![Side::Buy, Side::Sell]);
    let rest = prop_oneof![4 => Just(Rest::UntilEnd), 1 => Just(Rest::Never), 1 => Just(Rest::AllOrNothing)];
    let stop = prop_oneof![3 => Just(None), 1 => (95u128..106).prop_map(Some)];
    (side, 1u64..6, 1u128..20, 95u128..106, stop, rest, 1u64..60).prop_map(
        |(side, party, quantity, limit, stop, rest, until)| Order {
            id: 0,
            party,
            side,
            quantity,
            limit,
            stop,
            rest,
            until,
        },
    )
}

/// Inputs as they may come: orders of which each has an id of its own, ends of some of them, and the time.
fn any_log() -> impl Strategy<Value = Vec<Input>> {
    let input = prop_oneof![
        12 => any_order().prop_map(Input::Place),
        3 => (0u64..60).prop_map(Input::Cancel),
        1 => (0u64..50).prop_map(Input::Time),
    ];
    prop::collection::vec(input, 1..60).prop_map(|mut log| {
        for (id, input) in (0..).zip(&mut log) {
            if let Input::Place(order) = input {
                order.id = id;
            }
        }
        log
    })
}

fn apply(book: &mut Book, input: Input) -> Vec<Event> {
    let mut events = Vec::new();
    book.apply(input, &mut events);
    events
}

/// All orders of a log, by id.
fn orders(log: &[Input]) -> HashMap<u64, Order> {
    let order = |input: &Input| match input {
        Input::Place(order) => Some((order.id, *order)),
        _ => None,
    };
    log.iter().filter_map(order).collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn it_agrees_with_the_plain_rules(log in any_log()) {
        let (mut book, mut plain) = (Book::default(), Reference::default());
        for input in log {
            prop_assert_eq!(apply(&mut book, input), plain.apply(input));
            prop_assert_eq!(&book.entries(), &plain.entries);
        }
    }

    #[test]
    fn a_book_is_never_crossed_and_no_stop_waits_that_is_met(log in any_log()) {
        let mut book = Book::default();
        for input in log {
            apply(&mut book, input);
            if let (Some(bid), Some(ask)) = (book.best(Side::Buy), book.best(Side::Sell)) {
                prop_assert!(bid < ask, "{bid} is bid, {ask} asked");
            }
            for Entry { place, order, .. } in book.entries() {
                let met = order.stop.zip(book.last()).is_some_and(|(stop, last)| match order.side {
                    Side::Buy => last >= stop,
                    Side::Sell => last <= stop,
                });
                prop_assert_eq!(place == Place::Waits, order.stop.is_some());
                prop_assert!(!met, "{:?}", order);
            }
        }
    }

    #[test]
    fn every_unit_of_an_order_is_filled_left_or_still_there(log in any_log()) {
        let mut book = Book::default();
        let mut gone: HashMap<u64, u128> = HashMap::new();
        let mut placed: HashMap<u64, u128> = HashMap::new();
        for input in log {
            if let Input::Place(order) = input {
                placed.insert(order.id, order.quantity);
            }
            for event in apply(&mut book, input) {
                match event {
                    Event::Traded { maker, taker, quantity, .. } => {
                        *gone.entry(maker).or_default() += quantity;
                        *gone.entry(taker).or_default() += quantity;
                    }
                    Event::Ended { id, left, end } => {
                        prop_assert_eq!(end == End::Filled, left == 0);
                        *gone.entry(id).or_default() += left;
                    }
                    _ => {}
                }
            }
            for (id, quantity) in &placed {
                let here = book.order(*id).map_or(0, |(_, order)| order.quantity);
                prop_assert_eq!(gone.get(id).copied().unwrap_or_default() + here, *quantity);
            }
        }
    }

    #[test]
    fn a_trade_is_at_the_makers_price_within_the_takers_limit_and_between_two_parties(log in any_log()) {
        let known = orders(&log);
        let mut book = Book::default();
        for input in log {
            for event in apply(&mut book, input) {
                let Event::Traded { maker, taker, side, price, quantity } = event else { continue };
                let (maker, taker) = (known[&maker], known[&taker]);
                prop_assert!(quantity > 0 && maker.party != taker.party);
                prop_assert_eq!((price, side), (maker.limit, taker.side));
                prop_assert!(maker.side != taker.side);
                match side {
                    Side::Buy => prop_assert!(price <= taker.limit),
                    Side::Sell => prop_assert!(price >= taker.limit),
                }
            }
        }
    }

    #[test]
    fn of_one_price_the_earlier_is_filled_first(log in any_log()) {
        let known = orders(&log);
        let mut book = Book::default();
        for input in log {
            // Who rests, with his place, from before and since.
            let mut resting: HashMap<u64, u64> = book.entries().into_iter()
                .filter(|entry| entry.place == Place::Rests)
                .map(|entry| (entry.order.id, entry.rank))
                .collect();
            for event in apply(&mut book, input) {
                match event {
                    Event::Traded { maker, price, .. } => {
                        let side = known[&maker].side;
                        let earlier = resting.iter().find(|(id, rank)| {
                            known[*id].side == side && known[*id].limit == price && **rank < resting[&maker]
                        });
                        prop_assert_eq!(earlier, None);
                    }
                    Event::Rests { id, rank } => { resting.insert(id, rank); }
                    Event::Ended { id, .. } => { resting.remove(&id); }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn all_or_nothing_is_all_or_nothing_and_what_does_not_rest_is_never_in_the_book(log in any_log()) {
        let known = orders(&log);
        let mut book = Book::default();
        let mut filled: HashMap<u64, u128> = HashMap::new();
        for input in log {
            for event in apply(&mut book, input) {
                if let Event::Traded { maker, taker, quantity, .. } = event {
                    *filled.entry(maker).or_default() += quantity;
                    *filled.entry(taker).or_default() += quantity;
                }
            }
            for Entry { place, order, .. } in book.entries() {
                prop_assert!(place == Place::Waits || order.rest == Rest::UntilEnd);
            }
        }
        for (id, quantity) in filled {
            if known[&id].rest == Rest::AllOrNothing {
                prop_assert_eq!(quantity, known[&id].quantity);
            }
        }
    }

    #[test]
    fn the_log_makes_the_same_book_again_and_so_do_its_orders(log in any_log(), cut in 0usize..60) {
        let cut = cut.min(log.len());
        let mut book = Book::default();
        log[..cut].iter().for_each(|input| { apply(&mut book, *input); });
        let mut again = Book::default();
        log[..cut].iter().for_each(|input| { apply(&mut again, *input); });
        prop_assert_eq!(book.entries(), again.entries());
        let now = log[..cut].iter().map(|input| if let Input::Time(now) = input { *now } else { 0 }).max().unwrap_or(0);
        let mut opened = Book::open(book.entries(), book.last(), now, book.rank());
        for input in &log[cut..] {
            let events = apply(&mut book, *input);
            prop_assert_eq!(&apply(&mut again, *input), &events);
            prop_assert_eq!(&apply(&mut opened, *input), &events);
        }
        prop_assert_eq!(book.entries(), again.entries());
        prop_assert_eq!(book.entries(), opened.entries());
    }
}

fn limit(id: u64, side: Side, quantity: u128, limit: u128) -> Order {
    Order { id, party: id, side, quantity, limit, stop: None, rest: Rest::UntilEnd, until: u64::MAX }
}

#[test]
fn the_newer_of_two_orders_of_one_party_ends_where_they_meet() {
    let mut book = Book::default();
    apply(&mut book, Input::Place(limit(1, Side::Sell, 5, 100)));
    apply(&mut book, Input::Place(Order { party: 9, ..limit(2, Side::Sell, 5, 101) }));
    apply(&mut book, Input::Place(limit(3, Side::Sell, 5, 102)));
    let newer = Order { party: 9, ..limit(4, Side::Buy, 15, 102) };
    let met = Event::Ended { id: 4, left: 10, end: End::SelfTrade };
    assert_eq!(apply(&mut book, Input::Place(newer)).last(), Some(&met));
    assert_eq!(book.order(2).map(|(_, order)| order.quantity), Some(5), "the older one stays");
    let whole = Order { party: 9, rest: Rest::AllOrNothing, ..limit(5, Side::Buy, 10, 102) };
    assert_eq!(apply(&mut book, Input::Place(whole)), [Event::Ended { id: 5, left: 10, end: End::SelfTrade }]);
}

#[test]
fn one_trade_sets_off_stops_in_the_order_of_their_arrival_after_the_order_that_made_it() {
    let mut book = Book::default();
    for order in [limit(1, Side::Sell, 1, 100), limit(2, Side::Sell, 4, 103), limit(3, Side::Buy, 9, 97)] {
        apply(&mut book, Input::Place(order));
    }
    let stop = |id, price| Order { stop: Some(price), rest: Rest::Never, ..limit(id, Side::Buy, 1, 110) };
    for (id, price) in [(4, 103), (5, 100), (6, 99)] {
        assert!(matches!(apply(&mut book, Input::Place(stop(id, price)))[..], [Event::Waits { .. }]));
    }
    let triggered: Vec<u64> = apply(&mut book, Input::Place(limit(7, Side::Buy, 2, 100)))
        .into_iter()
        .filter_map(|event| if let Event::Triggered { id } = event { Some(id) } else { None })
        .collect();
    // The one at 103 came first, but only what the other two paid reaches it.
    assert_eq!(triggered, [5, 6, 4]);
    assert_eq!(apply(&mut book, Input::Place(stop(8, 103)))[0], Event::Triggered { id: 8 }, "it is met when it comes");
}

#[test]
fn the_last_unit_there_can_be_is_matched_too() {
    let mut book = Book::default();
    apply(&mut book, Input::Place(limit(1, Side::Sell, u128::MAX, u128::MAX)));
    let events = apply(&mut book, Input::Place(limit(2, Side::Buy, u128::MAX, u128::MAX)));
    assert!(matches!(events[0], Event::Traded { price: u128::MAX, quantity: u128::MAX, .. }));
    assert!(book.entries().is_empty());
}
