//! Whole-system tests, one module an area.

mod contracts;
mod dev;
mod keeper_deploy;
mod local;
mod supervisor;
