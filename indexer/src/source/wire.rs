//! The few JSON shapes that are read, and nothing of them believed unchecked.

use alloy::primitives::{Address, B256, Bytes, U64};
use serde::Deserialize;

use crate::{BlockRef, ChainLog};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireHeader {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
}

impl From<WireHeader> for BlockRef {
    fn from(header: WireHeader) -> Self {
        Self {
            number: header.number.to(),
            hash: header.hash,
            parent_hash: header.parent_hash,
            timestamp: header.timestamp.to(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: U64,
    block_hash: B256,
    transaction_hash: B256,
    transaction_index: U64,
    log_index: U64,
    /// Given by newer nodes; saves a header per block.
    block_timestamp: Option<U64>,
    #[serde(default)]
    removed: bool,
}

impl WireLog {
    /// A log of a block that is gone. An answer to a request never holds one.
    pub(super) const fn removed(&self) -> bool {
        self.removed
    }

    /// The log, and whether it brought its block's time.
    pub(super) fn into_log(self) -> (ChainLog, bool) {
        let log = ChainLog {
            block_number: self.block_number.to(),
            block_hash: self.block_hash,
            timestamp: self.block_timestamp.unwrap_or_default().to(),
            tx_hash: self.transaction_hash,
            tx_index: self.transaction_index.to(),
            log_index: self.log_index.to(),
            address: self.address,
            topics: self.topics,
            data: self.data,
            event: None,
            command: None,
        };
        (log, self.block_timestamp.is_some())
    }
}
