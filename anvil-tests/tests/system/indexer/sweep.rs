//! The sweep: the tables against the contracts themselves.

use std::collections::BTreeSet;

use alloy::primitives::{Address, Bytes, bytes};
use alloy::providers::MULTICALL3_ADDRESS;
use alloy::providers::bindings::IMulticall3;
use anyhow::Result;
use serde_json::json;
use sqlx::PgPool;
use tokenx_anvil_tests::eventually;
use tokenx_indexer::read::{self, ReconciliationStatus};

use super::foreign::cold;
use super::{ALICE, BOB, CHAIN, Stage};

/// Fails whatever it is asked.
const REFUSES: Bytes = bytes!("5f5ffd");

async fn standing(pool: &PgPool) -> Result<ReconciliationStatus> {
    Ok(read::reconciliation(pool, CHAIN).await?)
}

/// Waits for the end of a rotation that began after now: of the one under way, and of the next.
pub(super) async fn rotated(pool: &PgPool) -> Result<ReconciliationStatus> {
    let before = standing(pool).await?.rotations;
    let whole = || async { standing(pool).await.ok().filter(|status| status.rotations >= before + 2) };
    Ok(eventually("a whole rotation", whole).await)
}

impl Stage {
    /// Puts the contract there that real chains have there.
    async fn multicall(&self) -> Result<()> {
        let hash = self.send(cold()?, None, IMulticall3::BYTECODE.to_vec()).await?;
        self.mine(1).await?;
        let receipt = self.world.chain.rpc("eth_getTransactionReceipt", json!([hash])).await?;
        let deployed: Address = serde_json::from_value(receipt["contractAddress"].clone())?;
        let code = self.world.chain.rpc("eth_getCode", json!([deployed, "latest"])).await?;
        self.world.chain.rpc("anvil_setCode", json!([MULTICALL3_ADDRESS, code])).await?;
        self.mine(1).await
    }
}

#[tokio::test]
async fn a_moving_head_and_a_turning_chain_raise_no_false_alarm() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.settings.reconcile.holdings_per_pass = 5;
    stage.multicall().await?;
    let indexer = stage.live().await?;
    let pool = &stage.world.pool;
    let before = standing(pool).await?.rotations;
    let mut n = 10;
    while standing(pool).await?.rotations < before + 2 {
        stage.busy_block(n).await?;
        n += 1;
        if n % 7 == 0 {
            stage.turn(2).await?;
            stage.mine(1).await?;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let ever: Vec<String> =
        sqlx::query_scalar("SELECT m::text FROM reconciliation_mismatches m").fetch_all(pool).await?;
    assert_eq!(ever, Vec::<String>::new());
    let status = standing(pool).await?;
    assert!(status.last_compared >= 6, "three tokens and their wallets: {status:?}");
    let shown = || async {
        let status = read::status(pool, CHAIN).await.ok()??.indexer.reconciliation;
        (status.rotations >= before + 2 && status.age_seconds.is_some()).then_some(())
    };
    eventually("/status tells of it", shown).await;
    indexer.stop().await
}

#[tokio::test]
async fn a_multicall_that_lies_is_asked_behind_its_back() -> Result<()> {
    let mut stage = Stage::set().await?;
    stage.world.chain.rpc("anvil_setCode", json!([MULTICALL3_ADDRESS, REFUSES])).await?;
    let indexer = stage.live().await?;
    let status = rotated(&stage.world.pool).await?;
    assert_eq!((status.mismatches, status.first), (0, Vec::new()));
    indexer.stop().await
}

/// A test's name for what is done by hand, the statements, and every figure that they make wrong.
struct ByHand {
    name: &'static str,
    changes: &'static [&'static str],
    told: &'static [&'static str],
}

