//! Typed bindings of the committed artifacts: calls, events, errors, structs, and the creation code to deploy with.
//!
//! Encoding and decoding only. No provider: who asks a chain does it above this crate.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated from the artifacts")]

/// A module per artifact, since two of them name the same interface's structs.
macro_rules! artifact {
    ($module:ident, $contract:ident, $path:literal) => {
        pub mod $module {
            alloy::sol!(
                #[sol(all_derives, ignore_unlinked)]
                $contract,
                $path
            );
        }
        pub use $module::$contract;
    };
}

artifact!(blockable_usd, BlockableUSD, "artifacts/BlockableUSD.json");
artifact!(executor, Executor, "artifacts/Executor.json");
artifact!(fee_vault, FeeVault, "artifacts/FeeVault.json");
artifact!(investor_registry, InvestorRegistry, "artifacts/InvestorRegistry.json");
artifact!(listing, Listing, "artifacts/Listing.json");
artifact!(node_factory, NodeFactory, "artifacts/NodeFactory.json");
artifact!(otc_desk, OtcDesk, "artifacts/OtcDesk.json");
artifact!(plain_usd, PlainUSD, "artifacts/PlainUSD.json");
artifact!(redemption_desk, RedemptionDesk, "artifacts/RedemptionDesk.json");
artifact!(rent_distributor, RentDistributor, "artifacts/RentDistributor.json");
artifact!(secondary_market, SecondaryMarket, "artifacts/SecondaryMarket.json");
artifact!(security_token, SecurityToken, "artifacts/SecurityToken.json");
artifact!(test_usd, TestUSD, "artifacts/TestUSD.json");

pub use executor::IExecutor::{Command, ExecutorConfig, Result as ItemResult, Rule, Status as ItemStatus};
pub use investor_registry::IInvestorRegistry::{Entry, Investor};
pub use node_factory::INodeFactory::{Node, NodeConfig, NodeContracts, TokenConfig};

alloy::sol! {
    /// What a wallet signs to have its order (by its hash) or its deal cancelled. No call takes it whole, thus no
    /// artifact has it.
    #[derive(Debug, PartialEq, Eq)]
    struct Cancellation {
        address wallet;
        bytes32 id;
    }
}

// What wallets sign, and the terms of the node's contracts.
pub use fee_vault::IFeeVault::{Beneficiaries, Split};
pub use listing::IListing::{Purchase, Supply as ListedSupply, Terms as ListingTerms};
pub use otc_desk::IOtcDesk::{Deal, OtcTerms};
pub use redemption_desk::IRedemptionDesk::{Redemption, RedemptionTerms, Request as RedemptionRequest};
pub use redemption_desk::ITokenFunds::{Fund, Funding};
pub use rent_distributor::IRentDistributor::{Claim, OpenedRent, RentTerms};
pub use secondary_market::ISecondaryMarket::{MarketTerms, Match, Order, Trade};
