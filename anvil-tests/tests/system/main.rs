//! Whole-system tests, one module an area.

mod contracts;
mod dev;
mod floor;
mod keeper_deploy;
mod local;
mod supervisor;
