//! Reading a JSON object field by field, so that every bad field is named and no number passes through a float.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::app::App;
use crate::error::{ApiError, FieldError};

/// The members of a JSON object as they were written.
#[derive(Debug)]
pub struct Fields {
    members: HashMap<String, Box<RawValue>>,
    repeated: HashSet<String>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Parses a body, in time linear in its length: anyone may send a hundred thousand members.
    ///
    /// # Errors
    /// When the text is not JSON, or not an object.
    pub fn parse(body: &[u8]) -> Result<Fields, ApiError> {
        let members = Members::parse(body)?;
        Ok(Fields { members: members.once, repeated: members.repeated, errors: Vec::new() })
    }

    /// A member as it was written. Absent is a bad field, and so is given twice: which of the two was meant?
    pub fn required(&mut self, name: &'static str) -> Option<&RawValue> {
        if self.repeated.contains(name) {
            self.errors.push(FieldError::body(name, "duplicate_field", "field given twice"));
            return None;
        }
        let found = self.members.get(name);
        if found.is_none() {
            self.errors.push(FieldError::body(name, "missing", "field required"));
        }
        found.map(|value| &**value)
    }

    /// A required text, parsed by the rule of its type.
    pub fn text<T, E: fmt::Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let raw = self.required(name)?;
        let Ok(text) = serde_json::from_str::<String>(raw.get()) else {
            self.errors.push(FieldError::body(name, "string_type", "value is not a string"));
            return None;
        };
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(FieldError::body(name, "value_error", error.to_string()));
                None
            }
        }
    }

    /// Notes a bad field found by other means.
    pub fn refuse(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    /// What was wrong so far.
    pub fn errors(self) -> Vec<FieldError> {
        self.errors
    }
}

/// The body of a write: complete, within the limit, and declared as JSON.
#[derive(Debug)]
pub struct JsonBody(pub Bytes);

impl FromRequest<App> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<JsonBody, ApiError> {
        let declared = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !declared.is_some_and(is_json) {
            let msg = "the content type is not application/json";
            return Err(ApiError::Rejected(vec![FieldError::broken_body(msg)]));
        }
        read(request.into_body(), app.settings().server.max_body_bytes).await.map(JsonBody)
    }
}

/// The body of a write that may have none: then it is `{}`.
#[derive(Debug)]
pub struct MaybeJson(pub Bytes);

impl FromRequest<App> for MaybeJson {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<MaybeJson, ApiError> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            return JsonBody::from_request(request, app).await.map(|JsonBody(body)| MaybeJson(body));
        }
        match read(request.into_body(), app.settings().server.max_body_bytes).await? {
            none if none.is_empty() => Ok(MaybeJson(Bytes::from_static(b"{}"))),
            _ => Err(ApiError::Rejected(vec![FieldError::broken_body("the content type is not application/json")])),
        }
    }
}

/// The body of a request as it came, whatever it is.
#[derive(Debug)]
pub struct RawBody(pub Bytes);

impl FromRequest<App> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<RawBody, ApiError> {
        read(request.into_body(), app.settings().server.max_body_bytes).await.map(RawBody)
    }
}

/// Reads a body to its end, or to the limit in bytes.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let source = std::error::Error::source(&error);
        let too_long = source.is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
        if too_long {
            ApiError::PayloadTooLarge(limit)
        } else {
            ApiError::Rejected(vec![FieldError::broken_body("the body ended early")])
        }
    })
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The members of an object, and the names that were given twice.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) once: HashMap<String, Box<RawValue>>,
    pub(super) repeated: HashSet<String>,
}

