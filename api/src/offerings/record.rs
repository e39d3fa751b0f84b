//! Rows of `offerings`. Written here only.

use serde::{Serialize, Serializer};
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use tokenx_indexer::read::pages::Window;
use tokenx_migrations::{Addr, Uint256};
use uuid::Uuid;

use super::course::State;
use super::terms::{Exemption, Terms};
use super::visibility::Sees;
use crate::error::ApiError;
use crate::store::page::made_between;
use crate::tokens::Currency;
use crate::tokens::money::Price;

/// An offering as the platform keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub offering_id: Uuid,
    /// What is sold.
    pub token_id: String,
    /// The same, once deployed.
    pub instrument_id: String,
    /// Whose it is.
    pub issuer_id: Uuid,
    /// What its issuer says of it.
    pub terms: Terms,
    /// What people decided.
    pub state: State,
    /// Approvals so far.
    pub round: i32,
    /// All was asked of the keeper that the last one asks.
    pub settled: bool,
    /// Counts what was written of it.
    pub version: i64,
    /// Who asked for a decision last, and when.
    pub published: Option<(String, OffsetDateTime)>,
    /// The last decision.
    pub decision: Option<Decision>,
    /// Why it was rejected last.
    pub rejection: Option<String>,
    /// When another one took its place.
    pub closed_at: Option<OffsetDateTime>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
}

/// Who decided, when, and by which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// As the audit log names people.
    pub by: String,
    /// When.
    pub at: OffsetDateTime,
    /// The request's id.
    pub request_id: String,
}

/// Which offerings a list is of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only what somebody sees.
    pub sees: Sees,
    /// Only this token's.
    pub token_id: Option<String>,
    /// Only of this instrument.
    pub instrument_id: Option<String>,
    /// Only under this exemption.
    pub exemption: Option<Exemption>,
}

/// Where an offering stands in lists.
pub type Place = (OffsetDateTime, Uuid);

/// One offering.
///
/// # Errors
/// The database's.
pub async fn find(db: impl PgExecutor<'_>, offering_id: Uuid) -> Result<Option<Record>, ApiError> {
    let row: Option<Joined> = sqlx::query_as("SELECT * FROM offering_records WHERE offering_id = $1")
        .bind(offering_id)
        .fetch_optional(db)
        .await?;
    row.map(Record::try_from).transpose()
}

/// The same, for whoever is going to write it: nobody else does meanwhile.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, offering_id: Uuid) -> Result<Option<Record>, ApiError> {
    sqlx::query("SELECT FROM offerings WHERE offering_id = $1 FOR UPDATE")
        .bind(offering_id)
        .execute(&mut *conn)
        .await?;
    find(conn, offering_id).await
}

/// One that was approved and asks more of the keeper, for whoever is going to ask: `None` where another one is at it, or
/// nothing is left to ask.
///
/// # Errors
/// The database's.
pub async fn lock_on_its_way(conn: &mut PgConnection, offering_id: Uuid) -> Result<Option<Record>, ApiError> {
    let free = sqlx::query(
        "SELECT FROM offerings
          WHERE offering_id = $1 AND state = 'approved' AND NOT settled
            FOR UPDATE SKIP LOCKED",
    )
    .bind(offering_id)
    .execute(&mut *conn)
    .await?;
    if free.rows_affected() == 0 { Ok(None) } else { find(conn, offering_id).await }
}

/// Those that were approved and ask more of the keeper.
///
/// # Errors
/// The database's.
pub async fn on_their_way(db: impl PgExecutor<'_>) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT offering_id FROM offerings WHERE state = 'approved' AND NOT settled ORDER BY offering_id",
    )
    .fetch_all(db)
    .await
}

