//! The golden vectors of `vectors/`, which Solidity's tests assert too: both sides mean the same.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy::sol_types::{Eip712Domain, SolInterface, SolStruct, SolValue};
use serde::Deserialize;

use crate::bindings::BlockableUSD::{BlockableUSDCalls, BlockableUSDErrors, BlockableUSDEvents};
use crate::bindings::Executor::{ExecutorCalls, ExecutorErrors, ExecutorEvents};
use crate::bindings::FeeVault::{FeeVaultCalls, FeeVaultErrors, FeeVaultEvents};
use crate::bindings::InvestorRegistry::{InvestorRegistryCalls, InvestorRegistryErrors, InvestorRegistryEvents};
use crate::bindings::Listing::{ListingCalls, ListingErrors, ListingEvents};
use crate::bindings::NodeFactory::{NodeFactoryCalls, NodeFactoryErrors, NodeFactoryEvents};
use crate::bindings::OtcDesk::{OtcDeskCalls, OtcDeskErrors, OtcDeskEvents};
use crate::bindings::PlainUSD::{PlainUSDCalls, PlainUSDErrors, PlainUSDEvents};
use crate::bindings::RedemptionDesk::{RedemptionDeskCalls, RedemptionDeskErrors, RedemptionDeskEvents};
use crate::bindings::RentDistributor::{RentDistributorCalls, RentDistributorErrors, RentDistributorEvents};
use crate::bindings::SecondaryMarket::{SecondaryMarketCalls, SecondaryMarketErrors, SecondaryMarketEvents};
use crate::bindings::SecurityToken::{SecurityTokenCalls, SecurityTokenErrors, SecurityTokenEvents};
use crate::bindings::TestUSD::{TestUSDCalls, TestUSDErrors, TestUSDEvents};
use crate::bindings::{Cancellation, Claim, Deal, Funding, Order, Purchase, Redemption};
use crate::{CommandId, ReasonCode, decode_revert, onchain_id, readable};

#[derive(Deserialize)]
struct CommandIds {
    cases: Vec<CommandIdCase>,
}

#[derive(Deserialize)]
struct CommandIdCase {
    scope: String,
    command_id: String,
    form: String,
    key: B256,
}

#[test]
fn command_ids_are_encoded_as_the_vectors_say() {
    let vectors: CommandIds = serde_json::from_str(include_str!("../vectors/command_ids.json")).unwrap();
    let mut lengths = BTreeSet::new();
    for case in vectors.cases {
        let id = CommandId::parse(&*case.command_id).unwrap();
        assert_eq!(onchain_id(&case.scope.parse().unwrap(), &id), case.key, "{} {}", case.scope, case.command_id);
        assert_eq!(readable(case.key), (case.form == "short").then(|| case.command_id.clone()));
        lengths.insert(case.command_id.len());
    }
    assert!(lengths.is_superset(&[1, 31, 32, 128].into()), "{lengths:?}");
}

#[derive(Deserialize)]
struct RestrictionCodes {
    codes: Vec<RestrictionCode>,
}

#[derive(Deserialize)]
struct RestrictionCode {
    code: u8,
    name: String,
    reason_code: String,
    message: String,
}

#[test]
fn restriction_codes_mean_what_the_vectors_say() {
    let vectors: RestrictionCodes = serde_json::from_str(include_str!("../vectors/restriction_codes.json")).unwrap();
    let mut known = 0;
    for vector in vectors.codes {
        if vector.code == 0 {
            assert_eq!((ReasonCode::from_restriction(0), vector.name.as_str()), (None, "OK"));
            continue;
        }
        let reason = ReasonCode::from_restriction(vector.code);
        let reason = reason.unwrap_or_else(|| panic!("code {} ({}) is unknown here", vector.code, vector.name));
        assert_eq!((reason.as_str(), reason.message()), (vector.reason_code.as_str(), vector.message.as_str()));
        known += 1;
    }
    let ours = ReasonCode::ALL.iter().filter(|reason| reason.restriction().is_some()).count();
    assert_eq!(ours, known, "a restriction code here that no contract gives");
}

#[derive(Deserialize)]
struct TypedData {
    chain_id: u64,
    verifying_contract: Address,
    types: Vec<TypedDatum>,
}

#[derive(Deserialize)]
struct TypedDatum {
    name: String,
    domain: String,
    #[serde(rename = "type")]
    signature: String,
    type_hash: B256,
    encoded: Bytes,
    struct_hash: B256,
    digest: B256,
}

/// What `T` makes of the vector's message: type, its hash, the struct's, and what is signed.
fn signed<T: SolStruct>(message: &T, domain: &Eip712Domain) -> (String, B256, B256, B256) {
    (
        T::eip712_encode_type().into_owned(),
        message.eip712_type_hash(),
        message.eip712_hash_struct(),
        message.eip712_signing_hash(domain),
    )
}

