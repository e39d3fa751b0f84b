//! What `tokenx dev` and the whole-system tests run on this machine: tools found or installed, a private
//! Postgres, an anvil, and the supervisor that makes sure none of them outlives the process that asked for it.

pub mod anvil;
mod files;
pub mod identity;
pub mod npm;
pub mod postgres;
pub mod suite;
pub mod supervisor;
pub mod tools;

pub use anvil::{Anvil, AnvilOptions};
pub use files::checkout;
pub(crate) use files::short_name;
pub(crate) use postgres::write_secret;
pub use postgres::{Durability, Postgres, PostgresOptions};
pub use supervisor::{Supervised, Task};
pub use tools::PostgresSource;

/// Takes one line about what is being done, for a person who waits.
pub type Report<'a> = &'a (dyn Fn(&str) + Send + Sync);
