#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod call;
mod cancel;
mod commands;
pub mod deploy;
pub mod disposition;
pub mod facts;
pub mod fees;
pub mod gas;
pub mod hosted;
mod operation;
mod refusal;
pub mod rpc;
pub mod state;
mod store;
mod tx;
mod view;
mod wake;

pub use call::{Bound, bind};
pub use commands::{AcceptError, Accepted, CancelError, Cancelled, Commands, Doors, NewCommand};
pub use operation::Operation;
pub use refusal::{Field, Refusal};
pub use state::{State, Verdict};
pub use view::{CommandView, Filter, Queue};
