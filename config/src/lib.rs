#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod failpoint;
mod load;
pub mod metrics;
pub mod retry;
mod secret;
mod settings;
pub mod telemetry;
mod validate;

pub use load::SettingsError;
pub use secret::{is_dev_key, key_bytes};
pub use settings::{
    Argon2, Auth, Chain, Database, DayTime, Files, Finality, Follow, Keeper, Kyc, KycProvider, Limits, LogFormat,
    Market, MarketRules, Monitor, Profile, Reconcile, Server, Settings, Signer, Subscription, Telemetry,
};
pub use validate::{Invalid, Problem};
