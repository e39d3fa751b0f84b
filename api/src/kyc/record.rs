//! Rows of `applicants`. Written here only, under a lock on their party.

use serde_json::Value;
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use tokenx_migrations::Word as Digest;
use uuid::Uuid;

use super::course::{Decided, Said, Status, Verdict, Word};
use super::event::Event;
use super::provider::{Facts, Kind};
use crate::error::ApiError;

/// The name of the provider where an operator's word takes its place.
pub const OPERATOR: &str = "operator";

/// An application as the platform keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id; of two, the later one's is greater.
    pub applicant_id: Uuid,
    /// Whose it is.
    pub party_id: String,
    /// Which of the party's it is, from 1 on.
    pub number: i32,
    /// Who applies.
    pub kind: Kind,
    /// Who looks at it.
    pub provider: String,
    /// How we name it to the provider.
    pub external_id: String,
    /// Who began it.
    pub begun_by: String,
    /// What the provider said last.
    pub said: Option<Said>,
    /// Why it was refused.
    pub comment: Option<String>,
    /// What the provider found out.
    pub facts: Option<Facts>,
    /// What was decided.
    pub decision: Option<Decision>,
    /// When it was begun.
    pub created_at: OffsetDateTime,
}

/// A decision on an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// By whom, as the audit log names people.
    pub by: String,
    /// When.
    pub at: OffsetDateTime,
    /// What the provider had said last: Unix milliseconds.
    pub on: Option<i64>,
    /// The client's own name for it.
    pub key: Option<String>,
    /// Which.
    pub outcome: Outcome,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Approved, with what the registry is to say.
    Approved(Approval),
    /// Rejected, and why.
    Rejected(String),
}

/// What an approval says of a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// ISO 3166-1 numeric.
    pub country: u16,
    /// Class as the platform numbers it; 0 = not given.
    pub investor_class: u8,
    /// On what its accreditation rests; `None`: it is not accredited.
    pub accreditation_method: Option<String>,
    /// When that ends.
    pub accredited_until: Option<OffsetDateTime>,
    /// When the approval ends; `None` = never.
    pub kyc_expires_at: Option<OffsetDateTime>,
    /// Why against the provider's word.
    pub override_reason: Option<String>,
}

/// Which applications a list is of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this party's.
    pub party_id: Option<String>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only those begun before this one.
    pub before: Option<Uuid>,
}

impl Record {
    /// Where it stands now.
    pub fn status(&self, now: OffsetDateTime) -> Status {
        Status::of(self.said, self.decided(), now)
    }

    /// Why it was rejected: the officer's words, else the provider's.
    pub fn reason(&self) -> Option<&str> {
        match self.decision.as_ref().map(|decision| &decision.outcome) {
            Some(Outcome::Rejected(reason)) => Some(reason),
            _ if self.stands() => None,
            _ => self.comment.as_deref(),
        }
    }

    /// Whether it was decided on, and nothing said since undoes it.
    pub fn stands(&self) -> bool {
        self.decided().is_some_and(|decided| decided.stands(self.said))
    }

    /// When its approval ends.
    pub fn until(&self) -> Option<OffsetDateTime> {
        self.decided().and_then(|decided| decided.until)
    }

    fn decided(&self) -> Option<Decided> {
        let decision = self.decision.as_ref()?;
        let (verdict, until) = match &decision.outcome {
            Outcome::Approved(approval) => (Verdict::Approved, approval.kyc_expires_at),
            Outcome::Rejected(_) => (Verdict::Rejected, None),
        };
        Some(Decided { verdict, on: decision.on, until })
    }
}

/// One application.
///
/// # Errors
/// The database's.
pub async fn find(db: impl PgExecutor<'_>, applicant_id: Uuid) -> Result<Option<Record>, ApiError> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM applicants WHERE applicant_id = $1")
        .bind(applicant_id)
        .fetch_optional(db)
        .await?;
    row.map(Record::try_from).transpose()
}

