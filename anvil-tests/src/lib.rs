#![doc = include_str!("../README.md")]
#![allow(clippy::missing_errors_doc, reason = "a test unwraps them")]

mod database;
mod eventually;
mod skip;
mod world;

pub use database::TestDatabase;
pub use eventually::{eventually, eventually_within};
pub use skip::skipped;
pub use tokenx::local::anvil::{KEYS, Mining};
pub use tokenx::local::suite::Deployment;
pub use world::World;
