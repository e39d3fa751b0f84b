//! `/admin/…`: what `tokenx admin` does, over HTTP, by super admins in person.

pub mod issuers;
pub mod parties;
pub mod service_tokens;
pub mod users;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::By;
use crate::error::{ApiError, FieldError};
use crate::http::envelope::RequestId;
use crate::http::object::{Object, text};
use crate::http::query::Query;

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100, 1_000);

fn by<'a>(actor: &'a str, request_id: &'a RequestId) -> By<'a> {
    By { actor, request_id: Some(&request_id.0) }
}

/// What is wrong with a body; that it says nothing, where nothing else is.
fn refused(body: Object) -> ApiError {
    let mut errors = body.errors();
    if errors.is_empty() {
        errors.push(FieldError::broken_body("the body describes nothing"));
    }
    ApiError::Rejected(errors)
}

/// Refuses what a body has besides what was read.
fn complete(body: Object) -> Result<(), ApiError> {
    let errors = body.errors();
    if errors.is_empty() { Ok(()) } else { Err(ApiError::Rejected(errors)) }
}

/// An id in a path. What could not be one names nothing.
fn id(path: Result<Path<String>, PathRejection>, what: &str) -> Result<Uuid, ApiError> {
    let id = path.ok().and_then(|Path(id)| id.parse().ok());
    id.ok_or_else(|| ApiError::NotFound(format!("there is no {what} with this id")))
}

fn uuid(raw: &RawValue) -> Result<Uuid, &'static str> {
    text(raw)?.parse().map_err(|_| "value is not a uuid")
}

/// `limit` and `cursor` of a list whose cursor is an id.
fn paging<T: std::str::FromStr>(query: &mut Query) -> (u64, Option<T>) {
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    (limit, query.text("cursor", |text| text.parse::<T>().map_err(|_| "value is not a cursor of this list")))
}

/// Cuts a page that was read with one item more than asked for, and gives the cursor of the next one.
fn cut<T>(page: &mut Vec<T>, limit: u64, cursor: impl Fn(&T) -> String) -> Option<String> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = page.len() > wanted;
    page.truncate(wanted);
    page.last().filter(|_| more).map(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_the_next_one_only_where_there_is_one() {
        let mut page = vec![3, 2, 1];
        assert_eq!(cut(&mut page, 2, ToString::to_string), Some("2".to_owned()));
        assert_eq!(page, [3, 2]);
        assert_eq!(cut(&mut page, 2, ToString::to_string), None);
    }
}
