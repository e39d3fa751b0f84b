//! What wallets have signed: whether it still counts, and whether the proof can be carried.

use alloy::primitives::{Address, B256, Bytes, U256};
use tokenx_contracts::ReasonCode;

use super::Case;
use super::mandate::in_parts;
use crate::refusal::{Field, Refusal};

/// Longest proof that is carried. A key's has 65 bytes; what a contract takes for one (ERC-1271) may be some dozen of
/// those.
pub(super) const MAX_SIGNATURE: usize = 2_048;

/// A proof that `wallet` has signed, of a length that can be carried. Whether it has is the contract's to say, when the
/// batch is simulated: a wallet that is a contract itself may take anything for a signature, and which is one only the
/// chain knows. None at all will do where we hold the wallet's key and sign ourselves.
pub(super) fn proof(case: &Case<'_>, wallet: Address, signature: &Bytes) -> Result<(), Refusal> {
    let length = signature.len();
    let message = match length {
        0 if case.facts.hosted.contains(&wallet) => return Ok(()),
        0 => format!("wallet {wallet} is not hosted here: give its signature"),
        1..=MAX_SIGNATURE => return Ok(()),
        _ => format!("the signature of {wallet} has {length} bytes: give 1 to {MAX_SIGNATURE}"),
    };
    Err(Refusal::with(ReasonCode::InvalidSignature, Field::Signature, message))
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

/// A key's signature in the three parts that ERC-2612 takes; zeros where it is ours to make.
pub(super) fn parts(case: &Case<'_>, wallet: Address, signature: &Bytes) -> Result<(u8, B256, B256), Refusal> {
    if signature.is_empty() {
        proof(case, wallet, signature)?;
        return Ok((0, B256::ZERO, B256::ZERO));
    }
    in_parts(signature).ok_or_else(|| {
        let message = format!("the permit of {wallet} needs a signature of 65 bytes, the last one 27 or 28");
        Refusal::with(ReasonCode::InvalidSignature, Field::Signature, message)
    })
}
