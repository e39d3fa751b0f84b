//! Sign-ins. A sign-in is a family of refresh tokens, each good for one use; presenting a used one means that
//! two hold copies, and since nobody can tell the thief the whole family dies, access tokens included.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use time::{Duration, OffsetDateTime};
use tokenx_config::Auth;
use tokenx_migrations::audit;
use uuid::Uuid;

use super::access::Identity;
use super::revocation::{self, Reason};
use super::{secret_bytes, suspended, token_hash};
use crate::app::App;
use crate::error::ApiError;
use crate::policy::Role;
use crate::store::users::{self, User};

/// A sign-in's tokens, fresh.
#[derive(Debug)]
pub struct Opened {
    /// Who signed in.
    pub user: User,
    /// The access token.
    pub access_token: String,
    /// The refresh token, good for one use.
    pub refresh_token: String,
}

/// How a user has shown who he is.
#[derive(Debug, Clone, Copy)]
pub enum Proof<'a> {
    /// By the password of this hash.
    Password(&'a str),
    /// By a wallet's signature.
    Signature,
}

/// Opens a family for a user who has shown who he is.
///
/// # Errors
/// 403 of a suspended account, an investor's excepted; 401 where the password was changed while it was checked; when the
/// database refuses.
pub async fn open(app: &App, user: User, proof: Proof<'_>, request_id: &str) -> Result<Opened, ApiError> {
    admit(&user)?;
    let family = Uuid::now_v7();
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    if let Proof::Password(hash) = proof {
        // Whoever changes it waits for this and then ends the family, or is waited for.
        let unchanged = sqlx::query("SELECT FROM users WHERE user_id = $1 AND password_hash = $2 FOR SHARE")
            .bind(user.user_id)
            .bind(hash)
            .fetch_optional(&mut *tx)
            .await?;
        unchanged.ok_or(ApiError::Unauthenticated("email or password is wrong"))?;
    }
    let refresh_token = insert(&mut tx, family, user.user_id, app.refresh_ttl()).await?;
    let actor = format!("user:{}", user.user_id);
    log(&mut tx, &actor, "session.open", family, request_id).await?;
    tx.commit().await?;
    finish(app, user, family, refresh_token)
}

/// Trades a refresh token for new tokens of the same family.
///
/// # Errors
/// 401 where the token is unknown, expired, of a dead family, or used before; the last kills the family.
pub async fn rotate(app: &App, refresh_token: &str, request_id: &str) -> Result<Opened, ApiError> {
    const INVALID: ApiError = ApiError::Unauthenticated("the refresh token is not valid: log in again");
    let hash = token_hash(refresh_token);
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    // Of two at once, the second waits on the row here and then finds it used.
    let taken: Option<(Uuid, Uuid)> = sqlx::query_as(
        "UPDATE refresh_tokens
            SET used_at = now()
          WHERE token_hash = $1
            AND used_at IS NULL
            AND expires_at > now()
      RETURNING family_id, user_id",
    )
    .bind(&hash[..])
    .fetch_optional(&mut *tx)
    .await?;
    let Some((family, user_id)) = taken else {
        tx.rollback().await?;
        kill_if_reused(app, &hash, request_id).await?;
        return Err(INVALID);
    };
    let dead = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM revoked_tokens WHERE token_id = $1)")
        .bind(family)
        .fetch_one(&mut *tx)
        .await?;
    if dead {
        return Err(INVALID);
    }
    let user = users::by_id(&mut tx, user_id).await?.ok_or(INVALID)?;
    admit(&user)?;
    let refresh_token = insert(&mut tx, family, user_id, app.refresh_ttl()).await?;
    log(&mut tx, &format!("user:{user_id}"), "session.refresh", family, request_id).await?;
    tx.commit().await?;
    finish(app, user, family, refresh_token)
}

