//! Reading an upload: a form with one file and a few words beside it.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use multer::{Constraints, Multipart, SizeLimit};

use crate::app::App;
use crate::error::{ApiError, FieldError};

/// What else of a form is read, in bytes: frames, headers and words.
const REST: u64 = 64 << 10;
/// Longest word beside the file, in bytes.
const WORD: u64 = 1_024;

/// A form, read to its end.
#[derive(Debug)]
pub struct Upload {
    /// The file.
    pub bytes: Bytes,
    /// What its sender calls it; only ever shown.
    pub file_name: Option<String>,
    words: HashMap<String, String>,
}

impl Upload {
    /// A word beside the file, parsed by the rule of its type.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn word<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.words.remove(name) else { return Ok(None) };
        match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(refuse(name, "value is not of the kind that this field has")),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Every word that nobody asked for.
    pub fn finish(&self) -> Result<(), ApiError> {
        let mut names: Vec<&String> = self.words.keys().collect();
        names.sort_unstable();
        let unknown = |name: &&String| {
            let mut error = FieldError::body("", "extra_forbidden", "field is not known here");
            error.loc = vec!["body".into(), (*name).clone().into()];
            error
        };
        if names.is_empty() { Ok(()) } else { Err(ApiError::Rejected(names.iter().map(unknown).collect())) }
    }
}

impl FromRequest<App> for Upload {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Upload, ApiError> {
        let max = app.settings().files.max_bytes;
        let declared = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = declared.and_then(|declared| multer::parse_boundary(declared).ok()).ok_or_else(|| {
            ApiError::Rejected(vec![FieldError::broken_body("the content type is not multipart/form-data")])
        })?;
        let most = u64::try_from(max).unwrap_or(u64::MAX);
        let sizes = SizeLimit::new().whole_stream(most.saturating_add(REST)).per_field(WORD).for_field("file", most);
        let constraints = Constraints::new().size_limit(sizes);
        let stream = request.into_body().into_data_stream();
        let mut form = Multipart::with_constraints(stream, boundary, constraints);
        let (mut file, mut words) = (None, HashMap::new());
        let broken = |error| broken(max, &error);
        while let Some(field) = form.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "file" {
                let file_name = field.file_name().map(str::to_owned);
                let bytes = field.bytes().await.map_err(broken)?;
                if file.replace((bytes, file_name)).is_some() {
                    return Err(refuse("file", "field given twice"));
                }
            } else {
                let text = field.text().await.map_err(broken)?;
                words.insert(name, text);
            }
        }
        let (bytes, file_name) = file.ok_or_else(|| refuse("file", "field required"))?;
        Ok(Upload { bytes, file_name, words })
    }
}

fn refuse(field: &'static str, message: &str) -> ApiError {
    ApiError::Rejected(vec![FieldError::body(field, "value_error", message)])
}

fn broken(max: usize, error: &multer::Error) -> ApiError {
    match error {
        multer::Error::StreamSizeExceeded { .. } => ApiError::PayloadTooLarge(max),
        multer::Error::FieldSizeExceeded { field_name, .. } if field_name.as_deref() == Some("file") => {
            ApiError::PayloadTooLarge(max)
        }
        other => ApiError::Rejected(vec![FieldError::broken_body(format!("the form cannot be read: {other}"))]),
    }
}
