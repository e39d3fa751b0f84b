//! Orders that match, and deals.

use alloy::primitives::{Address, B256, Bytes, U256, Uint};
use anyhow::Result;
use tokenx_contracts::bindings::{
    Cancellation, Deal, MarketTerms, Match, Order, OtcDesk, OtcTerms, SecondaryMarket, SecurityToken,
};

use super::super::acts::{Campaign, Ground, pick};
use super::{USD, cold, digest};

const MARKET: &str = "tokenx SecondaryMarket";
const DESK: &str = "tokenx OtcDesk";
const BUY: u8 = 0;
const SELL: u8 = 1;

/// A sell order that may have something left.
#[derive(Clone, Debug)]
pub(super) struct Resting {
    order: Order,
    signature: Bytes,
}

impl Campaign<'_> {
    pub(super) async fn market_terms(&mut self, Ground { token, node, .. }: Ground, usd: Address) -> Result<()> {
        let terms = MarketTerms {
            paymentToken: usd,
            open: !self.one_in(8),
            feeBps: u16::try_from(self.between(0, 300))?,
            lot: Uint::from(if self.one_in(4) { 1_000 } else { 1 }),
            minPrice: 1,
            maxPrice: u128::from(95 * USD),
        };
        let call = SecondaryMarket::setMarketTermsCall { token, terms, reason: self.reason() };
        self.send("market terms", cold()?, node.secondary_market, call).await
    }

    /// An order that counts now, remembered by its digest.
    async fn order(&mut self, ground: Ground, usd: Address, side: u8, price: U256) -> Result<Resting> {
        let (wallet, at) = (self.wallet(), ground.node.secondary_market);
        let most = if side == SELL { self.spendable(ground, wallet).await? } else { U256::MAX };
        let order = Order {
            wallet,
            token: ground.token,
            paymentToken: usd,
            side,
            quantity: self.units(1).min(most) / U256::from(1_000) * U256::from(1_000),
            limitPrice: price,
            maxFeeBps: 400,
            validFrom: self.now,
            expiry: self.later(),
            salt: self.reason(),
        };
        let signature = self.signed(MARKET, at, wallet, &order)?;
        self.known.orders.push((at, wallet, digest(MARKET, at, &order)));
        Ok(Resting { order, signature })
    }

    /// A new buy order against a new sell order, or one that was there before.
    pub(super) async fn trade(&mut self, ground: Ground) -> Result<()> {
        let Ground { token, operator, node } = ground;
        let terms = self.view(node.secondary_market, SecondaryMarket::marketTermsOfCall { token }).await?;
        let price = U256::from(self.between(1, 100 * USD));
        let resting = self.known.open.iter().rposition(|resting| resting.order.token == token);
        let sell = match resting {
            Some(place) if self.one_in(2) => self.known.open.swap_remove(place),
            _ => self.order(ground, terms.paymentToken, SELL, price).await?,
        };
        let worst = sell.order.limitPrice + self.dollars(3);
        let buy = self.order(ground, terms.paymentToken, BUY, worst).await?;
        let quantity = sell.order.quantity.min(buy.order.quantity);
        let quantity = if self.one_in(2) { quantity } else { quantity / U256::from(3_000) * U256::from(1_000) };
        self.known.open.push(sell.clone());
        let matched = Match { sell: sell.order, buy: buy.order, quantity, buyRests: self.one_in(2) };
        let call = SecondaryMarket::settleCall { matched, sellSignature: sell.signature, buySignature: buy.signature };
        self.send("trade", operator, node.secondary_market, call).await
    }

    async fn spendable(&self, ground: Ground, account: Address) -> Result<U256> {
        self.view(ground.token, SecurityToken::spendableOfCall { account }).await
    }

    pub(super) async fn cancel_order(&mut self, act: &'static str, ground: Ground) -> Result<()> {
        let at = ground.node.secondary_market;
        let placed: Vec<_> = self.known.orders.iter().copied().filter(|(market, ..)| *market == at).collect();
        let Some(&(_, wallet, order)) = placed.last() else { return Ok(()) };
        if act == "cancel order" {
            return self.send(act, wallet, at, SecondaryMarket::cancelCall { order }).await;
        }
        let signature = self.signed(MARKET, at, wallet, &Cancellation { wallet, id: order })?;
        let who = self.wallet();
        self.send(act, who, at, SecondaryMarket::cancelForCall { wallet, order, signature }).await
    }

    pub(super) async fn cancel_before(&mut self, ground: Ground) -> Result<()> {
        let (wallet, time) = (self.wallet(), self.now - self.between(0, 100_000));
        let call = SecondaryMarket::cancelAllBeforeCall { time };
        self.send("cancel before", wallet, ground.node.secondary_market, call).await
    }

    pub(super) async fn otc_terms(&mut self, Ground { token, node, .. }: Ground) -> Result<()> {
        let terms = OtcTerms { open: !self.one_in(8), feeBps: u16::try_from(self.between(0, 300))? };
        let call = OtcDesk::setOtcTermsCall { token, terms, reason: self.reason() };
        self.send("otc terms", cold()?, node.otc_desk, call).await
    }

    /// A deal that a party settles or takes back, or that somebody else settles for both.
    pub(super) async fn deal(&mut self, act: &'static str, ground: Ground, usd: Address) -> Result<()> {
        let Ground { token, operator, node } = ground;
        let (at, all) = (node.otc_desk, self.wallets.clone());
        let seller = pick(&mut self.chance, &all);
        let deal = Deal {
            token,
            seller,
            buyer: pick(&mut self.chance, &all),
            quantity: self.units(1).min(self.spendable(ground, seller).await?),
            paymentToken: usd,
            payment: self.dollars(50),
            maxFeeBps: 400,
            validFrom: self.now,
            deadline: self.later(),
            terms: B256::ZERO,
            salt: self.reason(),
        };
        self.known.deals.push((at, digest(DESK, at, &deal)));
        let by_seller = self.signed(DESK, at, deal.seller, &deal)?;
        let by_buyer = self.signed(DESK, at, deal.buyer, &deal)?;
        let buyer = deal.buyer;
        match (act, self.one_in(2)) {
            ("deal", true) => {
                let call = OtcDesk::settleCall { deal, sellerSignature: by_seller, buyerSignature: Bytes::new() };
                self.send(act, buyer, at, call).await
            }
            ("deal", false) => {
                let call = OtcDesk::settleCall { deal, sellerSignature: by_seller, buyerSignature: by_buyer };
                self.send(act, operator, at, call).await
            }
            _ => self.send(act, buyer, at, OtcDesk::cancelCall { deal }).await,
        }
    }
}
