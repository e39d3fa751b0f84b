//! Lanes: one key on one chain, owned by whoever raised its epoch last.

use alloy::primitives::{Address, B256};
use sqlx::{PgConnection, PgPool, Row};
use tokenx_config::failpoint;
use tokenx_migrations::{Addr, Word};

/// What a lane's owner sees at a glance: one query per poll.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub next_nonce: i64,
    /// Transactions of the key as of the indexed head.
    pub chain_nonce: Option<i64>,
    pub halted: Option<String>,
    /// Why nothing is indexed any more until a person has looked.
    pub index_halted: Option<String>,
    pub cursor: Option<Cursor>,
    /// Commands wait for a slot.
    pub waiting: bool,
    pub open_slots: i64,
    /// Slots have ended and their commands wait for what follows.
    pub ended: bool,
}

/// How far the chain is indexed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    pub number: i64,
    pub hash: B256,
    pub confirmed: i64,
    pub finalized: i64,
    /// Reorgs so far: while it stays, what was read of the chain is of one branch.
    pub reorgs: i64,
}

/// Registers a lane, or a hosted wallet as one; one that exists keeps its nonce.
pub(crate) async fn open(
    pool: &PgPool,
    chain_id: i64,
    address: Address,
    nonce: i64,
    hosted: bool,
) -> Result<i64, sqlx::Error> {
    sqlx::query(
        "INSERT INTO lanes (chain_id, address, next_nonce, hosted) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(chain_id)
    .bind(Addr(address))
    .bind(nonce)
    .bind(hosted)
    .execute(pool)
    .await?;
    sqlx::query_scalar("SELECT lane_id FROM lanes WHERE chain_id = $1 AND address = $2")
        .bind(chain_id)
        .bind(Addr(address))
        .fetch_one(pool)
        .await
}

/// The lane of this key, if it is known already.
pub(crate) async fn find(pool: &PgPool, chain_id: i64, address: Address) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT lane_id FROM lanes WHERE chain_id = $1 AND address = $2")
        .bind(chain_id)
        .bind(Addr(address))
        .fetch_optional(pool)
        .await
}

/// The indexed block that is final, if anything is indexed.
pub(crate) async fn finalized(pool: &PgPool, chain_id: i64) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT finalized FROM chain_cursors WHERE chain_id = $1")
        .bind(chain_id)
        .fetch_optional(pool)
        .await
}

/// The lanes that somebody works: he holds their locks all the time.
pub(crate) async fn worked(conn: &mut PgConnection, chain_id: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT l.lane_id
           FROM lanes l
           JOIN pg_locks k ON k.locktype = 'advisory' AND k.objsubid = 1 AND k.granted
            AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (k.classid::bigint << 32 | k.objid::bigint)
                = hashtextextended('keeper:lane:' || l.lane_id::text, l.chain_id)
          WHERE l.chain_id = $1",
    )
    .bind(chain_id)
    .fetch_all(conn)
    .await
}

/// The next nonce of a hosted wallet that has sent something, and its lane; an error's sentence where that is halted.
pub(crate) async fn of_wallet(
    pool: &PgPool,
    chain_id: i64,
    wallet: Address,
) -> Result<Option<(i64, i64, Option<String>)>, sqlx::Error> {
    sqlx::query_as("SELECT lane_id, next_nonce, halted_reason FROM lanes WHERE chain_id = $1 AND address = $2")
        .bind(chain_id)
        .bind(Addr(wallet))
        .fetch_optional(pool)
        .await
}

/// The lanes of hosted wallets some of whose transactions have not come to an end.
pub(crate) async fn wallets_at_work(pool: &PgPool, chain_id: i64) -> Result<Vec<(i64, Address)>, sqlx::Error> {
    let rows: Vec<(i64, Addr)> = sqlx::query_as(
        "SELECT l.lane_id, l.address
           FROM lanes l
          WHERE l.chain_id = $1 AND l.hosted
            AND (EXISTS (SELECT FROM slots s WHERE s.lane_id = l.lane_id AND s.state = 'open')
                 OR EXISTS (SELECT FROM slots s
                             WHERE s.lane_id = l.lane_id AND s.state <> 'open' AND NOT s.settled AND NOT s.released))
          ORDER BY l.lane_id",
    )
    .bind(chain_id)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(lane_id, address)| (lane_id, address.0)).collect())
}

