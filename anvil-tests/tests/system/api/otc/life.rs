//! A deal's life, to the chain and back.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_party_proposes_and_the_other_accepts_the_chain_settles_at_once() {
    let counter = Counter::open().await;
    let anna = counter.floor.trader("anna", false, 10, 0).await;
    let ben = counter.floor.trader("ben", false, 0, 1_000).await;
    let carl = counter.floor.trader("carl", false, 0, 0).await;

    let proposed = counter.propose(&anna, &counter.body(&anna, "first", "sell", "ben", 4, 200)).await;
    let id = &proposed["id"];
    assert_eq!(
        ["state", "role", "side", "quantity", "total", "reserved", "client_deal_id"].map(|name| &proposed[name]),
        [
            &json!("proposed"),
            &json!("maker"),
            &json!("sell"),
            &json!("4.0"),
            &json!("200.0"),
            &json!("4.0"),
            &json!("first")
        ]
    );
    assert_eq!(proposed["counterparty"], json!({ "party_id": "ben", "wallet": null }), "a wallet is told by agreeing");
    let offered = &counter.listed(&ben, "?role=taker&state=proposed").await[0];
    assert_eq!(
        ["id", "role", "side", "reserved", "client_deal_id"].map(|name| &offered[name]),
        [id, &json!("taker"), &json!("buy"), &json!("0.0"), &Value::Null]
    );
    assert_eq!(offered["counterparty"], json!({ "party_id": "anna", "wallet": anna.wallet.to_checksum(None) }));
    // Nobody else knows of it.
    assert!(counter.listed(&carl, "").await.is_empty());
    let path = format!("/otc/deals/{}", id.as_str().unwrap());
    assert_eq!(counter.kit().get(&path, Some(&carl.token)).await.status, 404);
    assert_eq!(counter.accept(&carl, id).await.status, 404);
    assert_eq!(counter.cancel(&carl, id).await.status, 404);
    assert_eq!(counter.accept(&anna, id).await.status, 403, "nobody agrees with himself");

    let accepted = counter.agree(&ben, id).await;
    assert_eq!((&accepted["state"], &accepted["reserved"]), (&json!("accepted"), &json!("200.0")));
    let again = counter.accept(&ben, id).await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (202, Some("true")));
    let settled = counter.becomes(&anna, id, "settled").await;
    assert_eq!((&settled["reserved"], &settled["reason_code"]), (&json!("0.0"), &Value::Null));
    assert_eq!(settled["counterparty"]["wallet"], ben.wallet.to_checksum(None));
    let receipt = json!([settled["settlement"]["transaction_hash"]]);
    let receipt = counter.kit()._world.as_ref().unwrap().chain.rpc("eth_getTransactionReceipt", receipt).await.unwrap();
    assert_eq!(receipt["status"], "0x1");
    // The fee comes out of what is paid: 1 % of 200.
    assert_eq!(counter.books(&anna, &ben).await, [tokens(6), usd(198), tokens(4), usd(800)]);
    assert_eq!(counter.settlements().await, 1);
    assert_eq!(counter.cancel(&anna, id).await.status, 409, "what both have agreed on is not taken back");
    counter.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_with_keys_of_their_own_sign_the_same_message_and_take_it_back_on_chain() {
    let counter = Counter::open().await;
    let anna = counter.floor.trader("anna", true, 10, 0).await;
    let ben = counter.floor.trader("ben", true, 0, 1_000).await;
    for trader in [&anna, &ben] {
        counter.allows(trader).await;
    }
    let body = counter.body(&anna, "signed", "sell", &ben.wallet.to_string(), 4, 200);
    let proposed = counter.propose(&anna, &counter.signed(&anna, body, ben.wallet).await).await;
    assert_eq!(proposed["counterparty"], json!({ "party_id": null, "wallet": ben.wallet.to_checksum(None) }));
    let offered = counter.deal(&ben, &proposed["id"]).await;
    let mut wrong = counter.countersigned(&ben, &offered);
    wrong["intent"]["payment"] = "1".into();
    let refused = counter.act(&ben, &proposed["id"], "accept", &wrong).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["field"]), (400, &json!("intent.payment")));
    let accepted = counter.act(&ben, &proposed["id"], "accept", &counter.countersigned(&ben, &offered)).await;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    counter.becomes(&ben, &proposed["id"], "settled").await;
    assert_eq!(counter.books(&anna, &ben).await, [tokens(6), usd(198), tokens(4), usd(800)]);

    // What is cancelled here counts on chain until its wallet takes it back there: by itself, or by a proof that we bring.
    for by_itself in [true, false] {
        let body = counter.body(&anna, &format!("back-{by_itself}"), "sell", &ben.wallet.to_string(), 6, 100);
        let proposed = counter.propose(&anna, &counter.signed(&anna, body, ben.wallet).await).await;
        let id = &proposed["id"];
        assert_eq!(counter.cancel(&anna, id).await.json()["state"], "cancel_pending");
        assert_eq!(counter.act(&ben, id, "accept", &counter.countersigned(&ben, &proposed)).await.status, 409);
        let digest: B256 = proposed["message"]["digest"].as_str().unwrap().parse().unwrap();
        let cancellation = bindings::Cancellation { wallet: anna.wallet, id: digest };
        let domain = Contract::OtcDesk.domain(counter.kit().settings.chain.chain_id, counter.desk());
        let proof = anna.key.as_ref().unwrap().sign_hash_sync(&cancellation.eip712_signing_hash(&domain)).unwrap();
        if by_itself {
            let (party, signature) = (anna.wallet, Bytes::from(proof.as_bytes()));
            let deal = message(&proposed["message"]);
            let call = bindings::OtcDesk::cancelForCall { deal, party, signature };
            counter.kit().transact(anna.wallet, counter.desk(), call).await;
        } else {
            let bad = counter.act(&anna, id, "cancel", &json!({ "signature": "0x01" })).await;
            assert_eq!(bad.json()["state"], "cancel_pending", "{}", bad.text);
            let proof = Bytes::from(proof.as_bytes());
            let brought = counter.act(&anna, id, "cancel", &json!({ "signature": proof })).await;
            assert_eq!(brought.status, 200, "{}", brought.text);
        }
        counter.becomes(&anna, id, "cancelled").await;
    }
    assert_eq!(counter.settlements().await, 1);
    counter.end().await;
}

