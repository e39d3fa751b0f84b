//! The platform's own tables, read. Written by [`crate::admin`] and [`crate::auth`] only.

pub mod commands;
pub mod currencies;
pub mod issuers;
pub(crate) mod page;
pub mod parties;
pub mod reserved;
pub mod shared;
pub mod users;
