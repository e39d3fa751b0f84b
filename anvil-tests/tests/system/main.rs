//! Whole-system tests, one module an area.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do"
)]

mod api;
mod audit;
mod contracts;
mod dev;
mod faults;
mod floor;
mod indexer;
mod keeper;
mod local;
mod reorg;
mod run;
mod supervisor;
