//! The path of a command, from acceptance to its end.

use alloy::primitives::{B256, Bytes, U256};
use alloy::sol_types::SolCall;
use serde_json::json;
use tokenx::local::suite::COLD_KEY;
use tokenx_anvil_tests::eventually;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::{Executor, SecurityToken};
use tokenx_indexer::read;
use tokenx_keeper::{Filter, Operation, State, status};

use super::slots::{manual, mined_until};
use super::{ALICE, BOB, Stack, burn, key, mint};

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_goes_from_accepted_to_final() {
    let stack = Stack::start().await;
    stack.accept("mint-2025-01-01-001", mint(ALICE, 100)).await.unwrap();
    assert_eq!(stack.view("mint-2025-01-01-001").await.state, State::Accepted);
    let keeper = stack.keeper().await;
    let done = stack.confirmed("mint-2025-01-01-001").await;
    assert_eq!(done.attempts, 1);
    assert!(done.tx_hash.is_some() && done.block_number.is_some() && done.block_hash.is_some());
    assert_eq!(stack.balance(ALICE).await.to::<u64>(), 100);
    let names = stack.commands.command_ids(&[done.onchain_id, B256::ZERO]).await.unwrap();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), [(done.onchain_id, "mint-2025-01-01-001".to_owned())]);
    stack.world.chain.mine(70).await.unwrap();
    stack.until("mint-2025-01-01-001", "is final", |view| view.state == State::Final).await;
    let kinds: Vec<String> = sqlx::query_scalar(
        "SELECT kind FROM outbox WHERE payload ->> 'command_id' = 'mint-2025-01-01-001' ORDER BY xid, seq",
    )
    .fetch_all(stack.pool())
    .await
    .unwrap();
    assert_eq!(kinds, ["command.accepted", "command.confirmed", "command.final"]);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_has_its_effect() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    let instrument = || "rCC".parse().unwrap();
    let (amount, reason) = (U256::from(10), B256::repeat_byte(1));
    let operations = [
        ("mint", mint(ALICE, 100)),
        ("burn", burn(ALICE, 10)),
        ("freeze", Operation::Freeze { instrument: instrument(), account: ALICE, amount, reason }),
        ("freeze-more", Operation::Freeze { instrument: instrument(), account: ALICE, amount, reason }),
        ("unfreeze", Operation::Unfreeze { instrument: instrument(), account: ALICE, amount, reason }),
        (
            "freeze-address",
            Operation::FreezeAddress { instrument: instrument(), account: ALICE, reason, everywhere: false },
        ),
        (
            "force",
            Operation::ForcedTransfer {
                instrument: instrument(),
                from: ALICE,
                to: BOB,
                amount,
                reason,
                reference: None,
            },
        ),
        ("force-burn", Operation::ForcedBurn { instrument: instrument(), from: ALICE, amount, reason }),
        (
            "unfreeze-address",
            Operation::UnfreezeAddress { instrument: instrument(), account: ALICE, reason, everywhere: false },
        ),
        ("pause", Operation::Pause { instrument: instrument(), reason }),
        ("unpause", Operation::Unpause { instrument: instrument(), reason }),
        ("revoke", Operation::Revoke { wallet: BOB, reason }),
    ];
    for (id, operation) in operations {
        stack.accept(id, operation).await.unwrap();
        stack.confirmed(id).await;
    }
    let alice = read::position(stack.pool(), stack.chain(), stack.token(), ALICE).await.unwrap();
    assert_eq!((alice.balance, alice.frozen, alice.address_frozen), (U256::from(70), amount, false));
    assert_eq!(stack.balance(BOB).await, amount);
    let listed = stack.commands.list(&Filter { limit: 5, ..Filter::default() }).await.unwrap();
    assert_eq!(listed[0].command_id, "revoke");
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_commands_take_a_few_transactions() {
    let stack = Stack::start().await;
    for i in 0..200 {
        stack.accept(&format!("mint-{i}"), mint(if i % 2 == 0 { ALICE } else { BOB }, 1)).await.unwrap();
    }
    let before = stack.count("SELECT count(*) FROM slots").await;
    let keeper = stack.keeper().await;
    for i in 0..200 {
        stack.confirmed(&format!("mint-{i}")).await;
    }
    let slots = stack.count("SELECT count(*) FROM slots").await - before;
    assert!(slots <= 4, "{slots} transactions");
    assert_eq!(stack.balance(ALICE).await + stack.balance(BOB).await, U256::from(200));
    let twice = "SELECT count(*) FROM (SELECT onchain_id FROM command_results GROUP BY 1 HAVING count(*) > 1) t";
    assert_eq!(stack.count(twice).await, 0);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_reverts_fails_with_its_reason_and_the_others_of_its_batch_succeed() {
    let mut stack = Stack::start().await;
    // Straight to the chain: simulation would have caught it.
    stack.settings.keeper.simulate = false;
    let keeper = stack.keeper().await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    stack.confirmed("m").await;
    keeper.stop().await;
    let freeze = Operation::FreezeAddress {
        instrument: "rCC".parse().unwrap(),
        account: ALICE,
        reason: B256::ZERO,
        everywhere: false,
    };
    stack.accept("freeze", freeze).await.unwrap();
    stack.accept("burn", burn(ALICE, 50)).await.unwrap();
    stack.accept("mint-bob", mint(BOB, 7)).await.unwrap();
    let keeper = stack.keeper().await;
    stack.confirmed("freeze").await;
    stack.confirmed("mint-bob").await;
    let burned = stack.until("burn", "ends", |view| view.state.is_ended()).await;
    assert_eq!(burned.state, State::Failed);
    assert_eq!(burned.reason_code.as_deref(), Some(ReasonCode::SenderFrozen.as_str()));
    assert!(burned.failure.is_some() && burned.block_number.is_some());
    assert_eq!(burned.tx_hash, stack.view("freeze").await.tx_hash);
    assert_eq!(stack.balance(ALICE).await.to::<u64>(), 100);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_executor_holds_up_no_other_and_its_commands_go_once_it_is_resumed() {
    let stack = Stack::start().await;
    let stopped = stack.deployment.nodes[0].node.executor;
    stack.send(key(COLD_KEY).address(), stopped, Executor::stopCall {}.abi_encode()).await;
    eventually("the executor is stopped", || async {
        let call = json!([{ "to": stopped, "data": Bytes::from(Executor::stoppedCall {}.abi_encode()) }, "latest"]);
        let answer = stack.world.chain.rpc("eth_call", call).await.unwrap();
        answer.as_str().unwrap().ends_with('1').then_some(())
    })
    .await;
    stack.indexed().await;
    for id in ["first", "second"] {
        stack.accept(id, mint(ALICE, 1)).await.unwrap();
    }
    let instrument = "rDD".parse().unwrap();
    let other = Operation::Mint { instrument, to: BOB, amount: U256::ONE, reason: B256::ZERO };
    stack.accept("other", other).await.unwrap();

    // One lane, one slot, one item a batch: whatever is first in the queue has all there is.
    let mut settings = stack.settings.clone();
    settings.signer.keys.truncate(1);
    (settings.keeper.max_in_flight, settings.keeper.batch_max_items) = (1, 1);
    let keeper = stack.keeper_by(&settings).await;
    stack.confirmed("other").await;
    assert_eq!((stack.runs("first").await, stack.runs("second").await), (0, 0));
    stack.send(key(COLD_KEY).address(), stopped, Executor::resumeCall {}.abi_encode()).await;
    for id in ["first", "second"] {
        stack.confirmed(id).await;
    }
    assert_eq!(stack.balance(ALICE).await.to::<u64>(), 2);
    keeper.stop().await;
}

/// From here on the executor runs no burn.
async fn forbid_burns(stack: &Stack) {
    let executor = stack.deployment.nodes[0].node.executor;
    let call = Executor::removeRuleCall { target: stack.token(), selector: SecurityToken::burnCall::SELECTOR.into() };
    stack.send(key(COLD_KEY).address(), executor, call.abi_encode()).await;
    eventually("the rule is gone", || async {
        let allowed =
            Executor::ruleOfCall { target: stack.token(), selector: SecurityToken::burnCall::SELECTOR.into() };
        let call = json!([{ "to": executor, "data": Bytes::from(allowed.abi_encode()) }, "latest"]);
        let answer = stack.world.chain.rpc("eth_call", call).await.unwrap();
        answer.as_str().unwrap()[2..66].trim_matches('0').is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_commands_that_commute_hold_back_no_other_and_end_together() {
    let (stack, keeper) = manual().await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    mined_until(&stack, "m", State::Confirmed).await;
    keeper.stop().await;
    for i in 0..5 {
        stack.accept(&format!("burn-{i}"), burn(ALICE, 1)).await.unwrap();
    }
    let mining = async {
        loop {
            stack.mine().await;
        }
    };
    tokio::select! {
        () = forbid_burns(&stack) => {}
        () = mining => {}
    }
    stack.indexed().await;
    let keeper = stack.keeper().await;
    eventually("all burns are refused", || async {
        let refused = "SELECT count(*) FROM command_states JOIN commands USING (seq) WHERE kind = 'burn' AND refused_last IS NOT NULL";
        (stack.count(refused).await == 5).then_some(())
    })
    .await;
    stack.accept("more", mint(ALICE, 1)).await.unwrap();
    stack.until("more", "is broadcast", |view| view.state == State::Broadcast).await;
    for _ in 0..stack.settings.chain.confirmations {
        stack.mine().await;
    }
    for i in 0..5 {
        let burned = stack.until(&format!("burn-{i}"), "ends", |view| view.state.is_ended()).await;
        assert_eq!((burned.state, burned.attempts), (State::Failed, 0));
    }
    mined_until(&stack, "more", State::Confirmed).await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_simulation_refuses_twice_fails_without_spending_a_nonce() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    stack.confirmed("m").await;
    keeper.stop().await;
    stack.accept("burn", burn(ALICE, 50)).await.unwrap();
    forbid_burns(&stack).await;
    stack.indexed().await;
    let slots = stack.count("SELECT count(*) FROM slots").await;
    let keeper = stack.keeper().await;
    let burned = stack.until("burn", "ends", |view| view.state.is_ended()).await;
    assert_eq!((burned.state, burned.attempts), (State::Failed, 0));
    assert_eq!(burned.reason_code.as_deref(), Some(ReasonCode::ActionNotAllowed.as_str()));
    assert_eq!(stack.count("SELECT count(*) FROM slots").await, slots);
    assert_eq!(stack.balance(ALICE).await.to::<u64>(), 100);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_row_tells_the_queue_and_the_lanes() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    let taken = eventually("a status with a full hosted pool and an empty queue", || async {
        let taken = status::read(stack.pool(), stack.chain()).await.unwrap()?;
        let full = taken.snapshot.hosted_ready == i64::from(stack.settings.keeper.hosted_pool);
        (full && taken.snapshot.open_commands.is_empty()).then_some(taken)
    })
    .await;
    assert_eq!(taken.snapshot.lanes.len(), 2);
    assert!(taken.snapshot.lanes.iter().all(|lane| lane.state == "running"), "{taken:?}");
    let mut tx = tokenx_migrations::begin(stack.pool()).await.unwrap();
    let first = tokenx_keeper::hosted::claim(&mut tx, "party:1").await.unwrap();
    let second = tokenx_keeper::hosted::claim(&mut tx, "party:2").await.unwrap();
    assert_ne!(first, second);
    tx.commit().await.unwrap();
    keeper.stop().await;
}
