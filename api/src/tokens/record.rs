//! Rows of `tokens`: the draft and when it was written. Written by [`super::routes`] only.

use alloy::primitives::Address;
use serde::{Serialize, Serializer};
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use tokenx_contracts::amount::Amount;
use tokenx_contracts::ids::InstrumentId;
use tokenx_migrations::{Addr, Uint256};
use uuid::Uuid;

use super::draft::{Band, Distribution, Draft, Metric, Oracle};
use super::money::{Currency, Price};
use crate::error::ApiError;

/// A token as the platform keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id, 24 hex.
    pub token_id: String,
    /// Whose it is.
    pub issuer_id: Uuid,
    /// The Executor of its node.
    pub executor: Address,
    /// What its issuer says of it.
    pub draft: Draft,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was last written.
    pub updated_at: OffsetDateTime,
}

/// Which records a list is of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this issuer's; `None`: everyone's.
    pub issuer: Option<Uuid>,
    /// Only this node's.
    pub node_id: Option<String>,
    /// Only that of this instrument.
    pub instrument_id: Option<String>,
    /// Only of this kind.
    pub kind: Option<i16>,
    /// Only public ones, or only others.
    pub is_public: Option<bool>,
    /// Only those with this in a name or a symbol, whatever its case.
    pub search: Option<String>,
    /// Only those older than this.
    pub before: Option<(OffsetDateTime, String)>,
}

/// One record; `None` where there is none, or another issuer's.
///
/// # Errors
/// The database's.
pub async fn find(db: impl PgExecutor<'_>, token_id: &str, issuer: Option<Uuid>) -> Result<Option<Record>, ApiError> {
    let row: Option<Joined> = sqlx::query_as(
        "SELECT *
           FROM token_records
          WHERE token_id = $1
            AND ($2::uuid IS NULL OR issuer_id = $2)",
    )
    .bind(token_id)
    .bind(issuer)
    .fetch_optional(db)
    .await?;
    row.map(Record::try_from).transpose()
}

/// The same, for whoever is going to write it: nobody else does meanwhile.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, token_id: &str, issuer: Option<Uuid>) -> Result<Option<Record>, ApiError> {
    sqlx::query("SELECT FROM tokens WHERE token_id = $1 FOR UPDATE").bind(token_id).execute(&mut *conn).await?;
    find(conn, token_id, issuer).await
}

/// The records of these ids, in no order.
///
/// # Errors
/// The database's.
pub async fn of_ids(db: impl PgExecutor<'_>, token_ids: &[&str]) -> Result<Vec<Record>, ApiError> {
    let rows: Vec<Joined> = sqlx::query_as("SELECT * FROM token_records WHERE token_id = ANY ((SELECT $1)::text[])")
        .bind(token_ids)
        .fetch_all(db)
        .await?;
    rows.into_iter().map(Record::try_from).collect()
}

/// A page of records, newest first.
///
/// # Errors
/// The database's.
pub async fn list(db: impl PgExecutor<'_>, filter: &Filter, limit: i64) -> Result<Vec<Record>, ApiError> {
    let (at, id) = filter.before.as_ref().map(|(at, id)| (*at, id.as_str())).unzip();
    let rows: Vec<Joined> = sqlx::query_as(
        "SELECT *
           FROM token_records
          WHERE ($1::uuid        IS NULL OR issuer_id = $1)
            AND ($2::text        IS NULL OR node_id = $2)
            AND ($3::smallint    IS NULL OR kind = $3)
            AND ($4::boolean     IS NULL OR is_public = $4)
            AND ($5::text        IS NULL OR strpos(lower(name),         lower($5)) > 0
                                         OR strpos(lower(token_name),   lower($5)) > 0
                                         OR strpos(lower(token_symbol), lower($5)) > 0)
            AND ($6::text        IS NULL OR instrument_id = $6)
            AND ($7::timestamptz IS NULL OR (created_at, token_id) < ($7, $8))
          ORDER BY created_at DESC, token_id DESC
          LIMIT $9",
    )
    .bind(filter.issuer)
    .bind(filter.node_id.as_deref())
    .bind(filter.kind)
    .bind(filter.is_public)
    .bind(filter.search.as_deref())
    .bind(filter.instrument_id.as_deref())
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Record::try_from).collect()
}

/// The records of these instruments; those without one are left out.
///
/// # Errors
/// The database's.
pub async fn of_instruments(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    instruments: &[&str],
) -> Result<Vec<Record>, ApiError> {
    let rows: Vec<Joined> =
        sqlx::query_as("SELECT * FROM token_records WHERE chain_id = $1 AND instrument_id = ANY ($2)")
            .bind(i64::try_from(chain_id).unwrap_or(i64::MAX))
            .bind(instruments)
            .fetch_all(db)
            .await?;
    rows.into_iter().map(Record::try_from).collect()
}

