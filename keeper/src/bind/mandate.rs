//! Calls that were bound without a hosted wallet's proof, and what makes them whole: pure, given what signs.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::{self, Eip712Domain, SolCall, SolStruct};
use tokenx_contracts::bindings::{
    Cancellation, Listing, OtcDesk, RedemptionDesk, RentDistributor, SecondaryMarket, SecurityToken,
};

use crate::operation::{Consent, Operation, Payout, Sale, Trade};

mod erc2612 {
    alloy::sol! {
        /// What ERC-2612 has wallets sign; its call takes the fields one by one.
        struct Permit {
            address owner;
            address spender;
            uint256 value;
            uint256 nonce;
            uint256 deadline;
        }
    }
}

/// A call as it was bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The contract called.
    pub target: Address,
    /// The call, with nothing where proofs belong.
    pub data: &'a Bytes,
    /// What the permit's token says of its owner; needed where the call passes one on.
    pub permit: Option<PermitState>,
}

/// What a token that knows ERC-2612 has a permit signed for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PermitState {
    /// The token's EIP-712 domain, hashed.
    pub separator: B256,
    /// Permits that the owner has used.
    pub nonce: U256,
}

/// The call with every proof that it lacks: `sign` is asked for a wallet's signature of a digest. Proofs that are there
/// stay as they are.
///
/// # Errors
/// Where the call is not the operation's.
pub(crate) fn complete(
    operation: &Operation,
    call: Call<'_>,
    sign: impl Fn(Address, B256) -> Option<Bytes>,
) -> sol_types::Result<Bytes> {
    let Call { chain_id, target, data, .. } = call;
    let domain = operation.contract().map(|contract| contract.domain(chain_id, target)).unwrap_or_default();
    let signer = Signer { domain, sign };
    let whole = match operation {
        Operation::Sale(Sale::Buy { .. }) => {
            let mut call = Listing::buyForCall::abi_decode(data)?;
            signer.prove(&mut call.signature, call.purchase.wallet, &call.purchase);
            call.abi_encode()
        }
        Operation::Payout(Payout::RequestRedemption { .. }) => {
            let mut call = RedemptionDesk::requestForCall::abi_decode(data)?;
            signer.prove(&mut call.signature, call.redemption.wallet, &call.redemption);
            call.abi_encode()
        }
        Operation::Payout(Payout::PayIn { .. }) => {
            let mut call = RedemptionDesk::fundForCall::abi_decode(data)?;
            signer.prove(&mut call.signature, call.funding.wallet, &call.funding);
            call.abi_encode()
        }
        Operation::Payout(Payout::ClaimRent { .. }) => {
            let mut call = RentDistributor::claimForCall::abi_decode(data)?;
            signer.prove(&mut call.signature, call.signed.wallet, &call.signed);
            call.abi_encode()
        }
        Operation::Trade(trade) => of_trade(trade, data, &signer)?,
        Operation::Consent(consent) => of_consent(consent, call, &signer)?,
        _ => return Ok(data.clone()),
    };
    Ok(whole.into())
}

/// Whoever signs, for one contract.
struct Signer<S> {
    domain: Eip712Domain,
    sign: S,
}

impl<S: Fn(Address, B256) -> Option<Bytes>> Signer<S> {
    /// Puts a proof where there is none.
    fn prove(&self, proof: &mut Bytes, wallet: Address, message: &impl SolStruct) {
        if proof.is_empty()
            && let Some(signature) = (self.sign)(wallet, message.eip712_signing_hash(&self.domain))
        {
            *proof = signature;
        }
    }
}

fn of_trade<S>(trade: &Trade, data: &Bytes, signer: &Signer<S>) -> sol_types::Result<Vec<u8>>
where
    S: Fn(Address, B256) -> Option<Bytes>,
{
    Ok(match trade {
        Trade::SettleOrders { .. } => {
            let mut call = SecondaryMarket::settleCall::abi_decode(data)?;
            signer.prove(&mut call.sellSignature, call.matched.sell.wallet, &call.matched.sell);
            signer.prove(&mut call.buySignature, call.matched.buy.wallet, &call.matched.buy);
            call.abi_encode()
        }
        Trade::CancelOrder { .. } => {
            let mut call = SecondaryMarket::cancelForCall::abi_decode(data)?;
            signer.prove(&mut call.signature, call.wallet, &Cancellation { wallet: call.wallet, id: call.order });
            call.abi_encode()
        }
        Trade::SettleDeal { .. } => {
            let mut call = OtcDesk::settleCall::abi_decode(data)?;
            signer.prove(&mut call.sellerSignature, call.deal.seller, &call.deal);
            signer.prove(&mut call.buyerSignature, call.deal.buyer, &call.deal);
            call.abi_encode()
        }
        Trade::CancelDeal { .. } => {
            let mut call = OtcDesk::cancelForCall::abi_decode(data)?;
            let id = call.deal.eip712_signing_hash(&signer.domain);
            signer.prove(&mut call.signature, call.party, &Cancellation { wallet: call.party, id });
            call.abi_encode()
        }
        Trade::SetMarketTerms { .. } | Trade::SetOtcTerms { .. } => data.to_vec(),
    })
}

fn of_consent<S>(consent: &Consent, call: Call<'_>, signer: &Signer<S>) -> sol_types::Result<Vec<u8>>
where
    S: Fn(Address, B256) -> Option<Bytes>,
{
    let Call { target, data, permit: Some(state), .. } = call else { return Ok(call.data.to_vec()) };
    let signed = |owner, spender, value, deadline| {
        let message = erc2612::Permit { owner, spender, value, nonce: state.nonce, deadline };
        let hash = message.eip712_hash_struct();
        let digest = keccak256([&[0x19, 1], state.separator.as_slice(), hash.as_slice()].concat());
        (signer.sign)(owner, digest).and_then(|signature| in_parts(&signature))
    };
    Ok(match consent {
        Consent::UsePermit { .. } => {
            let mut call = Listing::usePermitCall::abi_decode(data)?;
            if let Some(parts) = signed(call.owner, target, call.value, call.deadline) {
                (call.v, call.r, call.s) = parts;
            }
            call.abi_encode()
        }
        Consent::Permit { .. } => {
            let mut call = SecurityToken::permitCall::abi_decode(data)?;
            if let Some(parts) = signed(call.owner, call.spender, call.value, call.deadline) {
                (call.v, call.r, call.s) = parts;
            }
            call.abi_encode()
        }
    })
}

/// A key's signature in the three parts that ERC-2612 takes: `v` is 27 or 28.
pub(super) fn in_parts(signature: &[u8]) -> Option<(u8, B256, B256)> {
    match <&[u8; 65]>::try_from(signature).ok()? {
        [rs @ .., v @ (27 | 28)] => Some((*v, B256::from_slice(&rs[..32]), B256::from_slice(&rs[32..]))),
        _ => None,
    }
}
