//! Shares of a supply: exact integers to the last digit, then six decimals, half to even.

use alloy::primitives::{U512, Uint};

/// Room for a squared uint256 times a million.
type Wide = Uint<576, 9>;

const MILLION: u64 = 1_000_000;

/// `part / whole` with up to six decimals, no trailing zeros but one; `None` where there is no whole.
#[must_use]
pub fn share(part: U512, whole: U512) -> Option<String> {
    if whole.is_zero() {
        return None;
    }
    let (part, whole) = (Wide::from(part), Wide::from(whole));
    let (mut millionths, rest) = (part * Wide::from(MILLION)).div_rem(whole);
    let odd = millionths.bit(0);
    match (rest + rest).cmp(&whole) {
        std::cmp::Ordering::Greater => millionths += Wide::from(1),
        std::cmp::Ordering::Equal if odd => millionths += Wide::from(1),
        _ => {}
    }
    // A part is never above its whole, so this is at most a million.
    let millionths = millionths.saturating_to::<u64>();
    let fraction = format!("{:06}", millionths % MILLION);
    let fraction = fraction.trim_end_matches('0');
    Some(format!("{}.{}", millionths / MILLION, if fraction.is_empty() { "0" } else { fraction }))
}

/// `squares / supply²`: the Herfindahl–Hirschman index, given the sum of the squared holdings.
pub(crate) fn hhi(squares: U512, supply: alloy::primitives::U256) -> Option<String> {
    let supply = U512::from(supply);
    // The square of a uint256 always fits 512 bits.
    share(squares, supply * supply)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;
    use proptest::prelude::*;

    use super::*;

    fn of(part: u64, whole: u64) -> String {
        share(U512::from(part), U512::from(whole)).unwrap()
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        assert_eq!(of(1, 2_000_000), "0.0");
        assert_eq!(of(3, 2_000_000), "0.000002");
        assert_eq!(of(5, 2_000_000), "0.000002");
        assert_eq!(of(1, 3), "0.333333");
        assert_eq!(of(2, 3), "0.666667");
        assert_eq!(of(18, 100), "0.18");
        assert_eq!(of(7, 7), "1.0");
        assert_eq!(share(U512::ZERO, U512::ZERO), None);
    }

    #[test]
    fn the_largest_supply_neither_overflows_nor_rounds_wrongly() {
        let all = U512::from(U256::MAX);
        assert_eq!(hhi(all * all, U256::MAX).unwrap(), "1.0");
        assert_eq!(share(all / U512::from(2), all).unwrap(), "0.5");
    }

    #[test]
    fn equal_holders_concentrate_to_one_over_their_number() {
        let squares = U512::from(25u64 * 4);
        assert_eq!(hhi(squares, U256::from(20)).unwrap(), "0.25");
    }

    proptest! {
        /// Against rational arithmetic on small numbers, as i128 millionths.
        #[test]
        fn shares_are_the_exact_quotient_rounded_once(part in 0u64..1_000_000, more in 0u64..1_000_000) {
            prop_assume!(part + more > 0);
            let whole = i128::from(part + more);
            let exact = i128::from(part) * 1_000_000;
            let (floor, rest) = (exact / whole, exact % whole);
            let up = rest * 2 > whole || (rest * 2 == whole && floor % 2 == 1);
            let expected = floor + i128::from(up);
            let text = of(part, part + more);
            let (int, fraction) = text.split_once('.').unwrap();
            let got: i128 = int.parse::<i128>().unwrap() * 1_000_000 + format!("{fraction:0<6}").parse::<i128>().unwrap();
            prop_assert_eq!(got, expected);
        }
    }
}
