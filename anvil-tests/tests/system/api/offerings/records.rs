//! What an issuer says of an offering, and who sees it.

use super::*;

#[tokio::test]
async fn what_a_draft_leaves_out_follows_from_its_tokens_record() {
    let ground = Ground::bare().await;
    let token = ground.add(&ground.sample()).await;
    let token_id = token["id"].as_str().unwrap();
    let offering = ground.offer(token_id, json!({})).await;
    assert_eq!(offering["id"].as_str().unwrap().parse::<Uuid>().unwrap().get_version_num(), 7);
    assert_eq!((&offering["token_id"], &offering["instrument_id"]), (&token["id"], &json!("TKN")));
    assert_eq!((&offering["name"], &offering["price"]), (&token["name"], &token["value"]["token_price"]));
    let quantities = ["salable_percentage", "min_purchase_quantity", "max_purchase_quantity", "max_fee_quantity"];
    assert_eq!(quantities.map(|name| offering[name].as_u64().unwrap()), [80, 1, 100, 0]);
    let supplies = ["listed_supply", "purchased_supply", "sold_supply"].map(|name| offering[name].as_u64().unwrap());
    assert_eq!((&offering["status"], supplies), (&json!("draft"), [800, 0, 0]));
    for open in ["exemption", "opens_at", "closes_at", "published_at", "decided_at", "rejection", "listing"] {
        assert!(offering[open].is_null(), "{open}");
    }
    assert_eq!(ground.offering(&offering["id"]).await, offering);
    ground.kit.end().await;
}

#[tokio::test]
async fn a_token_has_one_offering_that_is_not_closed() {
    let ground = Ground::bare().await;
    let token = ground.add(&ground.sample()).await;
    let token_id = token["id"].as_str().unwrap();
    let (one, other) = tokio::join!(ground.ask_to_offer(token_id, json!({})), ground.ask_to_offer(token_id, json!({})));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", one.text, other.text);
    ground.kit.end().await;
}

#[tokio::test]
async fn every_bad_member_is_named_and_none_of_it_is_kept() {
    let ground = Ground::bare().await;
    let token = ground.add(&ground.sample()).await;
    let token_id = token["id"].as_str().unwrap();
    let bad = json!({
        "name": " ", "exemption": "506a", "opens_at": "soon", "closes_at": 7, "price": { "id": "x", "amount": -1 },
        "salable_percentage": "half", "min_purchase_quantity": 0, "max_purchase_quantity": 1.5,
        "max_fee_quantity": null, "status": "approved",
    });
    let named = [
        "name",
        "exemption",
        "opens_at",
        "closes_at",
        "price.id",
        "price.amount",
        "salable_percentage",
        "min_purchase_quantity",
        "max_purchase_quantity",
        "max_fee_quantity",
        "status",
    ];
    assert_eq!(refused(&ground.ask_to_offer(token_id, bad.clone()).await), named);
    let mut nameless = vec!["token_id"];
    nameless.extend(named);
    assert_eq!(refused(&ground.ask_to_offer("TKN", bad.clone()).await), nameless);
    let unknown = ground.ask_to_offer("0123456789abcdef01234567", json!({})).await;
    assert_eq!(unknown.status, 404);
    let offering = ground.offer(token_id, json!({})).await;
    assert_eq!(refused(&ground.amend(&offering["id"], &bad).await), named);
    assert_eq!(refused(&ground.amend(&offering["id"], &json!({ "token_id": token_id })).await), ["token_id"]);
    assert_eq!(ground.offering(&offering["id"]).await, offering);
    ground.kit.end().await;
}

#[tokio::test]
async fn a_change_names_the_version_it_is_made_to() {
    let ground = Ground::bare().await;
    let token = ground.add(&ground.sample()).await;
    let offering = ground.offer(token["id"].as_str().unwrap(), json!({})).await;
    let id = &offering["id"];
    let change = |name: &str| json!({ "name": name, "exemption": "506c", "price": { "id": ground.usdt.currency_id, "amount": 31.5 } });
    let nameless = ground.amend_version(id, None, &change("a")).await;
    assert_eq!((nameless.status.as_u16(), nameless.header("content-type")), (428, Some("application/problem+json")));
    let first = ground.amend_version(id, Some("\"1\""), &change("Series A")).await;
    assert_eq!((first.status.as_u16(), first.header("etag")), (200, Some("\"2\"")), "{}", first.text);
    let stale = ground.amend_version(id, Some("\"1\""), &change("Series B")).await;
    assert_eq!(stale.status, 412);
    assert!(stale.json()["detail"].as_str().unwrap().contains("\"2\""), "{}", stale.text);
    assert_eq!(ground.amend_version(id, Some("W/\"2\""), &change("Series B")).await.status, 412);
    let (mine, theirs) = (change("Series C"), change("Series D"));
    let (one, other) =
        tokio::join!(ground.amend_version(id, Some("\"2\""), &mine), ground.amend_version(id, Some("\"2\""), &theirs),);
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let read = ground.kit.get(&place(id), ground.kit.token(Role::Issuer)).await;
    assert_eq!((read.header("etag"), &read.json()["exemption"]), (Some("\"3\""), &json!("506c")));
    assert_eq!(read.json()["price"]["amount"], json!(31.5));
    let noted: Vec<String> =
        sqlx::query_scalar("SELECT action FROM audit_log WHERE action LIKE 'offering.%' ORDER BY seq")
            .fetch_all(&ground.kit.pool)
            .await
            .unwrap();
    assert_eq!(noted, ["offering.add", "offering.edit", "offering.edit"]);
    ground.kit.end().await;
}

