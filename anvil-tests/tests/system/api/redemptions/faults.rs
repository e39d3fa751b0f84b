//! Twice at once, killed in the middle, and turned round by the chain.

use alloy::sol_types::SolEvent;
use nix::sys::signal::Signal;
use tokenx_anvil_tests::Process;

use super::*;

impl Desk {
    /// How often the desk's log says that it has paid.
    async fn payments(&self) -> usize {
        let filter = json!([{ "address": self.at(), "fromBlock": "0x0",
                              "topics": [RedemptionDesk::RedemptionApproved::SIGNATURE_HASH] }]);
        let logs = self.kit()._world.as_ref().unwrap().chain.rpc("eth_getLogs", filter).await.unwrap();
        logs.as_array().unwrap().len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_approvals_at_once_pay_once() {
    let desk = Desk::open().await;
    let held = desk.holds(&desk.signed("10", None, "one")).await;
    let (nothing, no) = (json!({}), json!({ "reason": "no" }));
    let answers = tokio::join!(
        desk.decide(&held["id"], "approve", &nothing),
        desk.decide(&held["id"], "approve", &nothing),
        desk.decide(&held["id"], "reject", &no),
        desk.decide(&held["id"], "approve", &nothing),
    );
    let mut statuses = [answers.0.status, answers.1.status, answers.2.status, answers.3.status].map(|s| s.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409, 409, 409]);
    eventually("it has ended", || async {
        let page = desk.kit().get("/investor/redemptions", Some(&desk.dora)).await.json();
        matches!(page["items"][0]["status"].as_str()?, "paid" | "rejected").then_some(())
    })
    .await;
    assert!(desk.payments().await <= 1);
    let asked: i64 =
        sqlx::query_scalar("SELECT count(*) FROM redemption_decisions").fetch_one(&desk.kit().pool).await.unwrap();
    assert_eq!(asked, 1);
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_request_hold_approval_and_payment_it_is_paid_once() {
    let mut desk = Desk::open().await;
    let body = desk.signed("10", None, "one");
    let settings = desk.life.ground.kit.moves_out().await;
    let start = |failpoints: &str| Process::start(&settings, &["run"], failpoints).unwrap();
    let dies = async |mut doomed: Process, failpoint: &str| {
        eventually_within(PROCESS, &format!("the process dies at {failpoint}"), || {
            let ended = doomed.ended().unwrap();
            async move { ended }
        })
        .await;
        assert!(doomed.was_killed().unwrap(), "{failpoint}\n{}", doomed.log());
    };
    let first = Process::start(&settings, &["api"], "").unwrap();
    desk.kit().is_served().await;
    let asked = desk.ask(&body).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let id = asked.json()["id"].clone();
    first.signal(Signal::SIGKILL).unwrap();
    dies(first, "no failpoint").await;
    for failpoint in ["keeper.after_prepare", "projection.included"] {
        dies(start(&format!("{failpoint}:kill")), failpoint).await;
    }
    let second = start("");
    desk.kit().is_served().await;
    desk.becomes(&id, "held").await;
    eventually("it is approved", || async {
        let answer = desk.decide(&id, "approve", &json!({})).await;
        (answer.status == 202).then_some(())
    })
    .await;
    second.signal(Signal::SIGKILL).unwrap();
    dies(second, "no failpoint").await;
    let _last = start("");
    desk.kit().is_served().await;
    desk.becomes(&id, "paid").await;
    assert_eq!(desk.payments().await, 1);
    assert_eq!(desk.books(desk.key.address()).await, [tokens(90), usd(300), usd(2_700)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reorg_takes_back_is_done_again_and_once() {
    let desk = Desk::open().await;
    let chain = &desk.kit()._world.as_ref().unwrap().chain;
    let turn = async || {
        chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
        chain.rpc("anvil_reorg", json!([3, []])).await.unwrap();
        chain.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    };
    // Whoever pays in for the test sends it once: its block stays.
    chain.rpc("anvil_mine", json!(["0x3"])).await.unwrap();
    let held = desk.holds(&desk.signed("10", None, "one")).await;
    turn().await;
    desk.becomes(&held["id"], "held").await;
    eventually("it is approved", || async {
        let answer = desk.decide(&held["id"], "approve", &json!({})).await;
        (answer.status == 202).then_some(())
    })
    .await;
    desk.becomes(&held["id"], "paid").await;
    turn().await;
    eventually("it is paid, on the branch that stands", || async {
        let page = desk.kit().get("/investor/redemptions", Some(&desk.dora)).await;
        let paid = (page.status == 200).then(|| page.json()["items"][0].clone())?;
        let receipt = chain.rpc("eth_getTransactionReceipt", json!([paid["transaction_hash"]])).await.ok()?;
        (paid["status"] == "paid" && receipt["status"] == "0x1").then_some(())
    })
    .await;
    assert_eq!(desk.payments().await, 1);
    assert_eq!(desk.books(desk.key.address()).await, [tokens(90), usd(300), usd(2_700)]);
    desk.end().await;
}
