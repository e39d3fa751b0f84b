use alloy::primitives::{Bytes, Uint};
use proptest::prelude::*;

use super::*;
use crate::event::SecurityToken;

const TOKEN: Address = Address::repeat_byte(0x70);

fn wallet(n: u8) -> Address {
    if n == 0 { Address::ZERO } else { Address::repeat_byte(n) }
}

fn log(n: usize, event: TokenEvent) -> ChainLog {
    ChainLog {
        block_number: 1 + n as u64 / 3,
        block_hash: B256::ZERO,
        timestamp: 0,
        tx_hash: B256::ZERO,
        tx_index: 0,
        log_index: n as u64,
        address: TOKEN,
        topics: Vec::new(),
        data: Bytes::new(),
        event: Some(Event::Token(event)),
        command: None,
    }
}

fn transfers(list: &[(u8, u8, U256)]) -> Vec<ChainLog> {
    list.iter()
        .enumerate()
        .map(|(n, &(from, to, value))| {
            log(n, TokenEvent::Transfer(SecurityToken::Transfer { from: wallet(from), to: wallet(to), value }))
        })
        .collect()
}

fn net(logs: &[ChainLog]) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.apply(logs);
    ledger
}

#[test]
fn a_balance_may_reach_uint256_and_not_pass_it() {
    let ledger = net(&transfers(&[(0, 1, U256::MAX), (1, 2, U256::MAX), (0, 1, U256::ONE)]));
    assert_eq!(ledger.accounts[&(TOKEN, wallet(2))].balance, U256::MAX);
    let inexact = ledger.books[&TOKEN].inexact.clone().unwrap();
    assert!(inexact.reason.contains("above uint256"), "{}", inexact.reason);
    assert_eq!(ledger.books[&TOKEN].supply, U256::MAX, "the log that does not add up changes nothing");
}

#[test]
fn sending_what_one_never_got_stops_that_token_and_no_other() {
    let mut logs = transfers(&[(0, 1, U256::from(5)), (2, 3, U256::from(1)), (0, 1, U256::from(5))]);
    let other = Address::repeat_byte(0x71);
    logs.extend(transfers(&[(0, 1, U256::from(9))]).into_iter().map(|mut log| {
        log.address = other;
        log
    }));
    let ledger = net(&logs);
    assert_eq!(ledger.accounts[&(TOKEN, wallet(1))].balance, U256::from(5));
    assert_eq!(ledger.books[&TOKEN].inexact.as_ref().unwrap().block, 1);
    assert_eq!(ledger.accounts[&(other, wallet(1))].balance, U256::from(9));
    assert_eq!(ledger.books[&other].inexact, None);
}

#[test]
fn a_transfer_to_oneself_changes_nothing_but_must_be_covered() {
    let ledger = net(&transfers(&[(0, 1, U256::from(5)), (1, 1, U256::from(5))]));
    assert_eq!(ledger.holding_changes.len(), 1);
    assert!(net(&transfers(&[(1, 1, U256::from(5))])).books[&TOKEN].inexact.is_some());
}

#[test]
fn supply_that_disagrees_with_the_tokens_own_word_is_noticed() {
    let minted = SecurityToken::Minted {
        to: wallet(1),
        amount: U256::from(5),
        balanceAfter: U256::from(5),
        totalSupplyAfter: U256::from(6),
        reason: B256::ZERO,
        operator: wallet(9),
    };
    let mut logs = transfers(&[(0, 1, U256::from(5))]);
    logs.push(log(1, TokenEvent::Minted(minted)));
    assert!(net(&logs).books[&TOKEN].inexact.as_ref().unwrap().reason.contains("supply 6"));
}

