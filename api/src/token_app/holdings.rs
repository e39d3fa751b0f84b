//! `GET /data/admin/holdings`: who holds what, as of the confirmed block.

use alloy::primitives::Address;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sqlx::PgConnection;
use tokenx_contracts::amount::Amount;
use tokenx_indexer::read;
use tokenx_migrations::{Addr, Uint256};
use utoipa::ToSchema;

use super::block_timestamp;
use super::scope::{Bounds, Filters, as_of};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::query::Query;

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100_000, 100_000);

/// A page of holdings.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldingsPage {
    scan: Scan,
    /// All that match, whatever the page.
    total: i64,
    holdings: Vec<Holding>,
}

/// What the page is as of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Scan {
    /// Time of the confirmed block.
    #[schema(format = DateTime)]
    scanned_at: String,
}

/// One wallet's spendable or locked part of one instrument.
#[derive(Debug, Serialize, ToSchema)]
pub struct Holding {
    /// Stable name of this part.
    holding_cid: String,
    /// Whose.
    party_id: String,
    /// Of what.
    instrument_id: String,
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::amount_out)]
    amount: String,
    /// Whether the chain would not let it move.
    locked: bool,
}

/// Holdings as of the confirmed block.
#[utoipa::path(
    get,
    path = "/data/admin/holdings",
    params(
        ("party_id" = Option<String>, Query, description = "A party, or a wallet's address"),
        ("instrument_id" = Option<String>, Query, description = "An instrument", pattern = "^[A-Za-z0-9._-]{1,32}$"),
        ("limit" = Option<u64>, Query, description = "Page size, 100000 unless given", minimum = 1, maximum = 100_000),
        ("offset" = Option<u64>, Query, description = "Rows to pass over", minimum = 0),
    ),
    responses((status = 200, description = "By instrument, party and cid", body = HoldingsPage))
)]
pub(crate) async fn holdings(
    State(app): State<App>,
    viewer: Viewer,
    query: Query,
) -> Result<Json<HoldingsPage>, ApiError> {
    let filters = Filters::read(query, PAGE.0, PAGE.1)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let as_of = as_of(&app, &mut tx).await?;
    let scan = Scan { scanned_at: block_timestamp(as_of.time) };
    let Some(bounds) = filters.bound(&app, &viewer, &mut tx).await? else {
        return Ok(Json(HoldingsPage { scan, total: 0, holdings: Vec::new() }));
    };
    let (total, holdings) = page(&mut tx, app.chain_id(), as_of.block, &bounds, &filters).await?;
    Ok(Json(HoldingsPage { scan, total, holdings }))
}

/// A row of the page beside the total; an empty page is one row with the total alone.
#[derive(sqlx::FromRow)]
struct Row {
    total: i64,
    holding_cid: Option<String>,
    party_id: Option<String>,
    wallet: Option<Addr>,
    instrument_id: Option<String>,
    decimals: Option<i16>,
    amount: Option<Uint256>,
    locked: Option<bool>,
}

async fn page(
    conn: &mut PgConnection,
    chain_id: u64,
    block: u64,
    bounds: &Bounds,
    filters: &Filters,
) -> Result<(i64, Vec<Holding>), ApiError> {
    let (investor, wallet) = match bounds.party {
        None => (None, None),
        Some(read::Party::Investor(id)) => (Some(id.cast_signed()), None),
        Some(read::Party::Wallet(address)) => (None, Some(Addr(address))),
    };
    let tokens = bounds.tokens.as_ref().map(|own| own.iter().copied().map(Addr).collect::<Vec<_>>());
    let rows: Vec<Row> = sqlx::query_as(
        "WITH matched AS MATERIALIZED (
             SELECT h.holding_cid, p.party_id, h.wallet, h.instrument_id, h.decimals, h.amount, h.locked
               FROM holding_rows_at($1, $2) h
               LEFT JOIN parties p ON p.investor_id = h.investor_id
              WHERE ($3::text    IS NULL OR h.instrument_id = $3)
                AND ($4::bytea[] IS NULL OR h.token = ANY ($4))
                AND ($5::bigint  IS NULL OR h.investor_id = $5)
                AND ($6::bytea   IS NULL OR h.wallet = $6)
         ),
         paged AS (
             SELECT *,
                    row_number() OVER (ORDER BY instrument_id                                             COLLATE \"C\",
                                                coalesce(party_id, '0x' || encode(wallet, 'hex'))         COLLATE \"C\",
                                                holding_cid                                               COLLATE \"C\") AS place
               FROM matched
              ORDER BY place
              LIMIT $7 OFFSET $8
         )
         SELECT t.total, p.holding_cid, p.party_id, p.wallet, p.instrument_id, p.decimals, p.amount, p.locked
           FROM (SELECT count(*) AS total FROM matched) t
           LEFT JOIN paged p ON true
          ORDER BY p.place",
    )
    .bind(chain_id.cast_signed())
    .bind(block.cast_signed())
    .bind(bounds.instrument_id.as_deref())
    .bind(tokens)
    .bind(investor)
    .bind(wallet)
    .bind(filters.limit)
    .bind(filters.offset)
    .fetch_all(conn)
    .await?;
    let total = rows.first().map_or(0, |row| row.total);
    Ok((total, rows.into_iter().filter_map(holding).collect()))
}

fn holding(row: Row) -> Option<Holding> {
    let wallet: Address = row.wallet?.0;
    Some(Holding {
        holding_cid: row.holding_cid?,
        party_id: row.party_id.unwrap_or_else(|| wallet.to_checksum(None)),
        instrument_id: row.instrument_id?,
        amount: Amount::new(row.amount?.0, u8::try_from(row.decimals?).ok()?).to_string(),
        locked: row.locked?,
    })
}
