#![doc = include_str!("../README.md")]
//!
//! This library holds the binary's parts, so that whole-system tests can start what the commands start.
#![allow(clippy::missing_errors_doc, reason = "errors here are for people: each says itself what to do")]

pub mod cli;
pub mod dev;
pub mod failure;
pub mod local;
pub mod progress;
pub mod services;
pub mod settings;
pub mod signals;
mod table;
