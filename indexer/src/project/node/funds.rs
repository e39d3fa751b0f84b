//! What issuers have paid in for their tokens and is not spoken for.

use alloy::primitives::Address;
use tokenx_migrations::copy::Rows;

use super::{Sheet, sheet};
use crate::event::{RedemptionDeskEvent, RentDistributorEvent};
use crate::{ChainLog, Event};

/// Why there is more or less of it.
const PAID_IN: i16 = 1;
const WITHDRAWN: i16 = 2;
const REDEEMED: i16 = 3;
const DIVIDED: i16 = 4;

pub(super) struct Funds(Sheet);

impl Funds {
    pub(super) fn new(chain_id: u64) -> Self {
        Self(sheet!(chain_id, "fund_changes", "contract, token, payment_token, cause, wallet, amount, available"))
    }

    pub(super) fn add(&mut self, log: &ChainLog, event: &Event) {
        macro_rules! change {
            ($token:expr, $payment_token:expr, $cause:expr, $wallet:expr, $amount:expr, $available:expr) => {{
                let row = self.0.row(log).address($token).address($payment_token).smallint($cause);
                row.or_null($wallet, Rows::address).uint256($amount).uint256($available);
            }};
        }
        macro_rules! money {
            ($($contract:ident $events:ident),*) => {
                match event {
                    $(
                        Event::$contract($events::Funded(e)) => {
                            change!(e.token, e.paymentToken, PAID_IN, Some(e.payer), e.amount, e.available);
                        }
                        Event::$contract($events::FundWithdrawn(e)) => {
                            change!(e.token, e.paymentToken, WITHDRAWN, Some(e.treasury), e.amount, e.available);
                        }
                    )*
                    Event::RedemptionDesk(RedemptionDeskEvent::RedemptionApproved(e)) => {
                        change!(e.token, e.paymentToken, REDEEMED, None::<Address>, e.payout, e.available);
                    }
                    Event::RentDistributor(RentDistributorEvent::RentOpened(e)) => {
                        let opened = &e.opened;
                        change!(
                            e.token,
                            opened.paymentToken,
                            DIVIDED,
                            None::<Address>,
                            opened.amount,
                            opened.available
                        );
                    }
                    _ => {}
                }
            };
        }
        money!(RedemptionDesk RedemptionDeskEvent, RentDistributor RentDistributorEvent);
    }

    pub(super) fn sheets(self) -> impl IntoIterator<Item = Sheet> {
        [self.0]
    }
}
