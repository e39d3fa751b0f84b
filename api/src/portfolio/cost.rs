//! What units cost: a pure function of the movements of a party's wallets and of what was paid for them.
//!
//! **Average cost.** All units of an instrument that a party has, in whichever wallet, cost what was paid for them together;
//! units that leave take their share of it, rounded down to the currency's smallest unit, and what is left keeps the rest.
//! Units are fungible and the chain knows no lots, so an average is the one rule under which neither the wallet that sells
//! nor the order of events within a block changes the outcome. What is paid in several currencies is kept apart: no rate is
//! made up.
//!
//! Units that nobody is known to have paid for (minted to the party, sent by another one) cost nothing. Units that leave
//! without a payment (sent away, burned) take their cost along and realise nothing. Between wallets of one party nothing
//! happens.

use std::collections::{BTreeMap, HashMap, HashSet};

use alloy::primitives::{Address, B256, I256, U256};

/// Units that changed hands, or were made or destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// Of which token.
    pub token: Address,
    /// Whose they were; `None`: they were made.
    pub from: Option<Address>,
    /// Whose they are; `None`: they were destroyed.
    pub to: Option<Address>,
    /// How many, base units.
    pub amount: U256,
}

/// What was paid for a movement, base units of the payment token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// What was paid with.
    pub payment_token: Address,
    /// What it cost whoever got the units, fees included.
    pub paid: U256,
    /// What it brought whoever gave them, less fees.
    pub got: U256,
}

/// An event of the chain, in the chain's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Its transaction: a payment speaks of a movement before it in the same one.
    pub tx: B256,
    /// The units.
    pub movement: Movement,
    /// `None`: the units moved; else they were paid for.
    pub payment: Option<Payment>,
}

/// What a party has of an instrument, what that cost, and what it has earned by what it gave away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// Units, base units.
    pub quantity: U256,
    /// What they cost, by payment token.
    pub basis: BTreeMap<Address, U256>,
    /// What was got for units less what they had cost, by payment token.
    pub realised: BTreeMap<Address, I256>,
}

/// The books of a party's wallets, by token.
pub fn books(own: &HashSet<Address>, events: &[Event]) -> HashMap<Address, Book> {
    let mut books: HashMap<Address, Book> = HashMap::new();
    for of_one_transaction in events.chunk_by(|one, other| one.tx == other.tx) {
        let mut moved: Vec<(Movement, Option<Payment>)> = Vec::new();
        for event in of_one_transaction {
            match event.payment {
                None => moved.push((event.movement, None)),
                // The nearest one before that nobody has spoken of.
                Some(payment) => {
                    let spoken_of = |(movement, paid): &&mut (Movement, Option<Payment>)| {
                        *movement == event.movement && paid.is_none()
                    };
                    if let Some((_, paid)) = moved.iter_mut().rev().find(spoken_of) {
                        *paid = Some(payment);
                    }
                }
            }
        }
        for (movement, payment) in moved {
            books.entry(movement.token).or_default().apply(own, movement, payment);
        }
    }
    books
}

impl Book {
    fn apply(&mut self, own: &HashSet<Address>, movement: Movement, payment: Option<Payment>) {
        let is_own = |wallet: Option<Address>| wallet.is_some_and(|wallet| own.contains(&wallet));
        match (is_own(movement.from), is_own(movement.to)) {
            (false, true) => self.gets(movement.amount, payment),
            (true, false) => self.gives(movement.amount, payment),
            (true, true) | (false, false) => {}
        }
    }

    fn gets(&mut self, amount: U256, payment: Option<Payment>) {
        self.quantity = self.quantity.saturating_add(amount);
        if let Some(Payment { payment_token, paid, .. }) = payment {
            let basis = self.basis.entry(payment_token).or_default();
            *basis = basis.saturating_add(paid);
        }
    }

