//! Trading between investors: orders, one book an instrument, trades and their way to the chain.

pub mod engine;
