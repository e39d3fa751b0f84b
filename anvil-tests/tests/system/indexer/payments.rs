//! What wallets have of payment tokens, which are not followed, and let contracts take.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use anyhow::Result;
use serde_json::json;
use time::OffsetDateTime;
use tokenx_anvil_tests::eventually;
use tokenx_contracts::bindings::TestUSD;
use tokenx_indexer::{payments, read};

use super::{ALICE, BOB, CHAIN, Stage};

impl Stage {
    fn money(&self) -> Address {
        self.deployment.suite.payment_token.unwrap()
    }

    fn listing(&self) -> Address {
        self.deployment.nodes[0].node.contracts.listing
    }

    async fn watch(&self, wallet: Address, until: OffsetDateTime) -> Result<()> {
        Ok(payments::watch(&self.world.pool, CHAIN, (wallet, self.money(), self.listing()), until).await?)
    }

    /// Waits until balance and allowance are these, as of the head.
    async fn purse(&self, wallet: Address, balance: u64, allowance: u64) -> Result<()> {
        let (head, whose) = (self.head().await?.0, (wallet, self.money(), self.listing()));
        let wanted = (U256::from(balance), U256::from(allowance), head);
        eventually(&format!("{wallet} has {balance} and allows {allowance} at block {head}"), || async {
            let purse = read::purse(&self.world.pool, CHAIN, whose).await.ok()??;
            ((purse.balance, purse.allowance, purse.block) == wanted).then_some(())
        })
        .await;
        Ok(())
    }

    async fn gives(&self, wallet: Address, amount: u64) -> Result<()> {
        let call = TestUSD::mintCall { to: wallet, amount: U256::from(amount) };
        self.send(ALICE, Some(self.money()), call.abi_encode()).await?;
        self.mine(1).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_is_watched_is_the_chains_at_every_head_and_through_a_reorg() -> Result<()> {
    let stage = Stage::set().await?;
    let running = stage.follow().await;
    stage.world.chain.rpc("anvil_autoImpersonateAccount", json!([true])).await?;
    stage.world.chain.rpc("anvil_setBalance", json!([ALICE, U256::from(10).pow(U256::from(24))])).await?;
    stage.gives(ALICE, 500).await?;
    let tomorrow = OffsetDateTime::now_utc() + time::Duration::DAY;
    stage.watch(ALICE, tomorrow).await?;
    stage.watch(BOB, tomorrow).await?;
    stage.purse(ALICE, 500, 0).await?;
    stage.purse(BOB, 0, 0).await?;
    let allow = TestUSD::approveCall { spender: stage.listing(), value: U256::from(300) };
    stage.send(ALICE, Some(stage.money()), allow.abi_encode()).await?;
    stage.mine(1).await?;
    stage.gives(BOB, 70).await?;
    stage.purse(ALICE, 500, 300).await?;
    stage.purse(BOB, 70, 0).await?;
    // The block in which Bob got his is no more; another one takes its place without it.
    stage.world.chain.rpc("anvil_reorg", json!([1, []])).await?;
    stage.mine(1).await?;
    let left: U256 = stage.view(stage.money(), TestUSD::balanceOfCall { account: BOB }).await?;
    stage.purse(BOB, left.to(), 0).await?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_watches_any_more_is_forgotten_and_what_is_no_token_stays_unread() -> Result<()> {
    let stage = Stage::set().await?;
    let running = stage.follow().await;
    let now = OffsetDateTime::now_utc();
    stage.watch(ALICE, now + Duration::from_secs(3_600)).await?;
    // It is watched for as long as anybody has asked.
    stage.watch(ALICE, now + Duration::from_secs(1)).await?;
    stage.watch(BOB, now).await?;
    let nothing = (BOB, stage.listing(), stage.listing());
    payments::watch(&stage.world.pool, CHAIN, nothing, now + Duration::from_secs(3_600)).await?;
    stage.purse(ALICE, 0, 0).await?;
    eventually("bob is forgotten", || async {
        let known: i64 =
            sqlx::query_scalar("SELECT count(*) FROM payment_balances WHERE wallet = $1 AND spender <> payment_token")
                .bind(BOB.as_slice())
                .fetch_one(&stage.world.pool)
                .await
                .ok()?;
        (known == 0).then_some(())
    })
    .await;
    assert_eq!(read::purse(&stage.world.pool, CHAIN, nothing).await?, None);
    running.stop().await
}
