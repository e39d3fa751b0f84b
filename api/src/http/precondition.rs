//! Changes that name the version they are made to (RFC 9110, 13.1.1): whoever read an older one is told so, and overwrites
//! nothing.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};

use crate::error::ApiError;

/// A version as a strong entity tag. It counts what was written of a thing; what the chain makes of it meanwhile is no
/// new version.
///
/// # Errors
/// Never: it is digits between quotes.
pub fn entity_tag(version: i64) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(&format!("\"{version}\"")).map_err(ApiError::internal)
}

/// The `If-Match` of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(Vec<String>);

impl IfMatch {
    /// Whether this version is one that the request may change.
    ///
    /// # Errors
    /// 412 where it is not.
    pub fn holds(&self, version: i64) -> Result<(), ApiError> {
        let current = format!("\"{version}\"");
        if self.0.iter().any(|tag| *tag == "*" || *tag == current) {
            return Ok(());
        }
        let sent = self.0.join(", ");
        Err(ApiError::PreconditionFailed(format!("if-match is {sent}, but the version is {current}: read it again")))
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<IfMatch, ApiError> {
        let sent: Vec<&str> =
            parts.headers.get_all(header::IF_MATCH).iter().filter_map(|value| value.to_str().ok()).collect();
        let tags: Vec<String> = sent
            .iter()
            .flat_map(|line| line.split(','))
            .map(|tag| tag.trim().to_owned())
            .filter(|tag| !tag.is_empty())
            .collect();
        if tags.is_empty() {
            let message = "say which version is to be changed: send its etag as if-match";
            return Err(ApiError::PreconditionRequired(message.into()));
        }
        Ok(IfMatch(tags))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn of(lines: &[&str]) -> Result<IfMatch, ApiError> {
        let request = lines.iter().fold(Request::builder(), |request, line| request.header("if-match", *line));
        IfMatch::from_request_parts(&mut request.body(()).unwrap().into_parts().0, &()).await
    }

    #[tokio::test]
    async fn only_a_strong_tag_of_the_version_itself_holds() {
        for lines in [&["\"7\""][..], &["*"], &["\"6\", \"7\""], &["\"6\"", "\"7\""]] {
            assert!(of(lines).await.unwrap().holds(7).is_ok(), "{lines:?}");
        }
        for lines in [&["\"6\""][..], &["W/\"7\""], &["7"], &["\"70\""], &["'7'"]] {
            let refused = of(lines).await.unwrap().holds(7);
            assert!(matches!(refused, Err(ApiError::PreconditionFailed(_))), "{lines:?}");
        }
        for lines in [&[][..], &[""], &[" , "]] {
            assert!(matches!(of(lines).await, Err(ApiError::PreconditionRequired(_))), "{lines:?}");
        }
    }
}
