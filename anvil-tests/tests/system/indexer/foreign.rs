//! Tokens that somebody else deployed, found by a setting.

use alloy::primitives::{Address, B256, Bytes, U256, bytes};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolEvent};
use anyhow::{Context, Result};
use serde_json::json;
use tokenx::local::suite::COLD_KEY;
use tokenx_anvil_tests::eventually;
use tokenx_config::Follow;
use tokenx_contracts::bindings::{NodeFactory, SecurityToken, TestUSD};
use tokenx_indexer::{IndexerError, Rebuild, read};

use super::{ALICE, BOB, CHAIN, Running, Stage, id};

/// Logs whatever it is called with: three topics, then one word of data.
const ECHO: Bytes = bytes!("601680600b6000396000f36020606060003760403560203560003560206000a300");

pub(super) fn follow(token: Address, instrument_id: &str) -> Follow {
    Follow { token, instrument_id: instrument_id.to_owned(), start_block: None }
}

pub(super) fn cold() -> Result<Address> {
    Ok(COLD_KEY.parse::<PrivateKeySigner>()?.address())
}

impl Stage {
    pub(super) fn usd(&self) -> Result<Address> {
        self.deployment.suite.payment_token.context("a payment token")
    }

    pub(super) async fn give(&self, to: Address, amount: U256) -> Result<()> {
        self.send(cold()?, Some(self.usd()?), TestUSD::mintCall { to, amount }.abi_encode()).await.map(drop)
    }

    pub(super) async fn pay(&self, to: Address, value: U256) -> Result<()> {
        self.send(cold()?, Some(self.usd()?), TestUSD::transferCall { to, value }.abi_encode()).await.map(drop)
    }

    /// Deploys [`ECHO`].
    async fn echo(&self) -> Result<Address> {
        let hash = self.send(cold()?, None, ECHO.to_vec()).await?;
        self.mine(1).await?;
        let receipt = self.world.chain.rpc("eth_getTransactionReceipt", json!([hash])).await?;
        Ok(serde_json::from_value(receipt["contractAddress"].clone())?)
    }

    /// Makes the echo claim a movement.
    async fn claim(&self, echo: Address, from: Address, to: Address, amount: U256) -> Result<()> {
        let words =
            [SecurityToken::Transfer::SIGNATURE_HASH, from.into_word(), to.into_word(), B256::from(amount)].concat();
        self.send(cold()?, Some(echo), words).await.map(drop)
    }
}

#[tokio::test]
async fn a_foreign_token_is_followed_from_its_first_block_to_the_last_unit() -> Result<()> {
    let mut stage = Stage::set().await?;
    let pool = stage.world.pool.clone();
    let (cold, usd) = (cold()?, stage.usd()?);
    stage.give(cold, U256::MAX).await?;
    stage.mine(30).await?;
    stage.pay(ALICE, U256::MAX - U256::from(1)).await?;
    stage.mine(1).await?;
    // Our own contracts are followed from here; the token is older, and its first block is found from its code.
    stage.settings.chain.start_block = stage.head().await?.0;
    stage.settings.chain.follow = vec![follow(usd, "USD.test")];
    let indexer = stage.follow().await;
    stage.pay(BOB, U256::from(1)).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE, BOB, cold]).await?;

    let known = read::instrument(&pool, CHAIN, "USD.test").await?.context("the followed token")?;
    assert_eq!((known.token, known.decimals, known.executor), (usd, 6, None));
    assert_eq!(known.total_supply, U256::MAX);
    let code = |block: u64| stage.world.chain.rpc("eth_getCode", json!([usd, format!("{block:#x}")]));
    assert_ne!(code(known.created_block).await?, json!("0x"));
    assert_eq!(code(known.created_block - 1).await?, json!("0x"), "the block before has no such code");
    let history: Vec<String> = sqlx::query_scalar(
        "SELECT balance_after::text FROM holding_changes WHERE wallet = $1 ORDER BY block_number, log_index",
    )
    .bind(cold.as_slice())
    .fetch_all(&pool)
    .await?;
    assert_eq!(history, [U256::MAX.to_string(), "1".to_owned(), "0".to_owned()]);
    let minted: Vec<String> = sqlx::query_scalar("SELECT amount::text FROM mints").fetch_all(&pool).await?;
    assert_eq!(minted, [U256::MAX.to_string()]);
    indexer.stop().await
}

#[tokio::test]
async fn a_token_named_late_catches_up_beside_the_head() -> Result<()> {
    let mut stage = Stage::set().await?;
    let cold = cold()?;
    // Ranges of a few blocks, so that catching up takes many turns.
    stage.settings.chain.batch_blocks = 4;
    for n in 1..30u64 {
        stage.give(cold, U256::from(n)).await?;
        stage.pay(if n % 2 == 0 { ALICE } else { BOB }, U256::from(n)).await?;
        stage.mine(2).await?;
    }
    stage.whitelist(&[ALICE]).await?;
    let indexer = stage.follow().await;
    stage.settles(&[ALICE]).await?;
    indexer.stop().await?;

    let named = follow(stage.usd()?, "USD.late");
    stage.settings.chain.follow = vec![named];
    let indexer = stage.follow().await;
    stage.pay(ALICE, U256::from(0)).await?;
    stage.mint("meanwhile", ALICE, 5).await?;
    stage.mine(1).await?;
    eventually("the past is read", || async {
        let joined: i64 =
            sqlx::query_scalar("SELECT count(*) FROM watched WHERE kind = 'followed' AND filled_to IS NULL")
                .fetch_one(&stage.world.pool)
                .await
                .ok()?;
        (joined == 1).then_some(())
    })
    .await;
    stage.settles(&[ALICE, BOB, cold]).await?;
    stage.pay(BOB, U256::from(0)).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE, BOB, cold]).await?;
    indexer.stop().await
}

