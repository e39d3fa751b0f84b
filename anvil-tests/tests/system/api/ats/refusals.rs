//! What stands in an order's way, each by its code.

use tokenx_contracts::bindings::{Investor, InvestorRegistry};
use tokenx_keeper::Operation;

use super::*;

impl Floor {
    async fn refuses(&self, trader: &Trader, body: &Value, code: &str) {
        let answer = self.ask(trader, body).await;
        let json = answer.json();
        assert_eq!((answer.status.as_u16(), &json["reason_code"]), (422, &json!(code)), "{}", answer.text);
        assert!(json["errors"][0]["field"].is_string(), "{json}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_that_an_order_breaks_is_told_by_its_code() {
    let floor = Floor::with(|settings| {
        let rules = json!({ "instrument_id": "TKN", "tick": "0.5", "opens": null, "closes": null });
        settings.market.instruments = vec![serde_json::from_value(rules).unwrap()];
    })
    .await;
    let anna = floor.trader("anna", false, 10, 100).await;
    let sell = |quantity: u64, price: &str| floor.limit(&anna, "refused", "sell", quantity, price);
    let buy = |quantity: u64, price: &str| floor.limit(&anna, "refused", "buy", quantity, price);

    let mut half = sell(1, "30");
    half["quantity"] = "0.5".into();
    floor.refuses(&anna, &half, "NOT_WHOLE_LOTS").await;
    floor.refuses(&anna, &sell(1, "25"), "PRICE_OUTSIDE_BAND").await;
    floor.refuses(&anna, &sell(1, "36"), "PRICE_OUTSIDE_BAND").await;
    floor.refuses(&anna, &sell(1, "30.25"), "PRICE_OFF_TICK").await;
    floor.refuses(&anna, &sell(11, "30"), "INSUFFICIENT_SPENDABLE").await;
    floor.refuses(&anna, &buy(4, "30"), "INSUFFICIENT_FUNDS").await;
    // What is promised once is not promised twice.
    let placed = floor.place(&anna, &floor.limit(&anna, "most", "sell", 8, "35")).await;
    floor.refuses(&anna, &sell(3, "30"), "INSUFFICIENT_SPENDABLE").await;
    let money = floor.place(&anna, &floor.limit(&anna, "money", "buy", 3, "26")).await;
    floor.refuses(&anna, &buy(1, "26"), "INSUFFICIENT_FUNDS").await;
    for id in [&placed["id"], &money["id"]] {
        floor.becomes(&anna, id, "open").await;
        assert_eq!(floor.cancel(&anna, id).await.status, 200);
        floor.becomes(&anna, id, "cancelled").await;
    }

    for (field, bad) in [
        ("quantity", json!("0")),
        ("quantity", json!("-1")),
        ("limit_price", json!("1e2")),
        ("side", json!("hold")),
        ("type", json!("iceberg")),
        ("time_in_force", json!("never")),
        ("stop_price", json!("30")),
        ("client_order_id", json!("a b")),
        ("offering_id", json!("7")),
        ("extra", json!(1)),
    ] {
        let mut body = sell(1, "30");
        body[field] = bad;
        let answer = floor.ask(&anna, &body).await;
        assert_eq!(answer.status, 400, "{field}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["field"], field, "{}", answer.text);
    }
    let ben = floor.trader("ben", true, 10, 0).await;
    let unsigned = floor.ask(&ben, &floor.limit(&ben, "unsigned", "sell", 1, "30")).await;
    assert_eq!((unsigned.status.as_u16(), &unsigned.json()["errors"][0]["field"]), (400, &json!("intent")));
    let body = floor.limit(&ben, "other", "sell", 2, "30");
    let other = floor.ask(&ben, &floor.signed(&ben, body, (Side::Sell, 1, 30_000_000)).await).await;
    assert_eq!((other.status.as_u16(), &other.json()["errors"][0]["field"]), (400, &json!("intent.quantity")));
    let mut theirs = sell(1, "30");
    theirs["wallet_id"] = ben.wallet_id.clone();
    assert_eq!(floor.ask(&anna, &theirs).await.status, 404, "another's wallet");
    let mut nowhere = sell(1, "30");
    nowhere["offering_id"] = Uuid::now_v7().to_string().into();
    assert_eq!(floor.ask(&anna, &nowhere).await.status, 404);

    let stranger = floor.kit().investor("stranger").await;
    let pending = floor.kit().register(&stranger, &json!({})).await;
    let unlisted = Trader { token: stranger, wallet_id: pending["id"].clone(), ..anna.clone() };
    floor.refuses(&unlisted, &floor.limit(&unlisted, "x", "sell", 1, "30"), "WALLET_NOT_WHITELISTED").await;
    let nobody = floor.kit().unknown("nobody").await;
    let wallet = floor.kit().register(&nobody, &json!({})).await;
    let nobody = Trader { token: nobody, wallet_id: wallet["id"].clone(), ..anna.clone() };
    floor.refuses(&nobody, &floor.limit(&nobody, "x", "sell", 1, "30"), "KYC_NOT_APPROVED").await;

    let freeze = Operation::Freeze { instrument: tkn(), account: anna.wallet, amount: tokens(9), reason: REASON };
    floor.life.runs("partly", freeze).await;
    floor.refuses(&anna, &sell(2, "30"), "AMOUNT_FROZEN").await;
    let thaw = Operation::Unfreeze { instrument: tkn(), account: anna.wallet, amount: tokens(9), reason: REASON };
    floor.life.runs("partly-no-more", thaw).await;
    let hold =
        Operation::PlaceHold { instrument: tkn(), account: anna.wallet, amount: tokens(9), until: 0, reason: REASON };
    floor.life.runs("held", hold).await;
    floor.refuses(&anna, &sell(2, "30"), "AMOUNT_HELD").await;
    let freeze =
        Operation::FreezeAddress { instrument: tkn(), account: anna.wallet, reason: REASON, everywhere: false };
    floor.life.runs("frozen", freeze).await;
    floor.refuses(&anna, &sell(1, "30"), "WALLET_FROZEN").await;
    floor.refuses(&anna, &buy(1, "30"), "WALLET_FROZEN").await;
    floor.life.runs("paused", Operation::Pause { instrument: tkn(), reason: REASON }).await;
    floor.refuses(&anna, &sell(1, "30"), "TOKEN_PAUSED").await;
    floor.trades_on("closed", false, 0).await;
    floor.refuses(&anna, &sell(1, "30"), "MARKET_CLOSED").await;
    floor.life.does(&floor.token_id, "delist", Role::Issuer, 5).await;
    floor.refuses(&anna, &sell(1, "30"), "NOT_LISTED").await;

    let registry = floor.kit().settings.chain.registry.unwrap();
    let wallet = json!({ "address": anna.wallet });
    let sanctioned = Investor { flags: 3, ..floor.kit().registered(&wallet).await };
    let call = InvestorRegistry::setInvestorCall { wallet: anna.wallet, investor: sanctioned, reason: REASON };
    floor.kit().transact(floor.kit().settings.chain.executors[0], registry, call).await;
    eventually("who is under sanctions is barred", || async {
        let answer = floor.ask(&anna, &sell(1, "30")).await;
        (answer.status == 403 && answer.json()["reason_code"] == "SANCTIONS_HIT").then_some(())
    })
    .await;
    floor.end().await;
}
