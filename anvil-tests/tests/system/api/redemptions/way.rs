//! From the request to the payment.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_held_and_its_approval_burns_and_pays_what_the_chain_says() {
    let desk = Desk::open().await;
    let kit = desk.kit();
    let body = desk.signed("40", Some(25), "first");
    let keyed = async |body: &Value| {
        let request = kit.client.post(format!("{}/investor/redemptions", kit.url)).bearer_auth(&desk.dora);
        let request = request.header("idempotency-key", "one").header("content-type", "application/json");
        read(request.body(body.to_string())).await
    };
    let first = keyed(&body).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let asked = first.json();
    assert_eq!((&asked["status"], &asked["quantity"]), (&json!("requested"), &json!("40.0")));
    assert_eq!((&asked["min_price"]["amount"], &asked["min_payout"]["amount"]), (&json!(25), &json!(1_000)));
    assert_eq!((&asked["nav"]["amount"], &asked["nav_source"]), (&json!(30), &json!("token_price")));
    assert!(asked["nav_as_of"].is_string() && asked["payout"].is_null() && asked["price"].is_null());
    let again = keyed(&body).await;
    assert_eq!((again.header("idempotent-replayed"), &again.json()["id"]), (Some("true"), &asked["id"]));
    assert_eq!(keyed(&desk.signed("41", Some(25), "first")).await.status, 409, "another request under the same key");

    let held = desk.becomes(&asked["id"], "held").await;
    assert!(held["request_id"].is_u64(), "{held}");
    let [waiting] = &desk.waiting().await[..] else { panic!("one waits") };
    assert_eq!((&waiting["id"], &waiting["party_id"]), (&asked["id"], &json!("dora")));
    let lockups = desk.view(desk.token, SecurityToken::balanceOfCall { account: desk.key.address() }).await;
    assert_eq!(lockups, tokens(100), "what is held is still hers");

    let approved = desk.decide(&asked["id"], "approve", &json!({})).await;
    assert_eq!(approved.status, 202, "{}", approved.text);
    let approved = approved.json();
    assert_eq!((&approved["status"], &approved["price"]["amount"]), (&json!("approving"), &json!(30)));
    assert_eq!(approved["payout"]["amount"], 1_200);
    assert_eq!(desk.decide(&asked["id"], "approve", &json!({})).await.status, 409);
    let paid = desk.becomes(&asked["id"], "paid").await;
    assert_eq!((&paid["payout"]["amount"], &paid["credited"]), (&json!(1_200), &json!(false)));
    assert!(paid["transaction_hash"].is_string() && paid["ended_at"].is_string());
    assert_eq!(desk.books(desk.key.address()).await, [tokens(60), usd(1_200), usd(1_800)]);
    assert!(desk.waiting().await.is_empty());

    // What is let go of is free again.
    let other = desk.holds(&desk.signed("60", None, "second")).await;
    assert_eq!(code(&desk.ask(&desk.signed("1", None, "third")).await), (422, "AMOUNT_HELD".into()));
    assert_eq!(refused(&desk.decide(&other["id"], "reject", &json!({ "reason": " " })).await), ["reason"]);
    let rejected = desk.decide(&other["id"], "reject", &json!({ "reason": "not this quarter" })).await;
    assert_eq!((rejected.status.as_u16(), &rejected.json()["status"]), (202, &json!("rejecting")));
    let rejected = desk.becomes(&other["id"], "rejected").await;
    assert_eq!((&rejected["rejection"], &rejected["payout"]), (&json!("not this quarter"), &Value::Null));
    desk.holds(&desk.signed("60", None, "fourth")).await;
    assert_eq!(desk.books(desk.key.address()).await, [tokens(60), usd(1_200), usd(1_800)]);

    let noted: Vec<String> =
        sqlx::query_scalar("SELECT action FROM audit_log WHERE action LIKE 'redemption.%' ORDER BY seq")
            .fetch_all(&kit.pool)
            .await
            .unwrap();
    let acts = ["request", "approve", "request", "reject", "request"];
    assert_eq!(noted, acts.map(|act| format!("redemption.{act}")));
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn for_a_hosted_wallet_the_platform_signs_and_the_party_sends_no_signature() {
    let desk = Desk::open().await;
    let kit = desk.kit();
    let wallets = admin::list_wallets(&kit.pool, kit.settings.chain.chain_id).await.unwrap();
    let wallet = wallets.iter().find(|wallet| wallet.party_id == ALICE).unwrap();
    desk.mint("alices", &json!(wallet.wallet_id), "50").await;
    let alice = kit.token(Role::Investor).unwrap();
    let body = json!({ "instrument_id": "TKN", "wallet_id": wallet.wallet_id, "quantity": "50", "min_price": 29.5 });
    let mut signed = body.clone();
    signed["signature"] = json!("0x12");
    assert_eq!(refused(&kit.post("/investor/redemptions", Some(alice), &signed).await), ["signature"]);
    let asked = kit.post("/investor/redemptions", Some(alice), &body).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let id = asked.json()["id"].clone();
    desk.becomes_to(alice, &id, "held").await;
    assert_eq!(code(&desk.decide(&id, "approve", &json!({ "price": 29 })).await), (422, "PAYOUT_TOO_LOW".into()));
    assert_eq!(desk.decide(&id, "approve", &json!({ "price": 29.5 })).await.status, 202);
    desk.becomes_to(alice, &id, "paid").await;
    assert_eq!(desk.books(wallet.address).await, [U256::ZERO, usd(1_475), usd(1_525)]);
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_a_party_its_own_and_the_agent_all_by_status_and_page() {
    let desk = Desk::open().await;
    let kit = desk.kit();
    for (count, name) in [("1", "a"), ("2", "b"), ("3", "c")] {
        desk.holds(&desk.signed(count, None, name)).await;
    }
    let agent = kit.token(Role::TransferAgent);
    for (path, token) in [("/investor/redemptions", Some(desk.dora.as_str())), ("/transfer-agent/redemptions", agent)] {
        let first = kit.get(&format!("{path}?limit=2"), token).await.json();
        let cursor = first["next_cursor"].as_str().unwrap();
        let rest = kit.get(&format!("{path}?limit=2&cursor={cursor}"), token).await.json();
        assert!(rest["next_cursor"].is_null());
        let items = first["items"].as_array().unwrap().iter().chain(rest["items"].as_array().unwrap());
        let quantities: Vec<&str> = items.map(|item| item["quantity"].as_str().unwrap()).collect();
        assert_eq!(quantities, ["3.0", "2.0", "1.0"], "newest first");
        for bad in ["status=lost", "cursor=7", "limit=0", "instrument_id=%20"] {
            assert_eq!(kit.get(&format!("{path}?{bad}"), token).await.status, 400, "{path} {bad}");
        }
        assert_eq!(kit.get(&format!("{path}?status=paid"), token).await.json()["items"], json!([]));
        assert_eq!(kit.get(&format!("{path}?instrument_id=rCC"), token).await.json()["items"], json!([]));
    }
    let other = kit.get("/investor/redemptions", kit.token(Role::Investor)).await.json();
    assert_eq!(other["items"], json!([]), "another party sees nothing of it");
    let of = async |party: &str| {
        let path = format!("/transfer-agent/redemptions?status=all&party_id={party}");
        kit.get(&path, agent).await.json()["items"].as_array().unwrap().len()
    };
    assert_eq!((of("dora").await, of("bob").await), (3, 0));
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_wallet_made_at_the_desk_itself_is_recognised_and_decided_on() {
    let desk = Desk::open().await;
    let (own, money) = (desk.key.address(), desk.money());
    let ask = async |count: u64| {
        let (token, quantity) = (desk.token, tokens(count));
        let call = RedemptionDesk::requestCall { token, quantity, paymentToken: money, minPayout: usd(1) };
        desk.kit().transact(own, desk.at(), call).await;
        eventually("it waits", || async {
            desk.waiting().await.into_iter().find(|item| item["quantity"] == format!("{count}.0"))
        })
        .await
    };
    let direct = ask(10).await;
    assert_eq!(direct["id"], format!("{}-{}", desk.token_id, direct["request_id"]));
    assert_eq!((&direct["party_id"], &direct["command"]), (&json!("dora"), &Value::Null));
    let history = desk.kit().get("/investor/redemptions", Some(&desk.dora)).await.json();
    assert_eq!(history["items"][0]["id"], direct["id"], "it is in its party's history");
    let approved = desk.decide(&direct["id"], "approve", &json!({ "price": 20 })).await;
    assert_eq!(approved.status, 202, "{}", approved.text);
    let paid = desk.becomes(&direct["id"], "paid").await;
    assert_eq!((&paid["price"]["amount"], &paid["payout"]["amount"]), (&json!(20), &json!(200)));
    assert_eq!(desk.books(own).await, [tokens(90), usd(200), usd(2_800)]);

    let taken_back = ask(5).await;
    let request = U256::from(taken_back["request_id"].as_u64().unwrap());
    desk.kit().transact(own, desk.at(), RedemptionDesk::cancelCall { token: desk.token, requestId: request }).await;
    desk.becomes(&taken_back["id"], "cancelled").await;
    assert_eq!(desk.decide(&taken_back["id"], "approve", &json!({})).await.status, 409);
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_that_the_payment_token_refuses_is_shown_as_a_credit() {
    let desk = Desk::open().await;
    let held = desk.holds(&desk.signed("10", None, "credit")).await;
    let code = desk.life.code(desk.money(), REFUSES).await;
    assert_eq!(desk.decide(&held["id"], "approve", &json!({})).await.status, 202);
    let paid = desk.becomes(&held["id"], "paid").await;
    desk.life.code(desk.money(), &code).await;
    assert_eq!((&paid["credited"], &paid["payout"]["amount"]), (&json!(true), &json!(300)));
    assert_eq!(desk.books(desk.key.address()).await, [tokens(90), U256::ZERO, usd(2_700)]);
    desk.end().await;
}
