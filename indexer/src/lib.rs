#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attribution;
mod block;
mod error;
pub mod event;
mod follow;
mod indexer;
mod metrics;
mod monitor;
pub mod payments;
mod project;
mod projection;
pub mod read;
mod rebuild;
mod reconcile;
pub mod shares;
mod source;
mod text;
mod watch;

pub use block::{Batch, BlockRef, ChainLog, Fork};
pub use error::IndexerError;
pub use event::Event;
pub use indexer::{Indexer, IndexerBuilder};
pub use projection::{AccountWatch, Projection, ProjectionError};
pub use rebuild::{Difference, Rebuild, Report, Step, Table};
pub use source::{CappedHttp, Class, SourceError, classify, is_execution};
pub use watch::Kind;
