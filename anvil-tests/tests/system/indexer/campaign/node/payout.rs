//! Units back for money, and rent: what issuers pay in and holders get.

use alloy::primitives::{Address, U256, Uint};
use anyhow::Result;
use tokenx_contracts::bindings::{
    Claim, InvestorRegistry, Redemption, RedemptionDesk, RentDistributor, RentTerms, SecurityToken, redemption_desk,
    rent_distributor,
};

use super::super::acts::{Campaign, Ground};
use super::{UNIT, USD, cold};

impl Campaign<'_> {
    pub(super) async fn redemption_terms(&mut self, ground: Ground, usd: Address) -> Result<()> {
        let terms = redemption_desk::IRedemptionDesk::RedemptionTerms {
            paymentToken: usd,
            maxPrice: u128::from(self.between(50 * USD, 90 * USD)),
        };
        let call = RedemptionDesk::setRedemptionTermsCall { token: ground.token, terms, reason: self.reason() };
        self.send("redemption terms", cold()?, ground.node.redemption_desk, call).await
    }

    pub(super) async fn rent_terms(&mut self, ground: Ground, usd: Address) -> Result<()> {
        let terms = RentTerms { paymentToken: usd, start: Uint::ZERO, length: Uint::ZERO };
        let call = RentDistributor::setRentTermsCall { token: ground.token, terms, reason: self.reason() };
        self.send("rent terms", cold()?, ground.node.rent_distributor, call).await
    }

    /// Pays into one of a token's funds what its terms say.
    pub(super) async fn fund(&mut self, act: &'static str, Ground { token, operator, node }: Ground) -> Result<()> {
        let (wallet, amount, salt) = (self.wallet(), self.dollars(2_000), self.reason());
        let deadline = U256::from(self.later());
        if self.one_in(2) {
            let at = node.redemption_desk;
            let payment_token = self.view(at, RedemptionDesk::redemptionTermsOfCall { token }).await?.paymentToken;
            if act == "fund" {
                let call = RedemptionDesk::fundCall { token, paymentToken: payment_token, amount };
                return self.send(act, wallet, at, call).await;
            }
            let funding = redemption_desk::ITokenFunds::Funding {
                wallet,
                token,
                paymentToken: payment_token,
                amount,
                deadline,
                salt,
            };
            self.known.salts.push((at, wallet, salt));
            let signature = self.signed("tokenx RedemptionDesk", at, wallet, &funding)?;
            return self.send(act, operator, at, RedemptionDesk::fundForCall { funding, signature }).await;
        }
        let at = node.rent_distributor;
        let payment_token = self.view(at, RentDistributor::rentTermsOfCall { token }).await?.paymentToken;
        if act == "fund" {
            let call = RentDistributor::fundCall { token, paymentToken: payment_token, amount };
            return self.send(act, wallet, at, call).await;
        }
        let funding = rent_distributor::ITokenFunds::Funding {
            wallet,
            token,
            paymentToken: payment_token,
            amount,
            deadline,
            salt,
        };
        self.known.salts.push((at, wallet, salt));
        let signature = self.signed("tokenx RentDistributor", at, wallet, &funding)?;
        self.send(act, operator, at, RentDistributor::fundForCall { funding, signature }).await
    }

    pub(super) async fn withdraw(&mut self, ground: Ground, usd: Address) -> Result<()> {
        let Ground { token, operator, node } = ground;
        let at = if self.one_in(2) { node.redemption_desk } else { node.rent_distributor };
        let (amount, reason) = (self.dollars(200), self.reason());
        let call = RentDistributor::withdrawCall { token, paymentToken: usd, amount, reason };
        self.send("withdraw", operator, at, call).await
    }

    pub(super) async fn request(&mut self, act: &'static str, Ground { token, operator, node }: Ground) -> Result<()> {
        let (wallet, at) = (self.wallet(), node.redemption_desk);
        let spendable = self.view(token, SecurityToken::spendableOfCall { account: wallet }).await?;
        let quantity = self.units(1).min(spendable);
        let payment_token = self.view(at, RedemptionDesk::redemptionTermsOfCall { token }).await?.paymentToken;
        let min_payout = self.dollars(5);
        if act == "request" {
            let call =
                RedemptionDesk::requestCall { token, quantity, paymentToken: payment_token, minPayout: min_payout };
            return self.send(act, wallet, at, call).await;
        }
        let redemption = Redemption {
            wallet,
            token,
            quantity,
            paymentToken: payment_token,
            minPayout: min_payout,
            deadline: U256::from(self.later()),
            salt: self.reason(),
        };
        self.known.salts.push((at, wallet, redemption.salt));
        let signature = self.signed("tokenx RedemptionDesk", at, wallet, &redemption)?;
        self.send(act, operator, at, RedemptionDesk::requestForCall { redemption, signature }).await
    }

    /// Decides on any request whose units are still held.
    pub(super) async fn decide(&mut self, act: &'static str, Ground { token, operator, node }: Ground) -> Result<()> {
        let at = node.redemption_desk;
        for account in self.wallets.clone() {
            let holds = self.view(token, SecurityToken::holdsOfCall { account }).await?;
            let Some(hold) = holds.iter().find(|hold| hold.agent == at) else { continue };
            if self.one_in(3) {
                continue;
            }
            let (request_id, reason) = (U256::from(hold.id), self.reason());
            let asked = self.view(at, RedemptionDesk::requestOfCall { token, requestId: request_id }).await?;
            return match act {
                "reject" => {
                    let call = RedemptionDesk::rejectCall { token, requestId: request_id, reason };
                    self.send(act, operator, at, call).await
                }
                "take back request" => {
                    let call = RedemptionDesk::cancelCall { token, requestId: request_id };
                    self.send(act, asked.wallet, at, call).await
                }
                _ => {
                    let most: u64 = payout(asked.quantity.to()).to();
                    let payout = asked.minPayout.max(U256::from(self.between(0, most)));
                    let call = RedemptionDesk::approveCall { token, requestId: request_id, payout, reason };
                    self.send(act, operator, at, call).await
                }
            };
        }
        Ok(())
    }

    /// Has a request approved in a block in which the payment token refuses everybody.
    pub(super) async fn approve_unpaid(&mut self, Ground { token, operator, node }: Ground) -> Result<()> {
        let (at, usd, account) = (node.redemption_desk, self.known.usd[1], self.wallet());
        let spendable = self.view(token, SecurityToken::spendableOfCall { account }).await?;
        if spendable.is_zero() {
            return Ok(());
        }
        self.redemption_terms(Ground { token, operator, node }, usd).await?;
        self.mine().await?;
        let (quantity, amount) = (self.units(1).min(spendable), U256::from(50 * USD));
        self.send("fund", account, at, RedemptionDesk::fundCall { token, paymentToken: usd, amount }).await?;
        let call = RedemptionDesk::requestCall { token, quantity, paymentToken: usd, minPayout: U256::ZERO };
        self.send("request", account, at, call).await?;
        self.mine().await?;
        let holds = self.view(token, SecurityToken::holdsOfCall { account }).await?;
        let Some(hold) = holds.iter().rfind(|hold| hold.agent == at) else { return Ok(()) };
        let request_id = U256::from(hold.id);
        let asked = self.view(at, RedemptionDesk::requestOfCall { token, requestId: request_id }).await?;
        let payout = payout(asked.quantity.to());
        let call = RedemptionDesk::approveCall { token, requestId: request_id, payout, reason: self.reason() };
        self.usd_moves(false).await?;
        self.send("approve unpaid", operator, at, call).await?;
        self.mine().await?;
        self.usd_moves(true).await
    }

    /// Of any wallet that has some; what moves is a lost wallet's.
    pub(super) async fn take_credit(&mut self, act: &'static str, ground: Ground) -> Result<()> {
        let (at, token, reason) = (ground.node.redemption_desk, ground.token, self.reason());
        // Of the second one alone: the first never refuses anybody.
        let usd = self.known.usd[1];
        for (place, wallet) in self.wallets.clone().into_iter().enumerate() {
            let credit = RedemptionDesk::creditOfCall { token, paymentToken: usd, wallet };
            if self.view(at, credit).await?.is_zero() {
                continue;
            }
            if act == "draw credit" {
                let call = RedemptionDesk::drawCall { token, paymentToken: usd, wallet };
                let who = self.wallet();
                return self.send(act, who, at, call).await;
            }
            let suite = &self.stage.deployment.suite;
            let (registrar, registry) = (suite.registry_executor, suite.registry);
            self.send("revoke", registrar, registry, InvestorRegistry::revokeCall { wallet, reason }).await?;
            self.mine().await?;
            let (same, to) = (self.wallets[place ^ 1], self.wallet());
            let (from, to) = if self.one_in(2) { (ground.operator, same) } else { (cold()?, to) };
            let call = RedemptionDesk::moveCreditCall { token, paymentToken: usd, from: wallet, to, reason };
            self.send(act, from, at, call).await?;
            self.mine().await?;
            return self.register(wallet, false).await;
        }
        Ok(())
    }

    pub(super) async fn bind_distributor(&mut self, Ground { token, node, .. }: Ground) -> Result<()> {
        let (bound, reason) = (!self.one_in(5), self.reason());
        let call = SecurityToken::setRentDistributorCall { distributor: node.rent_distributor, bound, reason };
        self.send("bind distributor", cold()?, token, call).await
    }

    pub(super) async fn open_rent(&mut self, Ground { token, operator, node }: Ground) -> Result<()> {
        let rent = self.view(token, SecurityToken::rentCall {}).await?;
        let period = U256::from(rent.period) + U256::ONE;
        let call = RentDistributor::openCall { token, period, amount: self.dollars(600), reason: self.reason() };
        self.send("open rent", operator, node.rent_distributor, call).await
    }

    pub(super) async fn claim(&mut self, act: &'static str, Ground { token, operator, node }: Ground) -> Result<()> {
        let (wallet, at) = (self.wallet(), node.rent_distributor);
        if act == "claim" {
            return self.send(act, wallet, at, RentDistributor::claimCall { token }).await;
        }
        let signed = Claim { wallet, token, deadline: U256::from(self.later()), salt: self.reason() };
        self.known.salts.push((at, wallet, signed.salt));
        let signature = self.signed("tokenx RentDistributor", at, wallet, &signed)?;
        self.send(act, operator, at, RentDistributor::claimForCall { signed, signature }).await
    }

    pub(super) async fn push(&mut self, Ground { token, operator, node }: Ground) -> Result<()> {
        let wallets = (0..4).map(|_| self.wallet()).collect();
        self.send("push", operator, node.rent_distributor, RentDistributor::pushCall { token, wallets }).await
    }

    pub(super) async fn move_rent(&mut self, Ground { token, .. }: Ground) -> Result<()> {
        let (from, to, reason) = (self.wallet(), self.wallet(), self.reason());
        self.send("move rent", cold()?, token, SecurityToken::moveRentCall { from, to, reason }).await
    }
}

/// Within the price that all terms of a campaign allow.
fn payout(quantity: U256) -> U256 {
    quantity * U256::from(50 * USD) / U256::from(UNIT)
}
