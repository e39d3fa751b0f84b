//! `/compliance/applicants`: who applies for KYC or KYB, and what is decided on it. The registry follows, wallet by wallet.

pub mod decide;
pub mod view;

use axum::Json;
use axum::extract::State as Extract;
use tokenx_indexer::read;

use self::view::{ApplicantPage, ApplicantView};
use crate::app::App;
use crate::error::ApiError;
use crate::http::query::Query;
use crate::investors::wallets::{PAGE, cursor};
use crate::kyc::course::Status;
use crate::kyc::provider::Kind;
use crate::kyc::record::{self, Filter, Record};
use crate::tokens::routes::now;

/// Applications for KYC and KYB, newest first.
#[utoipa::path(
    get,
    path = "/compliance/applicants",
    params(
        ("status" = Option<String>, Query, description = "Only pending, in_review, approved, rejected, or expired"),
        ("kind" = Option<String>, Query, description = "Only individual, or company"),
        ("party_id" = Option<String>, Query, description = "Only of this party"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Newest first", body = ApplicantPage))
)]
pub(crate) async fn applicants(Extract(app): Extract<App>, mut query: Query) -> Result<Json<ApplicantPage>, ApiError> {
    let status = query.text("status", |text| {
        let found = Status::ALL.into_iter().find(|status| status.as_str() == text);
        let known = || Status::ALL.map(Status::as_str).join(", ");
        found.ok_or_else(|| format!("value is no status: use one of {}", known()))
    });
    let mut filter = Filter {
        party_id: query.text("party_id", |text| {
            if text.contains('\0') { Err("value holds a NUL character") } else { Ok(text.to_owned()) }
        }),
        kind: query.text("kind", Kind::parse),
        before: query.text("cursor", cursor),
    };
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let now = now();
    let mut tx = read::snapshot(app.pool()).await?;
    let mut page: Vec<Record> = Vec::new();
    // A status follows from the time too and is no column: pages are read until enough of them have it. One more than
    // asked for says whether there is another page.
    loop {
        let records = record::list(&mut *tx, &filter, limit.cast_signed() + 1).await?;
        let all = records.len() <= wanted;
        filter.before = records.last().map(|record| record.applicant_id);
        page.extend(records.into_iter().filter(|record| status.is_none_or(|status| record.status(now) == status)));
        if all || page.len() > wanted {
            break;
        }
    }
    let more = page.len() > wanted;
    page.truncate(wanted);
    let next_cursor = page.last().filter(|_| more).map(|record| record.applicant_id.to_string());
    Ok(Json(ApplicantPage { items: page.into_iter().map(ApplicantView::from).collect(), next_cursor }))
}
