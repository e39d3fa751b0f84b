//! How many orders one offering takes, matches and settles, on the cores that also run Postgres, the chain and the
//! clients, who sign what they send.
//!
//! `cargo bench -p tokenx-anvil-tests --bench orders -- [orders a second] [seconds] [orders to match]`; default 400, 20 and
//! 20,000. Blocks come each second and hold 3 G gas; Postgres flushes to disk. Prints a Markdown table.
//!
//! Orders leave when their time has come, however many are still unanswered, and their waiting counts from then. Beside the
//! matcher, in the same run, the least that it must do: as many rows written, as many a flush.

#![allow(clippy::print_stdout, reason = "a benchmark's result")]

#[path = "orders/flood.rs"]
mod flood;
#[path = "orders/floor.rs"]
mod floor;
#[path = "parts/services.rs"]
mod services;
#[path = "parts/waits.rs"]
mod waits;

use std::time::{Duration, Instant};

use anyhow::Result;
use tokenx_anvil_tests::eventually_within;
use tokenx_config::{LogFormat, Telemetry};

use floor::Floor;

/// Not counted: connections open, and everybody's money is known.
const WARM_UP: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(600);
/// Orders that the matcher takes at once.
const TURN: usize = 64;

#[tokio::main]
async fn main() -> Result<()> {
    let numbers: Vec<u64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let number = |at: usize, unless: u64| numbers.get(at).copied().unwrap_or(unless);
    let (rate, seconds, orders) = (number(0, 400), number(1, 20), number(2, 20_000));
    let filter = std::env::var("TOKENX_BENCH_LOG").unwrap_or_else(|_| "error".to_owned());
    tokenx_config::telemetry::init(&Telemetry { filter, format: LogFormat::Pretty })?;
    let floor = Floor::open().await?;
    let rate = u32::try_from(rate)?;
    flood::run(&floor, rate, WARM_UP).await?;
    let answers = flood::run(&floor, rate, Duration::from_secs(seconds)).await?;
    floor.matched(LIMIT).await?;
    let (fills, settled, gas) = settle(&floor).await?;
    let (matched, raw) = match_all(&floor, orders).await?;
    println!("| quantity | figure | beside it |");
    println!("|---|---|---|");
    println!("| orders signed, sent and taken, at {rate}/s | {:.0}/s | {} refused |", answers.rate, answers.refused);
    println!("| their p50 / p99 / most | {} ms | |", answers.waits.table());
    println!("| {fills} fills settled | {settled:.0}/s | {:.0}/s fit into a block's gas |", 3e9 / gas);
    println!(
        "| {orders} orders matched, {TURN} a flush | {matched:.0}/s | {:.2} of rows written so, {raw:.0}/s |",
        matched / raw
    );
    floor.end().await
}

/// Lets a keeper settle what was matched: how many fills, how many a second, and the gas of one.
async fn settle(floor: &Floor) -> Result<(i64, f64, f64)> {
    let fills: i64 = sqlx::query_scalar("SELECT count(*) FROM fills").fetch_one(floor.pool()).await?;
    eventually_within(LIMIT, "every fill has its command", || async {
        let asked: i64 = sqlx::query_scalar("SELECT count(*) FROM commands WHERE kind = 'settle_orders'")
            .fetch_one(floor.pool())
            .await
            .ok()?;
        (asked == fills).then_some(())
    })
    .await;
    let begun = Instant::now();
    let keeper = floor.keeper().await?;
    eventually_within(LIMIT, "every fill is settled", || async {
        let settled: i64 = sqlx::query_scalar("SELECT count(*) FROM trades").fetch_one(floor.pool()).await.ok()?;
        (settled == fills).then_some(())
    })
    .await;
    let took = begun.elapsed();
    keeper.stop().await?;
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    let count = fills as f64;
    Ok((fills, count / took.as_secs_f64(), floor.gas_of_settlements().await? / count))
}

/// Orders that wait, matched while nothing else is done; and as many rows written, as many a flush. Both a second.
async fn match_all(floor: &Floor, orders: u64) -> Result<(f64, f64)> {
    floor.orders_again(orders).await?;
    let begun = Instant::now();
    floor.matched(LIMIT).await?;
    let matched = begun.elapsed();
    let places: Vec<i64> =
        sqlx::query_scalar("SELECT place FROM orders WHERE client_order_id LIKE 'again-%' ORDER BY place")
            .fetch_all(floor.pool())
            .await?;
    let begun = Instant::now();
    for places in places.chunks(TURN) {
        sqlx::query("UPDATE orders SET updated_at = now() WHERE place = ANY ($1)")
            .bind(places)
            .execute(floor.pool())
            .await?;
    }
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    let count = orders as f64;
    Ok((count / matched.as_secs_f64(), count / begun.elapsed().as_secs_f64()))
}
