//! What contracts of nodes are called with, and what is refused before they are.

use alloy::primitives::Bytes;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolStruct, SolValue};
use serde_json::Value;
use tokenx_contracts::bindings::{self, Listing, NodeFactory, OtcDesk, RedemptionDesk, SecondaryMarket};

use super::*;
use crate::facts::Request;
use crate::operation::{
    Claim, Consent, Contract, Deal, ListingTerms, Order, Payout, Permit, Purchase, Redemption, Sale, Side, Trade,
};

const DESK: Address = address!("00000000000000000000000000000000000000dd");
const MONEY: Address = address!("00000000000000000000000000000000000000ab");
const LATER: u64 = 1_700_000_001;

/// Facts of a node that has the contract.
fn at_desk() -> Facts {
    Facts { contract: Some(DESK), ..facts() }
}

fn key() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

fn sign(contract: Contract, message: &impl SolStruct) -> Bytes {
    let digest = message.eip712_signing_hash(&contract.domain(DOORS.chain_id, DESK));
    key().sign_hash_sync(&digest).unwrap().as_bytes().into()
}

fn purchase(quantity: u64, deadline: u64) -> Purchase {
    Purchase {
        wallet: key().address(),
        quantity: U256::from(quantity),
        payment_token: MONEY,
        max_cost: U256::from(5),
        deadline: U256::from(deadline),
        salt: B256::repeat_byte(1),
    }
}

fn buy(purchase: Purchase, signature: Bytes) -> Operation {
    Sale::Buy { instrument: rcc(), purchase, signature }.into()
}

fn signed_buy(quantity: u64, deadline: u64) -> Operation {
    let purchase = purchase(quantity, deadline);
    let signature = sign(Contract::Listing, &purchase.of(TOKEN));
    buy(purchase, signature)
}

fn list() -> Operation {
    Sale::List { instrument: rcc(), reason: B256::ZERO }.into()
}

#[test]
fn it_is_the_nodes_own_contract_that_is_called_by_the_nodes_own_executor() {
    let bound = bind(&list(), &at_desk(), &DOORS, now()).unwrap();
    assert_eq!((bound.executor, bound.target), (EXECUTOR, DESK));
    assert_eq!(bound.data[..4], Listing::listCall::SELECTOR);
}

#[test]
fn a_node_without_the_contract_says_which_it_lacks() {
    let refusal = bind(&list(), &facts(), &DOORS, now()).unwrap_err();
    assert_eq!(refusal.code, ReasonCode::NodeContractMissing);
    assert_eq!(refusal.message, "the instrument's node has no listing");
    let followed =
        Facts { instrument: Some(Instrument { executor: None, ..facts().instrument.unwrap() }), ..at_desk() };
    assert_eq!(code(&list(), &followed), ReasonCode::InstrumentNotOperated);
}

/// The same vectors are asserted against the contracts themselves.
#[test]
fn what_is_signed_is_what_the_contracts_take_for_it() {
    let vectors: Value = serde_json::from_str(include_str!("../../../../contracts/vectors/typed_data.json")).unwrap();
    let (chain_id, at) = (vectors["chain_id"].as_u64().unwrap(), vectors["verifying_contract"].as_str().unwrap());
    let mut known = 0;
    for vector in vectors["types"].as_array().unwrap() {
        let encoded: Bytes = vector["encoded"].as_str().unwrap().parse().unwrap();
        let digest = |contract: Contract, message: &dyn Fn(&[u8], &alloy::sol_types::Eip712Domain) -> B256| {
            message(&encoded[32..], &contract.domain(chain_id, at.parse().unwrap()))
        };
        let digest = match vector["name"].as_str().unwrap() {
            "Purchase" => digest(Contract::Listing, &hash::<bindings::Purchase>),
            "Redemption" => digest(Contract::RedemptionDesk, &hash::<bindings::Redemption>),
            "Claim" => digest(Contract::RentDistributor, &hash::<bindings::Claim>),
            "Order" => digest(Contract::SecondaryMarket, &hash::<bindings::Order>),
            "Deal" => digest(Contract::OtcDesk, &hash::<bindings::Deal>),
            _ => continue,
        };
        assert_eq!(digest.to_string(), vector["digest"].as_str().unwrap());
        known += 1;
    }
    assert_eq!(known, 5);
}