/// Lanes that are none of `ours`, that nobody works, and whose transactions are not all final: how many are not. Only
/// their keys can bring those to an end, and what is asked of the same subjects waits for it.
pub(crate) async fn stranded(pool: &PgPool, chain_id: i64, ours: &[i64]) -> Result<Vec<(Address, i64)>, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let worked = worked(&mut conn, chain_id).await?;
    let lanes: Vec<(Addr, i64)> = sqlx::query_as(
        "SELECT address, slots
           FROM (SELECT l.lane_id, l.address,
                        (SELECT count(*) FROM slots s WHERE s.lane_id = l.lane_id AND s.state = 'open')
                        + (SELECT count(*) FROM slots s
                            WHERE s.lane_id = l.lane_id AND s.state <> 'open' AND NOT s.settled) AS slots
                   FROM lanes l
                  WHERE l.chain_id = $1 AND NOT l.hosted AND l.lane_id <> ALL ($2) AND l.lane_id <> ALL ($3)) idle
          WHERE slots > 0
          ORDER BY lane_id",
    )
    .bind(chain_id)
    .bind(ours)
    .bind(worked)
    .fetch_all(&mut *conn)
    .await?;
    Ok(lanes.into_iter().map(|(address, slots)| (address.0, slots)).collect())
}

/// Takes the lane over: every write of an earlier owner fails from here on.
pub(crate) async fn take(pool: &PgPool, lane_id: i64, owner: &str) -> Result<i64, sqlx::Error> {
    let epoch = sqlx::query_scalar(
        "UPDATE lanes
            SET epoch = epoch + 1, owner = $2, problem = NULL, updated_at = now()
          WHERE lane_id = $1
         RETURNING epoch",
    )
    .bind(lane_id)
    .bind(owner)
    .fetch_one(pool)
    .await?;
    failpoint::hit("keeper.after_take")?;
    Ok(epoch)
}

/// The lane as its owner sees it; `None` if somebody else owns it now.
pub(crate) async fn look(pool: &PgPool, lane_id: i64, epoch: i64) -> Result<Option<Look>, sqlx::Error> {
    let mut tx = tokenx_migrations::begin_look(pool).await?;
    let row = sqlx::query(
        "SELECT l.next_nonce, n.nonce AS chain_nonce, l.halted_reason,
                c.number, c.hash, c.confirmed, c.finalized, c.reorgs, c.halted AS index_halted,
                EXISTS (SELECT FROM command_states w
                         WHERE w.chain_id = l.chain_id AND w.state IN ('accepted', 'ready')) AS waiting,
                (SELECT count(*) FROM slots s
                  WHERE s.lane_id = l.lane_id AND s.state = 'open') AS open_slots,
                EXISTS (SELECT FROM slots s
                         WHERE s.lane_id = l.lane_id AND s.state <> 'open' AND NOT s.settled
                           AND NOT s.released AND s.block_number <= c.confirmed) AS ended
           FROM lanes l
           LEFT JOIN lane_nonces n   ON n.lane_id = l.lane_id
           LEFT JOIN chain_cursors c ON c.chain_id = l.chain_id
          WHERE l.lane_id = $1 AND l.epoch = $2",
    )
    .bind(lane_id)
    .bind(epoch)
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    let Some(row) = row else { return Ok(None) };
    let cursor = match row.try_get::<Option<i64>, _>("number")? {
        None => None,
        Some(number) => Some(Cursor {
            number,
            hash: row.try_get::<Word, _>("hash")?.0,
            confirmed: row.try_get("confirmed")?,
            finalized: row.try_get("finalized")?,
            reorgs: row.try_get("reorgs")?,
        }),
    };
    Ok(Some(Look {
        next_nonce: row.try_get("next_nonce")?,
        chain_nonce: row.try_get("chain_nonce")?,
        halted: row.try_get("halted_reason")?,
        index_halted: row.try_get("index_halted")?,
        cursor,
        waiting: row.try_get("waiting")?,
        open_slots: row.try_get("open_slots")?,
        ended: row.try_get("ended")?,
    }))
}

/// Holds the chain to the branch that the cursor was read on, until the transaction ends: the indexer takes nothing back
/// before that. False if it has already, or stands still. What a round has read of the chain is written under this
/// lock alone, which comes before the lane's, as in the indexer's own transactions.
pub(crate) async fn hold_branch(conn: &mut PgConnection, chain_id: i64, cursor: Cursor) -> Result<bool, sqlx::Error> {
    let held: Option<i32> = sqlx::query_scalar(
        "SELECT 1
           FROM chain_cursors
          WHERE chain_id = $1 AND reorgs = $2 AND halted IS NULL
            FOR SHARE",
    )
    .bind(chain_id)
    .bind(cursor.reorgs)
    .fetch_optional(conn)
    .await?;
    Ok(held.is_some())
}

