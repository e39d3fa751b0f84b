//! Reorgs under load, with the whole at work: indexer, keeper and API as processes of their own, commands coming in all
//! the time. After each, the tables are those of a fresh index, every command has run once, every lane goes on without
//! a gap, and subscribers know what became of each mint.

mod deep;
mod fresh;
mod load;
mod miner;
mod news;
mod truth;
mod turns;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes, address};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokenx::local::postgres::free_port;
use tokenx::local::suite::Deployment;
use tokenx_anvil_tests::{Process, World, campaign, eventually, eventually_within};
use tokenx_config::Settings;
use tokenx_contracts::Scope;
use tokenx_indexer::read;
use tokenx_keeper::{Commands, Doors, NewCommand, Operation};

use miner::Miner;

/// The chain goes on at this pace while commands come in.
const BLOCK: Duration = Duration::from_millis(100);
/// Longer than hundreds of commands take on a loaded machine.
const LIMIT: Duration = Duration::from_secs(120);
/// After so long something is said about what does not go on.
const PATIENCE: Duration = Duration::from_secs(60);
/// Wallets that hold tokens.
const WALLETS: [Address; 4] = [
    address!("00000000000000000000000000000000000ca401"),
    address!("00000000000000000000000000000000000ca402"),
    address!("00000000000000000000000000000000000ca403"),
    address!("00000000000000000000000000000000000ca404"),
];

/// A chain, a database, and `tokenx` in as many processes as are named.
struct Whole {
    // Ended first.
    parts: HashMap<&'static str, Process>,
    miner: Miner,
    world: World,
    deployment: Deployment,
    settings: Settings,
    commands: Commands,
}

impl Drop for Whole {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (part, process) in &self.parts {
                campaign::say(&format!("{part} has logged:\n{}", process.log()));
            }
        }
    }
}

