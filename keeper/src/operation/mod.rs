//! What can be asked of the chain, in canonical form: two requests mean the same thing exactly when their
//! [`fingerprint`](Operation::fingerprint)s are equal.

mod canonical;
mod consent;
mod contract;
mod identity;
mod payout;
mod proof;
mod sale;
mod signed;
mod terms;
#[cfg(test)]
mod tests;
mod trade;

use alloy::primitives::{Address, B256, U256};
use serde::{Deserialize, Deserializer, Serialize};
use tokenx_contracts::ids::InstrumentId;

pub use consent::Consent;
pub use contract::{Contract, Fund};
pub use payout::Payout;
pub use sale::Sale;
pub use signed::{Claim, Deal, Funding, Order, Permit, Purchase, Redemption, Side};
pub use terms::{
    Beneficiaries, FeeAmounts, FeeShares, ListingTerms, MarketTerms, OtcTerms, RedemptionTerms, RentTerms,
};
pub use trade::Trade;

/// Why units that were just minted cannot move for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lockup {
    /// Regulation D.
    RegD,
    /// Regulation S.
    RegS,
}

/// What a list of countries does to recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountryMode {
    /// Nothing: every country is admitted.
    None,
    /// Those listed are refused.
    Refuse,
    /// Only those listed are admitted.
    Admit,
}

/// An operation on chain. Amounts are base units; `reason` is the word that lands in the contract's event. Stored with its
/// `kind`, which no two operations share: what stands in an enum of its own is stored as if it stood here.
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
        /// Part of one request for every instrument, which has a command for each.
        #[serde(default, skip_serializing_if = "is_false")]
        everywhere: bool,
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
        /// Part of one request for every instrument, which has a command for each.
        #[serde(default, skip_serializing_if = "is_false")]
        everywhere: bool,
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
        /// Where its papers are; not on chain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
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
    /// New units to a whitelisted wallet, which cannot move them before a time.
    MintLocked {
        /// Instrument minted.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet that receives them.
        to: Address,
        /// Base units, above zero.
        #[serde(with = "decimal")]
        amount: U256,
        /// Which lockup.
        lockup: Lockup,
        /// Unix seconds; the lockup ends at the next midnight UTC.
        until: u64,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Keeps free units of a wallet where they are, until they are released or burned.
    PlaceHold {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet concerned.
        account: Address,
        /// Base units, above zero.
        #[serde(with = "decimal")]
        amount: U256,
        /// Unix seconds from which it no longer binds; 0 = never.
        until: u64,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Ends a hold of ours; its units are free again.
    ReleaseHold {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet concerned.
        account: Address,
        /// The hold, as the token numbers it.
        hold_id: u64,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Burns the units of a hold of ours.
    ExecuteHold {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet concerned.
        account: Address,
        /// The hold, as the token numbers it.
        hold_id: u64,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Ends what has expired of a wallet's holds and lockups. They bind nobody either way.
    ReclaimExpired {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet concerned.
        account: Address,
    },
    /// Moves all that a lost wallet has, freezes and lockups included, to another one of its investor.
    Recover {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Wallet that was lost; revoked in the registry.
        lost: Address,
        /// Whitelisted wallet of the same investor.
        replacement: Address,
        /// Base units: the whole balance of the lost wallet.
        #[serde(with = "decimal")]
        amount: U256,
        /// Why: lands in the event, and is part of what is asked.
        reason: B256,
    },
    /// Stops minting and burning of an instrument.
    PauseSupply {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Lets minting and burning of an instrument go on.
    UnpauseSupply {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Sets what transfers and mints of an instrument may lead to.
    SetLimits {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Most wallets with a balance; 0 = no limit.
        max_holders: u32,
        /// Most base units of one wallet; 0 = no limit.
        #[serde(with = "decimal")]
        max_balance: U256,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Sets the countries whose investors may receive an instrument.
    SetCountryRule {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// What the list does.
        mode: CountryMode,
        /// ISO 3166-1 numeric.
        countries: Vec<u16>,
        /// Word for the event; zero if none was given.
        reason: B256,
    },
    /// Attaches a document to an instrument, or replaces it.
    SetDocument {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Its name, unique per instrument.
        name: B256,
        /// Where it is.
        uri: String,
        /// Hash of its content.
        hash: B256,
    },
    /// Detaches a document from an instrument.
    RemoveDocument {
        /// Instrument concerned.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Its name.
        name: B256,
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
    /// Makes a token of a node.
    DeployToken {
        /// Its instrument's id.
        #[serde(deserialize_with = "instrument")]
        instrument: InstrumentId,
        /// Key of the node: the hash of its id.
        node: B256,
        /// Its name.
        name: String,
        /// Its symbol.
        symbol: String,
        /// 0 to 18.
        decimals: u8,
        /// Base units that may ever be, 104 bits, above zero.
        #[serde(with = "decimal")]
        max_supply: U256,
        /// Base units that the node's Executor may mint per UTC day; 104 bits.
        #[serde(with = "decimal")]
        daily_mint_limit: U256,
        /// Base units that it may burn, and as many place under holds, per UTC day.
        #[serde(with = "decimal")]
        daily_burn_limit: U256,
        /// Base units that it may move, and as many burn, by force per UTC day.
        #[serde(with = "decimal")]
        daily_force_limit: U256,
    },
    /// Of primary sale or fees.
    #[serde(untagged)]
    Sale(Sale),
    /// Of redemptions or rent.
    #[serde(untagged)]
    Payout(Payout),
    /// Of trading.
    #[serde(untagged)]
    Trade(Box<Trade>),
    /// Of allowances.
    #[serde(untagged)]
    Consent(Consent),
}

impl From<Sale> for Operation {
    fn from(sale: Sale) -> Self {
        Self::Sale(sale)
    }
}

impl From<Payout> for Operation {
    fn from(payout: Payout) -> Self {
        Self::Payout(payout)
    }
}

impl From<Trade> for Operation {
    fn from(trade: Trade) -> Self {
        Self::Trade(Box::new(trade))
    }
}

impl From<Consent> for Operation {
    fn from(consent: Consent) -> Self {
        Self::Consent(consent)
    }
}

/// A stored id was checked when it came in; it is checked again because a row is input too.
fn instrument<'de, D: Deserializer<'de>>(deserializer: D) -> Result<InstrumentId, D::Error> {
    InstrumentId::parse(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// What older rows do not have, new ones have only where it says something.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_false(flag: &bool) -> bool {
    !flag
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