/// Ends a family: its access tokens and refresh tokens are dead, here at once.
///
/// # Errors
/// When the database refuses.
pub async fn close(app: &App, family: Uuid, actor: &str, reason: Reason, request_id: &str) -> Result<(), ApiError> {
    // No token of the family outlives this.
    let until = OffsetDateTime::now_utc() + app.refresh_ttl().max(Duration::seconds(app.access_keys().ttl_seconds()));
    let action = match reason {
        Reason::RefreshReused => "session.refresh_reused",
        Reason::Logout | Reason::Revoked | Reason::Spent => "session.close",
    };
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    revocation::revoke(&mut tx, family, reason, until).await?;
    log(&mut tx, actor, action, family, request_id).await?;
    tx.commit().await?;
    app.revocations().learn(family, until);
    Ok(())
}

/// A suspended investor may look still; nobody else comes in.
fn admit(user: &User) -> Result<(), ApiError> {
    if user.suspended && user.role != Role::Investor {
        return Err(suspended());
    }
    Ok(())
}

/// Ends every family of a user in the caller's transaction: whoever signed in by the old password is out.
///
/// # Errors
/// When the database refuses.
pub async fn close_all(tx: &mut PgConnection, user_id: Uuid, auth: &Auth) -> Result<(), sqlx::Error> {
    let longest = auth.refresh_ttl_seconds.max(auth.access_ttl_seconds);
    let until = OffsetDateTime::now_utc() + Duration::seconds(longest.try_into().unwrap_or(i64::MAX));
    let families: Vec<Uuid> = sqlx::query_scalar("SELECT DISTINCT family_id FROM refresh_tokens WHERE user_id = $1")
        .bind(user_id)
        .fetch_all(&mut *tx)
        .await?;
    for family in families {
        revocation::revoke(tx, family, Reason::Revoked, until).await?;
    }
    Ok(())
}

async fn kill_if_reused(app: &App, hash: &[u8; 32], request_id: &str) -> Result<(), ApiError> {
    let reused: Option<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT r.family_id, r.user_id
           FROM refresh_tokens r
          WHERE r.token_hash = $1
            AND r.used_at IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM revoked_tokens d WHERE d.token_id = r.family_id)",
    )
    .bind(&hash[..])
    .fetch_optional(app.pool())
    .await?;
    let Some((family, user_id)) = reused else { return Ok(()) };
    tracing::warn!(%family, %user_id, "a used refresh token came back: its sign-in is revoked");
    close(app, family, &format!("user:{user_id}"), Reason::RefreshReused, request_id).await
}

/// Removes refresh tokens that expired more than a day ago: kept till then, a reuse still kills the family.
///
/// # Errors
/// When the database refuses.
pub async fn forget_expired(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM refresh_tokens WHERE expires_at < now() - interval '1 day'").execute(pool).await?;
    sqlx::query("DELETE FROM revoked_tokens WHERE expires_at < now() - interval '1 day'").execute(pool).await?;
    Ok(())
}

async fn insert(tx: &mut PgConnection, family: Uuid, user_id: Uuid, ttl: Duration) -> Result<String, ApiError> {
    let token = URL_SAFE_NO_PAD.encode(secret_bytes()?);
    sqlx::query(
        "INSERT INTO refresh_tokens (token_hash, family_id, user_id, expires_at)
         VALUES ($1, $2, $3, $4)",
    )
    .bind(&token_hash(&token)[..])
    .bind(family)
    .bind(user_id)
    .bind(OffsetDateTime::now_utc() + ttl)
    .execute(tx)
    .await?;
    Ok(token)
}

async fn log(
    tx: &mut PgConnection,
    actor: &str,
    action: &str,
    family: Uuid,
    request_id: &str,
) -> Result<(), sqlx::Error> {
    let subject = format!("session:{family}");
    let request_id = Some(request_id);
    audit::append(tx, audit::Entry { actor, action, subject: &subject, request_id, detail: json!({}) }).await
}

fn finish(app: &App, user: User, family: Uuid, refresh_token: String) -> Result<Opened, ApiError> {
    let identity =
        Identity { user_id: user.user_id, role: user.role, issuer_id: user.issuer_id, party_id: user.party_id.clone() };
    let access_token = app.access_keys().issue(&identity, family, OffsetDateTime::now_utc())?;
    Ok(Opened { user, access_token, refresh_token })
}
