//! Calls of the redemption desk and of the rent distributor.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::{self, RedemptionDesk, RentDistributor, SecurityToken};

use super::{Case, holds, narrow, signed};
use crate::facts::Request;
use crate::operation::{Claim, Funding, Payout, Redemption, RedemptionTerms, RentTerms};
use crate::refusal::{Field, Refusal};

/// Wallets that one command pays, so that it fits a transaction where blocks are small.
pub(crate) const MAX_PUSHED: usize = 64;

pub(super) fn call(case: &Case<'_>, payout: &Payout) -> Result<Vec<u8>, Refusal> {
    let token = case.instrument.token;
    Ok(match payout {
        Payout::SetRedemptionTerms { terms, reason, .. } => set_redemption_terms(case, terms, *reason)?,
        Payout::RequestRedemption { redemption, signature, .. } => request(case, redemption, signature)?,
        Payout::ApproveRedemption { request_id, payout, reason, .. } => {
            case.supply_open()?;
            enough(&open_request(case, *request_id)?, *payout)?;
            let (request_id, payout) = (U256::from(*request_id), *payout);
            RedemptionDesk::approveCall { token, requestId: request_id, payout, reason: *reason }.abi_encode()
        }
        Payout::RejectRedemption { request_id, reason, .. } => {
            open_request(case, *request_id)?;
            RedemptionDesk::rejectCall { token, requestId: U256::from(*request_id), reason: *reason }.abi_encode()
        }
        Payout::DrawCredit { payment_token, wallet, .. } => {
            RedemptionDesk::drawCall { token, paymentToken: *payment_token, wallet: *wallet }.abi_encode()
        }
        Payout::MoveCredit { payment_token, from, to, reason, .. } => {
            replaced(case, *from, *to)?;
            let (from, to, reason) = (*from, *to, *reason);
            RedemptionDesk::moveCreditCall { token, paymentToken: *payment_token, from, to, reason }.abi_encode()
        }
        Payout::Retire { reason, .. } => retire(case, *reason)?,
        Payout::PayIn { funding, signature, .. } => pay_in(case, funding, signature)?,
        // Both desks inherit it from one contract.
        Payout::Withdraw { payment_token, amount, reason, .. } => {
            let (payment_token, amount) = (*payment_token, *amount);
            RedemptionDesk::withdrawCall { token, paymentToken: payment_token, amount, reason: *reason }.abi_encode()
        }
        Payout::SetRentTerms { terms, reason, .. } => set_rent_terms(case, terms, *reason)?,
        Payout::OpenRent { period, amount, reason, .. } => {
            let (period, amount) = (U256::from(*period), *amount);
            RentDistributor::openCall { token, period, amount, reason: *reason }.abi_encode()
        }
        Payout::ClaimRent { claim, signature, .. } => claim_rent(case, claim, signature)?,
        Payout::PushRent { wallets, .. } => push(case, wallets)?,
        Payout::SetRentMinimum { minimum, reason, .. } => set_rent_minimum(case, *minimum, *reason)?,
    })
}

fn set_redemption_terms(case: &Case<'_>, terms: &RedemptionTerms, reason: B256) -> Result<Vec<u8>, Refusal> {
    let terms = bindings::RedemptionTerms {
        paymentToken: terms.payment_token,
        maxPrice: narrow::<128, 2>("the highest price", terms.max_price)?.to(),
    };
    Ok(RedemptionDesk::setRedemptionTermsCall { token: case.instrument.token, terms, reason }.abi_encode())
}

fn request(case: &Case<'_>, redemption: &Redemption, signature: &Bytes) -> Result<Vec<u8>, Refusal> {
    holds::may_be_placed(case, redemption.wallet, redemption.quantity)?;
    signed::counts(case, redemption.deadline)?;
    signed::proof(case, redemption.wallet, signature)?;
    let redemption = redemption.of(case.instrument.token);
    Ok(RedemptionDesk::requestForCall { redemption, signature: signature.clone() }.abi_encode())
}

