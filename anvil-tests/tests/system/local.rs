//! What the other tests stand on: the private Postgres, the chain, and the supervisor under both.

use std::time::Duration;

use serde_json::json;
use sqlx::{query, query_scalar};
use tokenx::local::anvil::{CHAIN_ID, KEYS, Mining};
use tokenx::local::{Anvil, AnvilOptions, tools};
use tokenx_anvil_tests::{World, eventually};

#[tokio::test]
async fn a_world_has_a_migrated_database_and_a_chain() {
    let world = World::start().await.unwrap();
    tokenx_migrations::check(&world.pool).await.unwrap();
    assert_eq!(world.chain.rpc("eth_chainId", json!([])).await.unwrap(), json!(format!("{CHAIN_ID:#x}")));
    eventually("a block comes by itself", || async {
        let head = world.chain.rpc("eth_blockNumber", json!([])).await.unwrap();
        (head != json!("0x0")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn worlds_do_not_see_each_other() {
    let (one, other) = (World::with(Mining::Manual).await.unwrap(), World::with(Mining::Manual).await.unwrap());
    query("CREATE TABLE seen (n int)").execute(&one.pool).await.unwrap();
    let there: bool = query_scalar("SELECT to_regclass('seen') IS NOT NULL").fetch_one(&other.pool).await.unwrap();
    assert!(!there);
    one.chain.mine(3).await.unwrap();
    assert_eq!(one.chain.rpc("eth_blockNumber", json!([])).await.unwrap(), json!("0x3"));
    assert_eq!(other.chain.rpc("eth_blockNumber", json!([])).await.unwrap(), json!("0x0"));
}

#[tokio::test]
async fn the_chain_knows_the_keys_we_name() {
    let world = World::with(Mining::Manual).await.unwrap();
    let accounts: Vec<alloy::primitives::Address> =
        serde_json::from_value(world.chain.rpc("eth_accounts", json!([])).await.unwrap()).unwrap();
    let ours = KEYS.map(|key| key.parse::<alloy::signers::local::PrivateKeySigner>().unwrap().address());
    assert_eq!(accounts, ours);
}

#[tokio::test]
async fn a_test_leaves_no_database_behind() {
    let first = World::with(Mining::Manual).await.unwrap();
    let second = World::with(Mining::Manual).await.unwrap();
    let name: String = query_scalar("SELECT current_database()").fetch_one(&first.pool).await.unwrap();
    drop(first);
    let left: i64 = query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(&name)
        .fetch_one(&second.pool)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_chain_that_is_killed_leaves_no_states_behind() {
    let program = tools::anvil(&|line| eprintln!("{line}")).await.unwrap();
    let above = tempfile::tempdir().unwrap();
    let folder = above.path().join("node");
    let options = AnvilOptions {
        program,
        folder: folder.clone(),
        port: None,
        mining: Mining::Manual,
        state: None,
        states: None,
        scratch: true,
    };
    let chain = Anvil::start(options).await.unwrap();
    chain.mine(2_048).await.unwrap();
    eventually("states of past blocks are on the disk", || async {
        let runs = std::fs::read_dir(folder.join("past-states")).ok()?;
        runs.flatten().any(|run| run.path().is_dir()).then_some(())
    })
    .await;
    drop(chain);
    eventually("the folder is gone", || async { (!folder.exists()).then_some(()) }).await;
}

#[tokio::test]
async fn waiting_names_what_did_not_happen() {
    let wait = tokio::spawn(tokenx_anvil_tests::eventually_within(Duration::from_millis(50), "pigs fly", || async {
        None::<()>
    }));
    let panic = wait.await.unwrap_err().into_panic();
    assert!(panic.downcast_ref::<String>().unwrap().contains("pigs fly"));
}

#[tokio::test]
async fn the_suite_is_deployed_however_blocks_come() {
    for world in [World::start().await.unwrap(), World::with(Mining::Manual).await.unwrap()] {
        let deployment = world.deploy().await.unwrap();
        let [first, second] = deployment.nodes.as_slice() else { panic!("two nodes were planned") };
        assert_eq!((first.instrument_id.as_str(), second.instrument_id.as_str()), ("rCC", "rDD"));
        let suite = deployment.suite;
        assert_eq!(world.settings(&deployment).unwrap().chain.registry, Some(suite.registry));
        for address in [suite.registry, suite.registry_executor, suite.factory, first.node.executor, second.token] {
            let code = world.chain.rpc("eth_getCode", json!([address, "latest"])).await.unwrap();
            assert!(code.as_str().unwrap().len() > 100, "no contract at {address}");
        }
    }
}
