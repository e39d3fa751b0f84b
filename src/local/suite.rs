//! The platform's contracts on a local chain: for `tokenx dev` and for tests.

use alloy::primitives::{Address, B256, U256};
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, Result};
use tokenx_keeper::deploy::{self, Deployer, Governance, NewNode, NewToken, Node, Suite, max_amount};

use super::anvil::KEYS;

/// The cold key: admin of every contract.
pub const COLD_KEY: &str = KEYS[0];
/// The keeper's keys, one lane each.
pub const LANE_KEYS: [&str; 2] = [KEYS[1], KEYS[2]];
/// Decimals of every instrument deployed here.
pub const DECIMALS: u8 = 18;

/// A node to deploy, with one instrument.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The node's id.
    pub node_id: &'a str,
    /// The issuer's id.
    pub issuer_id: &'a str,
    /// The instrument's id and symbol.
    pub instrument_id: &'a str,
    /// The instrument's name.
    pub name: &'a str,
    /// The node's treasury.
    pub treasury: Address,
}

/// A node with its instrument.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The node.
    pub node: Node,
    /// Its instrument's id.
    pub instrument_id: String,
    /// Its instrument's contract.
    pub token: Address,
}

/// Everything that was deployed.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The platform's contracts.
    pub suite: Suite,
    /// The first block that holds any of them.
    pub block: u64,
    /// Nodes and instruments in the order of their plans.
    pub nodes: Vec<Deployed>,
}

/// Deploys the suite of this salt, then a node and an instrument for each plan. Needs blocks to come.
pub async fn deploy(rpc_url: &str, salt: &str, plans: &[Plan<'_>]) -> Result<Deployment> {
    let deployer = Deployer::connect(rpc_url, key(COLD_KEY)?).await?;
    let keepers = LANE_KEYS.iter().map(|text| Ok(key(text)?.address())).collect::<Result<_>>()?;
    let governance = Governance { admin_delay: 0, guardian: Address::ZERO, keepers };
    let suite = deployer.suite(&deploy::Plan::of(deployer.admin(), &governance, salt, true)).await?;
    let block = deployer.start_block(&suite, &[]).await?;
    let nodes: Vec<NewNode> = plans
        .iter()
        .map(|plan| NewNode {
            node_id: plan.node_id.to_owned(),
            issuer_id: plan.issuer_id.to_owned(),
            treasury: plan.treasury,
            keeper_sets_terms: true,
        })
        .collect();
    let nodes = deployer.nodes(suite.factory, &governance, &nodes).await?;
    let tokens: Vec<NewToken> = plans.iter().zip(&nodes).map(|(plan, node)| token(plan, node.key)).collect();
    let tokens = deployer.tokens(suite.factory, &tokens).await?;
    let nodes = plans
        .iter()
        .zip(nodes)
        .zip(tokens)
        .map(|((plan, node), token)| Deployed { node, instrument_id: plan.instrument_id.to_owned(), token })
        .collect();
    Ok(Deployment { suite, block, nodes })
}

/// Gives TestUSD (6 decimals) from the cold key.
pub async fn give(rpc_url: &str, payment_token: Address, gifts: &[(Address, U256)]) -> Result<()> {
    Ok(Deployer::connect(rpc_url, key(COLD_KEY)?).await?.give(payment_token, gifts).await?)
}

/// One of [`KEYS`] as a signer.
pub fn key(text: &str) -> Result<PrivateKeySigner> {
    text.parse().context("not a private key")
}

fn token(plan: &Plan<'_>, node: B256) -> NewToken {
    NewToken {
        node,
        instrument_id: plan.instrument_id.to_owned(),
        name: plan.name.to_owned(),
        symbol: plan.instrument_id.to_owned(),
        decimals: DECIMALS,
        max_supply: max_amount(),
        daily_mint_limit: max_amount(),
        daily_burn_limit: max_amount(),
        daily_force_limit: max_amount(),
    }
}
