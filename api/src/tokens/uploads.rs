//! `/v2/admin/token/{token_id}/images` and `/documents`: bring a file, take it away.

use alloy::primitives::B256;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::details::Token;
use super::files::{self, Kind, NewFile};
use super::record::{self, Record};
use super::routes::{note, now, tenant, token_id, unknown};
use super::show::shown;
use crate::app::App;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::files::sniff::FileType;
use crate::files::upload::Upload;
use crate::http::envelope::RequestId;
use crate::object_id;

/// Files of one token, or of one offering, those taken away included.
const MOST: usize = 500;
/// Longest name of a file.
const LONGEST_NAME: usize = 200;

/// An image and what is said of it.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct ImageForm {
    /// PNG, JPEG or WebP.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Whether it is shown first; false unless given.
    #[schema(required = false)]
    is_default: Option<bool>,
}

/// A document and what is said of it.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct DocumentForm {
    /// PDF, PNG, JPEG or WebP.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What people call it; the file's own name unless given.
    #[schema(required = false, max_length = 200)]
    name: Option<String>,
    /// 1 = standard, unless given.
    #[schema(required = false, minimum = 1, maximum = 32_767)]
    r#type: Option<i16>,
}

/// Brings an image. The same bytes again are the same image.
#[utoipa::path(
    post,
    path = "/v2/admin/token/{token_id}/images",
    params(("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$")),
    request_body(content = ImageForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "The token with it", body = Token),
        (status = 200, description = "The token, which had it", body = Token),
    )
)]
pub(crate) async fn add_image(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    upload: Upload,
) -> Result<Response, ApiError> {
    add(&app, &request_id, &viewer, id, Kind::Image, upload).await
}

/// Brings a document. The same bytes again are the same document.
#[utoipa::path(
    post,
    path = "/v2/admin/token/{token_id}/documents",
    params(("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$")),
    request_body(content = DocumentForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "The token with it", body = Token),
        (status = 200, description = "The token, which had it", body = Token),
    )
)]
pub(crate) async fn add_document(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    upload: Upload,
) -> Result<Response, ApiError> {
    add(&app, &request_id, &viewer, id, Kind::Document, upload).await
}

