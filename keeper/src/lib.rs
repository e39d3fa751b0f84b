#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod accept;
mod bind;
mod cancel;
mod commands;
pub mod deploy;
pub mod disposition;
mod effects;
pub mod facts;
pub mod fees;
pub mod gas;
pub mod hosted;
mod intake;
mod keeper;
mod lane;
mod lock;
mod metrics;
mod operation;
mod page;
mod projection;
mod refusal;
pub mod rpc;
pub mod signer;
pub mod state;
pub mod status;
mod store;
mod tx;
mod view;
mod wake;
mod wallets;

pub use bind::{Bound, bind};
pub use commands::{AcceptError, Accepted, CancelError, Cancelled, Commands, Doors, NewCommand};
pub use keeper::{Keeper, KeeperError};
pub use operation::{
    Beneficiaries, Claim, Consent, Contract, CountryMode, Deal, FeeAmounts, FeeShares, Fund, Funding, ListingTerms,
    Lockup, MarketTerms, Operation, Order, OtcTerms, Payout, Permit, Purchase, Redemption, RedemptionTerms, RentTerms,
    Sale, Side, Trade,
};
pub use page::{CommandFilter, command_page, count_commands};
pub use projection::{CommandProjection, LaneWatch};
pub use refusal::{Field, Refusal};
pub use state::{State, Verdict};
pub use store::lanes::resume;
pub use view::{CommandView, Filter, command_ids};
