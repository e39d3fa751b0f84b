//! Allowances that wallets give by a signature (ERC-2612), so that they need no transaction of their own.

use alloy::primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};
use tokenx_contracts::ids::InstrumentId;

use super::signed::Permit;
use super::{Contract, instrument};

/// Passes a permit on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Consent {
    /// Lets a contract of the node take money of a wallet. Where the allowance is there, whoever brought it, that will do.
    UsePermit {
        /// An instrument of that node, for which the wallet is about to pay.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Who may take it.
        contract: Contract,
        /// What may be taken. Where it does not know ERC-2612, a wallet whose key is held here approves by itself.
        payment_token: Address,
        /// What was signed.
        permit: Permit,
        /// The proof: 65 bytes.
        signature: Bytes,
    },
    /// Lets somebody take units of a wallet, as market and OTC desk do when it sells.
    Permit {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Who may take them.
        spender: Address,
        /// What was signed.
        permit: Permit,
        /// The proof: 65 bytes.
        signature: Bytes,
    },
}

impl Consent {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Consent::UsePermit { .. } => "use_permit",
            Consent::Permit { .. } => "permit",
        }
    }

    pub(super) fn instrument(&self) -> &InstrumentId {
        match self {
            Consent::UsePermit { instrument, .. } | Consent::Permit { instrument, .. } => instrument,
        }
    }

    /// `None` where it is the token itself.
    pub(super) fn contract(&self) -> Option<Contract> {
        match self {
            Consent::UsePermit { contract, .. } => Some(*contract),
            Consent::Permit { .. } => None,
        }
    }

    /// Units are allowed to market and OTC desk alone, and both take money of who buys.
    pub(super) fn is_for_trade(&self) -> bool {
        match self {
            Consent::UsePermit { contract, .. } => matches!(contract, Contract::SecondaryMarket | Contract::OtcDesk),
            Consent::Permit { .. } => true,
        }
    }

    pub(super) fn wallet(&self) -> Address {
        match self {
            Consent::UsePermit { permit, .. } | Consent::Permit { permit, .. } => permit.owner,
        }
    }
}
