//! `NUMERIC(78,0)` ↔ uint256, exactly: the 96-bit decimals that drivers offer would drop digits without a word.
//!
//! Postgres sends and takes a numeric as base-10,000 digits, most significant first: the number of digits, the
//! weight (power of 10,000) of the first, the sign, the count of decimals shown, then the digits, 16 bits each.

use alloy::primitives::U256;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

const NUMERIC: PgTypeInfo = PgTypeInfo::with_oid(Oid(1700));
const NUMERIC_ARRAY: PgTypeInfo = PgTypeInfo::with_oid(Oid(1231));

const BASE: u64 = 10_000;
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;

/// A uint256 in a column of the `uint256` domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uint256(pub U256);

/// A difference of two uint256, in a column of the `int257` domain. Zero is never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Delta {
    negative: bool,
    magnitude: U256,
}

impl Delta {
    /// `magnitude` more.
    #[must_use]
    pub const fn plus(magnitude: U256) -> Self {
        Self { negative: false, magnitude }
    }

    /// `magnitude` less.
    #[must_use]
    pub fn minus(magnitude: U256) -> Self {
        Self { negative: !magnitude.is_zero(), magnitude }
    }

    /// What leads from `before` to `after`.
    #[must_use]
    pub fn between(before: U256, after: U256) -> Self {
        if after >= before { Self::plus(after - before) } else { Self::minus(before - after) }
    }

    /// Below zero?
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        self.negative
    }

    /// How far from zero.
    #[must_use]
    pub const fn magnitude(&self) -> U256 {
        self.magnitude
    }

    /// `value` changed by this; `None` outside 0…2^256−1.
    #[must_use]
    pub fn apply(&self, value: U256) -> Option<U256> {
        if self.negative { value.checked_sub(self.magnitude) } else { value.checked_add(self.magnitude) }
    }
}

/// Appends the binary form of ±`magnitude` to `out`.
pub(crate) fn encode(negative: bool, magnitude: U256, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    let mut digits: u16 = 0;
    for digit in magnitude.to_base_be(BASE) {
        // Below 10,000, so the two low bytes are all of it.
        out.extend_from_slice(&digit.to_be_bytes()[6..]);
        digits += 1;
    }
    let sign = if negative { NEGATIVE } else { POSITIVE };
    out[start..start + 2].copy_from_slice(&digits.to_be_bytes());
    out[start + 2..start + 4].copy_from_slice(&digits.saturating_sub(1).to_be_bytes());
    out[start + 4..start + 6].copy_from_slice(&sign.to_be_bytes());
}

/// Reads the binary form: the sign (true = negative) and the magnitude.
fn decode_binary(bytes: &[u8]) -> Result<(bool, U256), BoxDynError> {
    let words: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let [count, weight, sign, _decimals, digits @ ..] = words.as_slice() else {
        return Err("numeric shorter than its header".into());
    };
    let negative = match *sign {
        POSITIVE => false,
        NEGATIVE => true,
        _ => return Err("numeric is NaN or infinite".into()),
    };
    if digits.len() != usize::from(*count) {
        return Err("numeric with another number of digits than it says".into());
    }
    // The weight is signed on the wire; below zero, every digit is a fraction.
    let whole = usize::try_from(i32::from(weight.cast_signed()) + 1).unwrap_or(0);
    if digits.iter().skip(whole).any(|&digit| digit != 0) {
        return Err("numeric with a fraction where a whole number belongs".into());
    }
    if digits.is_empty() {
        return Ok((false, U256::ZERO));
    }
    if whole > 20 {
        return Err("numeric above uint256".into());
    }
    let padded = digits.iter().copied().chain(std::iter::repeat(0)).take(whole);
    let magnitude =
        U256::from_base_be(BASE, padded.map(u64::from)).map_err(|error| format!("numeric outside uint256: {error}"))?;
    Ok((negative && !magnitude.is_zero(), magnitude))
}

