//! Reading what a wallet has signed (EIP-712): the message's members by the names that they are signed under. What the
//! request itself says is compared, so that nobody signs one thing and asks for another.

use std::fmt::Display;

use alloy::primitives::{Address, B256, Bytes, U256};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::object::{Object, shortened, text};
use crate::error::{ApiError, FieldError};

/// The longest proof that is carried: a key's has 65 bytes, a contract's (ERC-1271) may be some dozen of those.
const MAX_PROOF: usize = 2_048;

/// What a wallet lets a contract take (ERC-2612). Numbers are decimal digits.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read member by member, so that every bad one is named")]
pub struct PermitRequest {
    /// Base units that may be taken.
    #[schema(pattern = "^[0-9]{1,78}$")]
    value: String,
    /// Last Unix second at which it counts.
    #[schema(pattern = "^[0-9]{1,78}$")]
    deadline: String,
    #[schema(pattern = "^0x[0-9a-fA-F]{130}$")]
    signature: String,
}

/// A permit as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// Base units that may be taken.
    pub value: U256,
    /// Last Unix second at which it counts.
    pub deadline: U256,
    /// The proof.
    pub signature: Bytes,
}

/// Reads a permit.
pub fn permit(given: &mut Object) -> Option<Permit> {
    let value = given.read("value", None, uint);
    let deadline = given.read("deadline", None, uint);
    let signature = given.read("signature", None, proof);
    Some(Permit { value: value?, deadline: deadline?, signature: signature? })
}

/// What was signed, held against what the request says.
#[derive(Debug, Default)]
pub struct Said(Vec<FieldError>);

impl Said {
    /// A member that must say just this.
    pub fn is<T: Copy + PartialEq + Display>(&mut self, name: &'static str, said: T, expected: T) {
        self.fits(name, said == expected, expected);
    }

    /// A member that must be among what `expected` describes.
    pub fn fits(&mut self, name: &'static str, fits: bool, expected: impl Display) {
        if !fits {
            let mut error = FieldError::body(name, "value_error", format!("it must say {expected}"));
            error.loc = vec!["body".into(), "intent".into(), name.into()];
            self.0.push(error);
        }
    }

    /// What was found on the way, where nothing says something else.
    ///
    /// # Errors
    /// Every member that does.
    pub fn finish<T>(self, found: Option<T>) -> Result<T, ApiError> {
        found.filter(|_| self.0.is_empty()).ok_or(ApiError::Rejected(self.0))
    }
}

/// An address.
///
/// # Errors
/// What it is not.
pub fn address(raw: &RawValue) -> Result<Address, String> {
    let text = text(raw)?;
    let address = text.starts_with("0x").then(|| text.parse().ok()).flatten();
    address.ok_or_else(|| "value is not an address: 0x and 40 hex digits".to_owned())
}

/// An unsigned number: a string of decimal digits, or a JSON number.
///
/// # Errors
/// What it is not.
pub fn uint(raw: &RawValue) -> Result<U256, String> {
    let text = text(raw).unwrap_or_else(|_| raw.get().to_owned());
    let digits = (1..=78).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| U256::from_str_radix(&text, 10).ok()).flatten();
    number.ok_or_else(|| format!("{:?} is no uint256: write decimal digits", shortened(&text)))
}

/// A word of 32 bytes.
///
/// # Errors
/// What it is not.
pub fn word(raw: &RawValue) -> Result<B256, String> {
    let text = text(raw)?;
    let word = text.starts_with("0x").then(|| text.parse().ok()).flatten();
    word.ok_or_else(|| "value is no word: 0x and 64 hex digits".to_owned())
}

/// A proof that a wallet has signed.
///
/// # Errors
/// What it is not.
pub fn proof(raw: &RawValue) -> Result<Bytes, String> {
    let text = text(raw)?;
    let bytes: Option<Bytes> = text.starts_with("0x").then(|| text.parse().ok()).flatten();
    bytes
        .filter(|bytes| (1..=MAX_PROOF).contains(&bytes.len()))
        .ok_or_else(|| format!("value is no signature: 0x and the hex digits of 1 to {MAX_PROOF} bytes"))
}

/// A message is kept once, by what the chain knows it by: under another name it is not another one.
pub fn sent_before(constraint: &'static str) -> impl FnOnce(sqlx::Error) -> ApiError {
    move |error| match &error {
        sqlx::Error::Database(database) if database.constraint() == Some(constraint) => {
            ApiError::Conflict("this intent was sent before: sign one with another salt".to_owned())
        }
        _ => error.into(),
    }
}

/// A member that must say what the request says.
pub fn same<T: PartialEq + Clone + Display>(
    message: &mut Object,
    name: &'static str,
    expected: &T,
    parse: impl FnOnce(&RawValue) -> Result<T, String>,
) -> Option<T> {
    message.read(name, None, |raw| match parse(raw)? {
        value if value == *expected => Ok(value),
        value => Err(format!("{value} was signed, and the request says {expected}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_number_is_read_whole_from_digits_alone() {
        let most = U256::MAX.to_string();
        assert_eq!(uint(&raw(&format!("{most:?}"))), Ok(U256::MAX));
        assert_eq!(uint(&raw("12")), Ok(U256::from(12)));
        for bad in ["\"\"", "\"-1\"", "1.5", "1e2", "\"0x10\"", "null", &format!("\"{most}0\"")] {
            assert!(uint(&raw(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_signed_is_what_is_asked() {
        let mut message = Object::parse(br#"{"amount": "7", "other": "8"}"#).unwrap();
        let seven = U256::from(7);
        assert_eq!(same(&mut message, "amount", &seven, uint), Some(seven));
        assert_eq!(same(&mut message, "other", &seven, uint), None);
        assert_eq!(message.errors().len(), 1);
    }
}
