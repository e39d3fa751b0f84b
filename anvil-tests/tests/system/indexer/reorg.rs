//! Reorgs: whatever the node takes back, the tables take back, and nothing final is ever deleted.

use alloy::primitives::{B256, U256};
use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use serde_json::json;
use tokenx_anvil_tests::eventually;
use tokenx_config::Finality;
use tokenx_contracts::bindings::SecurityToken;
use tokenx_indexer::read;

use super::campaign::compare::tables;
use super::{ALICE, BOB, CHAIN, Stage, id};

impl Stage {
    /// Replaces the last `depth` blocks by empty ones; their transactions are gone.
    pub(super) async fn turn(&self, depth: u64) -> Result<()> {
        self.world.chain.rpc("anvil_reorg", json!([depth, []])).await.map(drop)
    }

    /// A block with something of everything in it.
    pub(super) async fn busy_block(&self, n: u64) -> Result<()> {
        self.mint(&format!("mint {n}"), ALICE, 100 + n).await?;
        let amount = U256::from(n % 7);
        self.order(
            &format!("freeze {n}"),
            SecurityToken::setFrozenTokens_0Call { account: ALICE, amount, reason: B256::ZERO },
        )
        .await?;
        let forced =
            SecurityToken::forcedTransfer_1Call { from: ALICE, to: BOB, amount: U256::from(50), reason: B256::ZERO };
        self.order(&format!("force {n}"), forced).await?;
        if n.is_multiple_of(3) {
            self.order(&format!("pause {n}"), SecurityToken::pauseCall { reason: B256::ZERO }).await?;
        }
        self.mine(1).await
    }
}

#[tokio::test]
async fn reorgs_of_depth_1_5_and_20_heal() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE, BOB]).await?;
    let mut n = 0;
    for depth in [1u64, 5, 20] {
        for _ in 0..depth + 2 {
            n += 1;
            stage.busy_block(n).await?;
        }
        stage.settles(&[ALICE, BOB]).await?;
        let before = read::cursor(pool, CHAIN).await?.context("a cursor")?;
        stage.turn(depth).await?;
        n += 1;
        stage.busy_block(n).await?;
        stage.settles(&[ALICE, BOB]).await?;

        let after = read::cursor(pool, CHAIN).await?.context("a cursor")?;
        assert_eq!(after.reorgs, before.reorgs + 1);
        let healed: (i64, i64) =
            sqlx::query_as("SELECT depth, old_number - ancestor_number FROM reorgs ORDER BY id DESC LIMIT 1")
                .fetch_one(pool)
                .await?;
        assert_eq!(healed, (depth.cast_signed(), depth.cast_signed()));
        let corrected: i64 =
            sqlx::query_scalar("SELECT count(*) FROM outbox WHERE kind = 'mint.removed'").fetch_one(pool).await?;
        assert!(corrected >= depth.cast_signed(), "every mint that went is taken back, {corrected} of {depth}");
        let paused = stage.view(stage.token(), SecurityToken::pausedCall {}).await?;
        let instrument = read::instrument(pool, CHAIN, "rCC").await?.context("rCC")?;
        assert_eq!(instrument.transfers_paused, paused);
    }
    indexer.stop().await
}

#[tokio::test]
async fn a_transaction_that_comes_back_in_another_block_counts_once() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE]).await?;
    stage.mine(1).await?;
    let hash = stage.mint("again", ALICE, 5).await?;
    let raw = stage.world.chain.rpc("eth_getRawTransactionByHash", json!([hash])).await?;
    stage.mine(1).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;
    // The same bytes, one block later than before.
    stage.world.chain.rpc("anvil_reorg", json!([3, [[raw, 2]]])).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;
    assert_eq!(read::position(pool, CHAIN, stage.token(), ALICE).await?.balance, U256::from(5));
    let rows: Vec<Vec<u8>> = sqlx::query_scalar("SELECT tx_hash FROM mints WHERE command_key = $1")
        .bind(id("again").as_slice())
        .fetch_all(pool)
        .await?;
    assert_eq!(rows, [hash.to_vec()]);
    let told: Vec<String> =
        sqlx::query_scalar("SELECT kind FROM outbox WHERE kind LIKE 'mint%' ORDER BY xid, seq").fetch_all(pool).await?;
    assert_eq!(told, ["mint", "mint.removed", "mint"], "told, taken back, told again");
    indexer.stop().await
}

#[tokio::test]
async fn an_account_that_only_the_lost_branch_had_is_gone() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE, BOB]).await?;
    stage.mint("kept", ALICE, 5).await?;
    stage.mine(1).await?;
    let accounts = async || sqlx::query_scalar::<_, i64>("SELECT count(*) FROM holdings").fetch_one(pool).await;
    stage.settles(&[ALICE, BOB]).await?;
    assert_eq!(accounts().await?, 1);
    // A block that leaves Bob as he was before it, and one that does not.
    let frozen = |amount| SecurityToken::setFrozenTokens_0Call { account: BOB, amount, reason: B256::ZERO };
    stage.order("freeze", frozen(U256::from(3))).await?;
    stage.order("unfreeze", frozen(U256::ZERO)).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE, BOB]).await?;
    assert_eq!(accounts().await?, 2, "an account with history has a row, however its blocks were batched");
    stage.mint("lost", BOB, 7).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE, BOB]).await?;
    stage.turn(1).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE, BOB]).await?;
    assert_eq!(accounts().await?, 2, "the freeze is still there");
    stage.turn(3).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE, BOB]).await?;
    assert_eq!(accounts().await?, 1);
    indexer.stop().await
}

