//! Netting: what the logs of a batch do to balances, supply, freezes and holds, worked out in memory before anything is
//! written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::primitives::{Address, B256, U256};

use crate::event::{SecurityToken, TokenEvent};
use crate::{ChainLog, Event};

/// A wallet's state in a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) balance: U256,
    pub(crate) frozen: U256,
    pub(crate) address_frozen: bool,
}

/// A hold, by its token, its wallet and the token's number for it.
pub(crate) type HoldKey = (Address, Address, u64);

/// Units of a wallet that may not move before a time, or before their agent says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hold {
    pub(crate) kind: u8,
    pub(crate) amount: U256,
    /// Unix seconds from which it no longer binds; 0 = never.
    pub(crate) until: u64,
    /// Who may release and execute it; `None`: nobody.
    pub(crate) agent: Option<Address>,
}

impl Hold {
    /// As the event says it is from now on; `None` where it has ended.
    fn after(event: &SecurityToken::HoldChanged) -> Option<Self> {
        (!event.newAmount.is_zero()).then(|| Self {
            kind: event.kind,
            amount: event.newAmount,
            until: event.until.to(),
            agent: Some(event.agent).filter(|agent| !agent.is_zero()),
        })
    }
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

/// State before the batch, for every account, hold and token that it touches; afterwards what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) accounts: HashMap<(Address, Address), Account>,
    /// Those that no event has ended; time is no event.
    pub(crate) holds: BTreeMap<HoldKey, Hold>,
    pub(crate) books: BTreeMap<Address, Book>,
    pub(crate) holding_changes: Vec<HoldingChange>,
    pub(crate) supply_changes: Vec<SupplyChange>,
    pub(crate) freeze_changes: Vec<FreezeChange>,
    /// Places of the logs that changed a hold.
    pub(crate) hold_changes: Vec<usize>,
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

/// The hold that an event is about. Decoding lets no number through that is above 64 bits.
pub(crate) fn hold_key(log: &ChainLog, event: &SecurityToken::HoldChanged) -> HoldKey {
    (log.address, event.account, event.holdId.saturating_to())
}

/// The holds that `logs` change.
pub(crate) fn touched_holds(logs: &[ChainLog]) -> BTreeSet<HoldKey> {
    let mut holds = BTreeSet::new();
    for log in logs {
        if let Some(Event::Token(TokenEvent::HoldChanged(e))) = &log.event {
            holds.insert(hold_key(log, e));
        }
    }
    holds
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
            TokenEvent::HoldChanged(e) => self.hold(place, log, e),
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

    /// The event says what the hold was and what it is: the tables must have had the same.
    fn hold(&mut self, place: usize, log: &ChainLog, event: &SecurityToken::HoldChanged) -> Result<(), String> {
        let key @ (_, wallet, id) = hold_key(log, event);
        let (said, before) = (event.oldAmount, self.holds.get(&key).map_or(U256::ZERO, |hold| hold.amount));
        if said != before {
            return Err(format!("token says hold {id} of {wallet} had {said}, its logs add up to {before}"));
        }
        match Hold::after(event) {
            Some(hold) => self.holds.insert(key, hold),
            None => self.holds.remove(&key),
        };
        self.hold_changes.push(place);
        Ok(())
    }

    fn account(&mut self, token: Address, wallet: Address) -> &mut Account {
        self.accounts.entry((token, wallet)).or_default()
    }
}

#[cfg(test)]
mod tests;
