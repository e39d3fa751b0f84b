//! Calls for hosted wallets, whose proofs are made last.

use alloy::primitives::Bytes;
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use serde_json::{Value, json};
use tokenx_contracts::bindings::{Listing, SecurityToken};

use super::*;
use crate::operation::{Consent, Contract, Permit, Purchase, Sale};

const DESK: Address = address!("00000000000000000000000000000000000000dd");
const MONEY: Address = address!("00000000000000000000000000000000000000ab");
const PROOFS: [&str; 5] = ["signature", "sell_signature", "buy_signature", "seller_signature", "buyer_signature"];

fn key() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

fn sign(digest: B256) -> Bytes {
    key().sign_hash_sync(&digest).unwrap().as_bytes().into()
}

/// Facts by which everything may be done that wallets sign for.
fn generous() -> Facts {
    let mut facts = Facts { contract: Some(DESK), ..facts() };
    facts.instrument.as_mut().unwrap().decimals = 0;
    facts.position = Position { balance: U256::MAX >> 1, ..Position::default() };
    facts
}

/// Every stored operation that carries proofs, with others in their place.
fn carrying(proof: &str) -> Vec<(Operation, usize)> {
    let stored: Vec<Value> = serde_json::from_str(include_str!("../../operation/stored.json")).unwrap();
    let with = |mut one: Value| {
        let fields = one["operation"].as_object_mut().unwrap();
        let proofs: Vec<&str> = PROOFS.into_iter().filter(|name| fields.contains_key(*name)).collect();
        for name in &proofs {
            fields[*name] = json!(proof);
        }
        (serde_json::from_value::<Operation>(one["operation"].clone()).unwrap(), proofs.len())
    };
    stored.into_iter().map(with).filter(|(_, proofs)| *proofs > 0).collect()
}

fn whole(operation: &Operation, facts: &Facts, permit: Option<PermitState>) -> Bytes {
    let bound = bind(operation, facts, &DOORS, now()).unwrap();
    assert!(bound.mandate);
    let call = Call { chain_id: DOORS.chain_id, target: bound.target, data: &bound.data, permit };
    complete(operation, call, |wallet, digest| (wallet == key().address()).then(|| sign(digest))).unwrap()
}

#[test]
fn whatever_wallets_sign_is_accepted_without_a_proof_of_those_whose_keys_are_here() {
    let unsigned = carrying("0x");
    assert!(unsigned.len() >= 9, "{}", unsigned.len());
    for (operation, proofs) in unsigned {
        assert_eq!(operation.proofs().len(), proofs, "{}", operation.kind());
        let elsewhere = bind(&operation, &generous(), &DOORS, now()).unwrap_err();
        assert_eq!(elsewhere.code, ReasonCode::InvalidSignature, "{}: {elsewhere}", operation.kind());
        let hosted = Facts { hosted: operation.mandates().collect(), ..generous() };
        assert!(bind(&operation, &hosted, &DOORS, now()).unwrap().mandate, "{}", operation.kind());
    }
}

/// By a signature that no key makes: what matters is where it goes.
#[test]
fn each_missing_proof_is_made_for_its_wallet_and_the_call_is_that_of_whoever_brought_it() {
    let state = Some(PermitState { separator: B256::repeat_byte(3), nonce: U256::from(4) });
    let proof = format!("0x{}1b", "22".repeat(64));
    for ((unsigned, count), (signed, _)) in carrying("0x").into_iter().zip(carrying(&proof)) {
        let facts = Facts { hosted: unsigned.mandates().collect(), ..generous() };
        assert_eq!(unsigned.fingerprint(), signed.fingerprint(), "{}", signed.kind());
        let bound = bind(&unsigned, &facts, &DOORS, now()).unwrap();
        let call = Call { chain_id: DOORS.chain_id, target: bound.target, data: &bound.data, permit: state };
        let asked = std::cell::RefCell::new(Vec::new());
        let made = complete(&unsigned, call, |wallet, digest| {
            asked.borrow_mut().push((wallet, digest));
            Some(proof.parse().unwrap())
        });
        let brought = bind(&signed, &facts, &DOORS, now()).unwrap();
        assert_eq!(made.unwrap(), brought.data, "{}", signed.kind());
        assert!(brought.gas.expected <= bound.gas.expected && !brought.mandate, "{}", signed.kind());
        let wallets: Vec<Address> = asked.into_inner().into_iter().map(|(wallet, _)| wallet).collect();
        assert_eq!((wallets.len(), wallets), (count, unsigned.mandates().collect()), "{}", signed.kind());
    }
}

#[test]
fn a_hosted_wallets_intent_is_signed_as_it_would_sign_it() {
    let purchase = Purchase {
        wallet: key().address(),
        quantity: U256::from(10),
        payment_token: MONEY,
        max_cost: U256::from(5),
        deadline: U256::from(1_900_000_000),
        salt: B256::repeat_byte(1),
    };
    let buy = |signature| Operation::from(Sale::Buy { instrument: rcc(), purchase: purchase.clone(), signature });
    let facts = Facts { hosted: vec![key().address()], ..generous() };
    let digest = alloy::sol_types::SolStruct::eip712_signing_hash(
        &purchase.of(TOKEN),
        &Contract::Listing.domain(DOORS.chain_id, DESK),
    );
    let brought = bind(&buy(sign(digest)), &facts, &DOORS, now()).unwrap();
    assert_eq!(whole(&buy(Bytes::new()), &facts, None), brought.data);
    // A signature that was brought stays, hosted or not.
    let call = Call { chain_id: DOORS.chain_id, target: DESK, data: &brought.data, permit: None };
    assert_eq!(complete(&buy(Bytes::new()), call, |_, _| panic!("nothing is missing")).unwrap(), brought.data);
}

#[test]
fn a_permit_is_signed_for_the_next_nonce_and_for_who_may_take() {
    let permit = Permit { owner: key().address(), value: U256::from(100), deadline: U256::from(1_900_000_000) };
    let use_permit = Operation::from(Consent::UsePermit {
        instrument: rcc(),
        contract: Contract::Listing,
        payment_token: MONEY,
        permit: permit.clone(),
        signature: Bytes::new(),
    });
    let units = Operation::from(Consent::Permit { instrument: rcc(), spender: BOB, permit, signature: Bytes::new() });
    let facts = Facts { hosted: vec![key().address()], ..generous() };
    let state = |nonce| Some(PermitState { separator: B256::repeat_byte(3), nonce: U256::from(nonce) });
    let parts = |nonce: u64| {
        let call = Listing::usePermitCall::abi_decode(&whole(&use_permit, &facts, state(nonce))).unwrap();
        (call.v, call.r, call.s)
    };
    assert_ne!(parts(0), parts(1), "each nonce is signed for anew");
    assert_eq!(parts(1), parts(1), "and alike however often");
    let call = SecurityToken::permitCall::abi_decode(&whole(&units, &facts, state(0))).unwrap();
    assert!(call.spender == BOB && (call.v, call.r, call.s) != parts(0));
    // Where nothing is to be signed, nothing is.
    let call = Listing::usePermitCall::abi_decode(&whole(&use_permit, &facts, None)).unwrap();
    assert_eq!((call.v, call.r), (0, B256::ZERO));
}