fn decode(value: &PgValueRef<'_>) -> Result<(bool, U256), BoxDynError> {
    match value.format() {
        PgValueFormat::Binary => decode_binary(value.as_bytes()?),
        PgValueFormat::Text => {
            let text = value.as_str()?;
            let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!("numeric {text:?} is not a whole number").into());
            }
            let magnitude = U256::from_str_radix(digits, 10)
                .map_err(|error| format!("numeric {text:?} outside uint256: {error}"))?;
            Ok((negative && !magnitude.is_zero(), magnitude))
        }
    }
}

impl Type<Postgres> for Uint256 {
    fn type_info() -> PgTypeInfo {
        NUMERIC
    }
}

impl PgHasArrayType for Uint256 {
    fn array_type_info() -> PgTypeInfo {
        NUMERIC_ARRAY
    }
}

impl Encode<'_, Postgres> for Uint256 {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let mut bytes = Vec::with_capacity(48);
        encode(false, self.0, &mut bytes);
        buf.extend_from_slice(&bytes);
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Uint256 {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match decode(&value)? {
            (false, magnitude) => Ok(Self(magnitude)),
            (true, magnitude) => Err(format!("-{magnitude} where a uint256 belongs").into()),
        }
    }
}

impl Type<Postgres> for Delta {
    fn type_info() -> PgTypeInfo {
        NUMERIC
    }
}

impl PgHasArrayType for Delta {
    fn array_type_info() -> PgTypeInfo {
        NUMERIC_ARRAY
    }
}

impl Encode<'_, Postgres> for Delta {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let mut bytes = Vec::with_capacity(48);
        encode(self.negative, self.magnitude, &mut bytes);
        buf.extend_from_slice(&bytes);
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Delta {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let (negative, magnitude) = decode(&value)?;
        Ok(Self { negative, magnitude })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(negative: bool, magnitude: U256) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(negative, magnitude, &mut bytes);
        bytes
    }

    fn any_u256() -> impl Strategy<Value = U256> {
        prop_oneof![
            any::<[u8; 32]>().prop_map(U256::from_be_bytes),
            (any::<u64>(), 0usize..=192).prop_map(|(n, shift)| U256::from(n) << shift),
            Just(U256::ZERO),
            Just(U256::MAX),
        ]
    }

    proptest! {
        #[test]
        fn every_uint256_survives_the_wire(value in any_u256(), negative: bool) {
            let decoded = decode_binary(&wire(negative, value)).unwrap();
            prop_assert_eq!(decoded, (negative && !value.is_zero(), value));
        }

        #[test]
        fn no_bytes_can_make_the_decoder_panic(bytes: Vec<u8>) {
            let _ = decode_binary(&bytes);
        }

        #[test]
        fn a_delta_leads_from_before_to_after(before in any_u256(), after in any_u256()) {
            prop_assert_eq!(Delta::between(before, after).apply(before), Some(after));
        }
    }

    #[test]
    fn postgres_strips_trailing_zero_digits_and_they_come_back() {
        // 1e18 as Postgres sends it: one digit 100, weight 4.
        let bytes = [0, 1, 0, 4, 0, 0, 0, 0, 0, 100];
        assert_eq!(decode_binary(&bytes).unwrap(), (false, U256::from(10).pow(U256::from(18))));
    }

    #[test]
    fn what_is_not_a_whole_number_within_uint256_is_refused() {
        let nan = [0, 0, 0, 0, 0xc0, 0, 0, 0];
        let half = [0, 1, 0xff, 0xff, 0, 0, 0, 1, 0x13, 0x88];
        let huge = [0, 1, 0, 20, 0, 0, 0, 0, 0, 1];
        let digit_out_of_range = [0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10];
        let two_digits_announced = [0, 2, 0, 0, 0, 0, 0, 0, 0, 1];
        for bytes in [&nan[..], &half, &huge, &digit_out_of_range, &two_digits_announced, &[]] {
            assert!(decode_binary(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn zero_is_never_negative() {
        assert!(!Delta::minus(U256::ZERO).is_negative());
        assert_eq!(Delta::minus(U256::ZERO), Delta::plus(U256::ZERO));
    }
}
