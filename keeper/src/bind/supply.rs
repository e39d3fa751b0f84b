//! Calls that make units, and that destroy free ones.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;
use tokenx_contracts::bindings::SecurityToken;
use tokenx_contracts::{ReasonCode, restrictions};

use super::{Case, of_one_wallet};
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
    restrictions::burn(&case.token(), &case.wallet(), amount).map_err(|code| refused(case, code, from, amount))?;
    case.is_free(amount, from)?;
    Ok(SecurityToken::burnCall { from, amount, reason }.abi_encode())
}

fn may_be_minted(case: &Case<'_>, to: Address, amount: U256) -> Result<(), Refusal> {
    restrictions::mint(&case.token(), &case.wallet(), amount, case.now).map_err(|code| refused(case, code, to, amount))
}

/// The token's own refusal, with the values that caused it.
fn refused(case: &Case<'_>, code: ReasonCode, wallet: Address, amount: U256) -> Refusal {
    let (position, instrument) = (&case.facts.position, case.instrument);
    let asked = case.tokens(amount);
    match code {
        ReasonCode::SupplyPaused => Refusal::plain(code, Field::Instrument),
        ReasonCode::MaxSupplyExceeded => {
            let room = case.tokens(case.token().left);
            let message = format!("the maximum supply leaves room for {room}, {asked} were asked");
            Refusal::with(code, Field::Amount, message)
        }
        ReasonCode::HolderLimit => {
            let message = format!("the token may have no more than {} holders", instrument.max_holders);
            Refusal::with(code, Field::Wallet, message)
        }
        ReasonCode::BalanceLimit => {
            let (most, has) = (case.tokens(instrument.max_balance), case.tokens(position.balance));
            let message = format!("wallet {wallet} may hold {most} and has {has}, {asked} were asked");
            Refusal::with(code, Field::Amount, message)
        }
        ReasonCode::AmountFrozen | ReasonCode::AmountHeld => Refusal::of_wallet(code, Field::Amount, wallet),
        code => Refusal::of_wallet(of_one_wallet(code), Field::Wallet, wallet),
    }
}
