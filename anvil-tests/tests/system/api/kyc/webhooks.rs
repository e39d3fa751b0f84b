//! What is believed of a webhook, and in which order.

use super::*;

/// A bare kit with an application of which the sandbox says no more than that it has begun.
async fn idle() -> (Kit, String, Value) {
    let kit = Kit::bare().await;
    let dora = kit.unknown("dora+wait").await;
    let id = kit.begin(&dora, &json!({})).await["applicant_id"].clone();
    kit.provider_says(&id, "begun").await;
    (kit, dora, id)
}

#[tokio::test]
async fn only_what_the_provider_has_signed_is_believed() {
    let (kit, dora, id) = idle().await;
    let good = said("1:dora+wait", "applicantReviewed", 1_000, &json!({ "reviewAnswer": "GREEN" })).to_string();
    let digest = kit.digest(&good);
    let forged = good.replace("GREEN", "green");
    for (body, digest) in
        [(&forged, &digest), (&good, &kit.digest(&forged)), (&good, &"00".repeat(32)), (&good, &String::new())]
    {
        let answer = kit.webhook_with(body, digest).await;
        assert_eq!(answer.status, 401, "{}", answer.text);
    }
    let url = format!("{}/webhooks/kyc/sumsub", kit.url);
    let unsigned = read(kit.client.post(&url).body(good.clone())).await;
    assert_eq!(refused(&unsigned), ["x-payload-digest"]);
    let weak =
        kit.client.post(&url).header("x-payload-digest", &digest).header("x-payload-digest-alg", "HMAC_SHA1_HEX");
    assert_eq!(refused(&read(weak.body(good.clone())).await), ["x-payload-digest"]);
    assert_eq!(kit.webhook_with("not json", &kit.digest("not json")).await.status, 400);
    let long = " ".repeat(kit.settings.server.max_body_bytes + 1);
    assert_eq!(kit.webhook_with(&long, &kit.digest(&long)).await.status, 413);
    assert_eq!(kit.applicant(&id).await["provider_word"], "begun", "nothing of it was heard");

    let stranger = said("1:nobody", "applicantReviewed", 0, &json!({ "reviewAnswer": "GREEN" }));
    let tags = said("1:dora+wait", "applicantTagsChanged", 2_000, &Value::Null);
    for ignored in [&stranger, &tags] {
        let answer = kit.webhook(ignored).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["result"]), (200, &json!("ignored")), "never sent again");
    }
    assert_eq!(kit.webhook_with(&good, &digest).await.json()["result"], "applied");
    assert_eq!(kit.webhook_with(&good, &digest).await.json()["result"], "known", "a replay");
    assert_eq!(kit.kyc(&dora).await["status"], "in_review");
    kit.end().await;
}

#[tokio::test]
async fn in_which_order_words_come_and_how_often_makes_no_difference() {
    let kit = Kit::bare().await;
    let mut ends = Vec::new();
    let words = [
        ("applicantPending", Value::Null),
        ("applicantReviewed", red("RETRY")),
        ("applicantPending", Value::Null),
        ("applicantOnHold", Value::Null),
        ("applicantReviewed", json!({ "reviewAnswer": "GREEN" })),
    ];
    let orders: [&[usize]; 5] =
        [&[0, 1, 2, 3, 4], &[4, 3, 2, 1, 0], &[2, 4, 4, 0, 1, 3, 0], &[1, 0, 1, 4, 3, 2], &[3, 3, 4, 2, 1, 0, 4]];
    for (place, order) in orders.into_iter().enumerate() {
        let party = format!("dora{place}+wait");
        let token = kit.unknown(&party).await;
        let id = kit.begin(&token, &json!({})).await["applicant_id"].clone();
        kit.provider_says(&id, "begun").await;
        let external_id = format!("1:{party}");
        let bodies: Vec<Value> =
            (1_i64..).zip(&words).map(|(at, (kind, review))| said(&external_id, kind, 1_000 * at, review)).collect();
        for which in order {
            let answer = kit.webhook(&bodies[*which]).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        let seen = kit.applicant(&id).await;
        ends.push((seen["provider_word"].clone(), seen["status"].clone(), seen["reason"].clone()));
        let heard: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM kyc_events WHERE applicant_id = $1 AND kind <> 'applicantCreated'",
        )
        .bind(id.as_str().unwrap().parse::<Uuid>().unwrap())
        .fetch_one(&kit.pool)
        .await
        .unwrap();
        assert_eq!(heard, 5, "each is kept once");
    }
    assert!(ends.iter().all(|end| *end == (json!("good"), json!("in_review"), Value::Null)), "{ends:?}");
    kit.end().await;
}

#[tokio::test]
async fn of_many_deliveries_at_once_one_is_applied() {
    let (kit, _, id) = idle().await;
    let word = said("1:dora+wait", "applicantReviewed", 1_000, &red("FINAL"));
    let answers = futures::future::join_all((0..16).map(|_| kit.webhook(&word))).await;
    let applied = answers.iter().filter(|answer| answer.json()["result"] == "applied").count();
    assert_eq!((applied, answers.iter().filter(|answer| answer.status == 200).count()), (1, 16));
    let noted: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM audit_log WHERE action = 'kyc.said' AND detail ->> 'word' = 'refused'",
    )
    .fetch_one(&kit.pool)
    .await
    .unwrap();
    assert_eq!(noted, 1);
    assert_eq!(kit.applicant(&id).await["status"], "rejected");
    kit.end().await;
}
