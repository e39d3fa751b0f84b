//! Too late, killed in the middle, and turned round by the chain.

use alloy::sol_types::SolEvent;
use nix::sys::signal::Signal;
use tokenx_anvil_tests::Process;
use tokenx_contracts::bindings::Listing;

use super::*;

impl Fair {
    /// How often the listing's log says that it has sold.
    async fn sales(&self) -> usize {
        let filter =
            json!([{ "address": self.listing(), "fromBlock": "0x0", "topics": [Listing::Purchased::SIGNATURE_HASH] }]);
        let logs = self.kit()._world.as_ref().unwrap().chain.rpc("eth_getLogs", filter).await.unwrap();
        logs.as_array().unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_ends_with_its_time_and_what_it_held_is_there_for_others() {
    let terms = json!({ "exemption": "506c", "salable_percentage": 1 });
    let fair = Fair::with(terms, |settings| settings.subscription.ttl_seconds = 4).await;
    let dora = &fair.dora;
    let reserved = fair.ask(dora, &Fair::own(dora, "own", 10)).await;
    assert_eq!(reserved.status, 202, "{}", reserved.text);
    assert_eq!(code(&fair.ask(dora, &Fair::hosted(dora, "now", 1)).await), (422, "SOLD_OUT".into()));
    let expired = fair.becomes(dora, &reserved.json()["id"], "expired").await;
    assert_eq!((&expired["calls"], &expired["transaction_hash"]), (&Value::Null, &Value::Null));
    assert_eq!(fair.is_told(&reserved.json()["id"], "subscription.expired").await["status"], "expired");
    assert_eq!(fair.open_reservations().await, 0);
    fair.subscribes(dora, &Fair::hosted(dora, "then", 10), "completed").await;
    assert_eq!(fair.sales().await, 1);
    fair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_reservation_and_purchase_it_is_bought_once() {
    let mut fair = Fair::open(json!({ "exemption": "506c" })).await;
    let settings = fair.life.ground.kit.moves_out().await;
    let start = |failpoints: &str| Process::start(&settings, &["run"], failpoints).unwrap();
    let dies = async |mut doomed: Process, failpoint: &str| {
        eventually_within(PROCESS, &format!("the process dies at {failpoint}"), || {
            let ended = doomed.ended().unwrap();
            async move { ended }
        })
        .await;
        assert!(doomed.was_killed().unwrap(), "{failpoint}\n{}", doomed.log());
    };
    let first = start("keeper.after_sign:kill");
    fair.kit().is_served().await;
    let body = Fair::hosted(&fair.dora, "once", 10);
    eventually("it is asked for", || async {
        let request = fair.kit().client.post(format!("{}{}", fair.kit().url, fair.path()));
        let request = request.bearer_auth(&fair.dora.token).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await;
        // It may be killed before it answers: what counts is that it was taken.
        match answer {
            Ok(answer) => (answer.status() == 202).then_some(()),
            Err(_) => (fair.open_reservations().await == 1).then_some(()),
        }
    })
    .await;
    dies(first, "keeper.after_sign").await;
    for failpoint in ["keeper.after_prepare", "projection.included"] {
        dies(start(&format!("{failpoint}:kill")), failpoint).await;
    }
    let last = start("");
    fair.kit().is_served().await;
    // Whoever asks again hears of the same one.
    let again = fair.ask(&fair.dora, &body).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (202, Some("true")), "{}", again.text);
    fair.becomes(&fair.dora, &again.json()["id"], "completed").await;
    assert_eq!((fair.sales().await, fair.open_reservations().await), (1, 0));
    assert_eq!(fair.books(fair.dora.hosted.1).await, [tokens(10), usd(MONEY - 300)]);
    last.signal(Signal::SIGTERM).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_that_a_reorg_takes_back_is_made_again_and_once() {
    let fair = Fair::open(json!({ "exemption": "506c" })).await;
    let (kit, dora) = (fair.kit(), &fair.dora);
    let chain = &kit._world.as_ref().unwrap().chain;
    let bought = fair.subscribes(dora, &Fair::hosted(dora, "once", 10), "completed").await;
    chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    chain.rpc("anvil_reorg", json!([3, []])).await.unwrap();
    chain.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    eventually("it is bought, on the branch that stands", || async {
        let page = kit.get("/investors/subscriptions", Some(&dora.token)).await;
        let found = (page.status == 200).then(|| page.json()["items"][0].clone())?;
        let receipt = chain.rpc("eth_getTransactionReceipt", json!([found["transaction_hash"]])).await.ok()?;
        (found["id"] == bought["id"] && found["status"] == "completed" && receipt["status"] == "0x1").then_some(())
    })
    .await;
    assert_eq!((fair.sales().await, fair.open_reservations().await), (1, 0));
    assert_eq!(fair.books(dora.hosted.1).await, [tokens(10), usd(MONEY - 300)]);
    fair.end().await;
}