/// The application that a provider knows by this name of ours.
///
/// # Errors
/// The database's.
pub async fn by_external_id(
    db: impl PgExecutor<'_>,
    provider: &str,
    external_id: &str,
) -> Result<Option<Record>, ApiError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT *
           FROM applicants
          WHERE provider = $1 AND external_id = $2",
    )
    .bind(provider)
    .bind(external_id)
    .fetch_optional(db)
    .await?;
    row.map(Record::try_from).transpose()
}

/// A party's newest application: the one that counts.
///
/// # Errors
/// The database's.
pub async fn newest(db: impl PgExecutor<'_>, party_id: &str) -> Result<Option<Record>, ApiError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT *
           FROM applicants
          WHERE party_id = $1
          ORDER BY number DESC
          LIMIT 1",
    )
    .bind(party_id)
    .fetch_optional(db)
    .await?;
    row.map(Record::try_from).transpose()
}

/// Applications, newest first, up to `limit`.
///
/// # Errors
/// The database's.
pub async fn list(db: impl PgExecutor<'_>, filter: &Filter, limit: i64) -> Result<Vec<Record>, ApiError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT *
           FROM applicants
          WHERE ($1::text IS NULL OR party_id = $1)
            AND ($2::text IS NULL OR kind = $2)
            AND ($3::uuid IS NULL OR applicant_id < $3)
          ORDER BY applicant_id DESC
          LIMIT $4",
    )
    .bind(&filter.party_id)
    .bind(filter.kind.map(Kind::as_str))
    .bind(filter.before)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Record::try_from).collect()
}

/// Names and last words of a provider's applications on which nobody has decided.
///
/// # Errors
/// The database's.
pub async fn unfinished(db: impl PgExecutor<'_>, provider: &str) -> Result<Vec<(String, Option<Word>)>, sqlx::Error> {
    let rows: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT external_id, word
           FROM applicants
          WHERE provider = $1
            AND verdict IS NULL
            AND (word IS NULL OR word IN ('begun', 'handed_in'))",
    )
    .bind(provider)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(id, word)| (id, word.as_deref().and_then(Word::parse))).collect())
}

