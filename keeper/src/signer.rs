//! The lanes' keys: encrypted keystore files, or hexadecimal from the environment for development.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy::primitives::{Address, B256};
use alloy::signers::Signer;
use alloy::signers::local::PrivateKeySigner;
use secrecy::{ExposeSecret, SecretString};
use tokenx_config::Signer as Settings;
use zeroize::Zeroizing;

/// Why a key could not be loaded. Never says a word of the key.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// Neither keys nor a keystore.
    #[error("no lane has a key: set signer.keystore_path and signer.keystore_password, or signer.keys in development")]
    None,
    /// An entry of `signer.keys`.
    #[error("signer.keys[{0}] is no private key: give 32 bytes in hexadecimal")]
    Key(usize),
    /// `signer.master_key`.
    #[error("signer.master_key is not 32 bytes: give them in hexadecimal or base64")]
    MasterKey,
    /// A cold key.
    #[error("the cold key is no private key: give 32 bytes in hexadecimal")]
    Cold,
    /// A keystore without its password.
    #[error("signer.keystore_path needs signer.keystore_password")]
    NoPassword,
    /// The keystore file or folder.
    #[error("keystore {}: {why}", path.display())]
    Keystore {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The same key twice: two lanes of one key would fight over its nonces.
    #[error("two lanes have the key of {0}")]
    Twice(Address),
}

/// The keys of this process's lanes.
#[derive(Clone)]
pub struct Signers {
    signers: Vec<Arc<dyn Signer + Send + Sync>>,
}

impl fmt::Debug for Signers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signers").field(&self.addresses()).finish()
    }
}

impl Signers {
    /// Loads the keys that settings name. Opening a keystore takes a while on purpose.
    ///
    /// # Errors
    /// See [`SignerError`].
    pub async fn load(settings: &Settings) -> Result<Self, SignerError> {
        let mut signers = Vec::new();
        for (i, key) in settings.keys.iter().enumerate() {
            let bytes = tokenx_config::key_bytes(key).ok_or(SignerError::Key(i))?;
            signers.push(PrivateKeySigner::from_slice(bytes.as_slice()).map_err(|_| SignerError::Key(i))?);
        }
        if let Some(path) = &settings.keystore_path {
            let password = settings.keystore_password.as_ref().ok_or(SignerError::NoPassword)?;
            let password = Zeroizing::new(password.expose_secret().to_owned());
            for path in files(path)? {
                signers.push(open(path, password.clone()).await?);
            }
        }
        Self::new(signers)
    }

    /// These keys.
    ///
    /// # Errors
    /// `None` and `Twice`.
    pub fn new(signers: Vec<PrivateKeySigner>) -> Result<Self, SignerError> {
        if signers.is_empty() {
            return Err(SignerError::None);
        }
        let mut seen = std::collections::HashSet::new();
        for signer in &signers {
            if !seen.insert(signer.address()) {
                return Err(SignerError::Twice(signer.address()));
            }
        }
        let signers = signers.into_iter().map(|signer| Arc::new(signer) as Arc<dyn Signer + Send + Sync>);
        Ok(Self { signers: signers.collect() })
    }

