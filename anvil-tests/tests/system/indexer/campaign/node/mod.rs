//! What may happen at the contracts of nodes, at random: as the keeper has it done, as wallets do it themselves, and as
//! others carry it for wallets that have signed.

mod payout;
mod sale;
mod trade;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::SignerSync;
use alloy::sol_types::{Eip712Domain, SolCall, SolStruct};
use anyhow::{Context, Result};
use rand::Rng;
use serde_json::json;
use tokenx_contracts::bindings::{SecurityToken, TestUSD};

use super::super::CHAIN;
use super::super::foreign::cold;
use super::acts::{Campaign, Ground, pick};

/// One whole token of an instrument.
const UNIT: u128 = 1_000_000_000_000_000_000;
/// One dollar.
const USD: u64 = 1_000_000;

/// Each act with its share of all of them.
pub(super) const ACTS: [(&str, u64); 41] = [
    ("listing terms", 3),
    ("list", 4),
    ("delist", 1),
    ("passivate", 1),
    ("reserve fees", 3),
    ("buy", 8),
    ("buy for", 5),
    ("fee terms", 2),
    ("allocate fees", 8),
    ("release fees", 4),
    ("draw fees", 3),
    ("move fees", 2),
    ("redemption terms", 2),
    ("rent terms", 2),
    ("fund", 5),
    ("fund for", 4),
    ("withdraw", 2),
    ("request", 7),
    ("request for", 4),
    ("approve", 6),
    ("approve unpaid", 4),
    ("reject", 2),
    ("take back request", 2),
    ("draw credit", 3),
    ("move credit", 3),
    ("bind distributor", 2),
    ("open rent", 7),
    ("claim", 6),
    ("claim for", 4),
    ("push", 4),
    ("move rent", 2),
    ("market terms", 3),
    ("trade", 10),
    ("cancel order", 2),
    ("cancel order for", 2),
    ("cancel before", 1),
    ("otc terms", 2),
    ("deal", 7),
    ("cancel deal", 2),
    ("cancel intent", 2),
    ("treasury", 1),
];

/// What has been done that the contracts can be asked for only by its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Payment tokens, the second of which may refuse everybody for a block.
    pub(super) usd: Vec<Address>,
    /// Market, wallet and digest of orders.
    pub(super) orders: Vec<(Address, Address, B256)>,
    /// Desk and digest of deals.
    pub(super) deals: Vec<(Address, B256)>,
    /// Contract, wallet and salt of intents.
    pub(super) salts: Vec<(Address, Address, B256)>,
    /// Sell orders that may have something left.
    open: Vec<trade::Resting>,
    /// Code of the second payment token.
    code: Bytes,
}

