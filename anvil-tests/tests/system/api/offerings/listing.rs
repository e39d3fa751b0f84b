//! What an approval asks of the keeper, and what becomes of it.

use alloy::primitives::Bytes;
use tokenx_contracts::bindings::{Executor, Listing};

use super::super::tokens::life::admin;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn where_the_keeper_may_not_set_terms_the_admin_is_told_what_to_do_and_approval_goes_on_from_there() {
    let life = Life::with(|_| {}).await;
    let token_id = life.deployed().await;
    let ground = &life.ground;
    let node = &life.deployment.nodes[0].node;
    let (target, selector) = (node.contracts.listing, Listing::setTermsCall::SELECTOR.into());
    life.kit().transact(admin(), node.executor, Executor::removeRuleCall { target, selector }).await;
    let id = ground.offer(&token_id, json!({ "exemption": "506b" })).await["id"].clone();
    ground.publish(&id).await;
    ground.approve(&id).await;
    let stuck = eventually("the offering says why it does not go on", || async {
        let offering = ground.offering(&id).await;
        offering["listing"]["problem"].is_object().then_some(offering)
    })
    .await;
    let problem = &stuck["listing"]["problem"];
    assert_eq!((&stuck["status"], &problem["reason_code"]), (&json!("approved"), &json!("ACTION_NOT_ALLOWED")));
    assert!(problem["remedy"].as_str().unwrap().contains("approve the offering again"), "{problem}");
    let terms = &stuck["listing"]["terms"];
    assert_eq!((&terms["state"], &terms["reason_code"]), (&json!("failed"), &json!("ACTION_NOT_ALLOWED")));
    assert!(stuck["listing"]["list"].is_null());
    assert_eq!(problem["call"]["to"], target.to_checksum(None));
    assert_eq!(life.ground.show(&token_id, Role::Issuer).await.json()["status"], 4);

    // The admin sends what it is told to send.
    let data: Bytes = problem["call"]["data"].as_str().unwrap().parse().unwrap();
    life.kit().transact(admin(), target, Listing::setTermsCall::abi_decode(&data).unwrap()).await;
    let approved = ground.approve(&id).await;
    assert!(approved["listing"]["problem"].is_null(), "{approved}");
    let published = ground.offering_becomes(&id, "published").await;
    let listing = &published["listing"];
    assert_eq!((&listing["terms"], &listing["problem"]), (&Value::Null, &Value::Null));
    assert_eq!(listing["list"]["command_id"], format!("offering_list:{}:-:2", id.as_str().unwrap()));
    life.ground.kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_offering_of_a_token_comes_when_the_one_before_is_over_and_sells_on_its_own_terms() {
    let life = Life::with(|_| {}).await;
    let token_id = life.deployed().await;
    let ground = &life.ground;
    let first =
        ground.offer(&token_id, json!({ "exemption": "506c", "closes_at": "2099-01-01T00:00:00Z" })).await["id"]
            .clone();
    ground.publish(&first).await;
    ground.approve(&first).await;
    ground.offering_becomes(&first, "published").await;
    assert_eq!(ground.ask_to_offer(&token_id, json!({})).await.status, 409);
    // As if its window were over.
    sqlx::query("UPDATE offerings SET closes_at = now()").execute(&life.kit().pool).await.unwrap();
    ground.offering_becomes(&first, "closed").await;
    let price = json!({ "id": ground.usdt.currency_id, "amount": 40 });
    let second = ground.offer(&token_id, json!({ "exemption": "reg_s", "price": price })).await["id"].clone();
    ground.publish(&second).await;
    ground.approve(&second).await;
    let published = ground.offering_becomes(&second, "published").await;
    assert!(published["listing"]["list"].is_null(), "the token is listed already: {published}");
    assert_eq!(ground.offering(&first).await["status"], "closed");
    let asked: i64 =
        sqlx::query_scalar("SELECT count(*) FROM listing_statuses").fetch_one(&life.kit().pool).await.unwrap();
    assert_eq!(asked, 1);
    life.ground.kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_a_reorg_takes_back_is_made_again_on_the_same_terms_by_the_same_commands() {
    let life = Life::with(|_| {}).await;
    let token_id = life.deployed().await;
    let ground = &life.ground;
    let id = ground.offer(&token_id, json!({ "exemption": "506c" })).await["id"].clone();
    ground.publish(&id).await;
    ground.approve(&id).await;
    let before = ground.offering_becomes(&id, "published").await;
    let chain = &life.kit()._world.as_ref().unwrap().chain;
    let number = |value: &Value| u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let receipt = async |of: &Value| {
        let hash = json!([of["transaction_hash"]]);
        chain.rpc("eth_getTransactionReceipt", hash).await.unwrap()
    };
    // Between its blocks: where a reorg meets the making of one, anvil can lose it for good.
    chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    let set = number(&receipt(&before["listing"]["terms"]).await["blockNumber"]);
    let head = number(&chain.rpc("eth_blockNumber", json!([])).await.unwrap());
    chain.rpc("anvil_reorg", json!([head - set + 1, []])).await.unwrap();
    chain.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    eventually("the reorg is noticed", || async {
        let known: i64 = sqlx::query_scalar("SELECT count(*) FROM reorgs").fetch_one(&life.kit().pool).await.unwrap();
        (known > 0).then_some(())
    })
    .await;
    life.becomes(&token_id, 6).await;
    let after = ground.offering_becomes(&id, "published").await;
    for command in ["terms", "list"] {
        let (was, is) = (&before["listing"][command], &after["listing"][command]);
        assert_eq!(was["command_id"], is["command_id"]);
        assert_eq!(
            receipt(is).await["status"],
            "0x1",
            "{command}: the transaction shown is one of the chain that is there"
        );
    }
    let asked: i64 =
        sqlx::query_scalar("SELECT count(*) FROM offering_commands").fetch_one(&life.kit().pool).await.unwrap();
    assert_eq!(asked, 2);
    life.ground.kit.end().await;
}
