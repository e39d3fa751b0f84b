//! Tokens from their draft on: what issuers say of them, shown beside what the chain says.
//!
//! A [`record`] holds what an issuer may write ([`draft`]); [`facts`] are read from the indexer's tables when asked, and
//! are never written here; [`details`] brings the two together as the token-details text has them.

pub mod actions;
pub mod anchors;
pub mod body;
pub mod commands;
pub mod details;
pub mod draft;
pub mod facts;
pub mod files;
pub mod money;
pub mod nav;
pub mod node;
pub mod prices;
pub mod record;
pub mod routes;
pub mod show;
pub mod status;
pub(crate) mod terms;
pub mod uploads;

pub use money::Currency;
