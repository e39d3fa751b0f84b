//! What stands in the way, each by its code.

use tokenx_contracts::bindings::{Investor, InvestorRegistry};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_well_said_is_400_member_by_member_and_anothers_wallet_is_404() {
    let desk = Desk::open().await;
    assert_eq!(
        refused(&desk.ask(&json!({ "wallet_id": desk.wallet })).await),
        ["instrument_id", "quantity", "signature", "intent"]
    );
    let good = desk.signed("10", Some(20), "one");
    let with = |member: &str, value: Value| {
        let mut body = good.clone();
        match member.split_once('.') {
            Some((_, within)) => body["intent"][within] = value,
            None => body[member] = value,
        }
        body
    };
    let bad = [
        ("quantity", json!("0")),
        ("quantity", json!("-1")),
        ("quantity", json!("1e1")),
        ("min_price", json!("x")),
        ("signature", json!("0x")),
        ("signature", json!("abc")),
        ("intent.wallet", json!(CAROL_WALLET)),
        ("intent.token", json!(CAROL_WALLET)),
        ("intent.paymentToken", json!(CAROL_WALLET)),
        ("intent.quantity", json!("7")),
        ("intent.minPayout", json!("7")),
        ("intent.deadline", json!("soon")),
        ("intent.salt", json!("0x12")),
        ("intent.more", json!(1)),
        ("more", json!(1)),
    ];
    for (member, value) in bad {
        assert_eq!(refused(&desk.ask(&with(member, value.clone())).await), [member], "{member}: {value}");
    }
    for (member, unknown) in [("wallet_id", json!(Uuid::now_v7())), ("wallet_id", json!(alices(&desk).await))] {
        assert_eq!(desk.ask(&with(member, unknown)).await.status, 404);
    }
    for id in ["7".to_owned(), Uuid::now_v7().to_string(), format!("{}-9", desk.token_id)] {
        for (act, body) in [("approve", json!({})), ("reject", json!({ "reason": "no" }))] {
            assert_eq!(desk.decide(&json!(id), act, &body).await.status, 404, "{act} {id}");
        }
    }
    assert!(desk.waiting().await.is_empty());
    desk.end().await;
}

