//! Blocks, logs, and the two things that can happen to them: a batch is applied, a fork is taken back.

use alloy::primitives::{Address, B256, Bytes};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::Event;
use crate::read::Columns;

/// A block, by what following a chain needs of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// Height; genesis is 0.
    pub number: u64,
    /// Its own hash.
    pub hash: B256,
    /// The hash of the block below it.
    pub parent_hash: B256,
    /// Unix seconds. Never falls along a chain, may repeat.
    pub timestamp: u64,
}

/// One log of a watched contract.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainLog {
    /// Height of its block.
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Time of its block, Unix seconds.
    pub timestamp: u64,
    /// Its transaction; the same one may be included again in another block after a reorg.
    pub tx_hash: B256,
    /// Place of the transaction in the block.
    pub tx_index: u64,
    /// Place of the log in the *block*; with `block_number` the key of everything derived from it.
    pub log_index: u64,
    /// The contract that emitted it.
    pub address: Address,
    /// Topics, the event's hash first; may be empty.
    pub topics: Vec<B256>,
    /// Data as it came.
    pub data: Bytes,
    /// What it says; `None` where it does not decode, then it is kept raw and counted.
    pub event: Option<Event>,
    /// On-chain id of the command that caused it, by its position between an Executor's logs;
    /// only where the emitter is that command's target.
    pub command: Option<B256>,
}

impl ChainLog {
    /// A kept log, as a node would give it: not decoded, and without its command.
    pub(crate) fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            block_number: row.height("block_number")?,
            block_hash: row.word("block_hash")?,
            timestamp: row.height("block_time")?,
            tx_hash: row.word("tx_hash")?,
            tx_index: u64::from(row.try_get::<i32, _>("tx_index")?.unsigned_abs()),
            log_index: u64::from(row.try_get::<i32, _>("log_index")?.unsigned_abs()),
            address: row.address("address")?,
            topics: row.try_get::<&[u8], _>("topics")?.chunks_exact(32).map(B256::from_slice).collect(),
            data: Bytes::copy_from_slice(row.try_get("data")?),
            event: None,
            command: None,
        })
    }
}

/// Consecutive blocks that one database transaction applies.
#[derive(Clone, Debug)]
pub struct Batch {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// First block of the batch; the block before it was the cursor.
    pub from: u64,
    /// Last block of the batch; the cursor after it.
    pub to: BlockRef,
    /// Headers to keep: of every block that is not final yet, and `to`. Empty only where the past of a contract that
    /// settings named late is filled in: then `logs` are its alone, of blocks from `from` on, and `to` is the cursor,
    /// which stays.
    pub blocks: Vec<BlockRef>,
    /// Logs of watched contracts in (block, log index) order.
    pub logs: Vec<ChainLog>,
    /// Transaction counts of the watched accounts at `to`; empty below the head's neighbourhood.
    pub nonces: Vec<(Address, u64)>,
    /// The node's head when the batch was read; `to` or above.
    pub head: u64,
    /// Highest confirmed block, not above `to`: `chain.confirmations` deep, its own included.
    pub confirmed: u64,
    /// Highest final block, not above `to`. Never falls.
    pub finalized: u64,
    /// May the batch have effects beyond its tables (outbox, webhooks, transitions)? False for the chain's past as it
    /// was when first followed.
    pub live: bool,
    /// Reorgs of this chain before this batch. Part of an effect's key, so that a block that comes back after two
    /// reorgs is told again.
    pub epoch: u64,
}

impl Batch {
    /// Key that makes an effect of `log` happen once: kind, block hash, log index, epoch.
    #[must_use]
    pub fn effect_key(&self, kind: &str, log: &ChainLog) -> String {
        format!("{kind}:{}:{}:{}:{}", self.chain_id, log.block_hash, log.log_index, self.epoch)
    }
}

/// Blocks that are no longer on the chain, to be taken back before the branch that replaced them is applied in the same
/// transaction.
#[derive(Clone, Copy, Debug)]
pub struct Fork {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The common ancestor: everything above it goes.
    pub to: BlockRef,
    /// The cursor before: the highest block that goes.
    pub from: BlockRef,
    /// Epoch of the batch that follows: reorgs including this one.
    pub epoch: u64,
}

impl Fork {
    /// How many blocks go.
    #[must_use]
    pub const fn depth(&self) -> u64 {
        self.from.number.saturating_sub(self.to.number)
    }
}
