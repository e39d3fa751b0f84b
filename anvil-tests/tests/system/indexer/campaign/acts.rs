//! What may happen to three tokens, their registry and their nodes' contracts, at random: sent by whoever may, many in a
//! block, refused or not.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, Bytes, U256, Uint};
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokenx_anvil_tests::eventually;
use tokenx_contracts::bindings::{Investor, InvestorRegistry, SecurityToken};
use tokenx_indexer::read;
use tokenx_keeper::deploy::Implementations;

use super::super::foreign::cold;
use super::super::{CHAIN, Stage, number};
use super::node::{self, Known};

const HOUR: u64 = 3_600;
/// Below any act's need no block gets full.
const GAS: &str = "0x2dc6c0";
/// ISO 3166-1 numeric codes in which wallets are.
const COUNTRIES: [u16; 3] = [276, 756, 840];

/// Each act with its share of all of them.
const ACTS: [(&str, u64); 23] = [
    ("whitelist", 12),
    ("revoke", 1),
    ("mint", 12),
    ("mint locked", 9),
    ("mint batch", 3),
    ("burn", 6),
    ("transfer", 18),
    ("transfer from", 6),
    ("freeze", 6),
    ("freeze wallet", 3),
    ("forced transfer", 5),
    ("forced burn", 4),
    ("place hold", 9),
    ("release hold", 4),
    ("execute hold", 4),
    ("reclaim expired", 4),
    ("recover", 3),
    ("pause", 2),
    ("pause supply", 2),
    ("limits", 2),
    ("country rule", 2),
    ("document", 2),
    ("remove document", 2),
];

/// A token and who may do everything to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground {
    pub(super) token: Address,
    pub(super) operator: Address,
    /// The contracts of its node.
    pub(super) node: Implementations,
}

/// Acts sent and acts that the contracts took, by name.
pub(super) type Tally = BTreeMap<&'static str, (u64, u64)>;

/// A campaign at work.
pub(super) struct Campaign<'a> {
    pub(super) stage: &'a Stage,
    pub(super) chance: StdRng,
    pub(super) grounds: Vec<Ground>,
    pub(super) wallets: Vec<Address>,
    /// Of the wallets, in their order.
    pub(super) keys: Vec<PrivateKeySigner>,
    pub(super) known: Known,
    /// Sent and not mined.
    open: Vec<(&'static str, B256)>,
    pub(super) tally: Tally,
    /// Block above which all is chance; no reorg goes below it.
    pub(super) begun: u64,
    pub(super) now: u64,
}

impl<'a> Campaign<'a> {
    /// Wallets of four investors, two each, all with some of each token; one may spend what is everybody's.
    pub(super) async fn begin(stage: &'a Stage, grounds: Vec<Ground>, seed: u64) -> Result<Self> {
        let keys = (1..=8).map(|n| PrivateKeySigner::from_bytes(&B256::repeat_byte(0xc0 + n)));
        let keys: Vec<PrivateKeySigner> = keys.collect::<Result<_, _>>()?;
        let wallets: Vec<Address> = keys.iter().map(PrivateKeySigner::address).collect();
        let chain = &stage.world.chain;
        chain.rpc("anvil_autoImpersonateAccount", json!([true])).await?;
        let operators = grounds.iter().map(|ground| ground.operator);
        let others = [stage.deployment.suite.registry_executor, cold()?];
        for account in wallets.iter().copied().chain(operators).chain(others) {
            chain.rpc("anvil_setBalance", json!([account, U256::from(10).pow(U256::from(24))])).await?;
        }
        let chance = StdRng::seed_from_u64(seed);
        let (known, open, tally) = (Known::default(), Vec::new(), Tally::new());
        let mut campaign = Self { stage, chance, grounds, wallets, keys, known, open, tally, begun: 0, now: 0 };
        campaign.set_up_nodes().await?;
        for wallet in campaign.wallets.clone() {
            campaign.register(wallet, false).await?;
            let spender = campaign.spender();
            for Ground { token, operator, .. } in campaign.grounds.clone() {
                let call = SecurityToken::approveCall { spender, value: U256::MAX };
                campaign.send("approve", wallet, token, call).await?;
                let (amount, reason) = (campaign.amount(2_000), campaign.reason());
                let call = SecurityToken::mintCall { to: wallet, amount, reason };
                campaign.send("mint", operator, token, call).await?;
            }
        }
        campaign.mine().await?;
        campaign.begun = stage.head().await?.0;
        Ok(campaign)
    }

