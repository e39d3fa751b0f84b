//! Links that open one file for some minutes: whoever was shown the link may follow it.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::store::ObjectName;

/// Keeps the key apart from the one that signs access tokens.
const PURPOSE: &[u8] = b"tokenx file link v1";
/// Links of one minute are one link: a page that is read twice shows the same.
const STEP: u64 = 60;

/// Signs links and checks them.
#[derive(Clone)]
pub struct Links {
    mac: Hmac<Sha256>,
    seconds: u64,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").field("seconds", &self.seconds).finish_non_exhaustive()
    }
}

/// What a link's signature is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It opens the file.
    Holds,
    /// It did.
    Expired,
    /// It is no signature of ours for this file.
    Forged,
}

impl Links {
    /// Links that live for so many seconds, signed with a key of their own out of `secret`.
    ///
    /// # Errors
    /// Never: HMAC takes a key of any length.
    pub fn new(secret: &SecretString, seconds: u64) -> Result<Links, hmac::digest::InvalidLength> {
        let mut derived = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())?;
        derived.update(PURPOSE);
        let mac = Hmac::<Sha256>::new_from_slice(&derived.finalize().into_bytes())?;
        Ok(Links { mac, seconds })
    }

    /// The query of a link to `name` at `now`, a Unix second. It lives as long as was said, less a minute at most.
    pub fn query(&self, name: ObjectName<'_>, now: u64) -> String {
        let expires = (now - now % STEP).saturating_add(self.seconds);
        let signature = hex::encode(self.sign(name, expires).finalize().into_bytes());
        format!("expires={expires}&signature={signature}")
    }

    /// Judges a link's signature.
    pub fn check(&self, name: ObjectName<'_>, expires: u64, signature: &str, now: u64) -> Verdict {
        let Ok(signature) = hex::decode(signature) else { return Verdict::Forged };
        match self.sign(name, expires).verify_slice(&signature) {
            Err(_) => Verdict::Forged,
            Ok(()) if expires <= now => Verdict::Expired,
            Ok(()) => Verdict::Holds,
        }
    }

    fn sign(&self, name: ObjectName<'_>, expires: u64) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(format!("{name}\n{expires}").as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_link_opens_its_file_until_it_ends_and_no_other() {
        let links = Links::new(&"a secret".to_owned().into(), 600).unwrap();
        let name = ObjectName { token_id: "67d8774e903bfcbe7eb5d93e", object_id: Uuid::from_u128(7), extension: "pdf" };
        let query = links.query(name, 1_000_030);
        let (expires, signature) = query.split_once("&signature=").unwrap();
        let expires: u64 = expires.trim_start_matches("expires=").parse().unwrap();
        assert!((1_000_570..=1_000_630).contains(&expires), "{expires}");
        assert_eq!(links.check(name, expires, signature, 1_000_030), Verdict::Holds);
        assert_eq!(links.check(name, expires, signature, expires), Verdict::Expired);
        assert_eq!(links.check(name, expires + 1, signature, 1_000_030), Verdict::Forged);
        let other = ObjectName { object_id: Uuid::from_u128(8), ..name };
        assert_eq!(links.check(other, expires, signature, 1_000_030), Verdict::Forged);
        let others = Links::new(&"another secret".to_owned().into(), 600).unwrap();
        assert_eq!(others.check(name, expires, signature, 1_000_030), Verdict::Forged);
        for forged in ["", "00", "x", &signature[..62]] {
            assert_eq!(links.check(name, expires, forged, 1_000_030), Verdict::Forged);
        }
    }
}
