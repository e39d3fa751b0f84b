//! Access tokens: JWTs signed with HS256 and nothing else, so that no header can choose the algorithm.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use tokenx_config::Auth as Settings;
use uuid::Uuid;

use super::{Subject, Viewer};
use crate::error::ApiError;
use crate::policy::Role;

/// `typ` of an access token (RFC 9068): no other JWT signed with the same key passes for one.
const TYPE: &str = "at+jwt";
/// Tolerated difference between two machines' clocks, in seconds.
const LEEWAY: u64 = 5;

/// The keys that sign and verify. The header's `kid` picks one of the ring, never an algorithm.
pub struct AccessKeys {
    signing: (String, EncodingKey),
    ring: Vec<(String, DecodingKey)>,
    validation: Validation,
    issuer: String,
    audience: String,
    ttl: Duration,
}

impl std::fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKeys").field("signing", &self.signing.0).finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The user.
    sub: Uuid,
    iat: i64,
    exp: i64,
    /// This token.
    jti: Uuid,
    /// The sign-in that it belongs to: what logout revokes.
    sid: Uuid,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    party_id: Option<String>,
}

/// What a token says of its bearer.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user's id.
    pub user_id: Uuid,
    /// The user's role.
    pub role: Role,
    /// The issuer, for an issuer's user.
    pub issuer_id: Option<Uuid>,
    /// The party, for an investor.
    pub party_id: Option<String>,
}

impl AccessKeys {
    /// Keys by the settings.
    pub fn new(settings: &Settings) -> AccessKeys {
        let secret = settings.jwt_secret.expose_secret().as_bytes();
        let id = key_id(secret);
        let ring = std::iter::once(&settings.jwt_secret).chain(&settings.previous_jwt_secrets);
        let verifies = |secret: &SecretString| {
            let secret = secret.expose_secret().as_bytes();
            (key_id(secret), DecodingKey::from_secret(secret))
        };
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&[&settings.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        AccessKeys {
            signing: (id, EncodingKey::from_secret(secret)),
            ring: ring.map(verifies).collect(),
            validation,
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            ttl: Duration::seconds(settings.access_ttl_seconds.try_into().unwrap_or(i64::MAX)),
        }
    }

    /// Seconds that a token lives.
    pub fn ttl_seconds(&self) -> i64 {
        self.ttl.whole_seconds()
    }

    /// Signs a token for a sign-in.
    ///
    /// # Errors
    /// Only for want of a working signer.
    pub fn issue(&self, identity: &Identity, family: Uuid, now: OffsetDateTime) -> Result<String, ApiError> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: identity.user_id,
            iat: now.unix_timestamp(),
            exp: (now + self.ttl).unix_timestamp(),
            jti: Uuid::new_v4(),
            sid: family,
            role: identity.role,
            issuer_id: identity.issuer_id,
            party_id: identity.party_id.clone(),
        };
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(self.signing.0.clone());
        jsonwebtoken::encode(&header, &claims, &self.signing.1).map_err(ApiError::internal)
    }

    /// Checks a token: its type, key, signature, issuer, audience and time.
    ///
    /// # Errors
    /// 401, saying expired where it is that, and nothing more otherwise.
    pub fn verify(&self, token: &str) -> Result<Viewer, ApiError> {
        const INVALID: ApiError = ApiError::Unauthenticated("the token is not valid");
        let header = jsonwebtoken::decode_header(token).map_err(|_| INVALID)?;
        if header.typ.as_deref() != Some(TYPE) || header.alg != Algorithm::HS256 {
            return Err(INVALID);
        }
        let kid = header.kid.ok_or(INVALID)?;
        let (_, key) = self.ring.iter().find(|(known, _)| *known == kid).ok_or(INVALID)?;
        let claims = match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
            Ok(data) => data.claims,
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                return Err(ApiError::Unauthenticated("the token has expired: refresh it"));
            }
            Err(_) => return Err(INVALID),
        };
        let expires_at = OffsetDateTime::from_unix_timestamp(claims.exp).map_err(|_| INVALID)?;
        Ok(Viewer {
            subject: Subject::User(claims.sub),
            role: claims.role,
            issuer_id: claims.issuer_id,
            party_id: claims.party_id,
            token_id: claims.sid,
            expires_at,
            suspended: false,
        })
    }
}

