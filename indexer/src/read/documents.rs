use std::collections::HashMap;

use alloy::primitives::{Address, B256};
use sqlx::{PgExecutor, Row};
use tokenx_migrations::Addr;

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
