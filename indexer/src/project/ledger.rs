//! Netting: what the logs of a batch do to balances, supply and freezes, worked out in memory before anything is
//! written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::primitives::{Address, B256, U256};

use crate::event::TokenEvent;
use crate::{ChainLog, Event};

/// A wallet's state in a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) balance: U256,
    pub(crate) frozen: U256,
    pub(crate) address_frozen: bool,
}

/// A token's state, as far as netting needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    pub(crate) supply: U256,
    /// Its logs did not add up before this batch, or since this block of it.
    pub(crate) inexact: Option<Inexact>,
}

/// Where and why a token's logs stopped adding up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inexact {
    pub(crate) block: u64,
    pub(crate) reason: String,
}

/// One balance that one log changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HoldingChange {
    pub(crate) token: Address,
    pub(crate) wallet: Address,
    pub(crate) block: u64,
    pub(crate) log_index: u64,
    pub(crate) before: U256,
    pub(crate) after: U256,
}

/// One total supply that one log changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SupplyChange {
    pub(crate) token: Address,
    pub(crate) block: u64,
    pub(crate) log_index: u64,
    pub(crate) before: U256,
    pub(crate) after: U256,
}

/// One change of what is frozen, with the whole state after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FreezeChange {
    /// Place of its log in the batch.
    pub(crate) log: usize,
    pub(crate) wallet: Address,
    pub(crate) frozen: U256,
    pub(crate) address_frozen: bool,
    pub(crate) reason: B256,
    pub(crate) operator: Address,
}

/// State before the batch, for every account and token that it touches; afterwards what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) accounts: HashMap<(Address, Address), Account>,
    pub(crate) books: BTreeMap<Address, Book>,
    pub(crate) holding_changes: Vec<HoldingChange>,
    pub(crate) supply_changes: Vec<SupplyChange>,
    pub(crate) freeze_changes: Vec<FreezeChange>,
}

/// The accounts that `logs` touch: what must be read before netting.
pub(crate) fn touched(logs: &[ChainLog]) -> BTreeSet<(Address, Address)> {
    let mut accounts = BTreeSet::new();
    for log in logs {
        let Some(Event::Token(event)) = &log.event else { continue };
        match event {
            TokenEvent::Transfer(e) => accounts.extend([(log.address, e.from), (log.address, e.to)]),
            TokenEvent::FrozenChanged(e) => accounts.extend([(log.address, e.account)]),
            TokenEvent::AddressFreezeChanged(e) => accounts.extend([(log.address, e.account)]),
            _ => {}
        }
    }
    accounts.retain(|(_, wallet)| !wallet.is_zero());
    accounts
}

impl Ledger {
    /// Applies the token events of `logs` in order. A token whose logs stop adding up keeps what came before the log
    /// that does not, and nothing after it; the others go on.
    pub(crate) fn apply(&mut self, logs: &[ChainLog]) {
        for (place, log) in logs.iter().enumerate() {
            let Some(Event::Token(event)) = &log.event else { continue };
            if self.books.entry(log.address).or_default().inexact.is_some() {
                continue;
            }
            if let Err(reason) = self.apply_one(place, log, event) {
                let inexact = Inexact { block: log.block_number, reason: format!("log {}: {reason}", log.log_index) };
                self.books.entry(log.address).or_default().inexact = Some(inexact);
            }
        }
    }

    fn apply_one(&mut self, place: usize, log: &ChainLog, event: &TokenEvent) -> Result<(), String> {
        match event {
            TokenEvent::Transfer(e) => self.transfer(log, e.from, e.to, e.value),
            TokenEvent::Minted(e) => self.agree(log, e.to, e.balanceAfter, e.totalSupplyAfter),
            TokenEvent::Burned(e) => self.agree(log, e.from, e.balanceAfter, e.totalSupplyAfter),
            TokenEvent::ForcedBurnExecuted(e) => self.agree(log, e.from, e.balanceAfter, e.totalSupplyAfter),
            TokenEvent::FrozenChanged(e) => {
                self.account(log.address, e.account).frozen = e.newAmount;
                self.refrozen(place, log.address, e.account, e.reason, e.operator);
                Ok(())
            }
            TokenEvent::AddressFreezeChanged(e) => {
                self.account(log.address, e.account).address_frozen = e.frozen;
                self.refrozen(place, log.address, e.account, e.reason, e.operator);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// ERC-20's Transfer; the zero address stands for mint and burn.
    fn transfer(&mut self, log: &ChainLog, from: Address, to: Address, amount: U256) -> Result<(), String> {
        let token = log.address;
        // Everything is checked before anything changes, so that a log counts in whole or not at all.
        let supply = self.books.entry(token).or_default().supply;
        let minted = if from.is_zero() {
            supply.checked_add(amount).ok_or_else(|| format!("supply {supply} grows by {amount} above uint256"))?
        } else {
            supply
        };
        let supply_after = if to.is_zero() {
            minted.checked_sub(amount).ok_or_else(|| format!("supply {minted} falls by {amount} below zero"))?
        } else {
            minted
        };
        let before = self.account(token, from).balance;
        let from_after = if from.is_zero() {
            before
        } else {
            before.checked_sub(amount).ok_or_else(|| format!("{from} sends {amount} and has {before}"))?
        };
        if !to.is_zero() && to != from {
            let before = self.account(token, to).balance;
            before.checked_add(amount).ok_or_else(|| format!("{to} has {before} and gets {amount}: above uint256"))?;
        }

        if supply_after != supply {
            self.books.entry(token).or_default().supply = supply_after;
            self.supply_changes.push(SupplyChange {
                token,
                block: log.block_number,
                log_index: log.log_index,
                before: supply,
                after: supply_after,
            });
        }
        if from == to || amount.is_zero() {
            return Ok(());
        }
        if !from.is_zero() {
            self.move_to(log, from, from_after);
        }
        if !to.is_zero() {
            let after = self.account(token, to).balance + amount;
            self.move_to(log, to, after);
        }
        Ok(())
    }

    fn move_to(&mut self, log: &ChainLog, wallet: Address, after: U256) {
        let account = self.account(log.address, wallet);
        let before = std::mem::replace(&mut account.balance, after);
        self.holding_changes.push(HoldingChange {
            token: log.address,
            wallet,
            block: log.block_number,
            log_index: log.log_index,
            before,
            after,
        });
    }

    /// Our own tokens say what came of each change of supply: the tables must say the same.
    fn agree(&mut self, log: &ChainLog, wallet: Address, balance: U256, supply: U256) -> Result<(), String> {
        let own_supply = self.books.entry(log.address).or_default().supply;
        if own_supply != supply {
            return Err(format!("token says supply {supply}, its logs add up to {own_supply}"));
        }
        let own_balance = self.account(log.address, wallet).balance;
        if own_balance != balance {
            return Err(format!("token says {wallet} has {balance}, its logs add up to {own_balance}"));
        }
        Ok(())
    }

    fn refrozen(&mut self, log: usize, token: Address, wallet: Address, reason: B256, operator: Address) {
        let Account { frozen, address_frozen, .. } = *self.account(token, wallet);
        self.freeze_changes.push(FreezeChange { log, wallet, frozen, address_frozen, reason, operator });
    }

    fn account(&mut self, token: Address, wallet: Address) -> &mut Account {
        self.accounts.entry((token, wallet)).or_default()
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Bytes;
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
}
