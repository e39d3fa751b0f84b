//! Offerings: one primary sale of one token, from its draft to its listing.
//!
//! What an issuer says ([`terms`]) is kept in a [`record`]; what people decide on it and what follows from that and from the
//! chain are pure functions ([`course`]). An approval is the token's listing: what it asks of the keeper is asked step by
//! step ([`listing`]), each step once, whoever crashes between.

pub mod body;
pub mod course;
pub mod decide;
pub mod documents;
pub mod facts;
pub mod listing;
pub mod record;
pub mod routes;
pub mod terms;
pub mod view;
pub mod visibility;
