use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, Row};
use time::OffsetDateTime;

use super::{ReconciliationStatus, int};

/// The monitor's last pass over a chain, as of its confirmed block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When the pass ended.
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// The confirmed block it is as of.
    pub block_number: u64,
    /// Every instrument whose logs add up, by instrument id.
    pub tokens: Vec<TokenStatus>,
    /// About the monitor loop itself.
    pub monitor: MonitorStatus,
    /// About following the chain.
    pub indexer: IndexerStatus,
}

/// Figures of one instrument. Amounts are canonical decimal strings of whole tokens; shares have up to six decimals,
/// half-even, and are `None` at zero supply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenStatus {
    /// The instrument.
    pub instrument_id: String,
    /// Its token, EIP-55.
    pub token: String,
    /// All that exists.
    pub total_supply: String,
    /// The part that may not move.
    pub total_locked_supply: String,
    /// Parties above zero.
    pub unique_holders: u64,
    /// The largest party's part of the supply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_holder_share: Option<String>,
    /// Herfindahl–Hirschman index: the sum of the parties' squared shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supply_concentration_hhi: Option<String>,
    /// When the figures were taken.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// The monitor loop's own figures. `age_seconds` is made when read: now − `last_success_at`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonitorStatus {
    /// End of the last pass that went well.
    #[serde(with = "time::serde::rfc3339")]
    pub last_success_at: OffsetDateTime,
    /// How long that pass took.
    pub last_scan_duration_seconds: f64,
    /// Pause between passes, from the settings.
    pub poll_interval_seconds: f64,
    /// Holding rows above zero.
    pub last_scan_holdings: u64,
    /// Passes begun since the monitor first ran on this database.
    pub cycles_total: u64,
    /// Passes that failed.
    pub cycle_errors_total: u64,
    /// Is the monitor on?
    pub monitoring_enabled: bool,
}

/// How far behind the chain the tables are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexerStatus {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The node's head.
    pub head_block: u64,
    /// Everything up to here is in the tables.
    pub indexed_block: u64,
    /// Highest confirmed block.
    pub confirmed_block: u64,
    /// Highest final block.
    pub finalized_block: u64,
    /// Blocks that the node has and the tables have not.
    pub lag_blocks: u64,
    /// Time of the indexed block, Unix seconds.
    pub indexed_block_time: u64,
    /// Reorgs healed so far.
    pub reorgs_total: u64,
    /// Logs kept that do not decode.
    pub undecoded_logs: u64,
    /// Instruments whose logs do not add up; their holdings stand still.
    pub inexact: Vec<String>,
    /// Why following has stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// Whether the tables say what the contracts say.
    #[serde(default)]
    pub reconciliation: ReconciliationStatus,
}

/// The last snapshot; `None` before the first pass, or with `monitor.enabled = false` from the start.
///
/// # Errors
/// The database's, or [`sqlx::Error::Decode`] for a row that another version wrote.
pub async fn status(db: impl PgExecutor<'_>, chain_id: u64) -> Result<Option<Snapshot>, sqlx::Error> {
    let row = sqlx::query("SELECT body FROM monitor_snapshots WHERE chain_id = $1")
        .bind(int(chain_id))
        .fetch_optional(db)
        .await?;
    row.map(|row| {
        let mut snapshot = row.try_get::<sqlx::types::Json<Snapshot>, _>("body")?.0;
        snapshot.indexer.reconciliation.read_at(OffsetDateTime::now_utc());
        Ok(snapshot)
    })
    .transpose()
}
