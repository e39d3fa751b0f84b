//! Primary sale, and fees: the listing and the fee vault of an instrument's node.

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use tokenx_contracts::ids::InstrumentId;

use super::signed::Purchase;
use super::terms::{Beneficiaries, FeeAmounts, FeeShares, ListingTerms};
use super::{Contract, decimal, instrument};

/// An operation of a listing or a fee vault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Sale {
    /// Sets the terms of a sale. What is sold stays sold.
    SetListingTerms {
        /// Instrument sold.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// From now on.
        terms: ListingTerms,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Starts the sale, or goes on with it.
    List {
        /// Instrument sold.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Stops the sale for now.
    Delist {
        /// Instrument sold.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Ends the sale for ever.
    Passivate {
        /// Instrument sold.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Sets whole tokens of the listed ones aside for fees.
    ReserveFees {
        /// Instrument sold.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Base units, whole tokens.
        #[serde(with = "decimal")]
        amount: U256,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Buys for a wallet that has signed.
    Buy {
        /// Instrument bought.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// What was signed.
        purchase: Purchase,
        /// The proof.
        signature: Bytes,
    },
    /// Says who gets fees, and how trade fees are shared.
    SetFeeTerms {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Whose wallets.
        beneficiaries: Beneficiaries,
        /// Of trade fees.
        shares: FeeShares,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Mints units of what the listing has set aside to those who get fees.
    AllocateFees {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// To each.
        amounts: FeeAmounts,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Splits what trades of an instrument have paid among those who get fees.
    ReleaseFees {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// What trades have paid in.
        payment_token: Address,
    },
    /// Pays a wallet all fees that are released to it.
    DrawFees {
        /// An instrument of the node whose vault pays; the fees may come from all of them.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// What is paid.
        payment_token: Address,
        /// Whom.
        wallet: Address,
    },
}

impl Sale {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Sale::SetListingTerms { .. } => "set_listing_terms",
            Sale::List { .. } => "list",
            Sale::Delist { .. } => "delist",
            Sale::Passivate { .. } => "passivate",
            Sale::ReserveFees { .. } => "reserve_fees",
            Sale::Buy { .. } => "buy",
            Sale::SetFeeTerms { .. } => "set_fee_terms",
            Sale::AllocateFees { .. } => "allocate_fees",
            Sale::ReleaseFees { .. } => "release_fees",
            Sale::DrawFees { .. } => "draw_fees",
        }
    }

    pub(super) fn instrument(&self) -> &InstrumentId {
        match self {
            Sale::SetListingTerms { instrument, .. }
            | Sale::List { instrument, .. }
            | Sale::Delist { instrument, .. }
            | Sale::Passivate { instrument, .. }
            | Sale::ReserveFees { instrument, .. }
            | Sale::Buy { instrument, .. }
            | Sale::SetFeeTerms { instrument, .. }
            | Sale::AllocateFees { instrument, .. }
            | Sale::ReleaseFees { instrument, .. }
            | Sale::DrawFees { instrument, .. } => instrument,
        }
    }

    pub(super) fn contract(&self) -> Contract {
        match self {
            Sale::SetFeeTerms { .. } | Sale::AllocateFees { .. } | Sale::ReleaseFees { .. } | Sale::DrawFees { .. } => {
                Contract::FeeVault
            }
            _ => Contract::Listing,
        }
    }

    pub(super) fn wallet(&self) -> Option<Address> {
        match self {
            Sale::Buy { purchase, .. } => Some(purchase.wallet),
            Sale::DrawFees { wallet, .. } => Some(*wallet),
            _ => None,
        }
    }

    pub(super) fn amount(&self) -> Option<U256> {
        match self {
            Sale::Buy { purchase, .. } => Some(purchase.quantity),
            Sale::ReserveFees { amount, .. } => Some(*amount),
            _ => None,
        }
    }
}