/// The id of a wallet of another party.
async fn alices(desk: &Desk) -> Uuid {
    let wallets = admin::list_wallets(&desk.kit().pool, desk.kit().settings.chain.chain_id).await.unwrap();
    wallets.iter().find(|wallet| wallet.party_id == ALICE).unwrap().wallet_id
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_a_request_has_its_code_and_keeps_nothing() {
    let desk = Desk::open().await;
    let kit = desk.kit();
    assert_eq!(code(&desk.ask(&desk.signed("101", None, "much")).await), (422, "INSUFFICIENT_SPENDABLE".into()));
    let mut other = desk.signed("1", None, "other");
    other["instrument_id"] = "nothing".into();
    assert_eq!(code(&desk.ask(&other).await), (422, "UNKNOWN_INSTRUMENT".into()));
    let late = Redemption {
        wallet: desk.key.address(),
        quantity: tokens(1),
        payment_token: desk.money(),
        min_payout: U256::ZERO,
        deadline: U256::ONE,
        salt: B256::repeat_byte(1),
    };
    assert_eq!(code(&desk.ask(&desk.body("1", None, &late)).await), (422, "INTENT_EXPIRED".into()));
    let used = desk.signed("1", None, "used");
    desk.holds(&used).await;
    assert_eq!(code(&desk.ask(&used).await), (422, "INTENT_USED".into()));
    // Another key's signature is the chain's to refuse; the units are free again.
    let mut forged = desk.signed("2", None, "forged");
    forged["signature"] = desk.signed("3", None, "forged")["signature"].clone();
    let forged = desk.ask(&forged).await.json();
    let failed = desk.becomes(&forged["id"], "failed").await;
    assert_eq!(failed["problem"]["reason_code"], "INVALID_SIGNATURE");

    let freeze = |id: &str| json!({ "command_id": id, "instrument_id": "TKN", "wallet_id": desk.wallet });
    desk.tokenizes("freeze", freeze("freeze")).await;
    assert_eq!(code(&desk.ask(&desk.signed("1", None, "frozen")).await), (422, "WALLET_FROZEN".into()));
    desk.tokenizes("unfreeze", freeze("unfreeze")).await;

    let registry = kit.settings.chain.registry.unwrap();
    let said = desk.view(registry, InvestorRegistry::investorOfCall { wallet: desk.key.address() }).await;
    let say = async |investor: Investor| {
        let (wallet, reason) = (desk.key.address(), B256::ZERO);
        let call = InvestorRegistry::setInvestorCall { wallet, investor, reason };
        kit.transact(kit.settings.chain.executors[0], registry, call).await;
    };
    // Who may not trade any more may still give back.
    say(Investor { kycExpiresAt: alloy::primitives::Uint::from(1), ..said.clone() }).await;
    let expired = desk.holds(&desk.signed("5", None, "expired")).await;
    assert_eq!(desk.decide(&expired["id"], "approve", &json!({})).await.status, 202);
    desk.becomes(&expired["id"], "paid").await;
    say(Investor { flags: 3, ..said }).await;
    eventually("the registry's word is indexed", || async {
        let record = read::investor_wallet(&kit.pool, kit.settings.chain.chain_id, desk.key.address()).await.unwrap();
        record.is_some_and(|record| record.sanctioned()).then_some(())
    })
    .await;
    assert_eq!(code(&desk.ask(&desk.signed("1", None, "barred")).await), (403, "SANCTIONS_HIT".into()));
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM redemption_intents").fetch_one(&kit.pool).await.unwrap();
    assert_eq!(kept, 3, "used, forged, expired");
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_pays_no_less_than_was_asked_no_more_than_the_token_is_worth_and_only_what_is_there() {
    let desk = Desk::funded(0).await;
    let kit = desk.kit();
    let held = desk.holds(&desk.signed("10", Some(25), "one")).await;
    let priced = |price: &str| serde_json::from_str::<Value>(&format!("{{\"price\":{price}}}")).unwrap();
    let approve = async |price: &str| desk.decide(&held["id"], "approve", &priced(price)).await;
    for bad in ["0", "-1", "\"x\"", "0.0000001"] {
        assert_eq!(refused(&approve(bad).await), ["price"], "{bad}");
    }
    assert_eq!(code(&approve("24.999999").await), (422, "PAYOUT_TOO_LOW".into()));
    assert_eq!(code(&approve("30.000001").await), (422, "PAYOUT_TOO_HIGH".into()));
    assert_eq!(code(&desk.decide(&held["id"], "approve", &json!({})).await), (422, "REDEMPTION_UNFUNDED".into()));
    let none: i64 = sqlx::query_scalar("SELECT count(*) FROM commands WHERE kind = 'approve_redemption'")
        .fetch_one(&kit.pool)
        .await
        .unwrap();
    assert_eq!(none, 0, "before any command");
    desk.pay_in(299).await;
    assert_eq!(code(&desk.decide(&held["id"], "approve", &json!({})).await), (422, "REDEMPTION_UNFUNDED".into()));

    // The desk's terms follow what the token is worth.
    let price = json!({ "price": 28.5, "source": "appraisal", "as_of": "2026-01-02T00:00:00Z" });
    let path = format!("/v2/admin/token/{}/prices", desk.token_id);
    assert_eq!(kit.post(&path, kit.token(Role::Issuer), &price).await.status, 201);
    desk.follows().await;
    assert_eq!(code(&approve("28.500001").await), (422, "PAYOUT_TOO_HIGH".into()));
    let approved = desk.decide(&held["id"], "approve", &json!({})).await;
    assert_eq!(approved.status, 202, "{}", approved.text);
    let paid = desk.becomes(&held["id"], "paid").await;
    assert_eq!((&paid["nav"]["amount"], &paid["nav_source"]), (&json!(28.5), &json!("appraisal")));
    assert_eq!((&paid["nav_as_of"], &paid["payout"]["amount"]), (&json!("2026-01-02T00:00:00Z"), &json!(285)));
    assert_eq!(desk.books(desk.key.address()).await, [tokens(90), usd(285), usd(14)]);

    // What has been promised is not promised again.
    desk.pay_in(286).await;
    let [one, two] = [desk.holds(&desk.signed("8", None, "a")).await, desk.holds(&desk.signed("8", None, "b")).await];
    kit._world.as_ref().unwrap().chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    assert_eq!(desk.decide(&one["id"], "approve", &json!({})).await.status, 202);
    assert_eq!(code(&desk.decide(&two["id"], "approve", &json!({})).await), (422, "REDEMPTION_UNFUNDED".into()));
    kit._world.as_ref().unwrap().chain.rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    desk.becomes(&one["id"], "paid").await;
    desk.end().await;
}
