//! Calls that take units without their holder's consent, and that replace a lost wallet.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::SecurityToken;

use super::Case;
use crate::refusal::{Field, Refusal};

pub(super) fn transfer(
    case: &Case<'_>,
    from: Address,
    to: Address,
    amount: U256,
    reason: B256,
) -> Result<Vec<u8>, Refusal> {
    differ(from, to)?;
    case.may_receive(to, &case.receiver(), Field::Receiver)?;
    can_be_taken(case, amount, from)?;
    // It has an ERC-7943 form without a reason beside it, so the bindings number it.
    Ok(SecurityToken::forcedTransfer_1Call { from, to, amount, reason }.abi_encode())
}

pub(super) fn burn(case: &Case<'_>, from: Address, amount: U256, reason: B256) -> Result<Vec<u8>, Refusal> {
    can_be_taken(case, amount, from)?;
    Ok(SecurityToken::forcedBurnCall { from, amount, reason }.abi_encode())
}

pub(super) fn recover(
    case: &Case<'_>,
    lost: Address,
    replacement: Address,
    amount: U256,
    reason: B256,
) -> Result<Vec<u8>, Refusal> {
    differ(lost, replacement)?;
    let facts = case.facts;
    if facts.wallet.investor_id == 0 || facts.wallet.investor_id != facts.receiver.investor_id {
        let message = format!("wallets {lost} and {replacement} do not belong to one investor");
        return Err(Refusal::with(ReasonCode::NotSameInvestor, Field::Receiver, message));
    }
    if facts.wallet.whitelisted {
        return Err(Refusal::of_wallet(ReasonCode::WalletNotRevoked, Field::Wallet, lost));
    }
    case.may_receive(replacement, &case.receiver(), Field::Receiver)?;
    if amount != facts.position.balance {
        let (balance, asked) = (case.tokens(facts.position.balance), case.tokens(amount));
        let message = format!("wallet {lost} has {balance}, {asked} were asked: a recovery moves the whole balance");
        return Err(Refusal::with(ReasonCode::RecoveryAmount, Field::Amount, message));
    }
    Ok(SecurityToken::recoverCall { lost, replacement, amount, reason }.abi_encode())
}

fn differ(from: Address, to: Address) -> Result<(), Refusal> {
    if from == to { Err(Refusal::plain(ReasonCode::SelfTransfer, Field::Receiver)) } else { Ok(()) }
}

fn can_be_taken(case: &Case<'_>, amount: U256, from: Address) -> Result<(), Refusal> {
    let seizable = case.facts.position.seizable();
    if amount > seizable {
        return Err(Refusal::insufficient_spendable(from, case.tokens(seizable), case.tokens(amount)));
    }
    Ok(())
}
