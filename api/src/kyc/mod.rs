//! KYC and KYB: a provider looks at papers and says what it found by signed webhooks, an officer decides, and the registry
//! follows. The rules are in `course`; the rest carries them out.

pub(crate) mod consequence;
pub mod country;
pub mod course;
pub mod digest;
pub mod event;
pub(crate) mod lookup;
pub mod provider;
pub mod record;
pub mod sandbox;
pub mod sumsub;
pub mod webhook;

use std::sync::Arc;

use secrecy::SecretString;
use tokenx_config::{Kyc as KycSettings, KycProvider};

use self::provider::Provider;
use self::sandbox::Sandbox;
use self::sumsub::Sumsub;

/// The provider in use.
#[derive(Debug)]
pub struct Kyc {
    /// It.
    pub provider: Arc<dyn Provider>,
    /// Key of its webhooks' digests.
    pub webhook_secret: SecretString,
}

impl Kyc {
    /// The provider that the settings name; `None` where they name none.
    ///
    /// # Errors
    /// What of the settings is of no use.
    pub fn of(settings: &KycSettings) -> Result<Option<Kyc>, String> {
        let provider: Arc<dyn Provider> = match settings.provider {
            KycProvider::None => return Ok(None),
            KycProvider::Sandbox => Arc::new(Sandbox { token_seconds: settings.token_seconds }),
            KycProvider::Sumsub => Arc::new(Sumsub::new(settings)?),
        };
        Ok(Some(Kyc { provider, webhook_secret: settings.webhook_secret.clone().unwrap_or_default() }))
    }
}
