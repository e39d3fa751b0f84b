//! Who sent a webhook: an HMAC over its bytes as they came, compared in constant time.

use axum::http::{HeaderMap, HeaderName};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Sha256, Sha512};

/// The header that carries the digest, in hexadecimal.
pub const DIGEST: HeaderName = HeaderName::from_static("x-payload-digest");
/// The header that says how it is made; SHA-256 where absent.
pub const ALGORITHM: HeaderName = HeaderName::from_static("x-payload-digest-alg");
/// The value of [`ALGORITHM`] that senders of ours use.
pub const SHA256: &str = "HMAC_SHA256_HEX";
const SHA512: &str = "HMAC_SHA512_HEX";

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// No digest, or one that is none.
    #[error("send x-payload-digest: hexadecimal, once")]
    Missing,
    /// An algorithm that is unknown, or too weak.
    #[error("x-payload-digest-alg is none of HMAC_SHA256_HEX and HMAC_SHA512_HEX")]
    Algorithm,
    /// The digest is not the body's.
    #[error("the digest is not this body's under the webhook's secret")]
    Forged,
}

/// Checks the digest that a webhook's headers carry.
///
/// # Errors
/// Why it is not believed.
pub fn check(secret: &SecretString, headers: &HeaderMap, body: &[u8]) -> Result<(), Doubt> {
    let mut sent = headers.get_all(DIGEST).iter();
    let (Some(digest), None) = (sent.next(), sent.next()) else { return Err(Doubt::Missing) };
    let digest = hex::decode(digest.as_bytes()).map_err(|_| Doubt::Missing)?;
    let algorithm = headers.get(ALGORITHM).map_or(SHA256.as_bytes(), |value| value.as_bytes());
    let genuine = match algorithm {
        name if name == SHA256.as_bytes() => keyed::<Hmac<Sha256>>(secret, body)?.verify_slice(&digest).is_ok(),
        name if name == SHA512.as_bytes() => keyed::<Hmac<Sha512>>(secret, body)?.verify_slice(&digest).is_ok(),
        _ => return Err(Doubt::Algorithm),
    };
    if genuine { Ok(()) } else { Err(Doubt::Forged) }
}

/// The digest of a body, for whoever sends one.
pub(crate) fn sign(secret: &SecretString, body: &[u8]) -> Option<String> {
    Some(hex::encode(keyed::<Hmac<Sha256>>(secret, body).ok()?.finalize().into_bytes()))
}

fn keyed<M: Mac + KeyInit>(secret: &SecretString, body: &[u8]) -> Result<M, Doubt> {
    let mut mac = <M as KeyInit>::new_from_slice(secret.expose_secret().as_bytes()).map_err(|_| Doubt::Forged)?;
    mac.update(body);
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(digest: &str, algorithm: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(DIGEST, HeaderValue::from_str(digest).unwrap());
        if let Some(algorithm) = algorithm {
            headers.insert(ALGORITHM, HeaderValue::from_str(algorithm).unwrap());
        }
        headers
    }

    /// RFC 4231, test case 2.
    const BODY: &[u8] = b"what do ya want for nothing?";
    const OF_256: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const OF_512: &str = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
                          caeab1a34d4a6b4b636e070a38bce737";

    #[test]
    fn the_published_digests_are_believed_and_no_others() {
        let secret = SecretString::from("Jefe");
        for algorithm in [None, Some(SHA256)] {
            assert_eq!(check(&secret, &headers(OF_256, algorithm), BODY), Ok(()));
        }
        assert_eq!(check(&secret, &headers(&OF_256.to_uppercase(), None), BODY), Ok(()));
        assert_eq!(check(&secret, &headers(OF_512, Some(SHA512)), BODY), Ok(()));
        assert_eq!(sign(&secret, BODY).as_deref(), Some(OF_256));
        let forged = [
            check(&secret, &headers(OF_256, None), b"what do ya want for nothing!"),
            check(&SecretString::from("jefe"), &headers(OF_256, None), BODY),
            check(&secret, &headers(&OF_256[..62], None), BODY),
            check(&secret, &headers("", None), BODY),
            check(&secret, &headers(OF_256, Some(SHA512)), BODY),
        ];
        assert_eq!(forged, [Err(Doubt::Forged); 5]);
    }

    #[test]
    fn what_is_no_digest_is_named() {
        let secret = SecretString::from("Jefe");
        assert_eq!(check(&secret, &HeaderMap::new(), BODY), Err(Doubt::Missing));
        assert_eq!(check(&secret, &headers("xy", None), BODY), Err(Doubt::Missing));
        for weak in ["HMAC_SHA1_HEX", "none", "hmac_sha256_hex"] {
            assert_eq!(check(&secret, &headers(OF_256, Some(weak)), BODY), Err(Doubt::Algorithm));
        }
        let mut twice = headers(OF_256, None);
        twice.append(DIGEST, HeaderValue::from_static(OF_256));
        assert_eq!(check(&secret, &twice, BODY), Err(Doubt::Missing));
    }
}