    fn gives(&mut self, amount: U256, payment: Option<Payment>) {
        let amount = amount.min(self.quantity);
        let left = self.quantity - amount;
        for (payment_token, basis) in &mut self.basis {
            let cost = if left.is_zero() { *basis } else { share(*basis, amount, self.quantity) };
            *basis -= cost;
            if payment.is_some() {
                let realised = self.realised.entry(*payment_token).or_default();
                *realised = realised.saturating_sub(signed(cost));
            }
        }
        self.basis.retain(|_, basis| !basis.is_zero());
        if let Some(Payment { payment_token, got, .. }) = payment {
            let realised = self.realised.entry(payment_token).or_default();
            *realised = realised.saturating_add(signed(got));
        }
        self.quantity = left;
    }
}

/// `part` of `whole` of it, rounded down. Units fit 104 bits, and no payment of ours has more than 152.
fn share(basis: U256, part: U256, whole: U256) -> U256 {
    basis.saturating_mul(part).checked_div(whole).unwrap_or_default()
}

/// The same with a sign.
pub fn signed(units: U256) -> I256 {
    I256::try_from(units).unwrap_or(I256::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: Address = Address::repeat_byte(1);
    const USD: Address = Address::repeat_byte(2);
    const EUR: Address = Address::repeat_byte(3);
    const OWN: [Address; 2] = [Address::repeat_byte(10), Address::repeat_byte(11)];
    const OTHER: Address = Address::repeat_byte(20);

    fn own() -> HashSet<Address> {
        OWN.into_iter().collect()
    }

    fn units(count: u64) -> U256 {
        U256::from(count)
    }

    fn moved(from: Option<Address>, to: Option<Address>, amount: u64) -> Movement {
        Movement { token: TOKEN, from, to, amount: units(amount) }
    }

    /// A movement and, in the same transaction, what was paid for it.
    fn sale(tx: u8, movement: Movement, payment: Option<(Address, u64, u64)>) -> Vec<Event> {
        let tx = B256::repeat_byte(tx);
        let event = |payment| Event { tx, movement, payment };
        let payment =
            payment.map(|(payment_token, paid, got)| Payment { payment_token, paid: units(paid), got: units(got) });
        std::iter::once(event(None)).chain(payment.map(|payment| event(Some(payment)))).collect()
    }

    fn book(events: &[Event]) -> Book {
        books(&own(), events).remove(&TOKEN).unwrap_or_default()
    }

    #[test]
    fn what_is_left_costs_its_share_of_what_all_cost() {
        let events = [
            sale(1, moved(None, Some(OWN[0]), 10), Some((USD, 300, 0))),
            sale(2, moved(Some(OTHER), Some(OWN[1]), 10), Some((USD, 500, 0))),
            // Which wallet sells is the same.
            sale(3, moved(Some(OWN[0]), Some(OTHER), 5), Some((USD, 260, 250))),
        ];
        let book = book(&events.concat());
        assert_eq!((book.quantity, book.basis[&USD]), (units(15), units(600)));
        assert_eq!(book.realised[&USD], I256::unchecked_from(50));
    }

    #[test]
    fn a_gift_costs_nothing_and_one_given_takes_its_cost_along() {
        let events = [
            sale(1, moved(None, Some(OWN[0]), 10), Some((USD, 100, 0))),
            sale(2, moved(Some(OTHER), Some(OWN[0]), 10), None),
            sale(3, moved(Some(OWN[0]), Some(OTHER), 5), None),
            sale(4, moved(Some(OWN[0]), Some(OWN[1]), 7), None),
            sale(5, moved(Some(OWN[1]), None, 3), Some((USD, 0, 30))),
        ];
        let book = book(&events.concat());
        // 100 for 20; 25 leave with the gift; of the 75 for 15, three cost 15.
        assert_eq!((book.quantity, book.basis[&USD]), (units(12), units(60)));
        assert_eq!(book.realised[&USD], I256::unchecked_from(15));
    }

    #[test]
    fn currencies_are_kept_apart() {
        let events = [
            sale(1, moved(None, Some(OWN[0]), 10), Some((USD, 100, 0))),
            sale(2, moved(None, Some(OWN[0]), 10), Some((EUR, 200, 0))),
            sale(3, moved(Some(OWN[0]), Some(OTHER), 20), Some((EUR, 0, 500))),
        ];
        let book = book(&events.concat());
        assert!(book.quantity.is_zero() && book.basis.is_empty());
        assert_eq!((book.realised[&USD], book.realised[&EUR]), (I256::unchecked_from(-100), I256::unchecked_from(300)));
    }

    #[test]
    fn of_two_like_movements_in_a_transaction_each_payment_speaks_of_one() {
        let movement = moved(None, Some(OWN[0]), 10);
        let [one, two] = [sale(1, movement, Some((USD, 100, 0))), sale(1, movement, Some((USD, 120, 0)))];
        let free = sale(1, movement, None);
        let book = book(&[one, free, two].concat());
        assert_eq!((book.quantity, book.basis[&USD]), (units(30), units(220)));
    }

    #[test]
    fn what_is_said_of_units_that_did_not_move_counts_for_nothing() {
        let mut events = sale(1, moved(None, Some(OWN[0]), 10), Some((USD, 100, 0)));
        events.remove(0);
        assert_eq!(book(&events), Book::default());
    }

    /// Who gives to whom, how many, and for what, if anything.
    type Step = (usize, usize, u64, Option<(u64, u64)>);

    fn any_events() -> impl Strategy<Value = Vec<Step>> {
        let wallets = 0..4_usize;
        let payment = prop::option::of((0..1_000_000_u64, 0..1_000_000_u64));
        prop::collection::vec((wallets.clone(), wallets, 1..1_000_u64, payment), 0..60)
    }

    proptest! {
        #[test]
        fn no_unit_of_money_is_made_or_lost(steps in any_events()) {
            let who = [Some(OWN[0]), Some(OWN[1]), Some(OTHER), None];
            let (mut held, mut paid, mut got, mut gone) = ([0_u64; 2], 0_u64, 0_u64, false);
            let mut events = Vec::new();
            for (n, (from, to, amount, payment)) in steps.into_iter().enumerate() {
                // Nobody gives what it does not have.
                let amount = if from < 2 { amount.min(held[from]) } else { amount };
                if from == to || amount == 0 {
                    continue;
                }
                if from < 2 { held[from] -= amount }
                if to < 2 { held[to] += amount }
                match (from < 2, to < 2, payment) {
                    (false, true, Some((cost, _))) => paid += cost,
                    (true, false, Some((_, proceeds))) => got += proceeds,
                    (true, false, None) => gone = true,
                    _ => {}
                }
                let payment = payment.map(|(cost, proceeds)| (USD, cost, proceeds));
                events.extend(sale(u8::try_from(n).unwrap(), moved(who[from], who[to], amount), payment));
            }
            let book = book(&events);
            prop_assert_eq!(book.quantity, units(held[0] + held[1]));
            let basis = book.basis.get(&USD).copied().unwrap_or_default();
            let realised = book.realised.get(&USD).copied().unwrap_or_default();
            let brought = signed(units(got)) - signed(units(paid)) + signed(basis);
            // What was given away has taken its cost along.
            if gone { prop_assert!(realised >= brought) } else { prop_assert_eq!(realised, brought) }
            if held == [0, 0] { prop_assert!(book.basis.is_empty()) }
        }

        #[test]
        fn in_which_of_its_wallets_a_party_has_units_changes_nothing(steps in any_events(), swap: bool) {
            let mut held = 0_u64;
            let (mut one, mut other) = (Vec::new(), Vec::new());
            for (n, (place, out, amount, payment)) in steps.into_iter().enumerate() {
                let gives = out % 2 == 0;
                let amount = if gives { amount.min(held) } else { amount };
                if amount == 0 {
                    continue;
                }
                held = if gives { held - amount } else { held + amount };
                let payment = payment.map(|(cost, proceeds)| (USD, cost, proceeds));
                for (events, wallet) in [(&mut one, OWN[0]), (&mut other, OWN[(place + usize::from(swap)) % 2])] {
                    let movement =
                        if gives { moved(Some(wallet), Some(OTHER), amount) } else { moved(None, Some(wallet), amount) };
                    events.extend(sale(u8::try_from(n).unwrap(), movement, payment));
                }
            }
            prop_assert_eq!(book(&one), book(&other));
        }
    }
}