#[test]
fn what_wallets_sign_is_what_the_vectors_say() {
    let vectors: TypedData = serde_json::from_str(include_str!("../vectors/typed_data.json")).unwrap();
    let mut known = 0;
    for vector in vectors.types {
        let domain = Eip712Domain::new(
            Some(vector.domain.clone().into()),
            Some("1".into()),
            Some(U256::from(vectors.chain_id)),
            Some(vectors.verifying_contract),
            None,
        );
        // The words of the message, behind the type's hash.
        let words = &vector.encoded[32..];
        let ours = match vector.name.as_str() {
            "Purchase" => signed(&Purchase::abi_decode(words).unwrap(), &domain),
            "Funding" => signed(&Funding::abi_decode(words).unwrap(), &domain),
            "Redemption" => signed(&Redemption::abi_decode(words).unwrap(), &domain),
            "Claim" => signed(&Claim::abi_decode(words).unwrap(), &domain),
            "Order" => signed(&Order::abi_decode(words).unwrap(), &domain),
            "Deal" => signed(&Deal::abi_decode(words).unwrap(), &domain),
            "Cancellation" => signed(&Cancellation::abi_decode(words).unwrap(), &domain),
            other => panic!("{other} is unknown here"),
        };
        assert_eq!(ours, (vector.signature, vector.type_hash, vector.struct_hash, vector.digest), "{}", vector.name);
        known += 1;
    }
    assert_eq!(known, 7);
}

#[derive(Deserialize)]
struct Signatures {
    events: Vec<Event>,
    functions: Vec<Selector>,
    errors: Vec<Selector>,
}

#[derive(Deserialize)]
struct Event {
    topic: B256,
}

#[derive(Deserialize)]
struct Selector {
    selector: FixedBytes<4>,
}

fn selectors<I: SolInterface>() -> impl Iterator<Item = FixedBytes<4>> {
    I::selectors().map(FixedBytes)
}

#[test]
fn the_bindings_know_every_event_function_and_error_and_no_other() {
    let vectors: Signatures = serde_json::from_str(include_str!("../vectors/event_topics.json")).unwrap();

    let events: BTreeSet<B256> = [
        SecurityTokenEvents::SELECTORS,
        InvestorRegistryEvents::SELECTORS,
        ExecutorEvents::SELECTORS,
        NodeFactoryEvents::SELECTORS,
        TestUSDEvents::SELECTORS,
        BlockableUSDEvents::SELECTORS,
        FeeVaultEvents::SELECTORS,
        ListingEvents::SELECTORS,
        OtcDeskEvents::SELECTORS,
        PlainUSDEvents::SELECTORS,
        RedemptionDeskEvents::SELECTORS,
        RentDistributorEvents::SELECTORS,
        SecondaryMarketEvents::SELECTORS,
    ]
    .into_iter()
    .flatten()
    .map(B256::from)
    .collect();
    assert_eq!(events, vectors.events.iter().map(|event| event.topic).collect());

    let functions: BTreeSet<FixedBytes<4>> = selectors::<SecurityTokenCalls>()
        .chain(selectors::<InvestorRegistryCalls>())
        .chain(selectors::<ExecutorCalls>())
        .chain(selectors::<NodeFactoryCalls>())
        .chain(selectors::<TestUSDCalls>())
        .chain(selectors::<BlockableUSDCalls>())
        .chain(selectors::<FeeVaultCalls>())
        .chain(selectors::<ListingCalls>())
        .chain(selectors::<OtcDeskCalls>())
        .chain(selectors::<PlainUSDCalls>())
        .chain(selectors::<RedemptionDeskCalls>())
        .chain(selectors::<RentDistributorCalls>())
        .chain(selectors::<SecondaryMarketCalls>())
        .collect();
    assert_eq!(functions, vectors.functions.iter().map(|function| function.selector).collect());

    let errors: BTreeSet<FixedBytes<4>> = selectors::<SecurityTokenErrors>()
        .chain(selectors::<InvestorRegistryErrors>())
        .chain(selectors::<ExecutorErrors>())
        .chain(selectors::<NodeFactoryErrors>())
        .chain(selectors::<TestUSDErrors>())
        .chain(selectors::<BlockableUSDErrors>())
        .chain(selectors::<FeeVaultErrors>())
        .chain(selectors::<ListingErrors>())
        .chain(selectors::<OtcDeskErrors>())
        .chain(selectors::<PlainUSDErrors>())
        .chain(selectors::<RedemptionDeskErrors>())
        .chain(selectors::<RentDistributorErrors>())
        .chain(selectors::<SecondaryMarketErrors>())
        .collect();
    assert_eq!(errors, vectors.errors.iter().map(|error| error.selector).collect());
}

#[test]
fn every_error_of_the_contracts_gets_a_reason_of_its_own_words() {
    let vectors: Signatures = serde_json::from_str(include_str!("../vectors/event_topics.json")).unwrap();
    for error in vectors.errors {
        // Room for any error's arguments; all zeros decode as every static type and as empty strings.
        let data = [error.selector.as_slice(), &[0; 256]].concat();
        let revert = decode_revert(&data);
        assert!(!revert.message.contains("unknown error"), "{}: {}", error.selector, revert.message);
    }
}
