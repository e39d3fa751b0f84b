//! One writer per chain: a session's advisory lock, on its own connection straight to the server.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokenx_config::retry::Policy;
use tokio_util::sync::CancellationToken;

use crate::IndexerError;
use crate::read::int;

/// First key of the lock: "tkxi". The second one is the chain.
const SPACE: i32 = 0x746b_7869;
/// How often a standby tries: often at first, since the session of a process that was killed ends at once.
const STANDBY: Policy = Policy::forever(Duration::from_millis(20), MOST_STANDBY);
const MOST_STANDBY: Duration = Duration::from_millis(250);

/// Chain ids above 2^31 share keys with others, which then wait for each other: slow, never wrong.
fn key(chain_id: u64) -> i32 {
    i32::try_from(chain_id & 0x7fff_ffff).unwrap_or(0)
}

/// The right to write a chain's tables, held while its session lives.
#[derive(Debug)]
pub(super) struct WriterLock {
    session: PgConnection,
}

impl WriterLock {
    /// Waits for the lock. `None` if stopped before it came.
    pub(super) async fn acquire(
        url: &str,
        chain_id: u64,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, IndexerError> {
        let mut lock = Self::open(url).await?;
        let mut told = false;
        let mut pauses = STANDBY.pauses();
        loop {
            if take(&mut lock.session, chain_id).await? {
                tracing::debug!(chain_id = int(chain_id), "this process follows the chain");
                return Ok(Some(lock));
            }
            if !told {
                told = true;
                tracing::info!(chain_id, "another process follows the chain, standing by");
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(pauses.next().unwrap_or(MOST_STANDBY)) => {}
            }
        }
    }

    async fn open(url: &str) -> Result<Self, IndexerError> {
        let options: PgConnectOptions = url.parse()?;
        // The server notices within seconds that this process's machine is gone, and frees the lock.
        let keepalives =
            [("tcp_keepalives_idle", "2"), ("tcp_keepalives_interval", "1"), ("tcp_keepalives_count", "3")];
        Ok(Self { session: options.application_name("tokenx-indexer-lock").options(keepalives).connect().await? })
    }

    /// Is the session still there?
    pub(super) async fn check(&mut self) -> Result<(), IndexerError> {
        self.session.ping().await.map_err(IndexerError::LockLost)
    }
}

async fn take(session: &mut PgConnection, chain_id: u64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)").bind(SPACE).bind(key(chain_id)).fetch_one(session).await
}

/// Takes the lock for `session` at once, for who must not write beside an indexer.
pub(crate) async fn claim(session: &mut PgConnection, chain_id: u64) -> Result<(), IndexerError> {
    if take(session, chain_id).await? {
        return Ok(());
    }
    let holder: Option<String> = sqlx::query_scalar(
        "SELECT format('database session %s from %s', l.pid, coalesce(host(a.client_addr), 'this machine'))
           FROM pg_locks l
           JOIN pg_stat_activity a ON a.pid = l.pid
          WHERE l.locktype = 'advisory' AND l.classid::bigint = $1 AND l.objid::bigint = $2 AND l.granted",
    )
    .bind(i64::from(SPACE))
    .bind(i64::from(key(chain_id)))
    .fetch_optional(session)
    .await?;
    Err(IndexerError::Followed { chain_id, holder: holder.unwrap_or_else(|| "it has just ended".to_owned()) })
}
