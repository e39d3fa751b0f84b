//! The indexer against a real chain and a real database: what it has stored is compared with what the chain says.

mod books;
mod campaign;
mod foreign;
mod kill;
mod late;
mod mint;
mod node;
mod past;
mod payments;
mod register;
mod reorg;
mod restart;
mod sweep;
mod travel;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolEvent};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokenx::local::suite::{Deployment, LANE_KEYS};
use tokenx_anvil_tests::{Mining, World, eventually};
use tokenx_config::{Finality, Settings};
use tokenx_contracts::bindings::{Command, Executor, Investor, InvestorRegistry, SecurityToken};
use tokenx_indexer::{Indexer, IndexerError, read};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const CHAIN: u64 = tokenx::local::anvil::CHAIN_ID;
const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);

/// A world whose blocks come when asked for, with the suite on it.
struct Stage {
    world: World,
    deployment: Deployment,
    settings: Settings,
}

impl Stage {
    async fn set() -> Result<Self> {
        let world = World::with(Mining::Manual).await?;
        let deployment = world.deploy().await?;
        let mut settings = world.settings(&deployment)?;
        settings.chain.confirmations = 1;
        settings.chain.finality = Finality::Depth(64);
        settings.chain.poll_interval_ms = 50;
        settings.monitor.poll_interval_seconds = 1;
        Ok(Self { world, deployment, settings })
    }

    fn token(&self) -> Address {
        self.deployment.nodes[0].token
    }

    /// Starts an indexer and waits until it knows where it stands: blocks mined from then on are news.
    async fn follow(&self) -> Running {
        let running = Running::start(&self.settings, &self.world.pool);
        eventually("following has begun", || async {
            read::cursor(&self.world.pool, CHAIN).await.ok().flatten().map(drop)
        })
        .await;
        running
    }

    async fn mine(&self, blocks: u64) -> Result<()> {
        self.world.chain.mine(blocks).await
    }

    async fn head(&self) -> Result<(u64, B256)> {
        let block = self.world.chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await?;
        let number = number(&block["number"])?;
        Ok((number, serde_json::from_value(block["hash"].clone())?))
    }

    /// Time of the head, Unix seconds.
    async fn time(&self) -> Result<u64> {
        let block = self.world.chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await?;
        number(&block["timestamp"])
    }

    /// Sends a transaction of one of anvil's accounts into the pool.
    async fn send(&self, from: Address, to: Option<Address>, data: Vec<u8>) -> Result<B256> {
        let mut request = json!({"from": from, "data": Bytes::from(data), "gas": "0xf00000"});
        if let Some(to) = to {
            request["to"] = json!(to);
        }
        Ok(serde_json::from_value(self.world.chain.rpc("eth_sendTransaction", json!([request])).await?)?)
    }

    /// Runs commands through an Executor, as the keeper would.
    async fn execute(&self, executor: Address, commands: Vec<(B256, Address, Vec<u8>)>) -> Result<B256> {
        let commands = commands
            .into_iter()
            .map(|(id, target, data)| Command { id, target, data: data.into(), validUntil: 0, gasLimit: 3_000_000 })
            .collect();
        self.send(lane()?, Some(executor), Executor::executeCall { commands }.abi_encode()).await
    }

    /// A command for the first node's token.
    async fn order(&self, name: &str, call: impl SolCall) -> Result<B256> {
        self.execute(self.deployment.nodes[0].node.executor, vec![(id(name), self.token(), call.abi_encode())]).await
    }

    async fn mint(&self, name: &str, to: Address, amount: u64) -> Result<B256> {
        self.order(name, SecurityToken::mintCall { to, amount: U256::from(amount), reason: B256::ZERO }).await
    }

    /// Lets wallets hold tokens: wallet n belongs to investor n + 1.
    async fn whitelist(&self, wallets: &[Address]) -> Result<()> {
        let commands = wallets
            .iter()
            .enumerate()
            .map(|(n, wallet)| {
                let investor = Investor {
                    investorId: n as u64 + 1,
                    country: 276,
                    investorClass: 2,
                    kycExpiresAt: alloy::primitives::Uint::ZERO,
                    flags: 1,
                };
                let call = InvestorRegistry::setInvestorCall { wallet: *wallet, investor, reason: B256::ZERO };
                (id(&format!("whitelist {wallet}")), self.deployment.suite.registry, call.abi_encode())
            })
            .collect();
        self.execute(self.deployment.suite.registry_executor, commands).await?;
        self.mine(1).await
    }

