//! Reading query parameters, each bad one named.

use std::fmt;
use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::{ApiError, FieldError};

/// The query parameters of a request, decoded, in order.
#[derive(Debug)]
pub struct Query {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Query {
    /// Decodes a query string (`+` is a space).
    pub fn parse(query: &str) -> Query {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Query { pairs, errors: Vec::new() }
    }

    /// An integer within a range. Out of range is an error, never a clamp.
    pub fn integer(&mut self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(text) = self.single(name) else { return default };
        let digits = text.strip_prefix('-').unwrap_or(&text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            self.errors.push(FieldError::query(name, "int_parsing", "value is not a valid integer"));
            return default;
        }
        let negative = digits.len() != text.len() && digits.bytes().any(|b| b != b'0');
        // What does not fit 64 bits is above every range here.
        let value = digits.parse::<u64>().unwrap_or(u64::MAX);
        if negative || value < *range.start() {
            let msg = format!("value is below {}", range.start());
            self.errors.push(FieldError::query(name, "greater_than_equal", msg));
            default
        } else if value > *range.end() {
            self.errors.push(FieldError::query(name, "less_than_equal", format!("value is above {}", range.end())));
            default
        } else {
            value
        }
    }

    /// An optional text, parsed by the rule of its type.
    pub fn text<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.single(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(FieldError::query(name, "value_error", error.to_string()));
                None
            }
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Every bad parameter.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::Rejected(self.errors)) }
    }

    fn single(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        let first = values.next()?.clone();
        if values.next().is_some() {
            self.errors.push(FieldError::query(name, "duplicate_field", "parameter given twice"));
            return None;
        }
        Some(first)
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query, ApiError> {
        Ok(Query::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(query: &str) -> Result<u64, String> {
        let mut query = Query::parse(query);
        let value = query.integer("limit", 100, 1..=1000);
        match query.finish() {
            Ok(()) => Ok(value),
            Err(ApiError::Rejected(errors)) => Err(errors[0].kind.to_string()),
            Err(other) => Err(other.to_string()),
        }
    }

    #[test]
    fn a_page_size_out_of_range_is_an_error_and_not_a_clamp() {
        assert_eq!(limit(""), Ok(100));
        assert_eq!(limit("limit=1"), Ok(1));
        assert_eq!(limit("limit=1000"), Ok(1000));
        assert_eq!(limit("limit=0"), Err("greater_than_equal".into()));
        assert_eq!(limit("limit=-1"), Err("greater_than_equal".into()));
        assert_eq!(limit("limit=1001"), Err("less_than_equal".into()));
        assert_eq!(limit("limit=99999999999999999999999"), Err("less_than_equal".into()));
        for text in ["limit=ten", "limit=", "limit=1.0", "limit=1e2", "limit=+5", "limit=0x1"] {
            assert_eq!(limit(text), Err("int_parsing".into()), "{text}");
        }
        assert_eq!(limit("limit=1&limit=2"), Err("duplicate_field".into()));
    }

    #[test]
    fn every_bad_parameter_is_named() {
        let mut query = Query::parse("limit=0&offset=-1&instrument_id=");
        query.integer("limit", 100, 1..=1000);
        query.integer("offset", 0, 0..=u64::MAX);
        query.text("instrument_id", |_| Err::<(), _>("empty"));
        let Err(ApiError::Rejected(errors)) = query.finish() else { panic!("accepted") };
        assert_eq!(errors.len(), 3);
    }
}
