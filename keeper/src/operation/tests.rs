//! Operations as they are stored: a row of today is read by every later version, and means what it meant.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::*;

/// Each kind once, as it stands in the database, with its fingerprint there.
#[derive(Deserialize)]
struct Stored {
    fingerprint: B256,
    operation: Value,
}

fn stored() -> Vec<Stored> {
    serde_json::from_str(include_str!("stored.json")).unwrap()
}

fn parse(operation: &Value) -> Operation {
    serde_json::from_value(operation.clone()).unwrap_or_else(|error| panic!("{operation}: {error}"))
}

#[test]
fn a_stored_operation_of_every_kind_reads_back_and_keeps_its_fingerprint() {
    let mut kinds = BTreeSet::new();
    for Stored { fingerprint, operation } in stored() {
        let read = parse(&operation);
        assert_eq!(serde_json::to_value(&read).unwrap(), operation);
        assert_eq!(read.kind(), operation["kind"]);
        assert_eq!(read.fingerprint(), fingerprint, "{operation}");
        assert!(kinds.insert(read.kind()), "two operations are of kind {}", read.kind());
    }
    assert_eq!(kinds.len(), 57, "a kind of operation that is not in stored.json");
}

/// Force says why, and that is part of what is asked; else a reason is a word for the event alone.
const FORCED: [&str; 4] = ["forced_transfer", "forced_burn", "recover", "move_credit"];

#[test]
fn another_value_anywhere_is_another_command_but_for_a_word_and_a_proof() {
    let mut changed = 0;
    for Stored { fingerprint, operation } in stored() {
        let kind = operation["kind"].as_str().unwrap();
        for place in leaves(&operation, String::new()) {
            let mut other = operation.clone();
            let leaf = other.pointer_mut(&place).unwrap();
            if place == "/kind" {
                continue;
            }
            *leaf = another(leaf);
            let is_asked = !place.ends_with("signature") && (place != "/reason" || FORCED.contains(&kind));
            assert_eq!(parse(&other).fingerprint() != fingerprint, is_asked, "{kind}{place}");
            changed += 1;
        }
    }
    assert!(changed > 200, "few values were changed: {changed}");
}

#[test]
fn where_its_papers_are_and_that_it_is_for_every_instrument_is_part_of_what_is_asked() {
    for (kind, member, value) in [
        ("forced_transfer", "reference", Value::from("case 7")),
        ("freeze_address", "everywhere", Value::from(true)),
        ("unfreeze_address", "everywhere", Value::from(true)),
    ] {
        let mut known = stored().into_iter().find(|one| one.operation["kind"] == kind).unwrap();
        known.operation[member] = value;
        let read = parse(&known.operation);
        assert_ne!(read.fingerprint(), known.fingerprint, "{kind}");
        assert_eq!(serde_json::to_value(&read).unwrap(), known.operation);
    }
}

#[test]
fn the_same_wallets_in_another_order_are_the_same_push() {
    let push = |wallets: &[u8]| Payout::PushRent {
        instrument: "rCC".parse().unwrap(),
        wallets: wallets.iter().copied().map(Address::repeat_byte).collect(),
    };
    let fingerprint = |wallets| Operation::from(push(wallets)).fingerprint();
    assert_eq!(fingerprint(&[1, 2]), fingerprint(&[2, 1, 2]));
    assert_ne!(fingerprint(&[1, 2]), fingerprint(&[1]));
}

#[test]
fn what_a_wallet_does_waits_for_its_permit_and_an_orders_end_for_the_trades_before_it() {
    let subjects = |kinds: &[&str]| -> BTreeSet<String> {
        let of = |kind: &&str| stored().into_iter().find(|one| one.operation["kind"] == **kind).unwrap();
        kinds.iter().map(|kind| parse(&of(kind).operation).subject()).collect()
    };
    let wallets = subjects(&["use_permit", "buy", "pay_in", "claim_rent", "request_redemption", "mint", "burn"]);
    assert_eq!(Vec::from_iter(wallets), ["position:rCC:0x70997970c51812dc3a010c7d01b50e0d17dc79c8"]);
    let tokens = subjects(&[
        "set_market_terms",
        "settle_orders",
        "cancel_order",
        "settle_deal",
        "cancel_deal",
        "list",
        "permit",
    ]);
    assert_eq!(Vec::from_iter(tokens), ["instrument:rCC"]);
}

#[test]
fn a_redemption_takes_what_it_holds_from_what_is_free() {
    let of = |kind: &str| stored().into_iter().find(|one| one.operation["kind"] == kind).unwrap();
    let request = parse(&of("request_redemption").operation);
    assert_eq!(Some(request.reserves()), request.amount());
    assert!(request.is_serialised());
}

/// Pointers to all values that hold no others.
fn leaves(value: &Value, place: String) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| leaves(value, format!("{place}/{name}"))).collect()
        }
        Value::Array(values) => {
            values.iter().enumerate().flat_map(|(i, value)| leaves(value, format!("{place}/{i}"))).collect()
        }
        _ => vec![place],
    }
}

fn another(leaf: &Value) -> Value {
    let text = match leaf {
        Value::Bool(flag) => return Value::Bool(!flag),
        Value::Number(number) => return (number.as_u64().unwrap() + 1).into(),
        leaf => leaf.as_str().unwrap(),
    };
    let other = match text {
        "reg_d" => "reg_s".to_owned(),
        "admit" => "refuse".to_owned(),
        "rent" => "redemption".to_owned(),
        "redemption" => "rent".to_owned(),
        "listing" => "otc_desk".to_owned(),
        hex if hex.starts_with("0x") => {
            let (head, last) = hex.split_at(hex.len() - 1);
            format!("{head}{}", if last == "1" { "2" } else { "1" })
        }
        decimal_or_text => format!("{decimal_or_text}1"),
    };
    Value::String(other)
}
