//! When two operations of a node are the same: when they are stored alike, but for the word of an event and for proofs.

use std::collections::BTreeSet;

use alloy::primitives::{B256, keccak256};
use serde_json::Value;

use super::{Operation, Payout};

/// What says nothing of what is asked: the word for an event, and proofs that a wallet has asked it, of which it can make
/// as many as it likes.
const NOT_ASKED: [&str; 6] =
    ["reason", "signature", "sell_signature", "buy_signature", "seller_signature", "buyer_signature"];

/// Hash of all that is asked, each value with its place. A field that is added later and left out where it has no value
/// leaves old hashes alone.
pub(super) fn hash(operation: &Operation) -> B256 {
    // Numbers, texts, and maps by text: nothing that could fail; and what could not be stored is not accepted.
    let mut stored = serde_json::to_value(operation).unwrap_or_default();
    if let (Value::Object(fields), false) = (&mut stored, is_forced(operation)) {
        fields.retain(|name, _| !NOT_ASKED.contains(&name.as_str()));
    }
    let mut lines = BTreeSet::new();
    spell("", &stored, &mut lines);
    // A text's line feeds are escaped, so no value spans two lines.
    keccak256(Vec::from_iter(lines).join("\n"))
}

/// Takes from a wallet without its consent: why is part of what is asked, as of all force.
fn is_forced(operation: &Operation) -> bool {
    matches!(operation, Operation::Payout(Payout::MoveCredit { .. }))
}

fn spell(place: &str, value: &Value, lines: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                spell(&format!("{place}.{name}"), value, lines);
            }
        }
        Value::Array(values) => {
            for (i, value) in values.iter().enumerate() {
                spell(&format!("{place}.{i}"), value, lines);
            }
        }
        leaf => {
            lines.insert(format!("{place}={leaf}"));
        }
    }
}