fn hash<T>(words: &[u8], domain: &alloy::sol_types::Eip712Domain) -> B256
where
    T: SolStruct + SolValue + From<<<T as SolValue>::SolType as alloy::sol_types::SolType>::RustType>,
{
    <T as SolValue>::abi_decode(words).unwrap().eip712_signing_hash(domain)
}

#[test]
fn a_proof_has_one_byte_to_two_thousand() {
    let with = |length| buy(purchase(10, LATER), vec![1; length].into());
    for (length, fits) in [(0, false), (1, true), (2_048, true), (2_049, false)] {
        assert_eq!(bind(&with(length), &at_desk(), &DOORS, now()).is_ok(), fits, "{length}");
    }
    assert_eq!(code(&with(0), &at_desk()), ReasonCode::InvalidSignature);
}

#[test]
fn an_intent_counts_through_its_deadline_and_once() {
    assert!(bind(&signed_buy(10, 1_700_000_000), &at_desk(), &DOORS, now()).is_ok());
    assert_eq!(code(&signed_buy(10, 1_699_999_999), &at_desk()), ReasonCode::IntentExpired);
    let used = Facts { intent_used: true, ..at_desk() };
    assert_eq!(code(&signed_buy(10, LATER), &used), ReasonCode::IntentUsed);
    let claim = Claim { wallet: ALICE, deadline: U256::ZERO, salt: B256::ZERO };
    let claim = Payout::ClaimRent { instrument: rcc(), claim, signature: vec![1].into() };
    assert_eq!(code(&claim.into(), &at_desk()), ReasonCode::IntentExpired);
}

#[test]
fn whole_tokens_are_sold_to_wallets_that_may_hold_them() {
    assert_eq!(code(&signed_buy(15, LATER), &at_desk()), ReasonCode::NotWhole);
    assert_eq!(code(&signed_buy(0, LATER), &at_desk()), ReasonCode::NotWhole);
    let mut facts = at_desk();
    facts.wallet.whitelisted = false;
    assert_eq!(code(&signed_buy(10, LATER), &facts), ReasonCode::WalletNotWhitelisted);
    facts.instrument.as_mut().unwrap().supply_paused = true;
    assert_eq!(code(&signed_buy(10, LATER), &facts), ReasonCode::SupplyPaused);
}

#[test]
fn figures_beyond_what_the_chain_keeps_are_refused_by_name() {
    let terms = |price| ListingTerms {
        payment_token: MONEY,
        price,
        opens_at: 0,
        closes_at: 0,
        min_purchase: U256::ZERO,
        max_purchase: U256::ZERO,
        max_fees: U256::ZERO,
        salable_bps: 10_000,
    };
    let set = |price| Sale::SetListingTerms { instrument: rcc(), terms: terms(price), reason: B256::ZERO }.into();
    assert!(bind(&set(U256::from(u128::MAX)), &at_desk(), &DOORS, now()).is_ok());
    let refusal = bind(&set(U256::from(u128::MAX) + U256::ONE), &at_desk(), &DOORS, now()).unwrap_err();
    assert_eq!((refusal.code, refusal.field), (ReasonCode::InvalidTerms, Field::Terms));
    assert!(refusal.message.starts_with("the price 340282366920938463463374607431768211456"), "{refusal}");
}

