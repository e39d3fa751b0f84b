//! What the chain says of tokens, as of the indexed head.

use std::collections::HashMap;

use alloy::primitives::{Address, B256, U256};
use sqlx::PgConnection;
use tokenx_migrations::{Addr, Uint256, Word};

use super::record::Record;

/// What the chain says of one token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its contract; `None` before its deployment is indexed.
    pub deployment: Option<Deployment>,
    /// The contracts of its node; `None` where the chain knows no such node.
    pub node: Option<NodeContracts>,
}

/// A token's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    /// Where it is.
    pub token: Address,
    /// The transaction that deployed it.
    pub tx_hash: Option<B256>,
    /// Whole tokens that may ever exist.
    pub max_supply: U256,
    /// Decimals of an amount.
    pub decimals: u8,
}

/// The contracts of a node; `None` where it has none of the kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub struct NodeContracts {
    pub listing: Option<Address>,
    pub secondary_market: Option<Address>,
    pub otc_desk: Option<Address>,
    pub rent_distributor: Option<Address>,
    pub fee_vault: Option<Address>,
    pub redemption_desk: Option<Address>,
}

impl NodeContracts {
    fn set(&mut self, kind: &str, contract: Address) {
        let place = match kind {
            "listing" => &mut self.listing,
            "secondary_market" => &mut self.secondary_market,
            "otc_desk" => &mut self.otc_desk,
            "rent_distributor" => &mut self.rent_distributor,
            "fee_vault" => &mut self.fee_vault,
            "redemption_desk" => &mut self.redemption_desk,
            _ => return,
        };
        *place = Some(contract);
    }
}

/// A row of the view `token_deployments`.
type Deployed = (String, Addr, i16, Option<Uint256>, Option<Word>);

/// The facts of each record, in their order.
///
/// # Errors
/// The database's.
pub async fn of(conn: &mut PgConnection, chain_id: u64, records: &[Record]) -> Result<Vec<Facts>, sqlx::Error> {
    let ids: Vec<&str> = records.iter().map(|record| record.token_id.as_str()).collect();
    let deployed: Vec<Deployed> = sqlx::query_as(
        "SELECT token_id, token, decimals, max_supply, created_tx
           FROM token_deployments
          WHERE token_id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(&mut *conn)
    .await?;
    let mut deployments: HashMap<String, Deployment> =
        deployed.into_iter().map(|row| (row.0.clone(), deployment(&row))).collect();
    let executors: Vec<Addr> = records.iter().map(|record| Addr(record.executor)).collect();
    let contracts: Vec<(Addr, String, Addr)> = sqlx::query_as(
        "SELECT executor, kind, contract
           FROM node_contracts
          WHERE chain_id = $1
            AND executor = ANY ($2)",
    )
    .bind(i64::try_from(chain_id).unwrap_or(i64::MAX))
    .bind(executors)
    .fetch_all(conn)
    .await?;
    let mut nodes: HashMap<Address, NodeContracts> = HashMap::new();
    for (executor, kind, contract) in contracts {
        nodes.entry(executor.0).or_default().set(&kind, contract.0);
    }
    let facts = |record: &Record| Facts {
        deployment: deployments.remove(&record.token_id),
        node: nodes.get(&record.executor).copied(),
    };
    Ok(records.iter().map(facts).collect())
}

fn deployment((_, token, decimals, max_supply, tx_hash): &Deployed) -> Deployment {
    let decimals = u8::try_from(*decimals).unwrap_or(u8::MAX);
    let unit = U256::from(10).checked_pow(U256::from(decimals)).unwrap_or(U256::MAX);
    let units = max_supply.map_or(U256::ZERO, |supply| supply.0);
    Deployment { token: token.0, tx_hash: tx_hash.map(|hash| hash.0), max_supply: units / unit, decimals }
}
