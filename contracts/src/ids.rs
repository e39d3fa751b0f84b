//! Names of things: commands and their scopes, instruments, parties. Parsed once, at the edge.

use std::fmt;
use std::str::FromStr;

use alloy::primitives::{Address, B256, keccak256};
use serde::Serialize;

/// Longest command id that the chain carries as text: 31 bytes, and the last byte says how many.
const SHORT: usize = 31;
/// Last byte of an on-chain id that is a hash.
const HASHED: u8 = 0xff;

/// Why a text is no id. Messages say what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Not a command id.
    #[error("{0:?} is not a command id: use 1 to 128 printable ascii characters without spaces")]
    Command(String),
    /// Not an instrument id.
    #[error("{0:?} is not an instrument id: use 1 to 32 of letters, digits, dot, underscore and hyphen")]
    Instrument(String),
    /// Not a party id.
    #[error("{0:?} is not a party id: use 1 to 128 printable characters, no space at either end")]
    Party(String),
    /// A party id that could be taken for a wallet.
    #[error("{0:?} looks like an address: choose another party id")]
    PartyLooksLikeAddress(String),
    /// Not a scope.
    #[error("{0:?} is not a scope: use ops, issuer:<id>, party:<id> or system")]
    Scope(String),
}

/// A text id that keeps its own rule.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Reads and checks it.
            ///
            /// # Errors
            /// What is allowed instead.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                let check: fn(&str) -> Result<(), fn(String) -> IdError> = $check;
                match check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(refusal) => Err(refusal(text.chars().take(140).collect())),
                }
            }

            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Its text, owned.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
    };
}

text_id! {
    /// A client's name for a command: 1–128 printable ASCII characters without spaces, unique within a [`Scope`].
    CommandId,
    |text| {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then_some(()).ok_or(IdError::Command as fn(String) -> IdError)
    }
}

text_id! {
    /// A deployed token's name, unique per deployment: 1–32 of `[A-Za-z0-9._-]`.
    InstrumentId,
    |text| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(allowed);
        fits.then_some(()).ok_or(IdError::Instrument as fn(String) -> IdError)
    }
}

text_id! {
    /// A party's name, unique and immutable: 1–128 printable characters (ASCII, or letters and digits of any script;
    /// spaces inside only) that nobody can take for an address.
    PartyId,
    |text| {
        let printable = |c: char| c.is_ascii_graphic() || c == ' ' || (!c.is_ascii() && c.is_alphanumeric());
        let fits = (1..=128).contains(&text.chars().count())
            && text.chars().all(printable)
            && text.trim() == text;
        if !fits {
            Err(IdError::Party as fn(String) -> IdError)
        } else if looks_like_address(text) {
            Err(IdError::PartyLooksLikeAddress)
        } else {
            Ok(())
        }
    }
}

/// 40 hexadecimal digits, with or without a `0x` of either case.
fn looks_like_address(text: &str) -> bool {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a text that names a party or a wallet means: `0x` and 40 hexadecimal digits are a wallet, all else a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A wallet, by its address. Any case is read; a checksum is not required.
    Wallet(Address),
    /// A party, by its id.
    Party(PartyId),
}

impl FromStr for Holder {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if looks_like_address(text)
            && let Some(digits) = text.get(2..).filter(|digits| digits.len() == 40)
            && let Ok(address) = digits.parse::<Address>()
        {
            return Ok(Self::Wallet(address));
        }
        PartyId::parse(text).map(Self::Party)
    }
}

/// Where a command id is unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Operations: the Token App surface and `/tokenization/*` share it.
    Ops,
    /// One issuer's.
    Issuer(String),
    /// One party's.
    Party(PartyId),
    /// Commands that tokenx derives itself; no client can write it.
    System,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ops => f.write_str("ops"),
            Self::Issuer(id) => write!(f, "issuer:{id}"),
            Self::Party(id) => write!(f, "party:{id}"),
            Self::System => f.write_str("system"),
        }
    }
}

impl FromStr for Scope {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once(':') {
            None if text == "ops" => Ok(Self::Ops),
            None if text == "system" => Ok(Self::System),
            Some(("issuer", id)) if !id.is_empty() => Ok(Self::Issuer(id.to_owned())),
            Some(("party", id)) => PartyId::parse(id).map(Self::Party),
            _ => Err(IdError::Scope(text.to_owned())),
        }
    }
}

