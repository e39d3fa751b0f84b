//! What compliance officers see and decide.

pub mod wallets;
