//! The keeper's SQL, by what it is for.

pub(crate) mod lanes;
pub(crate) mod slots;
pub(crate) mod transition;
