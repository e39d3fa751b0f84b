//! The suite on a real chain.

mod command;

use std::collections::BTreeSet;
use std::time::Duration;

use alloy::primitives::{Address, Bytes, U256, keccak256};
use alloy::rpc::types::TransactionReceipt;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolValue};
use anyhow::Result;
use serde_json::json;
use tokenx::local::anvil::Mining;
use tokenx_anvil_tests::{KEYS, World, eventually};
use tokenx_contracts::bindings::{Executor, NodeContracts, NodeFactory};
use tokenx_keeper::deploy::{
    DeployError, Deployer, Governance, Implementations, NewNode, NewToken, Plan, Step, key_of, max_amount,
};

fn address(key: &str) -> Address {
    key.parse::<PrivateKeySigner>().unwrap().address()
}

fn governance() -> Governance {
    Governance { admin_delay: 0, guardian: Address::ZERO, keepers: vec![address(KEYS[8])] }
}

async fn deployer(world: &World) -> Result<Deployer> {
    Ok(Deployer::connect(&world.chain.url(), KEYS[9].parse()?).await?)
}

/// Transactions that the cold key has sent.
async fn sent(world: &World) -> Result<serde_json::Value> {
    world.chain.rpc("eth_getTransactionCount", json!([address(KEYS[9]), "latest"])).await
}

async fn has_code(world: &World, address: Address) -> Result<bool> {
    let code = world.chain.rpc("eth_getCode", json!([address, "latest"])).await?;
    Ok(code.as_str().is_some_and(|code| code.len() > 100))
}

fn node(id: &str) -> NewNode {
    let (node_id, issuer_id) = (id.into(), format!("{id}-issuer"));
    NewNode { node_id, issuer_id, treasury: address(KEYS[8]), keeper_sets_terms: false }
}

fn contracts(all: Implementations) -> [Address; 6] {
    [all.listing, all.secondary_market, all.otc_desk, all.rent_distributor, all.fee_vault, all.redemption_desk]
}

#[tokio::test]
async fn a_suite_two_nodes_and_their_tokens_deploy_in_a_few_blocks() -> Result<()> {
    let world = World::start().await?;
    let deployer = deployer(&world).await?;
    let governance = governance();
    let suite = deployer.suite(&Plan::of(deployer.admin(), &governance, "", true)).await?;
    let nodes = deployer.nodes(suite.factory, &governance, &[node("one"), node("two")]).await?;
    assert_eq!(nodes[0].key, key_of("one"));
    let token = |node: usize, id: &str| NewToken {
        node: nodes[node].key,
        instrument_id: id.into(),
        name: format!("Token {id}"),
        symbol: id.into(),
        decimals: 18,
        max_supply: max_amount(),
        daily_mint_limit: max_amount(),
        daily_burn_limit: max_amount(),
        daily_force_limit: max_amount(),
    };
    let tokens = deployer.tokens(suite.factory, &[token(0, "rCC"), token(1, "rDD")]).await?;
    let gifts = [(address(KEYS[8]), U256::from(100_000_000_000u64))];
    deployer.give(suite.payment_token.unwrap_or_default(), &gifts).await?;
    let of_nodes = nodes.iter().flat_map(|node| contracts(node.contracts).into_iter().chain([node.executor]));
    for address in [suite.registry, suite.registry_executor, suite.factory].into_iter().chain(of_nodes).chain(tokens) {
        assert!(has_code(&world, address).await?, "no code at {address}");
    }
    assert!(deployer.start_block(&suite, &[]).await? > 0);
    Ok(())
}

#[tokio::test]
async fn a_contract_is_offered_less_than_twice_the_gas_that_it_takes() -> Result<()> {
    let world = World::start().await?;
    let deployer = deployer(&world).await?;
    let plan = Plan::of(deployer.admin(), &governance(), "", true);
    let receipts = deployer.carry_out(&plan.steps).await?;
    for (step, receipt) in plan.steps.iter().zip(receipts).filter(|(step, _)| step.makes.is_some()) {
        let sent = world.chain.rpc("eth_getTransactionByHash", json!([receipt.transaction_hash])).await?;
        let offered: U256 = serde_json::from_value(sent["gas"].clone())?;
        assert!(offered < U256::from(2 * receipt.gas_used), "{}: {offered} for {}", step.what, receipt.gas_used);
    }
    Ok(())
}