impl Members {
    pub(super) fn parse(body: &[u8]) -> Result<Members, ApiError> {
        let reject = |msg: String| ApiError::Rejected(vec![FieldError::broken_body(msg)]);
        let text = std::str::from_utf8(body).map_err(|_| reject("the body is not UTF-8".into()))?;
        match serde_json::from_str::<Members>(text) {
            Ok(members) => Ok(members),
            Err(error) => match quote_non_finite(text).and_then(|text| serde_json::from_str(&text).ok()) {
                Some(members) => Ok(members),
                None if error.is_data() => Err(reject("the body is not a JSON object".into())),
                None => Err(reject(format!("the body is not valid JSON: {error}"))),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    match members.once.entry(name) {
                        Entry::Occupied(known) => {
                            members.repeated.insert(known.key().clone());
                        }
                        Entry::Vacant(new) => {
                            new.insert(value);
                        }
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Some encoders write `NaN` and `Infinity`, which are not JSON. Put in quotes they parse, and are then
/// refused as the value of their field instead of as a broken body. `None` where there are none.
fn quote_non_finite(text: &str) -> Option<String> {
    const WORDS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
    let mut quoted = String::with_capacity(text.len() + 2);
    let mut rest = text;
    let (mut in_string, mut found) = (false, false);
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        match first {
            '"' => in_string = !in_string,
            '\\' if in_string => taken += rest[taken..].chars().next().map_or(0, char::len_utf8),
            _ if !in_string => {
                if let Some(word) = WORDS.into_iter().find(|word| rest.starts_with(word)) {
                    quoted.push_str(&format!("\"{word}\""));
                    rest = &rest[word.len()..];
                    found = true;
                    continue;
                }
            }
            _ => {}
        }
        quoted.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    found.then_some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(fields: Fields) -> Vec<(String, String)> {
        fields.errors().into_iter().map(|e| (e.loc.last().unwrap().to_string(), e.kind.to_string())).collect()
    }

    #[test]
    fn a_number_keeps_its_text() {
        for text in ["100000000000000000000.1", "1e2", "1e400", "0.1"] {
            let mut fields = Fields::parse(format!(r#"{{"amount": {text} }}"#).as_bytes()).unwrap();
            assert_eq!(fields.required("amount").unwrap().get(), text);
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        let mut fields = Fields::parse(br#"{"a": 1, "b": "x", "b": "y", "d": ""}"#).unwrap();
        fields.text("b", |text| Ok::<_, String>(text.to_owned()));
        fields.text("a", |text| Ok::<_, String>(text.to_owned()));
        fields.text("c", |text| Ok::<_, String>(text.to_owned()));
        fields.text("d", |_| Err::<(), _>("empty"));
        let expected = [("b", "duplicate_field"), ("a", "string_type"), ("c", "missing"), ("d", "value_error")];
        assert_eq!(kinds(fields), expected.map(|(field, kind)| (field.to_owned(), kind.to_owned())));
    }

    #[test]
    fn a_body_of_very_many_members_takes_no_longer_than_its_length() {
        let body = |members: u32| {
            let members: Vec<String> = (0..members).map(|n| format!("\"k{n}\":1,\"twice\":{n}")).collect();
            format!("{{{}}}", members.join(","))
        };
        let time = |body: &str| {
            let started = std::time::Instant::now();
            Fields::parse(body.as_bytes()).unwrap();
            started.elapsed()
        };
        // Sixteen times the members: 16 times as long where each is looked at once, 256 times where each is
        // compared with all before it. What else the machine does only adds time: one quick run of several is enough.
        let (few, many) = (body(2_000), body(32_000));
        let least = (0..5).map(|_| time(&few)).min().unwrap();
        assert!((0..20).any(|_| time(&many) < least * 80), "each member is compared with all before it");
        // One answer names a field once, however often it was given.
        let mut fields = Fields::parse(body(1_000).as_bytes()).unwrap();
        assert!(fields.required("twice").is_none());
        assert_eq!(kinds(fields), [("twice".to_owned(), "duplicate_field".to_owned())]);
    }

    #[test]
    fn what_is_no_object_is_a_broken_body() {
        for body in [&b"{"[..], b"", b"[]", b"7", b"null", b"{\"a\":}", b"\xff", b"{} {}"] {
            let Err(ApiError::Rejected(errors)) = Fields::parse(body) else { panic!("{body:?}") };
            assert_eq!((errors[0].loc.len(), &*errors[0].kind), (1, "json_invalid"), "{body:?}");
        }
    }

    #[test]
    fn a_number_that_is_none_belongs_to_its_field() {
        for word in ["NaN", "Infinity", "-Infinity"] {
            let mut fields = Fields::parse(format!(r#"{{"amount": {word}, "b": "\"NaN"}}"#).as_bytes()).unwrap();
            assert_eq!(fields.required("amount").unwrap().get(), format!("\"{word}\""));
            assert_eq!(fields.required("b").unwrap().get(), r#""\"NaN""#);
        }
    }

    #[test]
    fn json_is_what_its_media_type_says() {
        assert!(is_json("application/json; charset=utf-8"));
        assert!(is_json("application/ld+json"));
        assert!(!is_json("text/plain"));
        assert!(!is_json("application/x-www-form-urlencoded"));
    }
}
