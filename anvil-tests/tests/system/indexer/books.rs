//! The tables against the logs that are kept of the chain: what `tokenx reindex` does.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;
use anyhow::Result;
use tokenx_contracts::bindings::{InvestorRegistry, SecurityToken};
use tokenx_indexer::{Indexer, IndexerError, Projection, Rebuild, Report};
use tokenx_keeper::CommandProjection;
use tokio_util::sync::CancellationToken;

use super::foreign::{cold, follow};
use super::{ALICE, BOB, CHAIN, Running, Stage, id};

const CAROL: Address = Address::repeat_byte(0xca);

impl Stage {
    async fn results(&self) -> Result<Arc<dyn Projection>> {
        Ok(Arc::new(CommandProjection::open(&self.world.pool, CHAIN).await?))
    }

    /// An indexer with the projection that it has wherever it runs.
    pub(super) async fn index(&self) -> Result<Running> {
        let stop = CancellationToken::new();
        let results = self.results().await?;
        let indexer = Indexer::builder(&self.settings, self.world.database.pool().await?).with_projection(results);
        Ok(Running { task: tokio::spawn(indexer.build().run(stop.clone())), stop })
    }

    async fn rebuild(&self) -> Result<Rebuild> {
        Ok(Rebuild::new(&self.settings, vec![self.results().await?]))
    }

    async fn verify(&self) -> Result<Report> {
        Ok(self.rebuild().await?.verify(|_| {}).await?)
    }

    /// Something in every table: blocks, a token of somebody else's, a burn, a revoked wallet, a failed command, and a
    /// reorg that took a wallet's only units.
    pub(super) async fn live(&mut self) -> Result<Running> {
        let usd = self.usd()?;
        self.settings.chain.follow = vec![follow(usd, "USD")];
        let indexer = self.index().await?;
        self.whitelist(&[ALICE, BOB, CAROL]).await?;
        for n in 1..6 {
            self.busy_block(n).await?;
        }
        let pause = SecurityToken::unpauseCall { reason: B256::ZERO };
        self.order("go on", pause).await?;
        let burn = SecurityToken::forcedBurnCall { from: BOB, amount: U256::from(3), reason: B256::ZERO };
        self.order("burn", burn).await?;
        self.order("too much", SecurityToken::burnCall { from: BOB, amount: U256::MAX, reason: B256::ZERO }).await?;
        let freeze = SecurityToken::setAddressFrozenCall { account: BOB, frozen: true, reason: B256::ZERO };
        self.order("freeze Bob", freeze).await?;
        self.give(cold()?, U256::MAX).await?;
        self.pay(ALICE, U256::from(9)).await?;
        self.mine(1).await?;
        let registry = self.deployment.suite.registry;
        let revoke = InvestorRegistry::revokeCall { wallet: CAROL, reason: B256::ZERO }.abi_encode();
        self.execute(self.deployment.suite.registry_executor, vec![(id("revoke"), registry, revoke)]).await?;
        self.mine(1).await?;
        self.settles(&[ALICE, BOB]).await?;
        self.pay(CAROL, U256::from(4)).await?;
        self.mine(1).await?;
        self.settles(&[CAROL]).await?;
        self.turn(1).await?;
        self.mine(2).await?;
        self.settles(&[ALICE, BOB, CAROL]).await?;
        Ok(indexer)
    }
}

#[tokio::test]
async fn tables_are_what_their_logs_say_while_an_indexer_writes_and_the_chain_turns() -> Result<()> {
    let mut stage = Stage::set().await?;
    let indexer = stage.live().await?;
    let stage = &stage;
    let life = async {
        for n in 10..30 {
            stage.busy_block(n).await?;
            if n % 5 == 0 {
                stage.turn(3).await?;
                stage.mine(1).await?;
            }
        }
        anyhow::Ok(())
    };
    let proof = async {
        for _ in 0..4 {
            let report = stage.verify().await?;
            assert_eq!(report.differences, [], "up to {:?}", report.block);
            assert!(report.rows > 100 && report.logs > 50, "{report:?}");
        }
        anyhow::Ok(())
    };
    tokio::try_join!(life, proof)?;
    stage.settles(&[ALICE, BOB]).await?;
    let last = stage.verify().await?;
    assert_eq!(last.differing, 0, "{:?}", last.differences);
    assert_eq!(last.block.0, stage.head().await?.0);
    let left: bool =
        sqlx::query_scalar("SELECT to_regnamespace('reindex') IS NOT NULL").fetch_one(&stage.world.pool).await?;
    assert!(!left, "nothing is left behind");
    indexer.stop().await
}

