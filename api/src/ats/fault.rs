//! Whose fault it was that the chain refused a settlement: pure.

use alloy::primitives::{Address, B256, U256};
use tokenx_contracts::ReasonCode;

use super::names::Does;

/// A party of a settlement that was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side {
    /// Its wallet.
    pub(crate) wallet: Address,
    /// What it alone has signed.
    pub(crate) digest: Option<B256>,
    /// Base units of the token that it gives; `None`: it pays.
    pub(crate) gives: Option<U256>,
}

/// What the party at fault is told: that what it had promised was gone, or why it may not trade.
pub(crate) fn told(code: ReasonCode) -> ReasonCode {
    use ReasonCode as R;
    match code {
        R::InsufficientBalance | R::AllowanceTooSmall | R::PaymentFailed => R::InsufficientFundsAtSettlement,
        other => other,
    }
}

/// Whose fault it was, of seller and buyer; `None` where it was neither's, or cannot be told.
pub(crate) fn at_fault(code: ReasonCode, failure: &str, [seller, buyer]: [Side; 2]) -> Option<Does> {
    use ReasonCode as R;
    let names = |side: Side| {
        let signed = side.digest.is_some_and(|digest| failure.contains(&digest.to_string()));
        signed || failure.contains(&side.wallet.to_string())
    };
    match code {
        R::SenderFrozen | R::SenderNotWhitelisted | R::SenderKycExpired | R::SenderSanctioned => Some(Does::Sell),
        R::AmountFrozen | R::AmountHeld | R::InsufficientSpendable => Some(Does::Sell),
        R::RecipientFrozen | R::RecipientNotWhitelisted | R::RecipientKycExpired | R::RecipientSanctioned => {
            Some(Does::Buy)
        }
        R::RecipientCountry | R::HolderLimit | R::BalanceLimit | R::PaymentFailed => Some(Does::Buy),
        // It says how much was to be taken: the units that are sold, or the money.
        R::AllowanceTooSmall if seller.gives.is_some_and(|units| failure.contains(&format!("of {units} needed"))) => {
            Some(Does::Sell)
        }
        R::AllowanceTooSmall => Some(Does::Buy),
        _ if names(seller) => Some(Does::Sell),
        _ if names(buyer) => Some(Does::Buy),
        _ => None,
    }
}
