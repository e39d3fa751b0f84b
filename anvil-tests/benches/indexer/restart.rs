//! From the start of a process, after a kill -9 of the one before, to the first new row.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokenx_anvil_tests::{Mill, World, eventually_within};
use tokenx_indexer::read;

use crate::follower::{Follower, Hints};
use crate::head::Delay;

const KILLS: usize = 20;

/// Each time a block comes while nobody follows.
pub(crate) async fn measure(world: &World, mill: &Mill, transfers: u64) -> Result<Delay> {
    let mut delays = Vec::with_capacity(KILLS);
    for kill in 0..KILLS {
        let before = read::cursor(&world.pool, crate::CHAIN).await?.map_or(0, |cursor| cursor.number);
        mill.grind(world, transfers, kill as u64).await?;
        world.chain.mine(1).await?;
        let begun = Instant::now();
        let mut follower = Follower::start(world, mill.token, Hints::Poll(Duration::from_millis(100))).await?;
        follower.go().await?;
        eventually_within(Duration::from_secs(20), "a new row", || async {
            let cursor = read::cursor(&world.pool, crate::CHAIN).await.ok()??;
            (cursor.number > before).then_some(())
        })
        .await;
        delays.push(begun.elapsed());
        // Dropped, it is killed.
    }
    Ok(Delay::of(delays))
}
