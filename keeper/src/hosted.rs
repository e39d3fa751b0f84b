//! Keys of wallets we hold for investors: sealed with XChaCha20-Poly1305 under `signer.master_key`, the address as
//! associated data so that a row cannot be passed off as another's. A pool of ready addresses waits in the database:
//! whoever registers a wallet claims one and never sees a key.

use std::collections::HashMap;
use std::fmt;

use alloy::primitives::{Address, B256, Bytes};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sqlx::{PgConnection, PgPool, Row};
use tokenx_config::failpoint;
use tokenx_migrations::Addr;
use zeroize::Zeroizing;

/// Why a hosted key could not be made, claimed or opened.
#[derive(Debug, thiserror::Error)]
pub enum HostedError {
    /// The pool is empty: the keeper fills it again within seconds.
    #[error("no hosted address is ready: try again in a few seconds, and see that a keeper is running")]
    Empty,
    /// No such address, or it is still in the pool.
    #[error("wallet {0} is not hosted here")]
    Unknown(Address),
    /// The row does not open under this master key.
    #[error("the key of wallet {0} does not open: signer.master_key is not the one it was sealed with")]
    Sealed(Address),
    /// The database's.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Seals and opens hosted keys.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Vault {
    /// A vault under this master key.
    pub fn new(master_key: &[u8; 32]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(master_key.into()) }
    }

    fn seal(&self, address: Address, key: &[u8; 32]) -> Option<(XNonce, Vec<u8>)> {
        let nonce = XNonce::from(rand::random::<[u8; 24]>());
        let payload = Payload { msg: key, aad: address.as_slice() };
        Some((nonce, self.cipher.encrypt(&nonce, payload).ok()?))
    }

    fn open(&self, address: Address, nonce: [u8; 24], sealed: &[u8]) -> Option<PrivateKeySigner> {
        let payload = Payload { msg: sealed, aad: address.as_slice() };
        let key = Zeroizing::new(self.cipher.decrypt(&XNonce::from(nonce), payload).ok()?);
        let signer = PrivateKeySigner::from_slice(&key).ok()?;
        (signer.address() == address).then_some(signer)
    }

    /// Brings the pool of ready addresses up to `want`. Several keepers may overfill it by a few; that is harmless.
    ///
    /// # Errors
    /// The database's.
    pub async fn fill(&self, pool: &PgPool, want: i64) -> Result<(), HostedError> {
        let ready: i64 =
            sqlx::query_scalar("SELECT count(*) FROM hosted_keys WHERE owner IS NULL").fetch_one(pool).await?;
        for _ in ready..want {
            let signer = PrivateKeySigner::random();
            let address = signer.address();
            let key = Zeroizing::new(signer.to_bytes().0);
            let Some((nonce, sealed)) = self.seal(address, &key) else {
                return Err(HostedError::Sealed(address));
            };
            sqlx::query("INSERT INTO hosted_keys (address, nonce, sealed) VALUES ($1, $2, $3)")
                .bind(Addr(address))
                .bind(nonce.as_slice())
                .bind(sealed)
                .execute(pool)
                .await?;
            failpoint::hit("keeper.hosted_key").map_err(sqlx::Error::Io)?;
        }
        Ok(())
    }

    /// The keys of claimed addresses. The caller keeps them no longer than it signs. An address that is not hosted here
    /// has none.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn keys(&self, pool: &PgPool, addresses: &[Address]) -> Result<Keys, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT address, nonce, sealed FROM hosted_keys WHERE address = ANY ($1) AND owner IS NOT NULL",
        )
        .bind(addresses.iter().copied().map(Addr).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
        let mut keys = Keys::default();
        for row in rows {
            let address = row.try_get::<Addr, _>("address")?.0;
            let nonce = <[u8; 24]>::try_from(row.try_get::<Vec<u8>, _>("nonce")?).ok();
            let sealed: Vec<u8> = row.try_get("sealed")?;
            keys.0.insert(address, nonce.and_then(|nonce| self.open(address, nonce, &sealed)));
        }
        Ok(keys)
    }
}

/// Keys of hosted wallets, for as long as it takes to sign by them; `None` of one that does not open.
#[derive(Default)]
pub(crate) struct Keys(HashMap<Address, Option<PrivateKeySigner>>);

impl Keys {
    /// Can all of these wallets sign?
    ///
    /// # Errors
    /// `Unknown` and `Sealed`, of the first that cannot.
    pub(crate) fn open(&self, mut wallets: impl Iterator<Item = Address>) -> Result<(), HostedError> {
        wallets.try_for_each(|wallet| match self.0.get(&wallet) {
            None => Err(HostedError::Unknown(wallet)),
            Some(None) => Err(HostedError::Sealed(wallet)),
            Some(Some(_)) => Ok(()),
        })
    }

    /// The key that signs the wallet's own transactions.
    ///
    /// # Errors
    /// `Unknown` and `Sealed`.
    pub(crate) fn signer(&self, wallet: Address) -> Result<&PrivateKeySigner, HostedError> {
        self.open(std::iter::once(wallet))?;
        self.0.get(&wallet).and_then(Option::as_ref).ok_or(HostedError::Unknown(wallet))
    }

    /// The wallet's signature, the same whenever it is asked for the same.
    pub(crate) fn sign(&self, wallet: Address, digest: B256) -> Option<Bytes> {
        let key = self.0.get(&wallet)?.as_ref()?;
        key.sign_hash_sync(&digest).ok().map(|signature| signature.as_bytes().into())
    }
}

/// Takes a ready address for `owner` in the caller's transaction: rolled back, it is in the pool again.
///
/// # Errors
/// `Empty` where none is ready.
pub async fn claim(conn: &mut PgConnection, owner: &str) -> Result<Address, HostedError> {
    let claimed: Option<Addr> = sqlx::query_scalar(
        "UPDATE hosted_keys
            SET owner = $1, claimed_at = now()
          WHERE address = (SELECT address
                             FROM hosted_keys
                            WHERE owner IS NULL
                            ORDER BY created_at
                              FOR UPDATE SKIP LOCKED
                            LIMIT 1)
         RETURNING address",
    )
    .bind(owner)
    .fetch_optional(conn)
    .await?;
    claimed.map(Address::from).ok_or(HostedError::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_only_under_its_own_address_and_master_key() {
        let vault = Vault::new(&[7; 32]);
        let signer = PrivateKeySigner::random();
        let (nonce, sealed) = vault.seal(signer.address(), &signer.to_bytes().0).unwrap();
        assert_eq!(vault.open(signer.address(), nonce.into(), &sealed).unwrap().address(), signer.address());
        assert!(vault.open(Address::ZERO, nonce.into(), &sealed).is_none());
        assert!(Vault::new(&[8; 32]).open(signer.address(), nonce.into(), &sealed).is_none());
        let mut tampered = sealed.clone();
        tampered[0] ^= 1;
        assert!(vault.open(signer.address(), nonce.into(), &tampered).is_none());
    }

    #[test]
    fn a_vault_never_shows_its_key() {
        assert_eq!(format!("{:?}", Vault::new(&[7; 32])), "Vault(..)");
    }
}