    /// Their addresses, in order.
    pub fn addresses(&self) -> Vec<Address> {
        self.signers.iter().map(|signer| signer.address()).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn Signer + Send + Sync>> {
        self.signers.iter()
    }
}

/// The master key of hosted wallets.
///
/// # Errors
/// `MasterKey`.
pub fn master_key(settings: &Settings) -> Result<Zeroizing<[u8; 32]>, SignerError> {
    tokenx_config::key_bytes(&settings.master_key).ok_or(SignerError::MasterKey)
}

/// A cold key: a keystore file with its password, or else the key itself in hexadecimal.
///
/// # Errors
/// `Keystore`, or `Cold` where the secret is no key.
pub async fn cold_key(keystore: Option<&Path>, secret: &SecretString) -> Result<PrivateKeySigner, SignerError> {
    if let Some(path) = keystore {
        return open(path.to_owned(), Zeroizing::new(secret.expose_secret().to_owned())).await;
    }
    let bytes = tokenx_config::key_bytes(secret).ok_or(SignerError::Cold)?;
    PrivateKeySigner::from_slice(bytes.as_slice()).map_err(|_| SignerError::Cold)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, SignerError> {
    let wrong = |why: String| SignerError::Keystore { path: path.to_owned(), why };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|e| wrong(e.to_string()))?;
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
    // One order on every start, since lanes share work by it.
    files.sort();
    if files.is_empty() { Err(wrong("the folder holds no file".to_owned())) } else { Ok(files) }
}

async fn open(path: PathBuf, password: Zeroizing<String>) -> Result<PrivateKeySigner, SignerError> {
    let wrong = |why: String| SignerError::Keystore { path: path.clone(), why };
    let file = path.clone();
    // Deriving the key is seconds of hashing: not on a thread that others wait on.
    tokio::task::spawn_blocking(move || PrivateKeySigner::decrypt_keystore(file, password.as_bytes()))
        .await
        .map_err(|e| wrong(e.to_string()))?
        .map_err(|e| wrong(e.to_string()))
}

/// Writes a new keystore file with a fresh key; its address.
///
/// # Errors
/// Where the file cannot be written.
pub async fn new_keystore(folder: &Path, name: &str, password: &str) -> Result<Address, SignerError> {
    let path = folder.join(name);
    let wrong = |why: String| SignerError::Keystore { path: path.clone(), why };
    let key = Zeroizing::new(PrivateKeySigner::random().to_bytes().0);
    let (folder, name, password) = (folder.to_owned(), name.to_owned(), Zeroizing::new(password.to_owned()));
    tokio::task::spawn_blocking(move || {
        let mut rng = alloy::signers::k256::elliptic_curve::rand_core::OsRng;
        PrivateKeySigner::encrypt_keystore(folder, &mut rng, B256::from(*key), password.as_bytes(), Some(&name))
    })
    .await
    .map_err(|e| wrong(e.to_string()))?
    .map(|(signer, _)| signer.address())
    .map_err(|e| wrong(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

    fn settings(keys: &[&str]) -> Settings {
        Settings { keys: keys.iter().map(|key| (*key).to_owned().into()).collect(), ..Settings::default() }
    }

    #[tokio::test]
    async fn a_key_from_the_environment_makes_a_lane() {
        let signers = Signers::load(&settings(&[KEY])).await.unwrap();
        assert_eq!(signers.addresses(), ["0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse::<Address>().unwrap()]);
    }

    #[tokio::test]
    async fn no_key_a_bad_key_and_the_same_key_twice_are_refused_without_a_word_of_the_key() {
        assert!(matches!(Signers::load(&settings(&[])).await, Err(SignerError::None)));
        let bad = Signers::load(&settings(&[&KEY[..60]])).await.unwrap_err();
        assert!(!bad.to_string().contains("59c6"), "{bad}");
        assert!(matches!(Signers::load(&settings(&[KEY, KEY])).await, Err(SignerError::Twice(_))));
    }

    #[tokio::test]
    async fn a_keystore_opens_with_its_password_only() {
        let folder = tempfile::tempdir().unwrap();
        let address = new_keystore(folder.path(), "lane-1", "correct horse").await.unwrap();
        let mut settings = settings(&[]);
        settings.keystore_path = Some(folder.path().to_owned());
        assert!(matches!(Signers::load(&settings).await, Err(SignerError::NoPassword)));
        settings.keystore_password = Some("correct horse".to_owned().into());
        assert_eq!(Signers::load(&settings).await.unwrap().addresses(), [address]);
        settings.keystore_password = Some("wrong".to_owned().into());
        assert!(matches!(Signers::load(&settings).await, Err(SignerError::Keystore { .. })));
    }
}
