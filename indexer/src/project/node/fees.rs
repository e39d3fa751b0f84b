//! Fee supply, what trades have paid, and what the parties may draw of it.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use tokenx_migrations::copy::Rows;

use super::{Sheet, sheet};
use crate::ChainLog;
use crate::event::FeeVaultEvent;

/// Why a credit is another one.
const RELEASED: i16 = 1;
const DRAWN: i16 = 2;
const MOVED: i16 = 3;

pub(super) struct Fees {
    terms: Sheet,
    allocations: Sheet,
    pots: Sheet,
    credits: Sheet,
}

impl Fees {
    pub(super) fn new(chain_id: u64) -> Self {
        Self {
            terms: sheet!(
                chain_id,
                "fee_terms",
                "contract, token, platform_owner, node_owner, node, platform_owner_bps, node_owner_bps, node_bps, reason,
                 operator"
            ),
            allocations: sheet!(
                chain_id,
                "fee_allocations",
                "contract, token, platform_owner, node_owner, node, to_platform_owner, to_node_owner, to_node,
                 platform_owner_has, node_owner_has, node_has, reason, operator"
            ),
            pots: sheet!(chain_id, "fee_pots", "contract, token, payment_token, source, amount, pot"),
            credits: sheet!(chain_id, "fee_credits", "contract, payment_token, wallet, cause, amount, credit"),
        }
    }

    /// Terms, units of the fee supply, and pots: all of one token.
    pub(super) fn add(&mut self, log: &ChainLog, event: &FeeVaultEvent) {
        match event {
            FeeVaultEvent::FeeTermsChanged(e) => {
                self.terms
                    .row(log)
                    .address(e.token)
                    .address(e.beneficiaries.platformOwner)
                    .address(e.beneficiaries.nodeOwner)
                    .address(e.beneficiaries.node)
                    .integer(bps(e.shares.platformOwner))
                    .integer(bps(e.shares.nodeOwner))
                    .integer(bps(e.shares.node))
                    .word(e.reason)
                    .address(e.operator);
            }
            FeeVaultEvent::FeesAllocated(e) => {
                self.allocations
                    .row(log)
                    .address(e.token)
                    .address(e.beneficiaries.platformOwner)
                    .address(e.beneficiaries.nodeOwner)
                    .address(e.beneficiaries.node)
                    .uint256(e.amounts.platformOwner)
                    .uint256(e.amounts.nodeOwner)
                    .uint256(e.amounts.node)
                    .uint256(e.allocated.platformOwner)
                    .uint256(e.allocated.nodeOwner)
                    .uint256(e.allocated.node)
                    .word(e.reason)
                    .address(e.operator);
            }
            FeeVaultEvent::FeeAccrued(e) => {
                let row = self.pots.row(log).address(e.token).address(e.paymentToken);
                row.address(e.source).uint256(e.amount).uint256(e.pot);
            }
            FeeVaultEvent::FeesReleased(e) => {
                // Never more than the pot had, which is one uint256.
                let released = [e.amounts.platformOwner, e.amounts.nodeOwner, e.amounts.node];
                let released = released.into_iter().fold(U256::ZERO, U256::saturating_add);
                let row = self.pots.row(log).address(e.token).address(e.paymentToken);
                row.or_null(None, Rows::address).uint256(released).uint256(e.pot);
            }
            _ => {}
        }
    }

    /// What wallets may draw: out of a vault's money in one payment token, whichever tokens it came from.
    pub(super) fn credited(&mut self, log: &ChainLog, event: &FeeVaultEvent) {
        let Some((payment_token, cause, changed)) = credits(event) else { return };
        for (wallet, (amount, credit)) in changed {
            let row = self.credits.row(log).address(payment_token).address(wallet);
            row.smallint(cause).uint256(amount).uint256(credit);
        }
    }

    pub(super) fn sheets(self) -> impl IntoIterator<Item = Sheet> {
        [self.terms, self.allocations, self.pots, self.credits]
    }
}

/// By wallet: what was added or taken, and the credit that results.
type Credits = BTreeMap<Address, (U256, U256)>;

