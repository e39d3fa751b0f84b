//! Refused by the chain, raced, killed in the middle, and turned round.

use nix::sys::signal::Signal;
use tokenx_anvil_tests::Process;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_the_chain_refuses_gives_both_back_what_they_promised_and_says_whose_fault_it_was() {
    let counter = Counter::open().await;
    // She has allowed the desk nothing, and sends no permit.
    let anna = counter.floor.trader("anna", true, 10, 0).await;
    let ben = counter.floor.trader("ben", false, 0, 100).await;
    let body = counter.body(&anna, "sell", "sell", &ben.wallet.to_string(), 5, 100);
    let id = counter.propose(&anna, &counter.signed(&anna, body, ben.wallet).await).await["id"].clone();
    counter.agree(&ben, &id).await;
    let failed = counter.becomes(&ben, &id, "failed").await;
    let told = eventually("it says why", || async {
        let deal = counter.deal(&anna, &id).await;
        (deal["at_fault"] == "seller").then_some(deal)
    })
    .await;
    assert_eq!(told["reason_code"], "INSUFFICIENT_FUNDS_AT_SETTLEMENT");
    assert_eq!(failed["settlement"]["reason_code"], "ALLOWANCE_TOO_SMALL");
    assert_eq!((&failed["settlement"]["settled"], &failed["reserved"]), (&json!(false), &json!("0.0")));
    assert_eq!(counter.books(&anna, &ben).await, [tokens(10), usd(0), tokens(0), usd(100)]);
    // All of both is free again.
    counter.allows(&anna).await;
    let body = counter.body(&anna, "again", "sell", &ben.wallet.to_string(), 10, 100);
    let id = counter.propose(&anna, &counter.signed(&anna, body, ben.wallet).await).await["id"].clone();
    counter.agree(&ben, &id).await;
    counter.becomes(&ben, &id, "settled").await;
    assert_eq!(counter.books(&anna, &ben).await, [tokens(0), usd(99), tokens(10), usd(0)]);
    counter.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_acceptances_and_cancellations_at_once_one_wins() {
    let counter = Counter::open().await;
    let anna = counter.floor.trader("anna", false, 20, 0).await;
    let ben = counter.floor.trader("ben", false, 0, 1_000).await;
    let mut agreed = 0;
    for n in 0..6 {
        let id = counter.propose(&anna, &counter.body(&anna, &format!("race-{n}"), "sell", "ben", 1, 10)).await["id"]
            .clone();
        let accept = || counter.accept(&ben, &id);
        let (one, other, cancel) = tokio::join!(accept(), accept(), counter.cancel(&anna, &id));
        let won = cancel.status == 200;
        for answer in [&one, &other] {
            assert_eq!(answer.status.as_u16(), if won { 409 } else { 202 }, "{} {}", answer.text, cancel.text);
        }
        assert!(won || cancel.status == 409, "{}", cancel.text);
        agreed += usize::from(!won);
        counter.becomes(&anna, &id, if won { "cancelled" } else { "settled" }).await;
    }
    assert_eq!(counter.settlements().await, agreed);
    let (units, money) = (agreed as u64, 10 * agreed as u64);
    let books = counter.books(&anna, &ben).await;
    assert_eq!((books[0], books[2], books[3]), (tokens(20 - units), tokens(units), usd(1_000 - money)));
    counter.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_a_reorg_takes_back_is_settled_again_and_once() {
    let counter = Counter::open().await;
    let anna = counter.floor.trader("anna", false, 10, 0).await;
    let ben = counter.floor.trader("ben", false, 0, 1_000).await;
    let id = counter.propose(&anna, &counter.body(&anna, "deal", "sell", "ben", 5, 100)).await["id"].clone();
    counter.agree(&ben, &id).await;
    let before = counter.becomes(&ben, &id, "settled").await;
    let chain = &counter.kit()._world.as_ref().unwrap().chain;
    chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    let head = chain.rpc("eth_blockNumber", json!([])).await.unwrap();
    let head = u64::from_str_radix(head.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let block = before["settlement"]["block_number"].as_u64().unwrap();
    chain.rpc("anvil_reorg", json!([head - block + 1, []])).await.unwrap();
    chain.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    eventually("the reorg is noticed", || async {
        let known: i64 =
            sqlx::query_scalar("SELECT count(*) FROM reorgs").fetch_one(&counter.kit().pool).await.unwrap();
        (known > 0).then_some(())
    })
    .await;
    eventually("it is settled, in a transaction of the chain that is there", || async {
        let hash = counter.deal(&ben, &id).await["settlement"]["transaction_hash"].clone();
        let receipt = chain.rpc("eth_getTransactionReceipt", json!([hash])).await.ok()?;
        (receipt["status"] == "0x1").then_some(())
    })
    .await;
    assert_eq!(counter.settlements().await, 1);
    assert_eq!(counter.books(&anna, &ben).await, [tokens(5), usd(99), tokens(5), usd(900)]);
    counter.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_agreement_and_its_settlement_a_deal_is_settled_once() {
    let mut counter = Counter::open().await;
    let anna = counter.floor.trader("anna", false, 10, 0).await;
    let ben = counter.floor.trader("ben", false, 0, 1_000).await;
    let id = counter.propose(&anna, &counter.body(&anna, "deal", "sell", "ben", 5, 100)).await["id"].clone();
    // Nothing goes to the chain, allowances neither: both have agreed, and nobody has asked for the settlement.
    sqlx::query("UPDATE lanes SET halted_reason = 'a test'").execute(&counter.kit().pool).await.unwrap();
    counter.agree(&ben, &id).await;
    let settings = counter.floor.life.ground.kit.moves_out().await;
    sqlx::query("UPDATE lanes SET halted_reason = NULL").execute(&counter.kit().pool).await.unwrap();
    let start = |failpoint: &str| Process::start(&settings, &["run"], failpoint).unwrap();
    for failpoint in ["accept.before_commit", "accept.after_commit", "keeper.after_prepare", "projection.included"] {
        let mut doomed = start(&format!("{failpoint}:kill"));
        eventually_within(PROCESS, &format!("the process dies at {failpoint}"), || {
            let ended = doomed.ended().unwrap();
            async move { ended }
        })
        .await;
        assert!(doomed.was_killed().unwrap(), "{failpoint}\n{}", doomed.log());
    }
    let mut last = start("");
    counter.kit().is_served().await;
    counter.becomes(&ben, &id, "settled").await;
    assert_eq!(counter.settlements().await, 1);
    assert_eq!(counter.books(&anna, &ben).await, [tokens(5), usd(99), tokens(5), usd(900)]);
    last.signal(Signal::SIGTERM).unwrap();
    eventually_within(PROCESS, "the process ends", || {
        let ended = last.ended().unwrap();
        async move { ended }
    })
    .await;
}
