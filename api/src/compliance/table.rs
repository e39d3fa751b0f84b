//! Reports as tables: JSON, or CSV that a spreadsheet cannot take for a program.

use std::fmt;
use std::str::FromStr;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::{ApiError, FieldError};
use crate::http::query::Query;

/// In which form a report is wanted: `?format=` says it, else `Accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Format, &'static str> {
        match name {
            "json" => Ok(Format::Json),
            "csv" => Ok(Format::Csv),
            _ => Err("value is no format: use json or csv"),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Format {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Format, ApiError> {
        let mut query = Query::from_request_parts(parts, state).await?;
        let named = query.text("format", str::parse::<Format>);
        query.finish()?;
        Ok(named.unwrap_or_else(|| accepted(&parts.headers)))
    }
}

/// JSON unless the header asks for CSV first.
fn accepted(headers: &HeaderMap) -> Format {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types =
        accepts.flat_map(|value| value.split(',')).map(|one| one.split(';').next().unwrap_or_default().trim());
    match types.find(|one| matches!(*one, "text/csv" | "application/json" | "*/*" | "application/*")) {
        Some("text/csv") => Format::Csv,
        _ => Format::Json,
    }
}

/// A report that is a table, too.
pub(super) trait Table: Serialize {
    /// What the columns are called.
    const COLUMNS: &'static [&'static str];

    /// The rows, cell by cell.
    fn rows(&self) -> Vec<Vec<String>>;
}

/// The report in the form that was asked for; as a file of this name where that is CSV.
///
/// # Errors
/// None that a client causes.
pub(super) fn answer<T: Table>(report: T, format: Format, name: fmt::Arguments<'_>) -> Result<Response, ApiError> {
    if format == Format::Json {
        return Ok(Json(report).into_response());
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(T::COLUMNS).map_err(ApiError::internal)?;
    for row in report.rows() {
        writer.write_record(row.into_iter().map(harmless)).map_err(ApiError::internal)?;
    }
    let text = writer.into_inner().map_err(|error| ApiError::internal(error.to_string()))?;
    let disposition =
        HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\"")).map_err(ApiError::internal)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present")),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, text).into_response())
}

/// A spreadsheet reads a cell that begins so as a formula; an apostrophe before it makes it text.
fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

/// A query parameter that two others exclude each other by.
pub(super) fn either(field: &'static str, message: &str) -> ApiError {
    ApiError::Rejected(vec![FieldError::query(field, "value_error", message)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_like_a_formula() {
        for dangerous in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"] {
            assert_eq!(harmless(dangerous.to_owned()), format!("'{dangerous}"));
        }
        for plain in ["alice::122...", "1000.0", "", "a=b", "0x00"] {
            assert_eq!(harmless(plain.to_owned()), plain);
        }
    }

    #[test]
    fn the_first_form_that_is_accepted_counts() {
        let of = |accept: &'static str| {
            accepted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
        };
        assert_eq!(of("text/csv"), Format::Csv);
        assert_eq!(of("text/html, text/csv;q=0.9, */*"), Format::Csv);
        for other in ["*/*", "application/json, text/csv", "text/html"] {
            assert_eq!(of(other), Format::Json);
        }
        assert_eq!(accepted(&HeaderMap::new()), Format::Json);
    }
}
