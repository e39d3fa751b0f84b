//! `BYTEA` ↔ address and word, with the length checked on the way in.

use alloy::primitives::{Address, B256, FixedBytes};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

/// An address in a column of the `address` domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr(pub Address);

/// A word in a column of the `word` domain: a hash, a topic, an on-chain command id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(pub B256);

impl From<Address> for Addr {
    fn from(address: Address) -> Self {
        Self(address)
    }
}

impl From<Addr> for Address {
    fn from(addr: Addr) -> Self {
        addr.0
    }
}

impl From<B256> for Word {
    fn from(word: B256) -> Self {
        Self(word)
    }
}

impl From<Word> for B256 {
    fn from(word: Word) -> Self {
        word.0
    }
}

fn decode_fixed<const N: usize>(value: PgValueRef<'_>) -> Result<FixedBytes<N>, BoxDynError> {
    let bytes = <Vec<u8> as Decode<Postgres>>::decode(value)?;
    FixedBytes::try_from(bytes.as_slice()).map_err(|_| format!("expected {N} bytes, found {}", bytes.len()).into())
}

macro_rules! bytea {
    ($type:ty, $wrap:expr) => {
        impl Type<Postgres> for $type {
            fn type_info() -> PgTypeInfo {
                <[u8] as Type<Postgres>>::type_info()
            }
        }

        impl PgHasArrayType for $type {
            fn array_type_info() -> PgTypeInfo {
                <Vec<u8> as PgHasArrayType>::array_type_info()
            }
        }

        impl Encode<'_, Postgres> for $type {
            fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                buf.extend_from_slice(self.0.as_slice());
                Ok(IsNull::No)
            }
        }

        impl Decode<'_, Postgres> for $type {
            fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
                decode_fixed(value).map($wrap)
            }
        }
    };
}

bytea!(Addr, |bytes: FixedBytes<20>| Addr(Address::from(bytes)));
bytea!(Word, Word);
