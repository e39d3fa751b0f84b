//! Balances as of any past block.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes, U256, Uint, keccak256};
use alloy::sol_types::SolCall;
use anyhow::Result;
use serde_json::json;
use sqlx::PgPool;
use tokenx_anvil_tests::{TestDatabase, eventually};
use tokenx_contracts::bindings::SecurityToken;
use tokenx_indexer::read;

use super::{ALICE, BOB, CHAIN, Running, Stage};

const PAIRS: u64 = 300;

impl Stage {
    /// So many blocks of random acts with the first node's token, a reorg after each twenty.
    pub(super) async fn wander(&self, wheel: &mut Wheel, wallets: &[Address], blocks: usize) -> Result<()> {
        for n in 0..blocks {
            for m in 0..wheel.below(4) {
                let (from, to) = (wheel.one_of(wallets), wheel.one_of(wallets));
                let (amount, name) = (U256::from(1 + wheel.below(50)), format!("{n} {m}"));
                let reason = name_of(&name);
                match wheel.below(6) {
                    0 => self.order(&name, SecurityToken::mintCall { to, amount, reason }).await?,
                    1 => self.order(&name, SecurityToken::forcedBurnCall { from, amount, reason }).await?,
                    2 => {
                        let call = SecurityToken::setFrozenTokens_0Call { account: to, amount, reason };
                        self.order(&name, call).await?
                    }
                    _ => {
                        let call = SecurityToken::forcedTransfer_1Call { from, to, amount, reason };
                        self.order(&name, call).await?
                    }
                };
            }
            self.mine(1).await?;
            if n % 20 == 19 {
                self.turn(4).await?;
                self.mine(1).await?;
            }
        }
        self.settles(wallets).await
    }

    pub(super) async fn balance_on_chain(&self, wallet: Address, block: u64) -> Result<U256> {
        let data = Bytes::from(SecurityToken::balanceOfCall { account: wallet }.abi_encode());
        let call = json!([{"to": self.token(), "data": data}, format!("{block:#x}")]);
        let answer: Bytes = serde_json::from_value(self.world.chain.rpc("eth_call", call).await?)?;
        // Before its block the token is no contract, and answers nothing.
        if answer.is_empty() { Ok(U256::ZERO) } else { Ok(U256::from_be_slice(&answer)) }
    }
}

#[tokio::test]
async fn a_balance_as_of_any_block_is_what_the_chain_says_of_that_block() -> Result<()> {
    let stage = Stage::set().await?;
    let pool = &stage.world.pool;
    let indexer = stage.follow().await;
    let others = (1..5).map(Address::with_last_byte);
    // Twins share the number that their pasts are found by.
    let twins = others.clone().map(|wallet| Address::from_slice(&[&[1; 12], &wallet[12..]].concat()));
    let wallets: Vec<Address> = [ALICE, BOB].into_iter().chain(others).chain(twins).collect();
    stage.whitelist(&wallets).await?;
    let mut wheel = Wheel::new(&stage.world.chain.url());
    stage.wander(&mut wheel, &wallets, 80).await?;

    let (head, token) = (stage.head().await?.0, stage.token());
    let mut above = 0;
    for _ in 0..PAIRS {
        let (block, wallet) = (wheel.below(head + 1), wheel.one_of(&wallets));
        let ours = read::balance_at(pool, CHAIN, token, wallet, block).await?;
        assert_eq!(ours, stage.balance_on_chain(wallet, block).await?, "{wallet} at {block}, seed {}", wheel.seed);
        above += u32::from(!ours.is_zero());
    }
    assert!(above > 30, "{above} of {PAIRS} were above zero: the law would hold of nothing");

    // A whole page of a past block, from the same rows.
    for _ in 0..10 {
        let block = wheel.below(head + 1);
        let page: BTreeMap<Vec<u8>, String> =
            sqlx::query_as("SELECT wallet, balance::text FROM holdings_at($1, $2) WHERE token = $3")
                .bind(CHAIN.cast_signed())
                .bind(block.cast_signed())
                .bind(token.as_slice())
                .fetch_all(pool)
                .await?
                .into_iter()
                .collect();
        for wallet in &wallets {
            let ours = page.get(wallet.as_slice()).map_or("0", String::as_str);
            assert_eq!(ours, stage.balance_on_chain(*wallet, block).await?.to_string(), "{wallet} at {block}");
        }
    }
    indexer.stop().await
}

fn name_of(name: &str) -> B256 {
    keccak256(name)
}

/// Random numbers that a printed seed gives again.
pub(super) struct Wheel {
    pub(super) seed: u64,
    state: u64,
}

impl Wheel {
    pub(super) fn new(entropy: &str) -> Self {
        let word = keccak256(format!("{entropy} {:?}", std::time::SystemTime::now()));
        let seed = std::env::var("TOKENX_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from_be_bytes(word.0[..8].try_into().unwrap()));
        println!("TOKENX_SEED={seed}");
        Self { seed, state: seed }
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
}

#[tokio::test]
async fn what_was_locked_at_a_block_that_was_read_in_a_range_is_what_the_contract_said() -> Result<()> {
    let mut stage = Stage::set().await?;
    let wallets = [ALICE, BOB];
    stage.whitelist(&wallets).await?;
    let (begun, now) = (stage.head().await?.0, stage.time().await?);
    for n in 0..6u64 {
        // Lockups end with a day.
        let until = Uint::from(now + 86_400 * (n + 1));
        let to = wallets[usize::from(n % 2 == 0)];
        let lockup =
            SecurityToken::mintLockedCall { to, amount: U256::from(10 + n), kind: 2, until, reason: B256::ZERO };
        stage.order(&format!("lockup {n}"), lockup).await?;
    }
    stage.mine(1).await?;
    // One lockup after the other runs out, and no log says so.
    for _ in 0..40 {
        stage.world.chain.rpc("evm_increaseTime", json!([20_000])).await?;
        stage.mine(1).await?;
    }
    stage.mine(70).await?;
    let (last, whole, tokens) = (stage.head().await?, stage.settings.clone(), [stage.token()]);
    let indexed = async |pool: &PgPool| {
        eventually("the head is indexed", || async {
            let cursor = read::cursor(pool, CHAIN).await.ok()??;
            ((cursor.number, cursor.hash) == last).then_some(())
        })
        .await;
    };
    let indexer = stage.follow().await;
    indexed(&stage.world.pool).await;
    indexer.stop().await?;
    for block in begun..=last.0 {
        stage.equalled_contracts(&stage.world.pool, &tokens, &wallets, block).await?;
    }
    let headers: i64 = sqlx::query_scalar("SELECT count(*) FROM blocks").fetch_one(&stage.world.pool).await?;
    assert!(headers < 100, "{headers} headers of {} blocks: the law would hold of nothing", last.0);

    // The same of a token whose past is read after that of others.
    let database = TestDatabase::create().await?;
    let late = database.pool().await?;
    stage.settings.database.url = database.url().into();
    stage.settings.chain.factory = None;
    stage.settings.chain.executors = Vec::new();
    let indexer = Running::start(&stage.settings, &late);
    indexed(&late).await;
    indexer.stop().await?;
    stage.settings = whole;
    stage.settings.database.url = database.url().into();
    let indexer = Running::start(&stage.settings, &late);
    eventually("its past is read", || async {
        read::caught_up(&late, CHAIN, stage.token()).await.is_ok_and(|all| all).then_some(())
    })
    .await;
    indexer.stop().await?;
    for block in begun..=last.0 {
        stage.equalled_contracts(&late, &tokens, &wallets, block).await?;
    }
    Ok(())
}
