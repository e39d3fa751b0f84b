//! Return data of a failed call → a reason, and a sentence with the values that caused it.

use alloy::hex;
use alloy::sol_types::{Panic, SolError, SolInterface};

use super::ReasonCode;
use crate::bindings::BlockableUSD::BlockableUSDErrors;
use crate::bindings::Executor::ExecutorErrors;
use crate::bindings::InvestorRegistry::InvestorRegistryErrors;
use crate::bindings::NodeFactory::NodeFactoryErrors;
use crate::bindings::PlainUSD::PlainUSDErrors;
use crate::bindings::SecurityToken::SecurityTokenErrors;

mod node;

/// `Error(string)`, Solidity's own.
const ERROR_STRING: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// How much of an unknown error's data a message repeats, in bytes.
const SHOWN: usize = 36;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert {
    /// The reason.
    pub code: ReasonCode,
    /// One sentence with the values. Amounts are in base units: the call's data does not say the token's decimals.
    pub message: String,
}

/// Reads the return data of a failed call, whole or cut to the 256 bytes that the Executor keeps. Never fails: data
/// that nothing here knows is shown in hexadecimal.
#[must_use]
pub fn decode_revert(data: &[u8]) -> Revert {
    let Some((selector, body)) = data.split_first_chunk::<4>() else {
        return Revert::plain(ReasonCode::NoReason);
    };
    if *selector == ERROR_STRING {
        return Revert { code: ReasonCode::ContractRefused, message: error_string(body) };
    }
    if let Ok(panic) = Panic::abi_decode(data) {
        return Revert { code: ReasonCode::ContractPanic, message: format!("contract panic: {panic}") };
    }
    token(data)
        .or_else(|| registry(data))
        .or_else(|| executor(data))
        .or_else(|| factory(data))
        .or_else(|| payment_token(data))
        .or_else(|| node::decode(data))
        .unwrap_or_else(|| unknown(*selector, data))
}

impl Revert {
    /// A code with its own sentence.
    fn plain(code: ReasonCode) -> Self {
        Self { code, message: code.message().to_owned() }
    }

    fn new(code: ReasonCode, detail: impl std::fmt::Display) -> Self {
        Self { code, message: format!("{}: {detail}", code.message()) }
    }
}