impl Campaign<'_> {
    /// Money for everybody, and terms for every token; before there are any units.
    pub(super) async fn set_up_nodes(&mut self) -> Result<()> {
        self.known.usd = vec![self.stage.usd()?, self.second_usd().await?];
        let usd = self.known.usd.clone();
        self.known.code =
            serde_json::from_value(self.stage.world.chain.rpc("eth_getCode", json!([usd[1], "latest"])).await?)?;
        // Whoever has less than a thousandth of a token earns nothing: half of all wallets, mostly.
        let second = self.grounds[1];
        let call = SecurityToken::setRentMinimumCall {
            minimum: alloy::primitives::Uint::from(UNIT / 1_000),
            reason: B256::ZERO,
        };
        self.send("rent minimum", second.operator, second.token, call).await?;
        for wallet in self.wallets.clone() {
            for money in usd.clone() {
                let call = TestUSD::mintCall { to: wallet, amount: U256::from(1_000_000_000 * USD) };
                self.send("give", wallet, money, call).await?;
                for at in self.contracts() {
                    self.send("approve", wallet, money, TestUSD::approveCall { spender: at, value: U256::MAX }).await?;
                }
            }
            for ground in self.grounds.clone() {
                for spender in [ground.node.secondary_market, ground.node.otc_desk] {
                    let call = SecurityToken::approveCall { spender, value: U256::MAX };
                    self.send("approve", wallet, ground.token, call).await?;
                }
            }
        }
        self.mine().await?;
        for ground in self.grounds.clone() {
            self.listing_terms(ground, usd[0]).await?;
            self.fee_terms(ground).await?;
            self.redemption_terms(ground, usd[1]).await?;
            self.rent_terms(ground, usd[0]).await?;
            self.market_terms(ground, usd[0]).await?;
            self.otc_terms(ground).await?;
            self.list("list", ground).await?;
        }
        self.mine().await
    }

    async fn second_usd(&mut self) -> Result<Address> {
        let hash = self.stage.send(cold()?, None, TestUSD::BYTECODE.to_vec()).await?;
        self.stage.mine(1).await?;
        let receipt = self.stage.world.chain.rpc("eth_getTransactionReceipt", json!([hash])).await?;
        Ok(serde_json::from_value(receipt["contractAddress"].clone())?)
    }

    /// Every contract of every node, once.
    pub(super) fn contracts(&self) -> Vec<Address> {
        let of = |ground: &Ground| {
            let node = ground.node;
            [node.listing, node.secondary_market, node.otc_desk].into_iter().chain([
                node.rent_distributor,
                node.fee_vault,
                node.redemption_desk,
            ])
        };
        let mut all: Vec<Address> = self.grounds.iter().flat_map(of).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether the second payment token moves, from the next block on.
    pub(super) async fn usd_moves(&self, moves: bool) -> Result<()> {
        let code = if moves { self.known.code.clone() } else { Bytes::from_static(&[0x5f, 0x5f, 0xfd]) };
        self.stage.world.chain.rpc("anvil_setCode", json!([self.known.usd[1], code])).await?;
        Ok(())
    }

    pub(super) async fn act_at_node(&mut self, act: &'static str) -> Result<()> {
        let ground = self.ground();
        let usd = self.any_usd();
        match act {
            "listing terms" => self.listing_terms(ground, usd).await,
            "list" | "delist" => self.list(act, ground).await,
            "passivate" => self.list(act, self.grounds[2]).await,
            "reserve fees" => self.reserve_fees(ground).await,
            "buy" => self.buy(ground).await,
            "buy for" => self.buy_for(ground).await,
            "fee terms" => self.fee_terms(ground).await,
            "allocate fees" => self.allocate_fees(ground).await,
            "release fees" => self.release_fees(ground, usd).await,
            "draw fees" | "move fees" => self.take_fees(act, ground).await,
            "redemption terms" => self.redemption_terms(ground, usd).await,
            "rent terms" => self.rent_terms(ground, usd).await,
            "fund" | "fund for" => self.fund(act, ground).await,
            "withdraw" => self.withdraw(ground, usd).await,
            "request" | "request for" => self.request(act, ground).await,
            "approve" | "reject" | "take back request" => self.decide(act, ground).await,
            "approve unpaid" => self.approve_unpaid(ground).await,
            "draw credit" | "move credit" => self.take_credit(act, ground).await,
            "bind distributor" => self.bind_distributor(ground).await,
            "open rent" => self.open_rent(ground).await,
            "claim" | "claim for" => self.claim(act, ground).await,
            "push" => self.push(ground).await,
            "move rent" => self.move_rent(ground).await,
            "market terms" => self.market_terms(ground, usd).await,
            "trade" => self.trade(ground).await,
            "cancel order" | "cancel order for" => self.cancel_order(act, ground).await,
            "cancel before" => self.cancel_before(ground).await,
            "otc terms" => self.otc_terms(ground).await,
            "deal" | "cancel deal" => self.deal(act, ground, usd).await,
            "cancel intent" => self.cancel_intent().await,
            "treasury" => self.set_treasury().await,
            other => unreachable!("{other} is no act"),
        }
    }

    fn ground(&mut self) -> Ground {
        pick(&mut self.chance, &self.grounds)
    }

    fn any_usd(&mut self) -> Address {
        pick(&mut self.chance, &self.known.usd)
    }

    /// Up to so many whole tokens, to the last base unit.
    fn units(&mut self, most: u64) -> U256 {
        let most = U256::from(UNIT) * U256::from(most);
        U256::from_be_bytes(self.chance.random::<[u8; 32]>()) % most
    }

    /// One to so many whole tokens.
    fn whole(&mut self, most: u64) -> U256 {
        U256::from(UNIT) * U256::from(self.between(1, most))
    }

    /// Up to so many dollars, to the last base unit.
    fn dollars(&mut self, most: u64) -> U256 {
        U256::from(self.between(0, most * USD))
    }

    /// What `wallet` signs for a contract that calls itself `name` at `at`.
    fn signed(&self, name: &'static str, at: Address, wallet: Address, message: &impl SolStruct) -> Result<Bytes> {
        let place = self.wallets.iter().position(|known| *known == wallet).context("a wallet with a key")?;
        Ok(Bytes::from(self.keys[place].sign_hash_sync(&digest(name, at, message))?.as_bytes()))
    }

    async fn view<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return> {
        self.stage.view(to, call).await
    }

    async fn cancel_intent(&mut self) -> Result<()> {
        let (all, wallet, salt) = (self.contracts(), self.wallet(), self.reason());
        let at = pick(&mut self.chance, &all);
        self.known.salts.push((at, wallet, salt));
        let call = tokenx_contracts::bindings::Listing::cancelIntentCall { salt };
        self.send("cancel intent", wallet, at, call).await
    }

    async fn set_treasury(&mut self) -> Result<()> {
        let all = self.contracts();
        let (at, treasury) = (pick(&mut self.chance, &all), self.wallet());
        let call = tokenx_contracts::bindings::Listing::setTreasuryCall { newTreasury: treasury };
        self.send("treasury", cold()?, at, call).await
    }
}

/// The EIP-712 digest of what is signed for a contract.
fn digest(name: &'static str, at: Address, message: &impl SolStruct) -> B256 {
    let domain = Eip712Domain::new(Some(name.into()), Some("1".into()), Some(U256::from(CHAIN)), Some(at), None);
    message.eip712_signing_hash(&domain)
}
