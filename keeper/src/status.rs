//! `/status` and metrics: how many commands are open in which state, how the lanes are. One row per chain, rewritten
//! by whichever keeper is running; read by any api.

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, PgPool, Row};
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;
use tokenx_migrations::Addr;

use crate::metrics::METRICS;
use crate::store::lanes;

/// The keeper as `/status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Open commands by stored state: those in a slot are `prepared`, sent or not.
    pub open_commands: BTreeMap<String, i64>,
    /// Seconds since the oldest open command was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_open_age_seconds: Option<i64>,
    /// Its lanes, and the hosted wallets that have sent something which no block holds yet.
    pub lanes: Vec<Lane>,
    /// Hosted addresses ready to be claimed.
    pub hosted_ready: i64,
}

/// A lane as `/status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Its key's address.
    pub address: Address,
    /// `running`, `waiting` (something stands in the way) or `halted` (an operator has to look).
    pub state: String,
    /// What stands in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The next nonce it will use.
    pub next_nonce: i64,
    /// Transactions not in a block yet.
    pub in_flight: i64,
}

/// A snapshot with the time it was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// When.
    pub updated_at: OffsetDateTime,
    /// What.
    pub snapshot: Snapshot,
}

/// The newest snapshot of a chain; `None` if no keeper ever ran there.
///
/// # Errors
/// The database's.
pub async fn read(db: impl PgExecutor<'_>, chain_id: u64) -> Result<Option<Taken>, sqlx::Error> {
    let row = sqlx::query("SELECT updated_at, snapshot FROM keeper_status WHERE chain_id = $1")
        .bind(chain_id.cast_signed())
        .fetch_optional(db)
        .await?;
    row.map(|row| {
        let snapshot = serde_json::from_value(row.try_get("snapshot")?)
            .map_err(|error| crate::view::decode_error("snapshot", error.to_string()))?;
        Ok(Taken { updated_at: row.try_get("updated_at")?, snapshot })
    })
    .transpose()
}

/// What is wrong with a lane that nobody works though it has not ended.
pub(crate) const STRANDED: &str = "nobody works this lane, and some of its transactions are not final: start the \
                                   keeper that has its key, or put the key back until they are";

/// Takes and keeps a snapshot, and sets the gauges by it; lanes that nobody works though they have not ended.
pub(crate) async fn refresh(pool: &PgPool, chain_id: i64, ours: &[i64]) -> Result<Vec<Address>, sqlx::Error> {
    let (mut snapshot, wallets) = take(pool, chain_id).await?;
    let stranded: BTreeMap<Address, i64> = lanes::stranded(pool, chain_id, ours).await?.into_iter().collect();
    for lane in &mut snapshot.lanes {
        let slots = stranded.get(&lane.address).copied().unwrap_or_default();
        METRICS.stranded.with_label_values(&[lane.address.to_string()]).set(slots);
        if slots > 0 && lane.state != "halted" {
            "waiting".clone_into(&mut lane.state);
            lane.problem = Some(STRANDED.to_owned());
        }
    }
    gauge(chain_id, &snapshot, &wallets);
    let body = serde_json::to_value(&snapshot).map_err(|e| crate::view::decode_error("snapshot", e.to_string()))?;
    sqlx::query(
        "INSERT INTO keeper_status (chain_id, updated_at, snapshot)
         VALUES ($1, now(), $2)
             ON CONFLICT (chain_id) DO UPDATE SET updated_at = now(), snapshot = excluded.snapshot",
    )
    .bind(chain_id)
    .bind(body)
    .execute(pool)
    .await?;
    Ok(stranded.into_keys().collect())
}

