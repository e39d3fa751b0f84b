//! The monitor: refreshes the row that `/status` serves, as of the confirmed block.

use std::time::{Duration, Instant};

use alloy::primitives::{U256, U512};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool, Row};
use time::OffsetDateTime;
use tokenx_contracts::Amount;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::read::{self, Columns, IndexerStatus, MonitorStatus, Snapshot, TokenStatus, int};
use crate::shares::{hhi, share};

/// Refreshes the snapshot of `chain_id` every `interval` until `stop`.
pub(crate) async fn run(pool: PgPool, chain_id: u64, interval: Duration, stop: CancellationToken) {
    let label = chain_id.to_string();
    let (mut cycles, mut errors) = match read::status(&pool, chain_id).await {
        Ok(Some(last)) => (last.monitor.cycles_total, last.monitor.cycle_errors_total),
        _ => (0, 0),
    };
    while !stop.is_cancelled() {
        cycles += 1;
        if let Err(error) = refresh(&pool, chain_id, interval, cycles, errors).await {
            errors += 1;
            metrics::MONITOR_ERRORS.with_label_values(&[&label]).inc();
            tracing::warn!(chain_id, %error, "the monitor's pass failed");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// One pass: reads in one snapshot of the database, then writes the row.
async fn refresh(
    pool: &PgPool,
    chain_id: u64,
    interval: Duration,
    cycles: u64,
    errors: u64,
) -> Result<(), sqlx::Error> {
    let begun = Instant::now();
    let mut tx = read::snapshot(pool).await?;
    let (Some(cursor), Some(at)) = (read::cursor(&mut *tx, chain_id).await?, read::as_of(&mut *tx, chain_id).await?)
    else {
        return Ok(()); // nothing was followed yet
    };
    let (tokens, holdings) = tokens(chain_id, at.block, &mut tx).await?;
    let inexact = sqlx::query_scalar(
        "SELECT instrument_id FROM instruments WHERE chain_id = $1 AND inexact_block IS NOT NULL ORDER BY instrument_id",
    )
    .bind(int(chain_id))
    .fetch_all(&mut *tx)
    .await?;
    let undecoded: i64 = sqlx::query_scalar("SELECT count(*) FROM logs WHERE chain_id = $1 AND NOT decoded")
        .bind(int(chain_id))
        .fetch_one(&mut *tx)
        .await?;
    let reconciliation = read::reconciliation(&mut *tx, chain_id).await?;
    tx.commit().await?;

    let now = OffsetDateTime::now_utc();
    let snapshot = Snapshot {
        taken_at: now,
        block_number: at.block,
        tokens,
        monitor: MonitorStatus {
            last_success_at: now,
            last_scan_duration_seconds: begun.elapsed().as_secs_f64(),
            poll_interval_seconds: interval.as_secs_f64(),
            last_scan_holdings: holdings,
            cycles_total: cycles,
            cycle_errors_total: errors,
            monitoring_enabled: true,
        },
        indexer: IndexerStatus {
            chain_id,
            head_block: cursor.head.max(cursor.number),
            indexed_block: cursor.number,
            confirmed_block: cursor.confirmed,
            finalized_block: cursor.finalized,
            lag_blocks: cursor.head.saturating_sub(cursor.number),
            indexed_block_time: cursor.block_time.unwrap_or_default(),
            reorgs_total: cursor.reorgs,
            undecoded_logs: read::uint(undecoded),
            inexact,
            halted: cursor.halted,
            reconciliation,
        },
    };
    sqlx::query(
        "INSERT INTO monitor_snapshots (chain_id, taken_at, block_number, body)
         VALUES ($1, $2, $3, $4)
             ON CONFLICT (chain_id) DO UPDATE
            SET taken_at = excluded.taken_at, block_number = excluded.block_number, body = excluded.body",
    )
    .bind(int(chain_id))
    .bind(now)
    .bind(int(at.block))
    .bind(Json(&snapshot))
    .execute(pool)
    .await?;
    Ok(())
}

/// The figures of every instrument at `block`, and the number of holding rows above zero. Postgres adds and squares
/// exactly; only the division is ours.
async fn tokens(chain_id: u64, block: u64, tx: &mut PgConnection) -> Result<(Vec<TokenStatus>, u64), sqlx::Error> {
    let rows = sqlx::query(
        "WITH held AS MATERIALIZED (
             SELECT * FROM holdings_at($1, $2)
         ),
         by_token AS (
             SELECT token, sum(balance) AS supply, sum(locked) AS locked,
                    sum((balance > locked)::int + (locked > 0)::int) AS holdings
               FROM held
              GROUP BY token
         ),
         parties AS (
             SELECT token, sum(balance) AS balance
               FROM held
              GROUP BY token, investor_id, CASE WHEN investor_id IS NULL THEN wallet END
         ),
         by_party AS (
             SELECT token, count(*) AS holders, max(balance) AS top, sum(balance * balance)::text AS squares
               FROM parties
              GROUP BY token
         )
         SELECT DISTINCT ON (i.instrument_id)
                i.instrument_id, i.token, i.decimals,
                coalesce(t.supply, 0)    AS supply,
                coalesce(t.locked, 0)    AS locked,
                coalesce(t.holdings, 0)  AS holdings,
                coalesce(p.holders, 0)   AS holders,
                coalesce(p.top, 0)       AS top,
                coalesce(p.squares, '0') AS squares
           FROM instruments i
           LEFT JOIN by_token t ON t.token = i.token
           LEFT JOIN by_party p ON p.token = i.token
          WHERE i.chain_id = $1 AND i.created_block <= $2 AND i.inexact_block IS NULL
          ORDER BY i.instrument_id, i.created_block, i.created_log",
    )
    .bind(int(chain_id))
    .bind(int(block))
    .fetch_all(tx)
    .await?;
    let now = OffsetDateTime::now_utc();
    let mut holdings = 0;
    let mut tokens = Vec::with_capacity(rows.len());
    for row in &rows {
        let decimals = u8::try_from(row.try_get::<i16, _>("decimals")?).unwrap_or(u8::MAX);
        let (supply, locked, top): (U256, U256, U256) =
            (row.amount("supply")?, row.amount("locked")?, row.amount("top")?);
        let squares =
            U512::from_str_radix(row.try_get("squares")?, 10).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        holdings += row.height("holdings")?;
        tokens.push(TokenStatus {
            instrument_id: row.try_get("instrument_id")?,
            token: row.address("token")?.to_checksum(None),
            total_supply: Amount::new(supply, decimals).to_string(),
            total_locked_supply: Amount::new(locked, decimals).to_string(),
            unique_holders: row.height("holders")?,
            top_holder_share: share(U512::from(top), U512::from(supply)),
            supply_concentration_hhi: hhi(squares, supply),
            updated_at: now,
        });
    }
    Ok((tokens, holdings))
}
