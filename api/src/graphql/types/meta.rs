use async_graphql::SimpleObject;
use time::OffsetDateTime;
use tokenx_indexer::read::Cursor;

use crate::graphql::scalars::{Bytes32, time_of};

/// What every answer is as of.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "_Meta_")]
pub(in crate::graphql) struct Meta {
    /// The indexed head. All of one answer is as of this block.
    block: Block,
    /// EIP-155 id of the chain.
    chain_id: u64,
    /// The node's head when the indexed head moved last.
    head_block_number: u64,
    /// Highest block that is `chain.confirmations` deep.
    confirmed_block_number: u64,
    /// Highest block that cannot be reorganised away.
    final_block_number: u64,
    /// Whether following has stopped, so that the indexed head stands still.
    has_indexing_errors: bool,
}

/// A block.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "_Block_")]
pub(in crate::graphql) struct Block {
    /// Its height.
    number: u64,
    /// Its hash.
    hash: Bytes32,
    /// Its time; null before the first block is read.
    timestamp: Option<OffsetDateTime>,
}

impl From<Cursor> for Meta {
    fn from(cursor: Cursor) -> Meta {
        Meta {
            block: Block {
                number: cursor.number,
                hash: Bytes32(cursor.hash),
                timestamp: cursor.block_time.map(time_of),
            },
            chain_id: cursor.chain_id,
            head_block_number: cursor.head,
            confirmed_block_number: cursor.confirmed,
            final_block_number: cursor.finalized,
            has_indexing_errors: cursor.halted.is_some(),
        }
    }
}
