//! The main road: what happens to a token is in the tables, exactly, with the command behind it.

use alloy::primitives::{B256, U256};
use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use tokenx_anvil_tests::eventually;
use tokenx_contracts::bindings::{NodeFactory, SecurityToken, TokenConfig};
use tokenx_indexer::read::{self, Filter, Party};

use super::{ALICE, BOB, CHAIN, Stage, id};

fn all(at_block: u64) -> Filter {
    Filter { chain_id: CHAIN, at_block, instrument_id: None, tokens: None, party: None, limit: 100, offset: 0 }
}

#[tokio::test]
async fn every_act_on_a_token_is_in_the_tables_with_its_command() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE, BOB]).await?;

    // Two commands in one transaction, so that attribution has something to get wrong.
    let executor = stage.deployment.nodes[0].node.executor;
    let mint =
        |to, amount: u64| SecurityToken::mintCall { to, amount: U256::from(amount), reason: B256::repeat_byte(7) };
    let minted = stage
        .execute(
            executor,
            vec![
                (id("mint 1"), stage.token(), mint(ALICE, 1_000_000_007).abi_encode()),
                (id("mint 2"), stage.token(), mint(BOB, 5).abi_encode()),
            ],
        )
        .await?;
    stage.mine(1).await?;
    let frozen = SecurityToken::setFrozenTokens_0Call { account: ALICE, amount: U256::from(400), reason: B256::ZERO };
    stage.order("freeze", frozen).await?;
    stage.mine(1).await?;
    let taken = SecurityToken::forcedTransfer_1Call {
        from: ALICE,
        to: BOB,
        amount: U256::from(1_000_000_000),
        reason: B256::repeat_byte(9),
    };
    stage.order("force", taken).await?;
    stage.order("burn", SecurityToken::burnCall { from: BOB, amount: U256::from(3), reason: B256::ZERO }).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE, BOB]).await?;

    let at = read::as_of(pool, CHAIN).await?.context("a confirmed block")?;
    let mints = read::mints(pool, &all(at.block)).await?;
    let seen: Vec<_> = mints.iter().map(|row| (row.wallet, row.amount, row.command_key, row.investor_id)).collect();
    assert_eq!(
        seen,
        [
            (BOB, U256::from(5), Some(id("mint 2")), Some(2)),
            (ALICE, U256::from(1_000_000_007), Some(id("mint 1")), Some(1)),
        ],
        "newest first"
    );
    assert!(mints.iter().all(|row| row.tx_hash == minted && row.reason == Some(B256::repeat_byte(7))));
    assert_eq!(mints[0].instrument_id, "rCC");
    let of_alice = Filter { party: Some(Party::Investor(1)), ..all(at.block) };
    assert_eq!(read::mints(pool, &of_alice).await?.len(), 1);
    let burns = read::burns(pool, &all(at.block)).await?;
    assert_eq!((burns.len(), burns[0].command_key), (1, Some(id("burn"))));
    let before_the_burn = all(at.block - 1);
    assert!(read::burns(pool, &before_the_burn).await?.is_empty(), "as of the block before, nothing was burned");

    let forced: (bool, Vec<u8>) = sqlx::query_as("SELECT forced, reason FROM transfers WHERE command_key = $1")
        .bind(id("force").as_slice())
        .fetch_one(pool)
        .await?;
    assert_eq!(forced, (true, vec![9; 32]));

    let bob = read::position(pool, CHAIN, stage.token(), BOB).await?;
    assert_eq!(bob.spendable(), U256::from(1_000_000_002));
    let record = read::investor_wallet(pool, CHAIN, BOB).await?.context("a record")?;
    assert!(record.eligible_at(at.time) && record.country == 276 && record.investor_id == 2);

    let told: Vec<String> =
        sqlx::query_scalar("SELECT kind FROM outbox WHERE kind IN ('mint', 'burn') ORDER BY xid, seq")
            .fetch_all(pool)
            .await?;
    assert_eq!(told, ["mint", "mint", "burn"]);
    indexer.stop().await
}

