//! What an API answers, as people and scripts read it.

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::{Result, anyhow};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use crate::failure::{Advice, FAILED, NO_PERMISSION, NOT_THERE, TRY_LATER};

/// What to do without a token that holds.
pub(super) const NO_TOKEN: &str = "put a token into TOKENX_TOKEN, or its file behind --token-file: beside a running dev, \
`source .tokenx/dev.env`; else `tokenx admin service-token add` makes one";

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody answered.
    #[error("the API at {url} does not answer")]
    Away { url: String, source: reqwest::Error },
    /// It answered, and refused.
    #[error("{message}")]
    Refused { status: StatusCode, message: String, fields: Vec<String>, retry_after: Option<Duration> },
}

/// Both families of errors: `detail` is a text or a list, problems may list `errors` beside it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    detail: Detail,
    errors: Vec<BadField>,
    reason_code: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Detail {
    Text(String),
    List(Vec<BadValue>),
}

impl Default for Detail {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

#[derive(Debug, Deserialize)]
struct BadField {
    field: String,
    message: String,
}

#[derive(Debug, Deserialize)]
struct BadValue {
    loc: Vec<String>,
    msg: String,
}

impl Failure {
    pub(super) fn refused(status: StatusCode, headers: &HeaderMap, text: &str) -> Self {
        let body: Body = serde_json::from_str(text).unwrap_or_default();
        let (mut message, mut fields) = match body.detail {
            Detail::Text(text) => (text, Vec::new()),
            Detail::List(list) => {
                let fields = list.iter().map(|bad| format!("{}: {}", bad.loc.join("."), bad.msg)).collect();
                ("what was asked is refused".to_owned(), fields)
            }
        };
        fields.extend(body.errors.iter().map(|bad| format!("{}: {}", bad.field, bad.message)));
        if message.is_empty() {
            message = format!("the API answered {status}");
        }
        if let Some(code) = body.reason_code {
            message = format!("{message} ({code})");
        }
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Self::Refused { status, message, fields, retry_after: seconds.map(Duration::from_secs) }
    }

    /// Whether trying again can help: the API is away, starting, too busy.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Away { .. } => true,
            Self::Refused { status, .. } => [429, 502, 503, 504].contains(&status.as_u16()),
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Away { .. } => None,
        }
    }

    /// Whether there is nothing by that name, or nothing that the token may know of.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether the token's role keeps it from asking this at all.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::FORBIDDEN, .. })
    }

    /// The error that ends the program: each bad field a line, what to do, the exit code.
    pub(crate) fn told(self) -> anyhow::Error {
        let (hint, code) = match &self {
            Self::Away { .. } => ("is it up? --api or TOKENX_API_URL says where it is", TRY_LATER),
            Self::Refused { status, fields, .. } => match status.as_u16() {
                401 => (NO_TOKEN, NO_PERMISSION),
                403 => ("use the token of a role that may, with the scopes it takes", NO_PERMISSION),
                404 => ("check the id: `tokenx token list` shows the tokens that you may see", NOT_THERE),
                429 | 502 | 503 | 504 => ("try again shortly", TRY_LATER),
                500.. => ("look for the request id in the API's log", FAILED),
                _ if !fields.is_empty() => ("put these right and ask again: nothing was done", FAILED),
                _ => ("", FAILED),
            },
        };
        let error = match self {
            Self::Away { .. } => self.into(),
            Self::Refused { message, fields, .. } => {
                let mut lines = fields.into_iter().rev();
                match lines.next() {
                    None => anyhow!(message),
                    Some(last) => lines.fold(anyhow!(last), anyhow::Error::context).context(message),
                }
            }
        };
        let told: Result<()> = if hint.is_empty() { Err(error) } else { Err(error).hint(hint) };
        told.code(code).err().unwrap_or_else(|| anyhow!("no error"))
    }
}

/// Prints a body as it came.
pub(crate) fn print(body: &str) -> Result<()> {
    Ok(writeln!(stdout(), "{}", body.trim_end())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{exit_code, text};

    fn refused(status: u16, body: &str) -> anyhow::Error {
        Failure::refused(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body).told()
    }

    #[test]
    fn each_bad_field_of_either_family_is_a_line() {
        let problem = r#"{"detail":"2 field(s) refused","errors":[{"field":"a","message":"too long"},{"field":"b","message":"missing"}]}"#;
        let error = refused(400, problem);
        let lines = "error: 2 field(s) refused\ndetail: a: too long\ndetail: b: missing\nhint: put these right and ask again: nothing was done";
        assert_eq!((text(&error).as_str(), exit_code(&error)), (lines, FAILED));
        let list = r#"{"detail":[{"loc":["body","amount"],"msg":"value is not a valid number","type":"value_error"}]}"#;
        assert!(text(&refused(422, list)).contains("detail: body.amount: value is not a valid number"));
    }

    #[test]
    fn the_exit_code_says_what_a_script_can_do_about_it() {
        let codes = [(401, NO_PERMISSION), (403, NO_PERMISSION), (404, NOT_THERE), (409, FAILED), (429, TRY_LATER)];
        for (status, code) in codes.into_iter().chain([(500, FAILED), (502, TRY_LATER), (503, TRY_LATER)]) {
            assert_eq!(exit_code(&refused(status, r#"{"detail":"no"}"#)), code, "{status}");
        }
    }

    #[test]
    fn an_answer_of_something_else_than_the_api_is_told_by_its_status() {
        for body in ["", "<html>bad gateway</html>", "[]", "{\"detail\":7}"] {
            assert!(text(&refused(502, body)).starts_with("error: the API answered 502 Bad Gateway"), "{body}");
        }
    }

    #[test]
    fn a_refusal_by_a_rule_names_its_code() {
        let error = refused(422, r#"{"detail":"1 field(s) refused","reason_code":"UNKNOWN_NODE","errors":[]}"#);
        assert!(text(&error).contains("(UNKNOWN_NODE)"));
    }
}