/// Locks the lane's row for its owner's transaction; `None` if somebody else owns it now. The lane's first lock in every
/// transaction: lanes, then slots, then commands.
pub(crate) async fn hold(conn: &mut PgConnection, lane_id: i64, epoch: i64) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT next_nonce
           FROM lanes
          WHERE lane_id = $1 AND epoch = $2
            FOR NO KEY UPDATE",
    )
    .bind(lane_id)
    .bind(epoch)
    .fetch_optional(conn)
    .await
}

/// Moves the nonce on by compare-and-swap; false if it was not `from`, or if the lane has another owner or is halted.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    lane_id: i64,
    epoch: i64,
    from: i64,
    to: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE lanes
            SET next_nonce = $4, updated_at = now()
          WHERE lane_id = $1 AND epoch = $2 AND next_nonce = $3 AND halted_reason IS NULL",
    )
    .bind(lane_id)
    .bind(epoch)
    .bind(from)
    .bind(to)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Moves a wallet's nonce on by compare-and-swap, whoever works its lane; false if it was not `from`, or if it is halted.
pub(crate) async fn advance_wallet(conn: &mut PgConnection, lane_id: i64, from: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE lanes
            SET next_nonce = $2 + 1, updated_at = now()
          WHERE lane_id = $1 AND next_nonce = $2 AND hosted AND halted_reason IS NULL",
    )
    .bind(lane_id)
    .bind(from)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes down why the lane is not getting on, or that it is.
pub(crate) async fn set_problem(
    pool: &PgPool,
    lane_id: i64,
    epoch: i64,
    problem: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE lanes
            SET problem = $3, updated_at = now()
          WHERE lane_id = $1 AND epoch = $2 AND problem IS DISTINCT FROM $3",
    )
    .bind(lane_id)
    .bind(epoch)
    .bind(problem)
    .execute(pool)
    .await?;
    Ok(())
}

/// Stops the lane until an operator clears it.
pub(crate) async fn halt(conn: &mut PgConnection, lane_id: i64, epoch: i64, reason: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE lanes
            SET halted_reason = $3, updated_at = now()
          WHERE lane_id = $1 AND epoch = $2 AND halted_reason IS NULL",
    )
    .bind(lane_id)
    .bind(epoch)
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets a halted lane go on, since an operator has looked; why it was halted, where it was.
///
/// # Errors
/// The database's.
pub async fn resume(conn: &mut PgConnection, chain_id: u64, address: Address) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH was AS (
             SELECT lane_id, halted_reason
               FROM lanes
              WHERE chain_id = $1 AND address = $2 AND halted_reason IS NOT NULL
                FOR UPDATE
         )
         UPDATE lanes l
            SET halted_reason = NULL, reverts_in_a_row = 0, updated_at = now()
           FROM was
          WHERE l.lane_id = was.lane_id
         RETURNING was.halted_reason",
    )
    .bind(chain_id.cast_signed())
    .bind(Addr(address))
    .fetch_optional(conn)
    .await
}

/// Counts a batch that was in vain.
pub(crate) async fn count_revert(conn: &mut PgConnection, lane_id: i64) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE lanes
            SET reverts_in_a_row = reverts_in_a_row + 1
          WHERE lane_id = $1
         RETURNING reverts_in_a_row",
    )
    .bind(lane_id)
    .fetch_one(conn)
    .await
}

/// The keys of a chain's lanes, whose transaction counts the indexer reads at each block: of hosted wallets those that
/// have sent something which is not final.
pub(crate) async fn addresses(conn: &mut PgConnection, chain_id: i64) -> Result<Vec<Address>, sqlx::Error> {
    let rows: Vec<Addr> = sqlx::query_scalar(
        "SELECT l.address
           FROM lanes l
          WHERE l.chain_id = $1
            AND (NOT l.hosted
                 OR EXISTS (SELECT FROM slots s WHERE s.lane_id = l.lane_id AND s.state = 'open')
                 OR EXISTS (SELECT FROM slots s WHERE s.lane_id = l.lane_id AND s.state <> 'open' AND NOT s.settled))
          ORDER BY l.lane_id",
    )
    .bind(chain_id)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Address::from).collect())
}
