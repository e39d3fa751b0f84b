//! Redemptions: a holder asks its units to be taken back for money, a transfer agent decides.
//!
//! A request reserves units at once (an open command draws on the position) and holds them once the redemption desk has it;
//! an approval burns them and pays in one transaction, a rejection lets go of the hold. What the desk has is the indexer's to
//! say, requests that wallets made there by themselves included; where a request stands is [`course`]'s.

pub mod course;
pub mod decide;
pub mod record;
pub mod request;
pub mod view;
