//! `GET /v2/admin/token/{token_id}/rent`: periods, what was paid in, divided, paid and is owed, and what of it is the
//! caller's.

use alloy::primitives::U256;
use async_graphql::{ID, SimpleObject};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use serde::Serialize;
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_indexer::read;
use tokenx_indexer::read::node::{self, RentPeriod};
use tokenx_indexer::read::pages::Window;
use tokenx_migrations::{Addr, Uint256};
use utoipa::ToSchema;

use super::act::{seen, withheld};
use super::period::on_its_way;
use super::schedule::{self, Schedule};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::graphql::scalars::{Addr as Checksum, Bytes32, Decimal, Time, time_of};
use crate::http::query::Query;
use crate::policy::Role;
use crate::store::parties;
use crate::tokens::details::PriceView;
use crate::tokens::money::Price;
use crate::tokens::routes::token_id;

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100, 1_000);

/// A token's rent, as of the indexed head, with periods.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rent {
    #[serde(flatten)]
    fund: RentFund,
    /// Periods that were opened, the newest first.
    items: Vec<Period>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A token's rent, as of the indexed head.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct RentFund {
    #[schema(value_type = String)]
    token_id: ID,
    instrument_id: String,
    /// What a wallet must have to earn.
    #[schema(schema_with = crate::openapi::amount_out)]
    minimum: Decimal,
    next: NextPeriod,
    /// What is paid in and not divided.
    available: PriceView,
    /// What was ever paid in.
    funded: PriceView,
    /// What was ever taken out of the fund again, to the node's treasury.
    withdrawn: PriceView,
    /// What was ever divided: what was paid and what is owed.
    opened: PriceView,
    paid: PriceView,
    owed: PriceView,
    /// The caller's wallets that ever earned any.
    own: Vec<OwnRent>,
}

/// The period that comes next.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "NextRentPeriod")]
pub struct NextPeriod {
    period: u64,
    /// Null: when somebody opens it.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    due_at: Option<Time>,
    /// What it divides, by the token's record.
    income: PriceView,
    /// no_terms: the chain does not have the record's schedule yet; unscheduled; waits: for its time; unfunded: the fund has
    /// less than its income; nobody_earns; due; opening; over.
    status: &'static str,
}

/// A period that was opened.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "RentPeriod")]
pub struct Period {
    period: u16,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    due_at: Option<Time>,
    #[schema(value_type = String, format = DateTime)]
    opened_at: Time,
    /// What it divided.
    amount: PriceView,
    /// Units that have earned.
    #[schema(schema_with = crate::openapi::amount_out)]
    earning: Decimal,
    block_number: u64,
    #[schema(value_type = String)]
    transaction_hash: Bytes32,
}

/// The rent of one of the caller's wallets. Fractions of the currency's smallest unit stay in its account.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct OwnRent {
    #[schema(value_type = String)]
    wallet: Checksum,
    /// What it was paid.
    paid: PriceView,
    /// What it has to get.
    owed: PriceView,
    /// Why it is not paid now, and goes on accruing: frozen, sanctioned, revoked, kyc_expired, not_whitelisted; null: it is.
    #[schema(required)]
    withheld: Option<&'static str>,
}

/// A token's rent: for its issuer, for staff, and for investors who have, or had, units of it.
#[utoipa::path(
    get,
    path = "/v2/admin/token/{token_id}/rent",
    params(
        ("token_id" = String, Path, description = "The token", pattern = "^[0-9a-f]{24}$"),
        ("limit" = Option<u64>, Query, description = "Periods on a page, 100 unless given", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "Periods, newest first", body = Rent))
)]
pub(crate) async fn rent(
    Extract(app): Extract<App>,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    mut query: Query,
) -> Result<Json<Rent>, ApiError> {
    let token_id = token_id(id)?;
    let before = query.text("cursor", |text| read_cursor(text).ok_or("value is not a cursor of this list"));
    let limit = query.integer("limit", PAGE.0, 1..=PAGE.1);
    query.finish()?;
    let mut tx = read::snapshot(app.pool()).await?;
    let rent = seen(&app, &mut tx, &viewer, &token_id).await?;
    // One more than asked for says whether there is another page.
    let window = Window::newest(before, limit.cast_signed() + 1);
    let mut periods = node::rent_periods(&mut *tx, app.chain_id(), rent.token, &window).await?;
    let wanted = usize::try_from(limit).map_err(ApiError::internal)?;
    let more = periods.len() > wanted;
    periods.truncate(wanted);
    let next_cursor = periods.last().filter(|_| more).map(write_cursor);
    let items = periods.iter().map(|period| Period::of(&rent, period)).collect();
    Ok(Json(Rent { fund: fund(&app, &mut tx, &viewer, &rent).await?, items, next_cursor }))
}

