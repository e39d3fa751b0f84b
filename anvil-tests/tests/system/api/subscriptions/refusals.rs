//! What stands in the way, each by its code.

use tokenx_contracts::bindings::{Investor, InvestorRegistry};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_well_said_is_400_member_by_member_and_what_is_not_ones_own_is_404() {
    let fair = Fair::open(json!({ "exemption": "506c" })).await;
    let (kit, dora) = (fair.kit(), &fair.dora);
    assert_eq!(refused(&fair.ask(dora, &json!({})).await), ["quantity", "wallet_id", "command_id"]);
    let good = fair.signed(dora, "one", 5).await;
    let with = |member: &str, value: Value| {
        let mut body = good.clone();
        match member.split_once('.') {
            Some((whole, within)) => body[whole][within] = value,
            None => body[member] = value,
        }
        body
    };
    let bad = [
        ("quantity", json!("0")),
        ("quantity", json!(-1)),
        ("quantity", json!("x")),
        ("command_id", json!("a b")),
        ("signature", json!("0x")),
        ("intent.wallet", json!(CAROL_WALLET)),
        ("intent.token", json!(CAROL_WALLET)),
        ("intent.paymentToken", json!(CAROL_WALLET)),
        ("intent.quantity", json!("7")),
        ("intent.deadline", json!("soon")),
        ("intent.salt", json!("0x12")),
        ("intent.more", json!(1)),
        ("permit.value", json!("-1")),
        ("more", json!(1)),
    ];
    for (member, value) in bad {
        assert_eq!(refused(&fair.ask(dora, &with(member, value.clone())).await), [member], "{member}: {value}");
    }
    let mut unsigned = good.clone();
    unsigned.as_object_mut().unwrap().remove("signature");
    assert_eq!(refused(&fair.ask(dora, &unsigned).await), ["signature"]);
    let mut held = good.clone();
    held["wallet_id"] = dora.hosted.0.clone();
    assert_eq!(refused(&fair.ask(dora, &held).await), ["intent"], "the keeper signs for it");
    let wallets = admin::list_wallets(&kit.pool, kit.settings.chain.chain_id).await.unwrap();
    let alices = wallets.iter().find(|wallet| wallet.party_id == ALICE).unwrap().wallet_id;
    for wallet_id in [json!(Uuid::now_v7()), json!(alices)] {
        assert_eq!(fair.ask(dora, &with("wallet_id", wallet_id)).await.status, 404);
    }
    let nowhere = format!("/offerings/{}/subscribe", Uuid::now_v7());
    assert_eq!(kit.post(&nowhere, Some(&dora.token), &good).await.status, 404);
    assert_eq!(kit.post(&fair.path(), kit.token(Role::SuperAdmin), &good).await.status, 403, "an investor's own act");
    assert_eq!(fair.open_reservations().await, 0);
    fair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_code_and_keeps_nothing() {
    let terms = json!({ "exemption": "506c", "min_purchase_quantity": 2, "max_purchase_quantity": 20,
                        "salable_percentage": 5 });
    let fair = Fair::open(terms).await;
    let (kit, dora) = (fair.kit(), &fair.dora);
    let count = |quantity: Value| json!({ "command_id": "c", "wallet_id": dora.hosted.0, "quantity": quantity });
    let says = async |body: Value, status: u16, wanted: &str| {
        let answer = fair.ask(dora, &body).await;
        assert_eq!(code(&answer), (status, wanted.to_owned()), "{}", answer.text);
    };
    says(count(json!("2.5")), 422, "NOT_WHOLE").await;
    says(count(json!(1)), 422, "PURCHASE_OUT_OF_RANGE").await;
    says(count(json!(21)), 422, "PURCHASE_OUT_OF_RANGE").await;
    says(count(json!(51)), 422, "SOLD_OUT").await;
    // Over all wallets, and with what is on its way.
    fair.subscribes(dora, &Fair::hosted(dora, "most", 15), "completed").await;
    says(Fair::own(dora, "c", 6), 422, "PURCHASE_OUT_OF_RANGE").await;
    says(fair.signed_for(dora, "c", 2, (59, in_an_hour())).await, 422, "COST_ABOVE_LIMIT").await;
    says(fair.signed_for(dora, "c", 2, (60, 1)).await, 422, "INTENT_EXPIRED").await;
    let mut unallowed = fair.signed(dora, "c", 2).await;
    unallowed.as_object_mut().unwrap().remove("permit");
    says(unallowed, 422, "INSUFFICIENT_FUNDS").await;
    // Another key's signature is the chain's to refuse.
    let mut forged = fair.signed(dora, "forged", 2).await;
    forged["signature"] = fair.signed(dora, "other", 3).await["signature"].clone();
    let failed = fair.subscribes(dora, &forged, "failed").await;
    assert_eq!(failed["reason_code"], "INVALID_SIGNATURE");

    let poor = fair.another("erin").await;
    let all = TestUSD::transferCall { to: CAROL_WALLET, value: usd(MONEY) };
    kit.transact(poor.hosted.1, fair.money(), all).await;
    let answer = fair.ask(&poor, &Fair::hosted(&poor, "c", 2)).await;
    assert_eq!(code(&answer), (422, "INSUFFICIENT_FUNDS".into()), "{}", answer.text);
    let unknown = kit.unknown("finn").await;
    let wallet = kit.register(&unknown, &json!({ "kind": "hosted" })).await;
    let body = json!({ "command_id": "c", "wallet_id": wallet["id"], "quantity": 2 });
    let answer = kit.post(&fair.path(), Some(&unknown), &body).await;
    assert_eq!(code(&answer), (422, "KYC_NOT_APPROVED".into()), "{}", answer.text);
    let waiting = kit.register(&dora.token, &json!({ "kind": "hosted" })).await;
    let body = json!({ "command_id": "c", "wallet_id": waiting["id"], "quantity": 2 });
    says(body, 422, "WALLET_NOT_WHITELISTED").await;

    let freeze = |id: &str| json!({ "command_id": id, "instrument_id": "TKN", "wallet_id": dora.hosted.0 });
    let agent = kit.token(Role::TransferAgent);
    assert_eq!(kit.post("/tokenization/freeze", agent, &freeze("freeze")).await.status, 202);
    eventually("the wallet is frozen", || async {
        let position = read::position(&kit.pool, kit.settings.chain.chain_id, fair.token, dora.hosted.1).await.ok()?;
        position.address_frozen.then_some(())
    })
    .await;
    says(count(json!(2)), 422, "WALLET_FROZEN").await;
    sqlx::query("UPDATE applicants SET kyc_expires_at = now() WHERE party_id = 'erin'")
        .execute(&kit.pool)
        .await
        .unwrap();
    assert_eq!(code(&fair.ask(&poor, &Fair::hosted(&poor, "c", 2)).await), (422, "KYC_EXPIRED".into()));

    let registry = kit.settings.chain.registry.unwrap();
    let said = fair.view(registry, InvestorRegistry::investorOfCall { wallet: dora.own.0.address() }).await;
    let (wallet, reason) = (dora.own.0.address(), B256::ZERO);
    let barred = InvestorRegistry::setInvestorCall { wallet, investor: Investor { flags: 3, ..said }, reason };
    kit.transact(kit.settings.chain.executors[0], registry, barred).await;
    eventually("the registry's word is indexed", || async {
        let answer = fair.ask(dora, &count(json!(2))).await;
        (answer.status == 403 && code(&answer).1 == "SANCTIONS_HIT").then_some(())
    })
    .await;
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM subscriptions").fetch_one(&kit.pool).await.unwrap();
    assert_eq!(kept, 2, "most, and forged");
    assert_eq!(fair.open_reservations().await, 0);
    fair.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sold_before_it_opens_while_it_rests_nor_to_whom_it_is_not_offered() {
    let fair = Fair::open(json!({ "exemption": "506b", "opens_at": "2099-01-01T00:00:00Z" })).await;
    let (kit, dora) = (fair.kit(), &fair.dora);
    let body = Fair::hosted(dora, "c", 2);
    let answer = fair.ask(dora, &body).await;
    assert_eq!(code(&answer), (422, "NOT_ON_SALE".into()), "{}", answer.text);
    let token_id = fair.life.ground.offering(&fair.offering).await["token_id"].as_str().unwrap().to_owned();
    let delist = format!("/v2/admin/token/{token_id}/delist");
    assert_eq!(kit.post(&delist, kit.token(Role::Issuer), &json!({})).await.status, 202);
    fair.life.ground.offering_becomes(&fair.offering, "suspended").await;
    assert_eq!(code(&fair.ask(dora, &body).await), (422, "NOT_ON_SALE".into()));
    // Rule 506(b) is for whose KYC is approved; whoever it is not offered to does not know of it.
    let unknown = kit.unknown("finn").await;
    let wallet = kit.register(&unknown, &json!({ "kind": "hosted" })).await;
    let theirs = json!({ "command_id": "c", "wallet_id": wallet["id"], "quantity": 2 });
    assert_eq!(kit.post(&fair.path(), Some(&unknown), &theirs).await.status, 404);
    assert_eq!(kit.get("/offerings", Some(&unknown)).await.json()["items"], json!([]));
    // Regulation S is for who is abroad.
    sqlx::query("UPDATE offerings SET exemption = 'reg_s'").execute(&kit.pool).await.unwrap();
    assert_eq!(code(&fair.ask(dora, &body).await).0, 422);
    sqlx::query("UPDATE parties SET country = 840 WHERE party_id = 'dora'").execute(&kit.pool).await.unwrap();
    assert_eq!(fair.ask(dora, &body).await.status, 404);
    fair.end().await;
}
