//! What the contracts of nodes did: a row for each log, with what results of it. What holds now is said by views of the
//! latest rows, so that nothing but rows has to be written, and nothing but rows to be taken back.
//!
//! Anybody may have these contracts log what he likes of a token of his own making: rows are kept only of tokens that a
//! factory of ours has made. Credits of fee vaults alone are shared by all tokens of a payment token.

mod effects;
mod fees;
mod funds;
mod redemption;
mod rent;
mod sale;
mod trade;

use std::collections::HashMap;

use alloy::primitives::Address;
use sqlx::PgConnection;
use tokenx_migrations::copy::Rows;

use super::instruments::State;
use super::rows::event_row;
use crate::event::{
    FeeVaultEvent, ListingEvent, OtcDeskEvent, RedemptionDeskEvent, RentDistributorEvent, SecondaryMarketEvent,
    TokenEvent,
};
use crate::{ChainLog, Event};
pub(super) use effects::{kept, told};
use fees::Fees;
use funds::Funds;
use redemption::Redemption;
use rent::Rent;
use sale::Sale;
use trade::Trade;

/// A sheet of a table by the columns that follow those which all have: place, transaction and command.
macro_rules! sheet {
    ($chain:expr, $table:literal, $columns:literal) => {
        $crate::project::node::Sheet::new(
            $chain,
            concat!($table, " (chain_id, block_number, log_index, block_time, tx_hash, command_key, ", $columns, ")"),
        )
    };
}
use sheet;

/// New rows of one table.
struct Sheet {
    chain_id: u64,
    into: &'static str,
    rows: Rows,
}

impl Sheet {
    fn new(chain_id: u64, into: &'static str) -> Self {
        // No table has 2^15 columns.
        let columns = i16::try_from(into.matches(',').count() + 1).unwrap_or(i16::MAX);
        Self { chain_id, into, rows: Rows::new(columns) }
    }

    /// The next row, up to the contract that says it.
    fn row(&mut self, log: &ChainLog) -> &mut Rows {
        event_row(&mut self.rows, self.chain_id, log).or_null(log.command, Rows::word).address(log.address)
    }
}

/// What all six say alike.
struct Common {
    treasuries: Sheet,
    intents: Sheet,
}

impl Common {
    fn new(chain_id: u64) -> Self {
        Self {
            treasuries: sheet!(chain_id, "treasuries", "contract, treasury, operator"),
            intents: sheet!(chain_id, "intents", "contract, wallet, salt, cancelled"),
        }
    }

    fn add(&mut self, log: &ChainLog, event: &Event) {
        macro_rules! add {
            ($($contract:ident $events:ident),*) => {
                match event {
                    $(
                        Event::$contract($events::TreasuryChanged(e)) => {
                            self.treasuries.row(log).address(e.newTreasury).address(e.operator);
                        }
                        Event::$contract($events::IntentConsumed(e)) => {
                            self.intents.row(log).address(e.wallet).word(e.salt).boolean(e.cancelled);
                        }
                    )*
                    _ => {}
                }
            };
        }
        add!(
            Listing ListingEvent,
            SecondaryMarket SecondaryMarketEvent,
            OtcDesk OtcDeskEvent,
            RentDistributor RentDistributorEvent,
            FeeVault FeeVaultEvent,
            RedemptionDesk RedemptionDeskEvent
        );
    }

    fn sheets(self) -> impl IntoIterator<Item = Sheet> {
        [self.treasuries, self.intents]
    }
}

/// Writes what the batch's logs of nodes' contracts say, and what tokens say of their rent and end.
pub(super) async fn write(
    chain_id: u64,
    logs: &[ChainLog],
    tokens: &HashMap<Address, State>,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    if !logs.iter().any(|log| log.event.as_ref().is_some_and(is_node)) {
        return Ok(());
    }
    for sheet in sheets(chain_id, logs, |token| tokens.get(&token).is_some_and(|state| !state.followed)) {
        sheet.rows.send(tx, sheet.into).await?;
    }
    Ok(())
}

