//! From the moment the node has a block to the moment its rows are there for others to read.

use std::fmt;
use std::time::{Duration, Instant};

use alloy::primitives::U64;
use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokenx_anvil_tests::{Mill, World};
use tokenx_indexer::read;

const BLOCKS: u64 = 500;
const WARM_UP: u64 = 20;

/// Quantiles of the delay.
pub(crate) struct Delay {
    p50: Duration,
    p99: Duration,
}

impl Delay {
    pub(crate) fn of(mut delays: Vec<Duration>) -> Self {
        delays.sort_unstable();
        let at = |percent: usize| delays.get((delays.len() * percent).div_ceil(100) - 1).copied().unwrap_or_default();
        Self { p50: at(50), p99: at(99) }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} / {:.1}", self.p50.as_secs_f64() * 1e3, self.p99.as_secs_f64() * 1e3)
    }
}

/// Mines blocks of `transfers` transfers at irregular times, each once the one before is there.
pub(crate) async fn measure(world: &World, mill: &Mill, transfers: u64) -> Result<Delay> {
    let mut chance = StdRng::seed_from_u64(1);
    let mut delays = Vec::new();
    let before: U64 = serde_json::from_value(world.chain.rpc("eth_blockNumber", serde_json::json!([])).await?)?;
    let before: u64 = before.to();
    for block in 1..=BLOCKS + WARM_UP {
        mill.grind(world, transfers, block).await?;
        tokio::time::sleep(Duration::from_millis(chance.random_range(10..110))).await;
        world.chain.mine(1).await?;
        let there = Instant::now();
        while read::cursor(&world.pool, crate::CHAIN).await?.is_none_or(|cursor| cursor.number < before + block) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if block > WARM_UP {
            delays.push(there.elapsed());
        }
    }
    Ok(Delay::of(delays))
}