#[test]
fn freezes_carry_the_whole_state_after_them() {
    let logs = [
        log(
            0,
            TokenEvent::FrozenChanged(SecurityToken::FrozenChanged {
                account: wallet(1),
                oldAmount: U256::ZERO,
                newAmount: U256::from(7),
                reason: B256::ZERO,
                operator: wallet(9),
            }),
        ),
        log(
            1,
            TokenEvent::AddressFreezeChanged(SecurityToken::AddressFreezeChanged {
                account: wallet(1),
                frozen: true,
                reason: B256::ZERO,
                operator: wallet(9),
            }),
        ),
    ];
    let last = *net(&logs).freeze_changes.last().unwrap();
    assert_eq!((last.frozen, last.address_frozen), (U256::from(7), true));
}

fn held(n: usize, id: u64, old: u64, new: u64) -> ChainLog {
    let event = SecurityToken::HoldChanged {
        account: wallet(1),
        holdId: U256::from(id),
        kind: 2,
        oldAmount: U256::from(old),
        newAmount: U256::from(new),
        until: Uint::from(1_000),
        agent: Address::ZERO,
        cause: 1,
        reason: B256::ZERO,
        operator: wallet(9),
    };
    log(n, TokenEvent::HoldChanged(event))
}

#[test]
fn a_hold_is_what_its_last_event_says_and_gone_at_zero() {
    let ledger = net(&[held(0, 1, 0, 5), held(1, 2, 0, 3), held(2, 1, 5, 8), held(3, 2, 3, 0)]);
    let left = Hold { kind: 2, amount: U256::from(8), until: 1_000, agent: None };
    assert_eq!(ledger.holds, BTreeMap::from([((TOKEN, wallet(1), 1), left)]));
    assert_eq!(ledger.hold_changes, [0, 1, 2, 3]);
}

#[test]
fn a_hold_that_was_not_what_the_token_says_is_noticed() {
    let ledger = net(&[held(0, 1, 0, 5), held(1, 1, 4, 0), held(2, 2, 0, 3)]);
    assert!(ledger.books[&TOKEN].inexact.as_ref().unwrap().reason.contains("had 4"));
    assert_eq!(ledger.hold_changes, [0], "the token's books stop there");
}

proptest! {
    /// Against a small oracle on signed numbers: as long as all adds up the ledger equals it, and it stops exactly
    /// where the oracle leaves the range.
    #[test]
    fn netting_equals_the_oracle(list in prop::collection::vec((0u8..5, 0u8..5, 0u64..20), 0..60)) {
        let list: Vec<_> = list.into_iter().map(|(f, t, v)| (f, t, U256::from(v))).collect();
        let mut oracle = [0i128; 5];
        let mut stopped = false;
        for &(from, to, value) in &list {
            let value = value.to::<u64>() as i128;
            let covered = from == 0 || oracle[from as usize] >= value;
            // Zero to zero makes and destroys at once; zero's own figure is minus the supply.
            if !covered {
                stopped = true;
                break;
            }
            oracle[from as usize] -= value;
            oracle[to as usize] += value;
        }
        let ledger = net(&transfers(&list));
        prop_assert_eq!(ledger.books.get(&TOKEN).is_some_and(|b| b.inexact.is_some()), stopped);
        for n in 1u8..5 {
            let balance = ledger.accounts.get(&(TOKEN, wallet(n))).copied().unwrap_or_default().balance;
            prop_assert_eq!(balance, U256::from(oracle[n as usize].unsigned_abs()));
        }
        let supply = ledger.books.get(&TOKEN).map_or(U256::ZERO, |b| b.supply);
        prop_assert_eq!(supply, U256::from(oracle[0].unsigned_abs()), "supply is the sum of all balances");
    }

    /// However a history is cut into batches, the same rows come out.
    #[test]
    fn batches_of_any_size_give_the_same_rows(
        list in prop::collection::vec((0u8..4, 0u8..4, 0u64..9), 0..40),
        cut in 0usize..40,
    ) {
        let logs = transfers(&list.into_iter().map(|(f, t, v)| (f, t, U256::from(v))).collect::<Vec<_>>());
        let cut = cut.min(logs.len());
        let whole = net(&logs);
        let mut parts = net(&logs[..cut]);
        parts.apply(&logs[cut..]);
        prop_assert_eq!(whole, parts);
    }
}