impl Whole {
    /// Starts these parts and lets the wallets hold tokens, in blocks that no reorg reaches any more.
    async fn start(parts: &[&'static str], change: impl FnOnce(&mut Settings)) -> Self {
        let world = World::turning().await.unwrap();
        let deployment = world.deploy().await.unwrap();
        let mut settings = world.settings(&deployment).unwrap();
        settings.server.bind.set_port(free_port().unwrap());
        settings.limits.off = true;
        // The processes are not told of another, and a fresh index is to begin where they did.
        settings.chain.start_block = 0;
        settings.keeper.hosted_pool = 1;
        // On a loaded machine a few such blocks pass before a transaction is even sent: that is not lateness.
        settings.keeper.bump_after_blocks = 200;
        change(&mut settings);
        let commands = Commands::new(world.pool.clone(), Doors::of(&settings.chain));
        let miner = Miner::start(world.chain.url(), BLOCK);
        let mut whole = Self { parts: HashMap::new(), miner, world, deployment, settings, commands };
        whole.begin(parts);
        eventually_within(LIMIT, "it is ready", || async { (whole.ready().await?.0 == 200).then_some(()) }).await;
        whole.whitelist().await;
        whole
    }

    fn begin(&mut self, parts: &[&'static str]) {
        for part in parts {
            self.parts.insert(part, Process::start(&self.settings, &[part], "").unwrap());
        }
    }

    /// From now on the chain is that of another world, whose database nobody uses.
    fn move_to(&mut self, mut other: World) {
        std::mem::swap(&mut self.world.chain, &mut other.chain);
        self.settings.chain.rpc_url = self.world.chain.url().into();
        self.settings.chain.ws_url = Some(self.world.chain.ws_url().into());
        self.miner = Miner::start(self.world.chain.url(), BLOCK);
    }

    /// SIGKILL.
    fn kill(&mut self, parts: &[&'static str]) {
        for part in parts {
            self.parts.remove(part);
        }
    }

    async fn whitelist(&self) {
        for (investor_id, wallet) in (1..).zip(WALLETS) {
            let (country, investor_class, kyc_expires_at, reason) = (276, 1, 0, B256::ZERO);
            let operation =
                Operation::Whitelist { wallet, investor_id, country, investor_class, kyc_expires_at, reason };
            self.commands.accept(&new(&format!("whitelist-{wallet}"), operation)).await.unwrap();
        }
        self.settle().await;
        let settled = self.cursor().await.number;
        self.world.chain.mine(self.finality() + 1).await.unwrap();
        eventually("the wallets are whitelisted for good", || async {
            (self.cursor().await.finalized >= settled).then_some(())
        })
        .await;
    }

    fn finality(&self) -> u64 {
        match self.settings.chain.finality {
            tokenx_config::Finality::Depth(depth) => depth,
            tokenx_config::Finality::Finalized => unreachable!("profile test counts blocks"),
        }
    }

    fn pool(&self) -> &PgPool {
        &self.world.pool
    }

    fn chain(&self) -> u64 {
        self.settings.chain.chain_id
    }

    fn token(&self) -> Address {
        self.deployment.nodes[0].token
    }

    fn url(&self) -> String {
        format!("http://{}", self.settings.server.bind)
    }

    /// `/readyz`: its status and what it says.
    async fn ready(&self) -> Option<(u16, Value)> {
        let answer = reqwest::get(format!("{}/readyz", self.url())).await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }

    async fn cursor(&self) -> read::Cursor {
        read::cursor(self.pool(), self.chain()).await.unwrap().expect("the chain is followed")
    }

    async fn rpc(&self, method: &str, params: Value) -> Value {
        self.world.chain.rpc(method, params).await.unwrap()
    }

    /// Number and hash of a block, `"latest"` or a number.
    async fn block(&self, at: Value) -> Option<(u64, B256)> {
        let block = self.rpc("eth_getBlockByNumber", json!([at, false])).await;
        let hash = serde_json::from_value(block.get("hash")?.clone()).unwrap();
        Some((number(&block["number"]), hash))
    }

    async fn head(&self) -> (u64, B256) {
        self.block(json!("latest")).await.expect("a chain has a head")
    }

    /// Replaces the newest `depth` blocks by others, which hold nothing but these transactions, each in the block of
    /// that place. Whoever follows is not waited for.
    async fn turn(&self, depth: u64, again: &[(Bytes, u64)]) {
        let _paused = self.miner.paused().await;
        // Another miner, so that an empty block is replaced by another one and not by itself.
        self.rpc("anvil_setCoinbase", json!([Address::from(rand::random::<[u8; 20]>())])).await;
        self.rpc("anvil_reorg", json!([depth, again])).await;
    }

    /// Waits until the indexed block is one of the node's, and says how long that took; `None` where the reorg took
    /// nothing that was indexed.
    async fn healed(&self, reorgs: u64) -> Option<Duration> {
        let turned = Instant::now();
        let cursor = eventually("the tables follow the node's branch", || async {
            let cursor = self.cursor().await;
            let here = (cursor.number, cursor.hash);
            (self.block(json!(format!("{:#x}", cursor.number))).await == Some(here)).then_some(cursor)
        })
        .await;
        (cursor.reorgs > reorgs).then(|| turned.elapsed())
    }

    /// Waits until so many more blocks have come, and one more.
    async fn grow(&self, blocks: u64) {
        let begun = self.head().await.0;
        eventually("the chain grows", || async { (self.head().await.0 > begun + blocks).then_some(()) }).await;
    }

    /// Waits until the head, which must not move, is indexed.
    async fn indexed(&self) {
        let head = self.head().await;
        eventually("the head is indexed", || async {
            let cursor = self.cursor().await;
            ((cursor.number, cursor.hash) == head).then_some(())
        })
        .await;
    }

    /// Waits until every command has ended on the node's branch. The chain must not turn meanwhile.
    async fn settle(&self) {
        let open = "SELECT count(*) FROM command_states
                     WHERE state NOT IN ('confirmed', 'final', 'failed', 'expired', 'cancelled')";
        let ended = eventually_within(2 * PATIENCE, "every command has ended", || async {
            assert_eq!(self.cursor().await.halted, None);
            if self.count(open).await > 0 {
                return None;
            }
            // Perhaps in a block that was gone already when it came into the tables.
            self.healed(0).await;
            (self.count(open).await == 0).then_some(())
        });
        if tokio::time::timeout(PATIENCE, ended).await.is_err() {
            panic!("commands are still under way: {}", self.in_flight().await);
        }
    }

    /// What is under way, for whoever looks why nothing goes on.
    async fn in_flight(&self) -> String {
        let lines: Vec<String> = sqlx::query_scalar(
            "SELECT 'lane ' || to_jsonb(l)::text || ' count ' || coalesce(to_jsonb(n)::text, 'unknown')
               FROM lanes l LEFT JOIN lane_nonces n USING (lane_id)
              UNION ALL
             SELECT 'slot ' || to_jsonb(s)::text || ' ' || coalesce(jsonb_agg(to_jsonb(a) - 'raw')::text, 'unsigned')
               FROM slots s LEFT JOIN attempts a USING (lane_id, nonce)
              WHERE s.state = 'open' GROUP BY s.*
              UNION ALL
             SELECT state || ' ' || coalesce(lane_id::text, '-') || ' ' || count(*) FROM command_states GROUP BY state, lane_id",
        )
        .fetch_all(self.pool())
        .await
        .unwrap();
        lines.join("\n")
    }

    async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.pool()).await.unwrap()
    }
}

fn new(id: &str, operation: Operation) -> NewCommand {
    NewCommand {
        scope: Scope::Ops,
        command_id: id.parse().unwrap(),
        operation,
        requested_by: "user:test".to_owned(),
        request_id: "request-1".to_owned(),
        answer: "{}".to_owned(),
        valid_until: None,
    }
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().expect("a number as text").trim_start_matches("0x"), 16).unwrap()
}
