//! What the chain says of tokens, as of the indexed head, and how far the command has come that was to deploy them.

use alloy::primitives::{Address, B256, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use tokenx_indexer::read::node::{Fees, Listing};
use tokenx_indexer::read::{self, NodeContracts};
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

/// The facts of each record, in their order: one statement, however many.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut PgConnection, chain_id: u64, records: &[Record]) -> Result<Vec<Facts>, sqlx::Error> {
    let (ids, executors): (Vec<&str>, Vec<Addr>) =
        records.iter().map(|record| (record.token_id.as_str(), Addr(record.executor))).unzip();
    // Through sub-selects the arrays' lengths stay hidden from the planner, which would plan this anew each time for
    // one of known length: ten times as long as running it.
    let rows = sqlx::query(
        "SELECT d.token AS deployed, d.decimals, d.max_supply, d.total_supply, d.created_tx, d.retired,
                l.*, f.contract AS vault, f.platform_owner, f.node_owner, f.node, f.platform_owner_bps, f.node_owner_bps,
                f.node_bps, f.platform_owner_has, f.node_owner_has, f.node_has, c.state, c.verdict, n.node_key, n.kinds,
                n.contracts
           FROM unnest((SELECT $1::text[]), (SELECT $2::bytea[])) WITH ORDINALITY AS t (token_id, executor, place)
           LEFT JOIN token_deployments d ON d.token_id = t.token_id
           LEFT JOIN listings l          ON l.chain_id = $3 AND l.token = d.token
           LEFT JOIN token_fees f        ON f.chain_id = $3 AND f.token = d.token
           LEFT JOIN LATERAL (SELECT v.state, v.verdict
                                FROM token_commands k
                                JOIN command_views v ON v.scope = 'system' AND v.command_id = k.command_id
                               WHERE k.token_id = t.token_id
                                 AND k.kind     = 'deploy'
                                 AND d.token IS NULL
                               ORDER BY k.attempt DESC
                               LIMIT 1) c ON true
           LEFT JOIN LATERAL (SELECT n.node_key, array_agg(n.kind) AS kinds, array_agg(n.contract::bytea) AS contracts
                                FROM node_contracts n
                               WHERE n.chain_id = $3
                                 AND n.executor = t.executor
                               GROUP BY n.node_key) n ON true
          ORDER BY t.place",
    )
    .bind(ids)
    .bind(executors)
    .bind(i64::try_from(chain_id).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Ok(Facts { deployment: deployment(row)?, deploying: deploying(row)?, node: node(row)? }))
        .collect()
}

fn deployment(row: &PgRow) -> Result<Option<Deployment>, sqlx::Error> {
    let Some(Addr(token)) = row.try_get("deployed")? else { return Ok(None) };
    let listed: Option<Uint256> = row.try_get("listed")?;
    let vault: Option<Addr> = row.try_get("vault")?;
    Ok(Some(Deployment {
        token,
        tx_hash: row.try_get::<Option<Word>, _>("created_tx")?.map(|hash| hash.0),
        max_supply: row.try_get::<Option<Uint256>, _>("max_supply")?.map_or(U256::ZERO, |supply| supply.0),
        total_supply: row.try_get::<Uint256, _>("total_supply")?.0,
        // A token of ours has 18 decimals at most.
        unit: U256::from(10)
            .checked_pow(U256::from(row.try_get::<i16, _>("decimals")?.unsigned_abs()))
            .unwrap_or(U256::MAX),
        retired: row.try_get("retired")?,
        listing: listed.map(|_| read::node::listing(row)).transpose()?,
        fees: vault.map(|_| read::node::fees(row)).transpose()?,
    }))
}

/// The state of the newest command that was to deploy the token.
fn deploying(row: &PgRow) -> Result<Option<State>, sqlx::Error> {
    let Some(state) = row.try_get::<Option<String>, _>("state")? else { return Ok(None) };
    let verdict: Option<String> = row.try_get("verdict")?;
    let verdict = verdict.as_deref().and_then(Verdict::parse);
    match State::parse(&state, verdict) {
        Some(state) => Ok(Some(state)),
        None => Err(sqlx::Error::Decode(format!("state {state:?}").into())),
    }
}

fn node(row: &PgRow) -> Result<Option<Node>, sqlx::Error> {
    let Some(Word(key)) = row.try_get("node_key")? else { return Ok(None) };
    let (kinds, addresses): (Vec<String>, Vec<Addr>) = (row.try_get("kinds")?, row.try_get("contracts")?);
    let mut contracts = NodeContracts::default();
    for (kind, Addr(contract)) in kinds.iter().zip(addresses) {
        let place = match kind.as_str() {
            "listing" => &mut contracts.listing,
            "secondary_market" => &mut contracts.secondary_market,
            "otc_desk" => &mut contracts.otc_desk,
            "rent_distributor" => &mut contracts.rent_distributor,
            "fee_vault" => &mut contracts.fee_vault,
            "redemption_desk" => &mut contracts.redemption_desk,
            _ => continue,
        };
        *place = Some(contract);
    }
    Ok(Some(Node { key, contracts }))
}
