//! Passwords: argon2id, off the async threads, a few at a time.

use std::sync::Arc;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokenx_config::Auth as Settings;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::http::metrics;

/// Hashes and checks passwords. Each check costs memory and a core, so a burst of logins waits in line
/// instead of starving everything else.
#[derive(Debug, Clone)]
pub struct Passwords {
    hasher: Argon2<'static>,
    line: Arc<Semaphore>,
    /// A hash of nothing anybody can type, checked for unknown accounts so that they take the same time.
    decoy: Arc<str>,
}

impl Passwords {
    /// By the settings' costs.
    ///
    /// # Errors
    /// When the costs are outside argon2's ranges.
    pub fn new(settings: &Settings) -> Result<Passwords, argon2::Error> {
        let costs = &settings.argon2;
        let params = Params::new(costs.memory_kib, costs.iterations, costs.parallelism, None)?;
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let unguessable: [u8; 32] = rand::random();
        let decoy = hasher.hash_password(&unguessable).map_err(|_| argon2::Error::AlgorithmInvalid)?;
        let at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        Ok(Passwords { hasher, line: Arc::new(Semaphore::new(at_once)), decoy: decoy.to_string().into() })
    }

    /// Hashes a new password into a PHC string.
    ///
    /// # Errors
    /// Only when the machine refuses the work.
    pub async fn hash(&self, password: SecretString) -> Result<String, ApiError> {
        let hasher = self.hasher.clone();
        self.work(move || {
            let hash = hasher.hash_password(password.expose_secret().as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| ApiError::internal(error.to_string()))
        })
        .await?
    }

    /// Whether the password is the account's; `None` for an account that does not exist takes as long.
    ///
    /// # Errors
    /// Only when the machine refuses the work.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<bool, ApiError> {
        let hasher = self.hasher.clone();
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.to_string());
        self.work(move || {
            metrics::password_checked();
            let matches = PasswordHash::new(&stored)
                .is_ok_and(|hash| hasher.verify_password(password.expose_secret().as_bytes(), &hash).is_ok());
            matches && known
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let turn = self.line.clone().acquire_owned().await.map_err(ApiError::internal)?;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            task()
        })
        .await
        .map_err(ApiError::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_only() {
        let passwords = Passwords::new(&Settings::default()).unwrap();
        let hash = passwords.hash("correct horse".to_owned().into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        assert!(passwords.verify("correct horse".to_owned().into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("battery staple".to_owned().into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("correct horse".to_owned().into(), None).await.unwrap());
        assert!(!passwords.verify("x".to_owned().into(), Some("not a hash".into())).await.unwrap());
    }
}
