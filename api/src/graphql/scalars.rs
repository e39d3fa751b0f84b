//! Scalars: everything that a JSON number cannot hold exactly is a string. Shapes that REST and GraphQL answer alike are
//! made of them.

use std::borrow::Cow;

use alloy::primitives::{Address, B256, U256};
use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, InputValueError, InputValueResult, OutputType, Positioned, Scalar, ScalarType, ServerResult,
    Value,
};
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use tokenx_contracts::amount::Amount;

use crate::tokens::details::timestamp;
use crate::tokens::money::Number;

/// A chain address: `0x` and 40 hexadecimal digits. Written with the EIP-55 checksum, read in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addr(pub(crate) Address);

#[Scalar(name = "Address", specified_by_url = "https://eips.ethereum.org/EIPS/eip-55")]
impl ScalarType for Addr {
    fn parse(value: Value) -> InputValueResult<Self> {
        let text = text(value)?;
        let digits = text.strip_prefix("0x").unwrap_or_default();
        match digits.parse() {
            Ok(address) if digits.len() == 40 => Ok(Addr(address)),
            _ => Err(InputValueError::custom(format!("{text:?} is not an address: write 0x and 40 hex digits"))),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_checksum(None))
    }
}

/// 32 bytes, such as a hash: `0x` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes32(pub(crate) B256);

#[Scalar(name = "Bytes32")]
impl ScalarType for Bytes32 {
    fn parse(value: Value) -> InputValueResult<Self> {
        let text = text(value)?;
        let digits = text.strip_prefix("0x").unwrap_or_default();
        match digits.parse() {
            Ok(word) if digits.len() == 64 => Ok(Bytes32(word)),
            _ => Err(InputValueError::custom(format!("{text:?} is not 32 bytes: write 0x and 64 hex digits"))),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(format!("{:#x}", self.0))
    }
}

/// A whole number from 0 to 2^256−1 as a string of decimal digits: amounts in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BigInt(pub(super) U256);

#[Scalar(name = "BigInt")]
impl ScalarType for BigInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        let text = text(value)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match U256::from_str_radix(&text, 10) {
            Ok(number) if digits => Ok(BigInt(number)),
            _ => Err(InputValueError::custom(format!("{text:?} is not a number from 0 to 2^256-1 in digits"))),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A decimal number as a string, exact: amounts in whole tokens (`"100.0"`), and shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Decimal(pub(crate) String);

impl Decimal {
    /// Base units as whole tokens.
    pub(crate) fn of(base: U256, decimals: u8) -> Decimal {
        Amount::new(base, decimals).into()
    }
}

impl From<Amount> for Decimal {
    fn from(amount: Amount) -> Decimal {
        Decimal(amount.to_string())
    }
}

#[Scalar(name = "Decimal")]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        text(value).map(Decimal)
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// A moment, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) OffsetDateTime);

/// What is written as it is: the same text in REST and, under a scalar that stands for another type too, in GraphQL.
macro_rules! written {
    ($type:ty, $text:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&$text(self))
            }
        }
    };
    ($type:ty as $scalar:ty, $text:expr) => {
        impl OutputType for $type {
            fn type_name() -> Cow<'static, str> {
                <$scalar as OutputType>::type_name()
            }

            fn create_type_info(registry: &mut Registry) -> String {
                <$scalar as OutputType>::create_type_info(registry)
            }

            async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
                Ok(Value::String($text(self)))
            }
        }
    };
}

written!(Addr, |addr: &Addr| addr.0.to_checksum(None));
written!(Bytes32, |word: &Bytes32| format!("{:#x}", word.0));
written!(Time, |time: &Time| timestamp(time.0));
written!(Time as OffsetDateTime, |time: &Time| timestamp(time.0));
written!(Number as Decimal, Number::decimal);

fn text<T: async_graphql::InputType>(value: Value) -> Result<String, InputValueError<T>> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(InputValueError::expected_type(other)),
    }
}

/// A block's time. No real block's is out of range; one that is shows as the epoch.
pub(crate) fn time_of(seconds: u64) -> OffsetDateTime {
    let seconds = i64::try_from(seconds).unwrap_or(0);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::address;

    use super::*;

    fn string(text: &str) -> Value {
        Value::String(text.into())
    }

    #[test]
    fn an_address_is_read_in_any_case_and_written_with_its_checksum() {
        let expected = address!("0x52908400098527886E0F7030069857D2E4169EE7");
        let read = Addr::parse(string("0x52908400098527886e0f7030069857d2e4169ee7")).unwrap();
        assert_eq!(read.0, expected);
        assert_eq!(read.to_value(), string("0x52908400098527886E0F7030069857D2E4169EE7"));
        for bad in ["", "0x", "52908400098527886e0f7030069857d2e4169ee7", "0x5290", "alice::1"] {
            assert!(Addr::parse(string(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_strings_and_exact_to_their_last_digit() {
        let most = U256::MAX.to_string();
        assert_eq!(BigInt::parse(string(&most)).unwrap().to_value(), string(&most));
        for bad in ["", "-1", "1.0", "1e3", "0x10", "1_000"] {
            assert!(BigInt::parse(string(bad)).is_err(), "{bad}");
        }
        assert!(BigInt::parse(Value::from(1)).is_err());
        assert_eq!(Decimal::of(U256::from(1), 18).to_value(), string("0.000000000000000001"));
    }
}