/// Names a key without telling it.
fn key_id(secret: &[u8]) -> String {
    hex::encode(&Sha256::new().chain_update(b"tokenx key id").chain_update(secret).finalize()[..6])
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "a secret of at least thirty-two bytes, for tests";

    fn settings() -> Settings {
        Settings { jwt_secret: SECRET.to_owned().into(), ..Settings::default() }
    }

    fn identity() -> Identity {
        Identity { user_id: Uuid::now_v7(), role: Role::Investor, issuer_id: None, party_id: Some("alice::1".into()) }
    }

    fn issue() -> (AccessKeys, String) {
        let keys = AccessKeys::new(&settings());
        let token = keys.issue(&identity(), Uuid::now_v7(), OffsetDateTime::now_utc()).unwrap();
        (keys, token)
    }

    /// The token with header and claims changed, signed again with the given secret.
    fn forged(token: &str, secret: &str, alg: Algorithm, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let part = |index: usize| -> Value {
            serde_json::from_slice(&B64.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
        };
        let (mut header, mut claims) = (part(0), part(1));
        change(&mut header, &mut claims);
        let signed = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
        let key = EncodingKey::from_secret(secret.as_bytes());
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, alg).unwrap();
        format!("{signed}.{signature}")
    }

    #[test]
    fn a_token_of_ours_tells_who_bears_it() {
        let (keys, token) = issue();
        let viewer = keys.verify(&token).unwrap();
        assert_eq!(viewer.role, Role::Investor);
        assert_eq!(viewer.party_id.as_deref(), Some("alice::1"));
        // The forging helper itself makes tokens that hold, so the refusals below mean something.
        assert!(keys.verify(&forged(&token, SECRET, Algorithm::HS256, |_, _| {})).is_ok());
    }

    #[test]
    fn a_token_that_is_wrong_in_any_way_is_refused() {
        let (keys, token) = issue();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let claim = |name: &'static str, value: Value| {
            forged(&token, SECRET, Algorithm::HS256, move |_, claims| claims[name] = value)
        };
        let without = |name: &'static str| {
            forged(&token, SECRET, Algorithm::HS256, move |_, claims| {
                claims.as_object_mut().unwrap().remove(name);
            })
        };
        let head = |name: &'static str, value: Value| {
            forged(&token, SECRET, Algorithm::HS256, move |header, _| header[name] = value)
        };
        let unsigned = {
            let body: Vec<&str> = token.split('.').collect();
            format!("{}.{}.", B64.encode(json!({"typ": TYPE, "alg": "none"}).to_string()), body[1])
        };
        let wrong = [
            ("other key", forged(&token, "some other secret of thirty-two bytes or more", Algorithm::HS256, |_, _| {})),
            ("alg none", unsigned),
            ("alg HS512", forged(&token, SECRET, Algorithm::HS512, |header, _| header["alg"] = json!("HS512"))),
            ("alg RS256 named, HS256 signed", head("alg", json!("RS256"))),
            ("plain typ", head("typ", json!("JWT"))),
            ("unknown kid", head("kid", json!("000000000000"))),
            ("expired", claim("exp", json!(now - LEEWAY.cast_signed() - 2))),
            ("no exp", without("exp")),
            ("not yet", claim("nbf", json!(now + 60))),
            ("other issuer", claim("iss", json!("https://else.where"))),
            ("other audience", claim("aud", json!("another-api"))),
            ("no audience", without("aud")),
            ("unknown role", claim("role", json!("root"))),
            ("no session", without("sid")),
            ("cut", token[..token.len() - 2].to_owned()),
            ("two parts", token.rsplit_once('.').unwrap().0.to_owned()),
            ("nothing", String::new()),
        ];
        for (what, token) in wrong {
            assert!(keys.verify(&token).is_err(), "{what}");
        }
    }

    #[test]
    fn a_new_key_signs_and_the_ones_before_still_verify_until_they_are_forgotten() {
        let (old, token) = issue();
        let renewed = "a newer secret of at least thirty-two bytes, for tests";
        let ring = Settings {
            previous_jwt_secrets: vec![SECRET.to_owned().into()],
            jwt_secret: renewed.to_owned().into(),
            ..settings()
        };
        let both = AccessKeys::new(&ring);
        assert!(both.verify(&token).is_ok());
        let newer = both.issue(&identity(), Uuid::now_v7(), OffsetDateTime::now_utc()).unwrap();
        assert!(both.verify(&newer).is_ok());
        assert!(old.verify(&newer).is_err(), "the newest signs");
        let alone = AccessKeys::new(&Settings { previous_jwt_secrets: Vec::new(), ..ring });
        assert!(alone.verify(&token).is_err());
    }

    #[test]
    fn clocks_may_differ_by_five_seconds() {
        let (keys, token) = issue();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let just = forged(&token, SECRET, Algorithm::HS256, |_, claims| claims["exp"] = json!(now - 3));
        assert!(keys.verify(&just).is_ok());
    }

    #[test]
    fn the_secret_never_prints() {
        let (keys, _) = issue();
        assert!(!format!("{keys:?}").contains(SECRET));
    }
}