#[tokio::test]
async fn an_offering_is_its_issuers_and_staffs_and_to_others_it_is_not_there() {
    let ground = Ground::bare().await;
    let token = ground.add(&ground.sample()).await;
    let offering = ground.offer(token["id"].as_str().unwrap(), json!({})).await;
    let (kit, path) = (&ground.kit, place(&offering["id"]));
    let stranger = ground.stranger().await;
    assert_eq!(kit.get(&path, None).await.status, 401);
    assert_eq!(kit.get(&format!("/v1{path}"), kit.token(Role::Issuer)).await.json(), offering);
    for role in [Role::Issuer, Role::ComplianceOfficer, Role::TransferAgent, Role::SuperAdmin] {
        assert_eq!(kit.get(&path, kit.token(role)).await.status, 200, "{role}");
        let listed = kit.get("/offerings", kit.token(role)).await.json();
        assert_eq!((&listed["items"], &listed["next_cursor"]), (&json!([offering]), &Value::Null), "{role}");
    }
    for other in [stranger.as_str(), kit.token(Role::Investor).unwrap()] {
        assert_eq!(kit.get(&path, Some(other)).await.status, 404);
        assert_eq!(kit.get("/offerings", Some(other)).await.json()["items"], json!([]));
    }
    for (act, body) in [("publish", json!({})), ("documents", json!({}))] {
        let answer = kit.post(&format!("{path}/{act}"), Some(&stranger), &body).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{act}: {}", answer.text);
    }
    let change = kit.client.patch(format!("{}{path}", kit.url)).bearer_auth(&stranger).header("if-match", "\"1\"");
    assert_eq!(read(change.header("content-type", "application/json").body("{}")).await.status, 404);
    let mut theirs = json!({ "name": "theirs" });
    theirs["token_id"] = token["id"].clone();
    assert_eq!(kit.post("/offerings", Some(&stranger), &theirs).await.status, 404);
    for id in ["x", "00000000-0000-7000-8000-000000000000"] {
        assert_eq!(kit.get(&format!("/offerings/{id}"), kit.token(Role::SuperAdmin)).await.status, 404, "{id}");
    }
    ground.kit.end().await;
}

#[tokio::test]
async fn a_list_is_filtered_and_goes_on_where_its_page_ended() {
    let ground = Ground::bare().await;
    let mut ids = Vec::new();
    for (symbol, exemption) in [("A", "506b"), ("B", "506c"), ("C", "506b"), ("D", "reg_s"), ("E", "506b")] {
        let token = ground.add(&ground.named(symbol)).await;
        let offering = ground.offer(token["id"].as_str().unwrap(), json!({ "exemption": exemption })).await;
        ids.insert(0, offering["id"].clone());
    }
    let list = async |query: &str| {
        let answer = ground.kit.get(&format!("/offerings?{query}"), ground.kit.token(Role::Issuer)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        let found: Vec<Value> = page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
        (found, page["next_cursor"].as_str().map(str::to_owned))
    };
    let (mut found, mut cursor) = list("limit=2").await;
    while let Some(after) = cursor {
        let (more, next) = list(&format!("limit=2&cursor={after}")).await;
        found.extend(more);
        cursor = next;
    }
    assert_eq!(found, ids);
    assert_eq!(list("exemption=506b&status=draft").await.0, [&ids[0], &ids[2], &ids[4]].map(Clone::clone));
    assert_eq!(list("status=published").await, (Vec::new(), None));
    let bad = ground
        .kit
        .get("/offerings?status=open&exemption=1&token_id=x&limit=0&cursor=x", ground.kit.token(Role::Issuer));
    assert_eq!(refused(&bad.await), ["status", "exemption", "token_id", "cursor", "limit"]);
    ground.kit.end().await;
}
