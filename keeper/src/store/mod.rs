//! The keeper's SQL, by what it is for.

pub(crate) mod errands;
pub(crate) mod executors;
pub(crate) mod inclusion;
pub(crate) mod lanes;
pub(crate) mod permits;
pub(crate) mod queue;
pub(crate) mod release;
pub(crate) mod results;
pub(crate) mod slots;
pub(crate) mod transition;
