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

artifact!(executor, Executor, "artifacts/Executor.json");
artifact!(investor_registry, InvestorRegistry, "artifacts/InvestorRegistry.json");
artifact!(node_factory, NodeFactory, "artifacts/NodeFactory.json");
artifact!(security_token, SecurityToken, "artifacts/SecurityToken.json");
artifact!(test_usd, TestUSD, "artifacts/TestUSD.json");

pub use executor::IExecutor::{Command, ExecutorConfig, Result as ItemResult, Rule, Status as ItemStatus};
pub use investor_registry::IInvestorRegistry::{Entry, Investor};
pub use node_factory::INodeFactory::{Node, NodeConfig, NodeContracts, TokenConfig};
