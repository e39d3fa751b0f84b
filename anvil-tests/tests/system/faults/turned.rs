//! The chain turns while a keeper that has read it stands still: what it read is of a branch that is no more.

use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use nix::sys::signal::Signal;
use serde_json::json;
use tokenx_anvil_tests::{Fault, FaultProxy, Process, eventually};
use tokenx_config::Settings;
use tokenx_contracts::Scope;
use tokenx_indexer::read;
use tokenx_keeper::{Cancelled, State};

use super::site::Site;

const RECEIPT: &str = "eth_getTransactionReceipt";
/// How late receipts come: the chain turns meanwhile.
const LATE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(120);

/// One command in each transaction, so that it can be taken back.
fn alone(site: &Site) -> Settings {
    let mut settings = site.settings.clone();
    settings.keeper.batch_max_items = 1;
    settings
}

/// Takes a command back that is on its way, and mines the no-op: the chain's head holds it. No other block may come.
async fn noop_in_head(site: &Site) -> String {
    let id = site.mint().await;
    eventually("it is broadcast", || async { (site.view(&id).await.state == State::Broadcast).then_some(()) }).await;
    let asked = site.commands.cancel(&Scope::Ops, &id.parse().unwrap(), "user:test", "request-1").await.unwrap();
    assert_eq!(asked, Cancelled::Asked);
    eventually("the no-op is sent", || async {
        let sent = "SELECT count(*)
                      FROM slots s
                      JOIN attempts a USING (lane_id, nonce)
                     WHERE s.state = 'open' AND a.kind = 'noop' AND a.first_sent_at IS NOT NULL";
        (site.count(sent).await > 0).then_some(())
    })
    .await;
    site.world.chain.mine(1).await.unwrap();
    id
}

/// Replaces the head by a block that holds these transactions alone, and waits until that is indexed.
async fn turn(site: &Site, again: &[(Bytes, u64)]) {
    let reorgs = read::cursor(site.pool(), site.settings.chain.chain_id).await.unwrap().unwrap().reorgs;
    site.rpc("anvil_setCoinbase", json!([Address::repeat_byte(9)])).await;
    site.rpc("anvil_reorg", json!([1, again])).await;
    eventually("the other branch is indexed", || async {
        let cursor = read::cursor(site.pool(), site.settings.chain.chain_id).await.unwrap()?;
        (cursor.reorgs > reorgs).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_noop_that_a_reorg_took_back_while_it_was_written_down_is_sent_again() {
    let (site, _miner) = Site::start().await;
    let settings = alone(&site);
    let _indexer = Process::start(&settings, &["indexer"], "").unwrap();
    let keeper = Process::start(&settings, &["keeper"], "keeper.before_settle:pause").unwrap();
    let still = site.still().await;
    noop_in_head(&site).await;
    eventually("the keeper has the no-op's receipt", || async { keeper.is_stopped().then_some(()) }).await;
    turn(&site, &[]).await;
    keeper.signal(Signal::SIGCONT).unwrap();
    drop(still);
    for _ in 0..3 {
        site.mint().await;
    }
    let verdict = site.is_exact(LIMIT).await;
    assert_eq!(verdict.cancelled, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_ran_on_another_branch_than_its_noop_does_not_halt_the_lane() {
    let (site, _miner) = Site::start().await;
    let mut settings = alone(&site);
    let _indexer = Process::start(&settings, &["indexer"], "").unwrap();
    let proxy = FaultProxy::start(&site.world.chain.url(), 1).await.unwrap();
    proxy.rule(RECEIPT, Fault::Delay(LATE), 1.0);
    settings.chain.rpc_url = proxy.url().into();
    let _keeper = Process::start(&settings, &["keeper"], "").unwrap();
    let still = site.still().await;
    let id = noop_in_head(&site).await;
    eventually("the keeper asks for receipts", || async { (proxy.struck() > 0).then_some(()) }).await;
    let batch: Vec<u8> = sqlx::query_scalar(
        "SELECT a.raw
           FROM attempts a
           JOIN slots s USING (lane_id, nonce)
          WHERE s.state = 'open' AND a.kind = 'batch'",
    )
    .fetch_one(site.pool())
    .await
    .unwrap();
    turn(&site, &[(batch.into(), 0)]).await;
    assert!(matches!(site.view(&id).await.state, State::Mined(_) | State::Confirmed), "the batch came first");
    proxy.heal();
    drop(still);
    site.mint().await;
    let verdict = site.is_exact(LIMIT).await;
    assert_eq!(verdict.cancelled, 0);
}
