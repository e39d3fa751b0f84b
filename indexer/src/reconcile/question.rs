//! What is compared: a view of a contract with every figure of the tables that should equal it.

use alloy::primitives::{Address, Bytes, hex};
use alloy::sol_types::SolCall;

use super::figures::Place;
use crate::event::{FeeVault, Listing, RedemptionDesk, SecurityToken};
use crate::text::clean;

/// A figure of the tables: what it is called in a mismatch, and its value as text, `None` where there is no row.
pub(super) type Figure = (&'static str, Option<String>);

/// One view and what should equal it. A token's own figures have no wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Who is asked.
    pub(super) at: Address,
    pub(super) token: Address,
    pub(super) wallet: Option<Address>,
    pub(super) view: View,
    pub(super) ours: Vec<Figure>,
}

/// A figure that is not the chain's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) token: Address,
    pub(super) wallet: Option<Address>,
    pub(super) what: &'static str,
    pub(super) ours: Option<String>,
    pub(super) chains: Option<String>,
}

impl Mismatch {
    /// Where it is.
    pub(super) const fn place(&self) -> Place {
        (self.token, self.wallet)
    }
}

/// View functions that are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    TotalSupply,
    InstrumentId,
    Name,
    Symbol,
    Decimals,
    /// Of a token that may have none, as ERC-20 allows: 0 then.
    OptionalDecimals,
    MaxSupply,
    Registry,
    Paused,
    SupplyPaused,
    HolderCount,
    Limits,
    CountryRule,
    Balance,
    Frozen,
    AddressFrozen,
    Held,
    Holds,
    RentOf,
    Rent,
    ListedSupply,
    ListingStatus,
    Allocated,
    /// In this payment token.
    Fund(Address),
}

impl Question {
    /// The call to make.
    pub(super) fn call(&self) -> (Address, Vec<u8>) {
        let (token, account) = (self.token, self.wallet.unwrap_or_default());
        let data = match self.view {
            View::TotalSupply => SecurityToken::totalSupplyCall {}.abi_encode(),
            View::InstrumentId => SecurityToken::instrumentIdCall {}.abi_encode(),
            View::Name => SecurityToken::nameCall {}.abi_encode(),
            View::Symbol => SecurityToken::symbolCall {}.abi_encode(),
            View::Decimals | View::OptionalDecimals => SecurityToken::decimalsCall {}.abi_encode(),
            View::MaxSupply => SecurityToken::maxSupplyCall {}.abi_encode(),
            View::Registry => SecurityToken::registryCall {}.abi_encode(),
            View::Paused => SecurityToken::pausedCall {}.abi_encode(),
            View::SupplyPaused => SecurityToken::supplyPausedCall {}.abi_encode(),
            View::HolderCount => SecurityToken::holderCountCall {}.abi_encode(),
            View::Limits => SecurityToken::limitsCall {}.abi_encode(),
            View::CountryRule => SecurityToken::countryRuleCall {}.abi_encode(),
            View::Balance => SecurityToken::balanceOfCall { account }.abi_encode(),
            View::Frozen => SecurityToken::getFrozenTokensCall { account }.abi_encode(),
            View::AddressFrozen => SecurityToken::isFrozenCall { account }.abi_encode(),
            View::Held => SecurityToken::heldOfCall { account }.abi_encode(),
            View::Holds => SecurityToken::holdsOfCall { account }.abi_encode(),
            View::RentOf => SecurityToken::rentOfCall { account }.abi_encode(),
            View::Rent => SecurityToken::rentCall {}.abi_encode(),
            View::ListedSupply => Listing::supplyOfCall { token }.abi_encode(),
            View::ListingStatus => Listing::statusOfCall { token }.abi_encode(),
            View::Allocated => FeeVault::allocatedOfCall { token }.abi_encode(),
            View::Fund(of) => RedemptionDesk::fundOfCall { token, paymentToken: of }.abi_encode(),
        };
        (self.at, data)
    }

    /// The figures that differ from what the call returned.
    pub(super) fn compare(&self, answer: Option<&Bytes>) -> Vec<Mismatch> {
        let chains = answer.and_then(|data| self.view.text(data)).or_else(|| self.view.unanswered());
        let differing = self.ours.iter().filter(|(_, ours)| chains.is_none() || *ours != chains);
        differing
            .map(|(what, ours)| Mismatch {
                token: self.token,
                wallet: self.wallet,
                what,
                ours: ours.clone(),
                chains: chains.clone(),
            })
            .collect()
    }
}

impl View {
    /// What it means that a contract does not answer.
    fn unanswered(self) -> Option<String> {
        (self == Self::OptionalDecimals).then(|| "0".to_owned())
    }

