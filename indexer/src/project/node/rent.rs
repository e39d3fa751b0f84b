//! Rental income: periods, payments, and what tokens say of who counts, who earns, and whose rent is another one's now.

use alloy::primitives::U256;
use tokenx_migrations::copy::Rows;

use super::{Sheet, sheet};
use crate::ChainLog;
use crate::event::{RentDistributorEvent, TokenEvent};
use crate::read::int;

pub(super) struct Rent {
    terms: Sheet,
    distributors: Sheet,
    minimums: Sheet,
    periods: Sheet,
    payments: Sheet,
    moves: Sheet,
    retirements: Sheet,
}

impl Rent {
    pub(super) fn new(chain_id: u64) -> Self {
        Self {
            terms: sheet!(chain_id, "rent_terms", "contract, token, payment_token, start_at, length, reason, operator"),
            distributors: sheet!(chain_id, "rent_distributors", "token, distributor, bound, reason, operator"),
            minimums: sheet!(chain_id, "rent_minimums", "token, minimum, reason, operator"),
            periods: sheet!(
                chain_id,
                "rent_periods",
                "contract, token, period, payment_token, amount, earning, per_unit, carry, reason, operator"
            ),
            payments: sheet!(
                chain_id,
                "rent_payments",
                "contract, token, payment_token, wallet, amount, owed, refusal"
            ),
            moves: sheet!(
                chain_id,
                "rent_moves",
                "token, from_wallet, to_wallet, amount, accrued_after, reason, operator"
            ),
            retirements: sheet!(chain_id, "retirements", "token, reason, operator"),
        }
    }

    pub(super) fn add(&mut self, log: &ChainLog, event: &RentDistributorEvent) {
        match event {
            RentDistributorEvent::RentTermsChanged(e) => {
                self.terms
                    .row(log)
                    .address(e.token)
                    .address(e.terms.paymentToken)
                    .bigint(int(e.terms.start.to()))
                    .bigint(int(e.terms.length.to()))
                    .word(e.reason)
                    .address(e.operator);
            }
            RentDistributorEvent::RentOpened(e) => {
                self.periods
                    .row(log)
                    .address(e.token)
                    .integer(period(e.period))
                    .address(e.opened.paymentToken)
                    .uint256(e.opened.amount)
                    .uint256(e.opened.earning)
                    .uint256(e.opened.perUnit)
                    .uint256(e.opened.carry)
                    .word(e.reason)
                    .address(e.operator);
            }
            RentDistributorEvent::RentPaid(e) => {
                self.payments
                    .row(log)
                    .address(e.token)
                    .address(e.paymentToken)
                    .address(e.wallet)
                    .uint256(e.amount)
                    .uint256(e.owed)
                    .or_null(None::<&[u8]>, Rows::bytea);
            }
            RentDistributorEvent::RentPaymentFailed(e) => {
                self.payments
                    .row(log)
                    .address(e.token)
                    .or_null(None, Rows::address)
                    .address(e.wallet)
                    .or_null(None, Rows::uint256)
                    .or_null(None, Rows::uint256)
                    .bytea(e.refusal.as_slice());
            }
            _ => {}
        }
    }

    /// What a token says itself.
    pub(super) fn counted(&mut self, log: &ChainLog, event: &TokenEvent) {
        match event {
            TokenEvent::RentDistributorChanged(e) => {
                self.distributors.row(log).address(e.distributor).boolean(e.bound).word(e.reason).address(e.operator);
            }
            TokenEvent::RentMinimumChanged(e) => {
                self.minimums.row(log).uint256(e.minimum.to()).word(e.reason).address(e.operator);
            }
            TokenEvent::RentMoved(e) => {
                let row = self.moves.row(log).address(e.from).address(e.to);
                row.uint256(e.amount).uint256(e.accruedAfter).word(e.reason).address(e.operator);
            }
            TokenEvent::TokenRetired(e) => {
                self.retirements.row(log).word(e.reason).address(e.operator);
            }
            _ => {}
        }
    }

    pub(super) fn sheets(self) -> impl IntoIterator<Item = Sheet> {
        [self.terms, self.distributors, self.minimums, self.periods, self.payments, self.moves, self.retirements]
    }
}

/// A token of ours has no more than 65,535.
fn period(period: U256) -> i32 {
    i32::try_from(period).unwrap_or(i32::MAX)
}