fn token(data: &[u8]) -> Option<Revert> {
    use SecurityTokenErrors as E;
    Some(match SecurityTokenErrors::abi_decode(data).ok()? {
        E::TransferRestricted(e) => match ReasonCode::from_restriction(e.code) {
            Some(code) => Revert::new(code, format_args!("{} from {} to {}", e.amount, e.from, e.to)),
            None => Revert::new(ReasonCode::TransferNotAllowed, format_args!("restriction code {}", e.code)),
        },
        E::ERC20InsufficientBalance(e) => Revert::new(
            ReasonCode::InsufficientBalance,
            format_args!("{} has {} of {} needed", e.sender, e.balance, e.needed),
        ),
        E::ERC20InsufficientAllowance(e) => Revert::new(
            ReasonCode::AllowanceTooSmall,
            format_args!("{} may take {} of {} needed", e.spender, e.allowance, e.needed),
        ),
        E::ERC2612ExpiredSignature(e) => {
            Revert::new(ReasonCode::IntentExpired, format_args!("at second {}", e.deadline))
        }
        E::ERC2612InvalidSigner(e) => Revert::new(ReasonCode::InvalidSignature, e.owner),
        E::ERC7943InsufficientUnfrozenBalance(e) => Revert::new(
            ReasonCode::AmountFrozen,
            format_args!("{} has {} unfrozen of {} needed", e.account, e.unfrozen, e.amount),
        ),
        E::ERC7943CannotTransfer(e) => {
            Revert::new(ReasonCode::TransferNotAllowed, format_args!("{} from {} to {}", e.amount, e.from, e.to))
        }
        E::ERC7943CannotSend(e) => {
            Revert::new(ReasonCode::TransferNotAllowed, format_args!("{} cannot send", e.account))
        }
        E::ERC7943CannotReceive(e) => {
            Revert::new(ReasonCode::TransferNotAllowed, format_args!("{} cannot receive", e.account))
        }
        E::SelfTransfer(e) => Revert::new(ReasonCode::SelfTransfer, e.account),
        E::ERC20InvalidReceiver(e) => Revert::new(ReasonCode::InvalidWallet, e.receiver),
        E::ERC20InvalidSender(e) => Revert::new(ReasonCode::InvalidWallet, e.sender),
        E::AccessControlUnauthorizedAccount(e) => {
            Revert::new(ReasonCode::RoleMissing, format_args!("{} lacks role {}", e.account, e.neededRole))
        }
        E::InvalidHoldKind(e) => Revert::new(ReasonCode::InvalidHold, format_args!("kind {} is no lockup's", e.kind)),
        E::InvalidHoldAmount(e) => Revert::new(ReasonCode::InvalidHold, format_args!("amount {}", e.amount)),
        E::InvalidUntil(e) => {
            Revert::new(ReasonCode::InvalidHold, format_args!("second {} does not lie in the future", e.until))
        }
        E::UnknownHold(e) => Revert::new(ReasonCode::UnknownHold, format_args!("{} of {}", e.holdId, e.account)),
        E::NotHoldAgent(e) => {
            Revert::new(ReasonCode::NotHoldAgent, format_args!("{} of {} is not {}'s", e.holdId, e.account, e.caller))
        }
        E::HoldExpired(e) => Revert::new(ReasonCode::HoldExpired, format_args!("{} of {}", e.holdId, e.account)),
        E::TooManyHolds(e) => Revert::new(ReasonCode::TooManyHolds, e.account),
        E::WalletNotRevoked(e) => Revert::new(ReasonCode::WalletNotRevoked, e.lost),
        E::NotSameInvestor(e) => {
            Revert::new(ReasonCode::NotSameInvestor, format_args!("{} and {}", e.lost, e.replacement))
        }
        E::RecoveryAmount(e) => {
            Revert::new(ReasonCode::RecoveryAmount, format_args!("{} expected, {} given", e.expected, e.given))
        }
        E::InvalidCountryRule(e) => Revert::new(ReasonCode::InvalidCountryRule, format_args!("mode {}", e.mode)),
        E::InvalidDocument(e) => Revert::new(ReasonCode::InvalidDocument, format_args!("{} has no hash", e.name)),
        E::UnknownDocument(e) => Revert::new(ReasonCode::UnknownDocument, e.name),
        E::LengthMismatch(_) => Revert::plain(ReasonCode::LengthMismatch),
        E::StillHeld(e) => Revert::new(ReasonCode::StillHeld, format_args!("{} are left", e.totalSupply)),
        E::Retired(_) => Revert::plain(ReasonCode::TokenRetired),
        E::RentWithheld(e) => Revert::new(ReasonCode::RentWithheld, e.account),
        E::NoRentToMove(e) => Revert::new(ReasonCode::NothingToPay, format_args!("{} has earned none", e.account)),
        E::RentMinimumFixed(_) => Revert::plain(ReasonCode::RentMinimumFixed),
        E::NobodyEarns(_) => Revert::plain(ReasonCode::NobodyEarns),
        E::NotNextPeriod(e) => {
            Revert::new(ReasonCode::RentPeriod, format_args!("period {} asked, the next is {}", e.period, e.next))
        }
        E::InvalidDecimals(_) | E::InvalidMaxSupply(_) | E::InvalidRegistry(_) => {
            named(E::name_by_selector, ReasonCode::InvalidInstrument, data)
        }
        _ => named(E::name_by_selector, ReasonCode::ContractRefused, data),
    })
}

fn registry(data: &[u8]) -> Option<Revert> {
    use InvestorRegistryErrors as E;
    Some(match InvestorRegistryErrors::abi_decode(data).ok()? {
        E::WalletBelongsTo(e) => Revert::new(
            ReasonCode::WalletBelongsToOther,
            format_args!("{} belongs to investor {}", e.wallet, e.investorId),
        ),
        E::UnknownWallet(e) => Revert::new(ReasonCode::UnknownWallet, e.wallet),
        E::InvalidWallet(_) => Revert::plain(ReasonCode::InvalidWallet),
        E::InvalidInvestorId(_) => Revert::new(ReasonCode::InvalidInvestor, "investor id is zero"),
        _ => named(E::name_by_selector, ReasonCode::ContractRefused, data),
    })
}

fn executor(data: &[u8]) -> Option<Revert> {
    use ExecutorErrors as E;
    Some(match ExecutorErrors::abi_decode(data).ok()? {
        E::NotAllowed(e) => {
            Revert::new(ReasonCode::ActionNotAllowed, format_args!("selector {} of {}", e.selector, e.target))
        }
        E::DailyLimitExceeded(e) => Revert::new(
            ReasonCode::DailyLimitExceeded,
            format_args!("{} used of {}, {} asked", e.used, e.limit, e.amount),
        ),
        E::IsStopped(_) => Revert::plain(ReasonCode::ExecutorStopped),
        E::NoGas(_) | E::DataTooShort(_) => named(E::name_by_selector, ReasonCode::CommandMalformed, data),
        _ => named(E::name_by_selector, ReasonCode::ContractRefused, data),
    })
}

fn factory(data: &[u8]) -> Option<Revert> {
    use NodeFactoryErrors as E;
    Some(match NodeFactoryErrors::abi_decode(data).ok()? {
        E::InstrumentExists(e) => {
            Revert::new(ReasonCode::InstrumentExists, format_args!("{:?} at {}", e.instrumentId, e.token))
        }
        E::InvalidInstrumentId(e) => {
            Revert::new(ReasonCode::InvalidInstrument, format_args!("id {:?}", e.instrumentId))
        }
        E::NotNodeOperator(e) => Revert::new(ReasonCode::RoleMissing, e.account),
        _ => named(E::name_by_selector, ReasonCode::ContractRefused, data),
    })
}

