//! Wallets of parties: registered by the party or by an operator, decided on, and written to the registry by the keeper.
//! Whether one is approved is the chain's word.

pub mod challenge;
pub mod record;
pub mod registry;
pub mod state;
pub mod view;
