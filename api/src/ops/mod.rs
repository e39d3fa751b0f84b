//! What machines ask: is it up, may it have traffic, how is it doing.

pub mod health;
pub mod metrics;