#[tokio::test]
async fn a_second_run_finds_what_the_first_did_and_sends_nothing() -> Result<()> {
    let world = World::start().await?;
    let deployer = deployer(&world).await?;
    let governance = governance();
    let plan = Plan::of(deployer.admin(), &governance, "", false);
    assert_eq!(deployer.done(&plan.steps).await?, vec![false; plan.steps.len()]);
    let receipts = deployer.carry_out(&plan.steps).await?;
    let made = deployer.nodes(plan.suite.factory, &governance, &[node("one")]).await?;
    let (before, begun) = (sent(&world).await?, deployer.start_block(&plan.suite, &receipts).await?);
    assert_eq!(Some(begun), receipts[0].block_number);

    let again = Plan::of(deployer.admin(), &governance, "", false);
    assert_eq!(again.suite, plan.suite);
    assert_eq!(deployer.done(&again.steps).await?, vec![true; again.steps.len()]);
    deployer.suite(&again).await?;
    assert_eq!(deployer.nodes(again.suite.factory, &governance, &[node("one")]).await?, made);
    assert_eq!((sent(&world).await?, deployer.start_block(&again.suite, &[]).await?), (before, begun));

    // A keeper more is one transaction more, and moves nothing.
    let mut more = governance.clone();
    more.keepers.push(address(KEYS[7]));
    let more = Plan::of(deployer.admin(), &more, "", false);
    assert_eq!(more.suite, plan.suite);
    assert_eq!(deployer.carry_out(&more.steps).await?.len(), 1);
    Ok(())
}

/// Whether an Executor knows this account as its keeper (or guardian).
async fn has_role(world: &World, executor: Address, role: &str, account: Address) -> Result<bool> {
    let call = Executor::hasRoleCall { role: keccak256(role), account }.abi_encode();
    let answer = world.chain.rpc("eth_call", json!([{ "to": executor, "data": Bytes::from(call) }, "latest"])).await?;
    Ok(bool::abi_decode(&serde_json::from_value::<Bytes>(answer)?)?)
}

#[tokio::test]
async fn keepers_and_a_guardian_named_later_reach_the_nodes_that_are_there() -> Result<()> {
    let world = World::start().await?;
    let deployer = deployer(&world).await?;
    let plan = Plan::of(deployer.admin(), &governance(), "", false);
    deployer.suite(&plan).await?;
    let made = deployer.nodes(plan.suite.factory, &governance(), &[node("one")]).await?;
    let (keeper, guardian) = (address(KEYS[7]), address(KEYS[6]));
    assert!(!has_role(&world, made[0].executor, "KEEPER_ROLE", keeper).await?);

    let mut more = governance();
    more.keepers.push(keeper);
    more.guardian = guardian;
    assert_eq!(deployer.nodes(plan.suite.factory, &more, &[node("one")]).await?, made);
    assert!(has_role(&world, made[0].executor, "KEEPER_ROLE", keeper).await?);
    assert!(has_role(&world, made[0].executor, "GUARDIAN_ROLE", guardian).await?);
    Ok(())
}

#[tokio::test]
async fn a_node_of_another_issuer_treasury_or_power_is_not_taken_for_the_one_that_was_named() -> Result<()> {
    let world = World::start().await?;
    let deployer = deployer(&world).await?;
    let plan = Plan::of(deployer.admin(), &governance(), "", false);
    deployer.suite(&plan).await?;
    let with_terms = |id| NewNode { keeper_sets_terms: true, ..node(id) };
    deployer.nodes(plan.suite.factory, &governance(), &[node("one"), with_terms("two")]).await?;
    deployer.nodes(plan.suite.factory, &governance(), &[node("one"), with_terms("two")]).await?;
    let before = sent(&world).await?;
    let issuer = NewNode { issuer_id: "other".into(), ..node("one") };
    let treasury = NewNode { treasury: address(KEYS[7]), ..node("one") };
    for (other, named) in
        [(issuer, "issuer"), (treasury, "treasury"), (with_terms("one"), "terms"), (node("two"), "terms")]
    {
        let mut more = governance();
        more.keepers.push(address(KEYS[7]));
        let refused = deployer.nodes(plan.suite.factory, &more, &[other]).await.unwrap_err();
        assert!(matches!(refused, DeployError::Differs { what, .. } if what.contains(named)), "{refused}");
    }
    assert_eq!(sent(&world).await?, before, "nothing is sent");
    Ok(())
}

