//! Making the people and things that the platform knows: what `tokenx admin … add` and the demo world call.
//! Each function checks its input, writes its row, its audit entry and its outbox event in one transaction.

mod currencies;
mod lanes;
mod nodes;
mod parties;
pub mod routes;
mod service_tokens;
mod users;
mod wallets;

use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use tokenx_migrations::{audit, outbox};
use uuid::Uuid;

pub use currencies::{NewCurrency, add_currency, list_currencies};
pub use lanes::resume_lane;
pub use nodes::{Issuer, NewNode, Node, add_issuer, add_node, issuer_page, list_issuers, list_nodes};
pub use parties::{NewParty, Party, add_party, list_parties, party_page, vouch};
pub use service_tokens::{
    MAX_DAYS, NewServiceToken, ServiceToken, add_service_token, list_service_tokens, revoke_service_token,
    service_token_page,
};
pub use users::{NewUser, add_user, list_users, set_password, suspend_user};
pub use wallets::{NewWallet, Wallet, WalletKind, add_wallet, list_wallets};

use crate::error::{ApiError, FieldError};

/// On whose behalf something is done.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// `user:<id>`, `service:<id>` or `cli:<name>`.
    pub actor: &'a str,
    /// The request that asked for it, where there is one.
    pub request_id: Option<&'a str>,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field is malformed.
    #[error("{field}: {message}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// It refers to something that does not exist.
    #[error("no {what} is called {id:?}: add it first")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// What it was called.
        id: String,
    },
    /// There is one already.
    #[error("{0}")]
    Exists(String),
    /// Not by this account.
    #[error("{0}")]
    Refused(String),
    /// The keeper did not take the command that goes with it.
    #[error("the wallet's whitelisting was not accepted: {0}")]
    Keeper(String),
    /// The database refused.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Anything else, our fault.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<Error> for ApiError {
    fn from(error: Error) -> ApiError {
        match error {
            Error::Invalid { field, message } => {
                ApiError::Rejected(vec![FieldError::body(field, "value_error", message)])
            }
            Error::Unknown { .. } => ApiError::NotFound(error.to_string()),
            Error::Exists(text) | Error::Refused(text) => ApiError::Conflict(text),
            Error::Database(error) => error.into(),
            Error::Keeper(_) | Error::Internal(_) => ApiError::internal(error),
        }
    }
}

/// What is noted of a write, in the audit log and in the outbox alike.
pub(crate) struct Note<'a> {
    pub(crate) action: &'a str,
    pub(crate) subject: String,
    pub(crate) detail: Value,
}

pub(crate) async fn note(tx: &mut PgConnection, by: By<'_>, note: Note<'_>) -> Result<(), sqlx::Error> {
    let Note { action, subject, detail } = note;
    let entry =
        audit::Entry { actor: by.actor, action, subject: &subject, request_id: by.request_id, detail: detail.clone() };
    audit::append(&mut *tx, entry).await?;
    let event = outbox::Event { kind: action.to_owned(), subject, payload: detail, effect_key: None };
    outbox::append(tx, event).await
}

/// Names of issuers and tokens: something to read, on one line.
fn check_name(field: &'static str, name: &str) -> Result<(), Error> {
    let length = name.chars().count();
    if (1..=200).contains(&length) && name.trim() == name && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let message = format!("{name:?} is not 1-200 printable characters without space around them");
    Err(Error::Invalid { field, message })
}

/// Turns a violated constraint of the table into the error that says what there was already.
fn exists_on(constraint: &'static str, text: impl FnOnce() -> String) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| match &error {
        sqlx::Error::Database(cause) if cause.constraint() == Some(constraint) => Error::Exists(text()),
        _ => Error::Database(error),
    }
}

async fn require_issuer(pool: &PgPool, issuer_id: Uuid) -> Result<(), Error> {
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM issuers WHERE issuer_id = $1)")
        .bind(issuer_id)
        .fetch_one(pool)
        .await?;
    if known { Ok(()) } else { Err(Error::Unknown { what: "issuer", id: issuer_id.to_string() }) }
}

async fn require_party(pool: &PgPool, party_id: &str) -> Result<(), Error> {
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM parties WHERE party_id = $1)")
        .bind(party_id)
        .fetch_one(pool)
        .await?;
    if known { Ok(()) } else { Err(Error::Unknown { what: "party", id: party_id.to_owned() }) }
}
