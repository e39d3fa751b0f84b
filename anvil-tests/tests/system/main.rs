//! Whole-system tests, one module an area.

// mod contracts;
mod dev;
mod local;
mod supervisor;
