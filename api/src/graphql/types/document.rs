use async_graphql::SimpleObject;
use time::OffsetDateTime;
use tokenx_indexer::read;

use crate::graphql::scalars::{Bytes32, time_of};

/// A document that a token names.
#[derive(SimpleObject)]
pub(in crate::graphql) struct Document {
    /// Its name, as the issuer chose the 32 bytes.
    name: Bytes32,
    /// Where it is.
    uri: String,
    /// Hash of its content.
    hash: Bytes32,
    /// Time of its latest change.
    changed_at: OffsetDateTime,
    /// Block of that change.
    changed_block_number: u64,
    /// Transaction of that change.
    changed_transaction_hash: Bytes32,
}

impl From<read::Document> for Document {
    fn from(document: read::Document) -> Document {
        Document {
            name: Bytes32(document.name),
            uri: document.uri,
            hash: Bytes32(document.hash),
            changed_at: time_of(document.changed_time),
            changed_block_number: document.changed_block,
            changed_transaction_hash: Bytes32(document.changed_tx),
        }
    }
}
