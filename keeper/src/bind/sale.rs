//! Calls of the listing and of the fee vault.

use alloy::primitives::{B256, Bytes, U256};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::{self, FeeVault, Listing};

use super::{Case, narrow, signed};
use crate::operation::{Beneficiaries, FeeAmounts, FeeShares, ListingTerms, Purchase, Sale};
use crate::refusal::{Field, Refusal};

pub(super) fn call(case: &Case<'_>, sale: &Sale) -> Result<Vec<u8>, Refusal> {
    let token = case.instrument.token;
    Ok(match sale {
        Sale::SetListingTerms { terms, reason, .. } => set_terms(case, terms, *reason)?,
        Sale::List { reason, .. } => Listing::listCall { token, reason: *reason }.abi_encode(),
        Sale::Delist { reason, .. } => Listing::delistCall { token, reason: *reason }.abi_encode(),
        Sale::Passivate { reason, .. } => Listing::passivateCall { token, reason: *reason }.abi_encode(),
        Sale::ReserveFees { amount, reason, .. } => {
            whole(case, *amount)?;
            Listing::reserveFeesCall { token, amount: *amount, reason: *reason }.abi_encode()
        }
        Sale::Buy { purchase, signature, .. } => buy(case, purchase, signature)?,
        Sale::SetFeeTerms { beneficiaries, shares, reason, .. } => set_fee_terms(case, beneficiaries, shares, *reason)?,
        Sale::AllocateFees { amounts, reason, .. } => allocate(case, amounts, *reason)?,
        Sale::ReleaseFees { payment_token, .. } => {
            FeeVault::releaseCall { token, paymentToken: *payment_token }.abi_encode()
        }
        Sale::DrawFees { payment_token, wallet, .. } => {
            FeeVault::drawCall { paymentToken: *payment_token, wallet: *wallet }.abi_encode()
        }
    })
}

fn set_terms(case: &Case<'_>, terms: &ListingTerms, reason: B256) -> Result<Vec<u8>, Refusal> {
    let terms = bindings::ListingTerms {
        paymentToken: terms.payment_token,
        opensAt: narrow("the opening time", U256::from(terms.opens_at))?,
        closesAt: narrow("the closing time", U256::from(terms.closes_at))?,
        price: narrow::<128, 2>("the price", terms.price)?.to(),
        minPurchase: narrow("the smallest purchase", terms.min_purchase)?,
        maxPurchase: narrow("the largest purchase", terms.max_purchase)?,
        maxFees: narrow("what may be set aside for fees", terms.max_fees)?,
        salableBps: terms.salable_bps,
    };
    Ok(Listing::setTermsCall { token: case.instrument.token, terms, reason }.abi_encode())
}

fn buy(case: &Case<'_>, purchase: &Purchase, signature: &Bytes) -> Result<Vec<u8>, Refusal> {
    case.supply_open()?;
    case.may_receive(purchase.wallet, &case.wallet(), Field::Wallet)?;
    whole(case, purchase.quantity)?;
    signed::counts(case, purchase.deadline)?;
    signed::proof(case, purchase.wallet, signature)?;
    let purchase = purchase.of(case.instrument.token);
    Ok(Listing::buyForCall { purchase, signature: signature.clone() }.abi_encode())
}

/// Only whole tokens are sold, and set aside for fees.
fn whole(case: &Case<'_>, quantity: U256) -> Result<(), Refusal> {
    let unit = U256::from(10).saturating_pow(U256::from(case.instrument.decimals));
    if quantity.is_zero() || !(quantity % unit).is_zero() {
        let message = format!("only whole tokens are sold, {} were asked", case.tokens(quantity));
        return Err(Refusal::with(ReasonCode::NotWhole, Field::Amount, message));
    }
    Ok(())
}

fn set_fee_terms(
    case: &Case<'_>,
    beneficiaries: &Beneficiaries,
    shares: &FeeShares,
    reason: B256,
) -> Result<Vec<u8>, Refusal> {
    let all = [shares.platform_owner, shares.node_owner, shares.node].map(u32::from).iter().sum::<u32>();
    if all != 10_000 {
        let message = format!("the shares are {all} hundredths of a per cent in all: make them 10000");
        return Err(Refusal::with(ReasonCode::InvalidTerms, Field::Terms, message));
    }
    let beneficiaries = bindings::Beneficiaries {
        platformOwner: beneficiaries.platform_owner,
        nodeOwner: beneficiaries.node_owner,
        node: beneficiaries.node,
    };
    let shares = bindings::Split {
        platformOwner: U256::from(shares.platform_owner),
        nodeOwner: U256::from(shares.node_owner),
        node: U256::from(shares.node),
    };
    Ok(FeeVault::setFeeTermsCall { token: case.instrument.token, beneficiaries, shares, reason }.abi_encode())
}

fn allocate(case: &Case<'_>, amounts: &FeeAmounts, reason: B256) -> Result<Vec<u8>, Refusal> {
    case.supply_open()?;
    let amounts =
        bindings::Split { platformOwner: amounts.platform_owner, nodeOwner: amounts.node_owner, node: amounts.node };
    Ok(FeeVault::allocateCall { token: case.instrument.token, amounts, reason }.abi_encode())
}
