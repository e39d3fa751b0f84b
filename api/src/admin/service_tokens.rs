//! Tokens of back-office tools.

use secrecy::SecretString;
use serde_json::json;
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{By, Error, Note, check_name, note, require_issuer};
use crate::auth::revocation::{self, Reason};
use crate::auth::service;
use crate::policy::{Role, Scope};

/// A service token lives a year at most.
pub const MAX_DAYS: u16 = 365;

/// A token to be made.
#[derive(Debug, Clone)]
pub struct NewServiceToken {
    /// What it is for.
    pub name: String,
    /// Any role but investor.
    pub role: Role,
    /// With the role issuer, and only there: which issuer.
    pub issuer_id: Option<Uuid>,
    /// What it may be used for; at least one.
    pub scopes: Vec<Scope>,
    /// Days that it lives, 1–365.
    pub days: u16,
}

/// A service token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceToken {
    /// Its id, by which it is revoked.
    pub service_token_id: Uuid,
    /// What it is for.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// When it ends by itself.
    pub expires_at: OffsetDateTime,
    /// Whether it was revoked before that.
    pub revoked: bool,
}

/// Makes a service token. The text is returned here and nowhere else: only its hash is kept.
///
/// # Errors
/// When a field is malformed or the issuer unknown.
pub async fn add_service_token(pool: &PgPool, by: By<'_>, new: NewServiceToken) -> Result<(Uuid, SecretString), Error> {
    check_name("name", &new.name)?;
    let invalid = |field, message: &str| Err(Error::Invalid { field, message: message.to_owned() });
    match (new.role, new.issuer_id) {
        (Role::Investor, _) => return invalid("role", "an investor acts in person: no service token"),
        (Role::Issuer, Some(issuer_id)) => require_issuer(pool, issuer_id).await?,
        (Role::Issuer, None) => return invalid("issuer_id", "an issuer's token names its issuer"),
        (_, Some(_)) => return invalid("issuer_id", "only an issuer's token names an issuer"),
        (_, None) => {}
    }
    if new.scopes.is_empty() {
        return invalid("scopes", "at least one is needed: without any the token could do nothing");
    }
    if !(1..=MAX_DAYS).contains(&new.days) {
        return invalid("days", &format!("{} is not within 1-{MAX_DAYS}", new.days));
    }

    let (token, hash) = service::generate().map_err(|error| Error::Internal(error.to_string()))?;
    let id = Uuid::now_v7();
    let now = OffsetDateTime::now_utc();
    let scopes: Vec<&str> = new.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut tx = tokenx_migrations::begin(pool).await?;
    sqlx::query(
        "INSERT INTO service_tokens (service_token_id, name, token_hash, role, issuer_id, scopes, created_by,
                                     created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(id)
    .bind(&new.name)
    .bind(&hash[..])
    .bind(new.role.as_str())
    .bind(new.issuer_id)
    .bind(&scopes)
    .bind(by.actor)
    .bind(now)
    .bind(now + Duration::days(i64::from(new.days)))
    .execute(&mut *tx)
    .await?;
    let detail = json!({ "name": new.name, "role": new.role, "issuer_id": new.issuer_id, "scopes": scopes });
    note(&mut tx, by, Note { action: "service_token.add", subject: format!("service:{id}"), detail }).await?;
    tx.commit().await?;
    Ok((id, token.into()))
}

/// Revokes a service token: dead within two seconds everywhere.
///
/// # Errors
/// When there is none such.
pub async fn revoke_service_token(pool: &PgPool, by: By<'_>, id: Uuid) -> Result<(), Error> {
    let expires_at: Option<OffsetDateTime> =
        sqlx::query_scalar("SELECT expires_at FROM service_tokens WHERE service_token_id = $1")
            .bind(id)
            .fetch_optional(pool)
            .await?;
    let expires_at = expires_at.ok_or_else(|| Error::Unknown { what: "service token", id: id.to_string() })?;
    let mut tx = tokenx_migrations::begin(pool).await?;
    revocation::revoke(&mut tx, id, Reason::Revoked, expires_at).await?;
    let subject = format!("service:{id}");
    note(&mut tx, by, Note { action: "service_token.revoke", subject, detail: json!({}) }).await?;
    tx.commit().await?;
    Ok(())
}

/// All service tokens, newest first. None of them can be shown again.
///
/// # Errors
/// The database's.
pub async fn list_service_tokens(pool: &PgPool) -> Result<Vec<ServiceToken>, Error> {
    service_token_page(pool, None, i64::MAX).await
}

/// Service tokens made before this one, newest first, up to `limit`.
///
/// # Errors
/// The database's.
pub async fn service_token_page(pool: &PgPool, before: Option<Uuid>, limit: i64) -> Result<Vec<ServiceToken>, Error> {
    type Row = (Uuid, String, String, Vec<String>, OffsetDateTime, bool);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT t.service_token_id, t.name, t.role, t.scopes, t.expires_at, d.token_id IS NOT NULL
           FROM service_tokens t
           LEFT JOIN revoked_tokens d ON d.token_id = t.service_token_id
          WHERE ($1::uuid IS NULL OR t.service_token_id < $1)
          ORDER BY t.service_token_id DESC
          LIMIT $2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(service_token_id, name, role, scopes, expires_at, revoked)| {
            let role = role.parse().map_err(Error::Internal)?;
            Ok(ServiceToken { service_token_id, name, role, scopes, expires_at, revoked })
        })
        .collect()
}
