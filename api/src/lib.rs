#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod admin;
mod app;
pub mod ats;
pub mod audit;
pub mod auth;
pub mod compliance;
mod docs;
mod due;
pub mod error;
mod events;
pub mod files;
pub mod graphql;
pub mod http;
pub mod investors;
pub mod kyc;
pub mod money;
pub mod object_id;
pub mod offerings;
pub mod openapi;
pub mod ops;
pub mod otc;
pub mod policy;
pub mod portfolio;
pub mod redemptions;
pub mod rent;
mod router;
mod service;
pub mod store;
pub mod subscriptions;
pub mod token_app;
pub mod tokenization;
pub mod tokens;
pub mod wallets;

pub use app::App;
pub use router::router;
pub use service::{ApiContext, ServeError, serve};
