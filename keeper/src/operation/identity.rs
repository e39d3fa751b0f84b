//! What an operation is called, what it is about, what it takes, and when two of them are the same.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256, keccak256};
use tokenx_contracts::ids::InstrumentId;

use super::{Contract, CountryMode, Lockup, Operation, Payout, Sale, canonical};

impl Operation {
    /// The operation's name in the database, in metrics and on every surface.
    pub fn kind(&self) -> &'static str {
        match self {
            Operation::Mint { .. } => "mint",
            Operation::MintLocked { .. } => "mint_locked",
            Operation::Burn { .. } => "burn",
            Operation::Freeze { .. } => "freeze",
            Operation::Unfreeze { .. } => "unfreeze",
            Operation::FreezeAddress { .. } => "freeze_address",
            Operation::UnfreezeAddress { .. } => "unfreeze_address",
            Operation::ForcedTransfer { .. } => "forced_transfer",
            Operation::ForcedBurn { .. } => "forced_burn",
            Operation::Recover { .. } => "recover",
            Operation::PlaceHold { .. } => "place_hold",
            Operation::ReleaseHold { .. } => "release_hold",
            Operation::ExecuteHold { .. } => "execute_hold",
            Operation::ReclaimExpired { .. } => "reclaim_expired",
            Operation::Pause { .. } => "pause",
            Operation::Unpause { .. } => "unpause",
            Operation::PauseSupply { .. } => "pause_supply",
            Operation::UnpauseSupply { .. } => "unpause_supply",
            Operation::SetLimits { .. } => "set_limits",
            Operation::SetCountryRule { .. } => "set_country_rule",
            Operation::SetDocument { .. } => "set_document",
            Operation::RemoveDocument { .. } => "remove_document",
            Operation::Whitelist { .. } => "whitelist",
            Operation::Revoke { .. } => "revoke",
            Operation::DeployToken { .. } => "deploy_token",
            Operation::Sale(sale) => sale.kind(),
            Operation::Payout(payout) => payout.kind(),
            Operation::Trade(trade) => trade.kind(),
            Operation::Consent(consent) => consent.kind(),
        }
    }

    /// The instrument it is about; `None` for the registry's own operations.
    pub fn instrument(&self) -> Option<&InstrumentId> {
        match self {
            Operation::Mint { instrument, .. }
            | Operation::MintLocked { instrument, .. }
            | Operation::Burn { instrument, .. }
            | Operation::Freeze { instrument, .. }
            | Operation::Unfreeze { instrument, .. }
            | Operation::FreezeAddress { instrument, .. }
            | Operation::UnfreezeAddress { instrument, .. }
            | Operation::ForcedTransfer { instrument, .. }
            | Operation::ForcedBurn { instrument, .. }
            | Operation::Recover { instrument, .. }
            | Operation::PlaceHold { instrument, .. }
            | Operation::ReleaseHold { instrument, .. }
            | Operation::ExecuteHold { instrument, .. }
            | Operation::ReclaimExpired { instrument, .. }
            | Operation::Pause { instrument, .. }
            | Operation::Unpause { instrument, .. }
            | Operation::PauseSupply { instrument, .. }
            | Operation::UnpauseSupply { instrument, .. }
            | Operation::SetLimits { instrument, .. }
            | Operation::SetCountryRule { instrument, .. }
            | Operation::SetDocument { instrument, .. }
            | Operation::RemoveDocument { instrument, .. }
            | Operation::DeployToken { instrument, .. } => Some(instrument),
            Operation::Sale(sale) => Some(sale.instrument()),
            Operation::Payout(payout) => Some(payout.instrument()),
            Operation::Trade(trade) => Some(trade.instrument()),
            Operation::Consent(consent) => Some(consent.instrument()),
            Operation::Whitelist { .. } | Operation::Revoke { .. } => None,
        }
    }

    /// The wallet it draws on or is about; `None` where it is about a whole instrument.
    pub fn wallet(&self) -> Option<Address> {
        match self {
            Operation::Mint { to: wallet, .. }
            | Operation::MintLocked { to: wallet, .. }
            | Operation::Burn { from: wallet, .. }
            | Operation::ForcedTransfer { from: wallet, .. }
            | Operation::ForcedBurn { from: wallet, .. }
            | Operation::Recover { lost: wallet, .. }
            | Operation::Freeze { account: wallet, .. }
            | Operation::Unfreeze { account: wallet, .. }
            | Operation::FreezeAddress { account: wallet, .. }
            | Operation::UnfreezeAddress { account: wallet, .. }
            | Operation::PlaceHold { account: wallet, .. }
            | Operation::ReleaseHold { account: wallet, .. }
            | Operation::ExecuteHold { account: wallet, .. }
            | Operation::ReclaimExpired { account: wallet, .. }
            | Operation::Whitelist { wallet, .. }
            | Operation::Revoke { wallet, .. } => Some(*wallet),
            Operation::Sale(sale) => sale.wallet(),
            Operation::Payout(payout) => payout.wallet(),
            Operation::Trade(trade) => trade.wallet(),
            Operation::Consent(consent) => Some(consent.wallet()),
            _ => None,
        }
    }

    /// The node's contract that does it; `None` where that is the token itself, the registry or the factory.
    pub fn contract(&self) -> Option<Contract> {
        match self {
            Operation::Sale(sale) => Some(sale.contract()),
            Operation::Payout(payout) => payout.contract(),
            Operation::Trade(trade) => Some(trade.contract()),
            Operation::Consent(consent) => consent.contract(),
            _ => None,
        }
    }

    /// Key of the node whose token it makes.
    pub fn node(&self) -> Option<B256> {
        match self {
            Operation::DeployToken { node, .. } => Some(*node),
            _ => None,
        }
    }

    /// The request for a redemption that it ends.
    pub fn request_id(&self) -> Option<u64> {
        match self {
            Operation::Payout(
                Payout::ApproveRedemption { request_id, .. } | Payout::RejectRedemption { request_id, .. },
            ) => Some(*request_id),
            _ => None,
        }
    }

    /// What makes its intent count once.
    pub fn salt(&self) -> Option<B256> {
        match self {
            Operation::Sale(Sale::Buy { purchase, .. }) => Some(purchase.salt),
            Operation::Payout(Payout::RequestRedemption { redemption, .. }) => Some(redemption.salt),
            Operation::Payout(Payout::PayIn { funding, .. }) => Some(funding.salt),
            Operation::Payout(Payout::ClaimRent { claim, .. }) => Some(claim.salt),
            _ => None,
        }
    }

    /// The wallet that receives what another one gives.
    pub fn receiver(&self) -> Option<Address> {
        match self {
            Operation::Payout(payout) => payout.receiver(),
            Operation::Trade(trade) => trade.receiver(),
            Operation::ForcedTransfer { to: receiver, .. } | Operation::Recover { replacement: receiver, .. } => {
                Some(*receiver)
            }
            _ => None,
        }
    }

    /// The amount of its instrument that it is about, in base units; money is no such amount.
    pub fn amount(&self) -> Option<U256> {
        match self {
            Operation::Sale(sale) => sale.amount(),
            Operation::Payout(payout) => payout.amount(),
            Operation::Trade(trade) => trade.amount(),
            Operation::Mint { amount, .. }
            | Operation::MintLocked { amount, .. }
            | Operation::Burn { amount, .. }
            | Operation::Freeze { amount, .. }
            | Operation::Unfreeze { amount, .. }
            | Operation::PlaceHold { amount, .. }
            | Operation::ForcedTransfer { amount, .. }
            | Operation::ForcedBurn { amount, .. }
            | Operation::Recover { amount, .. } => Some(*amount),
            _ => None,
        }
    }

    /// The hold it ends.
    pub fn hold_id(&self) -> Option<u64> {
        match self {
            Operation::ReleaseHold { hold_id, .. } | Operation::ExecuteHold { hold_id, .. } => Some(*hold_id),
            _ => None,
        }
    }

    /// The document it is about.
    pub fn document(&self) -> Option<B256> {
        match self {
            Operation::SetDocument { name, .. } | Operation::RemoveDocument { name, .. } => Some(*name),
            _ => None,
        }
    }

    /// What it draws on: commands of one subject run in order, in one lane, and reserve from one another.
    pub fn subject(&self) -> String {
        // A trade is about two wallets, and an order's end about the trades before it, as is what they draw on.
        let of_trade = matches!(self, Operation::Trade(_)) || self.is_for_trade();
        let wallet = if of_trade { None } else { self.wallet() };
        match (self.instrument(), wallet) {
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
            | Operation::PlaceHold { amount, .. }
            | Operation::ForcedTransfer { amount, .. }
            | Operation::ForcedBurn { amount, .. }
            | Operation::Recover { amount, .. } => *amount,
            // It is put under a hold.
            Operation::Payout(Payout::RequestRedemption { redemption, .. }) => redemption.quantity,
            _ => U256::ZERO,
        }
    }

    /// Must two requests on one subject see each other before either is accepted? So where one takes what the other
    /// counts on.
    pub fn is_serialised(&self) -> bool {
        let alone =
            matches!(self, Operation::Unfreeze { .. } | Operation::ExecuteHold { .. } | Operation::Recover { .. });
        alone || !self.reserves().is_zero()
    }

    /// May it change places with others of its subject that may too? Intake has seen to it that mints and burns can run;
    /// of trades whoever matched them, once the allowances before them are there.
    pub fn commutes(&self) -> bool {
        match self {
            Operation::Mint { .. } | Operation::MintLocked { .. } | Operation::Burn { .. } => true,
            Operation::Trade(trade) => trade.is_trade(),
            Operation::Consent(_) => self.is_for_trade(),
            _ => false,
        }
    }

    /// Is it an allowance that trades draw on? It goes before those that were accepted after it, and who gives it hinders
    /// nobody else's.
    fn is_for_trade(&self) -> bool {
        matches!(self, Operation::Consent(consent) if consent.is_for_trade())
    }

    /// Hash of the canonical command: operation, instrument, wallets, base units, and the reason where it must be
    /// given. Never changes for a stored row, so a field added later must leave old commands' hashes alone.
    pub fn fingerprint(&self) -> B256 {
        if let Operation::DeployToken { .. }
        | Operation::Sale(_)
        | Operation::Payout(_)
        | Operation::Trade(_)
        | Operation::Consent(_) = self
        {
            return canonical::hash(self);
        }
        let mut parts = vec![self.kind().to_owned()];
        parts.extend(self.instrument().map(|id| id.as_str().to_owned()));
        parts.extend(self.wallet().map(|wallet| format!("{wallet:#x}")));
        parts.extend(self.amount().map(|amount| amount.to_string()));
        match self {
            Operation::ForcedTransfer { to, reason, reference, .. } => {
                parts.extend([format!("{to:#x}"), reason.to_string()]);
                // Of text that may hold anything, its hash.
                parts.extend(reference.as_ref().map(|reference| keccak256(reference).to_string()));
            }
            Operation::FreezeAddress { everywhere: true, .. } | Operation::UnfreezeAddress { everywhere: true, .. } => {
                parts.push("everywhere".to_owned());
            }
            Operation::Recover { replacement, reason, .. } => {
                parts.extend([format!("{replacement:#x}"), reason.to_string()]);
            }
            Operation::ForcedBurn { reason, .. } => parts.push(reason.to_string()),
            Operation::MintLocked { lockup, until, .. } => {
                parts.extend([lockup.name().to_owned(), until.to_string()]);
            }
            Operation::PlaceHold { until, .. } => parts.push(until.to_string()),
            Operation::ReleaseHold { hold_id, .. } | Operation::ExecuteHold { hold_id, .. } => {
                parts.push(hold_id.to_string());
            }
            Operation::SetLimits { max_holders, max_balance, .. } => {
                parts.extend([max_holders.to_string(), max_balance.to_string()]);
            }
            // The same countries in another order are the same rule.
            Operation::SetCountryRule { mode, countries, .. } => {
                parts.push(mode.name().to_owned());
                parts.extend(countries.iter().collect::<BTreeSet<_>>().into_iter().map(u16::to_string));
            }
            Operation::SetDocument { name, uri, hash, .. } => {
                parts.extend([name.to_string(), keccak256(uri).to_string(), hash.to_string()]);
            }
            Operation::RemoveDocument { name, .. } => parts.push(name.to_string()),
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

impl Lockup {
    /// Its name in requests and rows.
    pub fn name(self) -> &'static str {
        match self {
            Lockup::RegD => "reg_d",
            Lockup::RegS => "reg_s",
        }
    }

    /// Its number on chain.
    pub fn kind(self) -> u8 {
        match self {
            Lockup::RegD => 2,
            Lockup::RegS => 3,
        }
    }
}

impl CountryMode {
    /// Its name in requests and rows.
    pub fn name(self) -> &'static str {
        match self {
            CountryMode::None => "none",
            CountryMode::Refuse => "refuse",
            CountryMode::Admit => "admit",
        }
    }

    /// Its number on chain.
    pub fn code(self) -> u8 {
        match self {
            CountryMode::None => 0,
            CountryMode::Refuse => 1,
            CountryMode::Admit => 2,
        }
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

    #[test]
    fn a_country_rule_is_its_set_of_countries() {
        let rule = |mode, countries: &[u16]| Operation::SetCountryRule {
            instrument: instrument("rCC"),
            mode,
            countries: countries.to_vec(),
            reason: B256::ZERO,
        };
        let admit = rule(CountryMode::Admit, &[276, 756]).fingerprint();
        assert_eq!(admit, rule(CountryMode::Admit, &[756, 276, 756]).fingerprint());
        assert_ne!(admit, rule(CountryMode::Refuse, &[276, 756]).fingerprint());
        assert_ne!(admit, rule(CountryMode::Admit, &[276]).fingerprint());
    }

    #[test]
    fn a_document_is_its_name_place_and_hash() {
        let document = |uri: &str| Operation::SetDocument {
            instrument: instrument("rCC"),
            name: B256::repeat_byte(1),
            uri: uri.to_owned(),
            hash: B256::repeat_byte(2),
        };
        assert_eq!(document("https://example.org/a").fingerprint(), document("https://example.org/a").fingerprint());
        assert_ne!(document("https://example.org/a").fingerprint(), document("https://example.org/b\n").fingerprint());
    }

    #[test]
    fn what_an_operation_takes_is_taken_from_the_wallet_it_is_about() {
        let lost = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
        let recover = Operation::Recover {
            instrument: instrument("rCC"),
            lost,
            replacement: Address::repeat_byte(9),
            amount: U256::from(7),
            reason: B256::ZERO,
        };
        assert_eq!((recover.wallet(), recover.receiver()), (Some(lost), Some(Address::repeat_byte(9))));
        assert_eq!((recover.reserves(), recover.subject()), (U256::from(7), mint(1, B256::ZERO).subject()));
    }
}
