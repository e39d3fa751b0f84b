//! The kept logs once more through the same code, in whole blocks, from the first to the last.

use std::sync::Arc;

use alloy::primitives::B256;
use futures::TryStreamExt;
use sqlx::{Connection, PgConnection, Row};
use tokenx_migrations::Addr;

use crate::project::{self, Followed};
use crate::read::{Columns, int};
use crate::watch::WatchSet;
use crate::{Batch, BlockRef, ChainLog, IndexerError, Kind, Projection, attribution};

/// Logs that one transaction applies, or one block's if it has more.
const BATCH: usize = 5_000;

pub(super) struct Replay<'a> {
    pub(super) chain_id: u64,
    pub(super) projections: &'a [Arc<dyn Projection>],
}

impl Replay<'_> {
    /// Reads all logs that `live` sees and writes tables into `scratch`. Gives the number of logs.
    pub(super) async fn run(
        &self,
        live: &mut PgConnection,
        scratch: &mut PgConnection,
        mut progress: impl FnMut(u64, u64) + Send,
    ) -> Result<u64, IndexerError> {
        let chain = int(self.chain_id);
        let (mut known, late) = self.seed(live, scratch).await?;
        let of: i64 = sqlx::query_scalar("SELECT count(*) FROM logs WHERE chain_id = $1")
            .bind(chain)
            .fetch_one(&mut *live)
            .await?;
        let of = crate::read::uint(of);
        let mut rows = sqlx::query(
            "SELECT block_number, log_index, block_hash, block_time, tx_hash, tx_index, address, topics, data
               FROM logs
              WHERE chain_id = $1
              ORDER BY block_number, log_index",
        )
        .bind(chain)
        .fetch(live);
        let (mut batch, mut done) = (Vec::new(), 0);
        loop {
            let log = rows.try_next().await?.map(|row| ChainLog::from_row(&row)).transpose()?;
            let full = batch.len() >= BATCH;
            let next = log.as_ref().map(|log| log.block_number);
            // Whole blocks only: a token's logs count from the block that made it known, whatever their place in it.
            if let Some(last) = batch.last().map(|log: &ChainLog| log.block_number)
                && (next.is_none() || (full && next != Some(last)))
            {
                done += batch.len() as u64;
                self.apply(std::mem::take(&mut batch), &mut known, scratch).await?;
                progress(done, of);
            }
            match log {
                Some(log) => batch.push(log),
                None => break,
            }
        }
        // How far the past of contracts named late has been read is no matter of logs.
        for (address, filled_to) in late {
            sqlx::query("UPDATE watched SET filled_to = $3 WHERE chain_id = $1 AND address = $2")
                .bind(chain)
                .bind(Addr(address))
                .bind(filled_to)
                .execute(&mut *scratch)
                .await?;
        }
        Ok(done)
    }

    /// What settings brought: contracts to listen to, and followed tokens. Gives the contracts, and how far the past of
    /// those that came late has been read.
    async fn seed(
        &self,
        live: &mut PgConnection,
        scratch: &mut PgConnection,
    ) -> Result<(WatchSet, Vec<(alloy::primitives::Address, i64)>), IndexerError> {
        let (mut known, mut late) = (WatchSet::default(), Vec::new());
        let watched = sqlx::query("SELECT * FROM watched WHERE chain_id = $1").bind(int(self.chain_id));
        for row in watched.fetch_all(&mut *live).await? {
            let address = row.address("address")?;
            if let Some(filled_to) = row.try_get::<Option<i64>, _>("filled_to")? {
                late.push((address, filled_to));
            }
            if row.try_get::<Option<i64>, _>("found_block")?.is_some() {
                continue;
            }
            let name: &str = row.try_get("kind")?;
            if let Some(kind) = Kind::parse(name) {
                known.insert(address, kind);
            }
            sqlx::query("INSERT INTO watched (chain_id, address, kind, from_block) VALUES ($1, $2, $3, $4)")
                .bind(int(self.chain_id))
                .bind(Addr(address))
                .bind(name)
                .bind(row.try_get::<i64, _>("from_block")?)
                .execute(&mut *scratch)
                .await?;
        }
        let followed = sqlx::query(
            "SELECT w.address, i.*
               FROM watched w
               LEFT JOIN instruments i ON i.chain_id = w.chain_id AND i.token = w.address
              WHERE w.chain_id = $1 AND w.kind = 'followed'",
        )
        .bind(int(self.chain_id));
        for row in followed.fetch_all(&mut *live).await? {
            let token = row.address("address")?;
            if row.maybe_address("token")?.is_none() {
                return Err(IndexerError::NoInstrument(token));
            }
            let followed = Followed {
                token,
                instrument_id: row.try_get("instrument_id")?,
                name: row.try_get("name")?,
                symbol: row.try_get("symbol")?,
                decimals: u8::try_from(row.try_get::<i16, _>("decimals")?).unwrap_or(u8::MAX),
                from_block: row.height("created_block")?,
                from_time: row.height("created_time")?,
            };
            project::insert_followed(self.chain_id, &followed, scratch).await?;
        }
        Ok((known, late))
    }

    async fn apply(
        &self,
        mut logs: Vec<ChainLog>,
        known: &mut WatchSet,
        scratch: &mut PgConnection,
    ) -> Result<(), IndexerError> {
        let (Some(first), Some(last)) = (logs.first(), logs.last()) else { return Ok(()) };
        let from = first.block_number;
        let to = BlockRef {
            number: last.block_number,
            hash: last.block_hash,
            parent_hash: B256::ZERO,
            timestamp: last.timestamp,
        };
        for found in known.found(&logs) {
            known.insert(found.address, found.kind);
        }
        known.decode(&mut logs);
        attribution::attribute(&mut logs);
        let batch = Batch {
            chain_id: self.chain_id,
            from,
            to,
            blocks: vec![to],
            logs,
            nonces: Vec::new(),
            head: to.number,
            confirmed: to.number,
            finalized: to.number,
            live: false,
            epoch: 0,
        };
        let mut tx = scratch.begin().await?;
        project::keep(batch.chain_id, &batch.logs, &mut tx).await?;
        project::apply(&batch, &mut tx).await?;
        for projection in self.projections {
            projection
                .derive(&batch, &mut tx)
                .await
                .map_err(|error| IndexerError::Projection { name: projection.name(), error })?;
        }
        tx.commit().await?;
        Ok(())
    }
}
