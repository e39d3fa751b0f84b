//! What can be asked of the chain, in canonical form: two requests mean the same thing exactly when their
//! [`fingerprint`](Operation::fingerprint)s are equal.

use alloy::primitives::{Address, B256, U256, keccak256};
use serde::{Deserialize, Deserializer, Serialize};
use tokenx_contracts::ids::InstrumentId;

/// An operation on chain. Amounts are base units; `reason` is the word that lands in the contract's event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Operation {
    /// New units to a whitelisted wallet.
    Mint {
        /// Instrument minted.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet that receives them.
        to: Address,
        /// Base units, above zero.
        #[serde(with = "decimal")]
        amount: U256,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Takes free units out of existence.
    Burn {
        /// Instrument burned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet they are taken from.
        from: Address,
        /// Base units, above zero.
        #[serde(with = "decimal")]
        amount: U256,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Freezes `amount` more of a wallet's units.
    Freeze {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet concerned.
        account: Address,
        /// Base units added to what is frozen.
        #[serde(with = "decimal")]
        amount: U256,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Frees `amount` of a wallet's frozen units.
    Unfreeze {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet concerned.
        account: Address,
        /// Base units taken off what is frozen.
        #[serde(with = "decimal")]
        amount: U256,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Freezes the whole wallet.
    FreezeAddress {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet concerned.
        account: Address,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Ends a freeze of the whole wallet; what is frozen in part stays so.
    UnfreezeAddress {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet concerned.
        account: Address,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Moves units without their holder's consent: free ones first, then frozen ones.
    ForcedTransfer {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet they are taken from.
        from: Address,
        /// Whitelisted wallet that receives them.
        to: Address,
        /// Base units, above zero.
        #[serde(with = "decimal")]
        amount: U256,
        /// Why: lands in the event, and is part of what is asked.
        reason: B256,
    },
    /// Burns units without their holder's consent: free ones first, then frozen ones.
    ForcedBurn {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet they are taken from.
        from: Address,
        /// Base units, above zero.
        #[serde(with = "decimal")]
        amount: U256,
        /// Why: lands in the event, and is part of what is asked.
        reason: B256,
    },
    /// Stops transfers of an instrument.
    Pause {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Lets transfers of an instrument go on.
    Unpause {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Writes a wallet's record in the registry, whitelisted.
    Whitelist {
        /// Wallet concerned.
        wallet: Address,
        /// Its investor; a wallet never moves to another one.
        investor_id: u64,
        /// ISO 3166-1 numeric; 0 = not given.
        country: u16,
        /// Class as the platform numbers it; 0 = not given.
        investor_class: u8,
        /// Unix seconds from which the KYC no longer counts; 0 = never.
        kyc_expires_at: u64,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Takes a wallet's whitelisting away.
    Revoke {
        /// Wallet concerned.
        wallet: Address,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
}

impl Operation {
    /// The operation's name in the database, in metrics and on every surface.
    pub fn kind(&self) -> &'static str {
        match self {
            Operation::Mint { .. } => "mint",
            Operation::Burn { .. } => "burn",
            Operation::Freeze { .. } => "freeze",
            Operation::Unfreeze { .. } => "unfreeze",
            Operation::FreezeAddress { .. } => "freeze_address",
            Operation::UnfreezeAddress { .. } => "unfreeze_address",
            Operation::ForcedTransfer { .. } => "forced_transfer",
            Operation::ForcedBurn { .. } => "forced_burn",
            Operation::Pause { .. } => "pause",
            Operation::Unpause { .. } => "unpause",
            Operation::Whitelist { .. } => "whitelist",
            Operation::Revoke { .. } => "revoke",
        }
    }

    /// The instrument it is about; `None` for the registry's own operations.
    pub fn instrument(&self) -> Option<&InstrumentId> {
        match self {
            Operation::Mint { instrument, .. }
            | Operation::Burn { instrument, .. }
            | Operation::Freeze { instrument, .. }
            | Operation::Unfreeze { instrument, .. }
            | Operation::FreezeAddress { instrument, .. }
            | Operation::UnfreezeAddress { instrument, .. }
            | Operation::ForcedTransfer { instrument, .. }
            | Operation::ForcedBurn { instrument, .. }
            | Operation::Pause { instrument, .. }
            | Operation::Unpause { instrument, .. } => Some(instrument),
            Operation::Whitelist { .. } | Operation::Revoke { .. } => None,
        }
    }

    /// The wallet it draws on or is about; `None` where it is about a whole instrument.
    pub fn wallet(&self) -> Option<Address> {
        match self {
            Operation::Mint { to, .. } => Some(*to),
            Operation::Burn { from, .. }
            | Operation::ForcedTransfer { from, .. }
            | Operation::ForcedBurn { from, .. } => Some(*from),
            Operation::Freeze { account, .. }
            | Operation::Unfreeze { account, .. }
            | Operation::FreezeAddress { account, .. }
            | Operation::UnfreezeAddress { account, .. } => Some(*account),
            Operation::Whitelist { wallet, .. } | Operation::Revoke { wallet, .. } => Some(*wallet),
            Operation::Pause { .. } | Operation::Unpause { .. } => None,
        }
    }

    /// The amount it moves, in base units.
    pub fn amount(&self) -> Option<U256> {
        match self {
            Operation::Mint { amount, .. }
            | Operation::Burn { amount, .. }
            | Operation::Freeze { amount, .. }
            | Operation::Unfreeze { amount, .. }
            | Operation::ForcedTransfer { amount, .. }
            | Operation::ForcedBurn { amount, .. } => Some(*amount),
            _ => None,
        }
    }

    /// What it draws on: commands of one subject run in order, in one lane, and reserve from one another.
    pub fn subject(&self) -> String {
        match (self.instrument(), self.wallet()) {
            (Some(instrument), Some(wallet)) => format!("position:{}:{wallet:#x}", instrument.as_str()),
            (Some(instrument), None) => format!("instrument:{}", instrument.as_str()),
            (None, Some(wallet)) => format!("wallet:{wallet:#x}"),
            (None, None) => "node".to_owned(),
        }
    }

    /// Base units that it takes from its subject's spendable balance until the chain has taken them.
    pub fn reserves(&self) -> U256 {
        match self {
            Operation::Burn { amount, .. }
            | Operation::Freeze { amount, .. }
            | Operation::ForcedTransfer { amount, .. }
            | Operation::ForcedBurn { amount, .. } => *amount,
            _ => U256::ZERO,
        }
    }

    /// Must two requests on one subject see each other before either is accepted? So where one takes what the other
    /// counts on.
    pub fn is_serialised(&self) -> bool {
        !self.reserves().is_zero() || matches!(self, Operation::Unfreeze { .. })
    }

    /// Hash of the canonical command: operation, instrument, wallets, base units, and the reason where it must be
    /// given. Never changes for a stored row, so a field added later must leave old commands' hashes alone.
    pub fn fingerprint(&self) -> B256 {
        let mut parts = vec![self.kind().to_owned()];
        parts.extend(self.instrument().map(|id| id.as_str().to_owned()));
        parts.extend(self.wallet().map(|wallet| format!("{wallet:#x}")));
        parts.extend(self.amount().map(|amount| amount.to_string()));
        match self {
            Operation::ForcedTransfer { to, reason, .. } => parts.extend([format!("{to:#x}"), reason.to_string()]),
            Operation::ForcedBurn { reason, .. } => parts.push(reason.to_string()),
            Operation::Whitelist { investor_id, country, investor_class, kyc_expires_at, .. } => parts.extend([
                investor_id.to_string(),
                country.to_string(),
                investor_class.to_string(),
                kyc_expires_at.to_string(),
            ]),
            _ => {}
        }
        // No part can hold a line feed, so the text is unambiguous.
        keccak256(parts.join("\n"))
    }
}

/// A stored id was checked when it came in; it is checked again because a row is input too.
fn instrument<'de, D: Deserializer<'de>>(deserializer: D) -> Result<InstrumentId, D::Error> {
    InstrumentId::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Base units as decimal text: a hex string in the database helps nobody.
mod decimal {
    use alloy::primitives::U256;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &U256, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
        let text = String::deserialize(deserializer)?;
        U256::from_str_radix(&text, 10).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{address, b256};

    fn instrument(id: &str) -> InstrumentId {
        id.parse().unwrap()
    }

    fn mint(amount: u64, reason: B256) -> Operation {
        Operation::Mint {
            instrument: instrument("rCC"),
            to: address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            amount: U256::from(amount),
            reason,
        }
    }

    #[test]
    fn the_fingerprint_of_a_command_never_changes() {
        assert_eq!(
            mint(100, B256::ZERO).fingerprint(),
            keccak256("mint\nrCC\n0x70997970c51812dc3a010c7d01b50e0d17dc79c8\n100")
        );
    }

    #[test]
    fn another_amount_is_another_command() {
        assert_ne!(mint(100, B256::ZERO).fingerprint(), mint(101, B256::ZERO).fingerprint());
    }

    #[test]
    fn the_reason_of_a_mint_is_no_part_of_the_command_but_that_of_force_is() {
        let reason = b256!("6400000000000000000000000000000000000000000000000000000000000000");
        assert_eq!(mint(100, B256::ZERO).fingerprint(), mint(100, reason).fingerprint());
        let forced = |reason| Operation::ForcedBurn {
            instrument: instrument("rCC"),
            from: Address::ZERO,
            amount: U256::ONE,
            reason,
        };
        assert_ne!(forced(B256::ZERO).fingerprint(), forced(reason).fingerprint());
    }

    #[test]
    fn a_stored_operation_reads_back() {
        let operation = mint(u64::MAX, B256::ZERO);
        let json = serde_json::to_value(&operation).unwrap();
        assert_eq!(json["kind"], "mint");
        assert_eq!(json["amount"], "18446744073709551615");
        assert_eq!(serde_json::from_value::<Operation>(json).unwrap(), operation);
    }

    #[test]
    fn mint_and_burn_of_one_position_share_a_subject() {
        let burn = Operation::Burn {
            instrument: instrument("rCC"),
            from: address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            amount: U256::ONE,
            reason: B256::ZERO,
        };
        assert_eq!(burn.subject(), mint(1, B256::ZERO).subject());
    }
}
