//! What a transaction offers for its place in a block. Pure; wei per gas throughout.

/// The two fields of an EIP-1559 transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// `maxFeePerGas`.
    pub max_fee: u128,
    /// `maxPriorityFeePerGas`.
    pub tip: u128,
}

/// What the chain asks at the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Market {
    /// Base fee of the newest block.
    pub base_fee: u128,
    /// Tip the node suggests.
    pub tip: u128,
}

/// Share of the old fee that a replacement must reach: nodes ask 110 %, erigon and blob pools 112.5 % and more.
const BUMP_NUMERATOR: u128 = 1_125;
const BUMP_DENOMINATOR: u128 = 1_000;

/// Fees of a first attempt: room for the base fee to double. `None` where even the base fee is above `cap`:
/// such a transaction would only sit in the pool and block its nonce.
pub fn first(market: Market, cap: u128) -> Option<Fees> {
    if market.base_fee > cap {
        return None;
    }
    let tip = market.tip.min(cap);
    let max_fee = market.base_fee.saturating_mul(2).saturating_add(tip).min(cap);
    Some(Fees { max_fee, tip: tip.min(max_fee) })
}

/// Fees of a replacement for the same nonce: both fields at least ⌈112.5 %⌉ of the old ones and at least what a
/// first attempt would offer now. `None` where that is above `cap`: stop and tell somebody.
pub fn bump(old: Fees, market: Market, cap: u128) -> Option<Fees> {
    let fresh = first(market, cap)?;
    let max_fee = raise(old.max_fee).max(fresh.max_fee);
    let tip = raise(old.tip).max(fresh.tip);
    (max_fee <= cap).then_some(Fees { max_fee: max_fee.max(tip), tip }).filter(|fees| fees.max_fee <= cap)
}

/// True where the offer is within a quarter of the base fee, so that two full blocks may price it out.
pub fn is_low(fees: Fees, base_fee: u128) -> bool {
    fees.max_fee < low(base_fee)
}

/// The least `maxFeePerGas` that is not low at this base fee.
pub fn low(base_fee: u128) -> u128 {
    base_fee.saturating_mul(5).div_ceil(4)
}

/// ⌈112.5 %⌉, and at least one more, so that a fee of zero rises too.
fn raise(fee: u128) -> u128 {
    fee.saturating_mul(BUMP_NUMERATOR).div_ceil(BUMP_DENOMINATOR).max(fee.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GWEI: u128 = 1_000_000_000;

    #[test]
    fn a_first_offer_leaves_room_for_the_base_fee_to_double() {
        let fees = first(Market { base_fee: 10 * GWEI, tip: GWEI }, 100 * GWEI).unwrap();
        assert_eq!(fees, Fees { max_fee: 21 * GWEI, tip: GWEI });
    }

    #[test]
    fn no_offer_is_made_while_the_base_fee_is_above_the_cap() {
        assert_eq!(first(Market { base_fee: 101, tip: 1 }, 100), None);
    }

    #[test]
    fn a_bump_raises_both_fields_by_an_eighth_rounded_up() {
        let fees = bump(Fees { max_fee: 1_001, tip: 9 }, Market { base_fee: 1, tip: 0 }, 10_000).unwrap();
        assert_eq!(fees, Fees { max_fee: 1_127, tip: 11 });
    }

    #[test]
    fn a_bump_follows_a_market_that_ran_away() {
        let fees = bump(Fees { max_fee: 3 * GWEI, tip: GWEI }, Market { base_fee: 100 * GWEI, tip: GWEI }, 500 * GWEI);
        assert_eq!(fees.unwrap().max_fee, 201 * GWEI);
    }

    #[test]
    fn a_bump_stops_at_the_cap() {
        assert_eq!(bump(Fees { max_fee: 95, tip: 1 }, Market { base_fee: 10, tip: 1 }, 100), None);
    }

    #[test]
    fn an_offer_below_five_quarters_of_the_base_fee_is_low() {
        assert!(is_low(Fees { max_fee: 124, tip: 0 }, 100));
        assert!(!is_low(Fees { max_fee: 125, tip: 0 }, 100));
    }

    proptest! {
        #[test]
        fn a_bump_is_always_a_valid_replacement_within_the_cap(
            max_fee in 0u128..=u64::MAX as u128, tip in 0u128..=u64::MAX as u128,
            base_fee in 0u128..=u64::MAX as u128, market_tip in 0u128..=u64::MAX as u128, cap in 0u128..=u64::MAX as u128,
        ) {
            let old = Fees { max_fee: max_fee.max(tip), tip };
            if let Some(new) = bump(old, Market { base_fee, tip: market_tip }, cap) {
                prop_assert!(new.max_fee <= cap);
                prop_assert!(new.tip <= new.max_fee);
                prop_assert!(new.max_fee * 1_000 >= old.max_fee * 1_125);
                prop_assert!(new.tip * 1_000 >= old.tip * 1_125);
                prop_assert!(new.max_fee > old.max_fee && new.tip > old.tip);
            }
        }
    }
}
