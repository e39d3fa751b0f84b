//! `GET /status`: what the monitor last saw. Every part is a row that its own room wrote; nothing asks the chain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use moka::future::Cache;
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokenx_indexer::read::{self, MonitorStatus, Snapshot, TokenStatus};
use tokenx_migrations::outbox;
use utoipa::ToSchema;

use super::scope::visible_tokens;
use super::timestamp;
use crate::app::App;
use crate::audit;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::policy::Role;

/// The service's state. What does not apply, or is not known yet, is left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// When the figures were taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    updated_at: Option<String>,
    /// By instrument.
    tokens: BTreeMap<String, TokenFigures>,
    /// About the service itself; not for investors.
    #[serde(skip_serializing_if = "Option::is_none")]
    operational: Option<Operational>,
}

/// One instrument's figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenFigures {
    /// All that exists.
    #[schema(schema_with = crate::openapi::amount_out)]
    total_supply: String,
    /// The part that may not move.
    #[schema(schema_with = crate::openapi::amount_out)]
    total_locked_supply: String,
    /// Parties that hold some.
    unique_holders: u64,
    /// The largest party's part, 0–1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.18")]
    top_holder_share: Option<String>,
    /// Sum of the parties' squared parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.07")]
    supply_concentration_hhi: Option<String>,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// The service itself.
#[derive(Debug, Serialize, ToSchema)]
pub struct Operational {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    updated_at: Option<String>,
    monitor: Monitor,
    subscriptions: Vec<QueueFigures>,
    /// One member a room: what only operators need.
    modules: BTreeMap<&'static str, Value>,
}

/// The monitor loop.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Monitor {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_success_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    age_seconds: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    last_scan_duration_seconds: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    poll_interval_seconds: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_scan_holdings: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cycles_total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cycle_errors_total: Option<u64>,
    monitoring_enabled: bool,
}

/// An internal event subscriber.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueFigures {
    name: String,
    queue_depth: i64,
    queue_maxsize: i64,
    dropped_batches_total: i64,
}

/// How long readings are good for: the rooms themselves write them about once a second.
const GOOD_FOR: Duration = Duration::from_millis(250);

/// The latest readings.
#[derive(Debug)]
pub(crate) struct LatestReadings(Cache<(), Arc<Readings>>);

impl Default for LatestReadings {
    fn default() -> LatestReadings {
        LatestReadings(Cache::builder().time_to_live(GOOD_FOR).build())
    }
}

impl LatestReadings {
    /// The readings, taken anew by one of those who ask once they are too old.
    async fn get(&self, app: &App) -> Result<Arc<Readings>, ApiError> {
        let taken = async { Readings::take(app.pool(), app.chain_id()).await.map(Arc::new) };
        Ok(self.0.try_get_with((), taken).await?)
    }
}

/// What the rooms say of themselves.
#[derive(Debug)]
struct Readings {
    snapshot: Option<Snapshot>,
    consumers: Vec<outbox::Consumer>,
    keeper: Option<tokenx_keeper::status::Taken>,
    audit: Value,
}

impl Readings {
    async fn take(pool: &PgPool, chain_id: u64) -> Result<Readings, sqlx::Error> {
        let mut conn = pool.acquire().await?;
        Ok(Readings {
            snapshot: read::status(&mut *conn, chain_id).await?,
            consumers: outbox::consumers(&mut *conn).await?,
            keeper: tokenx_keeper::status::read(&mut *conn, chain_id).await?,
            audit: audit::status(&mut conn, OffsetDateTime::now_utc()).await?,
        })
    }
}

