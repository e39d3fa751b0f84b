//! Token amounts: whole base units on the inside, an exact decimal text of whole tokens on the outside.
//!
//! Reading takes two steps, because a request is read before its instrument is known: [`AmountText`] is a positive
//! decimal of any size (the shape is right), [`AmountText::to_amount`] gives it a token's decimals (it fits).

use std::fmt;

use alloy::primitives::U256;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Decimal digits of 2^256−1.
const MAX_DIGITS: usize = 78;
/// How much of a refused text an error repeats.
const SHOWN: usize = 48;

/// Why a text is no amount. Messages say the value and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// An empty string.
    #[error("amount is empty: write a decimal such as \"100.0\"")]
    Empty,
    /// Neither plain digits nor a JSON number: words, NaN, infinity, signs, spaces, separators.
    #[error("{0} is not a valid number: write a decimal such as \"100.0\"")]
    NotANumber(String),
    /// A string with an exponent, which only JSON numbers may have.
    #[error("{0} has an exponent: write plain digits, or send it as a json number")]
    Exponent(String),
    /// Below zero.
    #[error("{0} is negative: amounts are above zero")]
    Negative(String),
    /// Zero.
    #[error("amount is zero: amounts are above zero")]
    Zero,
    /// More fractional digits than the token has, trailing zeros not counted.
    #[error("{value} has {places} decimal places, the token has {decimals}: use at most {decimals}")]
    TooManyDecimals {
        /// The amount as it was written.
        value: String,
        /// Its decimal places, trailing zeros not counted.
        places: u64,
        /// What the token has.
        decimals: u8,
    },
    /// Above 2^256−1 whole tokens: too large whatever the token's decimals.
    #[error("{0} is too large: no token holds that many")]
    TooLargeForAny(String),
    /// Above 2^256−1 base units.
    #[error("{value} is too large: with {decimals} decimals a token holds at most {}", Amount::new(U256::MAX, *decimals))]
    TooLarge {
        /// The amount as it was written.
        value: String,
        /// What the token has.
        decimals: u8,
    },
}

/// A positive decimal of any size, exactly as written; not yet any token's.
///
/// Two that mean the same number are equal: `"100"`, `100`, `"100.0"` and `1e2`.
#[derive(Clone, Debug)]
pub struct AmountText {
    /// Significant digits: no leading and no trailing zeros, never empty.
    digits: String,
    /// The value is `digits` × 10^`exponent`.
    exponent: i64,
    /// As written, cut for messages.
    shown: String,
}

impl PartialEq for AmountText {
    fn eq(&self, other: &Self) -> bool {
        self.digits == other.digits && self.exponent == other.exponent
    }
}

impl Eq for AmountText {}

impl AmountText {
    /// Reads plain decimal digits: `digits` or `digits.digits`, ASCII, nothing around them.
    ///
    /// # Errors
    /// Every [`AmountError`] but the two that depend on a token.
    pub fn from_text(text: &str) -> Result<Self, AmountError> {
        if text.is_empty() {
            return Err(AmountError::Empty);
        }
        let number = Decimal::split(text).ok_or_else(|| AmountError::NotANumber(quoted(text)))?;
        if number.exponent.is_some() {
            return Err(AmountError::Exponent(quoted(text)));
        }
        number.read(quoted(text))
    }

    /// Reads a JSON value from its own text: a string as [`AmountText::from_text`] does, a number exactly, its
    /// exponent included. No binary float is ever made of it.
    ///
    /// # Errors
    /// As [`AmountText::from_text`]; any other kind of JSON value is [`AmountError::NotANumber`].
    pub fn from_json(value: &RawValue) -> Result<Self, AmountError> {
        let json = value.get().trim();
        if json.starts_with('"') {
            let text: String = serde_json::from_str(json).map_err(|_| AmountError::NotANumber(shorten(json)))?;
            return Self::from_text(&text);
        }
        let number = Decimal::split(json).ok_or_else(|| AmountError::NotANumber(shorten(json)))?;
        number.read(shorten(json))
    }

    /// Refuses what fits no token, for where the token is not known.
    ///
    /// # Errors
    /// [`AmountError::TooLargeForAny`].
    pub fn fits_some_token(&self) -> Result<(), AmountError> {
        let too_large = || AmountError::TooLargeForAny(self.shown.clone());
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        // Whole digits of the value; at most 78 once past the check.
        let whole = usize::try_from(length.saturating_add(self.exponent).max(0)).map_err(|_| too_large())?;
        if whole > MAX_DIGITS {
            return Err(too_large());
        }
        let text: String = self.digits.chars().chain(std::iter::repeat('0')).take(whole).collect();
        if whole > 0 {
            U256::from_str_radix(&text, 10).map_err(|_| too_large())?;
        }
        Ok(())
    }

