//! Calls that freeze and unfreeze.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::SecurityToken;

use super::Case;
use crate::refusal::{Field, Refusal};

pub(super) fn more(case: &Case<'_>, account: Address, amount: U256, reason: B256) -> Result<Vec<u8>, Refusal> {
    Ok(set(account, case.facts.position.frozen.saturating_add(amount), reason))
}

pub(super) fn less(case: &Case<'_>, account: Address, amount: U256, reason: B256) -> Result<Vec<u8>, Refusal> {
    let frozen = case.facts.position.frozen;
    let Some(left) = frozen.checked_sub(amount) else {
        let (frozen, asked) = (case.tokens(frozen), case.tokens(amount));
        let message = format!("the frozen part of wallet {account} is {frozen}, {asked} were asked");
        return Err(Refusal::with(ReasonCode::InsufficientBalance, Field::Amount, message));
    };
    Ok(set(account, left, reason))
}

pub(super) fn address(account: Address, frozen: bool, reason: B256) -> Vec<u8> {
    SecurityToken::setAddressFrozenCall { account, frozen, reason }.abi_encode()
}

/// It has an ERC-7943 form without a reason beside it, so the bindings number it.
pub(super) fn set(account: Address, amount: U256, reason: B256) -> Vec<u8> {
    SecurityToken::setFrozenTokens_0Call { account, amount, reason }.abi_encode()
}
