//! What every KYC provider can do. What it finds comes by webhook.

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// Who applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A person.
    Individual,
    /// A company, with beneficial owners.
    Company,
}

impl Kind {
    /// Its name in the table and on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Individual => "individual",
            Kind::Company => "company",
        }
    }

    /// The kind of this name.
    ///
    /// # Errors
    /// What the names are.
    pub fn parse(name: &str) -> Result<Kind, &'static str> {
        let found = [Kind::Individual, Kind::Company].into_iter().find(|kind| kind.as_str() == name);
        found.ok_or("value is no kind of applicant: use individual or company")
    }
}

/// With what an applicant's page talks to the provider.
#[derive(Debug, Clone)]
pub struct Token {
    /// For the provider's own page or app.
    pub secret: SecretString,
    /// From then on it is not taken.
    pub expires_at: OffsetDateTime,
}

/// What a provider has found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// ISO 3166-1 numeric.
    pub country: Option<u16>,
    /// Of a company: who owns or controls it.
    pub owners: Vec<Owner>,
}

/// A beneficial owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Owner {
    /// How the provider names the person; null where it has not been looked at.
    #[schema(required)]
    pub provider_id: Option<String>,
    /// What it is called; null where the provider does not say.
    #[schema(required)]
    pub name: Option<String>,
    /// What it is to the company: ubo, shareholder, director, …
    pub roles: Vec<String>,
    /// Per cent, as the provider writes it.
    #[schema(required)]
    pub share: Option<String>,
}

/// Why a provider was of no use.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// It does not answer, or not in time.
    #[error("the KYC provider does not answer: {0}")]
    Unreachable(String),
    /// It refuses us.
    #[error("the KYC provider refuses with {status}: {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says.
        text: String,
    },
    /// Its answer is not what its documentation says.
    #[error("the KYC provider's answer cannot be read: {0}")]
    Unreadable(String),
}

/// A KYC provider.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync {
    /// Its name in tables and webhook paths.
    fn name(&self) -> &'static str;

    /// A token for the page of this applicant, who is made known to the provider by it.
    ///
    /// # Errors
    /// See [`ProviderError`].
    async fn token(&self, external_id: &str, kind: Kind) -> Result<Token, ProviderError>;

    /// What it has found out about an applicant so far.
    ///
    /// # Errors
    /// See [`ProviderError`].
    async fn facts(&self, external_id: &str) -> Result<Facts, ProviderError>;
}