fn payment_token(data: &[u8]) -> Option<Revert> {
    let name = if BlockableUSDErrors::abi_decode(data).is_ok() {
        BlockableUSDErrors::name_by_selector
    } else {
        PlainUSDErrors::abi_decode(data).ok()?;
        PlainUSDErrors::name_by_selector
    };
    Some(named(name, ReasonCode::ContractRefused, data))
}

/// A known error that needs no sentence of its own: its name.
fn named(name: fn([u8; 4]) -> Option<&'static str>, code: ReasonCode, data: &[u8]) -> Revert {
    let selector = data.first_chunk::<4>().copied().unwrap_or_default();
    match name(selector) {
        Some(name) => Revert::new(code, name),
        None => unknown(selector, data),
    }
}

fn unknown(selector: [u8; 4], data: &[u8]) -> Revert {
    let shown = &data[..data.len().min(SHOWN)];
    let rest = if shown.len() < data.len() { "…" } else { "" };
    Revert::new(
        ReasonCode::ContractRefused,
        format_args!("unknown error {} ({}{rest})", hex::encode_prefixed(selector), hex::encode_prefixed(shown)),
    )
}

/// The text of an `Error(string)`, as far as it was kept; control characters are dropped.
fn error_string(body: &[u8]) -> String {
    // Offset word, length word, text. The length may be more than what was kept, so it only bounds.
    let length = body.get(56..64).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
    let text = body.get(64..).unwrap_or_default();
    let text = &text[..usize::try_from(length).unwrap_or(usize::MAX).min(text.len())];
    let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() { ReasonCode::ContractRefused.message().to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, U256};
    use alloy::sol_types::{Revert as ErrorString, SolError};
    use proptest::prelude::*;

    use super::*;
    use crate::bindings::{Executor, SecurityToken};

    proptest! {
        #[test]
        fn no_return_data_can_break_the_decoder(data in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(!decode_revert(&data).message.is_empty());
        }

        #[test]
        fn an_error_string_is_read_whole_or_cut(text in "[ -~]{1,400}", kept in 68usize..300) {
            let data = ErrorString::from(text.clone()).abi_encode();
            let whole = decode_revert(&data);
            prop_assert_eq!(&whole.message, &text);
            let cut = decode_revert(&data[..kept.min(data.len())]);
            prop_assert!(text.starts_with(&cut.message) || cut.message == ReasonCode::ContractRefused.message());
        }
    }

    #[test]
    fn a_restriction_names_its_code_and_values() {
        let data = SecurityToken::TransferRestricted {
            from: Address::ZERO,
            to: Address::repeat_byte(1),
            amount: U256::from(5),
            code: 21,
        }
        .abi_encode();
        let revert = decode_revert(&data);
        assert_eq!(revert.code, ReasonCode::RecipientNotWhitelisted);
        assert!(revert.message.contains("0x0101010101010101010101010101010101010101"), "{}", revert.message);
    }

    #[test]
    fn an_error_without_a_sentence_is_named() {
        let data = SecurityToken::InvalidDecimals { decimals: 19 }.abi_encode();
        let revert = decode_revert(&data);
        assert_eq!(revert.code, ReasonCode::InvalidInstrument);
        assert!(revert.message.ends_with("InvalidDecimals"), "{}", revert.message);
    }

    #[test]
    fn refusals_of_the_executor_are_told_apart() {
        let limit = Executor::DailyLimitExceeded { limit: U256::from(9), used: U256::from(8), amount: U256::from(2) };
        assert_eq!(decode_revert(&limit.abi_encode()).code, ReasonCode::DailyLimitExceeded);
        assert_eq!(decode_revert(&Executor::NoGas {}.abi_encode()).code, ReasonCode::CommandMalformed);
    }

    #[test]
    fn nothing_and_the_unknown_are_reasons_too() {
        assert_eq!(decode_revert(&[]).code, ReasonCode::NoReason);
        let unknown = decode_revert(&[0xde, 0xad, 0xbe, 0xef, 1]);
        assert_eq!(unknown.code, ReasonCode::ContractRefused);
        assert!(unknown.message.contains("0xdeadbeef01"), "{}", unknown.message);
    }

    #[test]
    fn every_restriction_code_and_name_is_unique() {
        for (i, a) in ReasonCode::ALL.iter().enumerate() {
            assert_eq!(a.as_str().parse(), Ok(*a));
            for b in &ReasonCode::ALL[i + 1..] {
                assert_ne!(a.as_str(), b.as_str());
                assert!(a.restriction().is_none() || a.restriction() != b.restriction(), "{a} {b}");
            }
        }
    }
}
