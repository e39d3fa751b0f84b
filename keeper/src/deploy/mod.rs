//! Deploys the suite with a cold key: the platform's contracts, then nodes, then their tokens. What is there already is
//! left alone; the rest is sent at once, since the addresses are known before, so it takes a few blocks, not twenty.

mod nodes;
mod plan;
mod steps;

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolValue};
use serde::{Deserialize, Serialize};
use tokenx_contracts::bindings::{NodeContracts, NodeFactory, TestUSD, TokenConfig};

use crate::rpc::{BadEndpoint, CallError, Rpc};
pub use plan::Plan;
pub use steps::Step;
use steps::{MAX_FEE, PATIENCE, TOKEN_GAS};

/// Why a deployment stopped. What was deployed before stays on the chain.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The endpoint's address.
    #[error(transparent)]
    Endpoint(#[from] BadEndpoint),
    /// The endpoint's answer.
    #[error("rpc: {0}")]
    Rpc(#[from] CallError),
    /// The key's.
    #[error("signing: {0}")]
    Signer(#[from] alloy::signers::Error),
    /// There is no key.
    #[error("without the cold key nothing can be sent")]
    NoKey,
    /// The base fee is beyond reason.
    #[error("the base fee is above {MAX_FEE} wei per gas: deploy at a quieter time")]
    TooDear,
    /// The key could not pay for all of it; nothing was sent.
    #[error("{key} has {has} wei and may need {needs}: send it the difference")]
    Poor {
        /// The cold key's address.
        key: Address,
        /// Wei that it has.
        has: U256,
        /// Wei that the steps take at most.
        needs: U256,
    },
    /// A step takes more than a block; nothing was sent.
    #[error("{what}: {gas} gas, and a block of this chain has room for {room}")]
    NoRoom {
        /// What it was to do.
        what: String,
        /// Gas offered for it.
        gas: u64,
        /// A block's.
        room: u64,
    },
    /// A transaction was not taken, as far as the endpoint says. Those before it were, and are mined.
    #[error("{what}: the endpoint did not take it: {why}")]
    Refused {
        /// What it was to do.
        what: String,
        /// The endpoint's answer.
        why: CallError,
    },
    /// A transaction was mined and failed.
    #[error("{what}: transaction {hash} failed on chain")]
    Reverted {
        /// What it was to do.
        what: String,
        /// Which one.
        hash: B256,
    },
    /// A transaction was not mined in time.
    #[error("{what}: transaction {hash} was not mined within {after:?}")]
    NotMined {
        /// What it was to do.
        what: String,
        /// Which one.
        hash: B256,
        /// How long it was waited for.
        after: Duration,
    },
    /// Transactions of an earlier run were not mined in time; nothing was sent.
    #[error(
        "{key} has transactions, nonces {first} to {last}, that were not mined within {after:?}: wait for them, or \
         replace each by one of the same nonce that offers more"
    )]
    Unmined {
        /// The cold key's address.
        key: Address,
        /// The first one's nonce.
        first: u64,
        /// The last one's.
        last: u64,
        /// How long they were waited for.
        after: Duration,
    },
    /// Contracts could not be put where they belong.
    #[error(
        "the chain has no CREATE2 deployer at {0}: send its well-known transaction first (its deployer needs coins for gas)"
    )]
    NoCreate2(Address),
    /// The endpoint does not know when the registry came.
    #[error("the endpoint has no log of the registry in block {0}, the first of which it has the registry's code")]
    Forgotten(u64),
    /// A node of this id is there, and another one.
    #[error("node {node} is there with {what} {there}, not {wanted}: name what is there, or another node")]
    Differs {
        /// Its id.
        node: String,
        /// What differs.
        what: &'static str,
        /// As the chain has it.
        there: String,
        /// As it was named.
        wanted: String,
    },
    /// The node does not say what it was just told to keep.
    #[error("{0}: the node's answer does not tell of it")]
    Missing(String),
}

