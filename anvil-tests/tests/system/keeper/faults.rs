//! What goes wrong around the keeper, and what it does about it.

use alloy::primitives::{Address, B256, U256, keccak256};
use serde_json::json;
use tokenx::local::anvil::Mining;
use tokenx_anvil_tests::{Cutter, Fault, FaultProxy, eventually};
use tokenx_contracts::Scope;
use tokenx_keeper::{State, status};

use super::slots::{manual, mined_until};
use super::{ALICE, BOB, Stack, mint};

const SEND: &str = "eth_sendRawTransaction";
const RECEIPT: &str = "eth_getTransactionReceipt";

/// Hash and digest of the signed bytes of all attempts, oldest first.
async fn attempts(stack: &Stack) -> Vec<(B256, B256)> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as("SELECT hash::bytea, raw FROM attempts ORDER BY signed_at, n")
        .fetch_all(stack.pool())
        .await
        .unwrap();
    rows.into_iter().map(|(hash, raw)| (B256::from_slice(&hash), keccak256(raw))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_prepared_before_a_crash_are_the_bytes_sent_after_it() {
    let stack = Stack::start().await;
    let proxy = FaultProxy::start(&stack.world.chain.url(), 0).await.unwrap();
    proxy.rule(SEND, Fault::Hang, 1.0);
    let mut through = stack.settings.clone();
    through.chain.rpc_url = proxy.url().into();
    let before = attempts(&stack).await.len();
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    let keeper = stack.keeper_by(&through).await;
    stack.until("m", "is prepared", |view| view.state == State::Prepared).await;
    keeper.crash().await;
    let prepared = attempts(&stack).await;
    assert_eq!(prepared.len(), before + 1);
    let unsent = stack.count("SELECT count(*) FROM attempts WHERE first_sent_at IS NULL").await;
    assert_eq!(unsent, 1);

    let keeper = stack.keeper().await;
    let done = stack.confirmed("m").await;
    assert_eq!(attempts(&stack).await, prepared);
    assert_eq!(done.tx_hash, Some(prepared[before].0));
    assert_eq!((stack.runs("m").await, stack.balance(ALICE).await.to::<u64>()), (1, 100));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_send_reply_lost_each_command_runs_once() {
    let stack = Stack::start().await;
    let proxy = FaultProxy::start(&stack.world.chain.url(), 0).await.unwrap();
    proxy.rule(SEND, Fault::LoseReply, 1.0);
    let mut through = stack.settings.clone();
    through.chain.rpc_url = proxy.url().into();
    through.keeper.batch_max_items = 3;
    let keeper = stack.keeper_by(&through).await;
    for i in 0..30 {
        stack.accept(&format!("m-{i}"), mint(ALICE, 1)).await.unwrap();
    }
    for i in 0..30 {
        stack.confirmed(&format!("m-{i}")).await;
        assert_eq!(stack.runs(&format!("m-{i}")).await, 1);
    }
    assert_eq!(stack.balance(ALICE).await.to::<u64>(), 30);
    keeper.stop().await;
}

/// Owners and epochs of the lanes, once each of them has been taken by another than these.
async fn owners(stack: &Stack, before: &[(Option<String>, i64)]) -> Vec<(Option<String>, i64)> {
    eventually("each lane is taken", || async {
        let lanes: Vec<(Option<String>, i64)> =
            sqlx::query_as("SELECT owner, epoch FROM lanes ORDER BY lane_id").fetch_all(stack.pool()).await.unwrap();
        let taken = lanes.iter().enumerate().all(|(i, (owner, epoch))| {
            owner.is_some() && before.get(i).is_none_or(|(was, at)| owner != was && epoch > at)
        });
        (!lanes.is_empty() && taken).then_some(lanes)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_stands_by_and_takes_every_lane_over_when_the_other_crashes() {
    let stack = Stack::start().await;
    let nobody = owners(&stack, &[]).await;
    let first = stack.keeper().await;
    let mine = owners(&stack, &nobody).await;
    let second = stack.keeper().await;
    for i in 0..20 {
        stack.accept(&format!("m-{i}"), mint(ALICE, 1)).await.unwrap();
    }
    stack.confirmed("m-0").await;
    assert_eq!(owners(&stack, &[]).await, mine, "a second keeper stands by");
    first.crash().await;
    owners(&stack, &mine).await;
    for i in 20..40 {
        stack.accept(&format!("m-{i}"), mint(ALICE, 1)).await.unwrap();
    }
    for i in 0..40 {
        stack.confirmed(&format!("m-{i}")).await;
        assert_eq!(stack.runs(&format!("m-{i}")).await, 1);
    }
    assert_eq!(stack.balance(ALICE).await.to::<u64>(), 40);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_are_not_to_be_had_keep_nothing_else_from_going_on() {
    let (stack, keeper) = manual().await;
    keeper.stop().await;
    let proxy = FaultProxy::start(&stack.world.chain.url(), 0).await.unwrap();
    let mut through = stack.settings.clone();
    through.chain.rpc_url = proxy.url().into();
    proxy.rule(RECEIPT, Fault::Status(503), 1.0);
    let keeper = stack.keeper_by(&through).await;
    stack.accept("m", mint(ALICE, 1)).await.unwrap();
    stack.until("m", "is broadcast", |view| view.state == State::Broadcast).await;
    stack.commands.cancel(&Scope::Ops, &"m".parse().unwrap(), "user:test", "r").await.unwrap();
    eventually("the no-op is sent", || async {
        let sent = "SELECT count(*) FROM attempts WHERE kind = 'noop' AND first_sent_at IS NOT NULL";
        (stack.count(sent).await == 1).then_some(())
    })
    .await;
    stack.mine().await;
    eventually("its receipt is asked for", || async { (proxy.struck() > 0).then_some(()) }).await;
    stack.accept("next", mint(BOB, 1)).await.unwrap();
    stack.until("next", "is broadcast", |view| view.state == State::Broadcast).await;
    // Once at a head; and at the one before, where that came between a look at the head and one at the slots.
    assert!(proxy.struck() <= 2, "asked for {} times", proxy.struck());
    mined_until(&stack, "next", State::Confirmed).await;
    assert!(!stack.view("m").await.state.is_ended());
    proxy.heal();
    mined_until(&stack, "m", State::Cancelled).await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_host_that_vanishes_costs_a_keeper_its_lanes_only_until_it_is_back() {
    let stack = Stack::start().await;
    let database = Cutter::before(stack.world.database.url()).await.unwrap();
    let mut through = stack.settings.clone();
    through.database.direct_url = Some(database.url().into());
    let nobody = owners(&stack, &[]).await;
    let keeper = stack.keeper_by(&through).await;
    let before = owners(&stack, &nobody).await;
    database.vanish();
    eventually("the keeper has tried to get its locks again", || async {
        (database.unheard() > before.len() as u64).then_some(())
    })
    .await;
    database.appear();
    owners(&stack, &before).await;
    stack.accept("m", mint(ALICE, 1)).await.unwrap();
    stack.confirmed("m").await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_takes_a_command_back_and_the_same_bytes_run_once_more() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    let before = stack.confirmed("m").await;
    // No block between the look and the reorg. The last blocks are replaced by empty ones, and their transactions are
    // forgotten by the node.
    let mining = |seconds: u64| stack.world.chain.rpc("evm_setIntervalMining", json!([seconds]));
    mining(0).await.unwrap();
    let head = stack.world.chain.rpc("eth_blockNumber", json!([])).await.unwrap();
    let head = u64::from_str_radix(head.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    let depth = head - before.block_number.unwrap() + 1;
    stack.world.chain.rpc("anvil_reorg", json!([depth, []])).await.unwrap();
    mining(1).await.unwrap();
    let after = stack
        .until("m", "is confirmed in another block", |view| {
            view.state == State::Confirmed && view.block_hash != before.block_hash
        })
        .await;
    assert_eq!(after.tx_hash, before.tx_hash);
    assert_eq!((stack.runs("m").await, stack.balance(ALICE).await.to::<u64>()), (1, 100));
    let told: Vec<String> =
        sqlx::query_scalar("SELECT kind FROM outbox WHERE payload ->> 'command_id' = 'm' ORDER BY xid, seq")
            .fetch_all(stack.pool())
            .await
            .unwrap();
    assert_eq!(told, ["command.accepted", "command.confirmed", "command.corrected", "command.confirmed"]);
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_the_node_forgot_is_sent_again() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    // No blocks of their own for a moment, so that it can be taken out of the pool.
    stack.world.chain.rpc("evm_setIntervalMining", json!([0])).await.unwrap();
    stack.accept("m", mint(ALICE, 100)).await.unwrap();
    let sent = stack.until("m", "is broadcast", |view| view.state == State::Broadcast).await;
    stack.world.chain.rpc("anvil_dropTransaction", json!([sent.tx_hash.unwrap()])).await.unwrap();
    for _ in 0..3 {
        stack.mine().await;
    }
    eventually("it is confirmed", || async {
        stack.mine().await;
        (stack.view("m").await.state == State::Confirmed).then_some(())
    })
    .await;
    assert_eq!((stack.view("m").await.tx_hash, stack.runs("m").await), (sent.tx_hash, 1));
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reorg_nothing_goes_before_what_it_may_build_upon() {
    let stack = Stack::with(Mining::Manual, |_| {}).await;
    let keeper = stack.keeper().await;
    let wallets: Vec<Address> = (0x60..0x68).map(Address::repeat_byte).collect();
    let whitelisted = stack.whitelist(&wallets);
    tokio::select! {
        () = whitelisted => {}
        () = async { loop { stack.mine().await } } => {}
    }
    for wallet in &wallets {
        stack.accept(&format!("mint-{wallet}"), mint(*wallet, 1)).await.unwrap();
    }
    for wallet in &wallets {
        mined_until(&stack, &format!("mint-{wallet}"), State::Confirmed).await;
    }

    // A lane that whitelisted somebody for whom another one minted cannot pay for its own to come back.
    let (lane, dependent): (Vec<u8>, String) = sqlx::query_as(
        "SELECT l.address::bytea, m.command_id
           FROM commands c
           JOIN slot_commands w ON w.command_seq = c.seq
           JOIN lanes l         ON l.lane_id = w.lane_id
           JOIN commands m      ON m.command_id = replace(c.command_id, 'whitelist-', 'mint-') AND m.kind = 'mint'
           JOIN slot_commands s ON s.command_seq = m.seq AND s.lane_id <> w.lane_id
          WHERE c.kind = 'whitelist'
          LIMIT 1",
    )
    .fetch_one(stack.pool())
    .await
    .expect("eight pairs over three lanes");
    let lane = Address::from_slice(&lane);
    let fund = |wei: u128| stack.world.chain.rpc("anvil_setBalance", json!([lane, U256::from(wei)]));
    let first: i64 = sqlx::query_scalar("SELECT min(block_number) FROM slots").fetch_one(stack.pool()).await.unwrap();
    let head = stack.world.chain.rpc("eth_blockNumber", json!([])).await.unwrap();
    let head = i64::from_str_radix(head.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    stack.world.chain.rpc("anvil_reorg", json!([head - first + 1, []])).await.unwrap();
    fund(0).await.unwrap();
    eventually("another lane says why it waits", || async {
        stack.mine().await;
        let taken = status::read(stack.pool(), stack.chain()).await.unwrap()?;
        let waits = |problem: &String| problem.contains("until they are back");
        taken.snapshot.lanes.iter().any(|lane| lane.problem.as_ref().is_some_and(waits)).then_some(())
    })
    .await;
    for _ in 0..8 {
        stack.mine().await;
    }
    assert!(!stack.view(&dependent).await.state.is_ended(), "{dependent} waits for its whitelisting");

    fund(10u128.pow(19)).await.unwrap();
    for wallet in &wallets {
        for id in [format!("whitelist-{wallet}"), format!("mint-{wallet}")] {
            mined_until(&stack, &id, State::Confirmed).await;
            assert_eq!(stack.runs(&id).await, 1, "{id}");
        }
    }
    keeper.stop().await;
}
