use alloy::primitives::{Address, B256};
use sqlx::{PgExecutor, Row};
use time::OffsetDateTime;
use tokenx_migrations::Addr;

use super::{Columns, int};

/// How far a chain is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Hash of block 0, which tells one anvil from the next.
    pub genesis: B256,
    /// The indexed head: everything up to it is in the tables.
    pub number: u64,
    /// Hash of the indexed head.
    pub hash: B256,
    /// Time of the indexed head, Unix seconds; `None` before the first block is read.
    pub block_time: Option<u64>,
    /// The block from which it is followed: nothing before it is in the tables.
    pub start: u64,
    /// The node's head when the cursor moved last.
    pub head: u64,
    /// Highest confirmed block that is indexed.
    pub confirmed: u64,
    /// Highest final block that is indexed.
    pub finalized: u64,
    /// Reorgs healed so far.
    pub reorgs: u64,
    /// How often rows of blocks up to the indexed head were changed: see [`AsOf::rewrites`].
    pub rewrites: u64,
    /// Why nothing is written any more; `None` while all is well.
    pub halted: Option<String>,
    /// When the node last answered.
    pub polled_at: OffsetDateTime,
    /// When the cursor last moved.
    pub advanced_at: OffsetDateTime,
}

/// The cursor of a chain; `None` if it was never followed.
///
/// # Errors
/// The database's.
pub async fn cursor(db: impl PgExecutor<'_>, chain_id: u64) -> Result<Option<Cursor>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT c.genesis, c.number, c.hash, b.block_time, c.start_block, c.head, c.confirmed, c.finalized, c.reorgs, c.rewrites, c.halted,
                c.polled_at, c.advanced_at
           FROM chain_cursors c
           LEFT JOIN blocks b ON b.chain_id = c.chain_id AND b.number = c.number
          WHERE c.chain_id = $1",
    )
    .bind(int(chain_id))
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        Ok(Cursor {
            chain_id,
            genesis: row.word("genesis")?,
            number: row.height("number")?,
            hash: row.word("hash")?,
            block_time: row.try_get::<Option<i64>, _>("block_time")?.map(super::uint),
            start: row.height("start_block")?,
            head: row.height("head")?,
            confirmed: row.height("confirmed")?,
            finalized: row.height("finalized")?,
            reorgs: row.height("reorgs")?,
            rewrites: row.height("rewrites")?,
            halted: row.try_get("halted")?,
            polled_at: row.try_get("polled_at")?,
            advanced_at: row.try_get("advanced_at")?,
        })
    })
    .transpose()
}

/// A block that reads are as of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// Its height.
    pub block: u64,
    /// Its time, Unix seconds.
    pub time: u64,
    /// How often rows of blocks up to the indexed head were changed after they had been read: by a reorg, a contract named
    /// late, a rebuild. While this stands still, what was read of a block stays true.
    pub rewrites: u64,
}

/// The confirmed block, which `/data/admin/*` and `/status` are as of; `None` if the chain was never followed.
///
/// # Errors
/// The database's.
pub async fn as_of(db: impl PgExecutor<'_>, chain_id: u64) -> Result<Option<AsOf>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT c.confirmed, block_time_at(c.chain_id, c.confirmed) AS block_time, c.rewrites
           FROM chain_cursors c
          WHERE c.chain_id = $1",
    )
    .bind(int(chain_id))
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        let (block, time) = (row.height("confirmed")?, row.height("block_time")?);
        Ok(AsOf { block, time, rewrites: row.height("rewrites")? })
    })
    .transpose()
}

/// Is everything that `contract` ever logged, up to the indexed head, in the tables? Not while the past of one that
/// settings named late is still being read, nor for one that nobody listens to.
///
/// # Errors
/// The database's.
pub async fn caught_up(db: impl PgExecutor<'_>, chain_id: u64, contract: Address) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM watched WHERE chain_id = $1 AND address = $2 AND filled_to IS NULL)")
        .bind(int(chain_id))
        .bind(Addr(contract))
        .fetch_one(db)
        .await
}
