//! What is dead before its time. Each process keeps the list in memory and re-reads its tail twice a second;
//! where that has not worked for longer than promised, every request asks the database instead.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::ApiError;

/// How often the tail is read.
pub const POLL: Duration = Duration::from_millis(500);
/// After this long without a successful read the list is not believed: a logout elsewhere must bite within 2 s.
const STALE: Duration = Duration::from_millis(1_500);
/// How far back a read of the tail looks, in seconds: far longer than any transaction that writes here.
const OVERLAP_SECONDS: f64 = 60.0;

/// The tokens revoked and not yet expired, and the accounts suspended.
#[derive(Debug, Default)]
pub struct Revocations {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    until: HashMap<Uuid, OffsetDateTime>,
    read_at: Option<Instant>,
}

impl Revocations {
    /// Which of these are dead: sign-ins, service tokens, and accounts that are suspended.
    ///
    /// # Errors
    /// When the list is stale and the database does not answer.
    pub async fn revoked<const N: usize>(&self, pool: &PgPool, ids: [Uuid; N]) -> Result<[bool; N], ApiError> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.read_at.is_some_and(|at| at.elapsed() < STALE) {
                let now = OffsetDateTime::now_utc();
                return Ok(ids.map(|id| known.until.get(&id).is_some_and(|until| *until > now)));
            }
        }
        let dead: Vec<Uuid> = sqlx::query_scalar(
            "SELECT token_id
               FROM revoked_tokens
              WHERE token_id = ANY ($1)
                AND expires_at > now()",
        )
        .bind(&ids[..])
        .fetch_all(pool)
        .await?;
        Ok(ids.map(|id| dead.contains(&id)))
    }

    /// Reads the list's tail; all of it the first time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refresh(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let first = self.known.read().unwrap_or_else(PoisonError::into_inner).read_at.is_none();
        let started = Instant::now();
        let rows: Vec<(Uuid, OffsetDateTime)> = sqlx::query_as(
            "SELECT token_id, expires_at
               FROM revoked_tokens
              WHERE ($1 AND expires_at > now()
                     OR revoked_at > now() - make_interval(secs => $2))",
        )
        .bind(first)
        .bind(OVERLAP_SECONDS)
        .fetch_all(pool)
        .await?;
        let now = OffsetDateTime::now_utc();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // One that was taken back comes with an end that has passed.
        known.until.extend(rows);
        known.until.retain(|_, until| *until > now);
        known.read_at = Some(started);
        Ok(())
    }

    /// Revokes in this process at once, or takes it back by an end that has passed; called after the transaction of
    /// [`revoke`], [`suspend`] or [`resume`] has committed.
    pub fn learn(&self, token_id: Uuid, expires_at: OffsetDateTime) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).until.insert(token_id, expires_at);
    }
}

/// Why a token died early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its bearer signed out.
    Logout,
    /// Its family's refresh token was presented twice.
    RefreshReused,
    /// An administrator took it away.
    Revoked,
    /// It was good for one use.
    Spent,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Reason::Logout => "logout",
            Reason::RefreshReused => "refresh_reused",
            Reason::Revoked => "revoked",
            Reason::Spent => "spent",
        }
    }
}

/// Writes a revocation in the caller's transaction. Twice is once: false, it was written before.
///
/// # Errors
/// When the database refuses.
pub async fn revoke(
    tx: &mut PgConnection,
    token_id: Uuid,
    reason: Reason,
    expires_at: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO revoked_tokens (token_id, reason, expires_at)
         VALUES ($1, $2, $3)
         ON CONFLICT (token_id) DO NOTHING",
    )
    .bind(token_id)
    .bind(reason.as_str())
    .bind(expires_at)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Suspends an account in the caller's transaction, until [`resume`]: it stands in the list as a token that never expires.
///
/// # Errors
/// When the database refuses.
pub async fn suspend(tx: &mut PgConnection, user_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO revoked_tokens (token_id, reason, expires_at)
         VALUES ($1, 'suspended', '9999-01-01')
         ON CONFLICT (token_id) DO UPDATE
            SET expires_at = excluded.expires_at,
                revoked_at = excluded.revoked_at",
    )
    .bind(user_id)
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes a suspension back in the caller's transaction. The row stays for a while, so that others hear of it.
///
/// # Errors
/// When the database refuses.
pub async fn resume(tx: &mut PgConnection, user_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE revoked_tokens
            SET expires_at = now(),
                revoked_at = clock_timestamp()
          WHERE token_id = $1 AND reason = 'suspended'",
    )
    .bind(user_id)
    .execute(tx)
    .await?;
    Ok(())
}
