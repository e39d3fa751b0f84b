use std::collections::HashMap;

use alloy::primitives::{Address, B256};
use sqlx::{PgExecutor, Row};
use tokenx_migrations::{Addr, Word};

use super::{Columns, int};

/// A document that a token names, by its latest change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name, as the issuer chose the 32 bytes.
    pub name: B256,
    /// Where it is, cleaned.
    pub uri: String,
    /// Hash of its content.
    pub hash: B256,
    /// Block of the change.
    pub changed_block: u64,
    /// Time of that block, Unix seconds.
    pub changed_time: u64,
    /// Transaction of the change.
    pub changed_tx: B256,
}

/// The documents of each token at the indexed head, by name; tokens without any are left out.
///
/// # Errors
/// The database's.
pub async fn documents_of_tokens(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    tokens: &[Address],
) -> Result<HashMap<Address, Vec<Document>>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT *
           FROM documents
          WHERE chain_id = $1 AND token = ANY ($2::bytea[])
          ORDER BY token, name",
    )
    .bind(int(chain_id))
    .bind(tokens.iter().copied().map(Addr).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    let mut documents: HashMap<_, Vec<Document>> = HashMap::new();
    for row in &rows {
        let document = Document {
            name: row.word("name")?,
            uri: row.try_get("uri")?,
            hash: row.word("hash")?,
            changed_block: row.height("changed_block")?,
            changed_time: row.height("changed_time")?,
            changed_tx: row.word("changed_tx")?,
        };
        documents.entry(row.address("token")?).or_default().push(document);
    }
    Ok(documents)
}

/// A document as one command named it, whatever has become of it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedDocument {
    /// Where it is, cleaned.
    pub uri: String,
    /// Hash of its content.
    pub hash: B256,
    /// Block of the event.
    pub block: u64,
    /// Transaction of the event.
    pub tx: B256,
    /// On-chain id of the command.
    pub command: B256,
}

/// Every document of this name that a command attached to any token, oldest first, as of the indexed head.
///
/// # Errors
/// The database's.
pub async fn documents_named(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    name: B256,
) -> Result<Vec<NamedDocument>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT uri, hash, block_number, tx_hash, command_key
           FROM document_changes
          WHERE chain_id = $1 AND name = $2 AND NOT removed AND command_key IS NOT NULL
          ORDER BY block_number, log_index",
    )
    .bind(int(chain_id))
    .bind(Word(name))
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(NamedDocument {
                uri: row.try_get("uri")?,
                hash: row.word("hash")?,
                block: row.height("block_number")?,
                tx: row.word("tx_hash")?,
                command: row.word("command_key")?,
            })
        })
        .collect()
}
