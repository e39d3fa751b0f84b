//! Calls that make units, and that destroy free ones.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::SecurityToken;

use super::Case;
use crate::operation::Lockup;
use crate::refusal::{Field, Refusal};

pub(super) fn mint(case: &Case<'_>, to: Address, amount: U256, reason: B256) -> Result<Vec<u8>, Refusal> {
    may_be_minted(case, to, amount)?;
    Ok(SecurityToken::mintCall { to, amount, reason }.abi_encode())
}

pub(super) fn mint_locked(
    case: &Case<'_>,
    to: Address,
    amount: U256,
    (lockup, until): (Lockup, u64),
    reason: B256,
) -> Result<Vec<u8>, Refusal> {
    may_be_minted(case, to, amount)?;
    let (kind, until) = (lockup.kind(), case.lies_ahead(until)?);
    Ok(SecurityToken::mintLockedCall { to, amount, kind, until, reason }.abi_encode())
}

pub(super) fn burn(case: &Case<'_>, from: Address, amount: U256, reason: B256) -> Result<Vec<u8>, Refusal> {
    case.supply_open()?;
    case.is_free(amount, from)?;
    Ok(SecurityToken::burnCall { from, amount, reason }.abi_encode())
}

fn may_be_minted(case: &Case<'_>, to: Address, amount: U256) -> Result<(), Refusal> {
    let (position, instrument) = (&case.facts.position, case.instrument);
    case.supply_open()?;
    case.may_receive(to, &case.facts.wallet, position.address_frozen, Field::Wallet)?;
    let room = instrument.max_supply.unwrap_or(U256::MAX).saturating_sub(instrument.total_supply);
    if amount > room {
        let (room, asked) = (case.tokens(room), case.tokens(amount));
        let message = format!("the maximum supply leaves room for {room}, {asked} were asked");
        return Err(Refusal::with(ReasonCode::MaxSupplyExceeded, Field::Amount, message));
    }
    if instrument.max_holders != 0 && position.balance.is_zero() && instrument.holders >= instrument.max_holders {
        let message = format!("the token may have no more than {} holders", instrument.max_holders);
        return Err(Refusal::with(ReasonCode::HolderLimit, Field::Wallet, message));
    }
    if !instrument.max_balance.is_zero() && position.balance.saturating_add(amount) > instrument.max_balance {
        let (most, has) = (case.tokens(instrument.max_balance), case.tokens(position.balance));
        let message = format!("wallet {to} may hold {most} and has {has}, {} were asked", case.tokens(amount));
        return Err(Refusal::with(ReasonCode::BalanceLimit, Field::Amount, message));
    }
    Ok(())
}
