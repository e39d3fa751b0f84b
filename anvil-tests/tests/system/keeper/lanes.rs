//! Lanes: their keys, their money, and the Executors they go through.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolConstructor;
use serde_json::json;
use tokenx::local::suite::{COLD_KEY, LANE_KEYS};
use tokenx_anvil_tests::eventually;
use tokenx_contracts::bindings::{Executor, ExecutorConfig};
use tokenx_keeper::{Commands, Doors, Keeper, KeeperError, Operation, State, status};

use super::slots::{manual, mined_until};
use super::{ALICE, BOB, Stack, key, mint, new};

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_without_the_key_of_unfinished_transactions_does_not_start() {
    let (stack, keeper) = manual().await;
    keeper.stop().await;
    let mut other = stack.settings.clone();
    other.signer.keys = vec![LANE_KEYS[1].into()];
    let start = || async { Keeper::new(&other, stack.pool().clone(), &stack.commands).await.unwrap() };
    let error = start().await.run(stack.stop.child_token()).await.unwrap_err();
    let KeeperError::Stranded { address, slots } = &error else { panic!("{error}") };
    assert_eq!(*address, key(LANE_KEYS[0]).address());
    assert!(*slots > 0 && error.to_string().contains("put the key back"), "{error}");

    // While somebody has that key, the other one may join.
    let keeper = stack.keeper().await;
    eventually("the lane is worked", || async {
        (stack.count("SELECT epoch FROM lanes ORDER BY lane_id LIMIT 1").await == 2).then_some(())
    })
    .await;
    let joined = stack.keeper_by(&other).await;
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