    /// This many whole tokens of a token with `decimals`.
    ///
    /// # Errors
    /// [`AmountError::TooManyDecimals`] or [`AmountError::TooLarge`].
    pub fn to_amount(&self, decimals: u8) -> Result<Amount, AmountError> {
        let shift = self.exponent.saturating_add(i64::from(decimals));
        if shift < 0 {
            return Err(AmountError::TooManyDecimals {
                value: self.shown.clone(),
                places: self.exponent.unsigned_abs(),
                decimals,
            });
        }
        let too_large = || AmountError::TooLarge { value: self.shown.clone(), decimals };
        let zeros = usize::try_from(shift).map_err(|_| too_large())?;
        if self.digits.len().saturating_add(zeros) > MAX_DIGITS {
            return Err(too_large());
        }
        let text = format!("{}{}", self.digits, "0".repeat(zeros));
        let base = U256::from_str_radix(&text, 10).map_err(|_| too_large())?;
        Ok(Amount::new(base, decimals))
    }
}

/// A decimal cut into its parts, by the JSON grammar save that leading zeros are allowed.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: Option<&'a str>,
}

impl<'a> Decimal<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (rest, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let exponent_digits = exponent.map(|e| e.strip_prefix(['+', '-']).unwrap_or(e));
        let parts = [Some(whole), fraction, exponent_digits];
        parts.into_iter().flatten().all(all_digits).then_some(Self {
            negative,
            whole,
            fraction: fraction.unwrap_or(""),
            exponent,
        })
    }

    fn read(&self, shown: String) -> Result<AmountText, AmountError> {
        let written = format!("{}{}", self.whole, self.fraction);
        let digits = written.trim_start_matches('0').trim_end_matches('0');
        if digits.is_empty() {
            return Err(AmountError::Zero);
        }
        if self.negative {
            return Err(AmountError::Negative(shown));
        }
        let trailing = written.len() - written.trim_end_matches('0').len();
        // An exponent beyond i64 is beyond every amount; saturation keeps its direction.
        let exponent = self.exponent.map_or(0, saturating_i64);
        let exponent = exponent
            .saturating_sub(i64::try_from(self.fraction.len()).unwrap_or(i64::MAX))
            .saturating_add(i64::try_from(trailing).unwrap_or(i64::MAX));
        Ok(AmountText { digits: digits.to_owned(), exponent, shown })
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An optional sign and digits, as far as i64 reaches.
fn saturating_i64(text: &str) -> i64 {
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

fn quoted(text: &str) -> String {
    format!("{:?}", shorten(text))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An amount of one token: base units over the full uint256 range, and the token's decimals.
///
/// Shown canonically in whole tokens: no exponent, at least one fractional digit, no other trailing zeros (`100.0`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Amount {
    base: U256,
    decimals: u8,
}

impl Amount {
    /// `base` units of a token with `decimals`. Zero is allowed: balances may be.
    #[must_use]
    pub const fn new(base: U256, decimals: u8) -> Self {
        Self { base, decimals }
    }

    /// Reads plain decimal digits; see [`AmountText::from_text`].
    ///
    /// # Errors
    /// Every [`AmountError`].
    pub fn parse(text: &str, decimals: u8) -> Result<Self, AmountError> {
        AmountText::from_text(text)?.to_amount(decimals)
    }

    /// Reads a JSON string or number exactly; see [`AmountText::from_json`].
    ///
    /// # Errors
    /// Every [`AmountError`].
    pub fn parse_json(value: &RawValue, decimals: u8) -> Result<Self, AmountError> {
        AmountText::from_json(value)?.to_amount(decimals)
    }

    /// The amount in base units, as the chain and the database hold it.
    #[must_use]
    pub const fn base(&self) -> U256 {
        self.base
    }

    /// The token's decimals.
    #[must_use]
    pub const fn decimals(&self) -> u8 {
        self.decimals
    }

    /// Nothing at all?
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.base.is_zero()
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = usize::from(self.decimals);
        // At least one digit before the point.
        let digits = format!("{:0>width$}", self.base.to_string(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let fraction = fraction.trim_end_matches('0');
        f.pad(&format!("{whole}.{}", if fraction.is_empty() { "0" } else { fraction }))
    }
}

/// As its canonical text.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
