//! Deploys the suite with a cold key: the platform's contracts, then nodes, then their tokens. Everything is signed
//! ahead and sent at once, since the addresses follow from the key's nonces; so it takes a block or two, not ten.

use std::time::Duration;

use alloy::eips::BlockId;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolConstructor, SolEvent};
use tokenx_contracts::bindings::{
    Executor, ExecutorConfig, InvestorRegistry, NodeConfig, NodeFactory, Rule, SecurityToken, TestUSD, TokenConfig,
};

use crate::fees;
use crate::rpc::{BadEndpoint, CallError, Rpc};
use crate::tx::{self, Payload};

/// Gas offered to a deployment and to a wiring call; what is not used is not paid.
const DEPLOY_GAS: u64 = 12_000_000;
const CALL_GAS: u64 = 4_000_000;
/// Ceiling on the fee per gas of a deployment, wei: 500 gwei.
const MAX_FEE: u128 = 500_000_000_000;
/// How long a receipt is waited for, and how often it is asked for.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(50);

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
    /// The base fee is beyond reason.
    #[error("the base fee is above {MAX_FEE} wei per gas: deploy at a quieter time")]
    TooDear,
    /// A transaction was mined and failed.
    #[error("{what}: transaction {hash} failed on chain")]
    Reverted {
        /// What it was to do.
        what: &'static str,
        /// Which one.
        hash: B256,
    },
    /// A transaction was not mined in time.
    #[error("{what}: transaction {hash} was not mined within {} s", PATIENCE.as_secs())]
    NotMined {
        /// What it was to do.
        what: &'static str,
        /// Which one.
        hash: B256,
    },
    /// A transaction succeeded without the event that says what it made.
    #[error("{what}: transaction {hash} emitted no such event")]
    NoEvent {
        /// What it was to do.
        what: &'static str,
        /// Which one.
        hash: B256,
    },
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
    /// What the tokens' beacon points to.
    pub token_implementation: Address,
    /// TestUSD; `None` outside development.
    pub payment_token: Option<Address>,
    /// The first block that holds any of them; following the chain starts there.
    pub block: u64,
}

/// A node as the factory made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its key.
    pub key: B256,
    /// The keeper's door to the node.
    pub executor: Address,
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
    signer: PrivateKeySigner,
    chain_id: u64,
}

/// A transaction on its way.
struct Sent {
    what: &'static str,
    hash: B256,
}

impl Deployer {
    /// A deployer with this key on the chain behind this endpoint.
    ///
    /// # Errors
    /// Where the endpoint does not answer.
    pub async fn connect(rpc_url: &str, signer: PrivateKeySigner) -> Result<Self, DeployError> {
        let rpc = Rpc::new(rpc_url)?;
        let chain_id = rpc.chain_id().await?;
        Ok(Self { rpc, signer, chain_id })
    }

    /// The cold key's address: default admin of all that it deploys.
    pub fn admin(&self) -> Address {
        self.signer.address()
    }

