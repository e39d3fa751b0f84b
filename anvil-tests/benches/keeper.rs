//! How many commands the keeper gets done, beside the least that anything must do: a small client that pipelines mints
//! signed beforehand through the same node, before and after, in the same run.
//!
//! `cargo bench -p tokenx-anvil-tests --bench keeper -- [commands, one a transaction] [commands, in batches]`;
//! default 6,000 and 30,000. Blocks come each second and hold 3 G gas; Postgres flushes to disk.

#![allow(clippy::print_stdout, reason = "a benchmark's result")]

#[path = "keeper/client.rs"]
mod client;
#[path = "keeper/raw.rs"]
mod raw;
#[path = "parts/services.rs"]
mod services;
#[path = "keeper/stack.rs"]
mod stack;

use std::time::{Duration, Instant};

use anyhow::Result;
use tokenx_config::{LogFormat, Telemetry};

use client::Accepts;
use stack::Stack;

/// Requests that are on their way to the API at any time.
const CLIENTS: usize = 32;
/// Commands per second while the time to the first send is taken, and how many.
const TRICKLE: (u32, u32) = (100, 500);

/// What draining a full queue came to.
struct Drained {
    per_second: f64,
    calls_per_command: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let numbers: Vec<usize> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let (single, batched) = (numbers.first().copied().unwrap_or(6_000), numbers.get(1).copied().unwrap_or(30_000));
    // What goes wrong is told; RUST_LOG-like filters by TOKENX_BENCH_LOG.
    let filter = std::env::var("TOKENX_BENCH_LOG").unwrap_or_else(|_| "error".to_owned());
    tokenx_config::telemetry::init(&Telemetry { filter, format: LogFormat::Pretty })?;
    let stack = Stack::start().await?;

    let before = raw::run(&stack, single).await?;
    println!("raw before: {before:.0}/s");
    let (_, one) = queued(&stack, "s", single, 1).await?;
    println!("one a transaction: {:.0}/s, {:.3} calls", one.per_second, one.calls_per_command);
    let (accepts, many) = queued(&stack, "b", batched, 200).await?;
    println!("in batches: {:.0}/s, {:.3} calls", many.per_second, many.calls_per_command);
    let waits = trickle(&stack).await?;
    let after = raw::run(&stack, single).await?;
    println!("raw after: {after:.0}/s");

    let raw = f64::midpoint(before, after);
    println!();
    println!("| quantity | figure | of raw |");
    println!("|---|---|---|");
    println!("| raw mints, before and after | {before:.0}/s, {after:.0}/s | 1 |");
    println!("| commands confirmed, one a transaction | {:.0}/s | {:.2} |", one.per_second, one.per_second / raw);
    println!("| commands confirmed, in batches | {:.0}/s | {:.2} |", many.per_second, many.per_second / raw);
    println!("| calls per command, one a transaction | {:.2} | |", one.calls_per_command);
    println!("| calls per command, in batches | {:.3} | |", many.calls_per_command);
    println!("| accepted over HTTP by {CLIENTS} clients | {:.0}/s | |", accepts.per_second());
    println!("| accepting one, p50 and p99 | {:.1} ms, {:.1} ms | |", accepts.millis(50), accepts.millis(99));
    println!("| accepted to broadcast at {}/s, p50 and p99 | {:.1} ms, {:.1} ms | |", TRICKLE.0, waits.0, waits.1);
    stack.end().await
}

/// Accepts a queue of mints over HTTP while no keeper works, then lets one work until all are confirmed.
async fn queued(stack: &Stack, prefix: &str, commands: usize, items: u32) -> Result<(Accepts, Drained)> {
    let accepts = client::mints(stack, prefix, commands, CLIENTS).await?;
    println!(
        "accepted {commands}: {:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
        accepts.per_second(),
        accepts.millis(50),
        accepts.millis(99)
    );
    let calls = stack.calls();
    let begun = Instant::now();
    let keeper = stack.keeper(items).await?;
    stack.all_confirmed(Duration::from_secs(300)).await?;
    let took = begun.elapsed();
    let calls = stack.calls() - calls;
    keeper.stop().await?;
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    let (calls, commands) = (calls as f64, commands as f64);
    Ok((accepts, Drained { per_second: commands / took.as_secs_f64(), calls_per_command: calls / commands }))
}

/// Milliseconds from acceptance to the first send, at p50 and p99, of commands that come one by one.
async fn trickle(stack: &Stack) -> Result<(f64, f64)> {
    let keeper = stack.keeper(200).await?;
    client::trickle(stack, TRICKLE.0, TRICKLE.1).await?;
    stack.all_confirmed(Duration::from_secs(60)).await?;
    keeper.stop().await?;
    stack.first_sends("t").await
}
