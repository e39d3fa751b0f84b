//! Publication, approval, rejection: who decides, on what, and how often.

use tokenx::local::suite;
use tokenx_contracts::bindings::{Listing, TestUSD};
use tokenx_indexer::read as chain;

use super::super::tokens::life::{tokens, usd};
use super::*;

#[tokio::test]
async fn what_stands_between_a_draft_and_its_listing_is_listed_all_of_it() {
    let ground = Ground::bare().await;
    let token = ground.add(&ground.sample()).await;
    let window = json!({ "closes_at": "2020-01-01T00:00:00Z", "salable_percentage": 0, "max_fee_quantity": 1,
        "max_purchase_quantity": 1_001 });
    let id = ground.offer(token["id"].as_str().unwrap(), window).await["id"].clone();
    let lacking = ground.decide(&id, "publish", ground.kit.token(Role::Issuer)).await;
    let named =
        ["exemption", "closes_at", "salable_percentage", "max_fee_quantity", "max_purchase_quantity", "token_id"];
    assert_eq!(refused(&lacking), named);
    assert!(lacking.text.contains("deploy it first"), "{}", lacking.text);
    assert_eq!(ground.offering(&id).await["status"], "draft");
    let path = format!("{}/publish", place(&id));
    let wordy = ground.kit.post(&path, ground.kit.token(Role::Issuer), &json!({ "x": 1 })).await;
    assert_eq!(refused(&wordy), ["x"]);
    ground.kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offering_goes_from_draft_to_a_purchase() {
    let life = Life::with(|_| {}).await;
    let token_id = life.deployed().await;
    let ground = &life.ground;
    let terms = json!({
        "exemption": "506c", "price": { "id": ground.usdt.currency_id, "amount": 30 }, "max_purchase_quantity": 500,
        "opens_at": "2025-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z", "max_fee_quantity": 50,
    });
    let id = ground.offer(&token_id, terms).await["id"].clone();
    let (issuer, admin) = (ground.kit.token(Role::Issuer), ground.kit.token(Role::SuperAdmin));
    for act in ["approve", "reject"] {
        let reason = json!({ "reason": "too soon" });
        let body = if act == "reject" { reason } else { json!({}) };
        assert_eq!(
            ground.kit.post(&format!("{}/{act}", place(&id)), admin, &body).await.status,
            409,
            "{act} of a draft"
        );
        assert_eq!(ground.kit.post(&format!("{}/{act}", place(&id)), issuer, &body).await.status, 403, "{act}");
    }
    ground.publish(&id).await;
    assert_eq!(ground.decide(&id, "publish", issuer).await.status, 409);
    assert_eq!(ground.amend(&id, &json!({ "name": "Series B" })).await.status, 409);
    let before = life.becomes(&token_id, 4).await;
    assert_eq!(ground.decide(&id, "approve", issuer).await.status, 403);
    let approved = ground.approve(&id).await;
    assert_eq!(approved["listing"]["terms"]["command_id"], format!("offering_terms:{}:-:1", id.as_str().unwrap()));
    assert_eq!((&approved["status"], &approved["listing"]["list"]), (&json!("approved"), &Value::Null));
    let published = ground.offering_becomes(&id, "published").await;
    assert_eq!(published["listing"]["list"]["command_id"], format!("offering_list:{}:-:1", id.as_str().unwrap()));
    assert!(published["listing"]["problem"].is_null());
    let listed = life.becomes(&token_id, 6).await;
    assert_eq!((&before["value"]["listed_supply"], &listed["value"]["listed_supply"]), (&json!(800), &json!(800)));
    assert_eq!(ground.decide(&id, "approve", admin).await.status, 409, "a second decision");

    // The chain sells on these terms to whoever may hold.
    let world = life.kit()._world.as_ref().unwrap();
    let (money, listing) =
        (life.deployment.suite.payment_token.unwrap(), life.deployment.nodes[0].node.contracts.listing);
    let instrument =
        chain::instrument(&life.kit().pool, life.kit().settings.chain.chain_id, "TKN").await.unwrap().unwrap();
    suite::give(&world.chain.url(), money, &[(life.alice, usd(4_500))]).await.unwrap();
    life.kit().transact(life.alice, money, TestUSD::approveCall { spender: listing, value: usd(4_500) }).await;
    let (token, quantity) = (instrument.token, tokens(150));
    let buy = Listing::buyCall { token, quantity, paymentToken: money, maxCost: usd(4_500) };
    life.kit().transact(life.alice, listing, buy).await;
    eventually("the purchase is shown", || async {
        let offering = ground.offering(&id).await;
        (offering["purchased_supply"] == 150).then_some(())
    })
    .await;

    // What was approved stays; its words may change.
    assert_eq!(ground.amend(&id, &json!({ "name": "Series A1", "description": "the first" })).await.status, 200);
    let dearer = json!({ "price": { "id": ground.usdt.currency_id, "amount": 31 }, "exemption": "506b" });
    let kept = ground.amend(&id, &dearer).await;
    assert_eq!(kept.status, 409);
    assert!(kept.json()["detail"].as_str().unwrap().contains("exemption, price"), "{}", kept.text);
    let more = ground.ask_to_offer(&token_id, json!({})).await;
    assert_eq!(more.status, 409, "{}", more.text);
    life.does(&token_id, "delist", Role::Issuer, 5).await;
    assert_eq!(ground.offering(&id).await["status"], "suspended");
    life.does(&token_id, "list", Role::SuperAdmin, 6).await;
    assert_eq!(ground.offering(&id).await["status"], "published");
    life.does(&token_id, "passivate", Role::Issuer, 7).await;
    assert_eq!(ground.offering(&id).await["status"], "closed");
    assert_eq!(ground.amend(&id, &json!({ "name": "too late" })).await.status, 409);
    assert_eq!(ground.ask_to_offer(&token_id, json!({})).await.status, 409);
    life.ground.kit.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_published_does_not_decide_and_one_of_two_decisions_counts() {
    let life = Life::with(|_| {}).await;
    let token_id = life.deployed().await;
    let ground = &life.ground;
    let id = ground.offer(&token_id, json!({ "exemption": "reg_s" })).await["id"].clone();
    let (one, other) = (ground.kit.token(Role::SuperAdmin), ground.another_admin().await);
    assert_eq!(ground.decide(&id, "publish", one).await.status, 200, "a super admin may do what issuers may");
    let path = place(&id);
    let reason = json!({ "reason": "the prospectus lacks its last page" });
    assert_eq!(ground.decide(&id, "approve", one).await.status, 403);
    assert_eq!(ground.kit.post(&format!("{path}/reject"), one, &reason).await.status, 403);
    for bad in [json!({}), json!({ "reason": " " }), json!({ "reason": 7 })] {
        assert_eq!(refused(&ground.kit.post(&format!("{path}/reject"), Some(&other), &bad).await), ["reason"]);
    }
    let rejected = ground.kit.post(&format!("{path}/reject"), Some(&other), &reason).await.json();
    assert_eq!((&rejected["status"], &rejected["rejection"]), (&json!("rejected"), &reason["reason"]));
    assert_eq!(ground.kit.post(&format!("{path}/reject"), Some(&other), &reason).await.status, 409);
    assert_eq!(ground.decide(&id, "approve", Some(&other)).await.status, 409);

    let edited = ground.amend(&id, &json!({ "name": "Series A, complete" })).await.json();
    assert_eq!((&edited["status"], &edited["rejection"]), (&json!("draft"), &reason["reason"]));
    ground.publish(&id).await;
    assert!(ground.offering(&id).await["rejection"].is_null());
    let (first, second) = tokio::join!(ground.decide(&id, "approve", one), ground.decide(&id, "approve", Some(&other)));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409], "{} {}", first.text, second.text);
    ground.offering_becomes(&id, "published").await;
    let asked: Vec<String> = sqlx::query_scalar("SELECT kind FROM offering_commands ORDER BY created_at")
        .fetch_all(&ground.kit.pool)
        .await
        .unwrap();
    assert_eq!(asked, ["offering_terms", "offering_list"]);
    let noted: Vec<(String, String)> =
        sqlx::query_as("SELECT action, actor FROM audit_log WHERE action LIKE 'offering.%' ORDER BY seq")
            .fetch_all(&ground.kit.pool)
            .await
            .unwrap();
    let actions: Vec<&str> = noted.iter().map(|(action, _)| action.trim_start_matches("offering.")).collect();
    assert_eq!(actions, ["add", "publish", "reject", "edit", "publish", "approve", "terms", "list"]);
    // What the keeper is asked is asked by whoever approved.
    assert!(noted[5].1 == noted[6].1 && noted[6].1 == noted[7].1, "{noted:?}");
    life.ground.kit.end().await;
}
