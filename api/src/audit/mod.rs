//! The audit log as officers see it: a page, its seals, and whether it is still what was sealed.
//!
//! Every api process looks once a second for entries to seal; the database lets one at a time do it. Now and then a seal's
//! hash goes on chain, where nobody can change it.

pub(crate) mod anchor;
pub mod routes;
pub(crate) mod sealer;

use std::time::Instant;

use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokenx_migrations::seal::{self, Verification};

pub use routes::AuditVerification;

use crate::token_app::timestamp;

/// Checks the log, all of it or what comes after a seal: entries against seals, seals against each other and against their
/// hashes on the indexed chain. Ends some entries after `until`.
///
/// # Errors
/// The database's.
pub async fn verify(
    pool: &PgPool,
    chain_id: u64,
    after: Option<u64>,
    until: Option<Instant>,
) -> Result<Verification, sqlx::Error> {
    let mut tx = tokenx_migrations::begin_snapshot(pool).await?;
    let anchors = anchor::indexed(&mut tx, chain_id).await?;
    seal::verify(&mut tx, &anchors, after, until).await
}

/// What `/status` tells of it: how far it is sealed, how long the oldest entry has waited, and the seal whose hash is on chain.
pub(crate) async fn status(conn: &mut PgConnection, now: OffsetDateTime) -> Result<Value, sqlx::Error> {
    let waits_since = seal::unsealed_since(&mut *conn).await?;
    let lag = waits_since.map_or(0, |since| (now - since).whole_seconds().max(0));
    let mut status = json!({ "lag_seconds": lag });
    if let Some(head) = seal::head(&mut *conn).await? {
        status["seal"] = head.number.into();
        status["sealed_to"] = head.last.to_string().into();
        status["sealed_at"] = timestamp(head.sealed_at).into();
        status["hash"] = head.hash.to_string().into();
    }
    if let Some(anchored) = anchor::newest(conn).await? {
        status["anchored_seal"] = anchored.into();
    }
    Ok(status)
}
