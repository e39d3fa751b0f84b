//! Calls of the investor registry.

use alloy::primitives::{Address, B256};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::{Investor as Record, InvestorRegistry};

use crate::facts::Facts;
use crate::refusal::{Field, Refusal};

/// The registry's flag of a wallet that may hold and trade.
pub(super) const WHITELISTED: u8 = 1;

pub(super) fn whitelist(facts: &Facts, wallet: Address, investor: Record, reason: B256) -> Result<Vec<u8>, Refusal> {
    if wallet.is_zero() {
        return Err(Refusal::plain(ReasonCode::InvalidWallet, Field::Wallet));
    }
    if investor.investorId == 0 {
        return Err(Refusal::plain(ReasonCode::InvalidInvestor, Field::Wallet));
    }
    let known = facts.wallet.investor_id;
    if known != 0 && known != investor.investorId {
        let message = format!("wallet {wallet} belongs to investor {known} and stays there");
        return Err(Refusal::with(ReasonCode::WalletBelongsToOther, Field::Wallet, message));
    }
    // The call writes the whole record, sanctions included: only the registry's admin lifts these.
    if facts.wallet.sanctioned {
        return Err(Refusal::of_wallet(ReasonCode::SanctionsHit, Field::Wallet, wallet));
    }
    Ok(InvestorRegistry::setInvestorCall { wallet, investor, reason }.abi_encode())
}

pub(super) fn revoke(facts: &Facts, wallet: Address, reason: B256) -> Result<Vec<u8>, Refusal> {
    if facts.wallet.investor_id == 0 {
        let message = format!("the registry knows no wallet {wallet}");
        return Err(Refusal::with(ReasonCode::UnknownWallet, Field::Wallet, message));
    }
    Ok(InvestorRegistry::revokeCall { wallet, reason }.abi_encode())
}
