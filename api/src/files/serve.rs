//! `GET /files/{token_id}/{file}`: the bytes, as an attachment that no page can run.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use time::OffsetDateTime;
use uuid::Uuid;

use super::link::Verdict;
use super::sniff::FileType;
use crate::app::App;
use crate::auth::{self, Viewer};
use crate::error::ApiError;
use crate::http::query::Query;
use crate::offerings::record as offerings;
use crate::offerings::visibility::Sees;
use crate::policy::{Role, Scope};
use crate::tokens::files::{self, File, Kind};

/// Whatever the browser makes of the bytes, it makes it in a box: no script, no origin, nothing loaded.
const BOX: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'");
/// What anyone may have may be kept for a while: as long as a picture that was taken away may still show.
const PUBLIC: HeaderValue = HeaderValue::from_static("public, max-age=300");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

/// A file of a token: an image of a public token to anyone, a document of an offering to whoever sees the offering,
/// everything else to its issuer, to staff, and by a link that one of them was shown.
#[utoipa::path(
    get,
    path = "/files/{token_id}/{file}",
    params(
        ("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$"),
        ("file" = String, Path, description = "The file's name", pattern = "^[0-9a-f-]{36}\\.(png|jpeg|webp|pdf)$"),
        ("expires" = Option<u64>, Query, description = "Of a signed link: the Unix second at which it ends"),
        ("signature" = Option<String>, Query, description = "Of a signed link"),
    ),
    responses((status = 200, description = "The file", content(
        (String = "image/png"), (String = "image/jpeg"), (String = "image/webp"), (String = "application/pdf"),
    )))
)]
pub(crate) async fn file(
    State(app): State<App>,
    headers: HeaderMap,
    path: Result<Path<(String, String)>, PathRejection>,
    mut query: Query,
) -> Result<Response, ApiError> {
    let unknown = || ApiError::NotFound("there is no such file".into());
    let viewer = auth::viewer(&app, &headers).await?;
    let expires = query.text("expires", str::parse::<u64>);
    let signature = query.text("signature", |text| Ok::<_, std::convert::Infallible>(text.to_owned()));
    query.finish()?;
    let Path((token_id, name)) = path.map_err(|_| unknown())?;
    let (object_id, extension) = name.split_once('.').ok_or_else(unknown)?;
    // One way to write it: what is cached under a name is under no other.
    let object_id = object_id.parse::<Uuid>().ok().filter(|id| id.to_string() == object_id).ok_or_else(unknown)?;
    let found = files::find(app.pool(), &token_id, object_id).await?.ok_or_else(unknown)?;
    let (file, issuer_id, is_public) = found;
    let of = FileType::of_extension(extension).filter(|_| file.extension == extension).ok_or_else(unknown)?;
    let open = is_public && file.kind() == Kind::Image;
    let seen = match viewer {
        Some(viewer) => open || may_see(&app, &viewer, &file, issuer_id).await?,
        None => open,
    };
    if !seen {
        let (Some(expires), Some(signature)) = (expires, signature) else { return Err(unknown()) };
        let now = OffsetDateTime::now_utc().unix_timestamp().unsigned_abs();
        match app.links().check(file.object(), expires, &signature, now) {
            Verdict::Holds => {}
            Verdict::Expired => return Err(ApiError::Forbidden("the link has ended: ask for the token again".into())),
            Verdict::Forged => return Err(unknown()),
        }
    }
    let bytes = app.files().get(file.object()).await.map_err(ApiError::internal)?;
    let bytes = bytes.ok_or_else(|| ApiError::internal(format!("the file {} is not in the store", file.object())))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(of.media_type())),
        (header::CONTENT_DISPOSITION, disposition(&file)?),
        (header::CONTENT_SECURITY_POLICY, BOX),
        (header::CACHE_CONTROL, if open { PUBLIC } else { PRIVATE }),
    ];
    Ok((headers, bytes).into_response())
}

async fn may_see(app: &App, viewer: &Viewer, file: &File, issuer_id: Uuid) -> Result<bool, ApiError> {
    let sees = match (file.offering_id, viewer.role) {
        (Some(offering_id), _) => {
            let mut conn = app.pool().acquire().await?;
            let offering = offerings::find(&mut *conn, offering_id).await?;
            let sees = Sees::of(&mut conn, viewer).await?;
            offering.is_some_and(|offering| sees.shows(&offering))
        }
        (None, Role::Issuer) => viewer.issuer_id == Some(issuer_id),
        (None, Role::SuperAdmin | Role::TransferAgent | Role::ComplianceOfficer) => true,
        (None, Role::Investor) => false,
    };
    Ok(sees && viewer.has_scope(&[Scope::DataRead]))
}

/// `attachment` with the file's name, which may hold any letter (RFC 6266, RFC 8187).
fn disposition(file: &File) -> Result<HeaderValue, ApiError> {
    let mut name = String::new();
    for byte in file.name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{name}")).map_err(ApiError::internal)
}
