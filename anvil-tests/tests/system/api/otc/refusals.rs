//! What stands in a deal's way, each by its code.

use tokenx_contracts::bindings::{Investor, InvestorRegistry};
use tokenx_keeper::Operation;

use super::*;

impl Counter {
    async fn refuses(&self, maker: &Trader, body: &Value, expected: &str) {
        let answer = self.ask(maker, body).await;
        assert_eq!(code(&answer), (422, expected.to_owned()), "{}", answer.text);
        assert!(answer.json()["errors"][0]["field"].is_string(), "{}", answer.text);
    }

    async fn declines(&self, taker: &Trader, id: &Value, expected: &str) {
        let answer = self.accept(taker, id).await;
        assert_eq!(code(&answer), (422, expected.to_owned()), "{}", answer.text);
        assert_eq!(self.deal(taker, id).await["state"], "proposed", "a refusal changes nothing");
    }

    async fn runs(&self, name: &str, operation: Operation) {
        self.floor.life.runs(name, operation).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_that_a_proposal_breaks_is_told_by_its_code() {
    let counter = Counter::open().await;
    let anna = counter.floor.trader("anna", false, 10, 100).await;
    let ben = counter.floor.trader("ben", true, 0, 0).await;
    let sell = |quantity: u64| counter.body(&anna, "refused", "sell", "ben", quantity, 50);
    let with = |name: &'static str, value: Value| {
        let mut body = sell(1);
        body[name] = value;
        body
    };
    counter.refuses(&anna, &sell(11), "INSUFFICIENT_SPENDABLE").await;
    counter.refuses(&anna, &counter.body(&anna, "x", "buy", "ben", 1, 101), "INSUFFICIENT_FUNDS").await;
    counter.refuses(&anna, &with("counterparty", json!("nobody")), "UNKNOWN_PARTY").await;
    counter.refuses(&anna, &with("counterparty", json!(CAROL)), "WALLET_NOT_WHITELISTED").await;
    counter.refuses(&anna, &with("counterparty", json!("anna")), "SELF_TRADE").await;
    counter.refuses(&anna, &with("counterparty", json!(counter.desk())), "UNKNOWN_WALLET").await;
    let stranger = counter.kit().investor("stranger").await;
    let pending = counter.kit().register(&stranger, &json!({})).await["address"].clone();
    counter.refuses(&anna, &with("counterparty", pending), "RECIPIENT_NOT_WHITELISTED").await;
    let mut nothing = with("total", Value::Null);
    nothing["price"] = "0.000001".into();
    nothing["quantity"] = "0.000001".into();
    nothing["side"] = "buy".into();
    counter.refuses(&anna, &nothing, "TRADE_TOO_SMALL").await;
    let mut unknown = with("offering_id", Value::Null);
    unknown["instrument_id"] = "NONE".into();
    counter.refuses(&anna, &unknown, "UNKNOWN_INSTRUMENT").await;
    // What is promised once is not promised twice, to whomever.
    let promised = counter.propose(&anna, &counter.body(&anna, "most", "sell", "ben", 8, 50)).await;
    counter.refuses(&anna, &sell(3), "INSUFFICIENT_SPENDABLE").await;
    let order = counter.floor.ask(&anna, &counter.floor.limit(&anna, "o", "sell", 3, "30")).await;
    assert_eq!(code(&order), (422, "INSUFFICIENT_SPENDABLE".into()), "{}", order.text);
    let paid = counter.propose(&anna, &counter.body(&anna, "money", "buy", "ben", 1, 80)).await;
    counter.refuses(&anna, &counter.body(&anna, "x", "buy", "ben", 1, 21), "INSUFFICIENT_FUNDS").await;
    for id in [&promised["id"], &paid["id"]] {
        assert_eq!(counter.cancel(&anna, id).await.json()["state"], "cancelled");
    }
    // And is free again.
    let whole = counter.propose(&anna, &counter.body(&anna, "all", "sell", "ben", 10, 50)).await;
    assert_eq!(counter.cancel(&ben, &whole["id"]).await.json()["state"], "declined");

    for (field, bad) in [
        ("quantity", json!("0")),
        ("quantity", json!("-1")),
        ("total", json!("1e2")),
        ("price", json!("5")),
        ("side", json!("hold")),
        ("client_deal_id", json!("a b")),
        ("offering_id", json!("7")),
        ("counterparty", json!("")),
        ("expires_at", json!("2020-01-01T00:00:00Z")),
        ("expires_at", json!("2900-01-01T00:00:00Z")),
        ("extra", json!(1)),
    ] {
        let answer = counter.ask(&anna, &with(field, bad)).await;
        assert_eq!(answer.status, 400, "{field}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["field"], field, "{}", answer.text);
    }
    let bad = |answer: &Answer| (answer.status.as_u16(), answer.json()["errors"][0]["field"].clone());
    let own = counter.body(&ben, "own", "buy", &anna.wallet.to_string(), 1, 50);
    assert_eq!(bad(&counter.ask(&ben, &own).await), (400, json!("intent")), "its own key signs");
    let mut unnamed = own.clone();
    unnamed["counterparty"] = "anna".into();
    assert_eq!(bad(&counter.ask(&ben, &unnamed).await), (400, json!("counterparty")), "what it signs names a wallet");
    let mut other = counter.signed(&ben, own, anna.wallet).await;
    other["quantity"] = "2".into();
    assert_eq!(bad(&counter.ask(&ben, &other).await), (400, json!("intent.quantity")));
    let theirs = with("wallet_id", ben.wallet_id.clone());
    assert_eq!(counter.ask(&anna, &theirs).await.status, 404, "another's wallet");
    assert_eq!(counter.ask(&anna, &with("offering_id", json!(Uuid::now_v7()))).await.status, 404);
    let nobody = counter.kit().unknown("nobody").await;
    let wallet = counter.kit().register(&nobody, &json!({})).await;
    let nobody = Trader { token: nobody, wallet_id: wallet["id"].clone(), ..anna.clone() };
    counter.refuses(&nobody, &counter.body(&nobody, "x", "sell", "ben", 1, 50), "KYC_NOT_APPROVED").await;

    let frozen = Operation::Freeze { instrument: tkn(), account: anna.wallet, amount: tokens(9), reason: REASON };
    counter.runs("partly", frozen).await;
    counter.refuses(&anna, &sell(2), "AMOUNT_FROZEN").await;
    let frozen = |account| Operation::FreezeAddress { instrument: tkn(), account, reason: REASON, everywhere: false };
    counter.runs("frozen", frozen(anna.wallet)).await;
    counter.refuses(&anna, &sell(1), "SENDER_FROZEN").await;
    counter.refuses(&anna, &counter.body(&anna, "x", "buy", "ben", 1, 50), "RECIPIENT_FROZEN").await;
    counter.runs("paused", Operation::Pause { instrument: tkn(), reason: REASON }).await;
    counter.refuses(&anna, &sell(1), "TOKEN_PAUSED").await;
    counter.deals_on("closed", false, 100).await;
    counter.refuses(&anna, &sell(1), "MARKET_CLOSED").await;
    counter.floor.life.does(&counter.floor.token_id, "delist", Role::Issuer, 5).await;
    counter.refuses(&anna, &sell(1), "NOT_LISTED").await;
    counter.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_is_held_to_what_the_token_says_of_the_whole_deal() {
    let counter = Counter::open().await;
    let anna = counter.floor.trader("anna", false, 10, 100).await;
    let ben = counter.floor.trader("ben", false, 2, 60).await;
    let sold = counter.propose(&anna, &counter.body(&anna, "sell", "sell", "ben", 4, 50)).await["id"].clone();
    let bought = counter.propose(&anna, &counter.body(&anna, "buy", "buy", "ben", 2, 50)).await["id"].clone();
    let poor = counter.propose(&anna, &counter.body(&anna, "dear", "sell", "ben", 1, 61)).await["id"].clone();
    counter.declines(&ben, &poor, "INSUFFICIENT_FUNDS").await;
    // Money that one deal takes is not there for the next: 50 of 60.
    let other = counter.propose(&anna, &counter.body(&anna, "second", "sell", "ben", 1, 20)).await["id"].clone();
    counter.agree(&ben, &sold).await;
    counter.declines(&ben, &other, "INSUFFICIENT_FUNDS").await;
    counter.becomes(&ben, &sold, "settled").await;

    let limit =
        |max_holders, max_balance| Operation::SetLimits { instrument: tkn(), max_holders, max_balance, reason: REASON };
    let small = counter.propose(&anna, &counter.body(&anna, "small", "sell", "ben", 1, 1)).await["id"].clone();
    counter.runs("limited", limit(0, tokens(6))).await;
    counter.declines(&ben, &small, "BALANCE_LIMIT").await;
    counter.runs("unlimited", limit(0, U256::ZERO)).await;
    let mut wrong = json!({ "wallet_id": anna.wallet_id });
    assert_eq!(counter.act(&ben, &small, "accept", &wrong).await.status, 404, "another's wallet");
    wrong = json!({ "wallet_id": ben.wallet_id, "signature": "0x00" });
    assert_eq!(counter.act(&ben, &small, "accept", &wrong).await.status, 400);
    counter.deals_on("dearer", true, 200).await;
    counter.declines(&ben, &small, "FEE_ABOVE_LIMIT").await;
    counter.deals_on("closed", false, 100).await;
    counter.declines(&ben, &small, "MARKET_CLOSED").await;
    counter.deals_on("open", true, 100).await;
    counter.runs("paused", Operation::Pause { instrument: tkn(), reason: REASON }).await;
    counter.declines(&ben, &small, "TOKEN_PAUSED").await;
    counter.runs("unpaused", Operation::Unpause { instrument: tkn(), reason: REASON }).await;

    let hold =
        Operation::PlaceHold { instrument: tkn(), account: ben.wallet, amount: tokens(5), until: 0, reason: REASON };
    counter.runs("held", hold).await;
    counter.declines(&ben, &bought, "AMOUNT_HELD").await;
    let much = counter.propose(&anna, &counter.body(&anna, "much", "buy", "ben", 7, 1)).await["id"].clone();
    counter.declines(&ben, &much, "INSUFFICIENT_BALANCE").await;
    let registry = counter.kit().settings.chain.registry.unwrap();
    let sanctioned = Investor { flags: 3, ..counter.kit().registered(&json!({ "address": ben.wallet })).await };
    let call = InvestorRegistry::setInvestorCall { wallet: ben.wallet, investor: sanctioned, reason: REASON };
    counter.kit().transact(counter.kit().settings.chain.executors[0], registry, call).await;
    eventually("who is under sanctions is barred", || async {
        (code(&counter.accept(&ben, &bought).await) == (403, "SANCTIONS_HIT".into())).then_some(())
    })
    .await;
    counter.end().await;
}
