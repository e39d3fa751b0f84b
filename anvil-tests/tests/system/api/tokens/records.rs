//! Drafts: made, changed, shown, listed.

use super::fields::assert_documented;
use super::*;

#[tokio::test]
async fn a_draft_comes_back_with_every_documented_field_and_the_figures_of_the_example() {
    let ground = Ground::bare().await;
    let made = ground.add(&ground.sample()).await;
    assert_documented(&made);
    let id = made["id"].as_str().unwrap();
    for role in [Role::Issuer, Role::SuperAdmin, Role::TransferAgent, Role::ComplianceOfficer] {
        let shown = ground.show(id, role).await;
        assert_eq!((shown.status.as_u16(), shown.json()), (200, made.clone()), "{role}");
    }
    let price = |amount: u32| {
        let address = "0x073C0196E516a0E77b1C804D1825FB1bAd23895D".parse::<Address>().unwrap().to_checksum(None);
        json!({ "id": ground.usdt.currency_id, "amount": amount, "decimal": 6, "symbol": "USDT", "address": address })
    };
    let mut metric = ground.sample()["metric"].clone();
    metric["rental_income"] = price(100);
    let expected = json!({
        "value": {
            "token_price": price(30),
            "total_value": price(12_000),
            "salable_percentage": 80,
            "salable_value": price(9_600),
            "max_supply": 1_000,
            "purchased_supply": 0,
            "listed_supply": 800,
            "sold_supply": 0,
            "total_fee_supply": 0,
        },
        "metric": metric,
        "secondary_market": { "min_sell_price": 25.5, "max_sell_price": 35.5 },
        "distribution_token": ground.sample()["distribution_token"],
        "oracle": { "id": "677ed6e3cc111aea14a3dfc3", "code": "IOG" },
        "meta": { "images": [], "documents": [] },
        "status": 1,
        "type": 0,
        "contract": null,
        "node_contract": null,
        "fee": null,
        "deleted_at": null,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!(made["created_at"], made["updated_at"]);
    // Numbers as the example writes them.
    let text = ground.show(id, Role::Issuer).await.text;
    assert!(text.contains(r#""amount":30,"#) && text.contains(r#""min_sell_price":25.5"#), "{text}");
    ground.kit.end().await;
}

#[tokio::test]
async fn a_price_keeps_every_digit() {
    let ground = Ground::bare().await;
    let chain_id = ground.kit.settings.chain.chain_id;
    let fine = NewCurrency { chain_id, address: Address::repeat_byte(0xda), symbol: "DAI".into(), decimals: 18 };
    let fine = admin::add_currency(&ground.kit.pool, BY, fine).await.unwrap();
    // Written as text: a JSON library would round it.
    let amount = "123456789012345678901.000000000000000001";
    let body = ground.sample().to_string();
    let whole = format!(r#"{{"amount":12000,"id":"{}"}}"#, ground.usdt.currency_id);
    assert!(body.contains(&whole), "{body}");
    let body = body.replace(&whole, &format!(r#"{{"amount":{amount},"id":"{}"}}"#, fine.currency_id));
    let made = ground.kit.send(Method::POST, "/v2/admin/token", ground.kit.token(Role::Issuer), Some(body)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(made.text.contains(&format!(r#""amount":{amount},"#)), "{}", made.text);
    // 80 % of it, half-even at the eighteenth decimal.
    assert!(made.text.contains(r#""amount":98765431209876543120.800000000000000001,"#), "{}", made.text);
    ground.kit.end().await;
}

#[tokio::test]
async fn a_draft_needs_what_the_tables_do_not_call_nullable() {
    let ground = Ground::bare().await;
    let empty = ground.kit.post("/v2/admin/token", ground.kit.token(Role::Issuer), &json!({})).await;
    let expected = [
        "token_symbol",
        "instrument_id",
        "node_id",
        "category_id",
        "type",
        "is_public",
        "name",
        "description",
        "token_name",
        "value",
        "is_open_to_secondary_market",
        "is_open_to_otc",
    ];
    assert_eq!(refused(&empty), expected);
    let mut least = ground.sample();
    for name in ["oracle", "metric", "secondary_market", "distribution_token"] {
        least.as_object_mut().unwrap().remove(name);
    }
    let made = ground.add(&least).await;
    assert_documented(&made);
    assert!(["oracle", "metric", "secondary_market", "distribution_token"].iter().all(|name| made[*name].is_null()));
    ground.kit.end().await;
}

#[tokio::test]
async fn every_bad_field_is_named_by_its_path() {
    let ground = Ground::bare().await;
    let usdt = ground.usdt.currency_id.clone();
    let wrong: [(&str, Value, &str); 24] = [
        ("/node_id", json!("67d6c447f47ff3adafda700d"), "node_id"),
        ("/node_id", json!(ground.nodes[1]), "node_id"),
        ("/node_id", json!("nowhere"), "node_id"),
        ("/type", json!(2), "type"),
        ("/is_public", json!("yes"), "is_public"),
        ("/name", json!(""), "name"),
        ("/description", json!(null), "description"),
        ("/token_symbol", json!("T K"), "token_symbol"),
        ("/instrument_id", json!("a b"), "instrument_id"),
        ("/decimals", json!(19), "decimals"),
        ("/status", json!(6), "status"),
        ("/value", json!(7), "value"),
        ("/value/token_price", json!({ "id": usdt, "amount": 0 }), "value.token_price.amount"),
        ("/value/token_price", json!({ "id": "unknown", "amount": 1 }), "value.token_price.id"),
        ("/value/total_value", json!({ "id": usdt, "amount": "0.0000001" }), "value.total_value.amount"),
        ("/value/salable_percentage", json!(100.01), "value.salable_percentage"),
        ("/value/max_supply", json!(0), "value.max_supply"),
        ("/value/max_supply", json!(1.5), "value.max_supply"),
        ("/value/max_supply", json!("20282409603652"), "value.max_supply"),
        ("/metric/max_purchase_quantity", json!(0), "metric.max_purchase_quantity"),
        ("/metric/expiration_date", json!("2024-01-01T00:00:00Z"), "metric.expiration_date"),
        ("/metric/listing_date", json!("tomorrow"), "metric.listing_date"),
        ("/secondary_market/max_sell_price", json!(25.4), "secondary_market.max_sell_price"),
        ("/distribution_token/priority", json!(101), "distribution_token.priority"),
    ];
    for (place, value, field) in wrong {
        let mut body = ground.sample();
        let (parent, name) = place.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value.clone();
        let answer = ground.kit.post("/v2/admin/token", ground.kit.token(Role::Issuer), &body).await;
        let fields = refused(&answer);
        assert!(fields.contains(&field.to_owned()), "{place} = {value}: {fields:?}");
    }
    let broken =
        ground.kit.send(Method::POST, "/v2/admin/token", ground.kit.token(Role::Issuer), Some("{".into())).await;
    assert_eq!(refused(&broken), ["body"]);
    ground.kit.end().await;
}

#[tokio::test]
async fn what_is_another_issuers_is_not_there() {
    let ground = Ground::bare().await;
    let id = ground.add(&ground.sample()).await["id"].as_str().unwrap().to_owned();
    let stranger = ground.stranger().await;
    let path = format!("/v2/admin/token/{id}");
    assert_eq!(ground.kit.get(&path, Some(&stranger)).await.status, 404);
    assert_eq!(ground.kit.patch(&path, Some(&stranger), &json!({ "name": "mine now" })).await.status, 404);
    let listed = ground.kit.get("/v2/admin/token", Some(&stranger)).await.json();
    assert_eq!(listed, json!({ "items": [], "next_cursor": null }));
    assert_eq!(ground.kit.get(&path, None).await.status, 401);
    assert_eq!(ground.show(&id, Role::Investor).await.status, 403);
    for unknown in ["67d8774e903bfcbe7eb5d93e", "67D8774E903BFCBE7EB5D93E", "x", "%ff", "..%2f"] {
        let answer = ground.show(unknown, Role::SuperAdmin).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (404, Some("application/problem+json")));
        assert_eq!(ground.change(unknown, &json!({})).await.status, 404);
    }
    ground.kit.end().await;
}

#[tokio::test]
async fn an_instrument_id_is_reserved_with_the_draft() {
    let ground = Ground::bare().await;
    let first = ground.add(&ground.sample()).await;
    let again = ground.kit.post("/v2/admin/token", ground.kit.token(Role::Issuer), &ground.sample()).await;
    assert_eq!(again.status, 409, "{}", again.text);
    // Another issuer's node shares the deployment, and the names in it.
    let mut theirs = ground.sample();
    theirs["node_id"] = ground.nodes[1].as_str().into();
    let path = "/v2/admin/token";
    assert_eq!(ground.kit.post(path, ground.kit.token(Role::SuperAdmin), &theirs).await.status, 409);
    theirs["instrument_id"] = "TKN-2".into();
    assert_eq!(ground.kit.post(path, ground.kit.token(Role::SuperAdmin), &theirs).await.status, 201);
    let id = first["id"].as_str().unwrap();
    assert_eq!(ground.change(id, &json!({ "instrument_id": "TKN-2" })).await.status, 409);
    assert_eq!(ground.change(id, &json!({ "instrument_id": "TKN-3" })).await.status, 200);
    // What it was called before is free again.
    ground.add(&ground.sample()).await;
    ground.kit.end().await;
}

#[tokio::test]
async fn a_change_is_what_the_body_names_and_no_more() {
    let ground = Ground::bare().await;
    let was = ground.add(&ground.sample()).await;
    let id = was["id"].as_str().unwrap();
    let change = json!({
        "name": "Renamed",
        "value": { "salable_percentage": 33.33 },
        "metric": { "min_purchase_quantity": 7, "listing_date": null },
        "oracle": null,
    });
    let answer = ground.change(id, &change).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let is = answer.json();
    let mut expected = was.clone();
    expected["name"] = "Renamed".into();
    expected["value"]["salable_percentage"] = json!(33.33);
    expected["value"]["salable_value"]["amount"] = json!(3999.6);
    expected["value"]["listed_supply"] = 333.into();
    expected["metric"]["min_purchase_quantity"] = 7.into();
    expected["metric"]["listing_date"] = Value::Null;
    expected["oracle"] = Value::Null;
    expected["updated_at"] = is["updated_at"].clone();
    assert_eq!(is, expected);
    assert!(is["updated_at"].as_str() >= was["updated_at"].as_str());
    assert_eq!(ground.show(id, Role::Issuer).await.json(), expected);
    // A refused change changes nothing.
    assert_eq!(refused(&ground.change(id, &json!({ "name": "x", "type": 9 })).await), ["type"]);
    assert_eq!(ground.show(id, Role::Issuer).await.json(), expected);
    ground.kit.end().await;
}

#[tokio::test]
async fn every_write_leaves_an_audit_entry_of_its_own_transaction() {
    let ground = Ground::bare().await;
    let token = ground.add(&ground.sample()).await;
    let id = token["id"].as_str().unwrap();
    assert_eq!(ground.change(id, &json!({ "name": "Renamed" })).await.status, 200);
    assert_eq!(ground.change(id, &json!({ "type": 9 })).await.status, 400);
    let entries: Vec<(String, String, Value)> = sqlx::query_as(
        "SELECT a.action, a.actor, a.detail
           FROM audit_log a
           JOIN outbox o ON o.xid = a.xid AND o.kind = a.action
          WHERE a.subject = $1
          ORDER BY a.seq",
    )
    .bind(format!("token:{id}"))
    .fetch_all(&ground.kit.pool)
    .await
    .unwrap();
    let actions: Vec<&str> = entries.iter().map(|(action, ..)| action.as_str()).collect();
    assert_eq!(actions, ["token.add", "token.edit"]);
    assert!(entries.iter().all(|(_, actor, _)| actor.starts_with("user:")));
    assert_eq!(entries[1].2["token"], json!({ "name": "Renamed" }));
    ground.kit.end().await;
}

#[tokio::test]
async fn a_list_has_filters_and_pages_and_every_token_once() {
    let ground = Ground::bare().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let mut body = ground.named(&format!("T{n}"));
        body["type"] = (n % 2).into();
        body["is_public"] = (n == 3).into();
        body["name"] = format!("Harbour {n}").into();
        ids.insert(0, ground.add(&body).await["id"].as_str().unwrap().to_owned());
    }
    let list = async |query: &str| {
        let answer = ground.kit.get(&format!("/v2/admin/token?{query}"), ground.kit.token(Role::Issuer)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    };
    let named = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().for_each(assert_documented);
        items.iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named(&list("").await), ids);
    let (mut walked, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = list(&query).await;
        walked.extend(named(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("limit=2&cursor={cursor}");
    }
    assert_eq!(walked, ids);
    let one = |n: usize| vec![ids[4 - n].clone()];
    assert_eq!(named(&list("search=hARBOUR%202").await), one(2));
    assert_eq!(named(&list("search=t4").await), one(4));
    assert_eq!(named(&list("search=%25").await), [""; 0]);
    assert_eq!(named(&list("is_public=true").await), one(3));
    assert_eq!(named(&list("type=1").await), [ids[1].clone(), ids[3].clone()]);
    assert_eq!(named(&list("status=1&limit=1").await), one(4));
    assert_eq!(named(&list("status=6").await), [""; 0]);
    assert_eq!(named(&list(&format!("node_id={}", ground.nodes[1])).await), [""; 0]);
    let bad = "status=9&node_id=x&type=2&is_public=1&search=&limit=0&cursor=x";
    let answer = ground.kit.get(&format!("/v2/admin/token?{bad}"), ground.kit.token(Role::Issuer)).await;
    assert_eq!(refused(&answer), ["status", "node_id", "type", "is_public", "search", "cursor", "limit"]);
    ground.kit.end().await;
}

#[tokio::test]
async fn a_currency_is_one_contract() {
    let ground = Ground::bare().await;
    let chain_id = ground.kit.settings.chain.chain_id;
    let new = |symbol: &str, address: Address| NewCurrency { chain_id, address, symbol: symbol.into(), decimals: 6 };
    let again = admin::add_currency(&ground.kit.pool, BY, new("USDT", ground.usdt.address)).await;
    assert!(matches!(again, Err(admin::Error::Exists(_))), "{again:?}");
    for (symbol, address) in [("", Address::repeat_byte(1)), ("U D", Address::repeat_byte(1)), ("USD", Address::ZERO)] {
        let made = admin::add_currency(&ground.kit.pool, BY, new(symbol, address)).await;
        assert!(matches!(made, Err(admin::Error::Invalid { .. })), "{made:?}");
    }
    let known = admin::list_currencies(&ground.kit.pool, chain_id).await.unwrap();
    assert_eq!(known.as_slice(), std::slice::from_ref(&ground.usdt));
    ground.kit.end().await;
}