/// The payment token, why, and the credits that an event changes.
fn credits(event: &FeeVaultEvent) -> Option<(Address, i16, Credits)> {
    // A wallet once, though it may be several parties: the last figure is the one that results.
    let mut changed = Credits::new();
    let (payment_token, cause) = match event {
        FeeVaultEvent::FeesReleased(e) => {
            for (wallet, amount, credit) in [
                (e.beneficiaries.platformOwner, e.amounts.platformOwner, e.credits.platformOwner),
                (e.beneficiaries.nodeOwner, e.amounts.nodeOwner, e.credits.nodeOwner),
                (e.beneficiaries.node, e.amounts.node, e.credits.node),
            ] {
                let change = changed.entry(wallet).or_default();
                *change = (change.0.saturating_add(amount), credit);
            }
            // What got nothing has what it had.
            changed.retain(|_, (amount, _)| !amount.is_zero());
            (e.paymentToken, RELEASED)
        }
        FeeVaultEvent::FeesDrawn(e) => {
            changed.insert(e.wallet, (e.amount, U256::ZERO));
            (e.paymentToken, DRAWN)
        }
        FeeVaultEvent::FeesMoved(e) => {
            changed.insert(e.from, (e.amount, U256::ZERO));
            changed.insert(e.to, (e.amount, e.credit));
            (e.paymentToken, MOVED)
        }
        _ => return None,
    };
    Some((payment_token, cause, changed))
}

/// A share in hundredths of a per cent: the contract takes none above 10,000.
fn bps(share: U256) -> i32 {
    i32::try_from(share).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;
    use tokenx_contracts::bindings::{Beneficiaries, Split};

    use super::*;
    use crate::event::FeeVault;

    const ONE: Address = Address::repeat_byte(1);
    const TWO: Address = Address::repeat_byte(2);
    const USD: Address = Address::repeat_byte(9);

    fn split(figures: [u64; 3]) -> Split {
        let [platform_owner, node_owner, node] = figures.map(U256::from);
        Split { platformOwner: platform_owner, nodeOwner: node_owner, node }
    }

    fn released(to: [Address; 3], amounts: [u64; 3], results: [u64; 3]) -> Vec<(Address, u64, u64)> {
        let event = FeeVault::FeesReleased {
            token: Address::ZERO,
            paymentToken: USD,
            beneficiaries: Beneficiaries { platformOwner: to[0], nodeOwner: to[1], node: to[2] },
            amounts: split(amounts),
            credits: split(results),
            pot: U256::ZERO,
        };
        plain(&FeeVaultEvent::FeesReleased(event))
    }

    fn plain(event: &FeeVaultEvent) -> Vec<(Address, u64, u64)> {
        let (payment_token, _, changed) = credits(event).unwrap();
        assert_eq!(payment_token, USD);
        changed.into_iter().map(|(wallet, (amount, credit))| (wallet, amount.to(), credit.to())).collect()
    }

    #[test]
    fn a_wallet_that_is_several_parties_has_one_credit_and_who_gets_nothing_has_no_row() {
        assert_eq!(released([ONE, ONE, ONE], [1, 2, 3], [6, 6, 6]), [(ONE, 6, 6)]);
        assert_eq!(released([ONE, TWO, ONE], [1, 2, 3], [14, 2, 14]), [(ONE, 4, 14), (TWO, 2, 2)]);
        assert_eq!(released([ONE, TWO, TWO], [5, 0, 0], [5, 7, 7]), [(ONE, 5, 5)]);
    }

    #[test]
    fn what_moves_leaves_nothing_behind_and_to_oneself_changes_nothing() {
        let moved = |from, to, credit| {
            let (amount, credit) = (U256::from(4), U256::from(credit));
            let (reason, operator) = (B256::ZERO, Address::ZERO);
            let event = FeeVault::FeesMoved { paymentToken: USD, from, to, amount, credit, reason, operator };
            plain(&FeeVaultEvent::FeesMoved(event))
        };
        assert_eq!(moved(ONE, TWO, 11), [(ONE, 4, 0), (TWO, 4, 11)]);
        assert_eq!(moved(ONE, ONE, 4), [(ONE, 4, 4)]);
    }
}
