//! Issuers and their nodes.

use alloy::primitives::Address;
use serde_json::json;
use sqlx::PgPool;
use tokenx_migrations::Addr;
use uuid::Uuid;

use super::{By, Error, Note, check_name, exists_on, note, require_issuer};
use crate::object_id;

/// An organisation that issues instruments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// Its id.
    pub issuer_id: Uuid,
    /// Its name, unique.
    pub name: String,
}

/// Adds an issuer.
///
/// # Errors
/// When the name is malformed or taken.
pub async fn add_issuer(pool: &PgPool, by: By<'_>, name: &str) -> Result<Issuer, Error> {
    check_name("name", name)?;
    let issuer = Issuer { issuer_id: Uuid::now_v7(), name: name.to_owned() };
    let mut tx = tokenx_migrations::begin(pool).await?;
    sqlx::query(
        "INSERT INTO issuers (issuer_id, name)
         VALUES ($1, $2)",
    )
    .bind(issuer.issuer_id)
    .bind(name)
    .execute(&mut *tx)
    .await
    .map_err(exists_on("issuers_name_key", || format!("an issuer called {name:?} exists already")))?;
    let (subject, detail) = (format!("issuer:{}", issuer.issuer_id), json!({ "name": name }));
    note(&mut tx, by, Note { action: "issuer.add", subject, detail }).await?;
    tx.commit().await?;
    Ok(issuer)
}

/// All issuers, oldest first.
///
/// # Errors
/// The database's.
pub async fn list_issuers(pool: &PgPool) -> Result<Vec<Issuer>, Error> {
    let mut all = issuer_page(pool, None, i64::MAX).await?;
    all.reverse();
    Ok(all)
}

/// Issuers made before this one, newest first, up to `limit`.
///
/// # Errors
/// The database's.
pub async fn issuer_page(pool: &PgPool, before: Option<Uuid>, limit: i64) -> Result<Vec<Issuer>, Error> {
    let rows: Vec<(Uuid, String)> = sqlx::query_as(
        "SELECT issuer_id, name
           FROM issuers
          WHERE ($1::uuid IS NULL OR issuer_id < $1)
          ORDER BY issuer_id DESC
          LIMIT $2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(issuer_id, name)| Issuer { issuer_id, name }).collect())
}

/// A node to be known.
#[derive(Debug, Clone)]
pub struct NewNode {
    /// Whose it is.
    pub issuer_id: Uuid,
    /// EIP-155 id of its chain.
    pub chain_id: u64,
    /// Its Executor, which names it on chain.
    pub executor: Address,
    /// Its treasury wallet, where it has one.
    pub treasury: Option<Address>,
}

/// A node: one issuer's set of contracts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id, 24 hex.
    pub node_id: String,
    /// Whose it is.
    pub issuer_id: Uuid,
    /// Its Executor.
    pub executor: Address,
}

/// Adds a node to an issuer: instruments that its Executor drives become the issuer's own.
///
/// # Errors
/// When the issuer is unknown, or the Executor belongs to a node already.
pub async fn add_node(pool: &PgPool, by: By<'_>, new: NewNode) -> Result<Node, Error> {
    require_issuer(pool, new.issuer_id).await?;
    let chain_id = i64::try_from(new.chain_id)
        .map_err(|_| Error::Invalid { field: "chain_id", message: format!("{} is too large", new.chain_id) })?;
    let node = Node { node_id: object_id::generate(), issuer_id: new.issuer_id, executor: new.executor };
    let mut tx = tokenx_migrations::begin(pool).await?;
    sqlx::query(
        "INSERT INTO nodes (node_id, issuer_id, chain_id, executor, treasury)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&node.node_id)
    .bind(new.issuer_id)
    .bind(chain_id)
    .bind(Addr(new.executor))
    .bind(new.treasury.map(Addr))
    .execute(&mut *tx)
    .await
    .map_err(exists_on("nodes_chain_id_executor_key", || {
        format!("executor {} on chain {chain_id} belongs to a node already", new.executor)
    }))?;
    let detail = json!({
        "issuer_id": new.issuer_id,
        "chain_id": new.chain_id,
        "executor": new.executor.to_checksum(None),
        "treasury": new.treasury.map(|treasury| treasury.to_checksum(None)),
    });
    note(&mut tx, by, Note { action: "node.add", subject: format!("node:{}", node.node_id), detail }).await?;
    tx.commit().await?;
    Ok(node)
}

/// All nodes, oldest first.
///
/// # Errors
/// The database's.
pub async fn list_nodes(pool: &PgPool) -> Result<Vec<Node>, Error> {
    let rows: Vec<(String, Uuid, Addr)> =
        sqlx::query_as("SELECT node_id, issuer_id, executor FROM nodes ORDER BY created_at, node_id")
            .fetch_all(pool)
            .await?;
    Ok(rows
        .into_iter()
        .map(|(node_id, issuer_id, executor)| Node { node_id, issuer_id, executor: executor.0 })
        .collect())
}
