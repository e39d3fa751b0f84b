//! Deals between two parties, off any book: one proposes, the other accepts, the node's OTC desk settles both legs or none.
//!
//! What the maker promises is held back from the proposal on, what the taker promises from the acceptance on, each in the
//! transaction that takes it ([`propose`], [`accept`]). Proposals end by their time, by either party ([`cancel`]) or by what
//! happens to a wallet; a deal that both have agreed on is settled by one command, whose id is derived from the deal's
//! ([`settle`]). Whether it was settled is the chain's to say. Of either party the other one sees what it has told: its name,
//! and its wallet once both have agreed.

pub mod accept;
pub mod body;
pub mod cancel;
pub mod desk;
pub mod propose;
pub mod record;
pub mod settle;
pub mod view;
