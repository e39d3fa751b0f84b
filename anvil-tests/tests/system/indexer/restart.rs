//! Ends and starts: whatever happens to the process, no row is missing or doubled.

use std::time::Duration;

use anyhow::{Context, Result};
use tokenx_anvil_tests::eventually;
use tokenx_indexer::{IndexerError, read};

use super::{ALICE, CHAIN, Running, Stage};

async fn doubled(stage: &Stage) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT 1 FROM mints GROUP BY command_key HAVING count(*) > 1) AS doubled",
    )
    .fetch_one(&stage.world.pool)
    .await?)
}

#[tokio::test]
async fn a_crash_at_any_point_loses_and_doubles_nothing() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.settings.chain.batch_blocks = 2;
    stage.settings.chain.finality = tokenx_config::Finality::Depth(8);
    stage.whitelist(&[ALICE]).await?;
    for n in 0..60 {
        stage.mint(&format!("mint {n}"), ALICE, n).await?;
        stage.mine(1).await?;
    }
    // Ended after ever longer times, wherever it is then: starting, reading, in a transaction.
    for n in 0..25u64 {
        let indexer = Running::start(&stage.settings, &stage.world.pool);
        tokio::time::sleep(Duration::from_millis(5 + n * 4)).await;
        indexer.crash().await;
        stage.mint(&format!("more {n}"), ALICE, n).await?;
        stage.mine(1).await?;
    }
    let indexer = stage.follow().await;
    stage.settles(&[ALICE]).await?;
    assert_eq!(doubled(&stage).await?, 0);
    indexer.stop().await
}

#[tokio::test]
async fn of_two_one_writes_and_the_other_takes_over() -> Result<()> {
    let stage = Stage::set().await?;
    stage.whitelist(&[ALICE]).await?;
    let first = stage.follow().await;
    stage.settles(&[ALICE]).await?;
    let second = stage.follow().await;
    for n in 0..10 {
        stage.mint(&format!("mint {n}"), ALICE, n).await?;
        stage.mine(1).await?;
    }
    stage.settles(&[ALICE]).await?;
    first.crash().await;
    stage.mint("after", ALICE, 1).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;
    assert_eq!(doubled(&stage).await?, 0);
    second.stop().await
}

#[tokio::test]
async fn following_may_begin_at_a_later_block_and_the_past_has_no_effects() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    stage.whitelist(&[ALICE]).await?;
    stage.mint("past", ALICE, 1).await?;
    stage.mine(1).await?;
    let indexer = stage.follow().await;
    stage.settles(&[ALICE]).await?;
    let first: i64 = sqlx::query_scalar("SELECT min(number) FROM blocks").fetch_one(pool).await?;
    assert_eq!(first.cast_unsigned(), stage.settings.chain.start_block - 1);
    stage.mint("present", ALICE, 1).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;
    let mints: i64 = sqlx::query_scalar("SELECT count(*) FROM mints").fetch_one(pool).await?;
    let told: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE kind = 'mint'").fetch_one(pool).await?;
    assert_eq!((mints, told), (2, 1), "what was before we came is stored and not told");
    indexer.stop().await
}

#[tokio::test]
async fn another_chain_is_refused() -> Result<()> {
    let mut stage = Stage::set().await?;
    let indexer = stage.follow().await;
    stage.settles(&[]).await?;
    indexer.stop().await?;

    let mut other = stage.settings.clone();
    other.chain.chain_id = 1;
    let error = Running::start(&other, &stage.world.pool).task.await?.err().context("an error")?;
    assert!(error.to_string().contains("31337") && error.to_string().contains("settings say 1"), "{error}");

    // The same id with another past, as a restarted anvil has.
    let fresh = Stage::set().await?;
    stage.settings.chain.rpc_url = fresh.settings.chain.rpc_url.clone();
    stage.settings.chain.ws_url = None;
    let error = Running::start(&stage.settings, &stage.world.pool).task.await?.err().context("an error")?;
    assert!(matches!(error, IndexerError::OtherGenesis { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_first_block_below_the_one_that_was_followed_is_refused() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.follow().await.stop().await?;
    let first = stage.settings.chain.start_block;
    stage.settings.chain.start_block = first - 1;
    let error = Running::start(&stage.settings, &stage.world.pool).task.await?.err().context("an error")?;
    assert!(matches!(error, IndexerError::StartLowered { .. }), "{error}");
    assert!(error.to_string().contains(&format!("set start_block back to {first}")), "{error}");
    // Above it, it is the same tables.
    stage.settings.chain.start_block = first + 1;
    let indexer = stage.follow().await;
    stage.settles(&[]).await?;
    indexer.stop().await
}

#[tokio::test]
async fn a_node_that_is_away_is_waited_for() -> Result<()> {
    let mut stage = Stage::set().await?;
    let good = stage.settings.chain.rpc_url.clone();
    // Nothing listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    stage.settings.chain.rpc_url = format!("http://127.0.0.1:{port}").into();
    let away = Running::start(&stage.settings, &stage.world.pool);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!away.task.is_finished(), "it waits");
    away.stop().await?;
    stage.settings.chain.rpc_url = good;
    let indexer = stage.follow().await;
    stage.settles(&[]).await?;
    eventually("the lag is told", || async {
        read::status(&stage.world.pool, CHAIN).await.ok().flatten().filter(|status| status.indexer.lag_blocks == 0)
    })
    .await;
    indexer.stop().await
}
