//! `command_results`, and the commands that follow from it.

use alloy::primitives::{Address, B256, Bytes};
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use tokenx_migrations::{Addr, Word};

/// What an Executor said about one item.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub id: B256,
    pub status: &'static str,
    pub target: Option<Address>,
    pub return_data: Option<Bytes>,
    pub executor: Address,
    pub tx_hash: B256,
    pub block_number: i64,
    pub block_hash: B256,
    pub block_time: OffsetDateTime,
    pub log_index: i32,
}

/// Keeps what was told.
pub(crate) async fn insert(conn: &mut PgConnection, chain_id: i64, told: &[Told]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO command_results (chain_id, block_number, log_index, block_hash, tx_hash, executor, onchain_id,
                                      status, target, return_data, block_time)
         SELECT $1, block_number, log_index, block_hash, tx_hash, executor, onchain_id, status, target, return_data,
                block_time
           FROM unnest($2::bigint[], $3::integer[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], $8::text[],
                       $9::bytea[], $10::bytea[], $11::timestamptz[])
             AS t (block_number, log_index, block_hash, tx_hash, executor, onchain_id, status, target, return_data,
                   block_time)",
    )
    .bind(chain_id)
    .bind(told.iter().map(|t| t.block_number).collect::<Vec<_>>())
    .bind(told.iter().map(|t| t.log_index).collect::<Vec<_>>())
    .bind(told.iter().map(|t| Word(t.block_hash)).collect::<Vec<_>>())
    .bind(told.iter().map(|t| Word(t.tx_hash)).collect::<Vec<_>>())
    .bind(told.iter().map(|t| Addr(t.executor)).collect::<Vec<_>>())
    .bind(told.iter().map(|t| Word(t.id)).collect::<Vec<_>>())
    .bind(told.iter().map(|t| t.status).collect::<Vec<_>>())
    .bind(told.iter().map(|t| t.target.map(Addr)).collect::<Vec<_>>())
    .bind(told.iter().map(|t| t.return_data.as_ref().map(|data| data.to_vec())).collect::<Vec<_>>())
    .bind(told.iter().map(|t| t.block_time).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets what blocks above `to` told.
pub(crate) async fn remove_above(conn: &mut PgConnection, chain_id: i64, to: i64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM command_results WHERE chain_id = $1 AND block_number > $2")
        .bind(chain_id)
        .bind(to)
        .execute(conn)
        .await?;
    Ok(())
}

/// The runs behind these skips (id, Executor that skipped), where they are indexed: its own, or those of an Executor
/// that it succeeds, which it asks about ids it does not know. Each with the Executor that skipped.
pub(crate) async fn executed(
    conn: &mut PgConnection,
    chain_id: i64,
    skipped: &[(B256, Address)],
) -> Result<Vec<(Address, Told)>, sqlx::Error> {
    if skipped.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "WITH RECURSIVE asked AS (
              SELECT id, executor AS door, executor
                FROM unnest($2::bytea[], $3::bytea[]) AS s (id, executor)
               UNION
              SELECT a.id, a.door, e.previous::bytea
                FROM asked a
                JOIN executors e ON e.chain_id = $1 AND e.executor = a.executor
               WHERE e.previous IS NOT NULL
         )
         SELECT a.door, r.onchain_id, r.status, r.target, r.return_data, r.executor, r.tx_hash, r.block_number,
                r.block_hash, r.block_time, r.log_index
           FROM asked a
           JOIN command_results r ON r.onchain_id = a.id AND r.executor = a.executor
          WHERE r.chain_id = $1 AND r.status IN ('executed', 'failed')",
    )
    .bind(chain_id)
    .bind(skipped.iter().map(|(id, _)| Word(*id)).collect::<Vec<_>>())
    .bind(skipped.iter().map(|(_, executor)| Addr(*executor)).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let told = Told {
                id: row.try_get::<Word, _>("onchain_id")?.0,
                status: if row.try_get::<&str, _>("status")? == "executed" { "executed" } else { "failed" },
                target: row.try_get::<Option<Addr>, _>("target")?.map(Address::from),
                return_data: row.try_get::<Option<Vec<u8>>, _>("return_data")?.map(Bytes::from),
                executor: row.try_get::<Addr, _>("executor")?.0,
                tx_hash: row.try_get::<Word, _>("tx_hash")?.0,
                block_number: row.try_get("block_number")?,
                block_hash: row.try_get::<Word, _>("block_hash")?.0,
                block_time: row.try_get("block_time")?,
                log_index: row.try_get("log_index")?,
            };
            Ok((row.try_get::<Addr, _>("door")?.0, told))
        })
        .collect()
}

/// A command that was told about.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub seq: i64,
    pub onchain_id: B256,
    pub executor: Address,
    pub kind: String,
}

/// The commands of these on-chain ids.
pub(crate) async fn commands(conn: &mut PgConnection, chain_id: i64, ids: &[B256]) -> Result<Vec<Known>, sqlx::Error> {
    let rows: Vec<(i64, Word, Addr, String)> = sqlx::query_as(
        // One at a time: a join may be planned to look through all ids for each command.
        "SELECT k.*
           FROM unnest($2::bytea[]) AS told (id),
                LATERAL (SELECT seq, c.onchain_id, s.executor, c.kind
                           FROM commands c
                           JOIN command_states s USING (seq)
                          WHERE c.onchain_id = told.id AND s.chain_id = $1
                          LIMIT 1) k
          ORDER BY seq",
    )
    .bind(chain_id)
    .bind(ids.iter().copied().map(Word).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(seq, id, executor, kind)| Known { seq, onchain_id: id.0, executor: executor.0, kind })
        .collect())
}

/// Mined commands in blocks up to `depth`.
pub(crate) async fn mined_to(conn: &mut PgConnection, chain_id: i64, depth: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT seq
           FROM command_states
          WHERE chain_id = $1 AND block_number <= $2 AND state = 'mined'",
    )
    .bind(chain_id)
    .bind(depth)
    .fetch_all(conn)
    .await
}

/// Confirmed, failed and expired commands in blocks up to `depth` that may still be reorganised as far as we know.
pub(crate) async fn unsettled_to(conn: &mut PgConnection, chain_id: i64, depth: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT seq
           FROM command_states
          WHERE chain_id = $1 AND block_number <= $2 AND block_number IS NOT NULL AND NOT settled
            AND state IN ('confirmed', 'failed', 'expired')",
    )
    .bind(chain_id)
    .bind(depth)
    .fetch_all(conn)
    .await
}

/// Commands whose verdict came from blocks above `to`.
pub(crate) async fn commands_above(conn: &mut PgConnection, chain_id: i64, to: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT seq FROM command_states WHERE chain_id = $1 AND block_number > $2 AND NOT settled")
        .bind(chain_id)
        .bind(to)
        .fetch_all(conn)
        .await
}

/// Those of these commands that no slot carries.
pub(crate) async fn without_slot(conn: &mut PgConnection, seqs: &[i64]) -> Result<Vec<i64>, sqlx::Error> {
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(
        "SELECT seq
           FROM unnest($1::bigint[]) AS seq
          WHERE NOT EXISTS (SELECT FROM slot_commands s WHERE s.command_seq = seq AND s.live)",
    )
    .bind(seqs)
    .fetch_all(conn)
    .await
}