/// A change by hand, and what must be told of it.
const CHANGES: &[(&str, &str, &str)] = &[
    ("UPDATE holdings SET balance = balance + 1 WHERE wallet = decode(repeat('a1', 20), 'hex')
         AND token = (SELECT token FROM instruments WHERE instrument_id = 'rCC')", "holdings", "has balance"),
    ("UPDATE holdings SET frozen = 77 WHERE balance = 9", "holdings", "has frozen 77"),
    ("DELETE FROM holdings WHERE wallet = decode(repeat('b0', 20), 'hex')", "holdings", "missing"),
    ("INSERT INTO holdings (chain_id, token, wallet, balance)
      SELECT chain_id, token, decode(repeat('dd', 20), 'hex'), 0 FROM instruments WHERE instrument_id = 'rCC'",
     "holdings", "no log made this row"),
    ("UPDATE instruments SET total_supply = total_supply - 1 WHERE instrument_id = 'rCC'", "instruments", "total_supply"),
    ("DELETE FROM instruments WHERE instrument_id = 'rDD'", "instruments", "missing"),
    ("INSERT INTO instruments (chain_id, token, instrument_id, name, symbol, decimals, created_block, created_log, created_time)
      SELECT chain_id, decode(repeat('ee', 20), 'hex'), 'FAKE', '', '', 0, 1, 1, 1 FROM instruments LIMIT 1",
     "instruments", "FAKE"),
    ("DELETE FROM freezes WHERE block_number = (SELECT min(block_number) FROM freezes)", "freezes", "missing"),
    ("UPDATE freezes SET frozen = frozen + 1 WHERE block_number = (SELECT max(block_number) FROM freezes)
         AND log_index = (SELECT max(log_index) FROM freezes WHERE block_number = (SELECT max(block_number) FROM freezes))",
     "freezes", "has frozen"),
    ("UPDATE holding_changes SET balance_after = balance_after + 1 WHERE block_number =
         (SELECT min(block_number) FROM holding_changes)", "holding_changes", "balance_after"),
    ("DELETE FROM supply_changes WHERE block_number = (SELECT min(block_number) FROM supply_changes)", "supply_changes", "missing"),
    ("UPDATE transfers SET amount = amount + 1 WHERE forced", "transfers", "has amount"),
    ("DELETE FROM mints WHERE command_key IS NULL", "mints", "missing"),
    ("UPDATE burns SET command_key = NULL", "burns", "has command_key null"),
    ("UPDATE investor_changes SET country = 4", "investor_changes", "has country 4"),
    ("UPDATE investor_wallets SET flags = 1 WHERE flags <> 1", "investor_wallets", "has flags 1"),
    ("UPDATE token_changes SET transfers_paused = NOT transfers_paused", "token_changes", "transfers_paused"),
    ("UPDATE watched SET kind = 'executor' WHERE kind = 'token'", "watched", "has kind \"executor\""),
    ("UPDATE logs SET decoded = false WHERE command_key IS NOT NULL", "logs", "has decoded false"),
    ("UPDATE command_results SET status = 'executed' WHERE status = 'failed'", "command_results", "has"),
];

#[tokio::test]
async fn every_row_changed_by_hand_is_told_and_put_back() -> Result<()> {
    let mut stage = Stage::set().await?;
    let indexer = stage.live().await?;
    let refused = stage.rebuild().await?.replace(|_| {}).await;
    assert!(matches!(refused, Err(IndexerError::Followed { .. })), "{refused:?}");
    indexer.stop().await?;
    assert_eq!(stage.verify().await?.differences, []);

    let pool = &stage.world.pool;
    for (change, table, told) in CHANGES {
        let changed = sqlx::query(*change).execute(pool).await?.rows_affected();
        assert!(changed > 0, "{change}");
        let report = stage.verify().await?;
        assert_eq!(report.differing, changed, "{change}: {:?}", report.differences);
        for difference in &report.differences {
            assert_eq!(difference.table, *table, "{difference}");
            assert!(difference.to_string().contains(told), "{difference} does not say {told}");
        }
        let put_back = stage.rebuild().await?.replace(|_| {}).await?;
        assert_eq!(put_back.differing, changed, "{change}");
        assert_eq!(stage.verify().await?.differences, [], "after {change}");
    }
    let indexer = stage.index().await?;
    stage.mint("goes on", ALICE, 5).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE, BOB, CAROL]).await?;
    indexer.stop().await
}

#[tokio::test]
async fn tables_of_other_projections_are_rebuilt_and_not_verified() -> Result<()> {
    let mut stage = Stage::set().await?;
    let indexer = stage.live().await?;
    indexer.stop().await?;
    let pool = &stage.world.pool;
    sqlx::query("UPDATE projections SET version = version + 1 WHERE name = 'chain'").execute(pool).await?;
    sqlx::query("DELETE FROM transfers").execute(pool).await?;
    let refused = stage.rebuild().await?.verify(|_| {}).await;
    assert!(matches!(refused, Err(IndexerError::OtherProjections { .. })), "{refused:?}");
    assert!(stage.rebuild().await?.replace(|_| {}).await?.differing > 0);
    assert_eq!(stage.verify().await?.differing, 0);
    stage.index().await?.stop().await
}
