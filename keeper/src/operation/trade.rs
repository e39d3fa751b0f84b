//! Trades between holders: matched orders, and deals between two.

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use tokenx_contracts::ids::InstrumentId;

use super::signed::{Deal, Order};
use super::terms::{MarketTerms, OtcTerms};
use super::{Contract, decimal, instrument};

/// An operation of a secondary market or an OTC desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Trade {
    /// Sets the terms of trading by orders.
    SetMarketTerms {
        /// Instrument traded.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// From now on.
        terms: MarketTerms,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Fills two orders that have been matched, whole or in part, at the price of the one that was there first.
    SettleOrders {
        /// Instrument traded.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// What the seller has signed.
        sell: Order,
        /// What the buyer has signed.
        buy: Order,
        /// Base units that change hands.
        #[serde(with = "decimal")]
        quantity: U256,
        /// Whether the buy order was there first.
        buy_rests: bool,
        /// The seller's proof.
        sell_signature: Bytes,
        /// The buyer's.
        buy_signature: Bytes,
    },
    /// Cancels an order for the wallet that has signed so.
    CancelOrder {
        /// Instrument traded.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Whose order.
        wallet: Address,
        /// The order, by its hash.
        order: B256,
        /// The proof.
        signature: Bytes,
    },
    /// Sets the terms of deals.
    SetOtcTerms {
        /// Instrument traded.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// From now on.
        terms: OtcTerms,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Settles a deal that both have signed.
    SettleDeal {
        /// Instrument traded.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// What both have signed.
        deal: Deal,
        /// The seller's proof.
        seller_signature: Bytes,
        /// The buyer's.
        buyer_signature: Bytes,
    },
    /// Takes back the consent of a party that has signed so.
    CancelDeal {
        /// Instrument traded.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Which deal.
        deal: Deal,
        /// The seller or the buyer.
        party: Address,
        /// The proof.
        signature: Bytes,
    },
}

impl Trade {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Trade::SetMarketTerms { .. } => "set_market_terms",
            Trade::SettleOrders { .. } => "settle_orders",
            Trade::CancelOrder { .. } => "cancel_order",
            Trade::SetOtcTerms { .. } => "set_otc_terms",
            Trade::SettleDeal { .. } => "settle_deal",
            Trade::CancelDeal { .. } => "cancel_deal",
        }
    }

    pub(super) fn instrument(&self) -> &InstrumentId {
        match self {
            Trade::SetMarketTerms { instrument, .. }
            | Trade::SettleOrders { instrument, .. }
            | Trade::CancelOrder { instrument, .. }
            | Trade::SetOtcTerms { instrument, .. }
            | Trade::SettleDeal { instrument, .. }
            | Trade::CancelDeal { instrument, .. } => instrument,
        }
    }

    pub(super) fn contract(&self) -> Contract {
        match self {
            Trade::SetMarketTerms { .. } | Trade::SettleOrders { .. } | Trade::CancelOrder { .. } => {
                Contract::SecondaryMarket
            }
            Trade::SetOtcTerms { .. } | Trade::SettleDeal { .. } | Trade::CancelDeal { .. } => Contract::OtcDesk,
        }
    }

    pub(super) fn wallet(&self) -> Option<Address> {
        match self {
            Trade::SettleOrders { sell, .. } => Some(sell.wallet),
            Trade::SettleDeal { deal, .. } => Some(deal.seller),
            Trade::CancelOrder { wallet, .. } | Trade::CancelDeal { party: wallet, .. } => Some(*wallet),
            Trade::SetMarketTerms { .. } | Trade::SetOtcTerms { .. } => None,
        }
    }

    pub(super) fn receiver(&self) -> Option<Address> {
        match self {
            Trade::SettleOrders { buy, .. } => Some(buy.wallet),
            Trade::SettleDeal { deal, .. } => Some(deal.buyer),
            _ => None,
        }
    }

    pub(super) fn amount(&self) -> Option<U256> {
        match self {
            Trade::SettleOrders { quantity, .. } => Some(*quantity),
            Trade::SettleDeal { deal, .. } => Some(deal.quantity),
            _ => None,
        }
    }

    /// Whether it fills or settles, which draws on two wallets.
    pub(super) fn is_trade(&self) -> bool {
        matches!(self, Trade::SettleOrders { .. } | Trade::SettleDeal { .. })
    }
}