#[test]
fn a_redemption_holds_free_units_only() {
    let request = |quantity: u64| -> Operation {
        let (payment_token, min_payout) = (MONEY, U256::ONE);
        let (wallet, quantity, salt) = (key().address(), U256::from(quantity), B256::ZERO);
        let deadline = U256::from(LATER);
        let redemption = Redemption { wallet, quantity, payment_token, min_payout, deadline, salt };
        let signature = sign(Contract::RedemptionDesk, &redemption.of(TOKEN));
        Payout::RequestRedemption { instrument: rcc(), redemption, signature }.into()
    };
    let bound = bind(&request(50), &at_desk(), &DOORS, now()).unwrap();
    assert_eq!(bound.data[..4], RedemptionDesk::requestForCall::SELECTOR);
    assert_eq!(code(&request(51), &at_desk()), ReasonCode::InsufficientSpendable);
    let mut facts = at_desk();
    facts.position.holds = 16;
    assert_eq!(code(&request(1), &facts), ReasonCode::TooManyHolds);
}

#[test]
fn only_an_open_request_is_ended_and_for_no_less_than_was_asked() {
    let (instrument, request_id, reason) = (rcc(), 3, B256::ZERO);
    let reject: Operation = Payout::RejectRedemption { instrument, request_id, reason }.into();
    let approve = |payout: u64| -> Operation {
        Payout::ApproveRedemption { instrument: rcc(), request_id, payout: U256::from(payout), reason }.into()
    };
    for operation in [&reject, &approve(7)] {
        assert_eq!(code(operation, &at_desk()), ReasonCode::UnknownRequest);
    }
    let open = Facts { request: Some(Request { min_payout: U256::from(7) }), ..at_desk() };
    assert!(bind(&reject, &open, &DOORS, now()).is_ok() && bind(&approve(7), &open, &DOORS, now()).is_ok());
    assert_eq!(code(&approve(6), &open), ReasonCode::PayoutTooLow);
}

#[test]
fn nothing_is_retired_or_given_a_rent_minimum_while_there_are_units() {
    let retire = || Payout::Retire { instrument: rcc(), reason: B256::ZERO }.into();
    let minimum = || Payout::SetRentMinimum { instrument: rcc(), minimum: U256::ONE, reason: B256::ZERO }.into();
    for operation in [retire(), minimum()] {
        assert_eq!(code(&operation, &at_desk()), ReasonCode::StillHeld);
    }
    let mut facts = at_desk();
    facts.instrument.as_mut().unwrap().total_supply = U256::ZERO;
    assert_eq!(bind(&retire(), &facts, &DOORS, now()).unwrap().target, DESK);
    assert_eq!(bind(&minimum(), &facts, &DOORS, now()).unwrap().target, TOKEN);
}

#[test]
fn a_push_pays_one_to_sixty_four() {
    let push = |n: u8| {
        let wallets = (0..n).map(Address::repeat_byte).collect();
        Payout::PushRent { instrument: rcc(), wallets }.into()
    };
    for (n, fits) in [(0, false), (1, true), (64, true), (65, false)] {
        assert_eq!(bind(&push(n), &at_desk(), &DOORS, now()).is_ok(), fits, "{n}");
    }
}

#[test]
fn a_lost_wallets_credit_goes_to_another_of_its_investor() {
    let (from, to, reason) = (ALICE, BOB, B256::ZERO);
    let operation: Operation = Payout::MoveCredit { instrument: rcc(), payment_token: MONEY, from, to, reason }.into();
    let mut facts = at_desk();
    assert_eq!(code(&operation, &facts), ReasonCode::WalletNotRevoked);
    facts.wallet.whitelisted = false;
    assert!(bind(&operation, &facts, &DOORS, now()).is_ok());
    facts.receiver.whitelisted = false;
    assert_eq!(code(&operation, &facts), ReasonCode::WalletNotWhitelisted);
    facts.receiver.investor_id = 2;
    assert_eq!(code(&operation, &facts), ReasonCode::NotSameInvestor);
}

fn order(wallet: Address, limit_price: u64) -> Order {
    Order {
        wallet,
        payment_token: MONEY,
        quantity: U256::from(10),
        limit_price: U256::from(limit_price),
        max_fee_bps: 0,
        valid_from: 0,
        expiry: LATER,
        salt: B256::ZERO,
    }
}

