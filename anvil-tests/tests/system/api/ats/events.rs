//! What an event does to open orders.

use tokenx_contracts::bindings::{Investor, InvestorRegistry};
use tokenx_keeper::Operation;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn whose_wallet_may_not_trade_any_more_has_no_orders_any_more() {
    let floor = Floor::open().await;
    let anna = floor.trader("anna", false, 10, 0).await;
    let ben = floor.trader("ben", false, 10, 0).await;
    let carl = floor.trader("carl", false, 10, 0).await;
    let mut orders = Vec::new();
    for trader in [&anna, &ben, &carl] {
        let placed = floor.place(trader, &floor.limit(trader, "sell", "sell", 5, "30")).await;
        floor.becomes(trader, &placed["id"], "open").await;
        orders.push(placed["id"].clone());
    }
    let frozen =
        Operation::FreezeAddress { instrument: tkn(), account: anna.wallet, reason: REASON, everywhere: false };
    floor.life.runs("frozen", frozen).await;
    let ended = floor.becomes(&anna, &orders[0], "cancelled").await;
    assert_eq!((&ended["reason_code"], &ended["reserved"]), (&json!("WALLET_FROZEN"), &json!("0.0")));
    floor.life.runs("revoked", Operation::Revoke { wallet: ben.wallet, reason: REASON }).await;
    let ended = floor.becomes(&ben, &orders[1], "cancelled").await;
    assert_eq!(ended["reason_code"], "WALLET_NOT_WHITELISTED");
    let registry = floor.kit().settings.chain.registry.unwrap();
    let known = floor.kit().registered(&json!({ "address": carl.wallet })).await;
    let sanctioned = Investor { flags: 3, ..known };
    let call = InvestorRegistry::setInvestorCall { wallet: carl.wallet, investor: sanctioned, reason: REASON };
    floor.kit().transact(floor.kit().settings.chain.executors[0], registry, call).await;
    let ended = floor.becomes(&carl, &orders[2], "cancelled").await;
    assert_eq!(ended["reason_code"], "SANCTIONS_HIT");
    assert_eq!(floor.book().await["asks"], json!([]));
    floor.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_market_is_closed_its_book_rests_and_a_delisting_ends_it() {
    let floor = Floor::open().await;
    let anna = floor.trader("anna", false, 10, 0).await;
    let mut ids = Vec::new();
    for id in ["one", "two"] {
        let placed = floor.place(&anna, &floor.limit(&anna, id, "sell", 5, "30")).await;
        floor.becomes(&anna, &placed["id"], "open").await;
        ids.push(placed["id"].clone());
    }
    floor.trades_on("closed", false, 0).await;
    assert_eq!(floor.book().await["reason_code"], "MARKET_CLOSED");
    assert_eq!(floor.order(&anna, &ids[0]).await["state"], "open");
    assert_eq!(floor.cancel(&anna, &ids[0]).await.status, 200, "what rests can be taken back");
    floor.becomes(&anna, &ids[0], "cancelled").await;
    floor.life.does(&floor.token_id, "delist", Role::Issuer, 5).await;
    let ended = floor.becomes(&anna, &ids[1], "cancelled").await;
    assert_eq!(ended["reason_code"], "NOT_LISTED");
    floor.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_an_order_promises_show_as_reserved_and_are_not_redeemed() {
    let floor = Floor::open().await;
    let anna = floor.trader("anna", false, 10, 0).await;
    let placed = floor.place(&anna, &floor.limit(&anna, "sell", "sell", 6, "30")).await;
    floor.becomes(&anna, &placed["id"], "open").await;
    let kit = floor.kit();
    let portfolio = kit.get("/investors/portfolio", Some(&anna.token)).await.json();
    assert_eq!(portfolio["items"][0]["reserved"], "6.0", "{portfolio}");
    let redeem = async |quantity: &str| {
        let body = json!({ "instrument_id": "TKN", "wallet_id": anna.wallet_id, "quantity": quantity });
        kit.post("/investor/redemptions", Some(&anna.token), &body).await
    };
    let code = |answer: &Answer| answer.json()["reason_code"].clone();
    eventually("the desk has its terms", || async {
        let refused = redeem("5").await;
        (code(&refused) == "INSUFFICIENT_SPENDABLE").then_some(())
    })
    .await;
    assert_eq!(redeem("4").await.status, 202);
    let more = floor.ask(&anna, &floor.limit(&anna, "more", "sell", 1, "30")).await;
    assert_eq!((more.status.as_u16(), code(&more)), (422, json!("INSUFFICIENT_SPENDABLE")));
    floor.end().await;
}
