#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod audit;
pub mod bytes;
pub mod copy;
mod database;
pub mod numeric;
pub mod outbox;
mod position;
pub mod seal;
mod session;
mod transaction;

pub use bytes::{Addr, Word};
pub use database::{DatabaseError, check, connect, migrate, open_to, retryable};
pub use numeric::{Delta, Uint256};
pub use position::{NoPosition, Position};
pub use session::Session;
pub use transaction::{BY_KEY, begin, begin_look, begin_snapshot, begin_with};