#[tokio::test]
async fn newer_implementations_of_the_factory_are_left_to_it() -> Result<()> {
    let world = World::start().await?;
    let deployer = deployer(&world).await?;
    let plan = Plan::of(deployer.admin(), &governance(), "", false);
    deployer.suite(&plan).await?;
    let newer = Plan::of(deployer.admin(), &governance(), "newer", false);
    deployer.suite(&newer).await?;
    let runs = newer.suite.implementations;
    let next = NodeContracts {
        listing: runs.listing,
        secondaryMarket: runs.secondary_market,
        otcDesk: runs.otc_desk,
        rentDistributor: runs.rent_distributor,
        feeVault: runs.fee_vault,
        redemptionDesk: runs.redemption_desk,
    };
    let call = Bytes::from(NodeFactory::setImplementationsCall { next }.abi_encode());
    world.chain.rpc("anvil_impersonateAccount", json!([deployer.admin()])).await?;
    let transaction = json!([{ "from": deployer.admin(), "to": plan.suite.factory, "data": call }]);
    world.chain.rpc("eth_sendTransaction", transaction).await?;
    deployer.settle().await?;
    assert_eq!(deployer.implementations(plan.suite.factory).await?, runs);

    assert!(deployer.carry_out(&plan.steps).await?.is_empty(), "nothing is put back");
    assert_eq!(deployer.implementations(plan.suite.factory).await?, runs);
    Ok(())
}

#[tokio::test]
async fn wherever_a_run_broke_off_the_next_one_does_the_rest() -> Result<()> {
    let world = World::start().await?;
    let deployer = deployer(&world).await?;
    let plan = Plan::of(deployer.admin(), &governance(), "", false);
    for end in [1, 4, 7, plan.steps.len()] {
        let steps: &[Step] = &plan.steps[..end];
        deployer.carry_out(steps).await?;
        assert!(deployer.done(steps).await?.iter().all(|done| *done), "{end} steps");
    }
    assert_eq!(sent(&world).await?, json!(format!("{:#x}", plan.steps.len())), "each step was sent once");
    Ok(())
}

/// Waits until so many transactions of this deployer are sent and not mined.
async fn waiting(deployer: &Deployer, count: usize) {
    eventually(&format!("{count} transactions wait for a block"), || async {
        deployer.unmined().await.ok().filter(|unmined| unmined.clone().count() == count)
    })
    .await;
}

/// Breaks a run off when all of its transactions are sent and none is mined.
async fn break_off(deployer: &Deployer, plan: &Plan) -> Result<()> {
    tokio::select! {
        done = deployer.suite(plan) => anyhow::bail!("nothing was mined, yet it ended: {done:?}"),
        () = waiting(deployer, plan.steps.len()) => Ok(()),
    }
}

#[tokio::test]
async fn what_an_earlier_run_sent_is_waited_for_and_not_sent_again() -> Result<()> {
    let world = World::with(Mining::Manual).await?;
    let deployer = deployer(&world).await?;
    let plan = Plan::of(deployer.admin(), &governance(), "", false);
    break_off(&deployer, &plan).await?;
    let again = tokio::select! {
        again = deployer.carry_out(&plan.steps) => again?,
        stopped = world.chain.mine_each(Duration::from_millis(100)) => return Err(stopped),
    };
    assert!(again.is_empty(), "{again:?}");
    assert_eq!(deployer.done(&plan.steps).await?, vec![true; plan.steps.len()]);
    assert_eq!(sent(&world).await?, json!(format!("{:#x}", plan.steps.len())), "each step was sent once");
    Ok(())
}

