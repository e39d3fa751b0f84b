//! `GET /healthz` and `/readyz`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;
use tokenx_indexer::read;
use utoipa::ToSchema;

use crate::app::App;

/// How long the database may take to answer.
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);
/// After so long without a word from the node, the chain counts as out of reach.
const CHAIN_PATIENCE: time::Duration = time::Duration::seconds(30);
/// Blocks that the index may be behind the node.
const MAX_LAG: u64 = 20;

/// Up.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// The process serves.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "Up", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether this process should get traffic, and which part stands in the way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// All parts are.
    ready: bool,
    /// The database answers and has this version's tables.
    database: Part,
    /// The node answered lately.
    chain: Part,
    /// The index follows closely.
    indexer: Part,
}

/// One part.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Part {
    ready: bool,
    /// What is wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Blocks that the node has and the index has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_blocks: Option<u64>,
    /// Seconds since the node answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<i64>,
}

impl Part {
    fn from_problem(problem: Option<String>) -> Part {
        Part { ready: problem.is_none(), problem, ..Part::default() }
    }
}

/// 200 where every part is ready, else 503; the same body.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = 200, description = "Every part is ready", body = Readiness),
        (status = 503, description = "Some part is not", body = Readiness),
    )
)]
pub(crate) async fn readyz(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let readiness = readiness(&app).await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

async fn readiness(app: &App) -> Readiness {
    let checked = tokio::time::timeout(DATABASE_PATIENCE, async {
        tokenx_migrations::check(app.pool()).await.map_err(|error| error.to_string())?;
        read::cursor(app.pool(), app.chain_id()).await.map_err(|error| error.to_string())
    })
    .await;
    let cursor = match checked {
        Ok(Ok(cursor)) => cursor,
        Ok(Err(problem)) => return unknown(problem),
        Err(_) => return unknown(format!("no answer within {} s", DATABASE_PATIENCE.as_secs())),
    };
    let (chain, indexer) = match cursor {
        None => {
            let problem = format!("chain {} has not been read yet: start an indexer", app.chain_id());
            (Part::from_problem(Some(problem.clone())), Part::from_problem(Some(problem)))
        }
        Some(cursor) => judge(&cursor, OffsetDateTime::now_utc()),
    };
    let database = Part::from_problem(None);
    Readiness { ready: !app.stop().is_cancelled() && chain.ready && indexer.ready, database, chain, indexer }
}

fn unknown(problem: String) -> Readiness {
    let hidden = || Part::from_problem(Some("not known while the database does not answer".into()));
    Readiness { ready: false, database: Part::from_problem(Some(problem)), chain: hidden(), indexer: hidden() }
}

/// What a cursor says of the chain and of the index.
fn judge(cursor: &read::Cursor, now: OffsetDateTime) -> (Part, Part) {
    let silent = now - cursor.polled_at;
    let age = silent.whole_seconds().max(0);
    let silence = (silent > CHAIN_PATIENCE).then(|| format!("the node has not answered for {age} s"));
    let chain = Part { age_seconds: Some(age), ..Part::from_problem(silence) };

    let lag = cursor.head.saturating_sub(cursor.number);
    let behind = cursor.halted.clone().or_else(|| (lag > MAX_LAG).then(|| format!("{lag} blocks behind the node")));
    let indexer = Part { lag_blocks: Some(lag), ..Part::from_problem(behind) };
    (chain, indexer)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;

    fn cursor(number: u64, head: u64, silent_seconds: i64, halted: Option<&str>) -> read::Cursor {
        let polled_at = OffsetDateTime::UNIX_EPOCH - time::Duration::seconds(silent_seconds);
        read::Cursor {
            chain_id: 31_337,
            genesis: B256::ZERO,
            number,
            hash: B256::ZERO,
            block_time: None,
            start: 0,
            head,
            confirmed: number,
            finalized: 0,
            reorgs: 0,
            rewrites: 0,
            halted: halted.map(str::to_owned),
            polled_at,
            advanced_at: polled_at,
        }
    }

    fn ready(cursor: &read::Cursor) -> (bool, bool) {
        let (chain, indexer) = judge(cursor, OffsetDateTime::UNIX_EPOCH);
        (chain.ready, indexer.ready)
    }

    #[test]
    fn each_part_says_for_itself_whether_it_is_ready() {
        assert_eq!(ready(&cursor(100, 100, 0, None)), (true, true));
        assert_eq!(ready(&cursor(80, 100, 0, None)), (true, true));
        assert_eq!(ready(&cursor(79, 100, 0, None)), (true, false));
        assert_eq!(ready(&cursor(100, 100, 31, None)), (false, true));
        assert_eq!(ready(&cursor(100, 100, 0, Some("a reorg below the final block"))), (true, false));
    }
}
