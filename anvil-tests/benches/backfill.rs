//! How fast a chain's past is indexed, beside the least that anything must do: fetch the same logs and COPY them.
//!
//! `cargo bench -p tokenx-anvil-tests --bench backfill -- [blocks] [transfers per block]`; default 2,500 × 40.

#![allow(clippy::print_stdout, reason = "a benchmark's result")]

use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, Bytes, U256, hex};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokenx_anvil_tests::{Mining, World, eventually_within};
use tokenx_config::{Finality, Follow, LogFormat, Telemetry};
use tokenx_indexer::{Indexer, read};
use tokenx_migrations::copy::Rows;
use tokio_util::sync::CancellationToken;

const CHAIN: u64 = tokenx::local::anvil::CHAIN_ID;
const HOLDERS: u64 = 1_000;
const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// A contract that logs `n` ERC-20 transfers of `value` among 1,000 holders, or mints where `spend` is 0. Call data: n,
/// seed, spend, value. Transfer i goes from holder (seed + i) mod 1000 to holder (seed + 7i + 1) mod 1000.
fn mill() -> Result<Vec<u8>> {
    let runtime = [
        "606035600052",                           // mem[0] = value
        "6000",                                   // i = 0
        "5b8060003511156062576103e8",             // 08: to the end unless n > i
        "816007026020350160010106611000016103e8", // to
        "8260203501066110000160403502",           // from, or zero
        "7f",
        TRANSFER,
        "60206000a3",
        "6001016008565b00",
    ]
    .concat();
    let runtime = hex::decode(runtime)?;
    ensure!(runtime.len() == 100, "the jumps are counted by hand");
    let length = u8::try_from(runtime.len())?;
    Ok([&[0x60, length, 0x80, 0x60, 0x0b, 0x60, 0, 0x39, 0x60, 0, 0xf3], runtime.as_slice()].concat())
}

struct Chain {
    world: World,
    from: Address,
}

impl Chain {
    async fn send(&self, to: Option<Address>, data: Vec<u8>) -> Result<B256> {
        let mut request = json!({"from": self.from, "data": Bytes::from(data), "gas": "0xf00000"});
        if let Some(to) = to {
            request["to"] = json!(to);
        }
        let hash = self.world.chain.rpc("eth_sendTransaction", json!([request])).await?;
        self.world.chain.mine(1).await?;
        Ok(serde_json::from_value(hash)?)
    }

    async fn deploy(&self) -> Result<Address> {
        let hash = self.send(None, mill()?).await?;
        let receipt = self.world.chain.rpc("eth_getTransactionReceipt", json!([hash])).await?;
        Ok(serde_json::from_value(receipt["contractAddress"].clone())?)
    }

    async fn grind(&self, mill: Address, n: u64, seed: u64, spend: u64, value: u64) -> Result<()> {
        let words = [n, seed, spend, value].map(|word| B256::from(U256::from(word))).concat();
        self.send(Some(mill), words).await.map(drop)
    }
}

/// Fetches every log in ranges of 250 blocks, two at a time, and copies them into a bare table.
async fn floor(chain: &Chain, mill: Address, head: u64) -> Result<(Duration, u64)> {
    sqlx::raw_sql("CREATE TABLE floor (block BIGINT, log INTEGER, from_wallet BYTEA, to_wallet BYTEA, amount NUMERIC)")
        .execute(&chain.world.pool)
        .await?;
    let begun = Instant::now();
    let mut conn = chain.world.pool.acquire().await?;
    let mut total = 0;
    let mut from = 1;
    while from <= head {
        let to = (from + 249).min(head);
        let filter = json!([{"address": mill, "fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}")}]);
        let logs = chain.world.chain.rpc("eth_getLogs", filter).await?;
        let mut rows = Rows::new(5);
        for log in logs.as_array().context("logs")? {
            let word = |value: &Value| -> Result<B256> { Ok(serde_json::from_value(value.clone())?) };
            let height = |value: &Value| -> Result<u64> {
                Ok(u64::from_str_radix(value.as_str().context("a number")?.trim_start_matches("0x"), 16)?)
            };
            rows.row()
                .bigint(height(&log["blockNumber"])?.cast_signed())
                .integer(i32::try_from(height(&log["logIndex"])?)?)
                .address(Address::from_word(word(&log["topics"][1])?))
                .address(Address::from_word(word(&log["topics"][2])?))
                .uint256(U256::from_be_bytes(word(&log["data"])?.0));
        }
        total += rows.send(&mut conn, "floor (block, log, from_wallet, to_wallet, amount)").await?;
        from = to + 1;
    }
    Ok((begun.elapsed(), total))
}

fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? / 1024)
}

fn per_second(events: u64, took: Duration) -> u64 {
    events * 1_000 / u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[tokio::main]
async fn main() -> Result<()> {
    let numbers: Vec<u64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let (blocks, per_block) = (numbers.first().copied().unwrap_or(2_500), numbers.get(1).copied().unwrap_or(40));
    // What goes wrong is told; RUST_LOG-like filters by TOKENX_BENCH_LOG.
    let filter = std::env::var("TOKENX_BENCH_LOG").unwrap_or_else(|_| "warn".to_owned());
    tokenx_config::telemetry::init(&Telemetry { filter, format: LogFormat::Pretty })?;
    let world = World::with(Mining::Manual).await?;
    let from = tokenx_anvil_tests::KEYS[0].parse::<alloy::signers::local::PrivateKeySigner>()?.address();
    let chain = Chain { world, from };
    let mill = chain.deploy().await?;
    chain.grind(mill, HOLDERS, 0, 0, 1_000_000_000).await?;
    for block in 0..blocks {
        chain.grind(mill, per_block, block * 13, 1, 1 + block % 5).await?;
    }
    chain.world.chain.mine(70).await?;
    let head = blocks + 2;
    let events = blocks * per_block + HOLDERS;
    println!("{events} transfers in {head} blocks, {HOLDERS} holders");

    let mut settings = tokenx_config::Settings::embedded(tokenx_config::Profile::Test)?;
    settings.database.url = chain.world.database.url().into();
    settings.chain.rpc_url = chain.world.chain.url().into();
    settings.chain.chain_id = CHAIN;
    settings.chain.finality = Finality::Depth(64);
    settings.chain.follow = vec![Follow { token: mill, instrument_id: "MILL".to_owned(), start_block: Some(1) }];
    settings.monitor.enabled = false;
    let before = peak_mb();
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let running = tokio::spawn(Indexer::builder(&settings, chain.world.pool.clone()).build().run(stop.clone()));
    eventually_within(Duration::from_secs(600), "all is indexed", || async {
        let cursor = read::cursor(&chain.world.pool, CHAIN).await.ok()??;
        (cursor.number > head).then_some(())
    })
    .await;
    let took = begun.elapsed();
    let after = peak_mb();
    stop.cancel();
    running.await??;
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM transfers").fetch_one(&chain.world.pool).await?;
    let instrument = read::instrument(&chain.world.pool, CHAIN, "MILL").await?.context("the mill")?;
    ensure!(stored.cast_unsigned() == events, "{stored} of {events} transfers are stored");
    ensure!(instrument.inexact.is_none(), "{:?}", instrument.inexact);

    let (least, copied) = floor(&chain, mill, head).await?;
    ensure!(copied == events, "the floor has {copied} of {events}");
    let (ours, floor) = (per_second(events, took), per_second(events, least));
    println!("floor: {floor} events/s ({least:.2?})");
    println!("ours:  {ours} events/s ({took:.2?}), peak memory {before:?} MB before, {after:?} MB after");
    println!("ratio: {:.2} of the floor", took.as_secs_f64() / least.as_secs_f64());
    Ok(())
}