/// A deal's message as the contract takes it.
fn message(shown: &Value) -> bindings::Deal {
    let address = |name: &str| shown[name].as_str().unwrap().parse().unwrap();
    let number = |name: &str| shown[name].as_str().unwrap().parse::<U256>().unwrap();
    bindings::Deal {
        token: address("token"),
        seller: address("seller"),
        buyer: address("buyer"),
        quantity: number("quantity"),
        paymentToken: address("paymentToken"),
        payment: number("payment"),
        maxFeeBps: number("maxFeeBps").to(),
        validFrom: number("validFrom").to(),
        deadline: number("deadline").to(),
        terms: B256::ZERO,
        salt: shown["salt"].as_str().unwrap().parse().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_and_the_same_deal_is_the_same_deal() {
    let counter = Counter::open().await;
    let anna = counter.floor.trader("anna", false, 10, 0).await;
    counter.floor.trader("ben", false, 0, 0).await;
    let body = counter.body(&anna, "mine", "sell", "ben", 5, 100);
    let (one, other) = tokio::join!(counter.ask(&anna, &body), counter.ask(&anna, &body));
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (201, 201), "{} {}", one.text, other.text);
    assert_eq!(one.json()["id"], other.json()["id"]);
    let replays = [&one, &other].iter().filter(|answer| answer.header("idempotent-replayed").is_some()).count();
    assert_eq!(replays, 1);
    let mut otherwise = body.clone();
    otherwise["quantity"] = json!(5.0);
    assert_eq!(counter.propose(&anna, &otherwise).await["id"], one.json()["id"]);
    assert_eq!(counter.ask(&anna, &counter.body(&anna, "mine", "sell", "ben", 4, 100)).await.status, 409);
    // The key names the deal where the body does not.
    let keyed = async |quantity: u64| {
        let mut body = counter.body(&anna, "", "sell", "ben", quantity, 100);
        body.as_object_mut().unwrap().remove("client_deal_id");
        let request = counter.kit().client.post(format!("{}/otc/deals", counter.kit().url)).bearer_auth(&anna.token);
        let request = request.header("idempotency-key", "key").header("content-type", "application/json");
        read(request.body(body.to_string())).await
    };
    let (first, again) = (keyed(1).await, keyed(1).await);
    assert_eq!((first.status.as_u16(), &first.json()["id"]), (201, &again.json()["id"]));
    assert_eq!(keyed(2).await.status, 409, "the key is another deal's");
    // By an instrument's id, for a price: 1.5 at 33.333333 are 49.9999995, and whoever accepts pays.
    let by_price = json!({
        "client_deal_id": "price", "instrument_id": "TKN", "wallet_id": anna.wallet_id, "side": "sell",
        "counterparty": "ben", "quantity": "1.5", "price": "33.333333",
    });
    let by_price = counter.propose(&anna, &by_price).await;
    assert_eq!((&by_price["price"], &by_price["total"]), (&json!("33.333333"), &json!("50.0")), "rounded up");
    let query = "{ deals { totalCount nodes { id own side state counterpartyId counterpartyWallet total price } } }";
    let page = counter.kit().post("/graphql", Some(&anna.token), &json!({ "query": query })).await.json();
    let deals = &page["data"]["deals"];
    assert_eq!((&deals["totalCount"], &deals["nodes"][0]["id"]), (&json!(3), &by_price["id"]), "{page}");
    assert_eq!(
        ["own", "side", "state", "counterpartyId", "counterpartyWallet"].map(|name| &deals["nodes"][0][name]),
        [&json!(true), &json!("sell"), &json!("proposed"), &json!("ben"), &Value::Null]
    );
    let other = counter.kit().post("/graphql", counter.kit().token(Role::Investor), &json!({ "query": query })).await;
    assert_eq!(other.json()["data"]["deals"]["totalCount"], 0);
    counter.end().await;
}
