//! People who sign in.

use sqlx::{PgConnection, PgPool};
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
}

type Row = (Uuid, String, String, Option<Uuid>, Option<String>, String);

fn read((user_id, email, role, issuer_id, party_id, hash): Row) -> Result<(User, String), ApiError> {
    let role = role.parse().map_err(|error: String| ApiError::internal(error))?;
    Ok((User { user_id, email, role, issuer_id, party_id }, hash))
}

/// The account of an email (lower case) and its password's hash.
///
/// # Errors
/// When the database does not answer.
pub async fn by_email(pool: &PgPool, email: &str) -> Result<Option<(User, String)>, ApiError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT user_id, email, role, issuer_id, party_id, password_hash
           FROM users
          WHERE email = $1",
    )
    .bind(email)
    .fetch_optional(pool)
    .await?;
    row.map(read).transpose()
}

/// The account of an id.
///
/// # Errors
/// When the database does not answer.
pub async fn by_id(conn: &mut PgConnection, user_id: Uuid) -> Result<Option<User>, ApiError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT user_id, email, role, issuer_id, party_id, password_hash
           FROM users
          WHERE user_id = $1",
    )
    .bind(user_id)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(read).transpose()?.map(|(user, _)| user))
}
