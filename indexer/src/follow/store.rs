//! The cursor, stored headers and watched contracts in the database.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256};
use sqlx::{PgConnection, PgPool, Row};
use tokenx_migrations::{Addr, Word};

use crate::read::{Columns, int, uint};
use crate::watch::WatchSet;
use crate::{BlockRef, ChainLog, IndexerError, Kind};

/// Where following stands, as this process knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) block: BlockRef,
    pub(super) finalized: u64,
    pub(super) start_block: u64,
    pub(super) live_from: u64,
    pub(super) reorgs: u64,
    /// The table says that nothing is written any more.
    pub(super) halted: bool,
}

/// The stored cursor; `None` if the chain was never followed.
pub(super) async fn cursor(pool: &PgPool, chain_id: u64, genesis: B256) -> Result<Option<Cursor>, IndexerError> {
    let row = sqlx::query(
        "SELECT c.genesis, c.number, c.hash, b.parent_hash, b.block_time, c.finalized, c.start_block, c.live_from, c.reorgs,
                c.halted IS NOT NULL AS halted
           FROM chain_cursors c
           JOIN blocks b ON b.chain_id = c.chain_id AND b.number = c.number
          WHERE c.chain_id = $1",
    )
    .bind(int(chain_id))
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let stored = row.word("genesis")?;
    if stored != genesis {
        return Err(IndexerError::OtherGenesis { chain_id, stored, found: genesis });
    }
    Ok(Some(Cursor {
        block: BlockRef {
            number: row.height("number")?,
            hash: row.word("hash")?,
            parent_hash: row.word("parent_hash")?,
            timestamp: row.height("block_time")?,
        },
        finalized: row.height("finalized")?,
        start_block: row.height("start_block")?,
        live_from: row.height("live_from")?,
        reorgs: row.height("reorgs")?,
        halted: row.try_get("halted")?,
    }))
}

/// Begins to follow a chain: the cursor stands on the block before the first one.
pub(super) async fn begin(
    chain_id: u64,
    genesis: B256,
    cursor: &Cursor,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    put_block(chain_id, &cursor.block, tx).await?;
    sqlx::query(
        "INSERT INTO chain_cursors (chain_id, genesis, number, hash, start_block, live_from, head, confirmed, finalized)
         VALUES ($1, $2, $3, $4, $5, $6, $6, 0, $7)",
    )
    .bind(int(chain_id))
    .bind(Word(genesis))
    .bind(int(cursor.block.number))
    .bind(Word(cursor.block.hash))
    .bind(int(cursor.start_block))
    .bind(int(cursor.live_from))
    .bind(int(cursor.finalized))
    .execute(tx)
    .await?;
    Ok(())
}

/// Stores a header at its height, whatever stood there.
pub(super) async fn put_block(chain_id: u64, block: &BlockRef, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO blocks (chain_id, number, hash, parent_hash, block_time)
         VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (chain_id, number) DO UPDATE
            SET hash = excluded.hash, parent_hash = excluded.parent_hash, block_time = excluded.block_time",
    )
    .bind(int(chain_id))
    .bind(int(block.number))
    .bind(Word(block.hash))
    .bind(Word(block.parent_hash))
    .bind(int(block.timestamp))
    .execute(tx)
    .await?;
    Ok(())
}

/// Stored headers in `from..=to`, highest first, at most `limit`.
pub(super) async fn headers(
    pool: &PgPool,
    chain_id: u64,
    from: u64,
    to: u64,
    limit: i64,
) -> Result<Vec<BlockRef>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT number, hash, parent_hash, block_time
           FROM blocks
          WHERE chain_id = $1 AND number BETWEEN $2 AND $3
          ORDER BY number DESC
          LIMIT $4",
    )
    .bind(int(chain_id))
    .bind(int(from))
    .bind(int(to))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(BlockRef {
                number: row.height("number")?,
                hash: row.word("hash")?,
                parent_hash: row.word("parent_hash")?,
                timestamp: row.height("block_time")?,
            })
        })
        .collect()
}

/// The node answered: keeps the reading rooms from thinking it silent.
pub(super) async fn polled(pool: &PgPool, chain_id: u64, head: u64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE chain_cursors SET polled_at = now(), head = $2 WHERE chain_id = $1")
        .bind(int(chain_id))
        .bind(int(head))
        .execute(pool)
        .await?;
    Ok(())
}