#[tokio::test]
async fn holdings_are_split_and_summed_as_of_any_block() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE, BOB]).await?;
    stage.mint("1", ALICE, 90).await?;
    stage.mint("2", BOB, 10).await?;
    stage.mine(1).await?;
    let (minted_at, _) = stage.head().await?;
    let frozen = SecurityToken::setFrozenTokens_0Call { account: ALICE, amount: U256::from(30), reason: B256::ZERO };
    stage.order("3", frozen).await?;
    stage.mine(1).await?;
    let (frozen_at, _) = stage.head().await?;
    let whole = SecurityToken::setAddressFrozenCall { account: BOB, frozen: true, reason: B256::ZERO };
    stage.order("4", whole).await?;
    stage.order("5", SecurityToken::burnCall { from: ALICE, amount: U256::from(60), reason: B256::ZERO }).await?;
    stage.mine(1).await?;
    let (last, _) = stage.head().await?;
    stage.settles(&[ALICE, BOB]).await?;

    let rows = async |block: u64| -> Result<Vec<(i64, String, bool)>> {
        Ok(sqlx::query_as(
            "SELECT investor_id, amount::text, locked
               FROM holding_rows_at($1, $2)
              WHERE instrument_id = 'rCC'
              ORDER BY investor_id, locked",
        )
        .bind(CHAIN.cast_signed())
        .bind(block.cast_signed())
        .fetch_all(pool)
        .await?)
    };
    let row = |investor, amount: &str, locked| (investor, amount.to_owned(), locked);
    assert_eq!(rows(minted_at).await?, [row(1, "90", false), row(2, "10", false)]);
    assert_eq!(rows(frozen_at).await?, [row(1, "60", false), row(1, "30", true), row(2, "10", false)]);
    assert_eq!(rows(last).await?, [row(1, "30", true), row(2, "10", true)]);
    assert_eq!(rows(minted_at - 1).await?, []);

    let status = eventually("the monitor has seen the last block", || async {
        read::status(pool, CHAIN).await.ok().flatten().filter(|status| status.block_number == last)
    })
    .await;
    let token = status.tokens.iter().find(|token| token.instrument_id == "rCC").context("a figure for rCC")?;
    assert_eq!(token.total_supply, "0.00000000000000004");
    assert_eq!(token.total_locked_supply, "0.00000000000000004");
    assert_eq!(token.unique_holders, 2);
    assert_eq!(token.top_holder_share.as_deref(), Some("0.75"));
    assert_eq!(token.supply_concentration_hhi.as_deref(), Some("0.625"));
    assert_eq!(status.monitor.last_scan_holdings, 2);
    let empty = status.tokens.iter().find(|token| token.instrument_id == "rDD").context("a figure for rDD")?;
    assert_eq!((empty.unique_holders, &empty.top_holder_share), (0, &None));
    indexer.stop().await
}

#[tokio::test]
async fn a_token_is_known_from_the_block_that_deploys_it() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE]).await?;
    stage.settles(&[ALICE]).await?;

    // Deployed and minted in one block: the range that makes the token known also has its first holder.
    let node = &stage.deployment.nodes[0].node;
    let factory = stage.deployment.suite.factory;
    let config = TokenConfig {
        nodeKey: node.key,
        instrumentId: "rNEW".into(),
        name: "with a\0nul".into(),
        symbol: "rNEW".into(),
        decimals: 6,
        maxSupply: U256::from(1_000_000),
        dailyMintLimit: alloy::primitives::Uint::from(1_000_000u64),
        dailyBurnLimit: alloy::primitives::Uint::from(1_000_000u64),
        dailyForceLimit: alloy::primitives::Uint::from(1_000_000u64),
    };
    let issuer = tokenx_keeper::deploy::key_of("issuer-1");
    let predicted = stage
        .view(factory, NodeFactory::predictTokenCall { nodeKey: node.key, issuer, instrumentId: "rNEW".into() })
        .await?;
    let mint = SecurityToken::mintCall { to: ALICE, amount: U256::from(77), reason: B256::ZERO };
    stage
        .execute(node.executor, vec![(id("deploy"), factory, NodeFactory::deployTokenCall { config }.abi_encode())])
        .await?;
    stage.execute(node.executor, vec![(id("first"), predicted, mint.abi_encode())]).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;

    let found = read::instrument(pool, CHAIN, "rNEW").await?.context("the new instrument")?;
    assert_eq!((found.token, found.decimals, found.total_supply), (predicted, 6, U256::from(77)));
    assert_eq!(found.name, "with a\u{fffd}nul");
    assert_eq!(found.registry, Some(stage.deployment.suite.registry));
    let undecoded: i64 = sqlx::query_scalar("SELECT count(*) FROM logs WHERE NOT decoded").fetch_one(pool).await?;
    assert_eq!(undecoded, 0, "our own contracts say nothing that we do not understand");
    indexer.stop().await
}
