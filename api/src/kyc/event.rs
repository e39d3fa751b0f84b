//! What a webhook says, read from Sumsub's shape of it. Of its many kinds only those that tell how far an application has
//! come matter here.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::course::{Said, Word};

/// A webhook's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// SHA-256 of its bytes: the same again is the same event.
    pub digest: [u8; 32],
    /// How we named the applicant to the provider.
    pub external_id: String,
    /// How the provider names it.
    pub provider_id: String,
    /// Its kind, as the provider writes it.
    pub kind: String,
    /// Unix milliseconds.
    pub at: i64,
    /// What it says; `None`: nothing that matters here.
    pub word: Option<Word>,
    /// What the applicant may be told of a refusal.
    pub comment: Option<String>,
}

impl Event {
    /// Reads a webhook's bytes; `None`: it is not about an applicant.
    ///
    /// # Errors
    /// What of it cannot be read.
    pub fn read(body: &[u8]) -> Result<Option<Event>, String> {
        let payload: Payload = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let Payload { external_user_id, applicant_id, r#type, created_at_ms, review_result } = payload;
        let named = external_user_id.zip(applicant_id).zip(r#type).zip(created_at_ms);
        let Some((((external_id, provider_id), kind), created_at)) = named else { return Ok(None) };
        if [&external_id, &provider_id, &kind].iter().any(|text| text.contains('\0')) {
            return Err("a text holds a NUL character".to_owned());
        }
        let review = review_result.unwrap_or_default();
        let word = word(&kind, &review);
        let refused = matches!(word, Some(Word::Again | Word::Refused));
        let comment = review.moderation_comment.filter(|comment| !comment.trim().is_empty() && !comment.contains('\0'));
        let labels =
            Some(review.reject_labels.join(", ")).filter(|labels| !labels.is_empty() && !labels.contains('\0'));
        Ok(Some(Event {
            digest: Sha256::digest(body).into(),
            external_id,
            provider_id,
            at: instant(&created_at)?,
            word,
            comment: comment.or(labels).filter(|_| refused),
            kind,
        }))
    }

    /// What it says, with when.
    pub fn said(&self) -> Option<Said> {
        self.word.map(|word| Said { at: self.at, digest: self.digest, word })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    external_user_id: Option<String>,
    applicant_id: Option<String>,
    r#type: Option<String>,
    created_at_ms: Option<String>,
    review_result: Option<Review>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Review {
    review_answer: Option<String>,
    review_reject_type: Option<String>,
    moderation_comment: Option<String>,
    reject_labels: Vec<String>,
}

fn word(kind: &str, review: &Review) -> Option<Word> {
    match kind {
        "applicantCreated" | "applicantReset" | "applicantAwaitingUser" => Some(Word::Begun),
        "applicantPending" | "applicantAwaitingService" => Some(Word::Handed),
        "applicantOnHold" => Some(Word::OnHold),
        "applicantReviewed" => match (review.review_answer.as_deref(), review.review_reject_type.as_deref()) {
            (Some("GREEN"), _) => Some(Word::Good),
            (Some("RED"), Some("RETRY")) => Some(Word::Again),
            (Some("RED"), _) => Some(Word::Refused),
            _ => None,
        },
        _ => None,
    }
}

/// `2020-02-21 13:23:19.002`, UTC, to Unix milliseconds.
fn instant(text: &str) -> Result<i64, String> {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond]");
    let plain = text.trim_end_matches('Z').trim_end_matches("+0000");
    let time = PrimitiveDateTime::parse(plain, format).map_err(|_| format!("createdAtMs is no time: {text:?}"))?;
    i64::try_from(time.assume_utc().unix_timestamp_nanos() / 1_000_000).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, review: &serde_json::Value) -> Event {
        let payload = json!({
            "applicantId": "5cb56e8e0a975a35f333cb83", "inspectionId": "5cb56e8e0a975a35f333cb84",
            "correlationId": "req-a260b669-4f14-4bb5-a4c5-ac0218acb9a4", "externalUserId": "1:alice::122...",
            "levelName": "basic-kyc-level", "type": kind, "reviewResult": review, "reviewStatus": "completed",
            "createdAtMs": "2020-02-21 13:23:19.321",
        });
        Event::read(payload.to_string().as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_review_says_good_again_or_refused_and_why() {
        let green = event("applicantReviewed", &json!({ "reviewAnswer": "GREEN" }));
        assert_eq!((green.word, green.comment.as_deref(), green.at), (Some(Word::Good), None, 1_582_291_399_321));
        let red = |kind: &str| {
            let review = json!({
                "moderationComment": "We could not verify your profile.", "clientComment": "screen recapture",
                "reviewAnswer": "RED", "rejectLabels": ["FORGERY"], "reviewRejectType": kind,
            });
            event("applicantReviewed", &review)
        };
        assert_eq!(red("RETRY").word, Some(Word::Again));
        let last = red("FINAL");
        assert_eq!(last.word, Some(Word::Refused));
        assert_eq!(
            last.comment.as_deref(),
            Some("We could not verify your profile."),
            "and never the client's comment"
        );
        let bare = event("applicantReviewed", &json!({ "reviewAnswer": "RED", "rejectLabels": ["FORGERY", "SELFIE"] }));
        assert_eq!((bare.word, bare.comment.as_deref()), (Some(Word::Refused), Some("FORGERY, SELFIE")));
    }

    #[test]
    fn kinds_that_tell_nothing_of_the_course_are_no_word() {
        let word = |kind| event(kind, &serde_json::Value::Null).word;
        assert_eq!(word("applicantCreated"), Some(Word::Begun));
        assert_eq!(word("applicantPending"), Some(Word::Handed));
        assert_eq!(word("applicantOnHold"), Some(Word::OnHold));
        assert_eq!(word("applicantTagsChanged"), None);
        assert_eq!(word("applicantReviewed"), None, "a review without an answer");
        for other in [json!({ "type": "transactionApproved", "createdAtMs": "2020-02-21 13:23:19.321" }), json!({})] {
            assert_eq!(Event::read(other.to_string().as_bytes()), Ok(None));
        }
    }

    #[test]
    fn a_time_is_read_whichever_way_it_is_written() {
        for text in ["2020-02-21 13:23:19.321", "2020-02-21 13:23:19.321+0000", "2020-02-21 13:23:19.321Z"] {
            assert_eq!(instant(text), Ok(1_582_291_399_321), "{text}");
        }
        for bad in ["", "2020-02-21", "1582291399321", "2020-02-30 00:00:00.000"] {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_event_is_refused_whatever_it_is() {
        for bad in [&b""[..], b"{", b"[]", b"\xff", b"{\"type\":1}", b"{\"type\":\"x\",\"createdAtMs\":5}"] {
            assert!(Event::read(bad).is_err(), "{bad:?}");
        }
    }
}