fn settle(sell: Order, buy: Order, quantity: u64) -> Operation {
    let (sell_signature, buy_signature) = (
        sign(Contract::SecondaryMarket, &sell.of(TOKEN, Side::Sell)),
        sign(Contract::SecondaryMarket, &buy.of(TOKEN, Side::Buy)),
    );
    let quantity = U256::from(quantity);
    let instrument = rcc();
    Trade::SettleOrders { instrument, sell, buy, quantity, buy_rests: true, sell_signature, buy_signature }.into()
}

#[test]
fn orders_that_cannot_meet_are_not_sent() {
    let seller = key().address();
    let bound = bind(&settle(order(seller, 5), order(BOB, 5), 10), &at_desk(), &DOORS, now()).unwrap();
    let call = SecondaryMarket::settleCall::abi_decode(&bound.data).unwrap();
    assert_eq!((call.matched.sell.side, call.matched.buy.side, call.matched.buyRests), (1, 0, true));
    assert_eq!((call.matched.sell.token, call.matched.buy.token), (TOKEN, TOKEN));

    let refused = |operation| code(&operation, &at_desk());
    assert_eq!(refused(settle(order(seller, 6), order(BOB, 5), 10)), ReasonCode::OrdersDoNotMatch);
    assert_eq!(refused(settle(order(BOB, 5), order(BOB, 5), 10)), ReasonCode::OrdersDoNotMatch);
    let for_other_money = Order { payment_token: TOKEN, ..order(BOB, 5) };
    assert_eq!(refused(settle(order(seller, 5), for_other_money, 10)), ReasonCode::OrdersDoNotMatch);
    assert_eq!(refused(settle(order(seller, 5), order(BOB, 5), 11)), ReasonCode::OrderOverfilled);
    let over = Order { expiry: 1_700_000_000, ..order(BOB, 5) };
    assert_eq!(refused(settle(order(seller, 5), over, 10)), ReasonCode::OrderNotValid);

    let mut facts = at_desk();
    facts.position.address_frozen = true;
    assert_eq!(code(&settle(order(seller, 5), order(BOB, 5), 10), &facts), ReasonCode::SenderFrozen);
    facts = Facts { receiver: Investor::default(), ..at_desk() };
    assert_eq!(code(&settle(order(seller, 5), order(BOB, 5), 10), &facts), ReasonCode::WalletNotWhitelisted);
}

#[test]
fn a_party_takes_its_consent_back_by_the_deals_hash() {
    let deal = Deal {
        seller: key().address(),
        buyer: BOB,
        quantity: U256::from(10),
        payment_token: MONEY,
        payment: U256::from(50),
        max_fee_bps: 0,
        valid_from: 0,
        deadline: LATER,
        terms: B256::ZERO,
        salt: B256::ZERO,
    };
    let id = deal.of(TOKEN).eip712_signing_hash(&Contract::OtcDesk.domain(DOORS.chain_id, DESK));
    let signature = sign(Contract::OtcDesk, &bindings::Cancellation { wallet: key().address(), id });
    let cancel = |party| -> Operation {
        let (deal, signature) = (deal.clone(), signature.clone());
        Trade::CancelDeal { instrument: rcc(), deal, party, signature }.into()
    };
    let bound = bind(&cancel(key().address()), &at_desk(), &DOORS, now()).unwrap();
    assert_eq!(bound.data[..4], OtcDesk::cancelForCall::SELECTOR);
    assert_eq!(code(&cancel(ALICE), &at_desk()), ReasonCode::DealNotValid);

    let settle = |deal: Deal| -> Operation {
        let signature = sign(Contract::OtcDesk, &deal.of(TOKEN));
        let (seller_signature, buyer_signature) = (signature.clone(), signature);
        Trade::SettleDeal { instrument: rcc(), deal, seller_signature, buyer_signature }.into()
    };
    assert!(bind(&settle(deal.clone()), &at_desk(), &DOORS, now()).is_ok());
    let over = Deal { deadline: 1_699_999_999, ..deal.clone() };
    assert_eq!(code(&settle(over), &at_desk()), ReasonCode::DealNotValid);
    let alone = Deal { buyer: deal.seller, ..deal };
    assert_eq!(code(&settle(alone), &at_desk()), ReasonCode::DealNotValid);
}

