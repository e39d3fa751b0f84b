//! A command id is one command, however often and in whatever words it is sent.

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