/// Writes a record, new or not.
///
/// # Errors
/// 409 where its instrument id is another token's.
pub async fn write(conn: &mut PgConnection, record: &Record) -> Result<(), ApiError> {
    let row = serde_json::to_value(Row::from(record)).map_err(ApiError::internal)?;
    let written = sqlx::query(
        "INSERT INTO tokens
         SELECT (jsonb_populate_record(NULL::tokens, $1)).*
             ON CONFLICT (token_id) DO UPDATE
            SET node_id               = excluded.node_id,
                instrument_id         = excluded.instrument_id,
                category_id           = excluded.category_id,
                kind                  = excluded.kind,
                is_public             = excluded.is_public,
                name                  = excluded.name,
                description           = excluded.description,
                token_name            = excluded.token_name,
                token_symbol          = excluded.token_symbol,
                decimals              = excluded.decimals,
                oracle_id             = excluded.oracle_id,
                oracle_code           = excluded.oracle_code,
                price                 = excluded.price,
                price_currency        = excluded.price_currency,
                total_value           = excluded.total_value,
                value_currency        = excluded.value_currency,
                salable_bps           = excluded.salable_bps,
                max_supply            = excluded.max_supply,
                term_months           = excluded.term_months,
                min_purchase          = excluded.min_purchase,
                max_purchase          = excluded.max_purchase,
                min_rental_holding    = excluded.min_rental_holding,
                rental_income         = excluded.rental_income,
                rental_currency       = excluded.rental_currency,
                rental_period_days    = excluded.rental_period_days,
                rental_starts_at      = excluded.rental_starts_at,
                listing_at            = excluded.listing_at,
                expires_at            = excluded.expires_at,
                secondary_open        = excluded.secondary_open,
                otc_open              = excluded.otc_open,
                has_band              = excluded.has_band,
                min_sell_price        = excluded.min_sell_price,
                max_sell_price        = excluded.max_sell_price,
                distribution_id       = excluded.distribution_id,
                distribution_external = excluded.distribution_external,
                distribution_priority = excluded.distribution_priority,
                distribution_agent    = excluded.distribution_agent,
                updated_at            = excluded.updated_at",
    )
    .bind(row)
    .execute(conn)
    .await;
    match written {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(cause)) if cause.constraint() == Some("tokens_instrument_unique") => {
            Err(instrument_taken(&record.draft.instrument_id))
        }
        Err(error) => Err(error.into()),
    }
}

/// Another token has it.
pub fn instrument_taken(id: &InstrumentId) -> ApiError {
    ApiError::Conflict(format!("instrument id {id} is another token's: choose a new one"))
}

/// A row as it is written.
#[derive(Debug, FromRow, Serialize)]
struct Row {
    token_id: String,
    node_id: String,
    instrument_id: String,
    category_id: String,
    kind: i16,
    is_public: bool,
    name: String,
    description: String,
    token_name: String,
    token_symbol: String,
    decimals: i16,
    oracle_id: Option<String>,
    oracle_code: Option<String>,
    #[serde(serialize_with = "digits")]
    price: Uint256,
    price_currency: String,
    #[serde(serialize_with = "digits")]
    total_value: Uint256,
    value_currency: String,
    salable_bps: i32,
    #[serde(serialize_with = "digits")]
    max_supply: Uint256,
    term_months: Option<i32>,
    min_purchase: Option<i64>,
    max_purchase: Option<i64>,
    min_rental_holding: Option<i64>,
    #[serde(serialize_with = "maybe_digits")]
    rental_income: Option<Uint256>,
    rental_currency: Option<String>,
    rental_period_days: Option<i32>,
    #[serde(with = "time::serde::rfc3339::option")]
    rental_starts_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    listing_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    secondary_open: bool,
    otc_open: bool,
    has_band: bool,
    #[serde(serialize_with = "maybe_digits")]
    min_sell_price: Option<Uint256>,
    #[serde(serialize_with = "maybe_digits")]
    max_sell_price: Option<Uint256>,
    distribution_id: Option<String>,
    distribution_external: Option<String>,
    distribution_priority: Option<i16>,
    distribution_agent: Option<i16>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
}

/// A row of the view `token_records`.
#[derive(Debug, FromRow)]
struct Joined {
    #[sqlx(flatten)]
    row: Row,
    issuer_id: Uuid,
    executor: Addr,
    price_address: Addr,
    price_symbol: String,
    price_decimals: i16,
    value_address: Addr,
    value_symbol: String,
    value_decimals: i16,
    rental_address: Option<Addr>,
    rental_symbol: Option<String>,
    rental_decimals: Option<i16>,
}

