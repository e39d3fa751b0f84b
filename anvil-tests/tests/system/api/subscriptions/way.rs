//! From an investor's wish to its tokens.

use tokenx_contracts::bindings::Listing;

use super::*;

impl Fair {
    /// The wallet sends what it was told to send.
    async fn sends(&self, from: Address, calls: &Value) {
        let call = |n: usize| -> (Address, Bytes) {
            let call = &calls[n];
            (call["to"].as_str().unwrap().parse().unwrap(), call["data"].as_str().unwrap().parse().unwrap())
        };
        let ((money, approve), (listing, buy)) = (call(0), call(1));
        assert_eq!((money, listing), (self.money(), self.listing()));
        self.kit().transact(from, money, TestUSD::approveCall::abi_decode(&approve).unwrap()).await;
        self.kit().transact(from, listing, Listing::buyCall::abi_decode(&buy).unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn investors_subscribe_by_the_keeper_by_a_signature_and_by_themselves() {
    let fair = Fair::open(json!({ "exemption": "506b" })).await;
    let (kit, dora) = (fair.kit(), &fair.dora);
    let place = format!("/offerings/{}", fair.offering.as_str().unwrap());
    let shown = kit.get(&place, Some(&dora.token)).await;
    assert_eq!((shown.status.as_u16(), &shown.json()["status"]), (200, &json!("published")));
    let listed = kit.get("/offerings", Some(&dora.token)).await.json();
    assert_eq!(listed["items"][0]["id"], fair.offering);

    let asked = fair.ask(dora, &Fair::hosted(dora, "hosted", 10)).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let asked = asked.json();
    assert_eq!((&asked["purchase"], &asked["quantity"]), (&json!("hosted"), &json!(10)));
    assert_eq!((&asked["cost"]["amount"], &asked["expires_at"]), (&json!(300), &Value::Null));
    let bought = fair.becomes(dora, &asked["id"], "completed").await;
    let receipt = json!([bought["transaction_hash"]]);
    let chain = &kit._world.as_ref().unwrap().chain;
    assert_eq!(chain.rpc("eth_getTransactionReceipt", receipt).await.unwrap()["status"], "0x1");
    assert_eq!(fair.books(dora.hosted.1).await, [tokens(10), usd(MONEY - 300)]);
    // Nobody has given the wallet gas, and it has sent nothing.
    let sent = chain.rpc("eth_getTransactionCount", json!([dora.hosted.1, "latest"])).await.unwrap();
    assert_eq!(sent, "0x0");

    let signed = fair.signed(dora, "signed", 5).await;
    let asked = fair.ask(dora, &signed).await;
    assert_eq!((asked.status.as_u16(), &asked.json()["purchase"]), (202, &json!("signed")), "{}", asked.text);
    assert!(asked.json()["expires_at"].is_string());
    fair.becomes(dora, &asked.json()["id"], "completed").await;
    let own = dora.own.0.address();
    assert_eq!(fair.books(own).await, [tokens(5), usd(MONEY - 150)]);

    let reserved = fair.ask(dora, &Fair::own(dora, "own", 7)).await;
    assert_eq!(reserved.status, 202, "{}", reserved.text);
    let reserved = reserved.json();
    assert_eq!((&reserved["status"], &reserved["purchase"]), (&json!("reserved"), &json!("own")));
    let second = fair.ask(dora, &Fair::own(dora, "own-2", 7)).await;
    assert_eq!(second.status, 409, "a wallet buys one at a time by itself: {}", second.text);
    fair.sends(own, &reserved["calls"]).await;
    let bought = fair.becomes(dora, &reserved["id"], "completed").await;
    assert!(bought["calls"].is_null() && bought["transaction_hash"].is_string());
    assert_eq!(fair.books(own).await, [tokens(12), usd(MONEY - 360)]);
    let told = fair.is_told(&reserved["id"], "subscription.completed").await;
    assert_eq!(["party_id", "transaction_hash"].map(|name| &told[name]), [&json!("dora"), &bought["transaction_hash"]]);
    assert_eq!(fair.open_reservations().await, 0);
    assert_eq!(fair.life.ground.offering(&fair.offering).await["purchased_supply"], 22);

    // Who sees them.
    let list = format!("{place}/subscriptions");
    for role in [Role::Issuer, Role::TransferAgent, Role::ComplianceOfficer, Role::SuperAdmin] {
        let page = kit.get(&list, kit.token(role)).await;
        assert_eq!((page.status.as_u16(), page.json()["items"].as_array().unwrap().len()), (200, 3), "{role}");
    }
    let stranger = fair.life.ground.stranger().await;
    assert_eq!(kit.get(&list, Some(&stranger)).await.status, 404);
    assert_eq!(kit.get(&list, Some(&dora.token)).await.status, 403);
    let others = kit.get("/investors/subscriptions", kit.token(Role::Investor)).await.json();
    assert_eq!(others["items"], json!([]), "another party's are not shown");
    let first = kit.get(&format!("{list}?limit=2"), kit.token(Role::Issuer)).await.json();
    let rest = format!("{list}?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    let rest = kit.get(&rest, kit.token(Role::Issuer)).await.json();
    assert_eq!((&rest["items"][0]["command_id"], &rest["next_cursor"]), (&json!("hosted"), &Value::Null));
    fair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_subscription_is_asked_for_once_and_another_under_its_name_is_a_conflict() {
    let fair = Fair::open(json!({ "exemption": "506c" })).await;
    let (kit, dora) = (fair.kit(), &fair.dora);
    let body = Fair::hosted(dora, "once", 10);
    let first = fair.ask(dora, &body).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let answers = futures::future::join_all((0..8).map(|_| fair.ask(dora, &body))).await;
    for again in &answers {
        assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (202, Some("true")), "{}", again.text);
        assert_eq!(again.json()["id"], first.json()["id"]);
    }
    // As many written otherwise.
    let mut same = body.clone();
    same["quantity"] = "10.0".into();
    assert_eq!(fair.ask(dora, &same).await.json()["id"], first.json()["id"]);
    for (member, other) in [("quantity", json!(11)), ("wallet_id", dora.own.1.clone())] {
        let mut other_body = body.clone();
        other_body[member] = other;
        assert_eq!(fair.ask(dora, &other_body).await.status, 409, "{member}");
    }
    // Named by its header alone.
    let keyed = async |key: &str, quantity: u64| {
        let request = kit.client.post(format!("{}{}", kit.url, fair.path())).bearer_auth(&dora.token);
        let body = json!({ "wallet_id": dora.hosted.0, "quantity": quantity });
        let request = request.header("idempotency-key", key).header("content-type", "application/json");
        read(request.body(body.to_string())).await
    };
    let named = keyed("by-key", 1).await;
    assert_eq!((named.status.as_u16(), &named.json()["command_id"]), (202, &json!("by-key")), "{}", named.text);
    assert_eq!(keyed("by-key", 1).await.json()["id"], named.json()["id"]);
    assert_eq!(keyed("by-key", 2).await.status, 409);
    fair.becomes(dora, &first.json()["id"], "completed").await;
    fair.becomes(dora, &named.json()["id"], "completed").await;
    // For ever: the chain has it long since.
    assert_eq!(fair.ask(dora, &body).await.json()["status"], "completed");
    assert_eq!(fair.books(dora.hosted.1).await, [tokens(11), usd(MONEY - 330)]);
    let audited: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE action = 'offering.subscribe'")
        .fetch_one(&kit.pool)
        .await
        .unwrap();
    assert_eq!(audited, 2);
    fair.end().await;
}
