//! What an investor has, what it is worth, what it cost and what it brought: `GET /investors/portfolio`.
//!
//! Everything is read in one snapshot, as of the indexed head, of all the party's wallets together. Money is counted in base
//! units of its currency, exactly, by [`cost`]; only two things are rounded, both down: what units are worth, and the cost of
//! units that leave.

pub mod cost;
pub mod read;
pub mod view;
