//! The primary sale, and the fees.

use alloy::primitives::{Address, U256, Uint};
use anyhow::Result;
use tokenx_contracts::bindings::{Beneficiaries, FeeVault, Listing, ListingTerms, Purchase, Split};

use super::super::acts::{Campaign, Ground};
use super::{USD, cold};

impl Campaign<'_> {
    pub(super) async fn listing_terms(&mut self, ground: Ground, usd: Address) -> Result<()> {
        let whole = |units: U256| units.to::<u128>();
        let most = if self.one_in(3) { whole(self.whole(500)) } else { 0 };
        let terms = ListingTerms {
            paymentToken: usd,
            opensAt: Uint::ZERO,
            closesAt: Uint::from(if self.one_in(6) { self.later() } else { 0 }),
            price: u128::from(self.between(1, 90 * USD)),
            minPurchase: Uint::from(if self.one_in(4) { whole(self.whole(3)) } else { 0 }),
            maxPurchase: Uint::from(most),
            maxFees: Uint::from(whole(self.whole(2_000))),
            salableBps: u16::try_from(self.between(4_000, 10_000))?,
        };
        let call = Listing::setTermsCall { token: ground.token, terms, reason: self.reason() };
        self.send("listing terms", cold()?, ground.node.listing, call).await
    }

    pub(super) async fn list(&mut self, act: &'static str, Ground { token, operator, node }: Ground) -> Result<()> {
        let (at, reason) = (node.listing, self.reason());
        match act {
            "list" => self.send(act, operator, at, Listing::listCall { token, reason }).await,
            "delist" => self.send(act, operator, at, Listing::delistCall { token, reason }).await,
            _ => self.send(act, operator, at, Listing::passivateCall { token, reason }).await,
        }
    }

    pub(super) async fn reserve_fees(&mut self, Ground { token, operator, node }: Ground) -> Result<()> {
        let call = Listing::reserveFeesCall { token, amount: self.whole(5), reason: self.reason() };
        self.send("reserve fees", operator, node.listing, call).await
    }

    pub(super) async fn buy(&mut self, Ground { token, node, .. }: Ground) -> Result<()> {
        let terms = self.view(node.listing, Listing::termsOfCall { token }).await?;
        let (buyer, quantity) = (self.wallet(), self.whole(4));
        let call = Listing::buyCall { token, quantity, paymentToken: terms.paymentToken, maxCost: U256::MAX };
        self.send("buy", buyer, node.listing, call).await
    }

    pub(super) async fn buy_for(&mut self, Ground { token, operator, node }: Ground) -> Result<()> {
        let terms = self.view(node.listing, Listing::termsOfCall { token }).await?;
        let purchase = Purchase {
            wallet: self.wallet(),
            token,
            quantity: self.whole(4),
            paymentToken: terms.paymentToken,
            maxCost: self.dollars(1_000),
            deadline: U256::from(self.later()),
            salt: self.reason(),
        };
        self.known.salts.push((node.listing, purchase.wallet, purchase.salt));
        let signature = self.signed("tokenx Listing", node.listing, purchase.wallet, &purchase)?;
        self.send("buy for", operator, node.listing, Listing::buyForCall { purchase, signature }).await
    }

    /// Of three parties that may be one.
    pub(super) async fn fee_terms(&mut self, Ground { token, node, .. }: Ground) -> Result<()> {
        let beneficiaries =
            Beneficiaries { platformOwner: self.wallet(), nodeOwner: self.wallet(), node: self.wallet() };
        let first = self.between(0, 10_000);
        let second = self.between(0, 10_000 - first);
        let [first, second, third] = [first, second, 10_000 - first - second].map(U256::from);
        let shares = Split { platformOwner: first, nodeOwner: second, node: third };
        let call = FeeVault::setFeeTermsCall { token, beneficiaries, shares, reason: self.reason() };
        self.send("fee terms", cold()?, node.fee_vault, call).await
    }

    pub(super) async fn allocate_fees(&mut self, Ground { token, operator, node }: Ground) -> Result<()> {
        let amounts = Split { platformOwner: self.units(1), nodeOwner: self.units(1), node: self.units(1) };
        let call = FeeVault::allocateCall { token, amounts, reason: self.reason() };
        self.send("allocate fees", operator, node.fee_vault, call).await
    }

    pub(super) async fn release_fees(&mut self, Ground { token, node, .. }: Ground, usd: Address) -> Result<()> {
        let who = self.wallet();
        self.send("release fees", who, node.fee_vault, FeeVault::releaseCall { token, paymentToken: usd }).await
    }

    /// Of any wallet that has some.
    pub(super) async fn take_fees(&mut self, act: &'static str, Ground { node, .. }: Ground) -> Result<()> {
        let (vault, to) = (node.fee_vault, self.wallet());
        for usd in self.known.usd.clone() {
            for wallet in self.wallets.clone() {
                let credit = self.view(vault, FeeVault::creditOfCall { paymentToken: usd, wallet }).await?;
                if credit.is_zero() || self.one_in(3) {
                    continue;
                }
                let reason = self.reason();
                return if act == "draw fees" {
                    self.send(act, to, vault, FeeVault::drawCall { paymentToken: usd, wallet }).await
                } else {
                    let call = FeeVault::moveFeesCall { paymentToken: usd, from: wallet, to, reason };
                    self.send(act, cold()?, vault, call).await
                };
            }
        }
        Ok(())
    }
}
