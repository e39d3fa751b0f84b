//! What every request passes through, whatever it asks for.

pub(crate) mod asked;
pub mod body;
pub mod client;
pub mod envelope;
pub mod guard;
pub mod idempotency;
pub mod intent;
pub mod limits;
pub mod metrics;
pub mod object;
pub mod precondition;
pub mod query;
pub(crate) mod remembered;
pub mod serve;