    /// Deploys the platform's contracts and lets the registry's Executor write the registry.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub async fn suite(&self, governance: &Governance, with_payment_token: bool) -> Result<Suite, DeployError> {
        let admin = self.admin();
        let delay = delay(governance);
        let nonce = self.rpc.nonce(admin, BlockId::pending()).await?;
        let at = |n: u64| admin.create(nonce + n);
        let (registry, registry_executor, implementation, factory) = (at(0), at(1), at(2), at(3));
        let executor = ExecutorConfig {
            admin,
            adminDelay: delay,
            guardian: governance.guardian,
            keepers: governance.keepers.clone(),
            factory: Address::ZERO,
            previous: Address::ZERO,
            rules: registry_rules(registry),
        };
        let registry_args = InvestorRegistry::constructorCall { admin, adminDelay: delay }.abi_encode();
        let executor_args = Executor::constructorCall { config: executor }.abi_encode();
        let factory_args = NodeFactory::constructorCall {
            admin,
            adminDelay: delay,
            registry_: registry,
            tokenImplementation: implementation,
        };
        let grant = InvestorRegistry::grantRoleCall { role: keccak256("REGISTRAR_ROLE"), account: registry_executor };
        let mut steps = vec![
            ("deploy the investor registry", None, code(&InvestorRegistry::BYTECODE, &registry_args)),
            ("deploy the registry's executor", None, code(&Executor::BYTECODE, &executor_args)),
            ("deploy the token implementation", None, code(&SecurityToken::BYTECODE, &[])),
            ("deploy the node factory", None, code(&NodeFactory::BYTECODE, &factory_args.abi_encode())),
            ("let the executor write the registry", Some(registry), grant.abi_encode().into()),
        ];
        if with_payment_token {
            steps.push(("deploy the payment token", None, code(&TestUSD::BYTECODE, &[])));
        }
        let receipts = self.run(nonce, steps).await?;
        let block = receipts.iter().filter_map(|receipt| receipt.block_number).min().unwrap_or_default();
        let payment_token = with_payment_token.then(|| at(5));
        Ok(Suite { registry, registry_executor, factory, token_implementation: implementation, payment_token, block })
    }

    /// Deploys nodes, each with its Executor.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub async fn nodes(
        &self,
        factory: Address,
        governance: &Governance,
        nodes: &[NewNode],
    ) -> Result<Vec<Node>, DeployError> {
        let what = "deploy a node";
        let steps = nodes.iter().map(|node| {
            let config = NodeConfig {
                nodeKey: key_of(&node.node_id),
                issuer: key_of(&node.issuer_id),
                admin: self.admin(),
                adminDelay: delay(governance),
                guardian: governance.guardian,
                keepers: governance.keepers.clone(),
                treasury: node.treasury,
                previousExecutor: Address::ZERO,
            };
            (what, Some(factory), Bytes::from(NodeFactory::deployNodeCall { config }.abi_encode()))
        });
        let nonce = self.rpc.nonce(self.admin(), BlockId::pending()).await?;
        let receipts = self.run(nonce, steps.collect()).await?;
        receipts
            .iter()
            .map(|receipt| {
                let event = event::<NodeFactory::NodeDeployed>(what, receipt, factory)?;
                Ok(Node { key: event.nodeKey, executor: event.executor })
            })
            .collect()
    }

    /// Deploys tokens of nodes whose Executors have this key as admin. In the order given.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub async fn tokens(&self, factory: Address, tokens: &[NewToken]) -> Result<Vec<Address>, DeployError> {
        let what = "deploy a token";
        let steps = tokens.iter().map(|token| {
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
            (what, Some(factory), Bytes::from(NodeFactory::deployTokenCall { config }.abi_encode()))
        });
        let nonce = self.rpc.nonce(self.admin(), BlockId::pending()).await?;
        let receipts = self.run(nonce, steps.collect()).await?;
        receipts.iter().map(|receipt| Ok(event::<NodeFactory::TokenDeployed>(what, receipt, factory)?.token)).collect()
    }

    /// Gives TestUSD away; development only, since no other payment token would let it.
    ///
    /// # Errors
    /// See [`DeployError`].
    pub async fn give(&self, payment_token: Address, gifts: &[(Address, U256)]) -> Result<(), DeployError> {
        let steps = gifts.iter().map(|(to, amount)| {
            let call = TestUSD::mintCall { to: *to, amount: *amount };
            ("give test money", Some(payment_token), Bytes::from(call.abi_encode()))
        });
        let nonce = self.rpc.nonce(self.admin(), BlockId::pending()).await?;
        self.run(nonce, steps.collect()).await.map(drop)
    }

    /// Signs all steps with consecutive nonces, sends them in one batch and waits for every receipt.
    async fn run(
        &self,
        first_nonce: u64,
        steps: Vec<(&'static str, Option<Address>, Bytes)>,
    ) -> Result<Vec<TransactionReceipt>, DeployError> {
        let head = self.rpc.head().await?;
        let fees = fees::first(head.market, MAX_FEE).ok_or(DeployError::TooDear)?;
        let mut raws = Vec::with_capacity(steps.len());
        let mut sent = Vec::with_capacity(steps.len());
        for (nonce, (what, to, data)) in (first_nonce..).zip(steps) {
            let payload = Payload {
                chain_id: self.chain_id,
                nonce,
                to: to.map_or(TxKind::Create, TxKind::Call),
                data,
                gas_limit: if to.is_some() { CALL_GAS } else { DEPLOY_GAS },
            };
            let signed = tx::sign(&self.signer, &payload, fees).await?;
            raws.push(signed.raw);
            sent.push(Sent { what, hash: signed.hash });
        }
        for result in self.rpc.send_raw(&raws).await? {
            result?;
        }
        self.receipts(&sent).await
    }

    async fn receipts(&self, sent: &[Sent]) -> Result<Vec<TransactionReceipt>, DeployError> {
        let hashes: Vec<B256> = sent.iter().map(|sent| sent.hash).collect();
        let started = tokio::time::Instant::now();
        loop {
            let receipts = self.rpc.receipts(&hashes).await?;
            match receipts.iter().position(Option::is_none) {
                None => {
                    let receipts: Vec<_> = receipts.into_iter().flatten().collect();
                    if let Some(failed) = receipts.iter().position(|receipt| !receipt.status()) {
                        return Err(DeployError::Reverted { what: sent[failed].what, hash: sent[failed].hash });
                    }
                    return Ok(receipts);
                }
                Some(missing) if started.elapsed() > PATIENCE => {
                    return Err(DeployError::NotMined { what: sent[missing].what, hash: sent[missing].hash });
                }
                Some(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// What the registry's Executor may do: write one record, take a whitelisting away.
fn registry_rules(registry: Address) -> Vec<Rule> {
    [InvestorRegistry::setInvestorCall::SELECTOR, InvestorRegistry::revokeCall::SELECTOR]
        .map(|selector| Rule {
            target: registry,
            selector: selector.into(),
            amountArg: 0,
            dailyLimit: Default::default(),
        })
        .to_vec()
}

fn delay(governance: &Governance) -> alloy::primitives::Uint<48, 1> {
    alloy::primitives::Uint::saturating_from(governance.admin_delay)
}

fn code(bytecode: &Bytes, arguments: &[u8]) -> Bytes {
    [bytecode.as_ref(), arguments].concat().into()
}

fn event<E: SolEvent>(what: &'static str, receipt: &TransactionReceipt, emitter: Address) -> Result<E, DeployError> {
    receipt
        .logs()
        .iter()
        .filter(|log| log.address() == emitter)
        .find_map(|log| E::decode_log(&log.inner).ok())
        .map(|log| log.data)
        .ok_or(DeployError::NoEvent { what, hash: receipt.transaction_hash })
}