/// What is to be written of `logs`, where a token is `ours`.
fn sheets(chain_id: u64, logs: &[ChainLog], ours: impl Fn(Address) -> bool) -> Vec<Sheet> {
    let (mut common, mut sale, mut fees) = (Common::new(chain_id), Sale::new(chain_id), Fees::new(chain_id));
    let (mut funds, mut redemption) = (Funds::new(chain_id), Redemption::new(chain_id));
    let (mut rent, mut trade) = (Rent::new(chain_id), Trade::new(chain_id));
    for log in logs {
        let Some(event) = &log.event else { continue };
        if let Event::FeeVault(event) = event {
            fees.credited(log, event);
        }
        if token_of(event).is_some_and(|token| !ours(token)) {
            continue;
        }
        common.add(log, event);
        funds.add(log, event);
        match event {
            Event::Listing(event) => sale.add(log, event),
            Event::FeeVault(event) => fees.add(log, event),
            Event::RedemptionDesk(event) => redemption.add(log, event),
            Event::RentDistributor(event) => rent.add(log, event),
            Event::Token(event) => rent.counted(log, event),
            Event::SecondaryMarket(event) => trade.market(log, event),
            Event::OtcDesk(event) => trade.otc(log, event),
            Event::Registry(_) | Event::Executor(_) | Event::Factory(_) | Event::Proxy(_) => {}
        }
    }
    let sale = sale.sheets().into_iter().chain(fees.sheets()).chain(trade.sheets());
    let payouts = funds.sheets().into_iter().chain(redemption.sheets()).chain(rent.sheets());
    sale.chain(payouts).chain(common.sheets()).filter(|sheet| !sheet.rows.is_empty()).collect()
}

/// Whether it is an event of a node's contract, or one of a token that goes with those.
fn is_node(event: &Event) -> bool {
    match event {
        Event::Token(event) => matches!(
            event,
            TokenEvent::RentDistributorChanged(_)
                | TokenEvent::RentMinimumChanged(_)
                | TokenEvent::RentMoved(_)
                | TokenEvent::TokenRetired(_)
        ),
        Event::Registry(_) | Event::Executor(_) | Event::Factory(_) | Event::Proxy(_) => false,
        Event::Listing(_)
        | Event::SecondaryMarket(_)
        | Event::OtcDesk(_)
        | Event::RentDistributor(_)
        | Event::FeeVault(_)
        | Event::RedemptionDesk(_) => true,
    }
}

/// The token that an event of a node's contract speaks of; `None` where it speaks of none.
pub(super) fn token_of(event: &Event) -> Option<Address> {
    Some(match event {
        Event::Listing(event) => match event {
            ListingEvent::ListingTermsChanged(e) => e.token,
            ListingEvent::ListingStatusChanged(e) => e.token,
            ListingEvent::FeesReserved(e) => e.token,
            ListingEvent::Purchased(e) => e.token,
            _ => return None,
        },
        Event::FeeVault(event) => match event {
            FeeVaultEvent::FeeTermsChanged(e) => e.token,
            FeeVaultEvent::FeesAllocated(e) => e.token,
            FeeVaultEvent::FeeAccrued(e) => e.token,
            FeeVaultEvent::FeesReleased(e) => e.token,
            _ => return None,
        },
        Event::RedemptionDesk(event) => match event {
            RedemptionDeskEvent::RedemptionTermsChanged(e) => e.token,
            RedemptionDeskEvent::RedemptionRequested(e) => e.token,
            RedemptionDeskEvent::RedemptionApproved(e) => e.token,
            RedemptionDeskEvent::RedemptionClosed(e) => e.token,
            RedemptionDeskEvent::CreditDrawn(e) => e.token,
            RedemptionDeskEvent::CreditMoved(e) => e.token,
            RedemptionDeskEvent::Funded(e) => e.token,
            RedemptionDeskEvent::FundWithdrawn(e) => e.token,
            _ => return None,
        },
        Event::RentDistributor(event) => match event {
            RentDistributorEvent::RentTermsChanged(e) => e.token,
            RentDistributorEvent::RentOpened(e) => e.token,
            RentDistributorEvent::RentPaid(e) => e.token,
            RentDistributorEvent::RentPaymentFailed(e) => e.token,
            RentDistributorEvent::Funded(e) => e.token,
            RentDistributorEvent::FundWithdrawn(e) => e.token,
            _ => return None,
        },
        Event::SecondaryMarket(event) => match event {
            SecondaryMarketEvent::MarketTermsChanged(e) => e.token,
            SecondaryMarketEvent::Traded(e) => e.token,
            _ => return None,
        },
        Event::OtcDesk(event) => match event {
            OtcDeskEvent::OtcTermsChanged(e) => e.token,
            OtcDeskEvent::DealSettled(e) => e.token,
            _ => return None,
        },
        _ => return None,
    })
}