/// A snapshot, and which of its lanes are hosted wallets.
async fn take(pool: &PgPool, chain_id: i64) -> Result<(Snapshot, BTreeSet<Address>), sqlx::Error> {
    // Two arms, each of them a partial index: the history is never read.
    let states: Vec<(String, i64, OffsetDateTime)> = sqlx::query_as(
        "SELECT s.state, s.n, c.created_at
           FROM (SELECT state, count(*) AS n, min(seq) AS oldest
                   FROM command_states
                  WHERE chain_id = $1 AND state IN ('accepted', 'awaiting_approval', 'ready', 'prepared')
                  GROUP BY state
                  UNION ALL
                 SELECT 'mined', count(*), min(seq)
                   FROM command_states
                  WHERE chain_id = $1 AND state = 'mined') s
           JOIN commands c ON c.seq = s.oldest",
    )
    .bind(chain_id)
    .fetch_all(pool)
    .await?;
    let oldest = states.iter().map(|(_, _, oldest)| *oldest).min();
    let (lanes, wallets) = all_lanes(pool, chain_id).await?;
    let hosted_ready =
        sqlx::query_scalar("SELECT count(*) FROM hosted_keys WHERE owner IS NULL").fetch_one(pool).await?;
    let snapshot = Snapshot {
        oldest_open_age_seconds: oldest.map(|at| (OffsetDateTime::now_utc() - at).whole_seconds().max(0)),
        open_commands: states.into_iter().map(|(state, n, _)| (state, n)).collect(),
        lanes,
        hosted_ready,
    };
    Ok((snapshot, wallets))
}

/// A chain's lanes as they are now, and the hosted wallets that have sent something which no block holds yet.
///
/// # Errors
/// The database's.
pub async fn lanes(pool: &PgPool, chain_id: u64) -> Result<Vec<Lane>, sqlx::Error> {
    Ok(all_lanes(pool, chain_id.cast_signed()).await?.0)
}

/// [`lanes`], and which of them are hosted wallets.
async fn all_lanes(pool: &PgPool, chain_id: i64) -> Result<(Vec<Lane>, BTreeSet<Address>), sqlx::Error> {
    let rows = sqlx::query(
        "SELECT l.address, l.hosted, l.next_nonce, l.problem, l.halted_reason,
                (SELECT count(*) FROM slots s WHERE s.lane_id = l.lane_id AND s.state = 'open') AS in_flight
           FROM lanes l
          WHERE l.chain_id = $1
            AND (NOT l.hosted OR l.halted_reason IS NOT NULL
                 OR EXISTS (SELECT FROM slots s WHERE s.lane_id = l.lane_id AND s.state = 'open'))
          ORDER BY l.lane_id",
    )
    .bind(chain_id)
    .fetch_all(pool)
    .await?;
    let mut wallets = BTreeSet::new();
    for row in &rows {
        if row.try_get("hosted")? {
            wallets.insert(row.try_get::<Addr, _>("address")?.0);
        }
    }
    let lanes = rows
        .iter()
        .map(|row| {
            let halted: Option<String> = row.try_get("halted_reason")?;
            let problem: Option<String> = row.try_get("problem")?;
            let state = if halted.is_some() {
                "halted"
            } else if problem.is_some() {
                "waiting"
            } else {
                "running"
            };
            Ok(Lane {
                address: row.try_get::<Addr, _>("address")?.0,
                state: state.to_owned(),
                problem: halted.or(problem),
                next_nonce: row.try_get("next_nonce")?,
                in_flight: row.try_get("in_flight")?,
            })
        })
        .collect::<Result<_, sqlx::Error>>()?;
    Ok((lanes, wallets))
}

const OPEN_STATES: [&str; 5] = ["accepted", "awaiting_approval", "ready", "prepared", "mined"];

/// A series for each lane, and one for all wallets, of which there may be many.
fn gauge(chain_id: i64, snapshot: &Snapshot, wallets: &BTreeSet<Address>) {
    let chain = chain_id.to_string();
    for state in OPEN_STATES {
        let n = snapshot.open_commands.get(state).copied().unwrap_or_default();
        METRICS.open.with_label_values(&[chain.as_str(), state]).set(n);
    }
    METRICS.oldest.with_label_values(&[&chain]).set(snapshot.oldest_open_age_seconds.unwrap_or_default());
    let (wallets, lanes): (Vec<&Lane>, Vec<&Lane>) =
        snapshot.lanes.iter().partition(|lane| wallets.contains(&lane.address));
    let halted = wallets.iter().filter(|wallet| wallet.state == "halted").count();
    METRICS.wallets_halted.with_label_values(&[&chain]).set(i64::try_from(halted).unwrap_or(i64::MAX));
    for lane in lanes {
        let address = lane.address.to_string();
        METRICS.in_flight.with_label_values(&[&address]).set(lane.in_flight);
        METRICS.halted.with_label_values(&[&address]).set(i64::from(lane.state == "halted"));
    }
}