/// Adds an application.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut PgConnection, record: &Record) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO applicants (applicant_id, party_id, number, kind, provider, external_id, begun_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(record.applicant_id)
    .bind(&record.party_id)
    .bind(record.number)
    .bind(record.kind.as_str())
    .bind(&record.provider)
    .bind(&record.external_id)
    .bind(&record.begun_by)
    .bind(record.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a webhook was heard. False: it was before, and nothing was written.
///
/// # Errors
/// The database's.
pub async fn hear(conn: &mut PgConnection, record: &Record, event: &Event) -> Result<bool, sqlx::Error> {
    let heard = sqlx::query(
        "INSERT INTO kyc_events (provider, digest, applicant_id, kind, said_at)
         VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
    )
    .bind(&record.provider)
    .bind(Digest(event.digest.into()))
    .bind(record.applicant_id)
    .bind(&event.kind)
    .bind(event.at)
    .execute(conn)
    .await?;
    Ok(heard.rows_affected() == 1)
}

/// Writes the provider's last word, and that it may have found out more.
///
/// # Errors
/// The database's.
pub async fn say(
    conn: &mut PgConnection,
    record: &Record,
    said: Said,
    (provider_id, comment): (&str, Option<&str>),
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE applicants
            SET word = $2, said_at = $3, said_digest = $4, provider_id = $5, said_comment = $6, facts_due_at = now()
          WHERE applicant_id = $1",
    )
    .bind(record.applicant_id)
    .bind(said.word.as_str())
    .bind(said.at)
    .bind(Digest(said.digest.into()))
    .bind(provider_id)
    .bind(comment)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what was decided on an application.
///
/// # Errors
/// The database's.
pub async fn decide(conn: &mut PgConnection, record: &Record, decision: &Decision) -> Result<(), sqlx::Error> {
    let (verdict, approval, rejection) = match &decision.outcome {
        Outcome::Approved(approval) => (Verdict::Approved, Some(approval), None),
        Outcome::Rejected(reason) => (Verdict::Rejected, None, Some(reason)),
    };
    sqlx::query(
        "UPDATE applicants
            SET verdict = $2, decided_by = $3, decided_at = $4, decided_on = $5, decision_key = $6, rejection = $7,
                override_reason = $8, country = $9, investor_class = $10, accreditation_method = $11,
                accredited_until = $12, kyc_expires_at = $13
          WHERE applicant_id = $1",
    )
    .bind(record.applicant_id)
    .bind(verdict.as_str())
    .bind(&decision.by)
    .bind(decision.at)
    .bind(decision.on)
    .bind(&decision.key)
    .bind(rejection)
    .bind(approval.and_then(|approval| approval.override_reason.as_ref()))
    .bind(approval.map(|approval| approval.country.cast_signed()))
    .bind(approval.map(|approval| i16::from(approval.investor_class)))
    .bind(approval.and_then(|approval| approval.accreditation_method.as_ref()))
    .bind(approval.and_then(|approval| approval.accredited_until))
    .bind(approval.and_then(|approval| approval.kyc_expires_at))
    .execute(&mut *conn)
    .await?;
    let Some(approval) = approval else { return Ok(()) };
    sqlx::query(
        "UPDATE parties
            SET country = $2, investor_class = $3, accreditation_method = $4, accredited_until = $5, kyc_expires_at = $6
          WHERE party_id = $1",
    )
    .bind(&record.party_id)
    .bind(approval.country.cast_signed())
    .bind(i16::from(approval.investor_class))
    .bind(&approval.accreditation_method)
    .bind(approval.accredited_until)
    .bind(approval.kyc_expires_at)
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    applicant_id: Uuid,
    party_id: String,
    number: i32,
    kind: String,
    provider: String,
    external_id: String,
    begun_by: String,
    word: Option<String>,
    said_at: Option<i64>,
    said_digest: Option<Digest>,
    said_comment: Option<String>,
    facts: Option<Value>,
    decided_by: Option<String>,
    decided_at: Option<OffsetDateTime>,
    decided_on: Option<i64>,
    decision_key: Option<String>,
    rejection: Option<String>,
    override_reason: Option<String>,
    country: Option<i16>,
    investor_class: Option<i16>,
    accreditation_method: Option<String>,
    accredited_until: Option<OffsetDateTime>,
    kyc_expires_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Record {
    type Error = ApiError;

    fn try_from(row: Row) -> Result<Record, ApiError> {
        let word = row.word.as_deref().and_then(Word::parse);
        let said = word.zip(row.said_at).zip(row.said_digest);
        let approval = row.country.zip(row.investor_class).map(|(country, class)| {
            Outcome::Approved(Approval {
                // The table's CHECKs keep them in range.
                country: country.unsigned_abs(),
                investor_class: u8::try_from(class).unwrap_or_default(),
                accreditation_method: row.accreditation_method,
                accredited_until: row.accredited_until,
                kyc_expires_at: row.kyc_expires_at,
                override_reason: row.override_reason,
            })
        });
        let outcome = approval.or(row.rejection.map(Outcome::Rejected));
        let decided = outcome.zip(row.decided_by).zip(row.decided_at);
        Ok(Record {
            applicant_id: row.applicant_id,
            party_id: row.party_id,
            number: row.number,
            kind: Kind::parse(&row.kind).map_err(ApiError::internal)?,
            provider: row.provider,
            external_id: row.external_id,
            begun_by: row.begun_by,
            said: said.map(|((word, at), digest)| Said { at, digest: digest.0.0, word }),
            comment: row.said_comment,
            facts: row.facts.map(serde_json::from_value).transpose().map_err(ApiError::internal)?,
            decision: decided.map(|((outcome, by), at)| Decision {
                by,
                at,
                on: row.decided_on,
                key: row.decision_key,
                outcome,
            }),
            created_at: row.created_at,
        })
    }
}
