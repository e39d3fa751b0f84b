//! What a token's node has for it and says of it: `GET /v2/admin/token/{token_id}/node`.

use tokenx_contracts::bindings::Executor;

use super::super::tokens::life::admin;
use super::*;

impl Desk {
    async fn node(&self, token: Option<&str>) -> Answer {
        self.kit().get(&format!("/v2/admin/token/{}/node", self.token_id), token).await
    }

    /// What its issuer sees, once it is so.
    async fn node_says(&self, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || async {
            let answer = self.node(self.kit().token(Role::Issuer)).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let node = answer.json();
            so(&node).then_some(node)
        })
        .await
    }
}

/// Amounts of a redemption fund.
fn amounts(node: &Value) -> [Value; 4] {
    ["available", "promised", "payable", "waiting"].map(|name| node["redemptions"][name]["amount"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_sees_before_anybody_is_refused_what_its_funds_cannot_pay() {
    let desk = Desk::funded(0).await;
    let kit = desk.kit();
    let world = kit._world.as_ref().unwrap();
    suite::give(&world.chain.url(), desk.money(), &[(TREASURY, usd(500))]).await.unwrap();
    let approve = TestUSD::approveCall { spender: desk.at(), value: usd(400) };
    kit.transact(TREASURY, desk.money(), approve).await;
    let node = desk
        .node_says("the treasury is watched", |node| node["redemptions"]["treasury"]["allowance"]["amount"] == 400)
        .await;
    let treasury = &node["redemptions"]["treasury"];
    assert_eq!(
        (&treasury["wallet"], &treasury["balance"]["amount"]),
        (&json!(TREASURY.to_checksum(None)), &json!(500))
    );
    assert_eq!((amounts(&node), &node["redemptions"]["reason_code"]), ([0, 0, 0, 0].map(Value::from), &Value::Null));
    assert_eq!((&node["rent"]["available"]["amount"], node["as_of"]["block_number"].is_u64()), (&json!(0), true));

    let held = desk.holds(&desk.signed("10", None, "one")).await;
    let node = desk.node_says("a request waits", |node| node["redemptions"]["waiting"]["amount"] == 300).await;
    assert_eq!(node["redemptions"]["reason_code"], "REDEMPTION_UNFUNDED");
    assert_eq!(code(&desk.decide(&held["id"], "approve", &json!({})).await), (422, "REDEMPTION_UNFUNDED".into()));

    desk.pay_in(310).await;
    let node = desk.node_says("the fund has money", |node| node["redemptions"]["available"]["amount"] == 310).await;
    assert_eq!(
        (amounts(&node), &node["redemptions"]["reason_code"]),
        ([310, 0, 310, 300].map(Value::from), &Value::Null)
    );
    let rpc = |method: &'static str, params| world.chain.rpc(method, params);
    rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    assert_eq!(desk.decide(&held["id"], "approve", &json!({})).await.status, 202);
    let node = desk.node_says("it is promised", |node| node["redemptions"]["promised"]["amount"] == 300).await;
    assert_eq!(amounts(&node), [310, 300, 10, 0].map(Value::from));
    rpc("evm_setIntervalMining", json!([1])).await.unwrap();
    desk.becomes(&held["id"], "paid").await;
    let node = desk.node_says("it is paid", |node| node["redemptions"]["promised"]["amount"] == 0).await;
    assert_eq!(amounts(&node), [10, 0, 10, 0].map(Value::from));

    assert_eq!(desk.node(kit.token(Role::TransferAgent)).await.status, 200);
    let stranger = desk.life.ground.stranger().await;
    assert_eq!(desk.node(Some(&stranger)).await.status, 404, "another issuer");
    assert_eq!(desk.node(Some(&desk.dora)).await.status, 403);
    desk.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_the_keeper_may_not_set_are_the_admins_to_send_and_not_asked_for_each_hour() {
    let desk = Desk::of(|_| {}).await;
    let kit = desk.kit();
    let executor = desk.life.deployment.nodes[0].node.executor;
    let (target, selector) = (desk.at(), RedemptionDesk::setRedemptionTermsCall::SELECTOR.into());
    kit.transact(admin(), executor, Executor::removeRuleCall { target, selector }).await;
    let path = format!("/v2/admin/token/{}/prices", desk.token_id);
    let price = json!({ "price": 31, "source": "appraisal" });
    assert_eq!(kit.post(&path, kit.token(Role::Issuer), &price).await.status, 201);
    let of_desk = |node: &Value| {
        let terms = node["terms"].as_array().unwrap();
        terms.iter().find(|terms| terms["kind"] == "redemption_terms").unwrap().clone()
    };
    let node = desk.node_says("it says what to do", |node| of_desk(node)["problem"].is_object()).await;
    let (terms, others) = (of_desk(&node), node["terms"].as_array().unwrap());
    assert_eq!((&terms["holds"], &terms["command"]["state"]), (&json!(false), &json!("failed")));
    assert_eq!(terms["problem"]["reason_code"], "ACTION_NOT_ALLOWED");
    assert!(others.iter().all(|other| *other == terms || (other["holds"] == true && other["problem"].is_null())));

    let due_after = async |hours: i32| -> i64 {
        let age = "UPDATE token_terms SET created_at = now() - make_interval(hours => $2) WHERE command_id = $1";
        let command_id = terms["command"]["command_id"].as_str().unwrap();
        let mut tx = tokenx_migrations::begin(&kit.pool).await.unwrap();
        sqlx::query(age).bind(command_id).bind(hours).execute(&mut *tx).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM token_terms_due").fetch_one(&mut *tx).await.unwrap()
    };
    assert_eq!((due_after(2).await, due_after(25).await), (0, 1));

    let call = &terms["problem"]["call"];
    assert_eq!(call["to"], json!(desk.at().to_checksum(None)));
    let data: Bytes = serde_json::from_value(call["data"].clone()).unwrap();
    kit.transact(admin(), desk.at(), RedemptionDesk::setRedemptionTermsCall::abi_decode(&data).unwrap()).await;
    let node = desk.node_says("the admin's terms hold", |node| of_desk(node)["holds"] == true).await;
    assert_eq!(of_desk(&node)["problem"], Value::Null);
    desk.end().await;
}
