//! People who sign in.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use tokenx_config::Auth;
use uuid::Uuid;

use super::{By, Error, Note, exists_on, note, require_issuer, require_party};
use crate::auth::password::Passwords;
use crate::auth::routes::MAX_PASSWORD;
use crate::auth::{revocation, session};
use crate::policy::Role;
use crate::store::users::{self, User};

/// The shortest password taken, in characters (NIST SP 800-63B).
const MIN_PASSWORD: usize = 8;

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Where it signs in with; case does not matter.
    pub email: String,
    /// Its first password.
    pub password: SecretString,
    /// What it is to the platform.
    pub role: Role,
    /// For an issuer's user, and only there: which issuer.
    pub issuer_id: Option<Uuid>,
    /// For an investor, and only there: which party.
    pub party_id: Option<String>,
}

/// Adds an account. `auth` gives the costs of its password's hash.
///
/// # Errors
/// When a field is malformed, the email is taken, or role and tenant do not go together.
pub async fn add_user(pool: &PgPool, auth: &Auth, by: By<'_>, new: NewUser) -> Result<User, Error> {
    let email = new.email.to_lowercase();
    check_email(&email)?;
    check_password(&new.password)?;
    match (new.role, new.issuer_id, new.party_id.as_deref()) {
        (Role::Issuer, Some(issuer_id), None) => require_issuer(pool, issuer_id).await?,
        (Role::Investor, None, Some(party_id)) => require_party(pool, party_id).await?,
        (Role::Issuer, ..) => return Err(tenant("an issuer's user belongs to one issuer and to no party")),
        (Role::Investor, ..) => return Err(tenant("an investor belongs to one party and to no issuer")),
        (_, None, None) => {}
        _ => return Err(tenant("staff belong to no issuer and to no party")),
    }
    let passwords = Passwords::new(auth).map_err(|error| Error::Internal(error.to_string()))?;
    let hash = passwords.hash(new.password).await.map_err(|error| Error::Internal(error.to_string()))?;

    let user = User {
        user_id: Uuid::now_v7(),
        email,
        role: new.role,
        issuer_id: new.issuer_id,
        party_id: new.party_id,
        suspended: false,
    };
    let mut tx = tokenx_migrations::begin(pool).await?;
    sqlx::query(
        "INSERT INTO users (user_id, email, password_hash, role, issuer_id, party_id)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(user.user_id)
    .bind(&user.email)
    .bind(hash)
    .bind(user.role.as_str())
    .bind(user.issuer_id)
    .bind(&user.party_id)
    .execute(&mut *tx)
    .await
    .map_err(exists_on("users_email_unique", || format!("an account with the email {} exists already", user.email)))?;
    let detail = json!({ "role": user.role, "issuer_id": user.issuer_id, "party_id": user.party_id });
    note(&mut tx, by, Note { action: "user.add", subject: format!("user:{}", user.user_id), detail }).await?;
    tx.commit().await?;
    Ok(user)
}

/// Suspends an account, or takes that back; the same again changes nothing. A suspended investor looks still and does
/// nothing; anybody else is out. It counts within two seconds everywhere.
///
/// # Errors
/// When there is no such account, or it is the caller's own.
pub async fn suspend_user(pool: &PgPool, by: By<'_>, user_id: Uuid, suspended: bool) -> Result<User, Error> {
    if by.actor == format!("user:{user_id}") {
        return Err(Error::Refused("nobody suspends the own account: ask another super admin".to_owned()));
    }
    let mut tx = tokenx_migrations::begin(pool).await?;
    let was = found(&mut tx, user_id).await?;
    if was.suspended != suspended {
        let action = if suspended { "user.suspend" } else { "user.resume" };
        if suspended {
            revocation::suspend(&mut tx, user_id).await?;
        } else {
            revocation::resume(&mut tx, user_id).await?;
        }
        note(&mut tx, by, Note { action, subject: format!("user:{user_id}"), detail: json!({}) }).await?;
    }
    tx.commit().await?;
    Ok(User { suspended, ..was })
}

/// Gives an account another password, and ends all its sign-ins.
///
/// # Errors
/// When there is no such account, or the password is none.
pub async fn set_password(
    pool: &PgPool,
    auth: &Auth,
    by: By<'_>,
    user_id: Uuid,
    password: SecretString,
) -> Result<(), Error> {
    check_password(&password)?;
    let passwords = Passwords::new(auth).map_err(|error| Error::Internal(error.to_string()))?;
    let hash = passwords.hash(password).await.map_err(|error| Error::Internal(error.to_string()))?;
    let mut tx = tokenx_migrations::begin(pool).await?;
    // A sign-in by the old one is over before this, and ended below, or finds it changed.
    sqlx::query("UPDATE users SET password_hash = $2 WHERE user_id = $1")
        .bind(user_id)
        .bind(hash)
        .execute(&mut *tx)
        .await?;
    found(&mut tx, user_id).await?;
    session::close_all(&mut tx, user_id, auth).await?;
    let subject = format!("user:{user_id}");
    note(&mut tx, by, Note { action: "user.set_password", subject, detail: json!({}) }).await?;
    tx.commit().await?;
    Ok(())
}

async fn found(conn: &mut PgConnection, user_id: Uuid) -> Result<User, Error> {
    let user = users::by_id(conn, user_id).await.map_err(|error| Error::Internal(error.to_string()))?;
    user.ok_or_else(|| Error::Unknown { what: "account", id: user_id.to_string() })
}

/// All accounts, oldest first.
///
/// # Errors
/// The database's.
pub async fn list_users(pool: &PgPool) -> Result<Vec<User>, Error> {
    let mut all = users::page(pool, &users::Filter::default(), i64::MAX).await?;
    all.reverse();
    Ok(all)
}

fn tenant(message: &str) -> Error {
    Error::Invalid { field: "role", message: message.to_owned() }
}

fn check_email(email: &str) -> Result<(), Error> {
    let one_at = email
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    let plain = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if one_at && plain && (3..=254).contains(&email.len()) {
        return Ok(());
    }
    Err(Error::Invalid { field: "email", message: format!("{email:?} is not an email address") })
}

fn check_password(password: &SecretString) -> Result<(), Error> {
    let text = password.expose_secret();
    if text.chars().count() >= MIN_PASSWORD && text.len() <= MAX_PASSWORD && !text.contains('\0') {
        return Ok(());
    }
    let message = format!("it needs at least {MIN_PASSWORD} characters and at most {MAX_PASSWORD} bytes");
    Err(Error::Invalid { field: "password", message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_has_one_at_between_two_parts() {
        assert!(check_email("alice@example.org").is_ok());
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a\n@b"] {
            assert!(check_email(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_password_is_neither_short_nor_endless() {
        assert!(check_password(&"12345678".to_owned().into()).is_ok());
        assert!(check_password(&"1234567".to_owned().into()).is_err());
        assert!(check_password(&"x".repeat(MAX_PASSWORD + 1).into()).is_err());
    }
}
