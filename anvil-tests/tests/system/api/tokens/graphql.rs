//! What GraphQL shows of a token's record.

use super::*;

#[tokio::test]
async fn a_record_shows_to_anyone_where_it_is_public_and_else_to_its_issuer_and_staff() {
    let kit = Kit::whole().await;
    let node: String = sqlx::query_scalar("SELECT node_id FROM nodes WHERE issuer_id = $1")
        .bind(kit.issuers[0])
        .fetch_one(&kit.pool)
        .await
        .unwrap();
    let chain_id = kit.settings.chain.chain_id;
    let address = address!("073c0196e516a0e77b1c804d1825fb1bad23895d");
    let usdt = NewCurrency { chain_id, address, symbol: "USDT".into(), decimals: 6 };
    let usdt = admin::add_currency(&kit.pool, BY, usdt).await.unwrap();
    let ground = Ground { kit, nodes: [node.clone(), node], usdt };
    let id = ground.add(&ground.sample()).await["id"].as_str().unwrap().to_owned();
    let deploy = format!("/v2/admin/token/{id}/deploy");
    let asked = ground.kit.send(Method::POST, &deploy, ground.kit.token(Role::Issuer), None).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    eventually("it is deployed", || async {
        (ground.show(&id, Role::Issuer).await.json()["status"] == 4).then_some(())
    })
    .await;

    let query = json!({ "query": "{ tokens { nodes { instrumentId record { tokenId name status isPublic } } } }" });
    let stranger = ground.stranger().await;
    let record = async |token: Option<&str>| {
        let answer = ground.kit.post("/graphql", token, &query).await.json();
        let nodes = answer["data"]["tokens"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        let of = |id: &str| nodes.iter().find(|node| node["instrumentId"] == id).unwrap()["record"].clone();
        assert_eq!(of("rCC"), Value::Null, "there is none");
        of("TKN")
    };
    let shown = |is_public: bool| json!({ "tokenId": id, "name": "TKN Token Name 6 Updated", "status": "NOT_LISTED", "isPublic": is_public });
    for role in Role::ALL {
        let expected = if role == Role::Investor { Value::Null } else { shown(false) };
        assert_eq!(record(ground.kit.token(role)).await, expected, "{role}");
    }
    assert_eq!(record(None).await, Value::Null);
    assert_eq!(record(Some(&stranger)).await, Value::Null, "another issuer");

    assert_eq!(ground.change(&id, &json!({ "is_public": true })).await.status, 200);
    for token in [None, Some(stranger.as_str()), ground.kit.token(Role::Investor)] {
        assert_eq!(record(token).await, shown(true));
    }
    ground.kit.end().await;
}