const BY_HAND: [ByHand; 7] = [
    ByHand {
        name: "altered",
        changes: &[
            "UPDATE holdings SET balance = balance + 1 WHERE wallet = decode(repeat('a1', 20), 'hex')",
            "UPDATE holdings SET frozen = 77, address_frozen = NOT address_frozen WHERE wallet = decode(repeat('b0', 20), 'hex')",
            "UPDATE instruments
                SET total_supply = total_supply + 1, transfers_paused = NOT transfers_paused,
                    supply_paused = NOT supply_paused, registry = token, decimals = decimals + 1, max_supply = 1, max_holders = 9, country_mode = 1,
                    instrument_id = instrument_id || '?', name = name || '?', symbol = symbol || '?'
              WHERE instrument_id = 'rCC'",
        ],
        told: &[
            "balance", "sum_of_holdings", "frozen", "address_frozen", "total_supply", "transfers_paused",
            "supply_paused", "registry", "decimals", "max_supply", "instrument_id", "name", "symbol",
            "limits",
            "country_rule",
        ],
    },
    ByHand {
        name: "removed",
        changes: &[
            "DELETE FROM holdings WHERE wallet = decode(repeat('b0', 20), 'hex')",
            "DELETE FROM instruments WHERE instrument_id IN ('rDD', 'USD')",
            "DELETE FROM supply_changes",
            "DELETE FROM freezes",
        ],
        told: &[
            "balance", "frozen", "address_frozen", "sum_of_holdings",
            "holder_count", "total_supply", "last_supply_change",
            "last_freeze", "last_address_freeze",
        ],
    },
    ByHand {
        name: "added",
        changes: &[
            "INSERT INTO holdings (chain_id, token, wallet, balance)
             SELECT chain_id, token, decode(repeat('dd', 20), 'hex'), 5 FROM instruments WHERE instrument_id = 'rCC'",
            "INSERT INTO holdings (chain_id, token, wallet, balance)
             SELECT chain_id, token, decode(repeat('de', 20), 'hex'), 0 FROM instruments WHERE instrument_id = 'rDD'",
            "INSERT INTO holds (chain_id, token, wallet, hold_id, kind, amount, until)
             SELECT chain_id, token, decode(repeat('a1', 20), 'hex'), 7, 2, 5, 0 FROM instruments WHERE instrument_id = 'rCC'",
            "INSERT INTO instruments (chain_id, token, instrument_id, name, symbol, decimals, created_block, created_log,
                                      created_time)
             SELECT chain_id, decode(repeat('ee', 20), 'hex'), 'FAKE', '', '', 0, 1, 1, 1 FROM instruments LIMIT 1",
            "INSERT INTO freezes (chain_id, block_number, log_index, block_time, tx_hash, token, wallet, frozen,
                                  address_frozen)
             SELECT chain_id, 1000000, 0, block_time, tx_hash, token, decode(repeat('a1', 20), 'hex'), 99, true
               FROM freezes
              LIMIT 1",
        ],
        told: &[
            "balance", "sum_of_holdings",
            "holder_count",
            "held",
            "holds", "last_holding_change", "last_freeze", "last_address_freeze", "total_supply",
            "last_supply_change",
        ],
    },
    ByHand {
        name: "history",
        changes: &[
            "UPDATE holding_changes SET balance_after = balance_after + 1 WHERE balance_after < 100000",
            "UPDATE supply_changes SET supply_after = supply_after + 1 WHERE supply_after < 100000",
            "UPDATE freezes SET frozen = frozen + 5, address_frozen = NOT address_frozen",
        ],
        told: &["last_holding_change", "last_supply_change", "last_freeze", "last_address_freeze"],
    },
    ByHand {
        name: "a hold altered",
        changes: &["UPDATE holds SET amount = amount + 1 WHERE until = 0"],
        told: &["held", "holds"],
    },
    ByHand {
        name: "an expired hold removed",
        changes: &["DELETE FROM holds WHERE until > 0"],
        told: &["holds"],
    },
    ByHand {
        name: "decimals of somebody else's token",
        changes: &["UPDATE instruments SET decimals = 0 WHERE instrument_id = 'USD'"],
        told: &["decimals"],
    },
];

const KEEP: [&str; 6] = [
    "CREATE TABLE kept_holdings AS SELECT * FROM holdings",
    "CREATE TABLE kept_instruments AS SELECT * FROM instruments",
    "CREATE TABLE kept_holding_changes AS SELECT * FROM holding_changes",
    "CREATE TABLE kept_supply_changes AS SELECT * FROM supply_changes",
    "CREATE TABLE kept_freezes AS SELECT * FROM freezes",
    "CREATE TABLE kept_holds AS SELECT * FROM holds",
];
const PUT_BACK: [&str; 7] = [
    "TRUNCATE holdings, instruments, holding_changes, supply_changes, freezes, holds",
    "INSERT INTO holdings SELECT * FROM kept_holdings",
    "INSERT INTO instruments SELECT * FROM kept_instruments",
    "INSERT INTO holding_changes SELECT * FROM kept_holding_changes",
    "INSERT INTO supply_changes SELECT * FROM kept_supply_changes",
    "INSERT INTO freezes SELECT * FROM kept_freezes",
    "INSERT INTO holds SELECT * FROM kept_holds",
];

