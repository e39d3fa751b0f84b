//! A command id is one command, however often and in whatever words it is sent.

use super::tokens::Ground;
use super::*;

#[tokio::test]
async fn sixty_four_at_once_are_one_command_and_sixty_four_equal_answers() {
    let kit = Kit::whole().await;
    let asked = (0..64).map(|_| kit.mint("at-once", ALICE, "\"5\""));
    let answers = futures::future::join_all(asked).await;
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), &answer.text), (200, &answers[0].text));
    }
    assert_eq!(answers[0].json(), json!({ "command_id": "at-once", "status": "submitted" }));
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotent-replayed").is_none()).count(), 1);
    kit.holding("1005.0").await;
    let mints = kit.get("/data/admin/mints", kit.token(Role::SuperAdmin)).await.json();
    let same = mints.as_array().unwrap().iter().filter(|mint| mint["command_id"] == "at-once").count();
    assert_eq!(same, 1);
    kit.end().await;
}

#[tokio::test]
async fn the_same_number_in_other_words_is_the_same_command() {
    let kit = Kit::whole().await;
    let first = kit.mint("words", ALICE, "\"100\"").await;
    for amount in ["100", "\"100.0\"", "1e2", "100.000", "10E1", "0.1e3"] {
        let answer = kit.mint("words", ALICE, amount).await;
        assert_eq!((answer.status, &answer.text), (first.status, &first.text), "{amount}");
    }
    // By the wallet's address instead of the party's name: still the same canonical command.
    let wallets = admin::list_wallets(&kit.pool, kit.settings.chain.chain_id).await.unwrap();
    let address = wallets[0].address.to_checksum(None);
    assert_eq!(kit.mint("words", &address, "100").await.text, first.text);
    kit.holding("1100.0").await;
    kit.end().await;
}

#[tokio::test]
async fn the_same_id_for_another_command_is_409_and_changes_nothing() {
    let kit = Kit::whole().await;
    assert_eq!(kit.mint("taken", ALICE, "7").await.status, 200);
    for answer in [kit.mint("taken", ALICE, "8").await, kit.burn("taken", ALICE, "7").await] {
        assert_eq!(answer.status, 409);
        assert!(answer.json()["detail"].as_str().unwrap().contains("taken"), "{}", answer.text);
    }
    kit.holding("1007.0").await;
    kit.end().await;
}

#[tokio::test]
async fn a_burn_that_emptied_the_balance_gets_its_first_answer_again() {
    let kit = Kit::whole().await;
    let first = kit.burn("all", ALICE, "\"1000\"").await;
    assert_eq!(first.status, 200, "{}", first.text);
    kit.holding("").await;
    let again = kit.burn("all", ALICE, "1e3").await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(kit.burn("more", ALICE, "1").await.bad_fields(), ["amount: insufficient_spendable"]);
    kit.end().await;
}

#[tokio::test]
async fn what_open_burns_will_take_cannot_be_spent_twice() {
    let kit = Kit::whole().await;
    let kit = &kit;
    let asked = (0..10).map(|n| async move { kit.burn(&format!("share-{n}"), ALICE, "300").await });
    let answers = futures::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 3);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(refused.bad_fields(), ["amount: insufficient_spendable"]);
    }
    kit.holding("100.0").await;
}

/// A price of a token, asked for under a key.
async fn price(kit: &Kit, (token_id, person, key): (&str, Role, &str), price: &str) -> Answer {
    let request = kit.client.post(format!("{}/v2/admin/token/{token_id}/prices", kit.url));
    let request = request.bearer_auth(kit.token(person).unwrap()).header("idempotency-key", key);
    let body = json!({ "source": format!("appraisal {price}") }).to_string();
    let body = format!("{},\"price\":{price}}}", body.trim_end_matches('}'));
    read(request.header("content-type", "application/json").body(body)).await
}

#[tokio::test]
async fn a_write_that_ends_here_is_done_once_for_its_key_and_answered_as_before_for_a_day() {
    let ground = Ground::bare().await;
    let token_id = ground.add(&ground.sample()).await["id"].as_str().unwrap().to_owned();
    let kit = &ground.kit;
    let prices =
        async || sqlx::query_scalar::<_, i64>("SELECT count(*) FROM prices").fetch_one(&kit.pool).await.unwrap();
    let before = prices().await;
    let mine = (token_id.as_str(), Role::Issuer, "a-price");

    // Eight at once: one does it, the others hear the same, or that it is not answered yet.
    let answers = futures::future::join_all((0..8).map(|_| price(kit, mine, "101.5"))).await;
    let done = answers.iter().filter(|answer| answer.status == 201).collect::<Vec<_>>();
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 201 | 409)), "{answers:?}");
    assert_eq!(done.iter().filter(|answer| answer.header("idempotent-replayed").is_none()).count(), 1);
    assert_eq!(prices().await, before + 1);
    let again = price(kit, mine, "101.5").await;
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (201, Some("true")));
    assert_eq!((&again.text, again.header("content-type")), (&done[0].text, done[0].header("content-type")));

    assert_eq!(price(kit, mine, "102").await.status, 409, "the key stands for another request");
    assert_eq!(price(kit, (&token_id, Role::TransferAgent, "a-price"), "103").await.status, 201, "another account's");
    let refused = (token_id.as_str(), Role::Issuer, "refused");
    assert_eq!(price(kit, refused, "\"dear\"").await.status, 400);
    assert_eq!(price(kit, refused, "104").await.status, 201, "a refusal leaves its key free");
    let unreadable = price(kit, (&token_id, Role::Issuer, "a key"), "105").await;
    assert_eq!((unreadable.status.as_u16(), prices().await), (400, before + 3));

    sqlx::query("UPDATE idempotency_keys SET claimed_at = claimed_at - interval '25 hours'")
        .execute(&kit.pool)
        .await
        .unwrap();
    let next_day = price(kit, mine, "106").await;
    assert_eq!((next_day.status.as_u16(), next_day.header("idempotent-replayed")), (201, None), "{}", next_day.text);
    ground.kit.end().await;
}

#[tokio::test]
async fn a_request_cut_short_leaves_its_key_to_the_next_one_once_its_time_is_over() {
    let ground = Ground::bare().await;
    let token_id = ground.add(&ground.sample()).await["id"].as_str().unwrap().to_owned();
    let kit = &ground.kit;
    let asked = (token_id.as_str(), Role::Issuer, "cut");
    let first = price(kit, asked, "7").await;
    assert_eq!(first.status, 201, "{}", first.text);
    // As its process leaves it when it is killed before it answers.
    let cut = "UPDATE idempotency_keys SET status = NULL, headers = NULL, body = NULL";
    sqlx::query(cut).execute(&kit.pool).await.unwrap();
    assert_eq!(price(kit, asked, "7").await.status, 409, "somebody may be at it still");
    sqlx::query("UPDATE idempotency_keys SET claimed_at = claimed_at - interval '1 hour'")
        .execute(&kit.pool)
        .await
        .unwrap();
    let second = price(kit, asked, "7").await;
    assert!(second.status.is_success() && second.header("idempotent-replayed").is_none(), "{}", second.text);
    ground.kit.end().await;
}
