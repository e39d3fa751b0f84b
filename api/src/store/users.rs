//! People who sign in.

use sqlx::{FromRow, PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::error::ApiError;
use crate::policy::Role;

/// An account without its secret.
#[derive(Debug, Clone)]
pub struct User {
    /// Its id.
    pub user_id: Uuid,
    /// Where it signs in with, lower case.
    pub email: String,
    /// What it is to the platform.
    pub role: Role,
    /// For an issuer's user: which issuer.
    pub issuer_id: Option<Uuid>,
    /// For an investor: which party.
    pub party_id: Option<String>,
    /// May not act: an investor may look still, anybody else may not come in.
    pub suspended: bool,
}

/// The columns of `user_accounts`.
#[derive(Debug, FromRow)]
struct Row {
    user_id: Uuid,
    email: String,
    role: String,
    issuer_id: Option<Uuid>,
    party_id: Option<String>,
    password_hash: String,
    suspended: bool,
}

fn read(row: Row) -> Result<(User, String), sqlx::Error> {
    let Row { user_id, email, role, issuer_id, party_id, password_hash, suspended } = row;
    let role = role.parse().map_err(|error: String| sqlx::Error::Decode(error.into()))?;
    Ok((User { user_id, email, role, issuer_id, party_id, suspended }, password_hash))
}

/// The account of an email (lower case) and its password's hash.
///
/// # Errors
/// When the database does not answer.
pub async fn by_email(pool: &PgPool, email: &str) -> Result<Option<(User, String)>, ApiError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT *
           FROM user_accounts
          WHERE email = $1",
    )
    .bind(email)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(read).transpose()?)
}

/// The account of an id.
///
/// # Errors
/// When the database does not answer.
pub async fn by_id(conn: &mut PgConnection, user_id: Uuid) -> Result<Option<User>, ApiError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT *
           FROM user_accounts
          WHERE user_id = $1",
    )
    .bind(user_id)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(read).transpose()?.map(|(user, _)| user))
}

/// The oldest account of a party: whom one of its wallets signs in as.
///
/// # Errors
/// When the database does not answer.
pub async fn of_party(pool: &PgPool, party_id: &str) -> Result<Option<User>, ApiError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT *
           FROM user_accounts
          WHERE party_id = $1
          ORDER BY user_id
          LIMIT 1",
    )
    .bind(party_id)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(read).transpose()?.map(|(user, _)| user))
}

/// Which accounts a list is to hold; the default is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this role.
    pub role: Option<Role>,
    /// Only that of this email, lower case.
    pub email: Option<String>,
    /// Only those made before this one.
    pub before: Option<Uuid>,
}

/// Accounts, newest first, up to `limit`.
///
/// # Errors
/// The database's.
pub async fn page(db: impl PgExecutor<'_>, filter: &Filter, limit: i64) -> Result<Vec<User>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT *
           FROM user_accounts
          WHERE ($1::text IS NULL OR role    = $1)
            AND ($2::text IS NULL OR email   = $2)
            AND ($3::uuid IS NULL OR user_id < $3)
          ORDER BY user_id DESC
          LIMIT $4",
    )
    .bind(filter.role.map(Role::as_str))
    .bind(&filter.email)
    .bind(filter.before)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok(read(row)?.0)).collect()
}
