//! kill -9 at every failpoint. Each process that starts is armed for the next one, so that what one crash left behind
//! is what the next crash meets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokenx_anvil_tests::{Process, campaign};
use tokenx_config::failpoint;
use tokenx_contracts::Scope;
use tokenx_keeper::State;

use super::site::{IN_FLIGHT, Site};

/// A failpoint that a process does not come by in this time is one that the campaign does not know how to reach.
const LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);
/// What is waited for beside the process's end comes in this time, or is tried again.
const PATIENCE: Duration = Duration::from_secs(15);
/// Deepest reorg that a campaign makes; blocks are final a little deeper.
const DEEPEST: u64 = 5;
/// The base fee that a chain nobody uses has, in wei.
const CALM: u128 = 1_000_000_000;

/// What has to happen for a process to come by a failpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Work,
    /// The base fee runs away from bytes that wait in the pool.
    Spike,
    /// A command on its way is taken back, and a no-op takes its nonce.
    Cancel,
    /// The chain turns.
    Reorg,
}

fn cause(failpoint: &str) -> Cause {
    match failpoint {
        "keeper.before_replace" | "keeper.after_bump" => Cause::Spike,
        "keeper.after_noop"
        | "keeper.before_settle"
        | "keeper.after_settle"
        | "keeper.before_release"
        | "keeper.after_release" => Cause::Cancel,
        "projection.rolled_back" | "indexer.before_heal" => Cause::Reorg,
        _ => Cause::Work,
    }
}

/// A process that is armed to die, and the campaign around it.
struct Doomed<'a> {
    site: &'a Arc<Site>,
    failpoint: &'static str,
    process: Process,
    started: Instant,
}

impl Doomed<'_> {
    /// Whether it is dead; that it died as it was told to.
    fn is_dead(&mut self) -> bool {
        let Self { failpoint, process, .. } = self;
        let Some(status) = process.ended().unwrap() else { return false };
        assert!(process.was_killed().unwrap(), "{failpoint}: {status}\n{}", process.log());
        true
    }

    /// Waits until it is dead, `condition` holds, or some time is over.
    async fn dead_or<C: AsyncFn() -> bool>(&mut self, condition: C) -> bool {
        let waiting = Instant::now();
        while !self.is_dead() && !condition().await && waiting.elapsed() < PATIENCE {
            tokio::time::sleep(PAUSE).await;
        }
        self.is_dead()
    }

    async fn dies(&mut self) {
        while !self.is_dead() {
            if self.started.elapsed() > LIMIT {
                let (failpoint, log) = (self.failpoint, self.process.log());
                panic!("nothing came by {failpoint}: {}\n{log}", self.site.situation().await);
            }
            match cause(self.failpoint) {
                Cause::Work => self.work().await,
                Cause::Spike => self.spike().await,
                Cause::Cancel => self.cancel().await,
                Cause::Reorg => self.reorg().await,
            }
        }
    }

    /// As many clients as there are to be ask.
    fn keep_asking(&self) {
        self.site.keep_asking(campaign::times(10, IN_FLIGHT));
    }

    async fn work(&mut self) {
        self.keep_asking();
        let waited = Instant::now();
        self.dead_or(async || waited.elapsed() > Duration::from_millis(500)).await;
    }

    async fn spike(&mut self) {
        let site = self.site.clone();
        self.keep_asking();
        let still = site.still().await;
        site.mint().await;
        self.dead_or(async || sent(&site, "batch").await > 0).await;
        let offered = site.offered().await;
        site.next_base_fee(2 * offered).await;
        site.world.chain.mine(1).await.unwrap();
        self.dead_or(async || site.offered().await > offered).await;
        site.next_base_fee(CALM).await;
        drop(still);
    }

    async fn cancel(&mut self) {
        let site = self.site.clone();
        // While no block comes there are slots for a few commands only: this one must not stand in a queue.
        if self.dead_or(async || site.queued().await == 0).await || site.queued().await > 0 {
            return;
        }
        let still = site.still().await;
        let id = site.mint().await;
        self.dead_or(async || site.view(&id).await.state == State::Broadcast).await;
        self.keep_asking();
        // A crash may have come first: then it cannot be taken back, or at no cost.
        let (scope, command) = (Scope::Ops, id.parse().unwrap());
        if site.commands.cancel(&scope, &command, "user:test", "request-1").await.is_ok() {
            self.dead_or(async || sent(&site, "noop").await > 0).await;
        }
        drop(still);
        self.dead_or(async || site.view(&id).await.state.is_ended()).await;
    }

    async fn reorg(&mut self) {
        let site = self.site.clone();
        self.keep_asking();
        let id = site.mint().await;
        self.dead_or(async || site.view(&id).await.block_number.is_some()).await;
        let still = site.still().await;
        let Some(block) = site.view(&id).await.block_number else { return };
        let depth = (site.head().await + 1).saturating_sub(block);
        if (1..=DEEPEST).contains(&depth) {
            site.rpc("anvil_reorg", json!([depth, []])).await;
        }
        drop(still);
        let turned = Instant::now();
        self.dead_or(async || turned.elapsed() > Duration::from_secs(1)).await;
    }
}

/// Open slots whose newest bytes are of this kind and have been sent.
async fn sent(site: &Site, kind: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*)
           FROM slots s
           JOIN attempts a USING (lane_id, nonce)
          WHERE s.state = 'open' AND a.kind = $1 AND a.first_sent_at IS NOT NULL",
    )
    .bind(kind)
    .fetch_one(site.pool())
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_failpoint_each_command_runs_once() {
    let began = Instant::now();
    let mut random = StdRng::seed_from_u64(campaign::seed("kills"));
    let (site, _miner) = Site::start().await;
    let mut kills = 0;
    for _ in 0..campaign::times(1, 20) {
        // Nobody trades here, and no wallet approves by itself: `api::ats` and `keeper::node::approve` have their own.
        let elsewhere = |name: &str| name.starts_with("ats.") || name.starts_with("wallet.");
        for (failpoint, _) in failpoint::POINTS.into_iter().filter(|(name, _)| !elsewhere(name)) {
            let cause = cause(failpoint);
            // What happens all the time may as well happen a few times first.
            let turn = if cause == Cause::Work { random.random_range(1..=2) } else { 1 };
            kills += 1;
            let process = site.run_with(&format!("{failpoint}:kill@{turn}"), |settings| {
                // A command that is alone in its slot can be taken back; a pool that grows has a key to make.
                settings.keeper.batch_max_items = if cause == Cause::Cancel { 1 } else { 7 };
                settings.keeper.hosted_pool += kills * 2;
            });
            Doomed { site: &site, failpoint, process, started: Instant::now() }.dies().await;
        }
        let _process = site.run("");
        let verdict = site.is_exact(LIMIT).await;
        campaign::say(&format!("kill -9: {kills} kills, {verdict}; {:.0} s", began.elapsed().as_secs_f32()));
    }
}
