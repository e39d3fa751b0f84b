//! `/tokenization/*`: what a transfer agent does on chain, through the keeper. The same commands as the Token App's, in the
//! same space of ids, with the platform's errors; each answers 202 with the command as it was accepted, and again whenever
//! it is repeated.

pub(crate) mod body;
mod everywhere;
pub(crate) mod intake;
pub mod routes;
pub mod whitelist;
