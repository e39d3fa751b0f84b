//! Settings of subscriptions.

use serde::{Deserialize, Serialize};

/// What investors ask to buy.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subscription {
    /// Life of a reservation of supply, in seconds; that of a hosted wallet lives as long as its command.
    pub ttl_seconds: u32,
}

impl Default for Subscription {
    fn default() -> Self {
        Self { ttl_seconds: 1_800 }
    }
}
