//! Settings of KYC.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::secret::redact_some;

/// Who looks at applicants' papers, and how it is reached.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kyc {
    /// Who it is.
    pub provider: KycProvider,
    /// Where its API is.
    pub base_url: String,
    /// Names us to it.
    #[serde(serialize_with = "redact_some")]
    pub app_token: Option<SecretString>,
    /// Signs our requests.
    #[serde(serialize_with = "redact_some")]
    pub secret_key: Option<SecretString>,
    /// Signs its webhooks.
    #[serde(serialize_with = "redact_some")]
    pub webhook_secret: Option<SecretString>,
    /// Its level for people.
    pub individual_level: String,
    /// Its level for companies.
    pub company_level: String,
    /// Life of a token for its page, in seconds.
    pub token_seconds: u64,
    /// Longest wait for an answer, in milliseconds.
    pub request_timeout_ms: u64,
    /// Largest answer that is read, in bytes.
    pub max_response_bytes: usize,
    /// Days that an approval counts, unless the officer says otherwise.
    pub valid_days: u32,
}

impl Default for Kyc {
    fn default() -> Self {
        Self {
            provider: KycProvider::None,
            base_url: "https://api.sumsub.com".to_owned(),
            app_token: None,
            secret_key: None,
            webhook_secret: None,
            individual_level: "basic-kyc-level".to_owned(),
            company_level: "basic-kyb-level".to_owned(),
            token_seconds: 600,
            request_timeout_ms: 3_000,
            max_response_bytes: 1 << 20,
            valid_days: 365,
        }
    }
}

/// Who looks at applicants' papers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KycProvider {
    /// Nobody: applications cannot be begun.
    None,
    /// Nobody, but as if: what it says follows from the applicant's name. Not in production.
    Sandbox,
    /// Sumsub.
    Sumsub,
}