    /// Who may spend what is everybody's.
    fn spender(&self) -> Address {
        self.wallets[0]
    }

    /// So many acts, and then until each has been taken once; what a reorg took back counts too.
    pub(super) async fn run(&mut self, acts: usize) -> Result<()> {
        let mut turn = usize::try_from(self.between(30, 60))?;
        for n in 0.. {
            if n >= acts {
                self.mine().await?;
                let Some(missing) = self.missing() else { break };
                assert!(n < acts + 2_000, "no {missing} succeeds: {:?}", self.tally.get(missing));
            }
            self.act().await?;
            if self.one_in(6) {
                self.mine().await?;
            }
            if n == turn {
                self.mine().await?;
                self.reorg().await?;
                turn = n + usize::try_from(self.between(40, 400))?;
            }
        }
        assert!(self.tally.values().any(|(sent, taken)| sent > taken), "nothing was refused");
        Ok(())
    }

    /// Mines what is open, some time later than the block before, and asks what became of it.
    pub(super) async fn mine(&mut self) -> Result<()> {
        let chain = &self.stage.world.chain;
        if self.one_in(4) {
            let later = self.between(1, 40) * HOUR;
            chain.rpc("evm_increaseTime", json!([later])).await?;
        }
        chain.mine(1).await?;
        let block = chain.rpc("eth_getBlockByNumber", json!(["latest", false])).await?;
        self.now = number(&block["timestamp"])?;
        for (act, hash) in std::mem::take(&mut self.open) {
            let receipt = chain.rpc("eth_getTransactionReceipt", json!([hash])).await?;
            let status = receipt["status"].as_str().with_context(|| format!("{act} was not mined"))?;
            let count = self.tally.entry(act).or_default();
            count.0 += 1;
            count.1 += u64::from(status == "0x1");
        }
        Ok(())
    }

    /// Takes back blocks that the indexer has read.
    async fn reorg(&mut self) -> Result<()> {
        let head = self.stage.head().await?;
        eventually("the head is indexed", || async {
            let cursor = read::cursor(&self.stage.world.pool, CHAIN).await.ok()??;
            ((cursor.number, cursor.hash) == head).then_some(())
        })
        .await;
        let depth = self.between(1, 8.min(head.0 - self.begun));
        self.stage.world.chain.rpc("anvil_reorg", json!([depth, []])).await?;
        // The block that is the head again may have been one in which it did not.
        self.usd_moves(true).await?;
        self.tally.entry("reorg").or_default().0 += 1;
        self.mine().await
    }

    pub(super) async fn send(
        &mut self,
        act: &'static str,
        from: Address,
        to: Address,
        call: impl SolCall,
    ) -> Result<()> {
        let data = Bytes::from(call.abi_encode());
        // A price that no base fee of a test reaches.
        let request = json!([{"from": from, "to": to, "data": data, "gas": GAS, "maxFeePerGas": "0x174876e800"}]);
        let hash = self.stage.world.chain.rpc("eth_sendTransaction", request).await?;
        self.open.push((act, serde_json::from_value(hash)?));
        Ok(())
    }

