//! Prices, shares and counts: exact on the inside, JSON numbers on the outside. No binary float is ever made of one.

use alloy::primitives::{Address, U256};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tokenx_contracts::amount::{Amount, AmountError, AmountText};

use crate::http::object::{Object, text};

/// Hundredths of a per cent in the whole.
const WHOLE_BPS: u64 = 10_000;

/// What is paid with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency {
    /// Its id, 24 hex.
    pub currency_id: String,
    /// Its contract.
    pub address: Address,
    /// What people call it.
    pub symbol: String,
    /// Decimals of its units.
    pub decimals: u8,
}

/// A sum of a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Of what.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
}

impl Price {
    /// `units` base units of a currency.
    pub fn new(currency: Currency, units: U256) -> Price {
        Price { amount: Amount::new(units, currency.decimals), currency }
    }

    /// Reads `{"id": currency, "amount": number}`. The currency's own words beside them are allowed and not looked at.
    pub fn read(object: &mut Object, currencies: &[Currency], zero: Zero) -> Option<Price> {
        let currency = object.read("id", None, |raw| {
            let id = text(raw)?;
            let found = currencies.iter().find(|known| known.currency_id == id).cloned();
            found.ok_or_else(|| format!("there is no currency {:?}", crate::http::object::shortened(&id)))
        });
        let decimals = currency.as_ref().map(|currency| currency.decimals);
        let amount = object.read("amount", None, |raw| amount(raw, decimals, zero));
        object.ignore(&["decimal", "symbol", "address"]);
        Some(Price { currency: currency?, amount: amount? })
    }

    /// This share of it, half-even to its currency's decimals; a share is at most the whole.
    pub fn share(&self, bps: u16) -> Price {
        let (bps, whole) = (U256::from(bps), U256::from(WHOLE_BPS));
        // The parts above and below the divisor apart, so that nothing overflows.
        let (above, below) = self.amount.base().div_rem(whole);
        let (quotient, rest) = (below * bps).div_rem(whole);
        let exact = above * bps + quotient;
        let twice = rest * U256::from(2);
        let up = twice > whole || (twice == whole && exact.bit(0));
        Price::new(self.currency.clone(), exact + U256::from(u8::from(up)))
    }
}

/// Whether nothing at all is an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    /// It is.
    Allowed,
    /// It is not.
    Refused,
}

/// An amount that fits a currency's decimals. Of a currency that is not known only the shape is checked.
///
/// # Errors
/// What is wrong with it.
pub fn amount(raw: &RawValue, decimals: Option<u8>, zero: Zero) -> Result<Amount, AmountError> {
    let none = Amount::new(U256::ZERO, decimals.unwrap_or_default());
    match AmountText::from_json(raw) {
        Err(AmountError::Zero) if zero == Zero::Allowed => Ok(none),
        Err(error) => Err(error),
        Ok(text) => decimals.map_or(Ok(none), |decimals| text.to_amount(decimals)),
    }
}

/// A per cent of 0 to 100 with two decimals, in hundredths.
///
/// # Errors
/// What it is not.
pub fn percentage(raw: &RawValue) -> Result<u16, String> {
    let share = amount(raw, Some(2), Zero::Allowed).map_err(|error| match error {
        AmountError::TooManyDecimals { value, .. } => format!("{value} is too fine: use at most two decimals"),
        AmountError::NotANumber(_) | AmountError::Exponent(_) | AmountError::Empty => "value is not a number".into(),
        _ => "value is out of range: use 0 to 100".to_owned(),
    })?;
    let bps = share.base();
    if bps > U256::from(WHOLE_BPS) {
        return Err("value is out of range: use 0 to 100".to_owned());
    }
    Ok(bps.to())
}

/// A count of whole tokens.
///
/// # Errors
/// What it is not.
pub fn count(raw: &RawValue) -> Result<U256, String> {
    AmountText::from_json(raw)
        .and_then(|text| text.to_amount(0))
        .map(|amount| amount.base())
        .map_err(|error| error.to_string())
}

/// An exact decimal that is written as a JSON number: `30`, `25.5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// So much less than nothing.
    pub fn negative(amount: Amount) -> Number {
        let Number(digits) = Number::from(amount);
        Number(format!("-{digits}"))
    }

    /// As amounts are written where they are texts: `30.0`.
    pub fn decimal(&self) -> String {
        if self.0.contains('.') { self.0.clone() } else { format!("{}.0", self.0) }
    }
}

impl From<Amount> for Number {
    fn from(amount: Amount) -> Number {
        let text = amount.to_string();
        Number(text.strip_suffix(".0").unwrap_or(&text).to_owned())
    }
}

impl From<U256> for Number {
    fn from(count: U256) -> Number {
        Number(count.to_string())
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.0.clone()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn usdt(units: u64, decimals: u8) -> Price {
        let currency = Currency { currency_id: "c".into(), address: Address::ZERO, symbol: "USDT".into(), decimals };
        Price::new(currency, U256::from(units))
    }

    #[test]
    fn a_number_is_written_exactly_and_without_an_exponent() {
        let shown = |units: &str, decimals| {
            let amount = Amount::new(U256::from_str_radix(units, 10).unwrap(), decimals);
            serde_json::to_string(&Number::from(amount)).unwrap()
        };
        assert_eq!(shown("30000000", 6), "30");
        assert_eq!(shown("25500000", 6), "25.5");
        assert_eq!(shown("0", 6), "0");
        assert_eq!(shown("1", 18), "0.000000000000000001");
        assert_eq!(shown("123456789012345678901234567890", 0), "123456789012345678901234567890");
    }

    #[test]
    fn a_share_is_half_even_to_the_currency() {
        assert_eq!(usdt(12_000_000_000, 6).share(8_000), usdt(9_600_000_000, 6));
        assert_eq!(usdt(1, 0).share(5_000), usdt(0, 0));
        assert_eq!(usdt(3, 0).share(5_000), usdt(2, 0));
        assert_eq!(usdt(5, 0).share(5_000), usdt(2, 0));
        assert_eq!(usdt(1, 0).share(5_001), usdt(1, 0));
        let most = Price::new(usdt(0, 18).currency, U256::MAX);
        assert_eq!(most.share(10_000), most);
    }

    #[test]
    fn a_percentage_has_two_decimals_and_at_most_a_hundred() {
        for (text, bps) in [("0", 0), ("80", 8_000), ("33.33", 3_333), ("100", 10_000), ("1e2", 10_000), ("\"7\"", 700)]
        {
            assert_eq!(percentage(&raw(text)), Ok(bps), "{text}");
        }
        for text in ["100.01", "-1", "33.333", "true", "null", "\"\"", "1e99"] {
            assert!(percentage(&raw(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_count_is_whole_and_above_none() {
        assert_eq!(count(&raw("1000")), Ok(U256::from(1_000)));
        assert_eq!(count(&raw("1e3")), Ok(U256::from(1_000)));
        for text in ["0", "-1", "1.5", "\"x\"", "[]"] {
            assert!(count(&raw(text)).is_err(), "{text}");
        }
    }
}
