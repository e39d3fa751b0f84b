//! Units back for money: requests, how they ended, and what is still to be drawn.

use alloy::primitives::{Address, U256};
use tokenx_migrations::copy::Rows;

use super::{Sheet, sheet};
use crate::ChainLog;
use crate::event::RedemptionDeskEvent;
use crate::read::int;

/// Why a credit is another one.
const APPROVED: i16 = 1;
const DRAWN: i16 = 2;
const MOVED: i16 = 3;

pub(super) struct Redemption {
    terms: Sheet,
    requests: Sheet,
    ends: Sheet,
    credits: Sheet,
}

impl Redemption {
    pub(super) fn new(chain_id: u64) -> Self {
        Self {
            terms: sheet!(chain_id, "redemption_terms", "contract, token, payment_token, max_price, reason, operator"),
            requests: sheet!(
                chain_id,
                "redemption_requests",
                "contract, token, request_id, wallet, quantity, payment_token, min_payout"
            ),
            ends: sheet!(
                chain_id,
                "redemption_ends",
                "contract, token, request_id, wallet, quantity, approved, payment_token, payout, credit, reason, operator"
            ),
            credits: sheet!(
                chain_id,
                "redemption_credits",
                "contract, token, payment_token, wallet, cause, amount, credit"
            ),
        }
    }

    pub(super) fn add(&mut self, log: &ChainLog, event: &RedemptionDeskEvent) {
        match event {
            RedemptionDeskEvent::RedemptionTermsChanged(e) => {
                let row = self.terms.row(log).address(e.token).address(e.terms.paymentToken);
                row.uint256(U256::from(e.terms.maxPrice)).word(e.reason).address(e.operator);
            }
            RedemptionDeskEvent::RedemptionRequested(e) => {
                self.requests
                    .row(log)
                    .address(e.token)
                    .bigint(number(e.requestId))
                    .address(e.wallet)
                    .uint256(e.quantity)
                    .address(e.paymentToken)
                    .uint256(e.minPayout);
            }
            RedemptionDeskEvent::RedemptionApproved(e) => {
                self.ends
                    .row(log)
                    .address(e.token)
                    .bigint(number(e.requestId))
                    .address(e.wallet)
                    .uint256(e.quantity)
                    .boolean(true)
                    .address(e.paymentToken)
                    .uint256(e.payout)
                    .uint256(e.credit)
                    .word(e.reason)
                    .address(e.operator);
                if !e.credit.is_zero() {
                    self.credit(log, (e.token, e.paymentToken, e.wallet), APPROVED, e.payout, e.credit);
                }
            }
            RedemptionDeskEvent::RedemptionClosed(e) => {
                self.ends
                    .row(log)
                    .address(e.token)
                    .bigint(number(e.requestId))
                    .address(e.wallet)
                    .uint256(e.quantity)
                    .boolean(false)
                    .or_null(None, Rows::address)
                    .or_null(None, Rows::uint256)
                    .or_null(None, Rows::uint256)
                    .word(e.reason)
                    .address(e.operator);
            }
            RedemptionDeskEvent::CreditDrawn(e) => {
                self.credit(log, (e.token, e.paymentToken, e.wallet), DRAWN, e.amount, U256::ZERO);
            }
            RedemptionDeskEvent::CreditMoved(e) => {
                if e.from != e.to {
                    self.credit(log, (e.token, e.paymentToken, e.from), MOVED, e.amount, U256::ZERO);
                }
                self.credit(log, (e.token, e.paymentToken, e.to), MOVED, e.amount, e.credit);
            }
            _ => {}
        }
    }

    fn credit(&mut self, log: &ChainLog, of: (Address, Address, Address), cause: i16, amount: U256, credit: U256) {
        let (token, payment_token, wallet) = of;
        let row = self.credits.row(log).address(token).address(payment_token).address(wallet);
        row.smallint(cause).uint256(amount).uint256(credit);
    }

    pub(super) fn sheets(self) -> impl IntoIterator<Item = Sheet> {
        [self.terms, self.requests, self.ends, self.credits]
    }
}

/// A request's number is that of its hold, which a token of ours counts from one.
fn number(request_id: U256) -> i64 {
    int(request_id.saturating_to())
}