/// The offering of a token that no other one has taken the place of.
///
/// # Errors
/// The database's.
pub async fn newest_of(conn: &mut PgConnection, token_id: &str) -> Result<Option<Record>, ApiError> {
    let newest: Option<Uuid> =
        sqlx::query_scalar("SELECT offering_id FROM offerings WHERE token_id = $1 AND closed_at IS NULL FOR UPDATE")
            .bind(token_id)
            .fetch_optional(&mut *conn)
            .await?;
    match newest {
        Some(offering_id) => find(conn, offering_id).await,
        None => Ok(None),
    }
}

/// `$1`–`$5`: which offerings.
macro_rules! matching {
    () => {
        " FROM offering_records
         WHERE ($1::uuid IS NULL AND $2::text[] IS NULL OR issuer_id = $1
                OR (state = 'approved' AND exemption = ANY ($2)))
           AND ($3::text IS NULL OR token_id = $3)
           AND ($4::text IS NULL OR exemption = $4)
           AND ($5::text IS NULL OR instrument_id = $5)"
    };
}

/// A page of offerings.
///
/// # Errors
/// The database's.
pub async fn list(db: impl PgExecutor<'_>, filter: &Filter, window: &Window<Place>) -> Result<Vec<Record>, ApiError> {
    let (own, offered) = filter.sees.filter();
    let (above, below) = (window.above.unzip(), window.below.unzip());
    let rows: Vec<Joined> =
        sqlx::query_as(made_between!(matching!(), "offering_id", ["$6", "$7", "$8", "$9", "$10"], window))
            .bind(own)
            .bind(offered)
            .bind(filter.token_id.as_deref())
            .bind(filter.exemption.map(Exemption::as_str))
            .bind(filter.instrument_id.as_deref())
            .bind(above.0)
            .bind(above.1)
            .bind(below.0)
            .bind(below.1)
            .bind(window.limit)
            .fetch_all(db)
            .await?;
    rows.into_iter().map(Record::try_from).collect()
}

/// How many offerings there are.
///
/// # Errors
/// The database's.
pub async fn count(db: impl PgExecutor<'_>, filter: &Filter) -> Result<i64, sqlx::Error> {
    let (own, offered) = filter.sees.filter();
    sqlx::query_scalar(concat!("SELECT count(*)", matching!()))
        .bind(own)
        .bind(offered)
        .bind(filter.token_id.as_deref())
        .bind(filter.exemption.map(Exemption::as_str))
        .bind(filter.instrument_id.as_deref())
        .fetch_one(db)
        .await
}

/// Writes an offering, new or not.
///
/// # Errors
/// The database's.
pub async fn write(conn: &mut PgConnection, record: &Record) -> Result<(), ApiError> {
    let row = serde_json::to_value(Row::from(record)).map_err(ApiError::internal)?;
    sqlx::query(
        "INSERT INTO offerings
         SELECT (jsonb_populate_record(NULL::offerings, $1)).*
             ON CONFLICT (offering_id) DO UPDATE
            SET name             = excluded.name,
                description      = excluded.description,
                exemption        = excluded.exemption,
                opens_at         = excluded.opens_at,
                closes_at        = excluded.closes_at,
                price            = excluded.price,
                currency_id      = excluded.currency_id,
                salable_bps      = excluded.salable_bps,
                min_purchase     = excluded.min_purchase,
                max_purchase     = excluded.max_purchase,
                max_fees         = excluded.max_fees,
                state            = excluded.state,
                round            = excluded.round,
                settled          = excluded.settled,
                version          = excluded.version,
                published_by     = excluded.published_by,
                published_at     = excluded.published_at,
                decided_by       = excluded.decided_by,
                decided_at       = excluded.decided_at,
                decision_request = excluded.decision_request,
                rejection        = excluded.rejection,
                closed_at        = excluded.closed_at,
                updated_at       = excluded.updated_at",
    )
    .bind(row)
    .execute(conn)
    .await?;
    Ok(())
}

impl Record {
    /// Where it stands in lists.
    pub fn place(&self) -> Place {
        (self.created_at, self.offering_id)
    }

    /// The same, written once more.
    pub fn touched(self, updated_at: OffsetDateTime) -> Record {
        Record { version: self.version + 1, updated_at, ..self }
    }
}

