//! What the chain says of tokens, as of the indexed head, and how far the command has come that was to deploy them.

use std::collections::HashMap;

use alloy::primitives::{Address, B256, U256};
use sqlx::{FromRow, PgConnection};
use tokenx_indexer::read::NodeContracts;
use tokenx_indexer::read::node::{Fees, Listing, fees_of_tokens, listings_of_tokens};
use tokenx_keeper::{State, Verdict};
use tokenx_migrations::{Addr, Uint256, Word};

use super::record::Record;

/// What is known of one token beside its record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its contract; `None` before its deployment is indexed.
    pub deployment: Option<Deployment>,
    /// How far the newest command has come that was to deploy it; `None` where none was asked.
    pub deploying: Option<State>,
    /// Its node; `None` where the chain knows no such node.
    pub node: Option<Node>,
}

/// A token's contract. Amounts are base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    /// Where it is.
    pub token: Address,
    /// The transaction that deployed it.
    pub tx_hash: Option<B256>,
    /// What may ever exist.
    pub max_supply: U256,
    /// What exists.
    pub total_supply: U256,
    /// One whole token.
    pub unit: U256,
    /// It has ended for ever.
    pub retired: bool,
    /// Its sale at its node; `None` where the node has no listing.
    pub listing: Option<Listing>,
    /// Its fees at its node; `None` where the node has no fee vault.
    pub fees: Option<Fees>,
}

/// A node as the chain knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// The hash of its id there.
    pub key: B256,
    /// Its contracts.
    pub contracts: NodeContracts,
}

/// A row of the view `token_deployments`.
#[derive(FromRow)]
struct Deployed {
    token_id: String,
    token: Addr,
    decimals: i16,
    max_supply: Option<Uint256>,
    total_supply: Uint256,
    created_tx: Option<Word>,
    retired: bool,
}

/// The facts of each record, in their order.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut PgConnection, chain_id: u64, records: &[Record]) -> Result<Vec<Facts>, sqlx::Error> {
    let ids: Vec<&str> = records.iter().map(|record| record.token_id.as_str()).collect();
    let mut deployments = deployments(conn, chain_id, &ids).await?;
    let waiting: Vec<&str> = ids.iter().copied().filter(|id| !deployments.contains_key(*id)).collect();
    let commands = if waiting.is_empty() { HashMap::new() } else { deploying(conn, &waiting).await? };
    let executors: Vec<Address> = records.iter().map(|record| record.executor).collect();
    let nodes = nodes(conn, chain_id, &executors).await?;
    let facts = |record: &Record| Facts {
        deployment: deployments.remove(&record.token_id),
        deploying: commands.get(&record.token_id).copied(),
        node: nodes.get(&record.executor).copied(),
    };
    Ok(records.iter().map(facts).collect())
}

async fn deployments(
    conn: &mut PgConnection,
    chain_id: u64,
    ids: &[&str],
) -> Result<HashMap<String, Deployment>, sqlx::Error> {
    let rows: Vec<Deployed> = sqlx::query_as(
        "SELECT token_id, token, decimals, max_supply, total_supply, created_tx, retired
           FROM token_deployments
          WHERE token_id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(&mut *conn)
    .await?;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let tokens: Vec<Address> = rows.iter().map(|row| row.token.0).collect();
    let listings = listings_of_tokens(&mut *conn, chain_id, &tokens).await?;
    let fees = fees_of_tokens(conn, chain_id, &tokens).await?;
    let deployment = |row: Deployed| {
        let deployment = Deployment {
            token: row.token.0,
            tx_hash: row.created_tx.map(|hash| hash.0),
            max_supply: row.max_supply.map_or(U256::ZERO, |supply| supply.0),
            total_supply: row.total_supply.0,
            // A token of ours has 18 decimals at most.
            unit: U256::from(10).checked_pow(U256::from(row.decimals.unsigned_abs())).unwrap_or(U256::MAX),
            retired: row.retired,
            listing: listings.get(&row.token.0).copied(),
            fees: fees.get(&row.token.0).copied(),
        };
        (row.token_id, deployment)
    };
    Ok(rows.into_iter().map(deployment).collect())
}

/// The state of the newest command that was to deploy each token.
async fn deploying(conn: &mut PgConnection, ids: &[&str]) -> Result<HashMap<String, State>, sqlx::Error> {
    let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "SELECT DISTINCT ON (t.token_id) t.token_id, c.state, c.verdict
           FROM token_commands t
           JOIN command_views c ON c.scope = 'system' AND c.command_id = t.command_id
          WHERE t.token_id = ANY ($1)
            AND t.kind = 'deploy'
          ORDER BY t.token_id, t.attempt DESC",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let state = |(token_id, state, verdict): (String, String, Option<String>)| {
        let verdict = verdict.as_deref().and_then(Verdict::parse);
        let state = State::parse(&state, verdict).ok_or_else(|| sqlx::Error::Decode(format!("state {state:?}").into()));
        Ok((token_id, state?))
    };
    rows.into_iter().map(state).collect()
}

async fn nodes(
    conn: &mut PgConnection,
    chain_id: u64,
    executors: &[Address],
) -> Result<HashMap<Address, Node>, sqlx::Error> {
    let rows: Vec<(Addr, Word, String, Addr)> = sqlx::query_as(
        "SELECT executor, node_key, kind, contract
           FROM node_contracts
          WHERE chain_id = $1
            AND executor = ANY ($2)",
    )
    .bind(i64::try_from(chain_id).unwrap_or(i64::MAX))
    .bind(executors.iter().copied().map(Addr).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let mut nodes: HashMap<Address, Node> = HashMap::new();
    for (executor, key, kind, contract) in rows {
        let node = nodes.entry(executor.0).or_insert(Node { key: key.0, contracts: NodeContracts::default() });
        let all = &mut node.contracts;
        let place = match kind.as_str() {
            "listing" => &mut all.listing,
            "secondary_market" => &mut all.secondary_market,
            "otc_desk" => &mut all.otc_desk,
            "rent_distributor" => &mut all.rent_distributor,
            "fee_vault" => &mut all.fee_vault,
            "redemption_desk" => &mut all.redemption_desk,
            _ => continue,
        };
        *place = Some(contract.0);
    }
    Ok(nodes)
}
