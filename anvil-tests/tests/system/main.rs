//! Whole-system tests, one module an area.

mod dev;
mod keeper_deploy;
mod local;
mod supervisor;
