//! Tokens made by command.

use alloy::primitives::{B256, U256};
use tokenx_anvil_tests::eventually;
use tokenx_contracts::ReasonCode;
use tokenx_indexer::read;
use tokenx_keeper::deploy::key_of;
use tokenx_keeper::{AcceptError, Operation, State};

use super::super::Stack;
use super::{ALICE, REASON, tokens};

fn deploy(instrument: &str, node: B256) -> Operation {
    Operation::DeployToken {
        instrument: instrument.parse().unwrap(),
        node,
        name: "Real Estate".to_owned(),
        symbol: instrument.to_owned(),
        decimals: 18,
        max_supply: tokens(1_000),
        daily_mint_limit: tokens(100),
        daily_burn_limit: tokens(10),
        daily_force_limit: U256::ZERO,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_by_command_and_minted_within_its_limits() {
    let stack = Stack::start().await;
    let keeper = stack.keeper().await;
    stack.refused(deploy("rEE", key_of("no-node")), ReasonCode::UnknownNode).await;
    stack.refused(deploy("rCC", key_of("node-1")), ReasonCode::InstrumentExists).await;
    stack.done("deploy", deploy("rEE", key_of("node-1"))).await;
    let made = eventually("the token is indexed", || async {
        read::instrument(stack.pool(), stack.chain(), "rEE").await.unwrap()
    })
    .await;
    assert_eq!(made.executor, Some(stack.deployment.nodes[0].node.executor));

    let (instrument, to, reason) = (made.instrument_id.parse().unwrap(), ALICE.0, REASON);
    let mint = |count| Operation::Mint { instrument: "rEE".parse().unwrap(), to, amount: tokens(count), reason };
    stack.done("mint", Operation::Mint { instrument, to, amount: tokens(100), reason }).await;
    stack.accept("more", mint(1)).await.unwrap();
    let refused = stack.until("more", "ends", |view| view.state.is_ended()).await;
    assert_eq!(refused.reason_code.as_deref(), Some(ReasonCode::DailyLimitExceeded.as_str()));

    // The same id for another token is another command.
    let other = stack.accept("deploy", deploy("rFF", key_of("node-1"))).await;
    assert!(matches!(other, Err(AcceptError::Conflict(_))), "{other:?}");
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_commands_for_one_token_one_makes_it() {
    let stack = Stack::start().await;
    for id in ["one", "two"] {
        stack.accept(id, deploy("rEE", key_of("node-1"))).await.unwrap();
    }
    let keeper = stack.keeper().await;
    stack.confirmed("one").await;
    let two = stack.until("two", "ends", |view| view.state.is_ended()).await;
    assert_eq!(two.state, State::Failed);
    assert_eq!(two.reason_code.as_deref(), Some(ReasonCode::InstrumentExists.as_str()));
    stack.tables_are_the_chains().await;
    keeper.stop().await;
}
