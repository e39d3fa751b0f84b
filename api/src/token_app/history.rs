//! `GET /data/admin/mints` and `/burns`: confirmed rows, newest first.

use std::collections::HashMap;

use alloy::primitives::B256;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokenx_contracts::amount::Amount;
use tokenx_contracts::ids::readable;
use tokenx_indexer::read::{self, SupplyRow};
use utoipa::ToSchema;

use super::block_timestamp;
use super::scope::{Filters, as_of};
use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::query::Query;
use crate::store::parties;

/// Page size unless asked otherwise, and at most.
const PAGE: (u64, u64) = (100, 1_000);

/// One mint or burn.
#[derive(Debug, Serialize, ToSchema)]
pub struct SupplyRecord {
    /// The client's name for the command that did it; the transaction's hash where none did.
    command_id: String,
    /// Time of the event's block.
    #[schema(format = DateTime)]
    created_at: String,
    /// Whose units.
    party_id: String,
    /// Of what.
    instrument_id: String,
    /// The event: its transaction and place in the block.
    update_id: String,
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::amount_out)]
    amount: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mints,
    Burns,
}

/// Confirmed mints.
#[utoipa::path(
    get,
    path = "/data/admin/mints",
    params(
        ("party_id" = Option<String>, Query, description = "A party, or a wallet's address"),
        ("instrument_id" = Option<String>, Query, description = "An instrument", pattern = "^[A-Za-z0-9._-]{1,32}$"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("offset" = Option<u64>, Query, description = "Rows to pass over", minimum = 0),
    ),
    responses((status = 200, description = "Newest first", body = Vec<SupplyRecord>))
)]
pub(crate) async fn mints(
    State(app): State<App>,
    viewer: Viewer,
    query: Query,
) -> Result<Json<Vec<SupplyRecord>>, ApiError> {
    list(&app, Kind::Mints, &viewer, query).await.map(Json)
}

/// Confirmed burns.
#[utoipa::path(
    get,
    path = "/data/admin/burns",
    params(
        ("party_id" = Option<String>, Query, description = "A party, or a wallet's address"),
        ("instrument_id" = Option<String>, Query, description = "An instrument", pattern = "^[A-Za-z0-9._-]{1,32}$"),
        ("limit" = Option<u64>, Query, description = "Page size, 100 unless given", minimum = 1, maximum = 1000),
        ("offset" = Option<u64>, Query, description = "Rows to pass over", minimum = 0),
    ),
    responses((status = 200, description = "Newest first", body = Vec<SupplyRecord>))
)]
pub(crate) async fn burns(
    State(app): State<App>,
    viewer: Viewer,
    query: Query,
) -> Result<Json<Vec<SupplyRecord>>, ApiError> {
    list(&app, Kind::Burns, &viewer, query).await.map(Json)
}

async fn list(app: &App, kind: Kind, viewer: &Viewer, query: Query) -> Result<Vec<SupplyRecord>, ApiError> {
    let filters = Filters::read(query, PAGE.0, PAGE.1)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let as_of = as_of(app, &mut tx).await?;
    let Some(bounds) = filters.bound(app, viewer, &mut tx).await? else { return Ok(Vec::new()) };
    let filter = read::Filter {
        chain_id: app.chain_id(),
        at_block: as_of.block,
        instrument_id: bounds.instrument_id,
        tokens: bounds.tokens,
        party: bounds.party,
        limit: filters.limit,
        offset: filters.offset,
    };
    let rows = match kind {
        Kind::Mints => read::mints(&mut *tx, &filter).await?,
        Kind::Burns => read::burns(&mut *tx, &filter).await?,
    };
    let investors: Vec<u64> = rows.iter().filter_map(|row| row.investor_id).collect();
    let names = parties::names(&mut tx, &investors).await?;
    drop(tx);
    let keys: Vec<B256> = rows.iter().filter_map(|row| row.command_key).collect();
    let commands = app.commands().command_ids(&keys).await?;
    Ok(rows.iter().map(|row| record(row, &names, &commands)).collect())
}

fn record(row: &SupplyRow, names: &HashMap<u64, String>, commands: &HashMap<B256, String>) -> SupplyRecord {
    SupplyRecord {
        command_id: command_id(row.command_key, row.tx_hash, commands),
        created_at: block_timestamp(row.block_time),
        party_id: parties::name_of(names, row.investor_id, row.wallet),
        instrument_id: row.instrument_id.clone(),
        update_id: format!("{:#x}:{}", row.tx_hash, row.log_index),
        amount: Amount::new(row.amount, row.decimals).to_string(),
    }
}

/// The keeper's word, else what the chain's own id spells, else the transaction.
pub(crate) fn command_id(key: Option<B256>, tx_hash: B256, commands: &HashMap<B256, String>) -> String {
    let known = key.and_then(|key| commands.get(&key).cloned().or_else(|| readable(key)));
    known.unwrap_or_else(|| format!("{tx_hash:#x}"))
}

#[cfg(test)]
mod tests {
    use tokenx_contracts::ids::{CommandId, Scope, onchain_id};

    use super::*;

    #[test]
    fn a_row_is_named_by_the_keeper_else_by_the_chain_else_by_its_transaction() {
        let tx = B256::repeat_byte(7);
        let short = onchain_id(&Scope::Ops, &CommandId::parse("mint-1").unwrap());
        let hashed = onchain_id(&Scope::System, &CommandId::parse("mint-1").unwrap());
        let commands = HashMap::from([(hashed, "derived:1".to_owned())]);
        assert_eq!(command_id(Some(hashed), tx, &commands), "derived:1");
        assert_eq!(command_id(Some(short), tx, &commands), "mint-1");
        assert_eq!(command_id(Some(hashed), tx, &HashMap::new()), format!("{tx:#x}"));
        assert_eq!(command_id(None, tx, &commands), format!("{tx:#x}"));
    }
}
