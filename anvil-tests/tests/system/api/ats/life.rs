//! An order's life, to the chain and back.

use nix::sys::signal::Signal;
use tokenx_anvil_tests::Process;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_both_kinds_of_wallets_meet_and_the_chain_moves_tokens_and_money_at_once() {
    let floor = Floor::open().await;
    floor.trades_on("with-a-fee", true, 100).await;
    let anna = floor.trader("anna", false, 10, 0).await;
    let ben = floor.trader("ben", true, 0, 1_000).await;
    floor.allows(&ben).await;

    let placed = floor.place(&anna, &floor.limit(&anna, "sell-5", "sell", 5, "30")).await;
    assert_eq!((&placed["state"], &placed["reserved"]), (&json!("pending"), &json!("5.0")));
    let open = floor.becomes(&anna, &placed["id"], "open").await;
    assert_eq!((&open["limit_price"], &open["filled_quantity"]), (&json!("30.0"), &json!("0.0")));
    let book = floor.book().await;
    assert_eq!(book["asks"], json!([{ "price": "30.0", "quantity": "5.0", "orders": 1 }]));
    assert_eq!((&book["bids"], &book["last_price"]), (&json!([]), &Value::Null));

    let body = floor.limit(&ben, "buy-3", "buy", 3, "31");
    let body = floor.signed(&ben, body, (Side::Buy, 3, 31_000_000)).await;
    let bought = floor.place(&ben, &body).await;
    floor.becomes(&ben, &bought["id"], "filled").await;
    let trades = floor.all_settled().await;
    let trade = &trades[0];
    assert_eq!((trades.len(), &trade["price"], &trade["quantity"]), (1, &json!("30.0"), &json!("3.0")), "{trade}");
    assert_eq!((&trade["cost"], &trade["taker_side"]), (&json!("90.0"), &json!("buy")));
    assert_eq!(trade["settlement"]["settled"], true, "{trade}");
    let receipt = json!([trade["settlement"]["transaction_hash"]]);
    let receipt = floor.kit()._world.as_ref().unwrap().chain.rpc("eth_getTransactionReceipt", receipt).await.unwrap();
    assert_eq!(receipt["status"], "0x1");
    // The taker pays the fee: 1 % of 90.
    assert_eq!((floor.units(anna.wallet).await, floor.cash(anna.wallet).await), (tokens(7), usd(90)));
    assert_eq!((floor.units(ben.wallet).await, floor.cash(ben.wallet).await), (tokens(3), U256::from(909_100_000)));

    let left = floor.order(&anna, &placed["id"]).await;
    assert_eq!(
        (&left["state"], &left["settled_quantity"], &left["reserved"]),
        (&json!("open"), &json!("3.0"), &json!("2.0"))
    );
    let cancelled = floor.cancel(&anna, &placed["id"]).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    let cancelled = floor.becomes(&anna, &placed["id"], "cancelled").await;
    assert_eq!((&cancelled["reason_code"], &cancelled["reserved"]), (&json!("ORDER_CANCELLED"), &json!("0.0")));
    assert_eq!(floor.cancel(&anna, &placed["id"]).await.status, 200, "once more changes nothing");
    assert_eq!(floor.cancel(&ben, &placed["id"]).await.status, 404, "another's order");
    assert_eq!(floor.book().await["asks"], json!([]));

    // What its own wallet has signed counts on chain until it takes it back there, or it expires.
    let resting = floor.limit(&ben, "buy-low", "buy", 1, "26");
    let resting = floor.place(&ben, &floor.signed(&ben, resting, (Side::Buy, 1, 26_000_000)).await).await;
    floor.becomes(&ben, &resting["id"], "open").await;
    assert_eq!(floor.cancel(&ben, &resting["id"]).await.status, 200);
    floor.becomes(&ben, &resting["id"], "cancel_pending").await;
    let order = resting["digest"].as_str().unwrap().parse().unwrap();
    let call = tokenx_contracts::bindings::SecondaryMarket::cancelCall { order };
    floor.kit().transact(ben.wallet, floor.market, call).await;
    floor.becomes(&ben, &resting["id"], "cancelled").await;

    let ask = async |token: &str| {
        let query = format!(
            "{{ orders {{ totalCount nodes {{ clientOrderId state settledQuantity }} }}
                trades(offeringId: {}) {{ totalCount nodes {{ price settled takerSide }} }} }}",
            floor.offering
        );
        floor.kit().post("/graphql", Some(token), &json!({ "query": query })).await.json()["data"].clone()
    };
    let hers = ask(&anna.token).await;
    let own = json!([{ "clientOrderId": "sell-5", "state": "cancelled", "settledQuantity": "3.0" }]);
    assert_eq!(hers["orders"], json!({ "totalCount": 1, "nodes": own }));
    let traded = json!([{ "price": "30.0", "settled": true, "takerSide": "buy" }]);
    assert_eq!(hers["trades"], json!({ "totalCount": 1, "nodes": traded }));
    assert_eq!(ask(&ben.token).await["orders"]["totalCount"], 2, "his own");

    let noted: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT action FROM audit_log WHERE action LIKE 'order.%' OR action LIKE 'trade.%' ORDER BY action",
    )
    .fetch_all(&floor.kit().pool)
    .await
    .unwrap();
    assert_eq!(noted, ["order.cancel", "order.place", "trade.match"]);
    floor.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn market_and_stop_orders_go_as_far_as_the_collar_and_stops_wait_for_a_trade() {
    let floor = Floor::open().await;
    let anna = floor.trader("anna", false, 20, 0).await;
    let ben = floor.trader("ben", false, 0, 2_000).await;
    let order = |id: &str, kind: &str, side: &str, rest: Value| {
        let trader = if side == "buy" { &ben } else { &anna };
        let mut body = json!({
            "client_order_id": id, "offering_id": floor.offering, "wallet_id": trader.wallet_id, "side": side,
            "type": kind, "quantity": "1",
        });
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        body
    };
    let early = floor.ask(&ben, &order("early", "market", "buy", json!({}))).await;
    assert_eq!((early.status.as_u16(), &early.json()["reason_code"]), (422, &json!("NO_LIQUIDITY")));
    for (id, price) in [("a", "30"), ("b", "31"), ("c", "34")] {
        let body = order(id, "limit", "sell", json!({ "limit_price": price, "time_in_force": "day" }));
        let placed = floor.place(&anna, &body).await;
        floor.becomes(&anna, &placed["id"], "open").await;
    }
    let stop = floor.place(&ben, &order("stop", "stop", "buy", json!({ "stop_price": "31" }))).await;
    assert_eq!(stop["limit_price"], "32.55");
    floor.becomes(&ben, &stop["id"], "waiting").await;
    let first = floor.place(&ben, &order("first", "market", "buy", json!({}))).await;
    assert_eq!(first["limit_price"], "31.5", "5 % above the best price");
    floor.becomes(&ben, &first["id"], "filled").await;
    assert_eq!(floor.order(&ben, &stop["id"]).await["state"], "waiting");
    // It takes what is asked at 31, which sets off the stop, and that finds nothing up to 32.55.
    let second = floor
        .place(&ben, &order("second", "limit", "buy", json!({ "limit_price": "31", "time_in_force": "ioc" })))
        .await;
    floor.becomes(&ben, &second["id"], "filled").await;
    let stop = floor.becomes(&ben, &stop["id"], "cancelled").await;
    assert_eq!((&stop["reason_code"], &stop["reserved"]), (&json!("UNFILLED"), &json!("0.0")));
    // All of it at once, or nothing; and nobody trades with himself.
    let mut whole = order("whole", "limit", "buy", json!({ "limit_price": "34", "time_in_force": "fok" }));
    whole["quantity"] = "2".into();
    let whole = floor.place(&ben, &whole).await;
    let whole = floor.becomes(&ben, &whole["id"], "cancelled").await;
    assert_eq!((&whole["reason_code"], &whole["filled_quantity"]), (&json!("UNFILLED"), &json!("0.0")));
    let url = floor.kit()._world.as_ref().unwrap().chain.url();
    suite::give(&url, floor.money, &[(anna.wallet, usd(100))]).await.unwrap();
    let mut own = order("own", "limit", "sell", json!({ "limit_price": "34", "time_in_force": "ioc" }));
    own["side"] = "buy".into();
    let own = eventually("her money is known", || async {
        let answer = floor.ask(&anna, &own).await;
        (answer.status == 201).then(|| answer.json())
    })
    .await;
    let own = floor.becomes(&anna, &own["id"], "cancelled").await;
    assert_eq!(own["reason_code"], "SELF_TRADE");
    let trades = floor.all_settled().await;
    assert_eq!(trades.iter().map(|trade| trade["price"].clone()).collect::<Vec<_>>(), ["31.0", "30.0"]);
    assert_eq!((floor.units(ben.wallet).await, floor.cash(ben.wallet).await), (tokens(2), usd(1_939)));
    floor.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_and_the_same_order_is_the_same_order() {
    let floor = Floor::open().await;
    let anna = floor.trader("anna", false, 10, 0).await;
    let body = floor.limit(&anna, "mine", "sell", 5, "30");
    let (one, other) = tokio::join!(floor.ask(&anna, &body), floor.ask(&anna, &body));
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (201, 201), "{} {}", one.text, other.text);
    assert_eq!(one.json()["id"], other.json()["id"]);
    assert_eq!([&one, &other].iter().filter(|answer| answer.header("idempotent-replayed").is_some()).count(), 1);
    let mut written_otherwise = body.clone();
    written_otherwise["quantity"] = json!(5.0);
    assert_eq!(floor.place(&anna, &written_otherwise).await["id"], one.json()["id"]);
    let another = floor.limit(&anna, "mine", "sell", 4, "30");
    assert_eq!(floor.ask(&anna, &another).await.status, 409);
    let keyed = async |body: &Value| {
        let request = floor.kit().client.post(format!("{}/v1/ats/orders", floor.kit().url)).bearer_auth(&anna.token);
        let request = request.header("idempotency-key", "key").header("content-type", "application/json");
        read(request.body(body.to_string())).await
    };
    let second = floor.limit(&anna, "second", "sell", 1, "31");
    let (first, again) = (keyed(&second).await, keyed(&second).await);
    assert_eq!((first.status.as_u16(), &first.json()["id"]), (201, &again.json()["id"]));
    assert_eq!(keyed(&floor.limit(&anna, "third", "sell", 1, "31")).await.status, 409, "the key is another order's");
    // Nor does it matter whether the offering is shown to her still.
    sqlx::query("UPDATE offerings SET state = 'pending_approval'").execute(&floor.kit().pool).await.unwrap();
    assert_eq!(floor.place(&anna, &body).await["id"], one.json()["id"]);
    assert_eq!(floor.ask(&anna, &floor.limit(&anna, "fourth", "sell", 1, "31")).await.status, 404);
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(&floor.kit().pool).await.unwrap();
    assert_eq!(orders, 2);
    floor.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_the_chain_refuses_gives_both_back_what_they_promised() {
    let floor = Floor::open().await;
    // She has allowed the market nothing, and sends no permit.
    let anna = floor.trader("anna", true, 10, 0).await;
    let ben = floor.trader("ben", false, 0, 100).await;
    let body = floor.limit(&anna, "sell", "sell", 5, "30");
    let sell = floor.place(&anna, &floor.signed(&anna, body, (Side::Sell, 5, 30_000_000)).await).await;
    floor.becomes(&anna, &sell["id"], "open").await;
    let buy = floor.place(&ben, &floor.limit(&ben, "buy", "buy", 3, "30")).await;
    floor.becomes(&ben, &buy["id"], "filled").await;
    let trades = floor.all_settled().await;
    let settlement = &trades[0]["settlement"];
    assert_eq!((&settlement["state"], &settlement["settled"]), (&json!("failed"), &json!(false)));
    assert_eq!(
        (&settlement["reason_code"], &settlement["transaction_hash"]),
        (&json!("ALLOWANCE_TOO_SMALL"), &Value::Null)
    );
    let sell = eventually("her order has ended", || async {
        let order = floor.order(&anna, &sell["id"]).await;
        (order["reason_code"] == "INSUFFICIENT_FUNDS_AT_SETTLEMENT" && order["reserved"] == "0.0").then_some(order)
    })
    .await;
    assert_eq!((&sell["failed_quantity"], &sell["settled_quantity"]), (&json!("3.0"), &json!("0.0")));
    let bought = floor.order(&ben, &buy["id"]).await;
    assert_eq!(
        (&bought["failed_quantity"], &bought["reason_code"]),
        (&json!("3.0"), &Value::Null),
        "it is not his fault"
    );
    assert_eq!((floor.units(anna.wallet).await, floor.cash(ben.wallet).await), (tokens(10), usd(100)));
    // All of both is free again.
    floor.place(&ben, &floor.limit(&ben, "again", "buy", 3, "30")).await;
    let body = floor.limit(&anna, "again", "sell", 10, "35");
    let body = floor.signed(&anna, body, (Side::Sell, 10, 35_000_000)).await;
    floor.place(&anna, &body).await;
    floor.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_takes_a_settlement_back_and_it_is_made_again() {
    let floor = Floor::open().await;
    let anna = floor.trader("anna", false, 10, 0).await;
    let ben = floor.trader("ben", false, 0, 1_000).await;
    let sell = floor.place(&anna, &floor.limit(&anna, "sell", "sell", 5, "30")).await;
    floor.becomes(&anna, &sell["id"], "open").await;
    floor.place(&ben, &floor.limit(&ben, "buy", "buy", 5, "30")).await;
    let before = eventually("it is settled", || async {
        floor.trades().await.into_iter().find(|trade| trade["settlement"]["settled"] == true)
    })
    .await;
    let chain = &floor.kit()._world.as_ref().unwrap().chain;
    // Between its blocks: where a reorg meets the making of one, anvil can lose it for good.
    chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    let head = chain.rpc("eth_blockNumber", json!([])).await.unwrap();
    let head = u64::from_str_radix(head.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let block = before["settlement"]["block_number"].as_u64().unwrap();
    chain.rpc("anvil_reorg", json!([head - block + 1, []])).await.unwrap();
    chain.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    eventually("the reorg is noticed", || async {
        let known: i64 = sqlx::query_scalar("SELECT count(*) FROM reorgs").fetch_one(&floor.kit().pool).await.unwrap();
        (known > 0).then_some(())
    })
    .await;
    eventually("it is settled again, in a transaction of the chain that is there", || async {
        let trades = floor.trades().await;
        let hash = trades[0]["settlement"]["transaction_hash"].clone();
        let receipt = chain.rpc("eth_getTransactionReceipt", json!([hash])).await.ok()?;
        (receipt["status"] == "0x1").then_some(())
    })
    .await;
    assert_eq!((floor.units(ben.wallet).await, floor.cash(anna.wallet).await), (tokens(5), usd(150)));
    let settled: i64 = sqlx::query_scalar("SELECT count(*) FROM trades").fetch_one(&floor.kit().pool).await.unwrap();
    assert_eq!(settled, 1);
    floor.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_match_and_its_settlement_a_trade_is_made_and_settled_once() {
    let mut floor = Floor::open().await;
    let anna = floor.trader("anna", false, 10, 0).await;
    let ben = floor.trader("ben", false, 0, 1_000).await;
    let sell = floor.place(&anna, &floor.limit(&anna, "sell", "sell", 5, "30")).await;
    floor.becomes(&anna, &sell["id"], "open").await;
    // Both wallets' allowances are there.
    let warm = floor.place(&ben, &floor.limit(&ben, "warm", "buy", 1, "30")).await;
    floor.becomes(&ben, &warm["id"], "filled").await;
    floor.all_settled().await;
    let settings = floor.life.ground.kit.moves_out().await;
    let dies = async |what: &[&str], failpoint: &str, body: Option<&Value>| {
        let mut doomed = Process::start(&settings, what, &format!("{failpoint}:kill")).unwrap();
        if let Some(body) = body {
            floor.kit().is_served().await;
            let request = floor.kit().client.post(format!("{}/ats/orders", floor.kit().url)).bearer_auth(&ben.token);
            let _ = request.header("content-type", "application/json").body(body.to_string()).send().await;
        }
        eventually_within(PROCESS, &format!("the process dies at {failpoint}"), || {
            let ended = doomed.ended().unwrap();
            async move { ended }
        })
        .await;
        assert!(doomed.was_killed().unwrap(), "{failpoint}\n{}", doomed.log());
    };
    let body = floor.limit(&ben, "buy", "buy", 2, "30");
    dies(&["run"], "ats.before_commit", Some(&body)).await;
    dies(&["run"], "ats.after_commit", None).await;
    for failpoint in ["accept.after_commit", "keeper.after_prepare", "keeper.after_send", "projection.included"] {
        dies(&["run"], failpoint, None).await;
    }
    let mut last = Process::start(&settings, &["run"], "").unwrap();
    floor.kit().is_served().await;
    let trades = floor.all_settled().await;
    assert_eq!(trades.len(), 2, "{trades:?}");
    assert!(trades.iter().all(|trade| trade["settlement"]["settled"] == true), "{trades:?}");
    assert_eq!((floor.units(ben.wallet).await, floor.cash(anna.wallet).await), (tokens(3), usd(90)));
    last.signal(Signal::SIGTERM).unwrap();
    eventually_within(PROCESS, "the process ends", || {
        let ended = last.ended().unwrap();
        async move { ended }
    })
    .await;
}
