//! Rows of `token_files`: images and documents of tokens.

use alloy::primitives::B256;
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use tokenx_migrations::Word;
use uuid::Uuid;

use crate::files::store::ObjectName;

/// What a file is to its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A picture of what it stands for.
    Image,
    /// A paper about it.
    Document,
}

impl Kind {
    /// Its name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Image => "image",
            Kind::Document => "document",
        }
    }
}

/// A file of a token, or of one of its offerings.
#[derive(Debug, Clone, FromRow)]
pub struct File {
    /// Its id, 24 hex.
    pub file_id: String,
    /// Whose it is.
    pub token_id: String,
    kind: String,
    /// What the store calls it.
    pub object_id: Uuid,
    /// Its type's.
    pub extension: String,
    /// What people call it.
    pub name: String,
    /// 1 = standard.
    pub document_type: i16,
    /// The image that is shown first.
    pub is_default: bool,
    hash: Word,
    /// When it was uploaded.
    pub created_at: OffsetDateTime,
    /// When it was taken away.
    pub deleted_at: Option<OffsetDateTime>,
    /// The offering that it is of; `None`: of the token itself.
    pub offering_id: Option<Uuid>,
    /// The command that names its hash in the token's contract.
    pub anchored_by: Option<String>,
    /// The one that takes it back.
    pub released_by: Option<String>,
}

/// A file to be kept.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// Its id, 24 hex.
    pub file_id: String,
    /// Whose it is.
    pub token_id: String,
    /// What it is to its token.
    pub kind: Kind,
    /// What the store calls it.
    pub object_id: Uuid,
    /// Its type's.
    pub extension: &'static str,
    /// What people call it.
    pub name: String,
    /// 1 = standard.
    pub document_type: i16,
    /// The image that is shown first.
    pub is_default: bool,
    /// SHA-256.
    pub hash: B256,
    /// Its length in bytes.
    pub bytes: i64,
    /// When it was uploaded.
    pub created_at: OffsetDateTime,
    /// The offering that it is of; `None`: of the token itself.
    pub offering_id: Option<Uuid>,
}

impl File {
    /// What it is to its token.
    pub fn kind(&self) -> Kind {
        if self.kind == Kind::Image.as_str() { Kind::Image } else { Kind::Document }
    }

    /// SHA-256.
    pub fn hash(&self) -> B256 {
        self.hash.0
    }

    /// What the store calls it.
    pub fn object(&self) -> ObjectName<'_> {
        ObjectName { token_id: &self.token_id, object_id: self.object_id, extension: &self.extension }
    }
}

impl NewFile {
    /// What the store calls it.
    pub fn object(&self) -> ObjectName<'_> {
        ObjectName { token_id: &self.token_id, object_id: self.object_id, extension: self.extension }
    }
}

/// All files of these tokens themselves, those taken away included, oldest first.
///
/// # Errors
/// The database's.
pub async fn of(db: impl PgExecutor<'_>, token_ids: &[&str]) -> Result<Vec<File>, sqlx::Error> {
    sqlx::query_as(
        "SELECT *
           FROM token_files
          WHERE token_id = ANY ((SELECT $1)::text[]) AND offering_id IS NULL
          ORDER BY created_at, file_id",
    )
    .bind(token_ids)
    .fetch_all(db)
    .await
}

/// The same of these offerings.
///
/// # Errors
/// The database's.
pub async fn of_offerings(db: impl PgExecutor<'_>, offering_ids: &[Uuid]) -> Result<Vec<File>, sqlx::Error> {
    sqlx::query_as(
        "SELECT *
           FROM token_files
          WHERE offering_id = ANY ($1)
          ORDER BY created_at, file_id",
    )
    .bind(offering_ids)
    .fetch_all(db)
    .await
}

/// Keeps a file. The caller has locked its token, or its offering.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut PgConnection, file: &NewFile) -> Result<(), sqlx::Error> {
    if file.is_default {
        sqlx::query("UPDATE token_files SET is_default = false WHERE token_id = $1 AND is_default")
            .bind(&file.token_id)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::query(
        "INSERT INTO token_files (file_id, token_id, kind, object_id, extension, name, document_type, is_default, hash,
                                  bytes, created_at, offering_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(&file.file_id)
    .bind(&file.token_id)
    .bind(file.kind.as_str())
    .bind(file.object_id)
    .bind(file.extension)
    .bind(&file.name)
    .bind(file.document_type)
    .bind(file.is_default)
    .bind(Word(file.hash))
    .bind(file.bytes)
    .bind(file.created_at)
    .bind(file.offering_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes a file away; false where there is none to take.
///
/// # Errors
/// The database's.
pub async fn remove(
    conn: &mut PgConnection,
    token_id: &str,
    offering_id: Option<Uuid>,
    kind: Kind,
    file_id: &str,
    now: OffsetDateTime,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE token_files
            SET deleted_at = $5
          WHERE token_id = $1 AND offering_id IS NOT DISTINCT FROM $2 AND kind = $3 AND file_id = $4
            AND deleted_at IS NULL",
    )
    .bind(token_id)
    .bind(offering_id)
    .bind(kind.as_str())
    .bind(file_id)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A file that is there, by its name in the store, and what decides who may have it: its token's issuer, and whether
/// that is public.
///
/// # Errors
/// The database's.
pub async fn find(
    db: impl PgExecutor<'_>,
    token_id: &str,
    object_id: Uuid,
) -> Result<Option<(File, Uuid, bool)>, sqlx::Error> {
    let row: Option<Owned> = sqlx::query_as(
        "SELECT f.*, n.issuer_id, t.is_public
           FROM token_files f
           JOIN tokens t ON t.token_id = f.token_id
           JOIN nodes n  ON n.node_id  = t.node_id
          WHERE f.token_id = $1 AND f.object_id = $2 AND f.deleted_at IS NULL",
    )
    .bind(token_id)
    .bind(object_id)
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| (row.file, row.issuer_id, row.is_public)))
}

#[derive(FromRow)]
struct Owned {
    #[sqlx(flatten)]
    file: File,
    issuer_id: Uuid,
    is_public: bool,
}