/// The latest snapshot, cut to what the viewer may see.
#[utoipa::path(get, path = "/status", responses((status = 200, description = "The latest snapshot", body = Status)))]
pub(crate) async fn status(State(app): State<App>, viewer: Viewer) -> Result<Json<Status>, ApiError> {
    let readings = app.readings().get(&app).await?;
    let enabled = app.settings().monitor.enabled;
    let snapshot = readings.snapshot.as_ref();
    let visible = match viewer.role {
        Role::Issuer => visible_tokens(&app, &viewer, &mut *app.pool().acquire().await?).await?,
        // Everybody else sees all; this spares them a connection.
        _ => None,
    };
    let may_see = |token: &TokenStatus| match &visible {
        None => true,
        Some(own) => own.iter().any(|instrument| instrument.token.to_checksum(None) == token.token),
    };
    let tokens = match snapshot {
        Some(snapshot) if enabled => snapshot.tokens.iter().filter(|token| may_see(token)).map(token).collect(),
        _ => BTreeMap::new(),
    };
    let updated_at = snapshot.map(|snapshot| timestamp(snapshot.taken_at));
    let operational = if viewer.role == Role::Investor {
        None
    } else {
        let monitor = monitor(snapshot, enabled, OffsetDateTime::now_utc());
        let modules = modules(&readings)?;
        let subscriptions = readings.consumers.iter().map(subscription).collect();
        Some(Operational { updated_at: updated_at.clone(), monitor, subscriptions, modules })
    };
    Ok(Json(Status { updated_at, tokens, operational }))
}

fn token(token: &TokenStatus) -> (String, TokenFigures) {
    let figures = TokenFigures {
        total_supply: token.total_supply.clone(),
        total_locked_supply: token.total_locked_supply.clone(),
        unique_holders: token.unique_holders,
        top_holder_share: token.top_holder_share.clone(),
        supply_concentration_hhi: token.supply_concentration_hhi.clone(),
        updated_at: timestamp(token.updated_at),
    };
    (token.instrument_id.clone(), figures)
}

fn monitor(snapshot: Option<&Snapshot>, enabled: bool, now: OffsetDateTime) -> Monitor {
    let Some(Snapshot { monitor, .. }) = snapshot else {
        return Monitor { monitoring_enabled: enabled, ..Monitor::default() };
    };
    let MonitorStatus { last_success_at, last_scan_duration_seconds, poll_interval_seconds, .. } = *monitor;
    let age = (now - last_success_at).as_seconds_f64().max(0.0);
    Monitor {
        last_success_at: Some(timestamp(last_success_at)),
        age_seconds: Some(seconds(age)),
        last_scan_duration_seconds: Some(seconds(last_scan_duration_seconds)),
        poll_interval_seconds: Some(seconds(poll_interval_seconds)),
        last_scan_holdings: Some(monitor.last_scan_holdings),
        cycles_total: Some(monitor.cycles_total),
        cycle_errors_total: Some(monitor.cycle_errors_total),
        monitoring_enabled: enabled,
    }
}

/// Seconds with three decimals at most, whole ones without a point, as the reference text shows them.
fn seconds(value: f64) -> Value {
    let text = format!("{value:.3}");
    serde_json::from_str(text.trim_end_matches('0').trim_end_matches('.')).unwrap_or_default()
}

fn subscription(consumer: &outbox::Consumer) -> QueueFigures {
    QueueFigures {
        name: consumer.name.clone(),
        queue_depth: consumer.queue_depth,
        queue_maxsize: consumer.queue_maxsize,
        dropped_batches_total: consumer.dropped_batches_total,
    }
}

fn modules(readings: &Readings) -> Result<BTreeMap<&'static str, Value>, ApiError> {
    let mut modules = BTreeMap::from([("audit", readings.audit.clone())]);
    if let Some(snapshot) = &readings.snapshot {
        modules.insert("indexer", serde_json::to_value(&snapshot.indexer).map_err(ApiError::internal)?);
    }
    if let Some(taken) = &readings.keeper {
        let mut keeper = serde_json::to_value(&taken.snapshot).map_err(ApiError::internal)?;
        keeper["updated_at"] = Value::from(timestamp(taken.updated_at));
        modules.insert("keeper", keeper);
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_as_short_as_they_are() {
        assert_eq!(seconds(5.0).to_string(), "5");
        assert_eq!(seconds(2.1).to_string(), "2.1");
        assert_eq!(seconds(0.400_04).to_string(), "0.4");
    }

    #[test]
    fn before_the_first_pass_only_the_switch_is_known() {
        let json = serde_json::to_value(monitor(None, true, OffsetDateTime::now_utc())).unwrap();
        assert_eq!(json, serde_json::json!({ "monitoring_enabled": true }));
    }
}
