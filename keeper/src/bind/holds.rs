//! Calls about holds: units that stay where they are for a time, without changing hands.

use alloy::primitives::{Address, B256, U256, Uint};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::SecurityToken;

use super::Case;
use crate::facts::Hold;
use crate::refusal::{Field, Refusal};

/// Holds of one wallet that a token keeps.
const MAX_HOLDS: i64 = 16;

pub(super) fn place(
    case: &Case<'_>,
    account: Address,
    amount: U256,
    until: u64,
    reason: B256,
) -> Result<Vec<u8>, Refusal> {
    let until = if until == 0 { Uint::ZERO } else { case.lies_ahead(until)? };
    may_be_placed(case, account, amount)?;
    Ok(SecurityToken::placeHoldCall { account, amount, until, reason }.abi_encode())
}

/// Whether a wallet may have one more hold, on so many of its units.
pub(super) fn may_be_placed(case: &Case<'_>, account: Address, amount: U256) -> Result<(), Refusal> {
    let position = &case.facts.position;
    if position.address_frozen {
        return Err(Refusal::of_wallet(ReasonCode::WalletFrozen, Field::Wallet, account));
    }
    case.is_free(amount, account)?;
    if position.holds >= MAX_HOLDS {
        return Err(Refusal::of_wallet(ReasonCode::TooManyHolds, Field::Wallet, account));
    }
    Ok(())
}

pub(super) fn release(case: &Case<'_>, account: Address, hold_id: u64, reason: B256) -> Result<Vec<u8>, Refusal> {
    ours(case, account, hold_id)?;
    Ok(SecurityToken::releaseHoldCall { account, holdId: U256::from(hold_id), reason }.abi_encode())
}

pub(super) fn execute(case: &Case<'_>, account: Address, hold_id: u64, reason: B256) -> Result<Vec<u8>, Refusal> {
    case.supply_open()?;
    let hold = ours(case, account, hold_id)?;
    let position = &case.facts.position;
    if hold.until != 0 && hold.until <= case.now {
        let message = format!("hold {hold_id} of wallet {account} has expired");
        return Err(Refusal::with(ReasonCode::HoldExpired, Field::Hold, message));
    }
    if position.address_frozen {
        return Err(Refusal::of_wallet(ReasonCode::WalletFrozen, Field::Wallet, account));
    }
    if position.balance.saturating_sub(hold.amount) < position.frozen {
        return Err(Refusal::of_wallet(ReasonCode::AmountFrozen, Field::Hold, account));
    }
    Ok(SecurityToken::executeHoldCall { account, holdId: U256::from(hold_id), reason }.abi_encode())
}

pub(super) fn reclaim(account: Address) -> Vec<u8> {
    SecurityToken::reclaimExpiredCall { account }.abi_encode()
}

fn ours<'c>(case: &Case<'c>, account: Address, hold_id: u64) -> Result<&'c Hold, Refusal> {
    let Some(hold) = &case.facts.hold else {
        let message = format!("wallet {account} has no hold {hold_id}");
        return Err(Refusal::with(ReasonCode::UnknownHold, Field::Hold, message));
    };
    if hold.agent != Some(case.executor) {
        let message = format!("hold {hold_id} of wallet {account} belongs to another agent");
        return Err(Refusal::with(ReasonCode::NotHoldAgent, Field::Hold, message));
    }
    Ok(hold)
}
