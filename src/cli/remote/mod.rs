//! Talking to a running API over HTTP: what `tokenx token` and `tokenx command` stand on.

mod answer;

use std::io::{Read, stdin};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};
use tokenx_config::retry;

pub(crate) use self::answer::{Failure, print};
use crate::failure::{Advice, NO_PERMISSION};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// While somebody waits for a command the API may be away for so long.
const AWAY: retry::Policy =
    retry::Policy::within(Duration::from_millis(250), Duration::from_secs(5), Duration::from_secs(300));

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Where the API is and who asks.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Flags {
    /// Where the API is
    #[arg(
        long = "api",
        value_name = "URL",
        env = "TOKENX_API_URL",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    url: Url,
    /// File whose first line is the token; without it TOKENX_TOKEN holds it. Never an argument, which every process sees
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
    /// Print what the API answered, byte for byte, instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What every command's help says at its end.
pub(crate) const HELP: &str = "\
Who asks: the token of an issuer's account or tool, in TOKENX_TOKEN or in the file of --token-file. Beside a running
`tokenx dev`, `source .tokenx/dev.env` sets TOKENX_API_URL and TOKENX_TOKEN; elsewhere
`tokenx admin service-token add --role issuer --issuer … --scope ledger:write --scope data:read` makes one.

Exit codes: 0 done, 1 refused by the API, 2 wrong usage, 3 the command ended without being done, 4 there is no such thing,
75 the API does not answer or is not ready (try later), 77 no token, or not one that may do this";

/// A connection to the API.
#[derive(Debug)]
pub(crate) struct Api {
    client: Client,
    url: Url,
}

impl Flags {
    /// Reads the token. Nothing is asked yet.
    pub(crate) fn connect(&self) -> Result<Api> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err(anyhow!("{} is no http address", self.url)).hint("give --api as http://127.0.0.1:8080");
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", self.token()?.expose_secret()))
            .context("the token is no token: it holds characters that none has")
            .code(NO_PERMISSION)?;
        authorization.set_sensitive(true);
        let client = Client::builder()
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, authorization)]))
            // The token goes to the host that was named, and to no other.
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .build()?;
        Ok(Api { client, url: self.url.clone() })
    }

    fn token(&self) -> Result<SecretString> {
        let text = match &self.token_file {
            Some(file) => read(file)?,
            None => std::env::var("TOKENX_TOKEN").unwrap_or_default(),
        };
        match text.lines().next().map(str::trim) {
            Some(token) if !token.is_empty() => Ok(token.to_owned().into()),
            _ => Err(anyhow!("no token to sign in with")).hint(answer::NO_TOKEN).code(NO_PERMISSION),
        }
    }
}

impl Api {
    /// Reads what is at these segments of a path.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<String, Failure> {
        let mut url = at(&self.url, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.client.request(Method::GET, url)).await
    }

    /// Writes: sends a body of JSON as it stands.
    pub(crate) async fn post(&self, path: &[&str], body: String, key: Option<&str>) -> Result<String, Failure> {
        let url = at(&self.url, path);
        let mut request = self.client.request(Method::POST, url).header(CONTENT_TYPE, "application/json").body(body);
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        self.send(request).await
    }

    /// Reads, and while the API is away tells `away` why and tries again.
    pub(crate) async fn get_patiently(&self, path: &[&str], away: impl Fn(&Failure)) -> Result<String, Failure> {
        let verdict = |failure: &Failure| {
            if !failure.may_pass() {
                return retry::Verdict::GiveUp;
            }
            away(failure);
            failure.retry_after().map_or(retry::Verdict::Retry, retry::Verdict::RetryAfter)
        };
        retry::retry(AWAY, verdict, || self.get(path, &[])).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<String, Failure> {
        let away = |error: reqwest::Error| Failure::Away { url: self.url.to_string(), source: error.without_url() };
        let response = request.send().await.map_err(away)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.map_err(away)?;
        if status.is_success() { Ok(text) } else { Err(Failure::refused(status, &headers, &text)) }
    }
}

/// The place of these segments below where the API is. None of them leads up or ends the path, whatever it holds.
fn at(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// A file's text; `-` is standard input.
pub(crate) fn read(file: &Path) -> Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        stdin().read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment_of_a_path_whatever_it_holds() {
        for base in ["http://host/under", "http://host/under/"] {
            let base = Url::parse(base).unwrap();
            let path = |id: &str| at(&base, &["v2", id]).as_str().replace("http://host/under/v2", "");
            assert_eq!(path("deploy:67d8774e903bfcbe7eb5d93e:-:1"), "/deploy:67d8774e903bfcbe7eb5d93e:-:1");
            assert_eq!(path("a/b?c#d%2fé"), "/a%2Fb%3Fc%23d%252f%C3%A9");
            assert_eq!(path("../.."), "/..%2F..");
            assert_eq!((path("."), path("..")), (String::new(), String::new()));
        }
    }
}
