//! The tables against the logs that are kept of the chain: what `tokenx reindex` does.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256, Uint};
use alloy::sol_types::SolCall;
use anyhow::Result;
use serde_json::json;
use tokenx_contracts::bindings::{Investor, InvestorRegistry, SecurityToken};
use tokenx_indexer::{Indexer, IndexerError, Projection, Rebuild, Report, Step};
use tokenx_keeper::CommandProjection;
use tokio_util::sync::CancellationToken;

use super::foreign::{cold, follow};
use super::{ALICE, BOB, CHAIN, Running, Stage, id};

const CAROL: Address = Address::repeat_byte(0xca);
/// Carol's other wallet.
const DAVE: Address = Address::repeat_byte(0xda);

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

    /// Something in every table: blocks, a token of somebody else's, a burn, a revoked wallet and what it had, a hold, a
    /// lockup that has run out, documents, a failed command, and a reorg that took a wallet's only units.
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
        self.mint("for Carol", CAROL, 12).await?;
        self.mine(1).await?;
        self.recover_carol().await?;
        self.hold_and_document().await?;
        self.settles(&[ALICE, BOB]).await?;
        self.pay(CAROL, U256::from(4)).await?;
        self.mine(1).await?;
        self.settles(&[CAROL]).await?;
        self.turn(1).await?;
        self.mine(2).await?;
        self.settles(&[ALICE, BOB, CAROL, DAVE]).await?;
        Ok(indexer)
    }

    /// Carol's wallet is revoked, and her other one gets what it had.
    async fn recover_carol(&self) -> Result<()> {
        let (registrar, registry) = (self.deployment.suite.registry_executor, self.deployment.suite.registry);
        let revoke = InvestorRegistry::revokeCall { wallet: CAROL, reason: B256::ZERO }.abi_encode();
        let investor = Investor { investorId: 3, country: 276, investorClass: 2, kycExpiresAt: Uint::ZERO, flags: 1 };
        let other = InvestorRegistry::setInvestorCall { wallet: DAVE, investor, reason: B256::ZERO }.abi_encode();
        self.execute(registrar, vec![(id("revoke"), registry, revoke), (id("other"), registry, other)]).await?;
        self.mine(1).await?;
        let amount = U256::from(12);
        let recover = SecurityToken::recoverCall { lost: CAROL, replacement: DAVE, amount, reason: B256::ZERO };
        self.order("recover", recover).await?;
        self.mine(1).await
    }

    /// A hold of Alice's, and a lockup of Dave's that runs out without a log; two documents, of which one goes.
    async fn hold_and_document(&self) -> Result<()> {
        let now = self.time().await?;
        let lockup = SecurityToken::mintLockedCall {
            to: DAVE,
            amount: U256::from(21),
            kind: 2,
            until: Uint::from(now + 3_600),
            reason: B256::ZERO,
        };
        self.order("lockup", lockup).await?;
        let hold = SecurityToken::placeHoldCall {
            account: ALICE,
            amount: U256::from(8),
            until: Uint::ZERO,
            reason: B256::ZERO,
        };
        self.order("hold", hold).await?;
        for name in [B256::repeat_byte(1), B256::repeat_byte(2)] {
            let document = SecurityToken::setDocumentCall { name, uri: "ipfs://prospectus".to_owned(), hash: name };
            self.order(&format!("document {name}"), document).await?;
        }
        self.mine(1).await?;
        self.order("no document", SecurityToken::removeDocumentCall { name: B256::repeat_byte(2) }).await?;
        // Lockups end with a day.
        self.world.chain.rpc("evm_increaseTime", json!([2 * 86_400])).await?;
        self.mine(1).await
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
    ("UPDATE holds SET amount = amount + 1 WHERE until = 0", "holds", "has amount 9"),
    ("DELETE FROM holds WHERE until > 0", "holds", "missing"),
    ("UPDATE hold_changes SET cause = 7 WHERE until > 0", "hold_changes", "has cause 7"),
    ("UPDATE recoveries SET amount = amount + 1", "recoveries", "has amount 13"),
    ("UPDATE documents SET uri = uri || '?'", "documents", "has uri"),
    ("DELETE FROM document_changes WHERE removed", "document_changes", "missing"),
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

/// What a person changed by hand, and a rebuild has not put back yet.
const BY_HAND: &str = "UPDATE recoveries SET amount = amount + 1";

impl Stage {
    /// Takes the writer's lock from whoever holds it, and follows with an indexer of its own up to the head.
    async fn take_over(&self) -> Result<()> {
        let pool = &self.world.pool;
        let ended: i64 = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid))
               FROM pg_locks
              WHERE locktype = 'advisory' AND classid <> 0 AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .fetch_one(pool)
        .await?;
        assert!(ended > 0, "somebody held the lock");
        let indexer = self.index().await?;
        self.settles(&[ALICE, BOB, CAROL, DAVE]).await?;
        indexer.stop().await
    }
}

/// Waits in the middle of what does not.
fn at_once<T>(what: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(what))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_beside_which_somebody_wrote_replaces_nothing() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.live().await?.stop().await?;
    let pool = &stage.world.pool;
    stage.mint("meanwhile", ALICE, 5).await?;
    stage.mine(1).await?;
    sqlx::query(BY_HAND).execute(pool).await?;

    // The lock is lost, and an indexer takes over: what it wrote is not the rebuild's to remove.
    let mut taken_over = Ok(());
    let replaced = stage
        .rebuild()
        .await?
        .replace(|step| {
            if step == Step::Replacing {
                taken_over = at_once(stage.take_over());
            }
        })
        .await;
    taken_over?;
    assert!(replaced.is_err(), "{replaced:?}");
    stage.settles(&[ALICE, BOB, CAROL, DAVE]).await?;
    let differences = stage.verify().await?.differences;
    assert!(differences.len() == 1 && differences[0].table == "recoveries", "{differences:?}");

    // An indexer that does not know yet that its lock is gone touches the cursor, whatever it writes.
    let mut touched = Ok(Default::default());
    let replaced = stage
        .rebuild()
        .await?
        .replace(|step| {
            if step == Step::Replacing {
                touched = at_once(sqlx::query("UPDATE chain_cursors SET polled_at = now()").execute(pool));
            }
        })
        .await;
    touched?;
    assert!(matches!(replaced, Err(IndexerError::FollowedMeanwhile(CHAIN))), "{replaced:?}");
    assert_eq!(stage.verify().await?.differing, 1, "nothing was replaced");

    assert_eq!(stage.rebuild().await?.replace(|_| {}).await?.differing, 1);
    assert_eq!(stage.verify().await?.differences, []);
    Ok(())
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