/// What is said of a token's rent beside its periods to somebody who may see it.
pub(crate) async fn fund(
    app: &App,
    conn: &mut PgConnection,
    viewer: &Viewer,
    rent: &Schedule,
) -> Result<RentFund, ApiError> {
    let chain_id = app.chain_id();
    let now = schedule::chain_time(conn, chain_id).await?;
    let next = next(conn, chain_id, rent, now).await?;
    let [funded, withdrawn, opened, paid] = totals(conn, chain_id, rent).await?;
    let money = |units| PriceView::of(&Price::new(rent.income.currency.clone(), units));
    Ok(RentFund {
        minimum: Decimal::of(rent.minimum, rent.decimals),
        next,
        available: money(rent.available),
        funded: money(funded),
        withdrawn: money(withdrawn),
        opened: money(opened),
        paid: money(paid),
        owed: money(opened.saturating_sub(paid)),
        own: own(conn, chain_id, viewer, rent, now).await?,
        instrument_id: rent.instrument_id.as_str().to_owned(),
        token_id: rent.token_id.clone().into(),
    })
}

async fn next(conn: &mut PgConnection, chain_id: u64, rent: &Schedule, now: u64) -> Result<NextPeriod, ApiError> {
    let earns = schedule::somebody_earns(&mut *conn, chain_id, rent).await?;
    let opening = on_its_way(conn, rent).await?.is_some();
    Ok(NextPeriod {
        period: rent.next_period(),
        due_at: rent.due_at(rent.next_period()).and_then(time),
        income: PriceView::of(&rent.income),
        status: if opening { "opening" } else { rent.next(now, earns).as_str() },
    })
}

/// What was paid in, withdrawn, divided and paid out, base units.
async fn totals(conn: &mut PgConnection, chain_id: u64, rent: &Schedule) -> Result<[U256; 4], sqlx::Error> {
    let totals: (Uint256, Uint256, Uint256, Uint256) = sqlx::query_as(
        "SELECT f.funded, f.withdrawn, f.opened, p.paid
           FROM (SELECT coalesce(sum(amount) FILTER (WHERE cause = 1), 0) AS funded,
                        coalesce(sum(amount) FILTER (WHERE cause = 2), 0) AS withdrawn,
                        coalesce(sum(amount) FILTER (WHERE cause = 4), 0) AS opened
                   FROM fund_changes
                  WHERE chain_id = $1 AND contract = $2 AND token = $3 AND payment_token = $4) f
          CROSS JOIN (SELECT coalesce(sum(amount), 0) AS paid
                        FROM rent_payments
                       WHERE chain_id = $1 AND contract = $2 AND token = $3 AND payment_token = $4) p",
    )
    .bind(chain_id.cast_signed())
    .bind(Addr(rent.distributor))
    .bind(Addr(rent.token))
    .bind(Addr(rent.income.currency.address))
    .fetch_one(conn)
    .await?;
    Ok([totals.0.0, totals.1.0, totals.2.0, totals.3.0])
}

async fn own(
    conn: &mut PgConnection,
    chain_id: u64,
    viewer: &Viewer,
    rent: &Schedule,
    now: u64,
) -> Result<Vec<OwnRent>, ApiError> {
    let (Role::Investor, Some(party_id)) = (viewer.role, &viewer.party_id) else { return Ok(Vec::new()) };
    let Some(party) = parties::profile(&mut *conn, party_id).await? else { return Ok(Vec::new()) };
    let money = |units| PriceView::of(&Price::new(rent.income.currency.clone(), units));
    let mut own = Vec::new();
    for wallet in read::wallets_of_investor(&mut *conn, chain_id, party.investor_id).await? {
        let account = node::rent_account(&mut *conn, chain_id, rent.token, wallet.wallet).await?;
        if account.earned.is_zero() && account.got.is_zero() {
            continue;
        }
        own.push(OwnRent {
            wallet: Checksum(wallet.wallet),
            paid: money(account.paid >> 128),
            owed: money(account.claimable()),
            withheld: withheld(conn, chain_id, rent.token, wallet.wallet, now).await?,
        });
    }
    Ok(own)
}

impl Period {
    pub(crate) fn of(rent: &Schedule, period: &RentPeriod) -> Period {
        let currency = rent.income.currency.clone();
        Period {
            period: period.period,
            due_at: rent.due_at(u64::from(period.period)).and_then(time),
            opened_at: Time(time_of(period.origin.block_time)),
            amount: PriceView::of(&Price::new(currency, period.amount)),
            earning: Decimal::of(period.earning, rent.decimals),
            block_number: period.origin.block_number,
            transaction_hash: Bytes32(period.origin.tx_hash),
        }
    }
}

/// A schedule may run beyond all years that can be written down: then there is none.
fn time(seconds: u64) -> Option<Time> {
    let at = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?);
    at.ok().filter(|at| at.year() <= 9_999).map(Time)
}

fn write_cursor(period: &RentPeriod) -> String {
    format!("{}-{}", period.origin.block_number, period.origin.log_index)
}

fn read_cursor(text: &str) -> Option<(u64, u64)> {
    let (block, log_index) = text.split_once('-')?;
    Some((block.parse().ok()?, log_index.parse().ok()?))
}
