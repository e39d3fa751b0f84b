//! A provider that looks at nobody: for development and tests, refused in production. What it says of an applicant follows
//! from the end of its name, and comes as the real one's would: as signed webhooks over HTTP, through the same door.
//!
//! | ends in  | what it says                                     |
//! |----------|--------------------------------------------------|
//! | `+red`   | refused                                          |
//! | `+retry` | to be mended                                     |
//! | `+hold`  | on hold, for ever                                |
//! | `+wait`  | begun, for ever: nothing is handed in            |
//! | else     | good                                             |

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use super::course::Word;
use super::digest::{ALGORITHM, DIGEST, SHA256, sign};
use super::provider::{Facts, Kind, Owner, Provider, ProviderError, Token};
use super::record;
use super::webhook::PATH;
use crate::app::App;
use crate::auth::secret_bytes;

/// Its name in the table.
pub(super) const NAME: &str = "sandbox";
/// Between two looks at what is to be said next.
const TICK: Duration = Duration::from_millis(200);
/// How long its own API may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The provider.
#[derive(Debug)]
pub struct Sandbox {
    /// Seconds that a token lives.
    pub token_seconds: u64,
}

#[async_trait]
impl Provider for Sandbox {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn token(&self, _: &str, _: Kind) -> Result<Token, ProviderError> {
        let random = secret_bytes().map_err(|error| ProviderError::Unreachable(error.to_string()))?;
        let life = time::Duration::seconds(i64::try_from(self.token_seconds).unwrap_or(i64::MAX));
        Ok(Token {
            secret: format!("_act-sbx-{}", URL_SAFE_NO_PAD.encode(random)).into(),
            expires_at: OffsetDateTime::now_utc().saturating_add(life),
        })
    }

    async fn facts(&self, external_id: &str) -> Result<Facts, ProviderError> {
        let owner = Owner {
            provider_id: None,
            name: Some(format!("the owner of {external_id}")),
            roles: vec!["ubo".to_owned()],
            share: Some("100".to_owned()),
        };
        Ok(Facts { country: None, owners: vec![owner] })
    }
}

/// Says what is to be said next, until the process stops. What was said is in the table, so a process that dies in between
/// takes nothing with it, and two of them say the same.
pub(crate) async fn keep_talking(app: App, bound: SocketAddr) {
    let ip = if bound.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { bound.ip() };
    let url = format!("http://{}{PATH}", SocketAddr::new(ip, bound.port()));
    let Ok(client) = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build() else { return };
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stop().cancelled() => return,
            _ = tick.tick() => {}
        }
        let waiting = match record::unfinished(app.pool(), NAME).await {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::warn!(error = %error, "the KYC sandbox cannot see who waits: tried again");
                continue;
            }
        };
        for (external_id, word) in waiting {
            let Some(kind) = next(&external_id, word) else { continue };
            let body = payload(&external_id, kind, OffsetDateTime::now_utc()).to_string();
            let Some(digest) = app.kyc().and_then(|kyc| sign(&kyc.webhook_secret, body.as_bytes())) else { return };
            let request = client.post(&url).header("content-type", "application/json");
            let sent = request.header(DIGEST, digest).header(ALGORITHM, SHA256).body(body).send().await;
            if let Err(error) = sent.and_then(reqwest::Response::error_for_status) {
                tracing::warn!(error = %error, "the KYC sandbox was not heard: tried again");
            }
        }
    }
}

/// What an applicant is told next: the webhook's kind, and for a review its answer.
fn next(external_id: &str, word: Option<Word>) -> Option<&'static str> {
    let ends = |suffix| external_id.ends_with(suffix);
    match word {
        None => Some("applicantCreated"),
        Some(Word::Begun) if ends("+wait") => None,
        Some(Word::Begun) => Some("applicantPending"),
        Some(Word::Handed) if ends("+hold") => Some("applicantOnHold"),
        Some(Word::Handed) => Some("applicantReviewed"),
        Some(Word::OnHold | Word::Good | Word::Again | Word::Refused) => None,
    }
}

fn payload(external_id: &str, kind: &str, now: OffsetDateTime) -> Value {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");
    let mut payload = json!({
        "applicantId": hex::encode(&Sha256::digest(external_id.as_bytes())[..12]),
        "externalUserId": external_id,
        "correlationId": Uuid::now_v7().to_string(),
        "sandboxMode": true,
        "type": kind,
        "createdAtMs": now.format(format).unwrap_or_default(),
    });
    if kind == "applicantReviewed" {
        payload["reviewResult"] = match external_id {
            id if id.ends_with("+red") => json!({
                "reviewAnswer": "RED", "reviewRejectType": "FINAL", "rejectLabels": ["FORGERY"],
                "moderationComment": "The sandbox refuses whose name ends in +red.",
            }),
            id if id.ends_with("+retry") => json!({
                "reviewAnswer": "RED", "reviewRejectType": "RETRY", "rejectLabels": ["BAD_PROOF_OF_ADDRESS"],
                "moderationComment": "The sandbox asks for more of whose name ends in +retry.",
            }),
            _ => json!({ "reviewAnswer": "GREEN" }),
        };
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kyc::event::Event;

    /// All it ever says of an applicant, as the webhook's own reader hears it.
    fn said(external_id: &str) -> Vec<Word> {
        let mut words = Vec::new();
        while let Some(kind) = next(external_id, words.last().copied()) {
            let body = payload(external_id, kind, OffsetDateTime::now_utc()).to_string();
            words.push(Event::read(body.as_bytes()).unwrap().unwrap().word.unwrap());
        }
        words
    }

    #[test]
    fn what_it_says_follows_from_the_end_of_the_name() {
        use Word::{Again, Begun, Good, Handed, OnHold, Refused};
        assert_eq!(said("1:alice::122..."), [Begun, Handed, Good]);
        assert_eq!(said("1:bob+red"), [Begun, Handed, Refused]);
        assert_eq!(said("1:bob+retry"), [Begun, Handed, Again]);
        assert_eq!(said("1:bob+hold"), [Begun, Handed, OnHold]);
        assert_eq!(said("1:bob+wait"), [Begun]);
    }
}
