//! Parties: legal persons that may hold instruments.

use serde_json::json;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokenx_contracts::ids::PartyId;
use uuid::Uuid;

use super::{By, Error, Note, exists_on, note};
use crate::error::ApiError;
use crate::kyc::provider::Kind;
use crate::kyc::record::{self, Approval, Decision, OPERATOR, Outcome, Record};
use crate::store::parties;
use crate::tokens::routes::now;

/// A party to be known.
#[derive(Debug, Clone)]
pub struct NewParty {
    /// What every text calls it; unique and for ever.
    pub party_id: PartyId,
    /// ISO 3166-1 numeric, 1–999.
    pub country: u16,
    /// The class that the registry carries; 0 = none in particular.
    pub investor_class: u8,
    /// When its KYC ends; `None` = never.
    pub kyc_expires_at: Option<OffsetDateTime>,
}

/// A party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// What every text calls it.
    pub party_id: String,
    /// Its number in the investor registry.
    pub investor_id: u64,
    /// ISO 3166-1 numeric.
    pub country: u16,
    /// The class that the registry carries.
    pub investor_class: u8,
    /// When its KYC ends; `None` = never.
    pub kyc_expires_at: Option<OffsetDateTime>,
}

/// Adds a party.
///
/// # Errors
/// When the id is taken or the country out of range.
pub async fn add_party(pool: &PgPool, by: By<'_>, new: NewParty) -> Result<Party, Error> {
    if !(1..=999).contains(&new.country) {
        let message = format!("{} is not an ISO 3166-1 numeric code (1-999)", new.country);
        return Err(Error::Invalid { field: "country", message });
    }
    let country = i16::try_from(new.country).map_err(|error| Error::Internal(error.to_string()))?;
    let class = i16::from(new.investor_class);
    let party_id = new.party_id.as_str();
    let mut tx = tokenx_migrations::begin(pool).await?;
    let investor_id: i64 = sqlx::query_scalar(
        "INSERT INTO parties (party_id, country, investor_class, kyc_expires_at)
         VALUES ($1, $2, $3, $4)
      RETURNING investor_id",
    )
    .bind(party_id)
    .bind(country)
    .bind(class)
    .bind(new.kyc_expires_at)
    .fetch_one(&mut *tx)
    .await
    .map_err(exists_on("parties_pkey", || format!("a party called {party_id:?} exists already")))?;
    let detail = json!({ "investor_id": investor_id, "country": new.country, "investor_class": new.investor_class });
    note(&mut tx, by, Note { action: "party.add", subject: format!("party:{party_id}"), detail }).await?;
    tx.commit().await?;
    read((party_id.to_owned(), investor_id, country, class, new.kyc_expires_at))
}

/// Takes an operator's word for a party: its KYC is approved as it is known, and no provider is asked.
///
/// # Errors
/// When the party is unknown, or has applied already.
pub async fn vouch(pool: &PgPool, by: By<'_>, party_id: &PartyId) -> Result<(), Error> {
    let internal = |error: ApiError| Error::Internal(error.to_string());
    let party_id = party_id.as_str();
    let mut tx = tokenx_migrations::begin(pool).await?;
    let party = parties::lock(&mut tx, party_id).await?;
    let party = party.ok_or_else(|| Error::Unknown { what: "party", id: party_id.to_owned() })?;
    if record::newest(&mut *tx, party_id).await.map_err(internal)?.is_some() {
        return Err(Error::Exists(format!("party {party_id:?} has applied for KYC: an officer decides on it")));
    }
    let now = now();
    let application = Record {
        applicant_id: Uuid::now_v7(),
        party_id: party_id.to_owned(),
        number: 1,
        kind: Kind::Individual,
        provider: OPERATOR.to_owned(),
        external_id: format!("1:{party_id}"),
        begun_by: format!("party:{party_id}"),
        said: None,
        comment: None,
        facts: None,
        decision: None,
        created_at: now,
    };
    record::insert(&mut tx, &application).await?;
    let approval = Approval {
        country: party.country,
        investor_class: party.investor_class,
        accreditation_method: None,
        accredited_until: None,
        kyc_expires_at: party.kyc_expires_at,
        override_reason: Some("an operator's word".to_owned()),
    };
    let outcome = Outcome::Approved(approval);
    let decision = Decision { by: by.actor.to_owned(), at: now, on: None, key: None, outcome };
    record::decide(&mut tx, &application, &decision).await?;
    let subject = format!("applicant:{}", application.applicant_id);
    note(&mut tx, by, Note { action: "applicant.vouch", subject, detail: json!({ "party_id": party_id }) }).await?;
    tx.commit().await?;
    Ok(())
}

/// All parties, oldest first.
///
/// # Errors
/// The database's.
pub async fn list_parties(pool: &PgPool) -> Result<Vec<Party>, Error> {
    let mut all = party_page(pool, None, i64::MAX).await?;
    all.reverse();
    Ok(all)
}

/// Parties made before that of this investor id, newest first, up to `limit`.
///
/// # Errors
/// The database's.
pub async fn party_page(pool: &PgPool, before: Option<i64>, limit: i64) -> Result<Vec<Party>, Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT party_id, investor_id, country, investor_class, kyc_expires_at
           FROM parties
          WHERE ($1::bigint IS NULL OR investor_id < $1)
          ORDER BY investor_id DESC
          LIMIT $2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(read).collect()
}

type Row = (String, i64, i16, i16, Option<OffsetDateTime>);

fn read((party_id, investor_id, country, class, kyc_expires_at): Row) -> Result<Party, Error> {
    // The table's CHECKs keep them in range.
    let out_of_range = |_| Error::Internal(format!("the row of party {party_id:?} is out of range"));
    Ok(Party {
        investor_id: u64::try_from(investor_id).map_err(out_of_range)?,
        country: u16::try_from(country).map_err(out_of_range)?,
        investor_class: u8::try_from(class).map_err(out_of_range)?,
        kyc_expires_at,
        party_id: party_id.clone(),
    })
}
