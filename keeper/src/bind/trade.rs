//! Calls of the secondary market and of the OTC desk.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::{self, Match, OtcDesk, SecondaryMarket};

use super::{Case, narrow, signed};
use crate::operation::{Deal, MarketTerms, Order, OtcTerms, Side, Trade};
use crate::refusal::{Field, Refusal};

pub(super) fn call(case: &Case<'_>, trade: &Trade) -> Result<Vec<u8>, Refusal> {
    match trade {
        Trade::SetMarketTerms { terms, reason, .. } => set_market_terms(case, terms, *reason),
        Trade::SettleOrders { sell, buy, quantity, buy_rests, sell_signature, buy_signature, .. } => {
            settle_orders(case, [(sell, sell_signature), (buy, buy_signature)], *quantity, *buy_rests)
        }
        Trade::CancelOrder { wallet, order, signature, .. } => cancel_order(case, *wallet, *order, signature),
        Trade::SetOtcTerms { terms, reason, .. } => Ok(set_otc_terms(case, terms, *reason)),
        Trade::SettleDeal { deal, seller_signature, buyer_signature, .. } => {
            settle_deal(case, deal, seller_signature, buyer_signature)
        }
        Trade::CancelDeal { deal, party, signature, .. } => cancel_deal(case, deal, *party, signature),
    }
}

fn set_market_terms(case: &Case<'_>, terms: &MarketTerms, reason: B256) -> Result<Vec<u8>, Refusal> {
    let terms = bindings::MarketTerms {
        paymentToken: terms.payment_token,
        open: terms.open,
        feeBps: terms.fee_bps,
        lot: narrow("the lot", terms.lot)?,
        minPrice: narrow::<128, 2>("the lowest price", terms.min_price)?.to(),
        maxPrice: narrow::<128, 2>("the highest price", terms.max_price)?.to(),
    };
    Ok(SecondaryMarket::setMarketTermsCall { token: case.instrument.token, terms, reason }.abi_encode())
}

fn set_otc_terms(case: &Case<'_>, terms: &OtcTerms, reason: B256) -> Vec<u8> {
    let terms = bindings::OtcTerms { open: terms.open, feeBps: terms.fee_bps };
    OtcDesk::setOtcTermsCall { token: case.instrument.token, terms, reason }.abi_encode()
}

fn settle_orders(
    case: &Case<'_>,
    [(sell, sell_signature), (buy, buy_signature)]: [(&Order, &Bytes); 2],
    quantity: U256,
    buy_rests: bool,
) -> Result<Vec<u8>, Refusal> {
    let fit =
        sell.wallet != buy.wallet && sell.payment_token == buy.payment_token && sell.limit_price <= buy.limit_price;
    if !fit {
        return Err(Refusal::plain(ReasonCode::OrdersDoNotMatch, Field::Order));
    }
    for order in [sell, buy] {
        if order.expiry <= case.now {
            let message = format!("the order of {} has expired at second {}", order.wallet, order.expiry);
            return Err(Refusal::with(ReasonCode::OrderNotValid, Field::Until, message));
        }
        if quantity > order.quantity {
            let (whole, asked) = (case.tokens(order.quantity), case.tokens(quantity));
            let message = format!("the order of {} is for {whole}, {asked} were asked", order.wallet);
            return Err(Refusal::with(ReasonCode::OrderOverfilled, Field::Amount, message));
        }
    }
    may_trade(case, sell.wallet, buy.wallet)?;
    signed::proof(case, sell.wallet, sell_signature)?;
    signed::proof(case, buy.wallet, buy_signature)?;
    let token = case.instrument.token;
    let (sell, buy) = (sell.of(token, Side::Sell), buy.of(token, Side::Buy));
    let matched = Match { sell, buy, quantity, buyRests: buy_rests };
    let (sell_signature, buy_signature) = (sell_signature.clone(), buy_signature.clone());
    Ok(SecondaryMarket::settleCall { matched, sellSignature: sell_signature, buySignature: buy_signature }.abi_encode())
}

fn cancel_order(case: &Case<'_>, wallet: Address, order: B256, signature: &Bytes) -> Result<Vec<u8>, Refusal> {
    signed::proof(case, wallet, signature)?;
    Ok(SecondaryMarket::cancelForCall { wallet, order, signature: signature.clone() }.abi_encode())
}

fn settle_deal(case: &Case<'_>, deal: &Deal, sellers: &Bytes, buyers: &Bytes) -> Result<Vec<u8>, Refusal> {
    if deal.seller == deal.buyer || deal.quantity.is_zero() || deal.payment.is_zero() {
        let message = "a deal needs two parties, units and a payment".to_owned();
        return Err(Refusal::with(ReasonCode::DealNotValid, Field::Order, message));
    }
    if deal.deadline < case.now {
        let message = format!("the deal has expired at second {}", deal.deadline);
        return Err(Refusal::with(ReasonCode::DealNotValid, Field::Until, message));
    }
    may_trade(case, deal.seller, deal.buyer)?;
    signed::proof(case, deal.seller, sellers)?;
    signed::proof(case, deal.buyer, buyers)?;
    let deal = deal.of(case.instrument.token);
    let (sellers, buyers) = (sellers.clone(), buyers.clone());
    Ok(OtcDesk::settleCall { deal, sellerSignature: sellers, buyerSignature: buyers }.abi_encode())
}

fn cancel_deal(case: &Case<'_>, deal: &Deal, party: Address, signature: &Bytes) -> Result<Vec<u8>, Refusal> {
    if party != deal.seller && party != deal.buyer {
        let message = format!("{party} is no party of the deal");
        return Err(Refusal::with(ReasonCode::DealNotValid, Field::Wallet, message));
    }
    let deal = deal.of(case.instrument.token);
    signed::proof(case, party, signature)?;
    Ok(OtcDesk::cancelForCall { deal, party, signature: signature.clone() }.abi_encode())
}

/// What is known of both. What they have by then, and what they have allowed, the chain sees.
fn may_trade(case: &Case<'_>, seller: Address, buyer: Address) -> Result<(), Refusal> {
    let facts = case.facts;
    if facts.wallet.sanctioned {
        return Err(Refusal::of_wallet(ReasonCode::SenderSanctioned, Field::Wallet, seller));
    }
    if facts.position.address_frozen {
        return Err(Refusal::of_wallet(ReasonCode::SenderFrozen, Field::Wallet, seller));
    }
    case.may_receive(buyer, &case.receiver(), Field::Receiver)
}
