//! What the tables are made of: after any history, indexed as it happened, reorgs and all, they say what the contracts
//! say, at the head and at blocks long past; and a replay of the logs alone makes the same tables once more.

mod acts;
pub(super) mod compare;
mod money;
mod node;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokenx_anvil_tests::{TestDatabase, campaign, eventually};
use tokenx_indexer::{Rebuild, read};

use super::{CHAIN, Running, Stage};
use acts::{Campaign, Ground};

/// `rCC`, `rDD`, and a third token on the first node.
async fn three_tokens(stage: &Stage) -> Result<Vec<Ground>> {
    stage.deploy_token("rEE").await?;
    stage.mine(1).await?;
    let nodes = &stage.deployment.nodes;
    let factory = stage.deployment.suite.factory;
    let node = nodes[0].node.key;
    let call = tokenx_contracts::bindings::NodeFactory::tokenOfCall { nodeKey: node, instrumentId: "rEE".to_owned() };
    let third = stage.view(factory, call).await?;
    Ok(vec![
        Ground { token: nodes[0].token, operator: nodes[0].node.executor, node: nodes[0].node.contracts },
        Ground { token: nodes[1].token, operator: nodes[1].node.executor, node: nodes[1].node.contracts },
        Ground { token: third, operator: nodes[0].node.executor, node: nodes[0].node.contracts },
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_made_of_logs_alone_equal_contract_state() -> Result<()> {
    let seed = campaign::seed("books");
    let stage = Stage::set().await?;
    let indexer = stage.follow().await;
    let grounds = three_tokens(&stage).await?;
    let mut acts = Campaign::begin(&stage, grounds.clone(), seed).await?;
    acts.run(campaign::times(300, 10_000)).await?;
    let taken: Vec<String> = acts.tally.iter().map(|(act, (sent, taken))| format!("{act} {taken}/{sent}")).collect();
    campaign::say(&format!("books: {}", taken.join(", ")));

    // The head; blocks of the past; and the same tables once more, read in one go into another database.
    stage.settles(&acts.wallets).await?;
    let (last, head) = stage.head().await?;
    stage.equals_contracts(&grounds, &acts.wallets, head).await?;
    stage.equals_node_contracts(&grounds, &acts.wallets, &acts.known, head).await?;
    let tokens: Vec<_> = grounds.iter().map(|ground| ground.token).collect();
    let mut chance = StdRng::seed_from_u64(seed);
    let past: Vec<u64> = (0..campaign::times(30, 300)).map(|_| chance.random_range(acts.begun..=last)).collect();
    for block in &past {
        stage.equalled_contracts(&stage.world.pool, &tokens, &acts.wallets, *block).await?;
    }
    let swept = eventually("the sweep has been everywhere", || async {
        read::reconciliation(&stage.world.pool, CHAIN).await.ok().filter(|swept| swept.rotations > 0)
    })
    .await;
    assert!(swept.last_compared > grounds.len() as u64, "{swept:?}");
    let ever: Vec<String> =
        sqlx::query_scalar("SELECT m::text FROM reconciliation_mismatches m").fetch_all(&stage.world.pool).await?;
    assert_eq!(ever, Vec::<String>::new(), "the sweep never found anything on the way");
    indexer.stop().await?;
    let report = Rebuild::new(&stage.settings, Vec::new()).verify(|_| {}).await?;
    assert_eq!(report.differences, [], "{} rows differ from their logs", report.differing);

    let again = TestDatabase::create().await?;
    let replayed = again.pool().await?;
    let indexer = Running::start(&stage.settings, &replayed);
    eventually("the chain is read again", || async {
        let cursor = read::cursor(&replayed, CHAIN).await.ok()??;
        ((cursor.number, cursor.hash) == (last, head)).then_some(())
    })
    .await;
    indexer.stop().await?;
    let (ours, theirs) = (compare::tables(&stage.world.pool).await?, compare::tables(&replayed).await?);
    let sizes: Vec<String> = ours.iter().map(|(table, rows)| format!("{table} {}", rows.len())).collect();
    campaign::say(&format!("books: {}", sizes.join(", ")));
    for ((table, rows), (_, again)) in ours.into_iter().zip(theirs) {
        if let Some(place) = (0..rows.len().max(again.len())).find(|&row| rows.get(row) != again.get(row)) {
            panic!("{table} replayed differs: {:?} is {:?}", rows.get(place), again.get(place));
        }
    }
    for block in past {
        stage.equalled_contracts(&replayed, &tokens, &acts.wallets, block).await?;
    }
    replayed.close().await;
    stage.world.pool.close().await;
    Ok(())
}
