//! Sumsub over its HTTP API: each request is signed over time, method, path and body with the secret that belongs to the
//! app token.

use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;
use tokenx_config::Kyc as KycSettings;
use tokenx_config::retry::{Policy, Verdict, retry};

use super::country;
use super::provider::{Facts, Kind, Owner, Provider, ProviderError, Token};

/// For how long an answer is asked for; somebody waits.
const PATIENCE: Policy = Policy::within(Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5));
/// As much of a refusal as a log line repeats.
const TOLD: usize = 300;

/// The real provider.
#[derive(Debug)]
pub struct Sumsub {
    client: reqwest::Client,
    base: Url,
    app_token: SecretString,
    secret_key: SecretString,
    levels: [String; 2],
    token_seconds: u64,
    max_response_bytes: usize,
}

impl Sumsub {
    /// From settings that were found valid.
    ///
    /// # Errors
    /// What of them is not.
    pub fn new(settings: &KycSettings) -> Result<Sumsub, String> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_millis(settings.request_timeout_ms))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Sumsub {
            client,
            base: settings
                .base_url
                .parse()
                .map_err(|_| format!("kyc.base_url is no address: {:?}", settings.base_url))?,
            app_token: settings.app_token.clone().unwrap_or_default(),
            secret_key: settings.secret_key.clone().unwrap_or_default(),
            levels: [settings.individual_level.clone(), settings.company_level.clone()],
            token_seconds: settings.token_seconds,
            max_response_bytes: settings.max_response_bytes,
        })
    }

    /// Asks until there is an answer, or time is up.
    async fn ask(&self, method: Method, segments: &[&str], body: Option<&Value>) -> Result<Vec<u8>, ProviderError> {
        let mut url = self.base.clone();
        let unfit = || ProviderError::Unreachable(format!("{} can have no path", self.base));
        url.path_segments_mut().map_err(|()| unfit())?.pop_if_empty().extend(segments);
        let body = body.map(Value::to_string).unwrap_or_default();
        let again = |error: &ProviderError| match error {
            ProviderError::Unreachable(_) => Verdict::Retry,
            ProviderError::Refused { status, .. } if *status == 429 || *status >= 500 => Verdict::Retry,
            _ => Verdict::GiveUp,
        };
        retry(PATIENCE, again, || self.ask_once(&method, &url, &body)).await
    }

    async fn ask_once(&self, method: &Method, url: &Url, body: &str) -> Result<Vec<u8>, ProviderError> {
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let time = OffsetDateTime::now_utc().unix_timestamp().to_string();
        let signature = signature(&self.secret_key, &time, method.as_str(), &path, body.as_bytes());
        let mut request = self
            .client
            .request(method.clone(), url.clone())
            .header("accept", "application/json")
            .header("x-app-token", self.app_token.expose_secret())
            .header("x-app-access-ts", &time)
            .header("x-app-access-sig", signature.unwrap_or_default());
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let unreachable = |error: reqwest::Error| ProviderError::Unreachable(error.without_url().to_string());
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if answer.len() + chunk.len() > self.max_response_bytes {
                let text = format!("it is longer than {} bytes (kyc.max_response_bytes)", self.max_response_bytes);
                return Err(ProviderError::Unreadable(text));
            }
            answer.extend_from_slice(&chunk);
        }
        if status == StatusCode::OK || status == StatusCode::CREATED {
            return Ok(answer);
        }
        let text: String = String::from_utf8_lossy(&answer).chars().take(TOLD).collect();
        Err(ProviderError::Refused { status: status.as_u16(), text })
    }
}

#[async_trait]
impl Provider for Sumsub {
    fn name(&self) -> &'static str {
        "sumsub"
    }

    async fn token(&self, external_id: &str, kind: Kind) -> Result<Token, ProviderError> {
        let [individual, company] = &self.levels;
        let level = if kind == Kind::Company { company } else { individual };
        let body = json!({ "userId": external_id, "levelName": level, "ttlInSecs": self.token_seconds });
        let asked = OffsetDateTime::now_utc();
        let answer = self.ask(Method::POST, &["resources", "accessTokens", "sdk"], Some(&body)).await?;
        let answer: TokenAnswer = parse(&answer)?;
        let life = time::Duration::seconds(i64::try_from(self.token_seconds).unwrap_or(i64::MAX));
        Ok(Token { secret: answer.token, expires_at: asked.saturating_add(life) })
    }

    async fn facts(&self, external_id: &str) -> Result<Facts, ProviderError> {
        let named = format!("-;externalUserId={external_id}");
        parse(&self.ask(Method::GET, &["resources", "applicants", &named, "one"], None).await?).map(facts)
    }
}

