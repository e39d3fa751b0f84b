//! Nonces: bumps, no-ops, wholly reverted batches, foreign use of a key.

use alloy::primitives::{B256, Bytes, U256};
use alloy::sol_types::SolCall;
use serde_json::json;
use tokenx::local::anvil::Mining;
use tokenx::local::suite::{COLD_KEY, LANE_KEYS};
use tokenx_anvil_tests::eventually;
use tokenx_contracts::Scope;
use tokenx_contracts::bindings::Executor;
use tokenx_keeper::{Cancelled, Operation, State};

use super::{ALICE, BOB, Running, Stack, key, mint};

/// A stack without blocks of its own, one lane, Alice and Bob whitelisted.
pub(super) async fn manual() -> (Stack, Running) {
    final_at(4).await
}

/// The same, where blocks are final at this depth.
async fn final_at(depth: u64) -> (Stack, Running) {
    let stack = Stack::with(Mining::Manual, |settings| {
        settings.signer.keys.truncate(1);
        settings.chain.finality = tokenx_config::Finality::Depth(depth);
    })
    .await;
    let keeper = stack.keeper().await;
    let whitelisted = stack.whitelist(&[ALICE, BOB]);
    tokio::select! {
        () = whitelisted => {}
        () = async { loop { stack.mine().await } } => {}
    }
    (stack, keeper)
}

