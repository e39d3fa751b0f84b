//! Applications as officers see them.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::kyc::provider::{Kind, Owner};
use crate::kyc::record::{Decision, Outcome, Record};
use crate::tokens::details::timestamp;
use crate::tokens::routes::now;

/// An application.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApplicantView {
    id: Uuid,
    party_id: String,
    /// individual or company.
    kind: &'static str,
    /// pending, in_review, approved, rejected, expired.
    status: &'static str,
    /// Who looks at the papers; operator: nobody was asked.
    provider: String,
    /// What it said last: begun, handed_in, on_hold, good, to_be_mended, refused; null: nothing yet.
    #[schema(required)]
    provider_word: Option<&'static str>,
    /// Why it was rejected, or what is to be mended.
    #[schema(required)]
    reason: Option<String>,
    /// What the provider found, ISO 3166-1 numeric.
    #[schema(required)]
    found_country: Option<u16>,
    /// Of a company: who owns or controls it, as the provider found.
    beneficial_owners: Vec<Owner>,
    /// What was decided; null before.
    #[schema(required)]
    decision: Option<DecisionView>,
    #[schema(format = DateTime)]
    created_at: String,
}

/// What was decided on an application.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionView {
    by: String,
    #[schema(format = DateTime)]
    at: String,
    /// False: what the provider has said since undoes it, and it is to be decided again.
    stands: bool,
    /// ISO 3166-1 numeric; null with a rejection, as all that follows.
    #[schema(required)]
    country: Option<u16>,
    #[schema(required)]
    investor_class: Option<u8>,
    #[schema(required)]
    accreditation_method: Option<String>,
    #[schema(required, format = DateTime)]
    accredited_until: Option<String>,
    /// Null: never.
    #[schema(required, format = DateTime)]
    kyc_expires_at: Option<String>,
    #[schema(required)]
    override_reason: Option<String>,
}

/// A page of applications.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApplicantPage {
    pub(super) items: Vec<ApplicantView>,
    /// For the next page; null on the last one.
    pub(super) next_cursor: Option<String>,
}

impl From<Record> for ApplicantView {
    fn from(record: Record) -> ApplicantView {
        let (status, stands) = (record.status(now()), record.stands());
        let reason = record.reason().map(str::to_owned);
        let facts = record.facts.unwrap_or_default();
        ApplicantView {
            id: record.applicant_id,
            party_id: record.party_id,
            kind: record.kind.as_str(),
            status: status.as_str(),
            provider: record.provider,
            provider_word: record.said.map(|said| said.word.as_str()),
            reason,
            found_country: facts.country,
            beneficial_owners: if record.kind == Kind::Company { facts.owners } else { Vec::new() },
            decision: record.decision.map(|decision| DecisionView::of(decision, stands)),
            created_at: timestamp(record.created_at),
        }
    }
}

impl DecisionView {
    fn of(decision: Decision, stands: bool) -> DecisionView {
        let approval = match decision.outcome {
            Outcome::Approved(approval) => Some(approval),
            Outcome::Rejected(_) => None,
        };
        let time = |time: Option<OffsetDateTime>| time.map(timestamp);
        DecisionView {
            by: decision.by,
            at: timestamp(decision.at),
            stands,
            country: approval.as_ref().map(|approval| approval.country),
            investor_class: approval.as_ref().map(|approval| approval.investor_class),
            accredited_until: time(approval.as_ref().and_then(|approval| approval.accredited_until)),
            kyc_expires_at: time(approval.as_ref().and_then(|approval| approval.kyc_expires_at)),
            override_reason: approval.as_ref().and_then(|approval| approval.override_reason.clone()),
            accreditation_method: approval.and_then(|approval| approval.accreditation_method),
        }
    }
}
