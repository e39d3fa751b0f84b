//! Proof that a party holds a wallet's key: it signs a text that names this platform, chain, party and wallet, serves once
//! and not for long (EIP-191). What is signed for one of these is good for no other.

use alloy::primitives::{Address, Signature};
use sqlx::{PgConnection, PgPool};
use time::{Duration, OffsetDateTime};
use tokenx_migrations::Addr;

use crate::tokens::details::timestamp;

/// How long a text may be signed and brought back.
const LIFE: Duration = Duration::minutes(10);

/// What a wallet is to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Names it.
    pub nonce: String,
    /// The text, byte for byte.
    pub message: String,
    /// From then on it is not taken.
    pub expires_at: OffsetDateTime,
}

/// Where and for whom a text is good.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The platform's host.
    pub domain: &'a str,
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Whose the wallet is to be.
    pub party_id: &'a str,
    /// The wallet.
    pub address: Address,
}

impl Challenge {
    /// The text for a binding, issued now.
    pub fn new(binding: Binding<'_>, nonce: &str, now: OffsetDateTime) -> Challenge {
        let Binding { domain, chain_id, party_id, address } = binding;
        let expires_at = now + LIFE;
        let (address, issued, expires) = (address.to_checksum(None), timestamp(now), timestamp(expires_at));
        // A party id may hold any printable character: quoted, it cannot pass for a line of its own.
        let message = format!(
            "{domain} asks you to register your wallet:\n{address}\n\nIt will belong to the party {party_id:?}.\n\n\
             Chain ID: {chain_id}\nNonce: {nonce}\nIssued At: {issued}\nExpiration Time: {expires}"
        );
        Challenge { nonce: nonce.to_owned(), message, expires_at }
    }
}

/// Keeps a text until it is brought back.
///
/// # Errors
/// The database's.
pub async fn keep(
    conn: &mut PgConnection,
    party_id: &str,
    address: Address,
    challenge: &Challenge,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO wallet_challenges (nonce, party_id, address, message, expires_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&challenge.nonce)
    .bind(party_id)
    .bind(Addr(address))
    .bind(&challenge.message)
    .bind(challenge.expires_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes back a party's text with the wallet it names: committed, it is gone. `None`: no such text, or it has served or
/// expired.
///
/// # Errors
/// The database's.
pub async fn take(
    conn: &mut PgConnection,
    party_id: &str,
    nonce: &str,
) -> Result<Option<(Address, String)>, sqlx::Error> {
    let row: Option<(Addr, String)> = sqlx::query_as(
        "DELETE FROM wallet_challenges
          WHERE nonce = $1 AND party_id = $2 AND expires_at > now()
      RETURNING address, message",
    )
    .bind(nonce)
    .bind(party_id)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(address, message)| (address.0, message)))
}

/// Forgets what has expired.
///
/// # Errors
/// The database's.
pub async fn forget_expired(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM wallet_challenges WHERE expires_at <= now()").execute(pool).await.map(drop)
}

/// Whether the wallet's key has signed the text: 65 bytes, and of the two forms of a signature the lower one.
///
/// # Errors
/// What is wrong with the signature.
pub fn check(address: Address, message: &str, signature: &str) -> Result<(), &'static str> {
    const SHAPE: &str = "value is not a signature: 65 bytes as 0x and 130 hex digits";
    let bytes = signature.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok()).ok_or(SHAPE)?;
    let bytes: [u8; 65] = bytes.try_into().map_err(|_| SHAPE)?;
    let signature =
        Signature::from_raw_array(&bytes).map_err(|_| "the signature's last byte is none of 0, 1, 27, 28")?;
    if signature.normalize_s().is_some() {
        return Err("the signature is the higher one of two: sign again, or lower its s");
    }
    match signature.recover_address_from_msg(message) {
        Ok(signer) if signer == address => Ok(()),
        _ => Err("the wallet's key has not signed this challenge"),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-02 03:04:05 UTC);

    fn binding(address: Address) -> Binding<'static> {
        Binding { domain: "api.example.com", chain_id: 1, party_id: "alice::122...", address }
    }

    fn signed(key: &PrivateKeySigner, message: &str) -> Signature {
        key.sign_message_sync(message.as_bytes()).unwrap()
    }

    fn text(signature: &Signature) -> String {
        format!("0x{}", hex::encode(signature.as_bytes()))
    }

    #[test]
    fn the_text_names_platform_wallet_party_chain_and_end() {
        let challenge = Challenge::new(binding(Address::repeat_byte(0x11)), "n0nce", NOW);
        let expected = "api.example.com asks you to register your wallet:\n\
            0x1111111111111111111111111111111111111111\n\nIt will belong to the party \"alice::122...\".\n\n\
            Chain ID: 1\nNonce: n0nce\nIssued At: 2026-01-02T03:04:05Z\nExpiration Time: 2026-01-02T03:14:05Z";
        assert_eq!(challenge.message, expected);
        assert_eq!(challenge.expires_at, NOW + LIFE);
    }

    #[test]
    fn a_signature_is_good_for_its_own_text_and_wallet_alone() {
        let (key, other) = (PrivateKeySigner::random(), PrivateKeySigner::random());
        let own = binding(key.address());
        let message = Challenge::new(own, "n0nce", NOW).message;
        let good = text(&signed(&key, &message));
        assert_eq!(check(key.address(), &message, &good), Ok(()));
        assert!(check(other.address(), &message, &good).is_err());
        assert!(check(key.address(), &message, &text(&signed(&other, &message))).is_err());
        let others = [
            Challenge::new(Binding { domain: "evil.example.com", ..own }, "n0nce", NOW),
            Challenge::new(Binding { chain_id: 2, ..own }, "n0nce", NOW),
            Challenge::new(Binding { party_id: "bob", ..own }, "n0nce", NOW),
            Challenge::new(Binding { address: other.address(), ..own }, "n0nce", NOW),
            Challenge::new(own, "another", NOW),
            Challenge::new(own, "n0nce", NOW + Duration::SECOND),
        ];
        for challenge in others {
            assert!(check(key.address(), &challenge.message, &good).is_err(), "{}", challenge.message);
        }
    }

    #[test]
    fn of_the_two_forms_of_a_signature_one_is_taken() {
        const ORDER: U256 =
            alloy::primitives::uint!(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141_U256);
        let key = PrivateKeySigner::random();
        let low = signed(&key, "text");
        let high = Signature::new(low.r(), ORDER - low.s(), !low.v());
        assert_eq!(high.recover_address_from_msg("text").unwrap(), key.address(), "mathematically it is good");
        assert!(check(key.address(), "text", &text(&high)).unwrap_err().contains("higher"));
        assert_eq!(check(key.address(), "text", &text(&low)), Ok(()));
    }

    proptest! {
        #[test]
        fn no_text_whatever_passes_for_a_signature(text in "\\PC{0,140}") {
            prop_assert!(check(Address::repeat_byte(1), "text", &text).is_err());
        }

        #[test]
        fn no_bytes_whatever_pass_for_a_signature(bytes in prop::collection::vec(any::<u8>(), 65)) {
            let text = format!("0x{}", hex::encode(bytes));
            prop_assert!(check(Address::repeat_byte(1), "text", &text).is_err());
        }
    }
}