/// A row as it is written.
#[derive(Debug, FromRow, Serialize)]
struct Row {
    offering_id: Uuid,
    token_id: String,
    name: String,
    description: String,
    exemption: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    opens_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    closes_at: Option<OffsetDateTime>,
    #[serde(serialize_with = "digits")]
    price: Uint256,
    currency_id: String,
    salable_bps: i32,
    min_purchase: i64,
    max_purchase: Option<i64>,
    max_fees: i64,
    state: String,
    round: i32,
    settled: bool,
    version: i64,
    published_by: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    published_at: Option<OffsetDateTime>,
    decided_by: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    decided_at: Option<OffsetDateTime>,
    decision_request: Option<String>,
    rejection: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    closed_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// A row of the view `offering_records`.
#[derive(Debug, FromRow)]
struct Joined {
    #[sqlx(flatten)]
    row: Row,
    instrument_id: String,
    issuer_id: Uuid,
    currency_address: Addr,
    currency_symbol: String,
    currency_decimals: i16,
}

impl From<&Record> for Row {
    fn from(record: &Record) -> Row {
        let terms = record.terms.clone();
        let (published_by, published_at) = record.published.clone().unzip();
        let decision = record.decision.clone();
        Row {
            offering_id: record.offering_id,
            token_id: record.token_id.clone(),
            name: terms.name,
            description: terms.description,
            exemption: terms.exemption.map(|exemption| exemption.as_str().to_owned()),
            opens_at: terms.opens_at,
            closes_at: terms.closes_at,
            price: Uint256(terms.price.amount.base()),
            currency_id: terms.price.currency.currency_id,
            salable_bps: i32::from(terms.salable_bps),
            min_purchase: terms.min_purchase,
            max_purchase: terms.max_purchase,
            max_fees: terms.max_fees,
            state: record.state.as_str().to_owned(),
            round: record.round,
            settled: record.settled,
            version: record.version,
            published_by,
            published_at,
            decided_by: decision.as_ref().map(|decision| decision.by.clone()),
            decided_at: decision.as_ref().map(|decision| decision.at),
            decision_request: decision.map(|decision| decision.request_id),
            rejection: record.rejection.clone(),
            closed_at: record.closed_at,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

impl TryFrom<Joined> for Record {
    type Error = ApiError;

    fn try_from(joined: Joined) -> Result<Record, ApiError> {
        let row = joined.row;
        let state = State::ALL.into_iter().find(|state| state.as_str() == row.state);
        let state = state.ok_or_else(|| ApiError::internal(format!("state {:?} of an offering", row.state)))?;
        let currency = Currency {
            currency_id: row.currency_id,
            address: joined.currency_address.0,
            symbol: joined.currency_symbol,
            decimals: u8::try_from(joined.currency_decimals).map_err(ApiError::internal)?,
        };
        let exemption = row.exemption.as_deref().map(Exemption::parse).transpose().map_err(ApiError::internal)?;
        let decided = row.decided_by.zip(row.decided_at).zip(row.decision_request);
        Ok(Record {
            offering_id: row.offering_id,
            token_id: row.token_id,
            instrument_id: joined.instrument_id,
            issuer_id: joined.issuer_id,
            terms: Terms {
                name: row.name,
                description: row.description,
                exemption,
                opens_at: row.opens_at,
                closes_at: row.closes_at,
                price: Price::new(currency, row.price.0),
                salable_bps: u16::try_from(row.salable_bps).map_err(ApiError::internal)?,
                min_purchase: row.min_purchase,
                max_purchase: row.max_purchase,
                max_fees: row.max_fees,
            },
            state,
            round: row.round,
            settled: row.settled,
            version: row.version,
            published: row.published_by.zip(row.published_at),
            decision: decided.map(|((by, at), request_id)| Decision { by, at, request_id }),
            rejection: row.rejection,
            closed_at: row.closed_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

fn digits<S: Serializer>(number: &Uint256, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&number.0)
}