/// Who rules the contracts.
#[derive(Clone, Debug)]
pub struct Governance {
    /// Seconds that a new admin and a wider rule wait; 0 only in development.
    pub admin_delay: u64,
    /// May stop an Executor at once; zero = none.
    pub guardian: Address,
    /// Keys of the keeper's lanes.
    pub keepers: Vec<Address>,
}

/// The platform's contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Who stands behind a wallet.
    pub registry: Address,
    /// The keeper's door to the registry.
    pub registry_executor: Address,
    /// Deploys nodes and tokens.
    pub factory: Address,
    /// What the tokens' beacon pointed to at first.
    pub token_implementation: Address,
    /// What the contracts of new nodes run.
    pub implementations: Implementations,
    /// TestUSD; `None` outside development.
    pub payment_token: Option<Address>,
}

/// The six contracts of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Implementations {
    /// Primary sale.
    pub listing: Address,
    /// Matched orders.
    pub secondary_market: Address,
    /// Deals between two.
    pub otc_desk: Address,
    /// Rent.
    pub rent_distributor: Address,
    /// Fees.
    pub fee_vault: Address,
    /// Redemptions.
    pub redemption_desk: Address,
}

impl From<NodeContracts> for Implementations {
    fn from(contracts: NodeContracts) -> Self {
        Self {
            listing: contracts.listing,
            secondary_market: contracts.secondaryMarket,
            otc_desk: contracts.otcDesk,
            rent_distributor: contracts.rentDistributor,
            fee_vault: contracts.feeVault,
            redemption_desk: contracts.redemptionDesk,
        }
    }
}

impl Implementations {
    /// Each with what it is called.
    fn named(&self) -> [(&'static str, Address); 6] {
        [
            ("listing", self.listing),
            ("secondary market", self.secondary_market),
            ("otc desk", self.otc_desk),
            ("rent distributor", self.rent_distributor),
            ("fee vault", self.fee_vault),
            ("redemption desk", self.redemption_desk),
        ]
    }
}

/// A node as the factory made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its key.
    pub key: B256,
    /// The keeper's door to the node.
    pub executor: Address,
    /// Its six contracts.
    pub contracts: Implementations,
}

/// A node to deploy.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// Its id; the chain knows it by its hash.
    pub node_id: String,
    /// Its issuer's id; the chain knows it by its hash.
    pub issuer_id: String,
    /// Wallet that receives proceeds and funds payouts.
    pub treasury: Address,
    /// Whether its Executor may set prices, payment tokens, fees and who gets them. Else only the admin does.
    pub keeper_sets_terms: bool,
}

/// A token to deploy.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Key of its node.
    pub node: B256,
    /// 1 to 32 of `[A-Za-z0-9._-]`.
    pub instrument_id: String,
    /// Its name.
    pub name: String,
    /// Its symbol.
    pub symbol: String,
    /// 0 to 18.
    pub decimals: u8,
    /// Base units, 1 to 2^104 − 1.
    pub max_supply: U256,
    /// Base units that may be minted per UTC day.
    pub daily_mint_limit: U256,
    /// Base units that may be burned, and as many placed under holds, per UTC day.
    pub daily_burn_limit: U256,
    /// Base units that may be moved, and as many burned, by force per UTC day.
    pub daily_force_limit: U256,
}

/// Largest amount the contracts keep: 2^104 − 1.
pub fn max_amount() -> U256 {
    (U256::from(1) << 104) - U256::from(1)
}

/// The chain's key of a node or an issuer: the hash of its id.
pub fn key_of(id: &str) -> B256 {
    keccak256(id)
}

/// A cold key on one chain.
#[derive(Debug)]
pub struct Deployer {
    rpc: Rpc,
    admin: Address,
    /// `None` for one that only looks.
    signer: Option<PrivateKeySigner>,
    chain_id: u64,
    patience: Duration,
}

