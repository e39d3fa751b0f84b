//! One writer per chain: a session's advisory lock, on its own connection straight to the server.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::IndexerError;
use crate::read::int;

/// First key of the lock: "tkxi". The second one is the chain.
const SPACE: i32 = 0x746b_7869;
/// How often a standby tries.
const STANDBY_PAUSE: Duration = Duration::from_millis(250);

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
        let options: PgConnectOptions = url.parse()?;
        // The server notices within seconds that this process's machine is gone, and frees the lock.
        let keepalives =
            [("tcp_keepalives_idle", "2"), ("tcp_keepalives_interval", "1"), ("tcp_keepalives_count", "3")];
        let mut session = options.application_name("tokenx-indexer-lock").options(keepalives).connect().await?;
        // Chain ids above 2^31 share keys with others, which then wait for each other: slow, never wrong.
        let key = i32::try_from(chain_id & 0x7fff_ffff).unwrap_or(0);
        let mut told = false;
        loop {
            let held: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
                .bind(SPACE)
                .bind(key)
                .fetch_one(&mut session)
                .await?;
            if held {
                tracing::debug!(chain_id = int(chain_id), "this process follows the chain");
                return Ok(Some(Self { session }));
            }
            if !told {
                told = true;
                tracing::info!(chain_id, "another process follows the chain, standing by");
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(STANDBY_PAUSE) => {}
            }
        }
    }

    /// Is the session still there?
    pub(super) async fn check(&mut self) -> Result<(), IndexerError> {
        self.session.ping().await.map_err(IndexerError::LockLost)
    }
}
