use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, Row};
use time::OffsetDateTime;

use super::{Columns, int};

/// How the comparison of the tables with the contracts stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReconciliationStatus {
    /// Figures on which tables and chain disagree now; must be 0.
    pub mismatches: u64,
    /// The first of them: token, wallet, what, ours and the chain's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<String>,
    /// Whole rotations over every token and wallet that are on record, a hundred at most.
    pub rotations: u64,
    /// Tokens and wallets that the last whole rotation compared.
    pub last_compared: u64,
    /// When the last whole rotation ended.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    pub last_finished_at: Option<OffsetDateTime>,
    /// Seconds since then, when read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
}

impl ReconciliationStatus {
    /// Its age at `now`.
    pub(super) fn read_at(&mut self, now: OffsetDateTime) {
        let seconds = self.last_finished_at.map(|finished| (now - finished).whole_seconds().max(0).unsigned_abs());
        self.age_seconds = seconds;
    }
}

/// How the sweep of `chain_id` stands.
///
/// # Errors
/// The database's.
pub async fn reconciliation(db: impl PgExecutor<'_>, chain_id: u64) -> Result<ReconciliationStatus, sqlx::Error> {
    let row = sqlx::query(
        "WITH standing AS (
             SELECT id,
                    '0x' || encode(token, 'hex') || coalesce(' 0x' || encode(wallet, 'hex'), '') || ' ' || what
                         || ': ours ' || coalesce(ours, 'missing') || ', chain ' || coalesce(chains, 'no answer') AS told
               FROM reconciliation_mismatches
              WHERE chain_id = $1 AND resolved_at IS NULL
         ),
         whole AS (
             SELECT id, finished_at, tokens + holdings AS compared
               FROM reconciliation_runs
              WHERE chain_id = $1 AND finished_at IS NOT NULL
         )
         SELECT (SELECT count(*) FROM standing) AS mismatches,
                ARRAY (SELECT told FROM standing ORDER BY id LIMIT 10) AS first,
                (SELECT count(*) FROM whole) AS rotations,
                coalesce((SELECT compared FROM whole ORDER BY id DESC LIMIT 1), 0) AS compared,
                (SELECT finished_at FROM whole ORDER BY id DESC LIMIT 1) AS finished_at",
    )
    .bind(int(chain_id))
    .fetch_one(db)
    .await?;
    Ok(ReconciliationStatus {
        mismatches: row.height("mismatches")?,
        first: row.try_get("first")?,
        rotations: row.height("rotations")?,
        last_compared: row.height("compared")?,
        last_finished_at: row.try_get("finished_at")?,
        age_seconds: None,
    })
}
