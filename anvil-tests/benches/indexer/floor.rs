//! The least that anything must do: fetch every log, and COPY it into a bare table.

use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U64};
use anyhow::Result;
use serde::Deserialize;
use serde_json::json;
use tokenx_anvil_tests::World;

const RANGE: u64 = 250;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    topics: Vec<B256>,
    data: B256,
    block_number: U64,
    log_index: U64,
}

#[derive(Deserialize)]
struct Answer {
    result: Vec<Log>,
}

/// Requests for blocks up to `head`.
pub(crate) const fn calls(head: u64) -> u64 {
    head.div_ceil(RANGE)
}

/// Gives the time and the number of logs. One COPY takes them all, while the next range is fetched.
pub(crate) async fn run(world: &World, token: Address, head: u64) -> Result<(Duration, u64)> {
    sqlx::raw_sql("CREATE TABLE floor (block BIGINT, log INTEGER, from_wallet BYTEA, to_wallet BYTEA, amount BYTEA)")
        .execute(&world.pool)
        .await?;
    let client = reqwest::Client::new();
    let begun = Instant::now();
    let mut conn = world.pool.acquire().await?;
    let mut copy = conn.copy_in_raw("COPY floor FROM STDIN (FORMAT binary)").await?;
    copy.send(&b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"[..]).await?;
    for from in (1..=head).step_by(usize::try_from(RANGE)?) {
        let to = (from + RANGE - 1).min(head);
        let filter = json!({"address": token, "fromBlock": U64::from(from), "toBlock": U64::from(to)});
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [filter]});
        let body = client.post(world.chain.url()).json(&request).send().await?.bytes().await?;
        let logs = serde_json::from_slice::<Answer>(&body)?.result;
        copy.send(rows(&logs)).await?;
    }
    copy.send((-1i16).to_be_bytes().to_vec()).await?;
    let copied = copy.finish().await?;
    Ok((begun.elapsed(), copied))
}

fn rows(logs: &[Log]) -> Vec<u8> {
    let mut rows = Vec::with_capacity(logs.len() * 128);
    for log in logs {
        let index = u32::try_from(log.log_index.to::<u64>()).unwrap_or(u32::MAX);
        let fields: [&[u8]; 5] = [
            &log.block_number.to::<u64>().to_be_bytes(),
            &index.to_be_bytes(),
            &log.topics[1][12..],
            &log.topics[2][12..],
            log.data.as_slice(),
        ];
        rows.extend_from_slice(&5i16.to_be_bytes());
        for field in fields {
            rows.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
            rows.extend_from_slice(field);
        }
    }
    rows
}
