//! The program killed in the middle of a backfill: it goes on where its last transaction ended.

use std::collections::HashMap;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use alloy::primitives::{Address, B256, U256};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use sqlx::{PgPool, Row};
use tokenx_anvil_tests::{KEYS, Mill, Mining, World, campaign, eventually, process};
use tokenx_config::{Finality, Profile, Settings};
use tokenx_indexer::read;
use tokenx_migrations::{Addr, Uint256};

use super::{CHAIN, number};

const PER_BLOCK: u64 = 20;
/// Read at once: few, so that a kill nearly always meets a transaction or what it waits for.
const BATCH_BLOCKS: u64 = 2;

/// From the start of the process to its first new row at most, on a machine that may be busy.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program(settings: &Settings, mill: &Mill) -> Result<Killed> {
    let mut command: Command = process::command(settings, &["indexer"])?;
    let follow = format!("[{{token=\"{}\", instrument_id=\"MILL\", start_block=1}}]", mill.token);
    command.env("TOKENX__CHAIN__FOLLOW", follow).env("TOKENX__CHAIN__BATCH_BLOCKS", BATCH_BLOCKS.to_string());
    Ok(Killed(command.spawn()?))
}

async fn indexed(pool: &PgPool) -> u64 {
    read::cursor(pool, CHAIN).await.ok().flatten().map_or(0, |cursor| cursor.number)
}

/// All rows up to the cursor are there, and none above it.
async fn is_whole(pool: &PgPool, transfers: &[(u64, Value)]) -> Result<()> {
    let cursor = indexed(pool).await;
    let expected = transfers.iter().filter(|(block, _)| *block <= cursor).count();
    for table in ["SELECT count(*) FROM transfers", "SELECT count(*) FROM logs"] {
        let found: i64 = sqlx::query_scalar(table).fetch_one(pool).await?;
        assert_eq!(usize::try_from(found)?, expected, "{table} up to {cursor}");
    }
    Ok(())
}

/// Who has what, by the node's own list of transfers.
fn balances(transfers: &[(u64, Value)]) -> Result<HashMap<Address, U256>> {
    let mut balances: HashMap<Address, U256> = HashMap::new();
    for (_, log) in transfers {
        let word = |value: &Value| -> Result<B256> { Ok(serde_json::from_value(value.clone())?) };
        let [from, to] = [&log["topics"][1], &log["topics"][2]].map(word);
        let amount = U256::from_be_bytes(word(&log["data"])?.0);
        let (from, to) = (Address::from_word(from?), Address::from_word(to?));
        if !from.is_zero() {
            *balances.entry(from).or_default() -= amount;
        }
        *balances.entry(to).or_default() += amount;
    }
    Ok(balances)
}

#[tokio::test]
async fn an_indexer_killed_in_a_backfill_loses_and_doubles_no_row_and_goes_on_at_once() -> Result<()> {
    let kills = campaign::times(3, 20);
    let blocks = campaign::times(250, 2_500) as u64;
    let world = World::with(Mining::Manual).await?;
    let mill = Mill::start(&world).await?;
    for block in 0..blocks {
        mill.grind(&world, PER_BLOCK, block).await?;
        world.chain.mine(1).await?;
    }
    let head = blocks + 2;
    world.chain.mine(70).await?;
    let filter = json!([{"address": mill.token, "fromBlock": "0x0", "toBlock": "latest"}]);
    let logs = world.chain.rpc("eth_getLogs", filter).await?;
    let transfers: Vec<(u64, Value)> = logs
        .as_array()
        .context("logs")?
        .iter()
        .map(|log| Ok((number(&log["blockNumber"])?, log.clone())))
        .collect::<Result<_>>()?;

    let mut settings = Settings::embedded(Profile::Test)?;
    settings.database.url = world.database.url().into();
    settings.chain.rpc_url = world.chain.url().into();
    settings.chain.finality = Finality::Depth(64);
    settings.signer.keys = vec![KEYS[1].into()];
    let pool = &world.pool;
    let mut chance = campaign::seed("kills");
    let mut first_rows = Vec::new();
    for kill in 0..kills {
        let before = indexed(pool).await;
        let begun = Instant::now();
        let running = program(&settings, &mill)?;
        eventually("new rows", || async { (indexed(pool).await > before.max(1)).then_some(()) }).await;
        first_rows.push(begun.elapsed());
        // Anywhere in the next batches.
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tokio::time::sleep(Duration::from_micros((chance >> 33) % 60_000)).await;
        drop(running);
        eventually("its session ends", || async {
            let sessions: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> ''
                    AND pid <> pg_backend_pid() AND state <> 'idle'",
            )
            .fetch_one(pool)
            .await
            .ok()?;
            (sessions == 0).then_some(())
        })
        .await;
        is_whole(pool, &transfers).await?;
        assert!(indexed(pool).await < head || kill + 1 == kills, "the past was too short for {kills} kills");
    }
    first_rows.sort_unstable();
    let longest = first_rows[kills - 1];
    assert!(longest < AT_ONCE, "{longest:?} from a start to its first new row");
    campaign::say(&format!(
        "restart to first new row after {kills} kills: median {} ms, longest {} ms",
        first_rows[kills / 2].as_millis(),
        longest.as_millis()
    ));

    let last = program(&settings, &mill)?;
    eventually("all is indexed", || async { (indexed(pool).await > head).then_some(()) }).await;
    is_whole(pool, &transfers).await?;
    drop(last);
    let rows = sqlx::query("SELECT wallet, balance FROM holdings WHERE balance > 0").fetch_all(pool).await?;
    let mut expected = balances(&transfers)?;
    expected.retain(|_, balance| !balance.is_zero());
    assert_eq!(rows.len(), expected.len());
    for row in rows {
        let (wallet, balance) = (row.try_get::<Addr, _>("wallet")?.0, row.try_get::<Uint256, _>("balance")?.0);
        assert_eq!(expected.get(&wallet), Some(&balance), "{wallet}");
    }
    Ok(())
}
