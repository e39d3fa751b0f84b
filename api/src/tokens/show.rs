//! Records as they are answered: with the chain's facts and their files.

use std::collections::HashMap;

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::details::{DocumentView, ImageView, Meta, Token, timestamp};
use super::facts::{self, Facts};
use super::files::{self, File, Kind};
use super::record::Record;
use crate::app::App;
use crate::error::ApiError;

/// One record, as the transaction sees the chain.
///
/// # Errors
/// The database's.
pub async fn shown(app: &App, conn: &mut PgConnection, record: Record) -> Result<Token, ApiError> {
    let facts = facts::of(conn, app.chain_id(), std::slice::from_ref(&record)).await?;
    let facts = facts.into_iter().next().unwrap_or_default();
    let mut tokens = all_shown(app, conn, vec![(record, facts)]).await?;
    tokens.pop().ok_or_else(|| ApiError::internal("a record that does not show"))
}

/// Records whose facts are known.
///
/// # Errors
/// The database's.
pub async fn all_shown(
    app: &App,
    conn: &mut PgConnection,
    records: Vec<(Record, Facts)>,
) -> Result<Vec<Token>, ApiError> {
    let ids: Vec<&str> = records.iter().map(|(record, _)| record.token_id.as_str()).collect();
    let mut files: HashMap<String, Vec<File>> = HashMap::new();
    for file in files::of(conn, &ids).await? {
        files.entry(file.token_id.clone()).or_default().push(file);
    }
    let show = |(record, facts): (Record, Facts)| {
        let files = files.remove(&record.token_id).unwrap_or_default();
        let meta = meta(app, record.draft.is_public, &files);
        Token::of(record, &facts, meta)
    };
    Ok(records.into_iter().map(show).collect())
}

/// A file's link. Whoever may see what it belongs to may follow it for some minutes, without a token in a header; one that
/// is open to anyone, or taken away, is shown bare.
pub(crate) fn link(app: &App, file: &File, open: bool) -> String {
    let url = format!("{}/files/{}", app.settings().server.public_url(), file.object());
    if open || file.deleted_at.is_some() {
        return url;
    }
    let now = OffsetDateTime::now_utc().unix_timestamp().unsigned_abs();
    format!("{url}?{}", app.links().query(file.object(), now))
}

fn meta(app: &App, is_public: bool, files: &[File]) -> Meta {
    let url = |file: &File| link(app, file, is_public && file.kind() == Kind::Image);
    let image = |file: &File| ImageView {
        id: file.file_id.clone(),
        url: url(file),
        is_default: file.is_default,
        hash: hex::encode(file.hash()),
        created_at: timestamp(file.created_at),
        deleted_at: file.deleted_at.map(timestamp),
    };
    let document = |file: &File| DocumentView {
        id: file.file_id.clone(),
        name: file.name.clone(),
        url: url(file),
        r#type: file.document_type,
        hash: hex::encode(file.hash()),
        created_at: timestamp(file.created_at),
        deleted_at: file.deleted_at.map(timestamp),
    };
    Meta {
        images: files.iter().filter(|file| file.kind() == Kind::Image).map(image).collect(),
        documents: files.iter().filter(|file| file.kind() == Kind::Document).map(document).collect(),
    }
}
