//! Lanes: their keys, their money, and the Executors they go through.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolConstructor};
use serde_json::{Value, json};
use tokenx::local::anvil::Mining;
use tokenx::local::suite::{COLD_KEY, LANE_KEYS};
use tokenx_anvil_tests::{eventually, process};
use tokenx_contracts::bindings::{Executor, ExecutorConfig};
use tokenx_keeper::{Commands, Doors, Operation, State, status};

use super::slots::{manual, mined_until};
use super::{ALICE, BOB, Stack, key, mint, new};

/// What stands in the way of a lane, by the status.
async fn problem(stack: &Stack, lane: Address) -> Option<String> {
    let taken = status::read(stack.pool(), stack.chain()).await.unwrap()?;
    taken.snapshot.lanes.into_iter().find(|one| one.address == lane)?.problem
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_nobody_works_is_told_of_and_the_others_go_on() {
    let (stack, keeper) = manual().await;
    // It ends while something is on its way.
    stack.accept("left", mint(ALICE, 1)).await.unwrap();
    stack.until("left", "is broadcast", |view| view.state == State::Broadcast).await;
    keeper.stop().await;
    let left = key(LANE_KEYS[0]).address();
    let mut other = stack.settings.clone();
    other.signer.keys = vec![LANE_KEYS[1].into()];
    let alone = stack.keeper_by(&other).await;
    eventually("the lane is told of", || async {
        problem(&stack, left).await.filter(|problem| problem.contains("put the key back"))
    })
    .await;
    stack.accept("bob", mint(BOB, 1)).await.unwrap();
    mined_until(&stack, "bob", State::Confirmed).await;
    alone.stop().await;

    // While somebody has that key, the other one may join.
    let keeper = stack.keeper().await;
    eventually("the lane is worked", || async {
        (stack.count("SELECT epoch FROM lanes ORDER BY lane_id LIMIT 1").await == 2).then_some(())
    })
    .await;
    let joined = stack.keeper_by(&other).await;
    eventually("all is well", || async { problem(&stack, left).await.is_none().then_some(()) }).await;
    stack.accept("m", mint(ALICE, 1)).await.unwrap();
    mined_until(&stack, "m", State::Confirmed).await;

    // And once all is final, the key may go.
    eventually("all is final", || async {
        stack.mine().await;
        (stack.count("SELECT count(*) FROM slots WHERE NOT settled").await == 0).then_some(())
    })
    .await;
    keeper.stop().await;
    joined.stop().await;
    let keeper = stack.keeper_by(&other).await;
    stack.accept("last", mint(ALICE, 1)).await.unwrap();
    mined_until(&stack, "last", State::Confirmed).await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keepers_with_different_keys_start_again_after_all_of_them_went_down() {
    let (stack, keeper) = manual().await;
    let mut other = stack.settings.clone();
    other.signer.keys = vec![LANE_KEYS[1].into()];
    stack.accept("first", mint(ALICE, 1)).await.unwrap();
    stack.until("first", "is broadcast", |view| view.state == State::Broadcast).await;
    keeper.crash().await;
    let keeper = stack.keeper_by(&other).await;
    stack.accept("second", mint(BOB, 1)).await.unwrap();
    stack.until("second", "is broadcast", |view| view.state == State::Broadcast).await;
    keeper.crash().await;

    let keepers = [stack.keeper_by(&other).await, stack.keeper().await];
    for id in ["first", "second"] {
        mined_until(&stack, id, State::Confirmed).await;
        assert_eq!(stack.runs(id).await, 1);
    }
    for keeper in keepers {
        keeper.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_halted_lane_has_its_share_of_keeps_no_other_lane_from_its_own() {
    let mut stack = Stack::with(Mining::Manual, |_| {}).await;
    let keeper = stack.keeper().await;
    let wallets: Vec<Address> = (0x60..0x68).map(Address::repeat_byte).collect();
    let whitelisted = stack.whitelist(&wallets);
    tokio::select! {
        () = whitelisted => {}
        () = async { loop { stack.mine().await } } => {}
    }
    keeper.stop().await;
    // Many for the first wallet, and one for each of the others.
    for i in 0..6 {
        stack.accept(&format!("m-{i}"), mint(wallets[0], 1)).await.unwrap();
    }
    for wallet in &wallets[1..] {
        stack.accept(&format!("mint-{wallet}"), mint(*wallet, 1)).await.unwrap();
    }
    let shares: Vec<(String, i64)> = sqlx::query_as(
        "SELECT command_id, (hashtextextended(subject, 0) & 9223372036854775807) % 2
           FROM command_views
          WHERE state = 'accepted'
          ORDER BY seq",
    )
    .fetch_all(stack.pool())
    .await
    .unwrap();
    let halted = shares[0].1;
    let (other, _) = shares.iter().find(|(_, share)| *share != halted).expect("eight wallets over two lanes");
    sqlx::query("UPDATE lanes SET halted_reason = 'by test' WHERE address = $1")
        .bind(key(LANE_KEYS[usize::try_from(halted).unwrap()]).address().as_slice())
        .execute(stack.pool())
        .await
        .unwrap();
    // One slot, one item: what is first of all that a lane looks at has all there is.
    (stack.settings.keeper.max_in_flight, stack.settings.keeper.batch_max_items) = (1, 1);
    let keeper = stack.keeper().await;
    mined_until(&stack, other, State::Confirmed).await;
    assert_eq!(stack.view("m-0").await.state, State::Accepted);
    keeper.stop().await;
}

/// What `tokenx admin lane …` answers, and what it says on standard error.
fn by_operator(stack: &Stack, asked: &[&str]) -> (Value, String) {
    let mut command = process::command(&stack.settings, &[&["admin", "--json", "lane"], asked].concat()).unwrap();
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_halts_after_three_batches_in_vain_and_goes_on_when_an_operator_lets_it() {
    let (mut stack, keeper) = manual().await;
    keeper.stop().await;
    let (executor, cold) = (stack.deployment.nodes[0].node.executor, key(COLD_KEY).address());
    stack.send(cold, executor, Executor::stopCall {}.abi_encode()).await;
    stack.mine().await;
    // The chain is not asked first, so that what is in vain is sent.
    stack.settings.keeper.simulate = false;
    let keeper = stack.keeper().await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    let lane = key(LANE_KEYS[0]).address();
    let halted = eventually("the lane is halted", || async {
        stack.mine().await;
        let (listed, said) = by_operator(&stack, &["list"]);
        assert_eq!(listed[0]["address"], json!(lane), "{said}");
        (listed[0]["state"] == "halted").then_some(listed)
    })
    .await;
    assert_eq!(stack.count("SELECT count(*) FROM slots WHERE state = 'reverted'").await, 3);
    let advice = halted[0]["problem"].as_str().unwrap();
    assert!(advice.contains("executor's roles") && advice.contains("tokenx admin lane resume"), "{advice}");

    stack.send(cold, executor, Executor::resumeCall {}.abi_encode()).await;
    stack.mine().await;
    assert_eq!(stack.view("m").await.state, State::Ready);
    let (resumed, said) = by_operator(&stack, &["resume", &lane.to_string()]);
    assert_eq!(resumed[0]["state"], "running", "{said}");
    mined_until(&stack, "m", State::Confirmed).await;
    assert_eq!(stack.runs("m").await, 1);
    assert_eq!(stack.count("SELECT count(*) FROM audit_log WHERE action = 'lane.resume'").await, 1);

    let (nothing, said) = by_operator(&stack, &["resume", &lane.to_string()]);
    assert!(nothing.is_null() && said.contains("nothing to resume") && said.contains("lane list"), "{said}");
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_are_kept_for_a_halted_lane_too() {
    let (stack, keeper) = manual().await;
    sqlx::query("UPDATE lanes SET halted_reason = 'by test'").execute(stack.pool()).await.unwrap();
    stack.accept("m", mint(ALICE, 1)).await.unwrap();
    sqlx::query("UPDATE command_states SET valid_until = now()").execute(stack.pool()).await.unwrap();
    stack.until("m", "expires", |view| view.state == State::Expired).await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_cannot_pay_signs_nothing_more_and_goes_on_when_it_can() {
    let (stack, keeper) = manual().await;
    let lane = key(LANE_KEYS[0]).address();
    let fund = |wei: u128| stack.world.chain.rpc("anvil_setBalance", json!([lane, U256::from(wei)]));
    fund(0).await.unwrap();
    stack.accept("m-0", mint(ALICE, 1)).await.unwrap();
    eventually("the lane says that it cannot pay", || async {
        let taken = status::read(stack.pool(), stack.chain()).await.unwrap()?;
        let problem = taken.snapshot.lanes[0].problem.clone()?;
        problem.to_lowercase().contains("insufficient funds").then_some(())
    })
    .await;
    let attempts = "SELECT count(*) FROM attempts";
    let signed = stack.count(attempts).await;
    for i in 1..6 {
        stack.accept(&format!("m-{i}"), mint(if i % 2 == 0 { ALICE } else { BOB }, 1)).await.unwrap();
    }
    for _ in 0..8 {
        stack.mine().await;
    }
    assert_eq!(stack.count(attempts).await, signed, "neither bumped nor joined by others");
    fund(10u128.pow(19)).await.unwrap();
    for i in 0..6 {
        mined_until(&stack, &format!("m-{i}"), State::Confirmed).await;
        assert_eq!(stack.runs(&format!("m-{i}")).await, 1);
    }
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_predecessor_ran_is_found_there_when_its_successor_skips_it() {
    let mut stack = Stack::start().await;
    let wallet = Address::repeat_byte(0x51);
    let whitelist = Operation::Whitelist {
        wallet,
        investor_id: 7,
        country: 276,
        investor_class: 1,
        kyc_expires_at: 0,
        reason: B256::ZERO,
    };
    let keeper = stack.keeper().await;
    stack.accept("w", whitelist.clone()).await.unwrap();
    let first = stack.confirmed("w").await;
    keeper.stop().await;

    // A database from before the command, and an Executor that succeeds the one which ran it.
    for forget in [
        "DELETE FROM slot_commands WHERE command_seq = (SELECT seq FROM commands WHERE command_id = 'w')",
        "DELETE FROM command_states WHERE seq = (SELECT seq FROM commands WHERE command_id = 'w')",
        "DELETE FROM commands WHERE command_id = 'w'",
    ] {
        sqlx::query(forget).execute(stack.pool()).await.unwrap();
    }
    let previous = stack.deployment.suite.registry_executor;
    let successor = deploy_executor(&stack, previous).await;
    stack.settings.chain.executors = vec![successor, previous];
    stack.follow_anew().await;
    let commands = Commands::new(stack.pool().clone(), Doors::of(&stack.settings.chain));
    commands.accept(&new("w", whitelist)).await.unwrap();
    let keeper = stack.keeper().await;
    let again = stack.confirmed("w").await;
    assert_eq!((again.tx_hash, again.block_number), (first.tx_hash, first.block_number));
    assert_eq!(stack.count("SELECT count(*) FROM command_results WHERE status = 'skipped'").await, 1);
    assert_eq!(stack.runs("w").await, 1);
    keeper.stop().await;
}

/// An Executor of the registry's rules and keepers that succeeds another one.
async fn deploy_executor(stack: &Stack, previous: Address) -> Address {
    let cold = key(COLD_KEY).address();
    let config = ExecutorConfig {
        admin: cold,
        adminDelay: Default::default(),
        guardian: Address::ZERO,
        keepers: LANE_KEYS.map(|text| key(text).address()).to_vec(),
        factory: Address::ZERO,
        previous,
        rules: Vec::new(),
    };
    let code = [Executor::BYTECODE.as_ref(), &Executor::constructorCall { config }.abi_encode()].concat();
    let call = json!([{ "from": cold, "data": Bytes::from(code), "gas": "0xf00000" }]);
    let hash = stack.world.chain.rpc("eth_sendTransaction", call).await.unwrap();
    eventually("the executor is deployed", || async {
        let receipt = stack.world.chain.rpc("eth_getTransactionReceipt", json!([hash])).await.unwrap();
        serde_json::from_value(receipt["contractAddress"].clone()).ok()
    })
    .await
}