/// Takes an image away: its link ends, its entry stays.
#[utoipa::path(
    delete,
    path = "/v2/admin/token/{token_id}/images/{file_id}",
    params(
        ("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$"),
        ("file_id" = String, Path, description = "The image", pattern = "^[0-9a-f]{24}$"),
    ),
    responses((status = 200, description = "The token without it", body = Token))
)]
pub(crate) async fn remove_image(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    ids: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Token>, ApiError> {
    remove(&app, &request_id, &viewer, ids, Kind::Image).await
}

/// Takes a document away: its link ends, its entry stays.
#[utoipa::path(
    delete,
    path = "/v2/admin/token/{token_id}/documents/{file_id}",
    params(
        ("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$"),
        ("file_id" = String, Path, description = "The document", pattern = "^[0-9a-f]{24}$"),
    ),
    responses((status = 200, description = "The token without it", body = Token))
)]
pub(crate) async fn remove_document(
    State(app): State<App>,
    request_id: RequestId,
    viewer: Viewer,
    ids: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<Token>, ApiError> {
    remove(&app, &request_id, &viewer, ids, Kind::Document).await
}

async fn add(
    app: &App,
    request_id: &RequestId,
    viewer: &Viewer,
    id: Result<Path<String>, PathRejection>,
    kind: Kind,
    upload: Upload,
) -> Result<Response, ApiError> {
    let (file, bytes) = read(upload, kind, token_id(id)?, None)?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let was = record::lock(&mut tx, &file.token_id, tenant(viewer)).await?.ok_or_else(unknown)?;
    let known = files::of(&mut *tx, &[&was.token_id]).await?;
    if is_known(&known, &file)? {
        return Ok((StatusCode::OK, Json(shown(app, &mut tx, was).await?)).into_response());
    }
    app.files().put(file.object(), bytes).await.map_err(ApiError::internal)?;
    match keep(app, &mut tx, viewer, request_id, was, &file).await {
        // A commit that fails may still have happened: an object without a row is better than a row without one.
        Ok(token) => tx.commit().await.map(|()| (StatusCode::CREATED, Json(token)).into_response()).map_err(Into::into),
        Err(error) => {
            forget(app, &file).await;
            Err(error)
        }
    }
}

/// What was sent, checked: a file that is to be kept, and its bytes.
pub(crate) fn read(
    mut upload: Upload,
    kind: Kind,
    token_id: String,
    offering_id: Option<Uuid>,
) -> Result<(NewFile, Bytes), ApiError> {
    let is_default = kind == Kind::Image && upload.word("is_default", |text| text.parse().ok())?.unwrap_or(false);
    let (given, document_type) = match kind {
        Kind::Image => (None, 0),
        Kind::Document => {
            let of = upload.word("type", |text| text.parse::<i16>().ok().filter(|of| *of > 0))?.unwrap_or(1);
            (upload.word("name", name)?, of)
        }
    };
    upload.finish()?;
    let found = FileType::of(&upload.bytes).filter(|found| kind == Kind::Document || found.is_image());
    let Some(found) = found else {
        let types = if kind == Kind::Image { "PNG, JPEG or WebP" } else { "PDF, PNG, JPEG or WebP" };
        let message = format!("the file is no whole {types}: its bytes say what it is, and nothing may follow them");
        return Err(ApiError::Rejected(vec![FieldError::body("file", "value_error", message)]));
    };
    let sent = upload.file_name.as_deref().and_then(|sent| name(sent.rsplit(['/', '\\']).next().unwrap_or_default()));
    let object_id = Uuid::new_v4();
    let file = NewFile {
        file_id: object_id::generate(),
        token_id,
        kind,
        object_id,
        extension: found.extension(),
        name: given.or(sent).unwrap_or_else(|| format!("{object_id}.{}", found.extension())),
        document_type,
        is_default,
        hash: B256::from_slice(&Sha256::digest(&upload.bytes)),
        bytes: i64::try_from(upload.bytes.len()).map_err(ApiError::internal)?,
        created_at: now(),
        offering_id,
    };
    Ok((file, upload.bytes))
}

/// Whether the same bytes are there already.
///
/// # Errors
/// 409 where there is no room for more.
pub(crate) fn is_known(known: &[files::File], file: &NewFile) -> Result<bool, ApiError> {
    let same =
        |known: &files::File| known.kind() == file.kind && known.hash() == file.hash && known.deleted_at.is_none();
    if known.iter().any(same) {
        return Ok(true);
    }
    if known.len() >= MOST {
        return Err(ApiError::Conflict(format!(
            "there are {MOST} files already, those taken away included: no more fit"
        )));
    }
    Ok(false)
}

/// Forgets the bytes of a file whose row was not written.
pub(crate) async fn forget(app: &App, file: &NewFile) {
    if let Err(left) = app.files().forget(file.object()).await {
        tracing::warn!(error = %left, object = %file.object(), "a file without a row is left in the store");
    }
}

async fn keep(
    app: &App,
    conn: &mut PgConnection,
    viewer: &Viewer,
    request_id: &RequestId,
    was: Record,
    file: &NewFile,
) -> Result<Token, ApiError> {
    files::insert(conn, file).await?;
    let record = touched(was, file.created_at);
    record::write(conn, &record).await?;
    let action = if file.kind == Kind::Image { "token.image.add" } else { "token.document.add" };
    let hash = hex::encode(file.hash);
    let detail = json!({ "file_id": file.file_id, "name": file.name, "hash": hash, "bytes": file.bytes });
    note(conn, viewer, request_id, action, &file.token_id, detail).await?;
    shown(app, conn, record).await
}

async fn remove(
    app: &App,
    request_id: &RequestId,
    viewer: &Viewer,
    ids: Result<Path<(String, String)>, PathRejection>,
    kind: Kind,
) -> Result<Json<Token>, ApiError> {
    let Path((token, file_id)) = ids.map_err(|_| unknown())?;
    let token = token_id(Ok(Path(token)))?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let was = record::lock(&mut tx, &token, tenant(viewer)).await?.ok_or_else(unknown)?;
    let now = now();
    if !object_id::is_valid(&file_id) || !files::remove(&mut tx, &token, None, kind, &file_id, now).await? {
        return Err(ApiError::NotFound(format!("the token has no such {}", kind.as_str())));
    }
    let record = touched(was, now);
    record::write(&mut tx, &record).await?;
    let action = if kind == Kind::Image { "token.image.remove" } else { "token.document.remove" };
    note(&mut tx, viewer, request_id, action, &token, json!({ "file_id": file_id })).await?;
    let shown = shown(app, &mut tx, record).await?;
    tx.commit().await?;
    Ok(Json(shown))
}

fn touched(record: Record, updated_at: OffsetDateTime) -> Record {
    Record { updated_at, ..record }
}

/// A name to show: one line, short enough.
fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}
