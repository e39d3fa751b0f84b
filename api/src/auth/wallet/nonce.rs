//! Nonces that are kept nowhere: a random number, its end, and a mark that only we can make. Using one writes its number
//! among the tokens that are dead.

use hmac::digest::InvalidLength;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::auth::secret_bytes;
use crate::error::ApiError;

/// Keeps the key apart from the one that signs access tokens.
const PURPOSE: &[u8] = b"tokenx wallet nonce v1";
/// How long one is good: as long as it takes to find the wallet and read what it shows.
const LIFE: Duration = Duration::minutes(5);
/// Bytes: number, end, mark.
const LENGTHS: (usize, usize, usize) = (16, 8, 16);

/// A nonce of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonce {
    /// What is written down when it is used.
    pub id: Uuid,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
}

/// Makes and knows nonces.
#[derive(Clone)]
pub(crate) struct Nonces {
    key: Hmac<Sha256>,
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonces(..)")
    }
}

impl Nonces {
    /// By the secret of the access tokens, for a purpose of its own.
    ///
    /// # Errors
    /// Never for a key of any length.
    pub(crate) fn new(secret: &SecretString) -> Result<Nonces, InvalidLength> {
        let derived = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())?.chain_update(PURPOSE);
        Ok(Nonces { key: Hmac::<Sha256>::new_from_slice(&derived.finalize().into_bytes())? })
    }

    /// A new one, letters and digits only, and when it ends.
    ///
    /// # Errors
    /// Only for want of randomness.
    pub(crate) fn issue(&self, now: OffsetDateTime) -> Result<(String, OffsetDateTime), ApiError> {
        let expires_at =
            OffsetDateTime::from_unix_timestamp((now + LIFE).unix_timestamp()).map_err(ApiError::internal)?;
        let mut bytes = secret_bytes()?[..LENGTHS.0].to_vec();
        bytes.extend(expires_at.unix_timestamp().to_be_bytes());
        let mark = self.key.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend(&mark[..LENGTHS.2]);
        Ok((hex::encode(bytes), expires_at))
    }

    /// The nonce of a text; `None` of one that is not ours or has ended.
    pub(crate) fn read(&self, text: &str, now: OffsetDateTime) -> Option<Nonce> {
        let bytes = hex::decode(text).ok().filter(|bytes| bytes.len() == LENGTHS.0 + LENGTHS.1 + LENGTHS.2)?;
        let (said, mark) = bytes.split_at(LENGTHS.0 + LENGTHS.1);
        self.key.clone().chain_update(said).verify_truncated_left(mark).ok()?;
        let (id, end) = said.split_at(LENGTHS.0);
        let expires_at = OffsetDateTime::from_unix_timestamp(i64::from_be_bytes(end.try_into().ok()?)).ok()?;
        (expires_at > now).then_some(Nonce { id: Uuid::from_slice(id).ok()?, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(secret: &str) -> Nonces {
        Nonces::new(&secret.to_owned().into()).unwrap()
    }

    #[test]
    fn a_nonce_is_ours_whole_and_for_five_minutes() {
        let (ours, now) = (nonces("one secret"), OffsetDateTime::now_utc());
        let (text, expires_at) = ours.issue(now).unwrap();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let nonce = ours.read(&text, now).unwrap();
        assert_eq!(nonce.expires_at, expires_at);
        assert_ne!(ours.read(&ours.issue(now).unwrap().0, now).unwrap().id, nonce.id);
        assert_eq!(ours.read(&text, expires_at), None);
        assert_eq!(nonces("another secret").read(&text, now), None);
        for place in 0..text.len() {
            let mut other = text.clone();
            let digit = if &text[place..=place] == "0" { "1" } else { "0" };
            other.replace_range(place..=place, digit);
            assert_eq!(ours.read(&other, now), None, "digit {place}");
        }
        assert_eq!(ours.read(&text[2..], now), None);
        assert_eq!(ours.read("", now), None);
    }
}
