//! How much gas items and batches get. Never estimated by the node: an estimate of `execute` converges where the
//! *items* fail, because a batch whose items all run out of gas still succeeds.

use crate::bind::MAX_PUSHED;
use crate::operation::{Consent, Operation, Payout, Sale, Trade};

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
/// Cap of an item that moves units as well as money, or that a wallet's contract is asked about (ERC-1271): units may meet
/// sixteen holds, and payment tokens and such wallets run code of their own.
const MOVES_MONEY: u64 = 900_000;
/// Cap of an item that moves money alone.
const PAYS: u64 = 300_000;
/// What the distributor demands for one more payment (its own constant), with the 64th that the EVM keeps back.
const PUSHED_LAST: u64 = 310_000;
/// Cap and usual cost of a payment to one of many.
const PUSHED: (u64, u64) = (80_000, 60_000);
/// Bytes that a key's signature takes in a call.
const SIGNATURE: usize = 96;
/// Gas of a no-op: a transfer of nothing to oneself. What is not used is not paid, and some chains ask for more than a
/// transaction's own cost.
pub const NOOP: u64 = 100_000;
/// Gas of a transfer to a wallet, for the same reasons.
pub const FUND: u64 = NOOP;
/// Gas of a wallet's own approve, and of the no-op in its place.
pub const APPROVE: u64 = NOOP;

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
        // Twenty-two rules and half a dozen words of text.
        Operation::DeployToken { .. } => (2_500_000, 1_600_000),
        Operation::Sale(sale) => of_sale(sale),
        Operation::Payout(payout) => of_payout(payout),
        Operation::Trade(trade) => of_trade(trade),
        Operation::Consent(Consent::UsePermit { .. }) => (PAYS, 90_000),
        Operation::Consent(Consent::Permit { .. }) => (120_000, 75_000),
    };
    let unsigned = operation.mandates().count() * SIGNATURE;
    ItemGas { limit, expected: run + call_data(data.len() + unsigned) }
}

fn of_sale(sale: &Sale) -> (u64, u64) {
    match sale {
        Sale::SetListingTerms { .. } => (PAYS, 175_000),
        Sale::List { .. } | Sale::Delist { .. } | Sale::Passivate { .. } => (120_000, 50_000),
        Sale::ReserveFees { .. } => (150_000, 72_000),
        Sale::Buy { .. } => (MOVES_MONEY, 175_000),
        Sale::SetFeeTerms { .. } => (PAYS, 190_000),
        Sale::AllocateFees { .. } => (MOVES_MONEY, 205_000),
        Sale::ReleaseFees { .. } => (200_000, 125_000),
        Sale::DrawFees { .. } => (PAYS, 75_000),
    }
}

fn of_payout(payout: &Payout) -> (u64, u64) {
    match payout {
        Payout::SetRedemptionTerms { .. } => (200_000, 120_000),
        Payout::RequestRedemption { .. } => (MOVES_MONEY, 235_000),
        Payout::ApproveRedemption { .. } => (MOVES_MONEY, 160_000),
        Payout::RejectRedemption { .. } => (MEETS_HOLDS, 90_000),
        Payout::DrawCredit { .. } | Payout::MoveCredit { .. } | Payout::Withdraw { .. } => (PAYS, 90_000),
        Payout::Retire { .. } | Payout::SetRentMinimum { .. } => (150_000, 65_000),
        Payout::PayIn { .. } => (MOVES_MONEY, 140_000),
        Payout::SetRentTerms { .. } => (200_000, 100_000),
        Payout::OpenRent { .. } => (250_000, 140_000),
        Payout::ClaimRent { .. } => (MOVES_MONEY, 145_000),
        Payout::PushRent { wallets, .. } => {
            let many = wallets.len().min(MAX_PUSHED) as u64;
            (many * PUSHED.0 + PUSHED_LAST + 50_000, many * PUSHED.1 + 50_000)
        }
    }
}

fn of_trade(trade: &Trade) -> (u64, u64) {
    match trade {
        Trade::SetMarketTerms { .. } => (250_000, 125_000),
        Trade::SettleOrders { .. } => (MOVES_MONEY, 250_000),
        Trade::SetOtcTerms { .. } => (120_000, 65_000),
        Trade::SettleDeal { .. } => (MOVES_MONEY, 210_000),
        Trade::CancelOrder { .. } | Trade::CancelDeal { .. } => (PAYS, 75_000),
    }
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

    /// The report's names begin with those of the contracts; what it names otherwise is of tokens.
    #[test]
    fn caps_and_shares_cover_what_the_contracts_of_nodes_cost() {
        let report: HashMap<String, u64> = serde_json::from_str(include_str!("../../contracts/gas.json")).unwrap();
        let stored: Vec<serde_json::Value> = serde_json::from_str(include_str!("operation/stored.json")).unwrap();
        let of = |kind: &str| {
            let stored = stored.iter().find(|one| one["operation"]["kind"] == kind).unwrap();
            of_item(&serde_json::from_value(stored["operation"].clone()).unwrap(), &[])
        };
        let mut known = 0;
        for (name, gas) in report {
            let kind = match name.as_str() {
                "deploy a token" => "deploy_token",
                "listing: set terms" => "set_listing_terms",
                "listing: list" => "list",
                "listing: reserve fees" => "reserve_fees",
                "listing: first purchase of all" | "listing: another purchase, carried" => "buy",
                "fees: first allocation to three" => "allocate_fees",
                "fees: first release of a pot" => "release_fees",
                "fees: first draw" => "draw_fees",
                "redemption: request" => "request_redemption",
                "redemption: approve, burn and pay" => "approve_redemption",
                "redemption: reject" => "reject_redemption",
                "redemption: first payment into the fund" => "pay_in",
                "rent: open the first period" | "rent: open a period" => "open_rent",
                "rent: first claim of a wallet" | "rent: claim" => "claim_rent",
                "market: settle two new orders" | "market: settle more of two orders" => "settle_orders",
                "market: cancel an order" => "cancel_order",
                "otc: settle, with a fee" | "otc: settle, without a fee" => "settle_deal",
                _ => continue,
            };
            let item = of(kind);
            assert!(item.expected + TRANSACTION >= gas, "{name}: {gas}, {} expected", item.expected);
            assert!(item.limit >= gas / 10 * 11, "{name}: {gas}, at most {}", item.limit);
            known += 1;
        }
        assert!(known >= 20, "{known}");
    }

    #[test]
    fn a_push_has_gas_for_each_and_for_one_more_that_takes_all_it_may() {
        let push = |n: u64| {
            let wallets = (0..n).map(|i| alloy::primitives::Address::left_padding_from(&i.to_be_bytes())).collect();
            of_item(&Payout::PushRent { instrument: "rCC".parse().unwrap(), wallets }.into(), &[])
        };
        assert!(push(1).limit >= 300_000 / 63 * 64 + PUSHED.0);
        assert_eq!(push(64).limit - push(63).limit, PUSHED.0);
        assert!(of_batch([push(64)]) < room_in(30_000_000));
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
