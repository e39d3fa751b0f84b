//! `/offerings/{offering_id}/documents`: bring a document, take it away. They are files of the offering's token, of the same
//! types and sizes, and their hashes go the same way to its contract.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use sqlx::PgConnection;

use super::course::State;
use super::record::{self, Record};
use super::routes::{by, lock, note, open, waits};
use super::view::{self, Offering};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::files::upload::Upload;
use crate::http::envelope::RequestId;
use crate::object_id;
use crate::tokens::files::{self, Kind, NewFile};
use crate::tokens::routes::now;
use crate::tokens::uploads::{self, DocumentForm};

/// Brings a document. The same bytes again are the same document.
#[utoipa::path(
    post,
    path = "/offerings/{offering_id}/documents",
    params(("offering_id" = Uuid, Path, description = "The offering")),
    request_body(content = DocumentForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "The offering with it", body = Offering),
        (status = 200, description = "The offering, which had it", body = Offering),
    )
)]
pub(crate) async fn add(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    upload: Upload,
) -> Result<Response, ApiError> {
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let was = lock(&mut tx, &viewer, id).await?;
    if was.state == State::PendingApproval {
        return Err(waits(&was));
    }
    open(&app, &mut tx, &was).await?;
    let (file, bytes) = uploads::read(upload, Kind::Document, was.token_id.clone(), Some(was.offering_id))?;
    let known = files::of_offerings(&mut *tx, &[was.offering_id]).await?;
    if uploads::is_known(&known, &file)? {
        return view::answer(&app, &mut tx, StatusCode::OK, was).await;
    }
    app.files().put(file.object(), bytes).await.map_err(ApiError::internal)?;
    match keep(&app, &mut tx, &viewer, &request_id, was, &file).await {
        // As with a token's own: an object without a row is better than a row without one.
        Ok(answer) => tx.commit().await.map(|()| answer).map_err(Into::into),
        Err(error) => {
            uploads::forget(&app, &file).await;
            Err(error)
        }
    }
}

/// Takes a document away before the offering is approved: its link ends, its entry stays.
#[utoipa::path(
    delete,
    path = "/offerings/{offering_id}/documents/{file_id}",
    params(
        ("offering_id" = Uuid, Path, description = "The offering"),
        ("file_id" = String, Path, description = "The document", pattern = "^[0-9a-f]{24}$"),
    ),
    responses((status = 200, description = "The offering without it", body = Offering))
)]
pub(crate) async fn remove(
    Extract(app): Extract<App>,
    request_id: RequestId,
    viewer: Viewer,
    ids: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, ApiError> {
    let unknown = || ApiError::NotFound("the offering has no such document".into());
    let Path((id, file_id)) = ids.map_err(|_| unknown())?;
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let was = lock(&mut tx, &viewer, Ok(Path(id))).await?;
    match was.state {
        State::Draft | State::Rejected => open(&app, &mut tx, &was).await?,
        State::PendingApproval => return Err(waits(&was)),
        State::Approved => {
            return Err(ApiError::Conflict(
                "an approved offering keeps the documents that it was approved with".into(),
            ));
        }
    }
    let (now, own) = (now(), Some(was.offering_id));
    let removed = object_id::is_valid(&file_id)
        && files::remove(&mut tx, &was.token_id, own, Kind::Document, &file_id, now).await?;
    if !removed {
        return Err(unknown());
    }
    let record = was.touched(now);
    record::write(&mut tx, &record).await?;
    let detail = json!({ "file_id": file_id });
    note(&mut tx, by(&viewer.actor(), &request_id), "offering.document.remove", &record, detail).await?;
    let answer = view::answer(&app, &mut tx, StatusCode::OK, record).await?;
    tx.commit().await?;
    Ok(answer)
}

async fn keep(
    app: &App,
    conn: &mut PgConnection,
    viewer: &Viewer,
    request_id: &RequestId,
    was: Record,
    file: &NewFile,
) -> Result<Response, ApiError> {
    files::insert(conn, file).await?;
    let record = was.touched(file.created_at);
    record::write(conn, &record).await?;
    let hash = hex::encode(file.hash);
    let detail = json!({ "file_id": file.file_id, "name": file.name, "hash": hash, "bytes": file.bytes });
    note(conn, by(&viewer.actor(), request_id), "offering.document.add", &record, detail).await?;
    view::answer(app, conn, StatusCode::CREATED, record).await
}
