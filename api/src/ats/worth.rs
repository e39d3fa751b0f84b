//! What units are worth, in base units of the payment token. Rounded against the taker, the order that came second: up where
//! it pays, down where it is paid; a fee is rounded down. As the market's contract does it.

use alloy::primitives::U256;

/// Hundredths of a per cent in the whole.
const WHOLE_BPS: u64 = 10_000;

/// What a trade moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worth {
    /// What the units are worth.
    pub cost: U256,
    /// What the buyer pays.
    pub payment: U256,
    /// What the seller gets.
    pub proceeds: U256,
}

/// What a trade of `quantity` base units moves, at `price` for a whole token of `unit` base units.
pub fn of_trade(quantity: U256, price: U256, unit: U256, fee_bps: u16, buy_rests: bool) -> Worth {
    let (down, rest) = worth(quantity, price, unit);
    let cost = if buy_rests { down } else { down + rest };
    let fee = fee(cost, fee_bps);
    if buy_rests {
        Worth { cost, payment: cost, proceeds: cost.saturating_sub(fee) }
    } else {
        Worth { cost, payment: cost.saturating_add(fee), proceeds: cost }
    }
}

/// The most that a buyer pays for `quantity`, as taker.
pub fn at_most(quantity: U256, limit: U256, unit: U256, fee_bps: u16) -> U256 {
    of_trade(quantity, limit, unit, fee_bps, false).payment
}

fn fee(cost: U256, bps: u16) -> U256 {
    // Apart above and below the divisor, so that nothing overflows.
    let (above, below) = cost.div_rem(U256::from(WHOLE_BPS));
    above * U256::from(bps) + below * U256::from(bps) / U256::from(WHOLE_BPS)
}

/// Rounded down, and one where something is left. Quantities have at most 104 bits, prices 128.
fn worth(quantity: U256, price: U256, unit: U256) -> (U256, U256) {
    let (down, rest) = quantity.saturating_mul(price).div_rem(unit.max(U256::ONE));
    (down, U256::from(u8::from(!rest.is_zero())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn n(value: u64) -> U256 {
        U256::from(value)
    }

    #[test]
    fn the_taker_bears_what_is_rounded() {
        let worth = |buy_rests| of_trade(n(15), n(7), n(10), 0, buy_rests).cost;
        assert_eq!((worth(true), worth(false)), (n(10), n(11)));
    }

    proptest! {
        #[test]
        fn the_taker_pays_the_fee_and_nothing_is_lost(
            quantity in 1u64.., price in 1u64.., bps in 0u16..=10_000, buy_rests: bool,
        ) {
            let Worth { cost, payment, proceeds } = of_trade(n(quantity), n(price), n(1_000_000), bps, buy_rests);
            let fee = payment - proceeds;
            prop_assert!(fee * n(10_000) <= cost * n(u64::from(bps)));
            prop_assert!((fee + U256::ONE) * n(10_000) > cost * n(u64::from(bps)));
            prop_assert_eq!(if buy_rests { payment } else { proceeds }, cost);
            prop_assert!(payment <= at_most(n(quantity), n(price), n(1_000_000), bps));
        }
    }
}