#[tokio::test]
async fn a_token_that_lies_stops_alone() -> Result<()> {
    let mut stage = Stage::set().await?;
    let pool = stage.world.pool.clone();
    let echo = stage.echo().await?;
    stage.settings.chain.follow = vec![follow(echo, "LIAR"), follow(stage.usd()?, "USD")];
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE]).await?;
    stage.claim(echo, Address::ZERO, ALICE, U256::from(10)).await?;
    stage.mine(1).await?;
    stage.settles(&[]).await.err(); // its views answer nothing to compare with
    stage.claim(echo, BOB, ALICE, U256::from(1)).await?; // Bob never got any
    stage.claim(echo, Address::ZERO, ALICE, U256::from(10)).await?;
    stage.give(BOB, U256::from(9)).await?;
    stage.mint("on", ALICE, 3).await?;
    stage.mine(1).await?;

    let marked =
        eventually("the liar is marked", || async { read::instrument(&pool, CHAIN, "LIAR").await.ok()??.inexact })
            .await;
    assert!(marked.contains("sends 1 and has 0"), "{marked}");
    let of_alice = read::position(&pool, CHAIN, echo, ALICE).await?;
    assert_eq!(of_alice.balance, U256::from(10), "its holdings stand where they still added up");
    assert_eq!(read::position(&pool, CHAIN, stage.usd()?, BOB).await?.balance, U256::from(9), "others go on");
    assert_eq!(read::position(&pool, CHAIN, stage.token(), ALICE).await?.balance, U256::from(3));
    let shown: i64 = sqlx::query_scalar("SELECT count(*) FROM holding_rows_at($1, $2) WHERE token = $3")
        .bind(CHAIN.cast_signed())
        .bind(stage.head().await?.0.cast_signed())
        .bind(echo.as_slice())
        .fetch_one(&pool)
        .await?;
    assert_eq!(shown, 0, "nothing is better than a wrong figure");

    // A reorg takes the lie back, and with it the mark.
    stage.world.chain.rpc("anvil_reorg", json!([1, []])).await?;
    stage.mine(1).await?;
    eventually("the mark is gone", || async {
        read::instrument(&pool, CHAIN, "LIAR").await.ok()??.inexact.is_none().then_some(())
    })
    .await;
    indexer.stop().await
}

#[tokio::test]
async fn a_followed_token_that_our_factory_deploys_is_ours_from_then_on() -> Result<()> {
    let mut stage = Stage::set().await?;
    let pool = stage.world.pool.clone();
    // Its address is known before it is there.
    let before = stage.world.chain.rpc("evm_snapshot", json!([])).await?;
    stage.deploy_token("rSOON").await?;
    stage.mine(1).await?;
    let node_key = stage.deployment.nodes[0].node.key;
    let call = NodeFactory::tokenOfCall { nodeKey: node_key, instrumentId: "rSOON".to_owned() };
    let token = stage.view(stage.deployment.suite.factory, call).await?;
    stage.world.chain.rpc("evm_revert", json!([before])).await?;
    stage.settings.chain.follow = vec![Follow { token, instrument_id: "SOON".to_owned(), start_block: Some(1) }];
    let indexer = stage.follow().await;
    stage.whitelist(&[ALICE]).await?;
    stage.deploy_token("rSOON").await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;
    // What another process will know of it.
    let kind: String = sqlx::query_scalar("SELECT kind FROM watched WHERE address = $1")
        .bind(token.as_slice())
        .fetch_one(&pool)
        .await?;
    assert_eq!(kind, "token");
    let known = read::instrument_of_token(&pool, CHAIN, token).await?.context("the token")?;
    assert_eq!(
        (known.instrument_id.as_str(), known.executor),
        ("rSOON", Some(stage.deployment.nodes[0].node.executor))
    );
    indexer.stop().await?;
    let indexer = stage.follow().await;
    let executor = stage.deployment.nodes[0].node.executor;
    let mint = SecurityToken::mintCall { to: ALICE, amount: U256::from(6), reason: B256::ZERO };
    stage.execute(executor, vec![(id("mint"), token, mint.abi_encode())]).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;
    indexer.stop().await?;
    let report = Rebuild::new(&stage.settings, Vec::new()).verify(|_| {}).await?;
    assert_eq!(report.differences, []);
    Ok(())
}

#[tokio::test]
async fn a_followed_token_must_exist() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.settings.chain.follow = vec![follow(Address::repeat_byte(0xdd), "NONE")];
    let indexer = Running::start(&stage.settings, &stage.world.pool);
    let error = indexer.task.await?.err().context("an error")?;
    assert!(matches!(error, IndexerError::NoContract(_)), "{error}");
    Ok(())
}