/// The word by which the chain knows a command: in `ops` and up to 31 bytes, the id itself with its length in the
/// last byte; else keccak256(scope ‖ 0x00 ‖ id) with 0xff as its last byte.
#[must_use]
pub fn onchain_id(scope: &Scope, id: &CommandId) -> B256 {
    let text = id.as_str().as_bytes();
    match u8::try_from(text.len()) {
        Ok(length) if *scope == Scope::Ops && text.len() <= SHORT => {
            let mut word = B256::right_padding_from(text);
            word[SHORT] = length;
            word
        }
        _ => {
            let mut word = keccak256([scope.to_string().as_bytes(), &[0], text].concat());
            word[SHORT] = HASHED;
            word
        }
    }
}

/// The command id that an on-chain id spells out; `None` for a hashed one, and for words that no id encodes to.
#[must_use]
pub fn readable(word: B256) -> Option<String> {
    let length = usize::from(word[SHORT]);
    let text = word.get(..length).filter(|_| (1..=SHORT).contains(&length))?;
    let rest_is_empty = word[length..SHORT].iter().all(|&byte| byte == 0);
    let printable = text.iter().all(u8::is_ascii_graphic);
    (rest_is_empty && printable).then(|| text.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn command(text: &str) -> CommandId {
        CommandId::parse(text).unwrap()
    }

    proptest! {
        #[test]
        fn a_short_id_in_ops_is_readable_on_chain(text in "[!-~]{1,31}") {
            prop_assert_eq!(readable(onchain_id(&Scope::Ops, &command(&text))), Some(text));
        }

        #[test]
        fn a_long_id_or_another_scope_is_a_hash(text in "[!-~]{1,128}") {
            let id = command(&text);
            for scope in [Scope::System, Scope::Issuer("1".into())] {
                prop_assert_eq!(onchain_id(&scope, &id)[31], 0xff);
                prop_assert_eq!(readable(onchain_id(&scope, &id)), None);
            }
            prop_assert_eq!(readable(onchain_id(&Scope::Ops, &id)).is_some(), text.len() <= 31);
        }

        #[test]
        fn what_is_readable_encodes_back(bytes: [u8; 32]) {
            if let Some(text) = readable(B256::from(bytes)) {
                prop_assert_eq!(onchain_id(&Scope::Ops, &command(&text)), B256::from(bytes));
            }
        }

        #[test]
        fn no_text_can_break_the_parsers(text in "\\PC{0,200}") {
            let _ = (CommandId::parse(&*text), InstrumentId::parse(&*text), PartyId::parse(&*text));
            let _ = (text.parse::<Scope>(), text.parse::<Holder>());
        }
    }

    #[test]
    fn command_ids_are_1_to_128_printable_ascii_without_spaces() {
        for good in ["a", "mint-2025-01-01-001", &"x".repeat(128), "~!@#"] {
            assert!(CommandId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "a\n", "é", "a\u{7f}", &"x".repeat(129)] {
            assert!(CommandId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn instrument_ids_keep_their_alphabet() {
        assert!(InstrumentId::parse("rCC.v2_B-1").is_ok());
        for bad in ["", "r CC", "rCC/2", "é", &"x".repeat(33)] {
            assert!(InstrumentId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_party_id_cannot_look_like_an_address() {
        assert!(PartyId::parse("alice::122...").is_ok());
        assert!(PartyId::parse("Zoë Müller 3").is_ok());
        let digits = "52908400098527886E0F7030069857D2E4169EE7";
        for bad in [format!("0x{digits}"), format!("0X{digits}"), digits.to_owned()] {
            assert!(matches!(PartyId::parse(&*bad), Err(IdError::PartyLooksLikeAddress(_))), "{bad}");
        }
        for bad in ["", " a", "a ", "a\tb", "a\u{200b}b", "a\u{202e}b", &"x".repeat(129)] {
            assert!(PartyId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_holder_is_a_wallet_or_a_party() {
        let address = "0x52908400098527886E0F7030069857D2E4169EE7";
        assert_eq!(address.parse(), Ok(Holder::Wallet(address.parse().unwrap())));
        assert_eq!(address.to_lowercase().parse(), Ok(Holder::Wallet(address.parse().unwrap())));
        assert_eq!("bob".parse(), Ok(Holder::Party(PartyId::parse("bob").unwrap())));
        assert!(address[2..].parse::<Holder>().is_err());
    }

    #[test]
    fn a_scope_reads_what_it_shows() {
        let party = Scope::Party(PartyId::parse("alice::122...").unwrap());
        for scope in [Scope::Ops, Scope::System, Scope::Issuer("7".into()), party] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for bad in ["", "OPS", "issuer:", "party:", "node:1"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }
}
