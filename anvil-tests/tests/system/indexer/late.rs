//! Contracts that settings name after the chain was first followed.

use alloy::primitives::{B256, U256};
use anyhow::Result;
use sqlx::{PgPool, query_as, query_scalar};
use tokenx_anvil_tests::{TestDatabase, eventually};
use tokenx_contracts::bindings::SecurityToken;
use tokenx_indexer::{Rebuild, read};

use super::{ALICE, BOB, CHAIN, Running, Stage, id};

/// Every kept log's place and command.
async fn commands(pool: &PgPool) -> Result<Vec<(i64, i32, Option<Vec<u8>>)>> {
    let select = "SELECT block_number, log_index, command_key::bytea FROM logs ORDER BY block_number, log_index";
    Ok(query_as(select).fetch_all(pool).await?)
}

#[tokio::test]
async fn what_an_executor_named_late_had_done_is_known_to_be_its_doing() -> Result<()> {
    let mut stage = Stage::set().await?;
    // A few blocks a turn, so that each contract takes several.
    stage.settings.chain.batch_blocks = 3;
    let (pool, whole) = (stage.world.pool.clone(), stage.settings.clone());
    let (registry_executor, executor) = (whole.chain.executors[0], stage.deployment.nodes[0].node.executor);
    stage.whitelist(&[ALICE]).await?;
    stage.mint("mint", ALICE, 7).await?;
    stage.mine(2).await?;
    let frozen = SecurityToken::setFrozenTokens_0Call { account: ALICE, amount: U256::from(2), reason: B256::ZERO };
    stage.order("freeze", frozen).await?;
    stage.mine(2).await?;

    // Only the registry is listened to: it says what changed, and nobody says on whose command.
    stage.settings.chain.factory = None;
    stage.settings.chain.executors = Vec::new();
    let indexer = stage.follow().await;
    stage.settles(&[]).await?;
    indexer.stop().await?;
    let unexplained = "SELECT count(*) FROM investor_changes WHERE command_key IS NULL";
    assert!(query_scalar::<_, i64>(unexplained).fetch_one(&pool).await? > 0);
    assert!(!read::caught_up(&pool, CHAIN, registry_executor).await?, "nobody listens to it");

    stage.settings = whole;
    let indexer = stage.follow().await;
    stage.mint("meanwhile", ALICE, 5).await?;
    stage.mine(1).await?;
    for contract in [registry_executor, executor, stage.token()] {
        eventually("its past is read", || async {
            read::caught_up(&pool, CHAIN, contract).await.is_ok_and(|all| all).then_some(())
        })
        .await;
    }
    stage.mint("after", ALICE, 3).await?;
    stage.mine(1).await?;
    stage.settles(&[ALICE]).await?;
    indexer.stop().await?;

    for (table, name) in [
        ("SELECT command_key::bytea FROM investor_changes", format!("whitelist {ALICE}")),
        ("SELECT command_key::bytea FROM mints ORDER BY block_number", "mint".to_owned()),
        ("SELECT command_key::bytea FROM freezes", "freeze".to_owned()),
    ] {
        let known: Option<Vec<u8>> = query_scalar(table).fetch_one(&pool).await?;
        assert_eq!(known.as_deref(), Some(id(&name).as_slice()), "{name}");
    }
    let tables: Vec<String> = query_scalar(
        "SELECT c.table_name
           FROM information_schema.columns c
           JOIN information_schema.columns l USING (table_schema, table_name)
          WHERE c.column_name = 'command_key' AND l.column_name = 'log_index' AND table_schema = 'public'",
    )
    .fetch_all(&pool)
    .await?;
    assert!(tables.len() > 6, "{tables:?}");
    for table in tables {
        let select: &'static str = Box::leak(
            format!(
                "SELECT count(*)
                   FROM {table}
                   JOIN logs l USING (chain_id, block_number, log_index)
                  WHERE {table}.command_key IS DISTINCT FROM l.command_key"
            )
            .into_boxed_str(),
        );
        let differ: i64 = query_scalar(select).fetch_one(&pool).await?;
        assert_eq!(differ, 0, "{table} says of its logs what logs says");
    }

    // Whoever follows all of it from the start knows the same.
    let database = TestDatabase::create().await?;
    let fresh = database.pool().await?;
    stage.settings.database.url = database.url().into();
    let indexer = Running::start(&stage.settings, &fresh);
    let head = stage.head().await?;
    eventually("the head is indexed again", || async {
        let cursor = read::cursor(&fresh, CHAIN).await.ok()??;
        ((cursor.number, cursor.hash) == head).then_some(())
    })
    .await;
    assert_eq!(commands(&pool).await?, commands(&fresh).await?);
    indexer.stop().await
}

#[tokio::test]
async fn a_registry_named_late_does_not_take_back_newer_records() -> Result<()> {
    let mut stage = Stage::set().await?;
    let pool = stage.world.pool.clone();
    // Alice is recorded in one registry, and later in another.
    stage.whitelist(&[BOB, ALICE]).await?;
    let since = stage.head().await?.0;
    let second = stage.world.deploy_another("second").await?;
    let first = std::mem::replace(&mut stage.deployment, second);
    stage.whitelist(&[ALICE]).await?;
    let record = async || {
        query_as::<_, (i64, Vec<u8>, i64)>(
            "SELECT investor_id, registry::bytea, since_block FROM investor_wallets WHERE wallet = $1",
        )
        .bind(ALICE.as_slice())
        .fetch_one(&pool)
        .await
    };
    stage.settings.chain.registry = Some(stage.deployment.suite.registry);
    let indexer = stage.follow().await;
    stage.settles(&[]).await?;
    indexer.stop().await?;
    let (investor, registry, _) = record().await?;
    assert_eq!((investor, registry.as_slice()), (1, stage.deployment.suite.registry.as_slice()));

    stage.settings.chain.registry = Some(first.suite.registry);
    let indexer = stage.follow().await;
    eventually("its past is read", || async {
        read::caught_up(&pool, CHAIN, first.suite.registry).await.is_ok_and(|all| all).then_some(())
    })
    .await;
    indexer.stop().await?;
    let expected = (1, stage.deployment.suite.registry.to_vec(), since.cast_signed());
    assert_eq!(record().await?, expected, "the newer record, and the first block of any");
    let report = Rebuild::new(&stage.settings, Vec::new()).verify(|_| {}).await?;
    assert_eq!(report.differences, []);
    Ok(())
}
