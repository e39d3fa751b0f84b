//! Calls that pass permits on (ERC-2612). Whether the owner has signed is the token's to say: it counts them.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::{Listing, SecurityToken};

use super::{Case, signed};
use crate::operation::{Consent, Contract, Permit};
use crate::refusal::{Field, Refusal};

pub(super) fn call(case: &Case<'_>, consent: &Consent) -> Result<Vec<u8>, Refusal> {
    match consent {
        Consent::UsePermit { contract, payment_token, permit, signature, .. } => {
            use_permit(case, *contract, *payment_token, permit, signature)
        }
        Consent::Permit { spender, permit, signature, .. } => {
            let Permit { owner, value, deadline } = *permit;
            counts(case, deadline)?;
            let (v, r, s) = signed::parts(case, owner, signature)?;
            Ok(SecurityToken::permitCall { owner, spender: *spender, value, deadline, v, r, s }.abi_encode())
        }
    }
}

fn use_permit(
    case: &Case<'_>,
    contract: Contract,
    token: Address,
    permit: &Permit,
    signature: &Bytes,
) -> Result<Vec<u8>, Refusal> {
    if !contract.takes_payment() {
        let message = format!("a {} takes no payment of wallets", contract.name());
        return Err(Refusal::with(ReasonCode::ActionNotAllowed, Field::Contract, message));
    }
    let Permit { owner, value, deadline } = *permit;
    counts(case, deadline)?;
    let (v, r, s) = signed::parts(case, owner, signature)?;
    // All contracts of a node inherit it from one.
    Ok(Listing::usePermitCall { token, owner, value, deadline, v, r, s }.abi_encode())
}

fn counts(case: &Case<'_>, deadline: U256) -> Result<(), Refusal> {
    if deadline < U256::from(case.now) {
        let message = format!("the permit has expired at second {deadline}");
        return Err(Refusal::with(ReasonCode::IntentExpired, Field::Until, message));
    }
    Ok(())
}