    /// A return value as figures are written; `None` if it is none.
    fn text(self, data: &Bytes) -> Option<String> {
        match self {
            Self::TotalSupply => number::<SecurityToken::totalSupplyCall>(data),
            Self::InstrumentId => {
                SecurityToken::instrumentIdCall::abi_decode_returns(data).ok().map(|text| clean(&text))
            }
            Self::Name => SecurityToken::nameCall::abi_decode_returns(data).ok().map(|text| clean(&text)),
            Self::Symbol => SecurityToken::symbolCall::abi_decode_returns(data).ok().map(|text| clean(&text)),
            Self::Decimals | Self::OptionalDecimals => number::<SecurityToken::decimalsCall>(data),
            Self::MaxSupply => number::<SecurityToken::maxSupplyCall>(data),
            Self::Registry => number::<SecurityToken::registryCall>(data),
            Self::Paused => number::<SecurityToken::pausedCall>(data),
            Self::SupplyPaused => number::<SecurityToken::supplyPausedCall>(data),
            Self::HolderCount => number::<SecurityToken::holderCountCall>(data),
            Self::Limits => {
                SecurityToken::limitsCall::abi_decode_returns(data).ok().map(|rule| format!("{} {}", rule._0, rule._1))
            }
            Self::CountryRule => SecurityToken::countryRuleCall::abi_decode_returns(data).ok().map(|rule| {
                // Country n is bit n % 256 of word n / 256: lowest byte first, as the table has it.
                let bytes = rule._1.map(|word| word.to_le_bytes::<32>()).concat();
                format!("{} {}", rule._0, hex::encode(bytes))
            }),
            Self::Balance => number::<SecurityToken::balanceOfCall>(data),
            Self::Frozen => number::<SecurityToken::getFrozenTokensCall>(data),
            Self::AddressFrozen => number::<SecurityToken::isFrozenCall>(data),
            Self::Held => number::<SecurityToken::heldOfCall>(data),
            Self::Holds => SecurityToken::holdsOfCall::abi_decode_returns(data).ok().map(|holds| {
                let each = holds.iter().map(|hold| {
                    format!("{} {} {} {} {}", hold.id, hold.kind, hold.amount, hold.until, hex::encode(hold.agent))
                });
                each.collect::<Vec<_>>().join(", ")
            }),
            Self::RentOf => number::<SecurityToken::rentOfCall>(data),
            Self::Rent => SecurityToken::rentCall::abi_decode_returns(data)
                .ok()
                .map(|rent| format!("{} {} {} {} {}", rent.bound, rent.period, rent.minimum, rent.perUnit, rent.carry)),
            Self::ListedSupply => Listing::supplyOfCall::abi_decode_returns(data)
                .ok()
                .map(|supply| format!("{} {} {}", supply.listed, supply.purchased, supply.fees)),
            Self::ListingStatus => number::<Listing::statusOfCall>(data),
            Self::Allocated => FeeVault::allocatedOfCall::abi_decode_returns(data)
                .ok()
                .map(|split| format!("{} {} {}", split.platformOwner, split.nodeOwner, split.node)),
            Self::Fund(_) => RedemptionDesk::fundOfCall::abi_decode_returns(data)
                .ok()
                .map(|fund| format!("{} {}", fund.available, fund.owed)),
        }
    }
}

/// Numbers in decimals, flags as `true` and `false`, addresses as EIP-55 has them.
fn number<C: SolCall<Return: ToString>>(data: &Bytes) -> Option<String> {
    C::abi_decode_returns(data).ok().map(|value| value.to_string())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;
    use alloy::sol_types::SolValue;

    use super::*;

    fn question(ours: Vec<Figure>) -> Question {
        let token = Address::repeat_byte(1);
        Question { at: token, token, wallet: Some(Address::repeat_byte(2)), view: View::Balance, ours }
    }

    #[test]
    fn every_figure_that_differs_is_named_and_no_other() {
        let asked = question(vec![("balance", Some("7".to_owned())), ("last_holding_change", Some("8".to_owned()))]);
        let found = asked.compare(Some(&U256::from(7).abi_encode().into()));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].what, found[0].chains.as_deref()), ("last_holding_change", Some("7")));
    }

    #[test]
    fn a_strangers_token_without_decimals_has_0_and_one_of_ours_has_to_say_so() {
        let asked = |view, ours: &str| Question { view, ..question(vec![("decimals", Some(ours.to_owned()))]) };
        assert_eq!(asked(View::OptionalDecimals, "0").compare(None), []);
        assert_eq!(asked(View::OptionalDecimals, "6").compare(None).len(), 1);
        assert_eq!(asked(View::OptionalDecimals, "0").compare(Some(&U256::from(6).abi_encode().into())).len(), 1);
        assert_eq!(asked(View::Decimals, "0").compare(None).len(), 1);
    }

    #[test]
    fn a_row_that_lacks_differs_from_zero() {
        let found = question(vec![("balance", None)]).compare(Some(&U256::ZERO.abi_encode().into()));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_contract_that_does_not_answer_agrees_with_nothing() {
        let asked = question(vec![("balance", Some("0".to_owned())), ("last_holding_change", None)]);
        assert_eq!(asked.compare(None).len(), 2);
        assert_eq!(asked.compare(Some(&Bytes::new())).len(), 2, "an account without code returns nothing");
    }
}