/// What the header `x-app-access-sig` carries: lower-case hexadecimal of an HMAC over the four, one after another.
fn signature(secret: &SecretString, time: &str, method: &str, path: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    for part in [time.as_bytes(), method.as_bytes(), path.as_bytes(), body] {
        mac.update(part);
    }
    Some(hex::encode(mac.finalize().into_bytes()))
}

fn parse<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, ProviderError> {
    serde_json::from_slice(answer).map_err(|error| ProviderError::Unreadable(error.to_string()))
}

#[derive(Debug, Deserialize)]
struct TokenAnswer {
    token: SecretString,
}

/// What of an applicant's data matters here: extracted from papers first, as the applicant gave it otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Applicant {
    info: Info,
    fixed_info: Info,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Info {
    country: Option<String>,
    company_info: Option<Company>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Company {
    country: Option<String>,
    beneficiaries: Vec<Beneficiary>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Beneficiary {
    applicant_id: Option<String>,
    beneficiary_info: Person,
    r#type: Option<String>,
    types: Vec<String>,
    positions: Vec<String>,
    share_size: Option<serde_json::Number>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Person {
    first_name: Option<String>,
    last_name: Option<String>,
    company_name: Option<String>,
}

fn facts(applicant: Applicant) -> Facts {
    let Applicant { info, fixed_info } = applicant;
    let countries = [&info, &fixed_info].map(|info| {
        let company = info.company_info.as_ref().and_then(|company| company.country.clone());
        company.or_else(|| info.country.clone())
    });
    let owners =
        [info, fixed_info].into_iter().filter_map(|info| info.company_info).map(|company| company.beneficiaries);
    let owners = owners.into_iter().find(|owners| !owners.is_empty()).unwrap_or_default();
    Facts {
        country: countries.into_iter().flatten().find_map(|letters| country::number(&letters)),
        owners: owners.into_iter().map(owner).collect(),
    }
}

fn owner(found: Beneficiary) -> Owner {
    let Person { first_name, last_name, company_name } = found.beneficiary_info;
    let person: Vec<String> = [first_name, last_name].into_iter().flatten().collect();
    let mut roles: Vec<String> = found.types.into_iter().chain(found.r#type).chain(found.positions).collect();
    let mut known = std::collections::HashSet::new();
    roles.retain(|role| known.insert(role.clone()));
    Owner {
        provider_id: found.applicant_id,
        name: company_name.or_else(|| Some(person.join(" ")).filter(|name| !name.is_empty())),
        roles,
        share: found.share_size.map(|share| share.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The request of the provider's documentation; the digest is openssl's, of its text under this key.
    #[test]
    fn a_request_is_signed_as_the_documentation_says() {
        let secret = SecretString::from("SoMe_SeCrEt_KeY");
        let path = "/resources/accessTokens?userId=cfd20712-24a2-4c7d-9ab0-146f3c142335&levelName=basic-kyc-level&\
                    ttlInSecs=600";
        let expected = "15cc96be3e65ed8805f374db7f4c49c5723ae2a20eea3159cf0ab7c3badc3ad0";
        assert_eq!(signature(&secret, "1607551635", "POST", path, b"").as_deref(), Some(expected));
        assert_ne!(signature(&secret, "1607551635", "POST", path, b"{}").as_deref(), Some(expected));
        assert_ne!(signature(&secret, "1607551636", "POST", path, b"").as_deref(), Some(expected));
    }

    #[test]
    fn a_persons_country_is_what_the_papers_say_and_a_companys_owners_are_named() {
        let read = |value: Value| facts(serde_json::from_value(value).unwrap());
        let person =
            json!({ "id": "5b5", "info": { "country": "DEU", "firstName": "A" }, "fixedInfo": { "country": "FRA" } });
        assert_eq!(read(person), Facts { country: Some(276), owners: Vec::new() });
        let company = json!({ "type": "company", "info": { "companyInfo": {
            "companyName": "Harbour Ltd", "country": "GBR", "beneficiaries": [
                { "applicantId": "63e", "positions": ["director", "ubo"], "type": "ubo", "shareSize": 42.50 },
                { "types": ["shareholder"], "beneficiaryInfo": { "firstName": "Ada", "lastName": "King" } },
            ],
        } } });
        let found = read(company);
        assert_eq!(found.country, Some(826));
        assert_eq!(found.owners[0].roles, ["ubo", "director"]);
        assert_eq!(
            (found.owners[0].provider_id.as_deref(), found.owners[0].share.as_deref()),
            (Some("63e"), Some("42.5"))
        );
        assert_eq!(found.owners[1].name.as_deref(), Some("Ada King"));
        assert_eq!(read(json!({ "id": "5b5" })), Facts::default(), "an application that has just begun");
    }
}
