//! The primary sale.

use alloy::primitives::U256;

use super::{Sheet, sheet};
use crate::ChainLog;
use crate::event::ListingEvent;
use crate::read::int;

pub(super) struct Sale {
    terms: Sheet,
    statuses: Sheet,
    reservations: Sheet,
    purchases: Sheet,
}

impl Sale {
    pub(super) fn new(chain_id: u64) -> Self {
        Self {
            terms: sheet!(
                chain_id,
                "listing_terms",
                "contract, token, payment_token, opens_at, closes_at, price, min_purchase, max_purchase, max_fees,
                 salable_bps, listed, reason, operator"
            ),
            statuses: sheet!(chain_id, "listing_statuses", "contract, token, status, reason, operator"),
            reservations: sheet!(chain_id, "fee_reservations", "contract, token, amount, fees, sold, reason, operator"),
            purchases: sheet!(
                chain_id,
                "purchases",
                "contract, token, buyer, investor_id, quantity, payment_token, cost, by_investor, purchased, sold"
            ),
        }
    }

    pub(super) fn add(&mut self, log: &ChainLog, event: &ListingEvent) {
        match event {
            ListingEvent::ListingTermsChanged(e) => {
                self.terms
                    .row(log)
                    .address(e.token)
                    .address(e.terms.paymentToken)
                    .bigint(int(e.terms.opensAt.to()))
                    .bigint(int(e.terms.closesAt.to()))
                    .uint256(U256::from(e.terms.price))
                    .uint256(e.terms.minPurchase.to())
                    .uint256(e.terms.maxPurchase.to())
                    .uint256(e.terms.maxFees.to())
                    .integer(i32::from(e.terms.salableBps))
                    .uint256(e.listed)
                    .word(e.reason)
                    .address(e.operator);
            }
            ListingEvent::ListingStatusChanged(e) => {
                self.statuses
                    .row(log)
                    .address(e.token)
                    .smallint(i16::from(e.status))
                    .word(e.reason)
                    .address(e.operator);
            }
            ListingEvent::FeesReserved(e) => {
                self.reservations
                    .row(log)
                    .address(e.token)
                    .uint256(e.amount)
                    .uint256(e.fees)
                    .uint256(e.sold)
                    .word(e.reason)
                    .address(e.operator);
            }
            ListingEvent::Purchased(e) => {
                self.purchases
                    .row(log)
                    .address(e.token)
                    .address(e.buyer)
                    .bigint(int(e.investorId))
                    .uint256(e.quantity)
                    .address(e.paymentToken)
                    .uint256(e.cost)
                    .uint256(e.purchasedByInvestor)
                    .uint256(e.purchased)
                    .uint256(e.sold);
            }
            _ => {}
        }
    }

    pub(super) fn sheets(self) -> impl IntoIterator<Item = Sheet> {
        [self.terms, self.statuses, self.reservations, self.purchases]
    }
}