/// Mines until a command is as the test wants it; one that is final has been confirmed.
pub(super) async fn mined_until(stack: &Stack, id: &str, state: State) {
    eventually(&format!("{id} is {}", state.name()), || async {
        let now = stack.view(id).await.state;
        if now == state || (state == State::Confirmed && now == State::Final) {
            return Some(());
        }
        stack.mine().await;
        None
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_fee_spike_is_answered_by_a_bump_and_the_command_runs_once() {
    let (stack, keeper) = manual().await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    let sent = stack.until("m", "is broadcast", |view| view.state == State::Broadcast).await;
    let spike = || async {
        stack.world.chain.rpc("anvil_setNextBlockBaseFeePerGas", json!([U256::from(60_000_000_000u64)])).await.unwrap();
    };
    // Out of reach of the first offer, and of nothing else.
    spike().await;
    stack.mine().await;
    assert_eq!(stack.view("m").await.state, State::Broadcast);
    let bumped = stack.until("m", "is bumped", |view| view.attempts > 1).await;
    assert_ne!(bumped.tx_hash, sent.tx_hash);
    mined_until(&stack, "m", State::Confirmed).await;
    assert_eq!((stack.runs("m").await, stack.balance(ALICE).await.to::<u64>()), (1, 100));
    let raised = stack
        .count(
            "SELECT count(*)
               FROM attempts a JOIN attempts b ON a.lane_id = b.lane_id AND a.nonce = b.nonce AND b.n = a.n + 1
              WHERE b.max_fee::numeric * 1000 >= a.max_fee::numeric * 1125
                AND b.max_priority_fee::numeric * 1000 >= a.max_priority_fee::numeric * 1125",
        )
        .await;
    assert!(raised >= 1);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_command_on_its_way_is_beaten_by_a_noop_and_never_runs() {
    noop_beats_a_cancelled_command(manual().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_noop_is_seen_where_blocks_are_final_at_once() {
    noop_beats_a_cancelled_command(final_at(1).await).await;
}

async fn noop_beats_a_cancelled_command((stack, keeper): (Stack, Running)) {
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    stack.until("m", "is broadcast", |view| view.state == State::Broadcast).await;
    let (scope, id) = (Scope::Ops, "m".parse().unwrap());
    assert_eq!(stack.commands.cancel(&scope, &id, "user:test", "r").await.unwrap(), Cancelled::Asked);
    eventually("the no-op is sent", || async {
        let sent = "SELECT count(*) FROM attempts WHERE kind = 'noop' AND first_sent_at IS NOT NULL";
        (stack.count(sent).await == 1).then_some(())
    })
    .await;
    mined_until(&stack, "m", State::Cancelled).await;
    // What follows uses the next nonce: there is no gap.
    stack.accept("next", mint(BOB, 1)).await.unwrap();
    mined_until(&stack, "next", State::Confirmed).await;
    assert_eq!((stack.runs("m").await, stack.balance(ALICE).await), (0, U256::ZERO));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_what_has_no_slot_is_free() {
    let (stack, keeper) = manual().await;
    keeper.stop().await;
    let before = stack.count("SELECT count(*) FROM slots").await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    let (scope, id) = (Scope::Ops, "m".parse().unwrap());
    assert_eq!(stack.commands.cancel(&scope, &id, "user:test", "r").await.unwrap(), Cancelled::Now);
    assert_eq!(stack.view("m").await.state, State::Cancelled);
    assert!(stack.commands.cancel(&scope, &id, "user:test", "r").await.is_err());
    let keeper = stack.keeper().await;
    stack.accept("next", mint(BOB, 1)).await.unwrap();
    mined_until(&stack, "next", State::Confirmed).await;
    assert_eq!(stack.count("SELECT count(*) FROM slots").await, before + 1);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_reverts_as_a_whole_gives_its_commands_back() {
    let (stack, keeper) = manual().await;
    let executor = stack.deployment.nodes[0].node.executor;
    let cold = key(COLD_KEY).address();
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    stack.until("m", "is broadcast", |view| view.state == State::Broadcast).await;
    // The guardian stops the Executor before the batch is mined, at a price that puts him first.
    let stop = json!({ "from": cold, "to": executor, "data": Bytes::from(Executor::stopCall {}.abi_encode()),
                       "gas": "0x100000", "maxFeePerGas": "0xba43b7400", "maxPriorityFeePerGas": "0xba43b7400" });
    stack.world.chain.rpc("eth_sendTransaction", json!([stop])).await.unwrap();
    stack.mine().await;
    eventually("the slot is seen to have reverted", || async {
        (stack.count("SELECT count(*) FROM slots WHERE state = 'reverted'").await == 1).then_some(())
    })
    .await;
    stack.mine().await;
    let back = stack.until("m", "waits again", |view| view.state == State::Ready).await;
    assert_eq!(back.attempts, 1);
    stack.send(cold, executor, Executor::resumeCall {}.abi_encode()).await;
    mined_until(&stack, "m", State::Confirmed).await;
    assert_eq!((stack.runs("m").await, stack.balance(ALICE).await.to::<u64>()), (1, 100));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_goes_on_above_nonces_that_somebody_else_used() {
    let (stack, keeper) = manual().await;
    let lane = key(LANE_KEYS[0]).address();
    for _ in 0..3 {
        stack.send(lane, lane, Vec::new()).await;
    }
    stack.mine().await;
    eventually("the foreign nonces are written down", || async {
        (stack.count("SELECT count(*) FROM slots WHERE state = 'stolen'").await == 3).then_some(())
    })
    .await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    mined_until(&stack, "m", State::Confirmed).await;
    assert_eq!(stack.runs("m").await, 1);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_stolen_from_under_a_slot_sends_its_command_again_once_that_is_final() {
    let (stack, keeper) = manual().await;
    keeper.stop().await;
    let lane = key(LANE_KEYS[0]).address();
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    let keeper = stack.keeper().await;
    let sent = stack.until("m", "is broadcast", |view| view.state == State::Broadcast).await;
    // While the thief is at work nobody may send the dropped bytes again.
    keeper.stop().await;
    stack.world.chain.rpc("anvil_dropTransaction", json!([sent.tx_hash.unwrap()])).await.unwrap();
    let nonce = stack.count("SELECT max(nonce) FROM slots WHERE state = 'open'").await;
    let foreign = json!({ "from": lane, "to": lane, "nonce": format!("{nonce:#x}"), "gas": "0x5208" });
    stack.world.chain.rpc("eth_sendTransaction", json!([foreign])).await.unwrap();
    stack.mine().await;
    let keeper = stack.keeper().await;
    mined_until(&stack, "m", State::Confirmed).await;
    assert_eq!(stack.count("SELECT count(*) FROM slots WHERE state = 'stolen'").await, 1);
    assert_eq!((stack.runs("m").await, stack.balance(ALICE).await.to::<u64>()), (1, 100));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_order_waits_while_its_subject_has_a_slot_that_may_fail() {
    let (stack, keeper) = manual().await;
    let executor = stack.deployment.nodes[0].node.executor;
    let cold = key(COLD_KEY).address();
    let instrument = || "rCC".parse().unwrap();
    let reason = B256::repeat_byte(1);
    let freeze = Operation::FreezeAddress { instrument: instrument(), account: ALICE, reason, everywhere: false };
    stack.accept("freeze", freeze).await.unwrap();
    stack.until("freeze", "is broadcast", |view| view.state == State::Broadcast).await;
    let unfreeze = Operation::UnfreezeAddress { instrument: instrument(), account: ALICE, reason, everywhere: false };
    stack.accept("unfreeze", unfreeze).await.unwrap();
    stack.accept("mint-alice", mint(ALICE, 1)).await.unwrap();
    stack.accept("mint-bob", mint(BOB, 1)).await.unwrap();
    stack.until("mint-bob", "is broadcast", |view| view.state == State::Broadcast).await;
    for waiting in ["unfreeze", "mint-alice"] {
        assert_eq!(stack.view(waiting).await.state, State::Accepted, "{waiting}");
    }
    // The freeze's slot fails as a whole, and the command goes again: still before what was asked after it.
    let stop = json!({ "from": cold, "to": executor, "data": Bytes::from(Executor::stopCall {}.abi_encode()),
                       "gas": "0x100000", "maxFeePerGas": "0xba43b7400", "maxPriorityFeePerGas": "0xba43b7400" });
    stack.world.chain.rpc("eth_sendTransaction", json!([stop])).await.unwrap();
    stack.mine().await;
    eventually("the slots are seen to have reverted", || async {
        (stack.count("SELECT count(*) FROM slots WHERE state = 'reverted'").await == 2).then_some(())
    })
    .await;
    stack.send(cold, executor, Executor::resumeCall {}.abi_encode()).await;
    for id in ["freeze", "unfreeze", "mint-alice"] {
        mined_until(&stack, id, State::Confirmed).await;
    }
    let alice = tokenx_indexer::read::position(stack.pool(), stack.chain(), stack.token(), ALICE).await.unwrap();
    assert_eq!((alice.address_frozen, alice.balance), (false, U256::from(1)));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_taken_back_never_goes_again_even_if_its_batch_was_faster_and_reverted() {
    let (stack, keeper) = manual().await;
    let executor = stack.deployment.nodes[0].node.executor;
    let cold = key(COLD_KEY).address();
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    stack.until("m", "is broadcast", |view| view.state == State::Broadcast).await;
    let stop = json!({ "from": cold, "to": executor, "data": Bytes::from(Executor::stopCall {}.abi_encode()),
                       "gas": "0x100000", "maxFeePerGas": "0xba43b7400", "maxPriorityFeePerGas": "0xba43b7400" });
    // No keeper at work, so that the batch is in a block before the no-op is signed.
    keeper.stop().await;
    let (scope, id) = (Scope::Ops, "m".parse().unwrap());
    assert_eq!(stack.commands.cancel(&scope, &id, "user:test", "r").await.unwrap(), Cancelled::Asked);
    stack.world.chain.rpc("eth_sendTransaction", json!([stop])).await.unwrap();
    stack.mine().await;
    stack.send(cold, executor, Executor::resumeCall {}.abi_encode()).await;
    stack.mine().await;
    let keeper = stack.keeper().await;
    mined_until(&stack, "m", State::Cancelled).await;
    assert_eq!(stack.count("SELECT count(*) FROM slots WHERE state = 'reverted'").await, 1);
    stack.accept("next", mint(BOB, 1)).await.unwrap();
    mined_until(&stack, "next", State::Confirmed).await;
    assert_eq!((stack.runs("m").await, stack.balance(ALICE).await), (0, U256::ZERO));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_a_node_gave_wrongly_holds_for_one_block() {
    let (stack, keeper) = final_at(40).await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    let sent = stack.until("m", "is broadcast", |view| view.state == State::Broadcast).await;
    // A node that is just turning forgets the transaction, and counts it all the same.
    stack.world.chain.rpc("anvil_dropTransaction", json!([sent.tx_hash.unwrap()])).await.unwrap();
    sqlx::query("UPDATE slots SET passed_at = (SELECT number FROM chain_cursors) WHERE state = 'open'")
        .execute(stack.pool())
        .await
        .unwrap();
    for _ in 0..4 {
        stack.mine().await;
    }
    mined_until(&stack, "m", State::Confirmed).await;
    assert_eq!(stack.count("SELECT count(*) FROM slots WHERE state = 'stolen'").await, 0);
    assert_eq!(stack.view("m").await.tx_hash, sent.tx_hash, "the same bytes");
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_would_be_the_same_bytes_again_holds_nothing_up() {
    let (stack, keeper) = manual().await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    stack.until("m", "is broadcast", |view| view.state == State::Broadcast).await;
    stack.commands.cancel(&Scope::Ops, &"m".parse().unwrap(), "user:test", "r").await.unwrap();
    let noops = "SELECT count(*) FROM attempts WHERE kind = 'noop' AND first_sent_at IS NOT NULL";
    eventually("the no-op is sent", || async { (stack.count(noops).await == 1).then_some(()) }).await;
    // As if no node took it: what is signed instead costs the first price again, and its bump what this one does.
    sqlx::query("UPDATE attempts SET last_outcome = 'terminal', waits_since = 0 WHERE kind = 'noop'")
        .execute(stack.pool())
        .await
        .unwrap();
    eventually("another one is sent", || async { (stack.count(noops).await == 2).then_some(()) }).await;
    stack.accept("next", mint(BOB, 1)).await.unwrap();
    stack.until("next", "is broadcast", |view| view.state == State::Broadcast).await;
    mined_until(&stack, "m", State::Cancelled).await;
    mined_until(&stack, "next", State::Confirmed).await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_lane_counts_on_no_transaction_that_a_reorg_may_take_back() {
    let (stack, keeper) = manual().await;
    keeper.stop().await;
    let lane = key(LANE_KEYS[1]).address();
    stack.send(lane, lane, Vec::new()).await;
    stack.mine().await;
    let mut other = stack.settings.clone();
    other.signer.keys = vec![LANE_KEYS[1].into()];
    let keeper = stack.keeper_by(&other).await;
    eventually("the lane is there", || async {
        (stack.count("SELECT count(*) FROM lanes WHERE epoch > 0").await == 2).then_some(())
    })
    .await;
    stack.world.chain.rpc("anvil_reorg", json!([1, []])).await.unwrap();
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    mined_until(&stack, "m", State::Confirmed).await;
    assert_eq!(stack.runs("m").await, 1);
    keeper.stop().await;
}
