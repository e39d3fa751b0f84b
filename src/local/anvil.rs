//! A local chain: Foundry's anvil as our child.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::supervisor::Ask;
use super::{Supervised, Task, files};

/// The chain id of every anvil of ours; the production profile refuses it.
pub const CHAIN_ID: u64 = 31_337;
/// The block gas limit: high, so that the node is not the bottleneck.
pub const BLOCK_GAS_LIMIT: u64 = 3_000_000_000;
/// Seconds between two writes of a kept chain's state.
const STATE_INTERVAL: &str = "5";
const START_LIMIT: Duration = Duration::from_secs(60);

/// anvil's own accounts, each with 10,000 native coins: known to everyone, so worth nothing anywhere else.
pub const KEYS: [&str; 10] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
];

/// When blocks come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mining {
    /// One each interval. (Mining at each transaction stalls under load.)
    Every(Duration),
    /// Only when asked by `evm_mine` or `anvil_mine`.
    Manual,
}

/// How to start a chain.
#[derive(Clone, Debug)]
pub struct AnvilOptions {
    /// The program.
    pub program: PathBuf,
    /// Where its log goes.
    pub folder: PathBuf,
    /// The port; a free one if not said.
    pub port: Option<u16>,
    /// When blocks come.
    pub mining: Mining,
    /// Where the chain is kept between runs, if it is.
    pub state: Option<PathBuf>,
    /// How many blocks' states are kept; all, if not said, the older ones on disk. A reorg can go back only to a state
    /// that never was on disk: what anvil reads back from there has lost its contracts' code.
    pub states: Option<usize>,
    /// Remove `folder` at the end.
    pub scratch: bool,
}

/// A running chain.
#[derive(Debug)]
pub struct Anvil {
    node: Supervised,
    port: u16,
    client: reqwest::Client,
}

impl Anvil {
    /// Starts it and waits until it answers.
    pub async fn start(options: AnvilOptions) -> Result<Self> {
        let started = Self::start_in(&options).await;
        if options.scratch && started.is_err() {
            // No supervisor has it, or its own ended with the node: nobody else removes it.
            let _ = fs::remove_dir_all(&options.folder);
        }
        started
    }

    async fn start_in(options: &AnvilOptions) -> Result<Self> {
        fs::create_dir_all(&options.folder).with_context(|| format!("cannot make {}", options.folder.display()))?;
        // An anvil that was killed leaves them, and another one has no use for them.
        let _ = fs::remove_dir_all(past(options));
        let log = options.folder.join("anvil.log");
        let mut node = task(options).start(&log)?;
        let Some(port) = listening(&mut node, &log).await? else {
            bail!("anvil did not start: {}", files::tail(&log, 3))
        };
        let anvil = Self { node, port, client: reqwest::Client::new() };
        // It would log a line for each call; what matters of a node's log is how it starts.
        anvil.rpc("anvil_setLoggingEnabled", json!([false])).await?;
        Ok(anvil)
    }

    /// The HTTP endpoint.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The WebSocket endpoint.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// One JSON-RPC call.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut answer: Value = self.client.post(self.url()).json(&request).send().await?.json().await?;
        if let Some(error) = answer.get("error") {
            bail!("anvil refused {method}: {error}");
        }
        Ok(answer["result"].take())
    }

    /// Mines `blocks` blocks at once.
    pub async fn mine(&self, blocks: u64) -> Result<()> {
        self.rpc("anvil_mine", json!([format!("{blocks:#x}")])).await.map(drop)
    }

    /// The hash of block 0.
    pub async fn genesis(&self) -> Result<String> {
        let block = self.rpc("eth_getBlockByNumber", json!(["0x0", false])).await?;
        Ok(block["hash"].as_str().context("anvil has no block 0")?.to_owned())
    }

    /// Mines a block each `interval`, besides those that come by themselves, until dropped or until it cannot.
    pub async fn mine_each(&self, interval: Duration) -> anyhow::Error {
        loop {
            if let Err(error) = self.mine(1).await {
                return error;
            }
            tokio::time::sleep(interval).await;
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.node.ended(), Ok(None))
    }

    /// Ends it (it writes its state, where that is kept) and waits.
    pub async fn stop(self) -> Result<()> {
        self.node.stop().await
    }
}

/// Where anvil keeps states of past blocks that it has no room for in memory. Else they go to the user's home, and stay
/// there whenever it is killed.
fn past(options: &AnvilOptions) -> PathBuf {
    options.folder.join("past-states")
}

fn task(options: &AnvilOptions) -> Task {
    let mut task = Task::new(&options.program)
        .args(["--host", "127.0.0.1", "--port", &options.port.unwrap_or(0).to_string()])
        .args(["--chain-id", &CHAIN_ID.to_string(), "--gas-limit", &BLOCK_GAS_LIMIT.to_string()])
        // A transaction above the protocol's cap of 2^24 gas must fail here as it would anywhere.
        .arg("--enable-tx-gas-limit")
        .arg("--cache-path")
        .arg(past(options))
        .without_env("ANVIL_IP_ADDR")
        .asked_by(&[Ask::Int, Ask::Term]);
    task = match options.mining {
        Mining::Every(interval) => task.args(["--block-time", &interval.as_secs_f64().to_string()]),
        Mining::Manual => task.arg("--no-mining"),
    };
    if let Some(states) = options.states {
        task = task.args(["--prune-history", &states.to_string()]);
    }
    if let Some(state) = &options.state {
        task = task.arg("--state").arg(state).args(["--state-interval", STATE_INTERVAL]);
    }
    if options.scratch {
        task = task.removing(&options.folder);
    }
    task
}

/// The port anvil says it listens on: `None` if it ended instead.
async fn listening(node: &mut Supervised, log: &Path) -> Result<Option<u16>> {
    let started = Instant::now();
    loop {
        let text = fs::read_to_string(log).unwrap_or_default();
        let port =
            text.lines().find_map(|line| line.strip_prefix("Listening on ")?.rsplit(':').next()?.trim().parse().ok());
        if port.is_some() {
            return Ok(port);
        }
        if node.ended()?.is_some() {
            return Ok(None);
        }
        if started.elapsed() > START_LIMIT {
            bail!("anvil does not answer: {}", files::tail(log, 3));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
