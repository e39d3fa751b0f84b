//! Trading between investors: orders, one book an instrument, trades and their way to the chain.
//!
//! An order is checked ([`check`]) and kept with what it reserves, in one transaction ([`place`]). Whoever holds an
//! instrument's book matches what has come in by the pure [`engine`] and writes what it made of it, in one transaction
//! ([`matching`]); any process may, and one at a time does. Each trade is settled by a command of its own ([`settle`]).

pub mod body;
pub mod book;
pub mod cancel;
pub mod check;
pub mod engine;
pub(crate) mod fault;
pub mod market;
pub mod matching;
pub mod names;
pub mod place;
pub mod record;
pub mod settle;
pub(crate) mod signed;
pub mod trades;
pub mod view;
pub mod worth;
