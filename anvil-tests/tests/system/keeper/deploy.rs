//! The suite on a real chain.

use alloy::primitives::{Address, U256};
use alloy::signers::local::PrivateKeySigner;
use tokenx_anvil_tests::{KEYS, World};
use tokenx_keeper::deploy::{Deployer, Governance, NewNode, NewToken, key_of, max_amount};

#[tokio::test]
async fn a_suite_two_nodes_and_their_tokens_deploy_in_a_few_blocks() -> anyhow::Result<()> {
    let world = World::start().await?;
    let admin: PrivateKeySigner = KEYS[9].parse()?;
    let deployer = Deployer::connect(&world.chain.url(), admin).await?;
    let keeper = KEYS[8].parse::<PrivateKeySigner>()?.address();
    let governance = Governance { admin_delay: 0, guardian: Address::ZERO, keepers: vec![keeper] };
    let suite = deployer.suite(&governance, true).await?;
    let node = |id: &str| NewNode { node_id: id.into(), issuer_id: format!("{id}-issuer"), treasury: keeper };
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
    deployer.give(suite.payment_token.unwrap_or_default(), &[(keeper, U256::from(100_000_000_000u64))]).await?;
    for address in [suite.registry, suite.registry_executor, suite.factory, nodes[0].executor, nodes[1].executor]
        .into_iter()
        .chain(tokens.iter().copied())
    {
        let code = world.chain.rpc("eth_getCode", serde_json::json!([address, "latest"])).await?;
        assert!(code.as_str().is_some_and(|code| code.len() > 100), "no code at {address}");
    }
    assert_ne!(tokens[0], tokens[1]);
    assert!(suite.block > 0);
    Ok(())
}
