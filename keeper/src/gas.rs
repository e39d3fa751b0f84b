//! How much gas items and batches get. Never estimated by the node: an estimate of `execute` converges where the
//! *items* fail, because a batch whose items all run out of gas still succeeds.

use crate::Operation;

/// Gas of one item of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemGas {
    /// Cap of the item's own call: generous, since what is not used is not paid.
    pub limit: u64,
    /// What it costs in a batch, all included (call data, id word, rules, logs), at its dearest usual course.
    pub expected: u64,
}

/// A transaction's own cost, and the Executor's before its first item.
const TRANSACTION: u64 = 21_000 + 30_000;
/// What the Executor demands beside an item's cap before it runs it (its own constant of the same name).
const ITEM_OVERHEAD: u64 = 70_000;
/// What the Executor keeps back for each item that is still to come (its own constant of the same name).
const REST_PER_ITEM: u64 = 12_000;
/// Cap of an item that meets the holds of a wallet, which may be sixteen, all to be ended or moved and told.
const MEETS_HOLDS: u64 = 400_000;
/// Cap of a recovery: sixteen lockups change hands, and sixteen expired ones make room for them.
const RECOVERS: u64 = 1_000_000;
/// Gas of a no-op: a transfer of nothing to oneself. What is not used is not paid, and some chains ask for more than a
/// transaction's own cost.
pub const NOOP: u64 = 100_000;

/// The most that a batch may ask for where blocks hold this much: nine tenths of a half.
pub fn room_in(block: u64) -> u64 {
    block / 20 * 9
}

/// Gas of an operation's item; figures from the contracts' gas report, rounded up.
pub fn of_item(operation: &Operation, data: &[u8]) -> ItemGas {
    let (limit, run) = match operation {
        Operation::Mint { .. } => (150_000, 66_000),
        Operation::Burn { .. } => (MEETS_HOLDS, 48_000),
        Operation::Freeze { .. } | Operation::Unfreeze { .. } => (120_000, 50_000),
        Operation::FreezeAddress { .. } | Operation::UnfreezeAddress { .. } => (120_000, 45_000),
        Operation::ForcedTransfer { .. } => (MEETS_HOLDS, 80_000),
        Operation::ForcedBurn { .. } => (MEETS_HOLDS, 65_000),
        Operation::MintLocked { .. } => (MEETS_HOLDS, 120_000),
        Operation::PlaceHold { .. } => (MEETS_HOLDS, 113_000),
        Operation::ReleaseHold { .. } | Operation::ReclaimExpired { .. } => (MEETS_HOLDS, 60_000),
        Operation::ExecuteHold { .. } => (MEETS_HOLDS, 80_000),
        Operation::Recover { .. } => (RECOVERS, 300_000),
        Operation::Pause { .. }
        | Operation::Unpause { .. }
        | Operation::PauseSupply { .. }
        | Operation::UnpauseSupply { .. } => (100_000, 45_000),
        Operation::SetLimits { .. } => (100_000, 60_000),
        Operation::SetCountryRule { .. } => (220_000, 150_000),
        // The log holds the document's address.
        Operation::SetDocument { uri, .. } => {
            let log = 8 * uri.len() as u64;
            (150_000 + log, 90_000 + log)
        }
        Operation::RemoveDocument { .. } => (100_000, 45_000),
        Operation::Whitelist { .. } | Operation::Revoke { .. } => (120_000, 60_000),
    };
    ItemGas { limit, expected: run + call_data(data.len()) }
}

/// Gas limit of a batch: every item at its expected cost, and the largest cap once, so that the item which happens to
/// run last still gets its full cap (the EVM keeps back one 64th of what a call is given).
pub fn of_batch(items: impl IntoIterator<Item = ItemGas>) -> u64 {
    let mut expected = 0u64;
    let mut largest = 0u64;
    for item in items {
        expected = expected.saturating_add(item.expected.max(REST_PER_ITEM));
        largest = largest.max(item.limit);
    }
    TRANSACTION + expected + largest.saturating_mul(64).div_ceil(63) + ITEM_OVERHEAD
}

/// Call data of an item inside `execute`: its bytes and seven words around them, at the price of non-zero bytes.
fn call_data(length: usize) -> u64 {
    16 * (length as u64 + 7 * 32) / 2
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const MINT: ItemGas = ItemGas { limit: 150_000, expected: 69_000 };

    #[test]
    fn a_full_batch_of_mints_fits_below_nine_tenths_of_the_transaction_cap() {
        let gas = of_batch(std::iter::repeat_n(MINT, 200));
        assert!(gas < 16_777_216 / 10 * 9, "{gas}");
    }

    /// What is beyond its cap fails for good, whoever sends it how often; the figures include a transaction's own cost.
    #[test]
    fn caps_leave_a_tenth_above_what_sixteen_holds_cost() {
        let report: HashMap<String, u64> = serde_json::from_str(include_str!("../../contracts/gas.json")).unwrap();
        let with_holds: Vec<_> =
            report.iter().filter(|(name, _)| name.contains("15 ") || name.contains("16 ")).collect();
        assert!(with_holds.len() >= 10, "{with_holds:?}");
        for (name, gas) in with_holds {
            let cap = if name.starts_with("recover") { RECOVERS } else { MEETS_HOLDS };
            assert!(cap >= gas / 10 * 11, "{name}: {gas}");
        }
    }

    #[test]
    fn whichever_item_comes_last_still_gets_its_cap() {
        for n in 1..=200u64 {
            let gas = of_batch(std::iter::repeat_n(MINT, usize::try_from(n).unwrap()));
            let left = gas - TRANSACTION - MINT.expected * (n - 1);
            assert!(left >= MINT.limit * 64 / 63 + ITEM_OVERHEAD, "{n}");
        }
    }
}