    /// Registers a wallet for its investor, in a country at random and perhaps for hours only.
    pub(super) async fn register(&mut self, wallet: Address, passing: bool) -> Result<()> {
        let place = self.wallets.iter().position(|known| *known == wallet).unwrap();
        let expires = if passing && self.one_in(6) { self.now + self.between(1, 300) * HOUR } else { 0 };
        let investor = Investor {
            investorId: place as u64 / 2 + 1,
            country: pick(&mut self.chance, &COUNTRIES),
            investorClass: 2,
            kycExpiresAt: Uint::from(expires),
            flags: if passing && self.one_in(20) { 3 } else { 1 },
        };
        let call = InvestorRegistry::setInvestorCall { wallet, investor, reason: self.reason() };
        let suite = &self.stage.deployment.suite;
        self.send("whitelist", suite.registry_executor, suite.registry, call).await
    }

    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        self.chance.random_range(from..=to)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.between(1, n) == 1
    }

    pub(super) fn reason(&mut self) -> B256 {
        B256::from(self.chance.random::<[u8; 32]>())
    }

    pub(super) fn wallet(&mut self) -> Address {
        pick(&mut self.chance, &self.wallets)
    }

    fn amount(&mut self, most: u64) -> U256 {
        U256::from(self.between(0, most))
    }

    pub(super) fn later(&mut self) -> u64 {
        self.now + self.between(1, 90) * HOUR
    }

    fn draw(&mut self) -> &'static str {
        let mut drawn = self.between(1, acts().map(|(_, share)| share).sum());
        for (act, share) in acts() {
            if drawn <= share {
                return act;
            }
            drawn -= share;
        }
        unreachable!("shares add up")
    }

    async fn act(&mut self) -> Result<()> {
        let act = self.draw();
        if node::ACTS.iter().any(|(known, _)| *known == act) {
            return self.act_at_node(act).await;
        }
        let ground = pick(&mut self.chance, &self.grounds);
        let Ground { token, operator, .. } = ground;
        let (one, other, reason) = (self.wallet(), self.wallet(), self.reason());
        match act {
            "whitelist" => self.register(one, true).await,
            "revoke" => {
                let suite = &self.stage.deployment.suite;
                let call = InvestorRegistry::revokeCall { wallet: one, reason };
                self.send(act, suite.registry_executor, suite.registry, call).await
            }
            "mint" => {
                let call = SecurityToken::mintCall { to: one, amount: self.amount(1_000), reason };
                self.send(act, operator, token, call).await
            }
            "mint locked" => {
                let (amount, kind) = (self.amount(500), u8::try_from(self.between(2, 3))?);
                let until = Uint::from(self.later());
                let call = SecurityToken::mintLockedCall { to: one, amount, kind, until, reason };
                self.send(act, operator, token, call).await
            }
            "mint batch" => {
                let (to, amounts) = (vec![one, other, one], (0..3).map(|_| self.amount(200)).collect());
                let call = SecurityToken::mintBatchCall { to, amounts, reason };
                self.send(act, operator, token, call).await
            }
            "burn" => {
                let call = SecurityToken::burnCall { from: one, amount: self.amount(300), reason };
                self.send(act, operator, token, call).await
            }
            "transfer" => {
                let call = SecurityToken::transferCall { to: other, value: self.amount(400) };
                self.send(act, one, token, call).await
            }
            "transfer from" => {
                let call = SecurityToken::transferFromCall { from: one, to: other, value: self.amount(300) };
                self.send(act, self.spender(), token, call).await
            }
            "freeze" => {
                let amount = self.amount(400);
                self.send(act, operator, token, SecurityToken::setFrozenTokens_0Call { account: one, amount, reason })
                    .await
            }
            "freeze wallet" => {
                let frozen = self.one_in(5);
                let call = SecurityToken::setAddressFrozenCall { account: one, frozen, reason };
                self.send(act, operator, token, call).await
            }
            "forced transfer" => {
                let amount = self.amount(700);
                let call = SecurityToken::forcedTransfer_1Call { from: one, to: other, amount, reason };
                self.send(act, operator, token, call).await
            }
            "forced burn" => {
                let call = SecurityToken::forcedBurnCall { from: one, amount: self.amount(500), reason };
                self.send(act, operator, token, call).await
            }
            "place hold" => {
                let until = Uint::from(if self.one_in(3) { 0 } else { self.later() });
                let amount = self.amount(200);
                let call = SecurityToken::placeHoldCall { account: one, amount, until, reason };
                self.send(act, operator, token, call).await
            }
            "release hold" | "execute hold" => self.end_hold(act, ground, reason).await,
            "reclaim expired" => self.send(act, other, token, SecurityToken::reclaimExpiredCall { account: one }).await,
            "recover" => self.recover(one, ground, reason).await,
            "pause" | "pause supply" => {
                let (on, supply) = (self.one_in(8), act == "pause supply");
                match (on, supply) {
                    (true, false) => self.send(act, operator, token, SecurityToken::pauseCall { reason }).await,
                    (false, false) => self.send(act, operator, token, SecurityToken::unpauseCall { reason }).await,
                    (true, true) => self.send(act, operator, token, SecurityToken::pauseSupplyCall { reason }).await,
                    (false, true) => self.send(act, operator, token, SecurityToken::unpauseSupplyCall { reason }).await,
                }
            }
            "limits" => {
                let holders = if self.one_in(3) { u32::try_from(self.between(4, 8))? } else { 0 };
                let balance = if self.one_in(3) { self.between(5, 15) * 1_000_000_000_000_000_000 } else { 0 };
                let call =
                    SecurityToken::setLimitsCall { maxHolders: holders, maxBalance: Uint::from(balance), reason };
                self.send(act, operator, token, call).await
            }
            "country rule" => {
                let mode = if self.one_in(3) { u8::try_from(self.between(1, 2))? } else { 0 };
                let mut countries = [U256::ZERO; 4];
                for country in COUNTRIES.into_iter().chain([0, 255, 256, 1_023]) {
                    // Admitting is mostly of many, refusing mostly of few.
                    if self.one_in(4) == (mode == 1) {
                        countries[usize::from(country / 256)].set_bit(usize::from(country % 256), true);
                    }
                }
                let call = SecurityToken::setCountryRuleCall { mode, countries, reason };
                self.send(act, operator, token, call).await
            }
            "document" => {
                let (name, uri) = (self.document(), format!("ipfs://{reason}/prospectus.pdf"));
                let call = SecurityToken::setDocumentCall { name, uri, hash: reason };
                self.send(act, operator, token, call).await
            }
            "remove document" => {
                let call = SecurityToken::removeDocumentCall { name: self.document() };
                self.send(act, operator, token, call).await
            }
            other => unreachable!("{other} is no act"),
        }
    }

    fn document(&mut self) -> B256 {
        pick(&mut self.chance, &DOCUMENTS)
    }

    /// Ends a hold of any wallet that has one.
    async fn end_hold(&mut self, act: &'static str, ground: Ground, reason: B256) -> Result<()> {
        let Ground { token, operator, .. } = ground;
        for account in self.wallets.clone() {
            let holds = self.stage.view(token, SecurityToken::holdsOfCall { account }).await?;
            let Some(hold) = holds.iter().find(|hold| hold.agent == operator) else { continue };
            let hold_id = U256::from(hold.id);
            return if act == "release hold" {
                let call = SecurityToken::releaseHoldCall { account, holdId: hold_id, reason };
                self.send(act, operator, token, call).await
            } else {
                let call = SecurityToken::executeHoldCall { account, holdId: hold_id, reason };
                self.send(act, operator, token, call).await
            };
        }
        Ok(())
    }

    /// Revokes a wallet and moves what it has to its investor's other one.
    async fn recover(&mut self, lost: Address, Ground { token, operator, .. }: Ground, reason: B256) -> Result<()> {
        let place = self.wallets.iter().position(|known| *known == lost).unwrap();
        let replacement = self.wallets[place ^ 1];
        let suite = &self.stage.deployment.suite;
        let (registrar, registry) = (suite.registry_executor, suite.registry);
        self.send("revoke", registrar, registry, InvestorRegistry::revokeCall { wallet: lost, reason }).await?;
        self.mine().await?;
        let amount = self.stage.view(token, SecurityToken::balanceOfCall { account: lost }).await?;
        let call = SecurityToken::recoverCall { lost, replacement, amount, reason };
        self.send("recover", operator, token, call).await?;
        self.mine().await?;
        self.register(lost, false).await
    }

    /// The first act of the list that no contract has taken yet: the campaign would show nothing of it.
    fn missing(&self) -> Option<&'static str> {
        let taken = |act: &str| self.tally.get(act).is_some_and(|(_, taken)| *taken > 0);
        acts().map(|(act, _)| act).find(|act| !taken(act))
    }
}

/// All acts: at tokens and at nodes' contracts.
fn acts() -> impl Iterator<Item = (&'static str, u64)> {
    ACTS.into_iter().chain(node::ACTS)
}

pub(super) fn pick<T: Copy>(chance: &mut StdRng, list: &[T]) -> T {
    *list.choose(chance).unwrap()
}

/// Names of documents.
pub(super) const DOCUMENTS: [B256; 3] = [B256::repeat_byte(0xd1), B256::repeat_byte(0xd2), B256::ZERO];
