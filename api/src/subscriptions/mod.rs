//! Subscriptions: what investors ask to buy of an offering. Supply and money are reserved in the transaction that takes the
//! request, under its offering's lock; then the chain decides. How far one has come is a pure function ([`course`]) of its
//! record, its command and the chain.

pub mod body;
pub mod course;
pub(crate) mod ends;
pub mod place;
pub mod record;
pub mod routes;
pub mod view;
