//! What wallets have signed: whether it still counts, and whether they have.

use alloy::primitives::{Address, B256, Bytes, Signature, U256, uint};
use alloy::sol_types::SolStruct;
use tokenx_contracts::ReasonCode;

use super::Case;
use crate::operation::Contract;
use crate::refusal::{Field, Refusal};

/// Longest proof that is carried. A key's has 65 bytes; what a contract takes for one (ERC-1271) may be some dozen of
/// those.
pub(super) const MAX_SIGNATURE: usize = 2_048;

/// Half the order of secp256k1: of a signature and its mirror image the contracts take the lower one.
const HALF_ORDER: U256 = uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);

/// What a wallet has signed for a contract of the node, and must have signed.
pub(super) fn by(
    case: &Case<'_>,
    contract: Contract,
    message: &impl SolStruct,
    wallet: Address,
    signature: &Bytes,
) -> Result<(), Refusal> {
    let digest = message.eip712_signing_hash(&contract.domain(case.chain_id, case.target));
    if signature.is_empty() || signature.len() > MAX_SIGNATURE {
        let length = signature.len();
        let message = format!("the signature of {wallet} has {length} bytes: give 1 to {MAX_SIGNATURE}");
        return Err(Refusal::with(ReasonCode::InvalidSignature, Field::Signature, message));
    }
    // A contract may take what no key would have made: the chain asks it.
    if key_of(digest, signature) != Some(wallet) && !case.facts.contract_wallets.may_be(wallet) {
        return Err(Refusal::of_wallet(ReasonCode::InvalidSignature, Field::Signature, wallet));
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

/// Whose key has signed, as the contracts see it.
fn key_of(digest: B256, signature: &Bytes) -> Option<Address> {
    let (v, r, s) = parts(Address::ZERO, signature).ok()?;
    let s: U256 = s.into();
    if s > HALF_ORDER {
        return None;
    }
    Signature::new(r.into(), s, v == 28).recover_address_from_prehash(&digest).ok()
}
