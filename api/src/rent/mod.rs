//! Rental income: what an issuer pays in is divided among who holds when a period is opened, and paid out.
//!
//! The schedule is the token record's; whichever process looks next (`crate::due`) has the keeper open what is due and paid
//! for, each period once, and then pay everybody who may be paid. Who may not be (frozen, KYC expired) goes on accruing and
//! is paid once it may. All figures of wallets are the chain's, by the indexer's tables.

pub mod act;
pub mod period;
pub mod push;
pub mod schedule;
pub mod view;