impl From<&Record> for Row {
    fn from(record: &Record) -> Row {
        let draft = record.draft.clone();
        let (oracle, metric, band, to) = (draft.oracle, draft.metric, draft.secondary_market, draft.distribution_token);
        let units = |amount: Amount| Uint256(amount.base());
        Row {
            token_id: record.token_id.clone(),
            node_id: draft.node_id,
            instrument_id: draft.instrument_id.into_string(),
            category_id: draft.category_id,
            kind: draft.kind,
            is_public: draft.is_public,
            name: draft.name,
            description: draft.description,
            token_name: draft.token_name,
            token_symbol: draft.token_symbol,
            decimals: i16::from(draft.decimals),
            oracle_id: oracle.as_ref().map(|oracle| oracle.id.clone()),
            oracle_code: oracle.map(|oracle| oracle.code),
            price: units(draft.token_price.amount),
            price_currency: draft.token_price.currency.currency_id,
            total_value: units(draft.total_value.amount),
            value_currency: draft.total_value.currency.currency_id,
            salable_bps: i32::from(draft.salable_bps),
            max_supply: Uint256(draft.max_supply),
            term_months: metric.as_ref().and_then(|metric| metric.term_months),
            min_purchase: metric.as_ref().map(|metric| metric.min_purchase),
            max_purchase: metric.as_ref().map(|metric| metric.max_purchase),
            min_rental_holding: metric.as_ref().map(|metric| metric.min_rental_holding),
            rental_income: metric.as_ref().map(|metric| units(metric.rental_income.amount)),
            rental_currency: metric.as_ref().map(|metric| metric.rental_income.currency.currency_id.clone()),
            rental_period_days: metric.as_ref().map(|metric| metric.rental_period_days),
            rental_starts_at: metric.as_ref().and_then(|metric| metric.rental_starts_at),
            listing_at: metric.as_ref().and_then(|metric| metric.listing_at),
            expires_at: metric.and_then(|metric| metric.expires_at),
            secondary_open: draft.is_open_to_secondary_market,
            otc_open: draft.is_open_to_otc,
            has_band: band.is_some(),
            min_sell_price: band.as_ref().and_then(|band| band.min).map(units),
            max_sell_price: band.and_then(|band| band.max).map(units),
            distribution_id: to.as_ref().map(|to| to.id.clone()),
            distribution_external: to.as_ref().map(|to| to.external_id.clone()),
            distribution_priority: to.as_ref().map(|to| to.priority),
            distribution_agent: to.map(|to| to.agent),
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

impl TryFrom<Joined> for Record {
    type Error = ApiError;

    fn try_from(joined: Joined) -> Result<Record, ApiError> {
        let row = joined.row;
        let price = currency(row.price_currency, joined.price_address, joined.price_symbol, joined.price_decimals)?;
        let value = currency(row.value_currency, joined.value_address, joined.value_symbol, joined.value_decimals)?;
        let rental = match (row.rental_currency, joined.rental_address, joined.rental_symbol, joined.rental_decimals) {
            (Some(id), Some(address), Some(symbol), Some(decimals)) => Some(currency(id, address, symbol, decimals)?),
            _ => None,
        };
        let metric = row.min_purchase.zip(row.max_purchase).zip(row.min_rental_holding);
        let rent = rental.zip(row.rental_income).zip(row.rental_period_days);
        let metric =
            metric.zip(rent).map(|(((min_purchase, max_purchase), least), ((currency, income), days))| Metric {
                term_months: row.term_months,
                min_purchase,
                max_purchase,
                min_rental_holding: least,
                rental_income: Price::new(currency, income.0),
                rental_period_days: days,
                rental_starts_at: row.rental_starts_at,
                listing_at: row.listing_at,
                expires_at: row.expires_at,
            });
        let of_price = |units: Uint256| Amount::new(units.0, price.decimals);
        let band =
            row.has_band.then(|| Band { min: row.min_sell_price.map(of_price), max: row.max_sell_price.map(of_price) });
        let to = row.distribution_id.zip(row.distribution_external);
        let to = to.zip(row.distribution_priority.zip(row.distribution_agent));
        let draft = Draft {
            node_id: row.node_id,
            instrument_id: InstrumentId::parse(row.instrument_id).map_err(ApiError::internal)?,
            category_id: row.category_id,
            kind: row.kind,
            is_public: row.is_public,
            name: row.name,
            description: row.description,
            token_name: row.token_name,
            token_symbol: row.token_symbol,
            decimals: u8::try_from(row.decimals).map_err(ApiError::internal)?,
            oracle: row.oracle_id.zip(row.oracle_code).map(|(id, code)| Oracle { id, code }),
            token_price: Price::new(price, row.price.0),
            total_value: Price::new(value, row.total_value.0),
            salable_bps: u16::try_from(row.salable_bps).map_err(ApiError::internal)?,
            max_supply: row.max_supply.0,
            metric,
            is_open_to_secondary_market: row.secondary_open,
            is_open_to_otc: row.otc_open,
            secondary_market: band,
            distribution_token: to.map(|((id, external_id), (priority, agent))| Distribution {
                id,
                external_id,
                priority,
                agent,
            }),
        };
        Ok(Record {
            token_id: row.token_id,
            issuer_id: joined.issuer_id,
            executor: joined.executor.0,
            draft,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

fn currency(currency_id: String, address: Addr, symbol: String, decimals: i16) -> Result<Currency, ApiError> {
    let decimals = u8::try_from(decimals).map_err(ApiError::internal)?;
    Ok(Currency { currency_id, address: address.0, symbol, decimals })
}

fn digits<S: Serializer>(number: &Uint256, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&number.0)
}

fn maybe_digits<S: Serializer>(number: &Option<Uint256>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => digits(number, serializer),
        None => serializer.serialize_none(),
    }
}
