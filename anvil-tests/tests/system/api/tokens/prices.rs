//! What tokens are worth.

use super::*;

#[tokio::test]
async fn a_price_is_said_once_of_a_time_by_a_source() {
    let ground = Ground::bare().await;
    let token = ground.add(&ground.sample()).await;
    let id = token["id"].as_str().unwrap();
    let path = format!("/v2/admin/token/{id}/prices");
    let note = |price: Value, as_of: &str| json!({ "price": price, "source": "appraisal", "as_of": as_of });
    let say = async |role: Role, note: Value| ground.kit.post(&path, ground.kit.token(role), &note).await;
    let first = say(Role::Issuer, note(json!(31.25), "2026-01-01T00:00:00Z")).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert!(first.text.contains(r#""amount":31.25,"#), "{}", first.text);
    assert_eq!((&first.json()["token_id"], &first.json()["source"]), (&token["id"], &json!("appraisal")));
    let again = say(Role::TransferAgent, note(json!("31.250"), "2026-01-01T01:00:00+01:00")).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, first.json()));
    assert_eq!(say(Role::Issuer, note(json!(31.26), "2026-01-01T00:00:00Z")).await.status, 409);
    assert_eq!(say(Role::Issuer, note(json!(31.26), "2026-01-02T00:00:00Z")).await.status, 201);
    assert_eq!(say(Role::Issuer, json!({ "price": 1, "source": "appraisal" })).await.status, 201);
    // The record's own price is the issuer's to change, elsewhere.
    assert_eq!(ground.show(id, Role::Issuer).await.json()["value"], token["value"]);
    let kept: Vec<(String, i64)> = sqlx::query_as(
        "SELECT price::text, (SELECT count(*) FROM audit_log WHERE action = 'token.price')
           FROM prices
          ORDER BY created_at",
    )
    .fetch_all(&ground.kit.pool)
    .await
    .unwrap();
    let expected = ["31250000", "31260000", "1000000"].map(|units| (units.to_owned(), 3));
    assert_eq!(kept, expected);
    ground.kit.end().await;
}

#[tokio::test]
async fn a_price_is_above_nothing_of_the_past_and_of_ones_own_token() {
    let ground = Ground::bare().await;
    let id = ground.add(&ground.sample()).await["id"].as_str().unwrap().to_owned();
    let path = format!("/v2/admin/token/{id}/prices");
    let good = json!({ "price": 1, "source": "x" });
    for (field, value) in [
        ("price", json!(0)),
        ("price", json!(-1)),
        ("price", json!("1e1")),
        ("price", json!(0.000_000_1)),
        ("source", json!("")),
        ("as_of", json!("2999-01-01T00:00:00Z")),
        ("token", json!("x")),
    ] {
        let mut note = good.clone();
        note[field] = value;
        let answer = ground.kit.post(&path, ground.kit.token(Role::Issuer), &note).await;
        assert_eq!(refused(&answer), [field], "{note}");
    }
    let stranger = ground.stranger().await;
    assert_eq!(ground.kit.post(&path, Some(&stranger), &good).await.status, 404);
    assert_eq!(ground.kit.post(&path, ground.kit.token(Role::ComplianceOfficer), &good).await.status, 403);
    assert_eq!(ground.kit.post(&path, None, &good).await.status, 401);
    ground.kit.end().await;
}
