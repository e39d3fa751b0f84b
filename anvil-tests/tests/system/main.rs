//! Whole-system tests, one module an area.

mod local;
mod supervisor;
