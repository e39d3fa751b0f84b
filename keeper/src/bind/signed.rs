//! What wallets have signed: whether it still counts, and whether the proof can be carried.

use alloy::primitives::{Address, B256, Bytes, U256};
use tokenx_contracts::ReasonCode;

use super::Case;
use crate::refusal::{Field, Refusal};

/// Longest proof that is carried. A key's has 65 bytes; what a contract takes for one (ERC-1271) may be some dozen of
/// those.
pub(super) const MAX_SIGNATURE: usize = 2_048;

/// A proof that `wallet` has signed, of a length that can be carried. Whether it has is the contract's to say, when the
/// batch is simulated: a wallet that is a contract itself may take anything for a signature, and which is one only the
/// chain knows.
pub(super) fn proof(wallet: Address, signature: &Bytes) -> Result<(), Refusal> {
    if signature.is_empty() || signature.len() > MAX_SIGNATURE {
        let length = signature.len();
        let message = format!("the signature of {wallet} has {length} bytes: give 1 to {MAX_SIGNATURE}");
        return Err(Refusal::with(ReasonCode::InvalidSignature, Field::Signature, message));
    }
    Ok(())
}

/// An intent that counts once and until a deadline.
pub(super) fn counts(case: &Case<'_>, deadline: U256) -> Result<(), Refusal> {
    if deadline < U256::from(case.now) {
        let message = format!("what was signed has expired at second {deadline}");
        return Err(Refusal::with(ReasonCode::IntentExpired, Field::Until, message));
    }
    if case.facts.intent_used {
        return Err(Refusal::plain(ReasonCode::IntentUsed, Field::Signature));
    }
    Ok(())
}

/// A key's signature in the three parts that ERC-2612 takes.
pub(super) fn parts(wallet: Address, signature: &Bytes) -> Result<(u8, B256, B256), Refusal> {
    match <&[u8; 65]>::try_from(signature.as_ref()) {
        Ok([rs @ .., v]) if matches!(v, 27 | 28) => Ok((*v, B256::from_slice(&rs[..32]), B256::from_slice(&rs[32..]))),
        _ => {
            let message = format!("the permit of {wallet} needs a signature of 65 bytes, the last one 27 or 28");
            Err(Refusal::with(ReasonCode::InvalidSignature, Field::Signature, message))
        }
    }
}
