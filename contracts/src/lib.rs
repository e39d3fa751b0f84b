#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod amount;
pub mod bindings;
pub mod codes;
pub mod ids;
pub mod restrictions;
#[cfg(test)]
mod vectors;

pub use amount::{Amount, AmountError, AmountText};
pub use codes::{ReasonCode, Revert, decode_revert};
pub use ids::{CommandId, IdError, InstrumentId, PartyId, Scope, onchain_id, readable};