/// Says for everybody to read why nothing is written any more. The next commit takes it back, or [`resume`].
pub(super) async fn halt(pool: &PgPool, chain_id: u64, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE chain_cursors SET halted = $2 WHERE chain_id = $1")
        .bind(int(chain_id))
        .bind(why)
        .execute(pool)
        .await?;
    Ok(())
}

/// Takes back that nothing is written any more.
pub(super) async fn resume(pool: &PgPool, chain_id: u64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE chain_cursors SET halted = NULL WHERE chain_id = $1").bind(int(chain_id)).execute(pool).await?;
    Ok(())
}

/// When holds that stand run out, of those after one time and up to another.
pub(super) async fn expiring(pool: &PgPool, chain_id: u64, after: u64, to: u64) -> Result<Vec<u64>, sqlx::Error> {
    let times: Vec<i64> =
        sqlx::query_scalar("SELECT DISTINCT until FROM holds WHERE chain_id = $1 AND until > $2 AND until <= $3")
            .bind(int(chain_id))
            .bind(int(after))
            .bind(int(to))
            .fetch_all(pool)
            .await?;
    Ok(times.into_iter().map(uint).collect())
}

/// A contract whose past is still being read, and how far it has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Late {
    pub(super) address: Address,
    pub(super) kind: Kind,
    pub(super) filled_to: u64,
}

/// The contracts to listen to, and those that must first catch up.
pub(super) async fn watched(pool: &PgPool, chain_id: u64) -> Result<(WatchSet, Vec<Late>), sqlx::Error> {
    // Factories first: which tokens are ours is known before what a node's contracts say of them. Executors last: what a
    // command did is there before the Executor's word that it ran.
    let rows = sqlx::query(
        "SELECT address, kind, filled_to
           FROM watched
          WHERE chain_id = $1
          ORDER BY kind <> 'factory', kind = 'executor', address",
    )
    .bind(int(chain_id))
    .fetch_all(pool)
    .await?;
    let (mut set, mut late) = (WatchSet::default(), Vec::new());
    for row in &rows {
        let address = row.address("address")?;
        // The column's CHECK admits the known kinds only.
        let Some(kind) = Kind::parse(row.try_get("kind")?) else { continue };
        match row.try_get::<Option<i64>, _>("filled_to")? {
            Some(filled_to) => late.push(Late { address, kind, filled_to: uint(filled_to) }),
            None => set.insert(address, kind),
        }
    }
    Ok((set, late))
}

/// The kept logs of these transactions, each a block and a hash, with the commands they are attributed to. Not decoded.
pub(super) async fn logs_of(
    pool: &PgPool,
    chain_id: u64,
    transactions: &BTreeSet<(u64, B256)>,
) -> Result<Vec<ChainLog>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT l.block_number, l.block_hash, l.block_time, l.tx_hash, l.tx_index, l.log_index, l.address, l.topics,
                l.data, l.command_key
           FROM unnest($2::bigint[], $3::bytea[]) AS t (block_number, tx_hash)
           JOIN logs l ON l.chain_id = $1 AND l.block_number = t.block_number AND l.tx_hash = t.tx_hash",
    )
    .bind(int(chain_id))
    .bind(transactions.iter().map(|(block, _)| int(*block)).collect::<Vec<_>>())
    .bind(transactions.iter().map(|(_, hash)| Word(*hash)).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| Ok(ChainLog { command: row.maybe_word("command_key")?, ..ChainLog::from_row(row)? }))
        .collect()
}

/// Listens to a contract that a setting names, from `from_block`. What lies at or below `cursor` must be read first.
pub(super) async fn watch(
    chain_id: u64,
    address: Address,
    kind: Kind,
    from_block: u64,
    cursor: u64,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let behind = (from_block <= cursor).then(|| int(from_block.saturating_sub(1)));
    sqlx::query(
        "INSERT INTO watched (chain_id, address, kind, from_block, filled_to)
         VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (chain_id, address) DO NOTHING",
    )
    .bind(int(chain_id))
    .bind(Addr(address))
    .bind(kind.name())
    .bind(int(from_block))
    .bind(behind)
    .execute(tx)
    .await?;
    Ok(())
}