#[tokio::test]
async fn every_figure_changed_by_hand_is_told_within_one_rotation() -> Result<()> {
    let mut stage = Stage::set().await?;
    let indexer = stage.live().await?;
    let pool = &stage.world.pool;
    assert_eq!(rotated(pool).await?.mismatches, 0);
    for statement in KEEP {
        sqlx::query(statement).execute(pool).await?;
    }
    for ByHand { name, changes, told } in BY_HAND {
        for change in changes {
            let changed = sqlx::query(*change).execute(pool).await?.rows_affected();
            assert!(changed > 0, "{name}: {change}");
        }
        let status = rotated(pool).await?;
        let found: BTreeSet<String> =
            sqlx::query_scalar("SELECT DISTINCT what FROM reconciliation_mismatches WHERE resolved_at IS NULL")
                .fetch_all(pool)
                .await?
                .into_iter()
                .collect();
        let expected: BTreeSet<String> = told.iter().map(|what| (*what).to_owned()).collect();
        assert_eq!(found, expected, "{name}: {status:?}");
        assert!(status.mismatches >= expected.len() as u64, "{name}: {status:?}");

        let mut tx = tokenx_migrations::begin(pool).await?;
        for statement in PUT_BACK {
            sqlx::query(statement).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        let status = rotated(pool).await?;
        assert_eq!((status.mismatches, status.first), (0, Vec::new()), "{name}: put back");
    }
    let (first, last): (String, Option<String>) = sqlx::query_as(
        "SELECT ours, chains
           FROM reconciliation_mismatches
          WHERE what = 'balance' AND wallet = decode(repeat('a1', 20), 'hex')
            AND token = (SELECT token FROM instruments WHERE instrument_id = 'rCC')",
    )
    .fetch_one(pool)
    .await?;
    let position = read::position(pool, CHAIN, stage.token(), ALICE).await?;
    assert_eq!(last.as_deref(), Some(position.balance.to_string().as_str()), "the chain's figure");
    assert_eq!(first, (position.balance + alloy::primitives::U256::ONE).to_string(), "ours, as it was then");
    stage.settles(&[ALICE, BOB]).await?;
    indexer.stop().await
}

#[tokio::test]
async fn a_mismatch_of_a_token_that_cannot_be_asked_stands() -> Result<()> {
    let mut stage = Stage::set().await?;
    let indexer = stage.live().await?;
    let pool = &stage.world.pool;
    sqlx::query("UPDATE instruments SET decimals = decimals + 1 WHERE instrument_id = 'rCC'").execute(pool).await?;
    assert_eq!(rotated(pool).await?.mismatches, 1);
    sqlx::query("UPDATE instruments SET inexact_block = 1, inexact_reason = '?' WHERE instrument_id = 'rCC'")
        .execute(pool)
        .await?;
    assert_eq!(rotated(pool).await?.mismatches, 1, "nobody looked");
    sqlx::query(
        "UPDATE instruments
            SET inexact_block = NULL, inexact_reason = NULL, decimals = decimals - 1
          WHERE instrument_id = 'rCC'",
    )
    .execute(pool)
    .await?;
    assert_eq!(rotated(pool).await?.mismatches, 0);
    indexer.stop().await
}

#[tokio::test]
async fn units_that_no_table_knows_are_missing_in_sum_and_count() -> Result<()> {
    let mut stage = Stage::set().await?;
    let indexer = stage.live().await?;
    let pool = &stage.world.pool;
    // As if the logs of Bob's had been lost: no table knows of him.
    for statement in [
        "DELETE FROM holdings WHERE wallet = decode(repeat('b0', 20), 'hex')",
        "DELETE FROM holding_changes WHERE wallet = decode(repeat('b0', 20), 'hex')",
        "DELETE FROM freezes WHERE wallet = decode(repeat('b0', 20), 'hex')",
    ] {
        sqlx::query(statement).execute(pool).await?;
    }
    let status = rotated(pool).await?;
    let whats: BTreeSet<&str> = status.first.iter().filter_map(|told| told.split([' ', ':']).nth(1)).collect();
    assert_eq!(whats, BTreeSet::from(["holder_count", "sum_of_holdings"]), "{status:?}");
    assert_eq!(status.mismatches, 2, "{status:?}");
    indexer.stop().await
}