impl Deployer {
    /// A deployer with this key on the chain behind this endpoint.
    ///
    /// # Errors
    /// Where the endpoint does not answer.
    pub async fn connect(rpc_url: &str, signer: PrivateKeySigner) -> Result<Self, DeployError> {
        let admin = signer.address();
        Ok(Self { signer: Some(signer), ..Self::look(rpc_url, admin).await? })
    }

    /// One that sees what the deployer of this address would, and can do nothing.
    ///
    /// # Errors
    /// Where the endpoint does not answer.
    pub async fn look(rpc_url: &str, admin: Address) -> Result<Self, DeployError> {
        let rpc = Rpc::new(rpc_url)?;
        let chain_id = rpc.chain_id().await?;
        Ok(Self { rpc, admin, signer: None, chain_id, patience: PATIENCE })
    }

    /// Waits this long for a transaction, rather than three minutes.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The cold key's address: default admin of all that it deploys.
    pub fn admin(&self) -> Address {
        self.admin
    }

    /// The chain behind the endpoint.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// What new nodes of this factory run.
    ///
    /// # Errors
    /// `Missing`, and the endpoint's.
    pub async fn implementations(&self, factory: Address) -> Result<Implementations, DeployError> {
        let view = NodeFactory::implementationsCall {}.abi_encode();
        let answers = self.rpc.views(&[(factory, view.into())]).await?;
        let contracts = answers.first().and_then(|answer| NodeContracts::abi_decode(answer).ok());
        contracts.map(Implementations::from).ok_or_else(|| DeployError::Missing("implementations of nodes".to_owned()))
    }

    /// Carries a plan out, as far as it is not.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub async fn suite(&self, plan: &Plan) -> Result<Suite, DeployError> {
        self.carry_out(&plan.steps).await?;
        Ok(plan.suite)
    }

    /// Deploys tokens of nodes whose Executors have this key as admin. In the order given.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub async fn tokens(&self, factory: Address, tokens: &[NewToken]) -> Result<Vec<Address>, DeployError> {
        let view = |token: &NewToken| {
            NodeFactory::tokenOfCall { nodeKey: token.node, instrumentId: token.instrument_id.clone() }.abi_encode()
        };
        let steps: Vec<Step> = tokens
            .iter()
            .map(|token| {
                let config = TokenConfig {
                    nodeKey: token.node,
                    instrumentId: token.instrument_id.clone(),
                    name: token.name.clone(),
                    symbol: token.symbol.clone(),
                    decimals: token.decimals,
                    maxSupply: token.max_supply,
                    dailyMintLimit: token.daily_mint_limit.saturating_to(),
                    dailyBurnLimit: token.daily_burn_limit.saturating_to(),
                    dailyForceLimit: token.daily_force_limit.saturating_to(),
                };
                let call = NodeFactory::deployTokenCall { config }.abi_encode();
                Step::fill(format!("deploy token {}", token.instrument_id), factory, call, TOKEN_GAS, view(token))
            })
            .collect();
        self.carry_out(&steps).await?;
        let views: Vec<(Address, Bytes)> = tokens.iter().map(|token| (factory, view(token).into())).collect();
        let answers = self.rpc.views(&views).await?;
        answers
            .iter()
            .zip(&steps)
            .map(|(answer, step)| Address::abi_decode(answer).map_err(|_| DeployError::Missing(step.what.clone())))
            .collect()
    }

    /// Gives TestUSD away; development only, since no other payment token would let it. Each call gives anew.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub async fn give(&self, payment_token: Address, gifts: &[(Address, U256)]) -> Result<(), DeployError> {
        let steps: Vec<Step> = gifts
            .iter()
            .map(|(to, amount)| {
                let call = TestUSD::mintCall { to: *to, amount: *amount }.abi_encode();
                Step::again("give test money".to_owned(), payment_token, call)
            })
            .collect();
        self.carry_out(&steps).await.map(drop)
    }
}
