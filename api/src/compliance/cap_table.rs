//! `GET /compliance/reports/cap-table/{offering}`: who held how much of an instrument, now or at any block or time, and that
//! it adds up to what there was.

use alloy::primitives::{U256, U512};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::amount::Amount;
use tokenx_indexer::read::pages::{self, HolderFilter, HolderRow, Window};
use tokenx_indexer::read::{self, Instrument};
use tokenx_indexer::shares::share;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Block;
use super::table::{self, Format, Table};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::http::query::Query;
use crate::offerings::record as offerings;
use crate::store::{issuers, parties};
use crate::tokens::routes::tenant;

/// Who held an instrument at a block.
#[derive(Debug, Serialize, ToSchema)]
pub struct CapTable {
    #[schema(example = "rCC")]
    instrument_id: String,
    /// The block that it is as of.
    as_of: Block,
    /// What there was of it then: the sum of the quantities.
    #[schema(schema_with = crate::openapi::amount_out)]
    total_supply: String,
    /// How many held it.
    holders: usize,
    /// Largest first.
    rows: Vec<CapTableRow>,
}

/// What a party held.
#[derive(Debug, Serialize, ToSchema)]
pub struct CapTableRow {
    /// The party; a wallet of nobody known is its own.
    party_id: String,
    /// Where, EIP-55.
    wallets: Vec<String>,
    #[schema(schema_with = crate::openapi::amount_out)]
    quantity: String,
    /// Of the total supply, with up to six decimals.
    #[schema(example = "12.5")]
    percentage: String,
}

impl Table for CapTable {
    const COLUMNS: &'static [&'static str] = &[
        "instrument_id",
        "block_number",
        "block_time",
        "total_supply",
        "party_id",
        "wallets",
        "quantity",
        "percentage",
    ];

    fn rows(&self) -> Vec<Vec<String>> {
        let cells = |row: &CapTableRow| {
            vec![
                self.instrument_id.clone(),
                self.as_of.number.to_string(),
                self.as_of.time.clone(),
                self.total_supply.clone(),
                row.party_id.clone(),
                row.wallets.join(" "),
                row.quantity.clone(),
                row.percentage.clone(),
            ]
        };
        self.rows.iter().map(cells).collect()
    }
}

/// When a cap table is to be as of.
#[derive(Debug, Clone, Copy)]
enum When {
    Head,
    Block(u64),
    Second(i64),
}

/// The cap table of an instrument: by its id, or by one of its offerings'.
#[utoipa::path(
    get,
    path = "/compliance/reports/cap-table/{offering}",
    params(
        ("offering" = String, Path, description = "An offering, or the instrument itself"),
        ("at_block" = Option<u64>, Query, description = "As of this block; the indexed head unless given"),
        ("at" = Option<String>, Query, description = "As of the last block at or before this time (RFC 3339)"),
        ("format" = Option<String>, Query, description = "json or csv; as `Accept` says unless given"),
    ),
    responses((
        status = 200,
        description = "Largest holder first",
        content((CapTable = "application/json"), (String = "text/csv")),
    ))
)]
pub(crate) async fn cap_table(
    State(app): State<App>,
    viewer: Viewer,
    offering: Result<Path<String>, PathRejection>,
    format: Format,
    mut query: Query,
) -> Result<Response, ApiError> {
    let block = query.text("at_block", |text| text.parse::<u64>().map_err(|_| "value is not a block's number"));
    let second =
        query.text("at", |text| OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "value is not an RFC 3339 time"));
    query.finish()?;
    let when = match (block, second) {
        (None, None) => When::Head,
        (Some(block), None) => When::Block(block),
        (None, Some(at)) => When::Second(at.unix_timestamp()),
        (Some(_), Some(_)) => return Err(table::either("at", "send at_block or at, not both")),
    };
    let mut tx = read::snapshot(app.pool()).await?;
    let id = offering.map_err(|_| unknown())?.0;
    let instrument = instrument(&app, &viewer, &mut tx, id).await?;
    if instrument.inexact.is_some() {
        let code = ReasonCode::InstrumentInexact;
        return Err(ApiError::Rejected(vec![FieldError::refused("instrument_id", code, code.message())]));
    }
    let as_of = as_of(&app, &mut tx, when).await?;
    let report = report(&mut tx, &instrument, as_of).await?;
    let name = format!("cap-table-{}-{}", report.instrument_id, report.as_of.number);
    table::answer(report, format, format_args!("{name}"))
}

