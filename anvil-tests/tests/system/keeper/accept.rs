//! Intake: one row per id, whoever asks and however often.

use alloy::primitives::{B256, U256};
use futures::future::join_all;
use tokenx_contracts::ReasonCode;
use tokenx_keeper::{AcceptError, Operation, State};

use super::{ALICE, BOB, Stack, burn, mint, new};

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_are_one_command_and_one_answer() {
    let stack = Stack::start().await;
    let asked = (0..64).map(|i| {
        let mut command = new("mint-64", mint(ALICE, 100));
        // What each of them would have answered; only the first one's answer counts.
        command.answer = format!("answer {i}");
        let commands = stack.commands.clone();
        async move { commands.accept(&command).await.unwrap() }
    });
    let accepted = join_all(asked).await;
    assert_eq!(accepted.iter().filter(|a| !a.replayed).count(), 1);
    assert!(accepted.iter().all(|a| a.answer == accepted[0].answer && a.seq == accepted[0].seq));
    assert_eq!(stack.count("SELECT count(*) FROM commands WHERE command_id = 'mint-64'").await, 1);
    assert_eq!(stack.count("SELECT count(*) FROM audit_log WHERE subject = 'command:ops:mint-64'").await, 1);
    let keeper = stack.keeper().await;
    stack.confirmed("mint-64").await;
    assert_eq!(stack.balance(ALICE).await.to::<u64>(), 100);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn burns_that_together_ask_for_more_than_there_is_are_not_all_accepted() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    stack.confirmed("m").await;
    let asked = (0..20).map(|i| {
        let command = new(&format!("burn-{i}"), burn(ALICE, 30));
        let commands = stack.commands.clone();
        async move { commands.accept(&command).await }
    });
    let accepted = join_all(asked).await;
    assert_eq!(accepted.iter().filter(|a| a.is_ok()).count(), 3);
    for refused in accepted.into_iter().filter_map(Result::err) {
        let AcceptError::Refused(refusal) = refused else { panic!("{refused}") };
        assert_eq!(refusal.code, ReasonCode::InsufficientSpendable);
    }
    for i in 0..20 {
        if let Ok(Some(_)) =
            stack.commands.view(&tokenx_contracts::Scope::Ops, &format!("burn-{i}").parse().unwrap()).await
        {
            stack.confirmed(&format!("burn-{i}")).await;
        }
    }
    assert_eq!(stack.balance(ALICE).await.to::<u64>(), 10);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_with_another_command_is_a_conflict_and_a_replay_outlives_the_balance() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    for other in [mint(ALICE, 101), mint(BOB, 100), burn(ALICE, 100)] {
        assert!(matches!(stack.accept("m", other).await, Err(AcceptError::Conflict(id)) if id == "m"));
    }
    stack.confirmed("m").await;
    let first = stack.accept("b", burn(ALICE, 100)).await.unwrap();
    stack.confirmed("b").await;
    assert!(stack.balance(ALICE).await.is_zero());
    let again = stack.accept("b", burn(ALICE, 100)).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.answer, first.answer);
    assert_eq!(stack.runs("b").await, 1);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_leaves_no_trace_and_its_id_free() {
    let stack = Stack::start().await;
    let refused = stack.accept("b", burn(ALICE, 1)).await.unwrap_err();
    assert!(matches!(refused, AcceptError::Refused(refusal) if refusal.code == ReasonCode::InsufficientSpendable));
    assert_eq!(stack.count("SELECT count(*) FROM commands WHERE command_id = 'b'").await, 0);
    assert_eq!(stack.count("SELECT count(*) FROM audit_log WHERE subject = 'command:ops:b'").await, 0);
    stack.accept("b", mint(ALICE, 1)).await.unwrap();
    assert_eq!(stack.view("b").await.state, State::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_freeze_is_refused_until_the_one_before_it_has_run() {
    let stack = Stack::start().await;
    let freeze = || Operation::Freeze {
        instrument: "rCC".parse().unwrap(),
        account: ALICE,
        amount: U256::from(10),
        reason: B256::ZERO,
    };
    let asked = (0..8).map(|i| {
        let command = new(&format!("freeze-{i}"), freeze());
        let commands = stack.commands.clone();
        async move { commands.accept(&command).await }
    });
    let (accepted, refused): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().partition(Result::is_ok);
    assert_eq!(accepted.len(), 1);
    for refused in refused.into_iter().filter_map(Result::err) {
        let AcceptError::Refused(refusal) = refused else { panic!("{refused}") };
        assert_eq!(refusal.code, ReasonCode::PositionBusy);
    }
    // Other positions, and what leaves the frozen units alone, are free to come.
    stack.accept("mint", mint(ALICE, 100)).await.unwrap();
    let keeper = stack.keeper().await;
    stack.confirmed("mint").await;
    stack.accept("freeze-again", freeze()).await.unwrap();
    stack.confirmed("freeze-again").await;
    let alice = tokenx_indexer::read::position(stack.pool(), stack.chain(), stack.token(), ALICE).await.unwrap();
    assert_eq!(alice.frozen, U256::from(20));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_requests_that_share_a_commit_one_that_is_refused_or_cannot_be_written_spoils_no_other() {
    let stack = Stack::start().await;
    let asked = (0..60).map(|i| {
        let mut command = new(&format!("c-{i}"), if i % 3 == 1 { burn(ALICE, 1) } else { mint(ALICE, 1) });
        if i % 3 == 2 {
            // Text that no Postgres takes.
            command.request_id = "request\0".to_owned();
        }
        let commands = stack.commands.clone();
        async move { commands.accept(&command).await }
    });
    for (i, outcome) in join_all(asked).await.into_iter().enumerate() {
        match i % 3 {
            0 => assert!(!outcome.unwrap().replayed),
            1 => {
                assert!(matches!(outcome, Err(AcceptError::Refused(r)) if r.code == ReasonCode::InsufficientSpendable));
            }
            _ => assert!(matches!(outcome, Err(AcceptError::Database(_)))),
        }
    }
    assert_eq!(stack.count("SELECT count(*) FROM commands WHERE command_id LIKE 'c-%'").await, 20);
    assert_eq!(stack.count("SELECT count(*) FROM audit_log WHERE subject LIKE 'command:ops:c-%'").await, 20);
    assert_eq!(stack.count("SELECT count(*) FROM outbox WHERE payload ->> 'command_id' LIKE 'c-%'").await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_share_a_commit() {
    let stack = Stack::start().await;
    let asked = (0..200).map(|i| {
        let command = new(&format!("c-{i}"), mint(ALICE, 1));
        let commands = stack.commands.clone();
        async move { commands.accept(&command).await.unwrap() }
    });
    join_all(asked).await;
    let commits = "SELECT count(DISTINCT xmin::text) FROM commands WHERE command_id LIKE 'c-%'";
    let commits = stack.count(commits).await;
    assert!(commits <= 20, "{commits} commits");
}
