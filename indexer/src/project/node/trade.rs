//! Orders matched elsewhere, deals, and what wallets take back of both.

use alloy::primitives::U256;

use super::{Sheet, sheet};
use crate::ChainLog;
use crate::event::{OtcDeskEvent, SecondaryMarketEvent};
use crate::read::int;

pub(super) struct Trade {
    market_terms: Sheet,
    trades: Sheet,
    cutoffs: Sheet,
    otc_terms: Sheet,
    deals: Sheet,
    cancellations: Sheet,
}

impl Trade {
    pub(super) fn new(chain_id: u64) -> Self {
        Self {
            market_terms: sheet!(
                chain_id,
                "market_terms",
                "contract, token, payment_token, is_open, fee_bps, lot, min_price, max_price, reason, operator"
            ),
            trades: sheet!(
                chain_id,
                "trades",
                "contract, token, sell_order, buy_order, seller, buyer, quantity, payment_token, price, cost, fee,
                 buy_rests, sell_filled, buy_filled"
            ),
            cutoffs: sheet!(chain_id, "order_cutoffs", "contract, wallet, cutoff"),
            otc_terms: sheet!(chain_id, "otc_terms", "contract, token, is_open, fee_bps, reason, operator"),
            deals: sheet!(
                chain_id,
                "deals",
                "contract, token, deal, seller, buyer, quantity, payment_token, payment, fee"
            ),
            cancellations: sheet!(chain_id, "cancellations", "contract, digest, wallet"),
        }
    }

    pub(super) fn market(&mut self, log: &ChainLog, event: &SecondaryMarketEvent) {
        match event {
            SecondaryMarketEvent::MarketTermsChanged(e) => {
                self.market_terms
                    .row(log)
                    .address(e.token)
                    .address(e.terms.paymentToken)
                    .boolean(e.terms.open)
                    .integer(i32::from(e.terms.feeBps))
                    .uint256(e.terms.lot.to())
                    .uint256(U256::from(e.terms.minPrice))
                    .uint256(U256::from(e.terms.maxPrice))
                    .word(e.reason)
                    .address(e.operator);
            }
            SecondaryMarketEvent::Traded(e) => {
                self.trades
                    .row(log)
                    .address(e.token)
                    .word(e.sell)
                    .word(e.buy)
                    .address(e.trade.seller)
                    .address(e.trade.buyer)
                    .uint256(e.trade.quantity)
                    .address(e.trade.paymentToken)
                    .uint256(e.trade.price)
                    .uint256(e.trade.cost)
                    .uint256(e.trade.fee)
                    .boolean(e.trade.buyRests)
                    .uint256(e.trade.sellFilled)
                    .uint256(e.trade.buyFilled);
            }
            SecondaryMarketEvent::OrderCancelled(e) => {
                self.cancellations.row(log).word(e.order).address(e.wallet);
            }
            SecondaryMarketEvent::OrdersCancelledBefore(e) => {
                self.cutoffs.row(log).address(e.wallet).bigint(int(e.time));
            }
            _ => {}
        }
    }

    pub(super) fn otc(&mut self, log: &ChainLog, event: &OtcDeskEvent) {
        match event {
            OtcDeskEvent::OtcTermsChanged(e) => {
                self.otc_terms
                    .row(log)
                    .address(e.token)
                    .boolean(e.terms.open)
                    .integer(i32::from(e.terms.feeBps))
                    .word(e.reason)
                    .address(e.operator);
            }
            OtcDeskEvent::DealSettled(e) => {
                self.deals
                    .row(log)
                    .address(e.token)
                    .word(e.deal)
                    .address(e.seller)
                    .address(e.buyer)
                    .uint256(e.quantity)
                    .address(e.paymentToken)
                    .uint256(e.payment)
                    .uint256(e.fee);
            }
            OtcDeskEvent::DealCancelled(e) => {
                self.cancellations.row(log).word(e.deal).address(e.wallet);
            }
            _ => {}
        }
    }

    pub(super) fn sheets(self) -> impl IntoIterator<Item = Sheet> {
        [self.market_terms, self.trades, self.cutoffs, self.otc_terms, self.deals, self.cancellations]
    }
}