    async fn view<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return> {
        let data = Bytes::from(call.abi_encode());
        let answer = self.world.chain.rpc("eth_call", json!([{"to": to, "data": data}, "latest"])).await?;
        let bytes: Bytes = serde_json::from_value(answer)?;
        C::abi_decode_returns(&bytes).context("the contract answers")
    }

    /// Waits until everything up to the node's head is indexed, then compares the tables with the chain.
    async fn settles(&self, wallets: &[Address]) -> Result<()> {
        let head = self.head().await?;
        eventually("the head is indexed", || async {
            let cursor = read::cursor(&self.world.pool, CHAIN).await.ok()??;
            ((cursor.number, cursor.hash) == head).then_some(())
        })
        .await;
        self.equals_chain(wallets).await
    }

    /// Balances, freezes, supply and the number of movements of every instrument, in the tables and on the chain.
    async fn equals_chain(&self, wallets: &[Address]) -> Result<()> {
        let pool = &self.world.pool;
        for instrument in read::instruments(pool, CHAIN).await? {
            let (token, name) = (instrument.token, &instrument.instrument_id);
            assert_eq!(instrument.inexact, None, "{name}");
            for wallet in wallets {
                let position = read::position(pool, CHAIN, token, *wallet).await?;
                let balance = self.view(token, SecurityToken::balanceOfCall { account: *wallet }).await?;
                assert_eq!(position.balance, balance, "balance of {wallet} in {name}");
                if instrument.executor.is_some() {
                    let frozen = self.view(token, SecurityToken::getFrozenTokensCall { account: *wallet }).await?;
                    assert_eq!(position.frozen, frozen, "frozen of {wallet} in {name}");
                    let whole = self.view(token, SecurityToken::isFrozenCall { account: *wallet }).await?;
                    assert_eq!(position.address_frozen, whole, "freeze of {wallet} in {name}");
                }
            }
            let supply = self.view(token, SecurityToken::totalSupplyCall {}).await?;
            assert_eq!(instrument.total_supply, supply, "supply of {name}");
            let filter = json!([{"address": token, "topics": [SecurityToken::Transfer::SIGNATURE_HASH],
                                 "fromBlock": "0x0", "toBlock": "latest"}]);
            let on_chain = self.world.chain.rpc("eth_getLogs", filter).await?;
            let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM transfers WHERE chain_id = $1 AND token = $2")
                .bind(CHAIN.cast_signed())
                .bind(token.as_slice())
                .fetch_one(pool)
                .await?;
            assert_eq!(usize::try_from(stored)?, on_chain.as_array().map_or(0, Vec::len), "transfers of {name}");
        }
        let broken: i64 = sqlx::query_scalar(
            "SELECT count(*)
               FROM instruments i
              WHERE i.total_supply <> (SELECT coalesce(sum(h.balance), 0) FROM holdings h WHERE h.token = i.token)",
        )
        .fetch_one(pool)
        .await?;
        assert_eq!(broken, 0, "supply is the sum of holdings");
        Ok(())
    }
}

/// An indexer at work; ends with the test.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), IndexerError>>,
}

impl Running {
    /// With connections of its own, as a process has: what a crash leaves half said on one of them ends with it.
    fn start(settings: &Settings, pool: &PgPool) -> Self {
        let stop = CancellationToken::new();
        let own = pool.options().clone().connect_lazy_with((*pool.connect_options()).clone());
        let indexer = Indexer::builder(settings, own).build();
        Self { task: tokio::spawn(indexer.run(stop.clone())), stop }
    }

    /// Asks it to end, and waits.
    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }

    /// Ends it wherever it is, as a crash would.
    async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

fn id(name: &str) -> B256 {
    keccak256(name)
}

fn lane() -> Result<Address> {
    Ok(LANE_KEYS[0].parse::<PrivateKeySigner>()?.address())
}

fn number(value: &Value) -> Result<u64> {
    let text = value.as_str().context("a number as text")?;
    Ok(u64::from_str_radix(text.trim_start_matches("0x"), 16)?)
}
