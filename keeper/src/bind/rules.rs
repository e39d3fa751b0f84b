//! Calls that set what an instrument allows, and its documents.

use alloy::primitives::{B256, U256, Uint};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::SecurityToken;

use super::Case;
use crate::operation::CountryMode;
use crate::refusal::{Field, Refusal};

/// Countries that a rule can name: ISO 3166-1 numeric below this.
const COUNTRIES: u16 = 1_024;
/// Bytes of a document's address.
const MAX_URI: usize = 2_048;

pub(super) fn limits(case: &Case<'_>, max_holders: u32, max_balance: U256, reason: B256) -> Result<Vec<u8>, Refusal> {
    if max_balance.bit_len() > 104 {
        let message = format!("{} is more than a wallet can hold", case.tokens(max_balance));
        return Err(Refusal::with(ReasonCode::BalanceLimit, Field::Amount, message));
    }
    let most = Uint::<104, 2>::saturating_from(max_balance);
    Ok(SecurityToken::setLimitsCall { maxHolders: max_holders, maxBalance: most, reason }.abi_encode())
}

pub(super) fn countries(mode: CountryMode, countries: &[u16], reason: B256) -> Result<Vec<u8>, Refusal> {
    let wrong = |message: String| Refusal::with(ReasonCode::InvalidCountryRule, Field::Countries, message);
    if mode == CountryMode::None && !countries.is_empty() {
        return Err(wrong("no rule has no countries: leave them out, or choose refuse or admit".to_owned()));
    }
    // Country n is bit n mod 256 of word n / 256.
    let mut words = [U256::ZERO; 4];
    for country in countries {
        if *country >= COUNTRIES {
            return Err(wrong(format!("{country} is no ISO 3166-1 numeric code")));
        }
        words[usize::from(country / 256)].set_bit(usize::from(country % 256), true);
    }
    Ok(SecurityToken::setCountryRuleCall { mode: mode.code(), countries: words, reason }.abi_encode())
}

pub(super) fn set_document(name: B256, uri: &str, hash: B256) -> Result<Vec<u8>, Refusal> {
    let wrong = |message: String| Err(Refusal::with(ReasonCode::InvalidDocument, Field::Document, message));
    if name.is_zero() || hash.is_zero() {
        return wrong("a document needs a name and the hash of its content".to_owned());
    }
    if uri.len() > MAX_URI {
        return wrong(format!("the document's address has {} bytes: use up to {MAX_URI}", uri.len()));
    }
    Ok(SecurityToken::setDocumentCall { name, uri: uri.to_owned(), hash }.abi_encode())
}

pub(super) fn remove_document(case: &Case<'_>, name: B256) -> Result<Vec<u8>, Refusal> {
    if !case.facts.has_document {
        let message = format!("the token has no document {name}");
        return Err(Refusal::with(ReasonCode::UnknownDocument, Field::Document, message));
    }
    Ok(SecurityToken::removeDocumentCall { name }.abi_encode())
}