#[test]
fn a_permit_goes_to_whom_it_names_in_three_parts() {
    let permit = Permit { owner: ALICE, value: U256::from(5), deadline: U256::from(LATER) };
    let mut signature = vec![2; 64];
    signature.push(28);
    let pass = |contract, signature: &[u8]| -> Operation {
        let (permit, signature) = (permit.clone(), signature.to_vec().into());
        Consent::UsePermit { instrument: rcc(), contract, payment_token: MONEY, permit, signature }.into()
    };
    let bound = bind(&pass(Contract::Listing, &signature), &at_desk(), &DOORS, now()).unwrap();
    let call = Listing::usePermitCall::abi_decode(&bound.data).unwrap();
    assert_eq!((bound.target, call.token, call.v, call.r), (DESK, MONEY, 28, B256::repeat_byte(2)));
    assert_eq!(code(&pass(Contract::FeeVault, &signature), &at_desk()), ReasonCode::ActionNotAllowed);
    assert_eq!(code(&pass(Contract::Listing, &signature[..64]), &at_desk()), ReasonCode::InvalidSignature);

    let (spender, signature) = (DESK, signature.into());
    let own = Consent::Permit { instrument: rcc(), spender, permit, signature };
    assert_eq!(bind(&own.into(), &at_desk(), &DOORS, now()).unwrap().target, TOKEN);
}

fn deploy(node: B256, name: &str, decimals: u8, max_supply: U256) -> Operation {
    Operation::DeployToken {
        instrument: rcc(),
        node,
        name: name.to_owned(),
        symbol: "rCC".to_owned(),
        decimals,
        max_supply,
        daily_mint_limit: U256::ZERO,
        daily_burn_limit: U256::ZERO,
        daily_force_limit: U256::ZERO,
    }
}

#[test]
fn a_token_is_made_by_the_factory_through_the_executor_of_its_node() {
    let doors = Doors { factory: Some(DESK), ..DOORS };
    let free = Facts { instrument: None, node_executor: Some(EXECUTOR), ..facts() };
    let good = deploy(B256::repeat_byte(1), "Real Credit", 18, U256::from(1));
    let bound = bind(&good, &free, &doors, now()).unwrap();
    assert_eq!((bound.executor, bound.target), (EXECUTOR, DESK));
    assert_eq!(bound.data[..4], NodeFactory::deployTokenCall::SELECTOR);
    assert!(bound.gas.limit > 1_500_000);

    let refused = |operation: &Operation, facts: &Facts| bind(operation, facts, &doors, now()).unwrap_err().code;
    let taken = Facts { instrument: facts().instrument, ..free.clone() };
    assert_eq!(refused(&good, &taken), ReasonCode::InstrumentExists);
    assert_eq!(refused(&good, &Facts { node_executor: None, ..free.clone() }), ReasonCode::UnknownNode);
    assert_eq!(code(&good, &free), ReasonCode::UnknownNode, "no factory is configured");
    let key = B256::repeat_byte(1);
    for wrong in [
        deploy(key, "", 18, U256::ONE),
        deploy(key, &"n".repeat(129), 18, U256::ONE),
        deploy(key, "line\nfeed", 18, U256::ONE),
        deploy(key, "n", 19, U256::ONE),
        deploy(key, "n", 18, U256::ZERO),
        deploy(key, "n", 18, U256::ONE << 104),
    ] {
        assert_eq!(refused(&wrong, &free), ReasonCode::InvalidInstrument, "{wrong:?}");
    }
}
