//! Money for holders: redemptions and rent, and the funds out of which they are paid.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use tokenx_contracts::ids::InstrumentId;

use super::signed::{Claim, Funding, Redemption};
use super::terms::{RedemptionTerms, RentTerms};
use super::{Contract, Fund, decimal, instrument};

/// An operation of a redemption desk or a rent distributor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Payout {
    /// Says what redemptions are paid in, and how much at most.
    SetRedemptionTerms {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// From now on.
        terms: RedemptionTerms,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Asks for a wallet that has signed to have units redeemed; they are held until the request ends.
    RequestRedemption {
        /// Instrument redeemed.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// What was signed.
        redemption: Redemption,
        /// The proof.
        signature: Bytes,
    },
    /// Burns what is held for a request and pays for it.
    ApproveRedemption {
        /// Instrument redeemed.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// The request, by the number of its hold.
        request_id: u64,
        /// Base units of the payment token, for all of it.
        #[serde(with = "decimal")]
        payout: U256,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Closes a request without a payment.
    RejectRedemption {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// The request, by the number of its hold.
        request_id: u64,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Pays a wallet what it was refused when its redemption was approved.
    DrawCredit {
        /// Instrument that was redeemed.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// What is paid.
        payment_token: Address,
        /// Whom.
        wallet: Address,
    },
    /// Gives such a credit of a lost wallet to another one of its investor.
    MoveCredit {
        /// Instrument that was redeemed.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// What it is in.
        payment_token: Address,
        /// Wallet that was lost; revoked in the registry.
        from: Address,
        /// Whitelisted wallet of the same investor.
        to: Address,
        /// Why: lands in the event, and is part of what is asked.
        reason: B256,
    },
    /// Ends an instrument that has no units left and is not sold any more.
    Retire {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Pays into a fund for a wallet that has signed.
    PayIn {
        /// Instrument whose holders it is for.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Which of its funds.
        fund: Fund,
        /// What was signed.
        funding: Funding,
        /// The proof.
        signature: Bytes,
    },
    /// Pays what a fund has and does not owe to the node's treasury.
    Withdraw {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Which of its funds.
        fund: Fund,
        /// What is paid.
        payment_token: Address,
        /// Base units of it.
        #[serde(with = "decimal")]
        amount: U256,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Says what rent is paid in, and when periods may be opened.
    SetRentTerms {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// From now on.
        terms: RentTerms,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Divides part of the rent fund among those who hold when it runs.
    OpenRent {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// One more than the last.
        period: u16,
        /// Base units of the payment token.
        #[serde(with = "decimal")]
        amount: U256,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Pays the rent of a wallet that has signed.
    ClaimRent {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// What was signed.
        claim: Claim,
        /// The proof.
        signature: Bytes,
    },
    /// Pays many wallets their rent; who cannot be paid hinders nobody.
    PushRent {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Whom; the same ones in another order are the same command.
        wallets: BTreeSet<Address>,
    },
    /// Sets what a wallet must have to earn rent. Only while there are no units.
    SetRentMinimum {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Base units, 104 bits; 0 = anything.
        #[serde(with = "decimal")]
        minimum: U256,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
}

impl Payout {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Payout::SetRedemptionTerms { .. } => "set_redemption_terms",
            Payout::RequestRedemption { .. } => "request_redemption",
            Payout::ApproveRedemption { .. } => "approve_redemption",
            Payout::RejectRedemption { .. } => "reject_redemption",
            Payout::DrawCredit { .. } => "draw_credit",
            Payout::MoveCredit { .. } => "move_credit",
            Payout::Retire { .. } => "retire",
            Payout::PayIn { .. } => "pay_in",
            Payout::Withdraw { .. } => "withdraw",
            Payout::SetRentTerms { .. } => "set_rent_terms",
            Payout::OpenRent { .. } => "open_rent",
            Payout::ClaimRent { .. } => "claim_rent",
            Payout::PushRent { .. } => "push_rent",
            Payout::SetRentMinimum { .. } => "set_rent_minimum",
        }
    }

    pub(super) fn instrument(&self) -> &InstrumentId {
        match self {
            Payout::SetRedemptionTerms { instrument, .. }
            | Payout::RequestRedemption { instrument, .. }
            | Payout::ApproveRedemption { instrument, .. }
            | Payout::RejectRedemption { instrument, .. }
            | Payout::DrawCredit { instrument, .. }
            | Payout::MoveCredit { instrument, .. }
            | Payout::Retire { instrument, .. }
            | Payout::PayIn { instrument, .. }
            | Payout::Withdraw { instrument, .. }
            | Payout::SetRentTerms { instrument, .. }
            | Payout::OpenRent { instrument, .. }
            | Payout::ClaimRent { instrument, .. }
            | Payout::PushRent { instrument, .. }
            | Payout::SetRentMinimum { instrument, .. } => instrument,
        }
    }

    /// `None` where it is the token itself.
    pub(super) fn contract(&self) -> Option<Contract> {
        match self {
            Payout::PayIn { fund, .. } | Payout::Withdraw { fund, .. } => Some(fund.contract()),
            Payout::SetRentTerms { .. }
            | Payout::OpenRent { .. }
            | Payout::ClaimRent { .. }
            | Payout::PushRent { .. } => Some(Contract::RentDistributor),
            Payout::SetRentMinimum { .. } => None,
            _ => Some(Contract::RedemptionDesk),
        }
    }

    pub(super) fn wallet(&self) -> Option<Address> {
        match self {
            Payout::RequestRedemption { redemption, .. } => Some(redemption.wallet),
            Payout::DrawCredit { wallet, .. } | Payout::MoveCredit { from: wallet, .. } => Some(*wallet),
            Payout::PayIn { funding, .. } => Some(funding.wallet),
            Payout::ClaimRent { claim, .. } => Some(claim.wallet),
            _ => None,
        }
    }

    pub(super) fn receiver(&self) -> Option<Address> {
        match self {
            Payout::MoveCredit { to, .. } => Some(*to),
            _ => None,
        }
    }

    pub(super) fn amount(&self) -> Option<U256> {
        match self {
            Payout::RequestRedemption { redemption, .. } => Some(redemption.quantity),
            _ => None,
        }
    }
}
