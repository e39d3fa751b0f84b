//! How fast the indexer is, beside the least that anything must do, and how soon after a block its rows are there.
//!
//! `cargo bench -p tokenx-anvil-tests --bench indexer -- [blocks] [transfers per block]`; default 2,500 × 40, and
//! 25,000 40 for a million. Needs the program: `cargo build --release` first. Postgres flushes to disk. Prints a
//! Markdown table.
//!
//! The indexer runs as the program runs it, in a process of its own: this one again, so that memory and CPU are its own.

#![allow(clippy::print_stdout, reason = "a benchmark's result")]

mod floor;
mod follower;
mod head;
mod restart;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use follower::{Follower, Hints};
use tokenx_anvil_tests::{Mill, Mining, World, eventually_within};
use tokenx_config::{LogFormat, Telemetry};
use tokenx_indexer::read;

const CHAIN: u64 = tokenx::local::anvil::CHAIN_ID;
/// Deep enough for the last transfer to be final.
const ON_TOP: u64 = 70;
const LIMIT: Duration = Duration::from_secs(900);

fn per_second(events: u64, took: Duration) -> u64 {
    events * 1_000 / u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[tokio::main]
async fn main() -> Result<()> {
    // What goes wrong is told; RUST_LOG-like filters by TOKENX_BENCH_LOG.
    let filter = std::env::var("TOKENX_BENCH_LOG").unwrap_or_else(|_| "warn".to_owned());
    tokenx_config::telemetry::init(&Telemetry { filter, format: LogFormat::Pretty })?;
    if follower::is_child() {
        return follower::serve().await;
    }
    let numbers: Vec<u64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let (blocks, per_block) = (numbers.first().copied().unwrap_or(2_500), numbers.get(1).copied().unwrap_or(40));
    let world = World::durable(Mining::Manual).await?;
    let mill = Mill::start(&world).await?;
    for block in 0..blocks {
        mill.grind(&world, per_block, block).await?;
        world.chain.mine(1).await?;
    }
    world.chain.mine(ON_TOP).await?;
    let (head, events) = (blocks + 2, blocks * per_block + Mill::HOLDERS);

    let (least, copied) = floor::run(&world, mill.token, head).await?;
    ensure!(copied == events, "the floor has {copied} of {events}");
    let floor = per_second(events, least);

    let mut polling = Follower::start(&world, mill.token, Hints::Poll(Duration::from_millis(100))).await?;
    let begun = Instant::now();
    polling.go().await?;
    eventually_within(LIMIT, "all is indexed", || async {
        let cursor = read::cursor(&world.pool, CHAIN).await.ok()??;
        (cursor.number > head).then_some(())
    })
    .await;
    let took = begun.elapsed();
    let (usage, calls) = (polling.usage()?, polling.calls().await?);
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM transfers").fetch_one(&world.pool).await?;
    let instrument = read::instrument(&world.pool, CHAIN, "MILL").await?.context("the mill")?;
    ensure!(stored.cast_unsigned() == events, "{stored} of {events} transfers are stored");
    ensure!(instrument.inexact.is_none(), "{:?}", instrument.inexact);

    let ours = per_second(events, took);
    println!("{events} transfers in {head} blocks, {} holders\n", Mill::HOLDERS);
    println!("| | floor | ours |\n|---|---|---|");
    println!("| backfill, events/s | {floor} | {ours} |");
    println!("| of the floor | 1 | {:.2} |", least.as_secs_f64() / took.as_secs_f64());
    println!("| peak memory, MB | – | {} |", usage.peak_mb);
    println!("| own CPU, s | – | {:.2} |", usage.cpu_seconds);
    println!("| RPC calls | {} | {calls} |", floor::calls(head));

    let by_polling = head::measure(&world, &mill, per_block).await?;
    drop(polling);
    let mut listening = Follower::start(&world, mill.token, Hints::Socket).await?;
    listening.go().await?;
    let by_socket = head::measure(&world, &mill, per_block).await?;
    println!("| block to row by WebSocket, p50 / p99 ms | – | {by_socket} |");
    println!("| block to row polling at 100 ms, p50 / p99 ms | – | {by_polling} |");
    drop(listening);
    let restarted = restart::measure(&world, &mill, per_block).await?;
    println!("| killed and started again to the first new row, p50 / p99 ms | – | {restarted} |");
    Ok(())
}
