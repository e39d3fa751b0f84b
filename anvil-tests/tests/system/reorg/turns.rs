//! The campaign: every way in which a chain turns, under load; then everything is compared.

use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use alloy::signers::local::PrivateKeySigner;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokenx::local::suite::LANE_KEYS;
use tokenx_anvil_tests::campaign;

use super::Whole;
use super::load::{Asked, Load};
use super::news::Subscriber;

/// A way in which a chain turns.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// So many blocks are replaced.
    Once(u64),
    /// And again before anybody can have healed the first.
    Twice(u64, u64),
    /// The first transaction of a lane comes back in another block than it was in.
    Again(u64),
    /// While neither indexer nor keeper run: they were killed.
    Down(u64),
    /// So many times in a row, at any moment, up to six blocks deep.
    Storm(usize),
}

const TURNS: [Turn; 8] = [
    Turn::Once(1),
    Turn::Once(5),
    Turn::Once(20),
    Turn::Once(63),
    Turn::Twice(5, 7),
    Turn::Again(6),
    Turn::Down(20),
    Turn::Storm(12),
];

struct Campaign {
    whole: Whole,
    subscriber: Subscriber,
    chance: StdRng,
    /// The number of the next command of the load.
    next: usize,
    asked: Vec<Asked>,
    turns: usize,
    heals: Vec<Duration>,
}

#[tokio::test(flavor = "multi_thread")]
async fn however_the_chain_turns_rows_are_its_own_and_commands_run_once() {
    let whole = Whole::start(&["indexer", "keeper", "api"], |_| {}).await;
    let subscriber = Subscriber::start(&whole).await;
    let chance = StdRng::seed_from_u64(campaign::seed("reorgs"));
    let mut campaign = Campaign { whole, subscriber, chance, next: 0, asked: Vec::new(), turns: 0, heals: Vec::new() };
    for _ in 0..campaign::times(1, 10) {
        for turn in TURNS {
            campaign.round(turn).await;
        }
    }
    campaign.lanes_follow_quiet_turns(campaign::times(10, 200)).await;
    campaign.say().await;
}

impl Campaign {
    /// One turn under load, and everything compared after it.
    async fn round(&mut self, turn: Turn) {
        let load = Load::start(&self.whole, self.next);
        match turn {
            Turn::Once(depth) => {
                self.whole.grow(depth).await;
                self.turn(depth, &[]).await;
            }
            Turn::Twice(first, second) => {
                self.whole.grow(first + second).await;
                self.whole.turn(first, &[]).await;
                self.turn(second, &[]).await;
                self.turns += 1;
            }
            Turn::Again(depth) => {
                self.whole.grow(depth).await;
                let held = self.whole.miner.held().await;
                let again = self.first_of_a_lane(depth).await;
                self.turn(depth, &[(again, depth - 2)]).await;
                drop(held);
            }
            Turn::Down(depth) => {
                self.whole.grow(depth).await;
                self.whole.kill(&["indexer", "keeper"]);
                self.whole.turn(depth, &[]).await;
                self.whole.grow(5).await;
                self.whole.begin(&["indexer", "keeper"]);
                self.turns += 1;
            }
            Turn::Storm(turns) => {
                for _ in 0..campaign::times(turns, turns * 5) {
                    let blocks = self.chance.random_range(0..4);
                    self.whole.grow(blocks).await;
                    let depth = self.chance.random_range(1..=6);
                    if self.chance.random() {
                        self.turn(depth, &[]).await;
                    } else {
                        self.whole.turn(depth, &[]).await;
                        self.turns += 1;
                    }
                }
            }
        }
        let (next, asked) = load.end().await;
        self.next = next;
        self.asked.extend(asked);
        self.whole.settle().await;
        let held = self.whole.miner.held().await;
        self.whole.indexed().await;
        self.whole.ran_once(&self.asked).await;
        self.whole.lanes_have_no_gap().await;
        self.whole.equals_a_fresh_index().await;
        self.subscriber.agrees(self.whole.pool()).await;
        drop(held);
    }

    /// Turns the chain and measures until the rows have followed.
    async fn turn(&mut self, depth: u64, again: &[(Bytes, u64)]) {
        let reorgs = self.whole.cursor().await.reorgs;
        self.whole.turn(depth, again).await;
        self.turns += 1;
        // Nothing to heal where the indexer had not seen what is gone.
        self.heals.extend(self.whole.healed(reorgs).await);
    }

    /// The first transaction that a lane has in the newest `depth` blocks: the only one of its that may go first again.
    async fn first_of_a_lane(&self, depth: u64) -> Bytes {
        let lane = LANE_KEYS[0].parse::<PrivateKeySigner>().unwrap().address();
        let head = self.whole.head().await.0;
        for at in head - depth + 1..=head {
            let block = self.whole.rpc("eth_getBlockByNumber", json!([format!("{at:#x}"), true])).await;
            let from = |tx: &&Value| serde_json::from_value::<Address>(tx["from"].clone()).unwrap() == lane;
            if let Some(tx) = block["transactions"].as_array().unwrap().iter().find(from) {
                let raw = self.whole.rpc("eth_getRawTransactionByHash", json!([tx["hash"]])).await;
                return serde_json::from_value(raw).unwrap();
            }
        }
        panic!("no transaction of {lane} in {depth} blocks");
    }

    /// Nothing moves but the chain, which turns: each time the keeper learns the counts of the new branch.
    async fn lanes_follow_quiet_turns(&mut self, turns: usize) {
        for _ in 0..turns {
            let held = self.whole.miner.held().await;
            self.whole.indexed().await;
            let depth = self.chance.random_range(1..=4);
            let healed = self.heals.len();
            self.turn(depth, &[]).await;
            self.whole.indexed().await;
            assert_eq!(self.heals.len(), healed + 1, "a turn of {depth} blocks went unnoticed");
            self.whole.lane_nonces_are_the_chains().await;
            drop(held);
            self.whole.settle().await;
        }
    }

    async fn say(&mut self) {
        let (healed, deepest): (i64, i64) = sqlx::query_as("SELECT count(*), coalesce(max(depth), 0) FROM reorgs")
            .fetch_one(self.whole.pool())
            .await
            .unwrap();
        assert!(deepest >= 50, "the deepest turn was healed {deepest} blocks deep");
        let (told, taken_back) = self.subscriber.agrees(self.whole.pool()).await;
        assert!(taken_back > 60, "{taken_back} of {told} mints were taken back");
        self.heals.sort_unstable();
        let at = |percent: usize| self.heals[(self.heals.len() - 1) * percent / 100].as_millis();
        campaign::say(&format!(
            "reorgs: {} turns, {healed} healed, up to {deepest} blocks deep, within p50 {} ms, p99 {} ms ({} measured); \
             {} commands, each ran once; {told} mints told, {taken_back} taken back",
            self.turns,
            at(50),
            at(99),
            self.heals.len(),
            self.asked.len(),
        ));
    }
}
