//! Records as they are answered: with the chain's facts and their files.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tokenx_indexer::read;
use uuid::Uuid;

use super::details::{DocumentView, ImageView, Meta, Token, timestamp};
use super::facts::{self, Facts};
use super::files::{self, File, Kind};
use super::record::{self, Record};
use crate::app::App;
use crate::error::ApiError;
use crate::store::shared::Shared;

/// All that is known of a token.
#[derive(Debug)]
pub(crate) struct Known {
    record: Record,
    facts: Facts,
    files: Vec<File>,
}

/// Records by their ids, as they are asked for one by one: `None` where there is none of this id.
pub(crate) type Details = Shared<String, Option<Arc<Known>>>;

/// Reads records together that are asked for at the same time.
pub(crate) fn details(pool: PgPool, chain_id: u64) -> Details {
    Shared::new(move |ids: Vec<String>| {
        let pool = pool.clone();
        async move {
            let known = by_ids(&pool, chain_id, &ids).await;
            let known =
                known.inspect_err(|error| tracing::debug!(%error, "records could not be read together")).ok()?;
            Some(ids.iter().map(|id| known.get(id).cloned()).collect())
        }
    })
}

async fn by_ids(pool: &PgPool, chain_id: u64, ids: &[String]) -> Result<HashMap<String, Arc<Known>>, ApiError> {
    let mut tx = read::snapshot(pool).await?;
    let ids: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let records = record::of_ids(&mut *tx, &Vec::from_iter(ids)).await?;
    let facts = facts::of(&mut tx, chain_id, &records).await?;
    let known = all_known(&mut tx, records.into_iter().zip(facts).collect()).await?;
    Ok(known.into_iter().map(|known| (known.record.token_id.clone(), Arc::new(known))).collect())
}

async fn all_known(conn: &mut PgConnection, records: Vec<(Record, Facts)>) -> Result<Vec<Known>, ApiError> {
    let ids: Vec<&str> = records.iter().map(|(record, _)| record.token_id.as_str()).collect();
    let mut files: HashMap<String, Vec<File>> = HashMap::new();
    for file in files::of(conn, &ids).await? {
        files.entry(file.token_id.clone()).or_default().push(file);
    }
    let known = |(record, facts): (Record, Facts)| {
        let files = files.remove(&record.token_id).unwrap_or_default();
        Known { record, facts, files }
    };
    Ok(records.into_iter().map(known).collect())
}

/// The token of this id, of this issuer where one is given; `None` where there is none.
///
/// # Errors
/// The database's.
pub(super) async fn by_id(app: &App, id: String, issuer: Option<Uuid>) -> Result<Option<Token>, ApiError> {
    let known = match app.token_details().get(id.clone()).await {
        Some(known) => known,
        None => by_ids(app.pool(), app.chain_id(), std::slice::from_ref(&id)).await?.remove(&id),
    };
    let known = known.filter(|known| issuer.is_none_or(|issuer| known.record.issuer_id == issuer));
    Ok(known.map(|known| token(app, &known)))
}

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
    Ok(all_known(conn, records).await?.iter().map(|known| token(app, known)).collect())
}

fn token(app: &App, known: &Known) -> Token {
    let meta = meta(app, known.record.draft.is_public, &known.files);
    Token::of(known.record.clone(), &known.facts, meta)
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