fn open_request(case: &Case<'_>, request_id: u64) -> Result<Request, Refusal> {
    case.facts.request.ok_or_else(|| {
        let message = format!("there is no open redemption request {request_id}");
        Refusal::with(ReasonCode::UnknownRequest, Field::Hold, message)
    })
}

fn enough(request: &Request, payout: U256) -> Result<(), Refusal> {
    if payout < request.min_payout {
        let message =
            format!("the wallet has asked for {} base units at least, {payout} are offered", request.min_payout);
        return Err(Refusal::with(ReasonCode::PayoutTooLow, Field::Amount, message));
    }
    Ok(())
}

fn replaced(case: &Case<'_>, from: Address, to: Address) -> Result<(), Refusal> {
    let (lost, found) = (&case.facts.wallet, &case.facts.receiver);
    if lost.investor_id == 0 || lost.investor_id != found.investor_id {
        let message = format!("wallets {from} and {to} do not belong to one investor");
        return Err(Refusal::with(ReasonCode::NotSameInvestor, Field::Receiver, message));
    }
    if lost.whitelisted {
        return Err(Refusal::of_wallet(ReasonCode::WalletNotRevoked, Field::Wallet, from));
    }
    if !found.whitelisted {
        return Err(Refusal::of_wallet(ReasonCode::WalletNotWhitelisted, Field::Receiver, to));
    }
    Ok(())
}

fn retire(case: &Case<'_>, reason: B256) -> Result<Vec<u8>, Refusal> {
    let left = case.instrument.total_supply;
    if !left.is_zero() {
        let message = format!("{} of the token are still held", case.tokens(left));
        return Err(Refusal::with(ReasonCode::StillHeld, Field::Instrument, message));
    }
    Ok(RedemptionDesk::retireCall { token: case.instrument.token, reason }.abi_encode())
}

fn pay_in(case: &Case<'_>, funding: &Funding, signature: &Bytes) -> Result<Vec<u8>, Refusal> {
    signed::counts(case, funding.deadline)?;
    signed::proof(case, funding.wallet, signature)?;
    let funding = funding.of(case.instrument.token);
    Ok(RedemptionDesk::fundForCall { funding, signature: signature.clone() }.abi_encode())
}

fn set_rent_terms(case: &Case<'_>, terms: &RentTerms, reason: B256) -> Result<Vec<u8>, Refusal> {
    let terms = bindings::RentTerms {
        paymentToken: terms.payment_token,
        start: narrow("the start", U256::from(terms.start))?,
        length: narrow("the length of a period", U256::from(terms.length))?,
    };
    Ok(RentDistributor::setRentTermsCall { token: case.instrument.token, terms, reason }.abi_encode())
}

fn claim_rent(case: &Case<'_>, claim: &Claim, signature: &Bytes) -> Result<Vec<u8>, Refusal> {
    signed::counts(case, claim.deadline)?;
    signed::proof(case, claim.wallet, signature)?;
    let claim = claim.of(case.instrument.token);
    Ok(RentDistributor::claimForCall { signed: claim, signature: signature.clone() }.abi_encode())
}

fn push(case: &Case<'_>, wallets: &BTreeSet<Address>) -> Result<Vec<u8>, Refusal> {
    if wallets.is_empty() || wallets.len() > MAX_PUSHED {
        let message = format!("{} wallets are to be paid: name 1 to {MAX_PUSHED}", wallets.len());
        return Err(Refusal::with(ReasonCode::CommandMalformed, Field::Wallet, message));
    }
    let wallets = wallets.iter().copied().collect();
    Ok(RentDistributor::pushCall { token: case.instrument.token, wallets }.abi_encode())
}

fn set_rent_minimum(case: &Case<'_>, minimum: U256, reason: B256) -> Result<Vec<u8>, Refusal> {
    if !case.instrument.total_supply.is_zero() {
        let message = format!(
            "{} of the token are there: who earns by them is decided",
            case.tokens(case.instrument.total_supply)
        );
        return Err(Refusal::with(ReasonCode::StillHeld, Field::Instrument, message));
    }
    let minimum = narrow("the minimum", minimum)?;
    Ok(SecurityToken::setRentMinimumCall { minimum, reason }.abi_encode())
}