#[tokio::test]
async fn a_reorg_while_nobody_followed_heals_at_the_start() -> Result<()> {
    let stage = Stage::set().await?;
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE, BOB]).await?;
    for n in 1..6 {
        stage.busy_block(n).await?;
    }
    stage.settles(&[ALICE, BOB]).await?;
    indexer.stop().await?;
    stage.turn(4).await?;
    // So far ahead that the blocks above the cursor are final, and are read in ranges.
    stage.mine(100).await?;
    stage.busy_block(7).await?;
    let indexer = stage.follow().await;
    stage.settles(&[ALICE, BOB]).await?;
    let healed: i64 = sqlx::query_scalar("SELECT count(*) FROM reorgs").fetch_one(&stage.world.pool).await?;
    assert_eq!(healed, 1);
    indexer.stop().await
}

#[tokio::test]
async fn a_token_whose_deployment_is_taken_back_is_gone() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE]).await?;
    stage.settles(&[ALICE]).await?;
    stage.deploy_token("rGONE").await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;
    assert!(read::instrument(pool, CHAIN, "rGONE").await?.is_some());
    stage.turn(1).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;
    assert_eq!(read::instrument(pool, CHAIN, "rGONE").await?, None);
    // The same id may be used again: another block, the same address.
    stage.deploy_token("rGONE").await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;
    assert!(read::instrument(pool, CHAIN, "rGONE").await?.is_some());
    indexer.stop().await
}

impl Stage {
    pub(super) async fn deploy_token(&self, instrument_id: &str) -> Result<()> {
        use tokenx_contracts::bindings::{NodeFactory, TokenConfig};
        let node = &self.deployment.nodes[0].node;
        let config = TokenConfig {
            nodeKey: node.key,
            instrumentId: instrument_id.to_owned(),
            name: "a token".to_owned(),
            symbol: "T".to_owned(),
            decimals: 18,
            maxSupply: U256::from(1_000_000_000),
            dailyMintLimit: alloy::primitives::Uint::from(1_000u64),
            dailyBurnLimit: alloy::primitives::Uint::from(1_000u64),
            dailyForceLimit: alloy::primitives::Uint::from(1_000u64),
        };
        let cold = tokenx::local::suite::COLD_KEY.parse::<alloy::signers::local::PrivateKeySigner>()?.address();
        let call = NodeFactory::deployTokenCall { config }.abi_encode();
        self.send(cold, Some(self.deployment.suite.factory), call).await.map(drop)
    }
}

#[tokio::test]
async fn below_finality_nothing_is_written_and_nothing_deleted() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.settings.chain.finality = Finality::Depth(4);
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE, BOB]).await?;
    for n in 1..10 {
        stage.busy_block(n).await?;
    }
    stage.settles(&[ALICE, BOB]).await?;
    let before = tables(pool).await?;
    stage.turn(8).await?;
    stage.mine(1).await?;
    let why = eventually("following has stopped", || async { read::cursor(pool, CHAIN).await.ok()??.halted }).await;
    assert!(why.contains("is final here"), "{why}");
    stage.mine(3).await?;
    // Another look at it, and nothing comes of it.
    let polled = async || sqlx::query_scalar::<_, time::OffsetDateTime>(POLLED).fetch_one(pool).await;
    let since = polled().await?;
    eventually("it goes on looking", || async { polled().await.is_ok_and(|last| last > since).then_some(()) }).await;
    assert!(tables(pool).await? == before, "nothing is deleted, nothing is added, nothing is another");

    indexer.stop().await
}

#[tokio::test]
async fn a_halt_that_is_over_ends_without_a_new_block() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE]).await?;
    stage.settles(&[ALICE]).await?;
    indexer.stop().await?;
    // As it was left by a process that met a node on another branch; now the node has our blocks, and none above them.
    sqlx::query("UPDATE chain_cursors SET halted = 'block 1 is final here'").execute(pool).await?;
    let (before, head) = (tables(pool).await?, stage.head().await?);
    let indexer = stage.follow().await;
    eventually("following is no longer stopped", || async {
        read::cursor(pool, CHAIN).await.ok()??.halted.is_none().then_some(())
    })
    .await;
    assert_eq!(stage.head().await?, head);
    assert!(tables(pool).await? == before, "and nothing else is written");
    indexer.stop().await
}

const POLLED: &str = "SELECT polled_at FROM chain_cursors";

#[tokio::test]
async fn what_a_reorg_brings_below_where_we_came_is_not_told() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    stage.whitelist(&[ALICE]).await?;
    stage.mine(1).await?;
    let hash = stage.mint("past", ALICE, 5).await?;
    let raw = stage.world.chain.rpc("eth_getRawTransactionByHash", json!([hash])).await?;
    stage.mine(3).await?;
    let indexer = stage.follow().await;
    stage.settles(&[ALICE]).await?;
    indexer.stop().await?;
    // The same mint, a block later and still below; and one above, in the same new branch.
    stage.world.chain.rpc("anvil_reorg", json!([3, [[raw, 1]]])).await?;
    stage.mint("present", ALICE, 7).await?;
    stage.mine(1).await?;
    let indexer = stage.follow().await;
    stage.settles(&[ALICE]).await?;
    let mints: Vec<String> =
        sqlx::query_scalar("SELECT amount::text FROM mints ORDER BY block_number").fetch_all(pool).await?;
    assert_eq!(mints, ["5", "7"]);
    let told: Vec<String> = sqlx::query_scalar(
        "SELECT kind || ' ' || (payload->>'amount') FROM outbox WHERE kind LIKE 'mint%' ORDER BY xid, seq",
    )
    .fetch_all(pool)
    .await?;
    assert_eq!(told, ["mint 7"], "what was before we came is stored and not told");
    indexer.stop().await
}