fn unknown() -> ApiError {
    ApiError::NotFound("there is no such offering or instrument".into())
}

/// The instrument that an id means, if the viewer may know of it.
async fn instrument(app: &App, viewer: &Viewer, conn: &mut PgConnection, id: String) -> Result<Instrument, ApiError> {
    let id = match id.parse::<Uuid>() {
        Ok(offering) => offerings::find(&mut *conn, offering).await?.ok_or_else(unknown)?.instrument_id,
        Err(_) => id,
    };
    let instrument = read::instrument(&mut *conn, app.chain_id(), &id).await?.ok_or_else(unknown)?;
    if let Some(own) = tenant(viewer) {
        let issuers = issuers::of_instruments(conn, app.chain_id(), std::slice::from_ref(&id)).await?;
        if issuers.get(&id) != Some(&own) {
            return Err(unknown());
        }
    }
    Ok(instrument)
}

async fn as_of(app: &App, conn: &mut PgConnection, when: When) -> Result<Block, ApiError> {
    let head = Block::head(app, conn).await?;
    let number = match when {
        When::Head => return Ok(head),
        When::Block(block) if block > head.number => {
            let message =
                format!("{block} is above the indexed head {}: send that or less, or leave it out", head.number);
            return Err(table::either("at_block", &message));
        }
        When::Block(block) => block,
        When::Second(second) => {
            let found: Option<i64> = sqlx::query_scalar("SELECT block_at($1, $2)")
                .bind(app.chain_id().cast_signed())
                .bind(second)
                .fetch_one(&mut *conn)
                .await?;
            let before = || table::either("at", "value lies before the first block that is read: send a later time");
            found.ok_or_else(before)?.unsigned_abs()
        }
    };
    let start = read::cursor(&mut *conn, app.chain_id()).await?.map_or(0, |cursor| cursor.start);
    if number < start {
        let message = format!("{number} is below block {start}, from which the chain is read: send that or more");
        return Err(table::either("at_block", &message));
    }
    let time: Option<i64> = sqlx::query_scalar("SELECT block_time_at($1, $2)")
        .bind(app.chain_id().cast_signed())
        .bind(number.cast_signed())
        .fetch_one(conn)
        .await?;
    Ok(Block::new(number, time.unwrap_or_default().unsigned_abs()))
}

async fn report(conn: &mut PgConnection, instrument: &Instrument, as_of: Block) -> Result<CapTable, ApiError> {
    let (chain_id, token) = (instrument.chain_id, instrument.token);
    let filter = HolderFilter { chain_id, at: Some(as_of.number), ..HolderFilter::default() };
    let all = Window { above: None, below: None, descending: true, limit: i64::MAX };
    let holders =
        pages::holders_of_tokens(&mut *conn, &[token], &filter, &all).await?.remove(&token).unwrap_or_default();
    let supplies = read::supplies_at(&mut *conn, chain_id, &[(token, as_of.number)]).await?;
    let supply = supplies.get(&(token, as_of.number)).copied().unwrap_or_default();
    let sum = holders.iter().try_fold(U256::ZERO, |sum, holder| sum.checked_add(holder.balance));
    if sum != Some(supply) {
        return Err(ApiError::internal(format!("cap table of {token} at {}: {sum:?} held of {supply}", as_of.number)));
    }
    let investors: Vec<u64> = holders.iter().filter_map(|holder| holder.investor_id).collect();
    let names = parties::names(conn, &investors).await?;
    let shown = |amount| Amount::new(amount, instrument.decimals).to_string();
    let row = |holder: &HolderRow| CapTableRow {
        party_id: parties::name_of(&names, holder.investor_id, holder.wallets.first().copied().unwrap_or_default()),
        wallets: holder.wallets.iter().map(|wallet| wallet.to_checksum(None)).collect(),
        quantity: shown(holder.balance),
        percentage: share(U512::from(holder.balance) * U512::from(100), U512::from(supply)).unwrap_or_default(),
    };
    Ok(CapTable {
        instrument_id: instrument.instrument_id.clone(),
        as_of,
        total_supply: shown(supply),
        holders: holders.len(),
        rows: holders.iter().map(row).collect(),
    })
}
