#![doc = include_str!("../README.md")]
#![allow(clippy::missing_errors_doc, reason = "a test unwraps them")]

pub mod campaign;
mod cutter;
mod database;
mod eventually;
mod mill;
pub mod process;
mod proxy;
mod skip;
mod world;

pub use cutter::Cutter;
pub use database::TestDatabase;
pub use eventually::{eventually, eventually_within};
pub use mill::Mill;
pub use process::Process;
pub use proxy::{Fault, FaultProxy};
pub use skip::skipped;
pub use tokenx::local::anvil::{KEYS, Mining};
pub use tokenx::local::suite::Deployment;
pub use world::World;
