//! The binary's parts, as a library so that whole-system tests can start what the commands start.

pub mod cli;
pub mod local;
