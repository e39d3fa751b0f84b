//! kill -9 between an approval and its listing.

use alloy::sol_types::SolEvent;
use nix::sys::signal::Signal;
use tokenx_anvil_tests::Process;
use tokenx_contracts::bindings::{Listing, SecurityToken};

use super::super::tokens::files::PDF;
use super::documents::hash;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_approval_and_listing_a_token_is_listed_once_and_a_document_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut life = Life::with(|settings| settings.files.path = folder.path().join("files")).await;
    let token_id = life.deployed().await;
    let id = life.ground.offer(&token_id, json!({ "exemption": "506c" })).await["id"].clone();
    life.ground.publish(&id).await;
    let issuer = life.kit().token(Role::Issuer);
    let brought = life.ground.bring(&format!("/v2/admin/token/{token_id}"), issuer, PDF).await;
    let document = brought.json()["meta"]["documents"][0]["id"].clone();
    let settings = life.ground.kit.moves_out().await;
    let start = |failpoints: &str| Process::start(&settings, &["run"], failpoints).unwrap();

    let mut first = start("");
    life.kit().is_served().await;
    life.ground.approve(&id).await;
    first.signal(Signal::SIGKILL).unwrap();
    eventually("it is dead", || {
        let ended = first.ended().unwrap();
        async move { ended }
    })
    .await;
    // Terms are prepared, in a block, listed on; bytes of the listing are prepared, and sent.
    for failpoint in ["keeper.after_prepare", "projection.included", "keeper.after_prepare", "keeper.after_send"] {
        let mut doomed = start(&format!("{failpoint}:kill"));
        eventually_within(PROCESS, &format!("the process dies at {failpoint}"), || {
            let ended = doomed.ended().unwrap();
            async move { ended }
        })
        .await;
        assert!(doomed.was_killed().unwrap(), "{failpoint}\n{}", doomed.log());
    }
    let _last = start("");
    life.kit().is_served().await;
    life.ground.offering_becomes(&id, "published").await;

    let asked: Vec<(String, i32)> = sqlx::query_as("SELECT kind, attempt FROM offering_commands ORDER BY created_at")
        .fetch_all(&life.kit().pool)
        .await
        .unwrap();
    assert_eq!(asked, [("offering_terms".to_owned(), 1), ("offering_list".to_owned(), 1)]);
    let chain = &life.kit()._world.as_ref().unwrap().chain;
    let listing = life.deployment.nodes[0].node.contracts.listing;
    let events = [Listing::ListingTermsChanged::SIGNATURE_HASH, Listing::ListingStatusChanged::SIGNATURE_HASH];
    let filter = json!([{ "address": listing, "fromBlock": "0x0", "topics": [events] }]);
    let logs = chain.rpc("eth_getLogs", filter).await.unwrap();
    let said: Vec<&Value> = logs.as_array().unwrap().iter().map(|log| &log["topics"][0]).collect();
    assert_eq!(said, events.map(|event| json!(event)).each_ref().to_vec(), "terms, then status, once each");
    life.has_on_chain(&document, hash(PDF)).await;
    let named = json!([{ "fromBlock": "0x0", "topics": [SecurityToken::DocumentChanged::SIGNATURE_HASH] }]);
    assert_eq!(chain.rpc("eth_getLogs", named).await.unwrap().as_array().unwrap().len(), 1);
}
