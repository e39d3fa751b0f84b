#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod block;
pub mod event;
mod projection;
pub mod read;
mod watch;

pub use block::{Batch, BlockRef, ChainLog, Fork};
pub use event::Event;
pub use projection::{AccountWatch, Projection, ProjectionError};
pub use watch::Kind;
