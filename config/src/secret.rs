//! Secrets: shown as `[secret]`, read from files, decoded, and recognised when everybody knows them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

/// What is shown instead of a secret.
const SHOWN: &str = "[secret]";

pub(crate) fn redact<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if secret.expose_secret().is_empty() { "" } else { SHOWN })
}

#[allow(clippy::ref_option, reason = "the signature that serde asks for")]
pub(crate) fn redact_some<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| SHOWN).serialize(serializer)
}

pub(crate) fn redact_all<S: Serializer>(secrets: &[SecretString], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(secrets.iter().map(|_| SHOWN))
}

/// The 32 bytes of a key written in hexadecimal (with or without `0x`) or in base64; `None` for anything else.
#[must_use]
pub fn key_bytes(secret: &SecretString) -> Option<Zeroizing<[u8; 32]>> {
    let text = secret.expose_secret();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut key = Zeroizing::new([0; 32]);
    if digits.len() == 64 {
        alloy::hex::decode_to_slice(digits, key.as_mut()).ok()?;
        return Some(key);
    }
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    if bytes.len() != 32 {
        return None;
    }
    key.copy_from_slice(&bytes);
    Some(key)
}

/// Private keys of the accounts that every development node funds (`test test … junk`). Worthless by being known.
const DEV_KEYS: [&str; 10] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
];

/// Is this the private key of an account that every development node funds? Also for keys out of a keystore.
#[must_use]
pub fn is_dev_key(key: &[u8; 32]) -> bool {
    let digits = Zeroizing::new(alloy::hex::encode(key));
    DEV_KEYS.contains(&digits.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_in_hexadecimal_or_base64() {
        let hexadecimal = "11".repeat(32);
        let base64 = STANDARD.encode([0x11; 32]);
        for text in [hexadecimal.clone(), format!("0x{hexadecimal}"), base64] {
            assert_eq!(key_bytes(&text.clone().into()).as_deref(), Some(&[0x11; 32]), "{text}");
        }
        for text in ["", "0x", "11", &"zz".repeat(32), &STANDARD.encode([0x11; 31])] {
            assert!(key_bytes(&SecretString::from(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn keys_that_everybody_knows_are_recognised() {
        for text in DEV_KEYS {
            assert!(is_dev_key(&key_bytes(&text.into()).unwrap()));
        }
        assert!(!is_dev_key(&[0x11; 32]));
    }
}
