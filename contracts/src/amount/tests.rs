//! Laws of amounts, over the full uint256 range.

use alloy::primitives::U256;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{Amount, AmountError, AmountText};

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn any_base() -> impl Strategy<Value = U256> {
    prop_oneof![
        any::<[u8; 32]>().prop_map(U256::from_be_bytes),
        (any::<u64>(), 0u64..=58).prop_map(|(n, tens)| U256::from(n) * U256::from(10).pow(U256::from(tens))),
        (0u64..1_000).prop_map(U256::from),
        Just(U256::MAX),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_is_shown_is_read_back(base in any_base(), decimals in 0u8..=77) {
        let amount = Amount::new(base, decimals);
        match Amount::parse(&amount.to_string(), decimals) {
            Ok(read) => prop_assert_eq!(read, amount),
            Err(error) => {
                prop_assert!(base.is_zero());
                prop_assert_eq!(error, AmountError::Zero);
            }
        }
    }

    #[test]
    fn the_shown_form_is_canonical(base in any_base(), decimals: u8) {
        let shown = Amount::new(base, decimals).to_string();
        let (whole, fraction) = shown.split_once('.').unwrap();
        prop_assert!(whole == "0" || !whole.starts_with('0'));
        prop_assert!(fraction == "0" || !fraction.ends_with('0'));
        prop_assert!(!fraction.is_empty());
        prop_assert!(shown.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
    }

    #[test]
    fn a_json_number_and_its_string_are_one_amount(base in any_base(), decimals in 0u8..=77) {
        prop_assume!(!base.is_zero());
        let shown = Amount::new(base, decimals).to_string();
        let number = Amount::parse_json(&raw(&shown), decimals);
        let string = Amount::parse_json(&raw(&format!("\"{shown}\"")), decimals);
        prop_assert_eq!(&number, &string);
        prop_assert_eq!(number.unwrap().base(), base);
    }

    #[test]
    fn an_exponent_only_moves_the_point(base in any_base(), decimals in 0u8..=77, shift in -90i64..=90) {
        prop_assume!(!base.is_zero());
        // base × 10^-decimals, its digits written with another exponent and as many zeros.
        let zeros = "0".repeat(usize::try_from(shift.max(0)).unwrap());
        let exponent = -i64::from(decimals) - shift.max(0);
        let number = format!("{base}{zeros}e{exponent}");
        prop_assert_eq!(Amount::parse_json(&raw(&number), decimals).unwrap().base(), base);
    }

    #[test]
    fn zeros_at_either_end_change_nothing(base in any_base(), decimals in 0u8..=77, left in 0usize..9, right in 0usize..400) {
        prop_assume!(!base.is_zero());
        let text = format!("{}{}{}", "0".repeat(left), Amount::new(base, decimals), "0".repeat(right));
        prop_assert_eq!(Amount::parse(&text, decimals).unwrap().base(), base);
    }

    #[test]
    fn any_text_is_read_or_refused_and_never_rounded(text in "\\PC{0,40}", decimals: u8) {
        if let Ok(amount) = Amount::parse(&text, decimals) {
            prop_assert_eq!(Amount::parse(&amount.to_string(), decimals).unwrap(), amount);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
        }
    }

    #[test]
    fn one_base_unit_too_fine_is_refused(decimals in 0u8..=76) {
        let text = format!("0.{}1", "0".repeat(usize::from(decimals)));
        let refused = Amount::parse(&text, decimals);
        let is_refused = matches!(refused, Err(AmountError::TooManyDecimals { .. }));
        prop_assert!(is_refused, "{:?}", refused);
        prop_assert_eq!(Amount::parse(&text, decimals + 1).unwrap().base(), U256::ONE);
    }
}

#[test]
fn four_spellings_of_a_hundred_are_one() {
    let spelled: Vec<AmountText> =
        ["\"100\"", "100", "\"100.0\"", "1e2"].iter().map(|json| AmountText::from_json(&raw(json)).unwrap()).collect();
    assert!(spelled.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(spelled[0].to_amount(18).unwrap().to_string(), "100.0");
}

#[test]
fn a_number_is_read_from_its_text() {
    for (json, base) in [("0.1", 100_000u64), ("1E+2", 100_000_000), ("25e-1", 2_500_000), ("0.000001", 1)] {
        assert_eq!(Amount::parse_json(&raw(json), 6).unwrap().base(), U256::from(base), "{json}");
    }
    // Beyond every double's 53 bits.
    let exact = "9007199254740993.000000000000000001";
    assert_eq!(Amount::parse_json(&raw(exact), 18).unwrap().to_string(), exact);
}

#[test]
fn each_bad_text_has_its_own_refusal() {
    let refusal = |json: &str| Amount::parse_json(&raw(json), 18).unwrap_err();
    assert_eq!(refusal("\"\""), AmountError::Empty);
    for json in ["0", "\"0\"", "\"0.00\"", "-0", "0e99999999999999999999", "-0.0"] {
        assert_eq!(refusal(json), AmountError::Zero, "{json}");
    }
    for json in ["-1", "\"-1\"", "-1e400"] {
        assert!(matches!(refusal(json), AmountError::Negative(_)), "{json}");
    }
    for json in ["\"1e2\"", "\"1E-2\"", "\"0e0\""] {
        assert!(matches!(refusal(json), AmountError::Exponent(_)), "{json}");
    }
    for json in [
        "\"NaN\"",
        "\"Infinity\"",
        "\"+1\"",
        "\" 1\"",
        "\"1 \"",
        "\"1,000\"",
        "\"1_000\"",
        "\".5\"",
        "\"5.\"",
        "\"0x10\"",
        "\"١٠\"",
        "\"1.2.3\"",
        "\"--1\"",
        "\"1e\"",
        "true",
        "null",
        "[]",
        "{}",
        "\"-\"",
        "\".\"",
    ] {
        assert!(matches!(refusal(json), AmountError::NotANumber(_)), "{json}");
    }
    for json in ["1e400", "1e99999999999999999999999", "1e60"] {
        assert!(matches!(refusal(json), AmountError::TooLarge { .. }), "{json}");
    }
    for json in ["1e-19", "1e-99999999999999999999999", "\"0.0000000000000000001\""] {
        assert!(matches!(refusal(json), AmountError::TooManyDecimals { .. }), "{json}");
    }
}

#[test]
fn the_largest_uint256_fits_and_one_more_does_not() {
    let max = U256::MAX.to_string();
    assert_eq!(Amount::parse(&max, 0).unwrap().base(), U256::MAX);
    let one_more = format!("{}6", &max[..77]);
    assert!(matches!(Amount::parse(&one_more, 0), Err(AmountError::TooLarge { .. })));
    assert_eq!(Amount::new(U256::MAX, 77).to_string(), format!("{}.{}", &max[..1], &max[1..]));
}

#[test]
fn an_escaped_string_is_the_string_it_means() {
    assert_eq!(Amount::parse_json(&raw("\"\\u0031\\u0030\""), 0).unwrap().base(), U256::from(10));
}

#[test]
fn a_refusal_says_the_value_and_what_to_do() {
    let error = Amount::parse("1.23", 1).unwrap_err().to_string();
    assert_eq!(error, "\"1.23\" has 2 decimal places, the token has 1: use at most 1");
    let long = "9".repeat(5_000);
    assert!(Amount::parse(&long, 0).unwrap_err().to_string().len() < 300);
}

#[test]
fn what_no_token_can_hold_is_too_large_before_the_token_is_known() {
    let max = U256::MAX.to_string();
    let above = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    for fits in ["1", "0.1", "1e-400", "1e77", &max, &format!("{max}.0")] {
        assert_eq!(json(fits).fits_some_token(), Ok(()), "{fits}");
    }
    let digits = "9".repeat(400);
    for large in ["1e400", "1e78", above, &digits, &format!("{digits}.5"), "1e99999999999999999999"] {
        let error = json(large).fits_some_token().unwrap_err();
        assert!(matches!(&error, AmountError::TooLargeForAny(shown) if large.starts_with(shown.trim_end_matches('…'))));
    }
}

fn json(text: &str) -> AmountText {
    AmountText::from_json(&RawValue::from_string(text.to_owned()).unwrap()).unwrap()
}