#[tokio::test]
async fn nothing_is_sent_behind_transactions_that_are_not_mined_in_time() -> Result<()> {
    let world = World::with(Mining::Manual).await?;
    let deployer = deployer(&world).await?.with_patience(Duration::ZERO);
    let plan = Plan::of(deployer.admin(), &governance(), "", false);
    break_off(&self::deployer(&world).await?, &plan).await?;
    let before = deployer.unmined().await?;
    let refused = deployer.suite(&plan).await.unwrap_err();
    let last = plan.steps.len() as u64 - 1;
    assert!(matches!(refused, DeployError::Unmined { first: 0, last: at, .. } if at == last), "{refused}");
    assert_eq!(deployer.unmined().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_step_that_somebody_else_did_first_is_done() -> Result<()> {
    let world = World::with(Mining::Manual).await?;
    let one = deployer(&world).await?;
    let other = Deployer::connect(&world.chain.url(), KEYS[7].parse()?).await?;
    let plan = Plan::of(one.admin(), &governance(), "", false);
    // Anyone may make the contracts; what comes after them is the admin's.
    let steps = &plan.steps[..4];
    let mined = async {
        tokio::join!(waiting(&one, steps.len()), waiting(&other, steps.len()));
        anyhow::Ok(world.chain.mine(1).await?)
    };
    let (first, second, ()) = tokio::try_join!(
        async { anyhow::Ok(one.carry_out(steps).await?) },
        async { anyhow::Ok(other.carry_out(steps).await?) },
        mined
    )?;
    let failed = first.iter().chain(&second).filter(|receipt| !receipt.status()).count();
    assert_eq!(failed, steps.len(), "of two creations at one address one fails");
    Ok(())
}

#[tokio::test]
async fn a_block_without_a_log_of_the_registry_is_not_where_the_suite_begins() -> Result<()> {
    let world = World::start().await?;
    let deployer = deployer(&world).await?;
    let mut suite = deployer.suite(&Plan::of(deployer.admin(), &governance(), "", false)).await?;
    world.chain.mine(3).await?;
    // As a node without the state of its past has it: code from some later block on.
    suite.registry = Address::repeat_byte(0x99);
    world.chain.rpc("anvil_setCode", json!([suite.registry, "0x00"])).await?;
    world.chain.mine(3).await?;
    let refused = deployer.start_block(&suite, &[]).await.unwrap_err();
    assert!(matches!(refused, DeployError::Forgotten(_)), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_key_that_cannot_pay_and_a_block_without_room_are_told_before_anything_is_sent() -> Result<()> {
    let world = World::start().await?;
    let deployer = deployer(&world).await?;
    let plan = Plan::of(deployer.admin(), &governance(), "", false);
    world.chain.rpc("anvil_setBalance", json!([deployer.admin(), "0xffff"])).await?;
    let refused = deployer.suite(&plan).await.unwrap_err();
    assert!(matches!(refused, DeployError::Poor { has, .. } if has == U256::from(0xffff)), "{refused}");

    world.chain.rpc("anvil_setBalance", json!([deployer.admin(), "0xffffffffffffffffffff"])).await?;
    world.chain.rpc("evm_setBlockGasLimit", json!(["0x7a1200"])).await?;
    world.chain.mine(1).await?;
    let refused = deployer.suite(&plan).await.unwrap_err();
    assert!(matches!(&refused, DeployError::NoRoom { room: 8_000_000, .. }), "{refused}");
    assert_eq!((sent(&world).await?, deployer.unmined().await?.count()), (json!("0x0"), 0));

    // With blocks as small as most chains have, it takes more of them.
    world.chain.rpc("evm_setBlockGasLimit", json!(["0xf42400"])).await?;
    world.chain.mine(1).await?;
    let receipts = deployer.carry_out(&plan.steps).await?;
    let blocks: BTreeSet<u64> = receipts.iter().filter_map(|receipt| receipt.block_number).collect();
    assert!(receipts.iter().all(TransactionReceipt::status) && blocks.len() > 2, "{blocks:?}");
    Ok(())
}

#[tokio::test]
async fn another_salt_or_another_admin_is_another_suite() {
    let (one, other) = (address(KEYS[9]), address(KEYS[8]));
    let suite = |admin, salt| Plan::of(admin, &governance(), salt, false).suite;
    assert_eq!(suite(one, ""), suite(one, ""));
    assert_ne!(suite(one, "").factory, suite(one, "second").factory);
    assert_ne!(suite(one, "").registry, suite(other, "").registry);
}
