//! Advisory locks for liveness: who holds one does what nobody else does meanwhile. Safety is the epochs' business.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

/// How often the connection that holds a lock is asked whether it is still there.
const PING: Duration = Duration::from_secs(1);
/// How long its answer may take, and any other about the lock.
const ANSWER: Duration = Duration::from_secs(2);
/// How often a standby tries to get it.
const STANDBY_PAUSE: Duration = Duration::from_millis(250);
/// How long the work at hand may take to end once the lock is lost.
const LAST_ROUND: Duration = Duration::from_secs(5);

/// A lock, on a connection of its own.
#[derive(Debug)]
pub(crate) struct Lock(PgConnection);

impl Lock {
    /// Waits for the lock of this name on a chain, on a new connection, which the server gives up within seconds of our
    /// vanishing, and of our standing still: whoever is silent for longer than some pings has lost it. Nor do we wait for a
    /// server that is silent.
    pub(crate) async fn take(url: &SecretString, name: &str, chain_id: i64) -> Result<Self, sqlx::Error> {
        let mut connection = in_time(PgConnection::connect(url.expose_secret())).await?;
        let settings = sqlx::query(
            "SELECT set_config('tcp_keepalives_idle', '2', false),
                    set_config('tcp_keepalives_interval', '1', false),
                    set_config('tcp_keepalives_count', '3', false),
                    set_config('idle_session_timeout', '5s', false),
                    set_config('application_name', 'tokenx keeper lock', false)",
        );
        in_time(settings.execute(&mut connection)).await?;
        loop {
            let lock = "SELECT pg_try_advisory_lock(hashtextextended($1, $2))";
            let locked = sqlx::query_scalar(lock).bind(name).bind(chain_id).fetch_one(&mut connection);
            if in_time(locked).await? {
                return Ok(Self(connection));
            }
            tokio::time::sleep(STANDBY_PAUSE).await;
        }
    }

    /// Works until that ends, or the lock is lost: then `mine` is cancelled, and what does not end soon is dropped.
    pub(crate) async fn hold(mut self, who: &str, mine: &CancellationToken, work: impl Future<Output = ()>) {
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = &mut work => break,
                () = tokio::time::sleep(PING) => {
                    if in_time(sqlx::query("SELECT 1").execute(&mut self.0)).await.is_err() {
                        tracing::warn!(who, "the lock is gone");
                        mine.cancel();
                        // What waits for a server that has vanished is dropped, as in a crash.
                        if tokio::time::timeout(LAST_ROUND, &mut work).await.is_err() {
                            tracing::warn!(who, "the last round did not end");
                        }
                        return;
                    }
                }
            }
        }
        // Gives the lock back at once, rather than when the server notices.
        if let Err(error) = self.0.close().await {
            tracing::debug!(%error, "the lock's connection was gone already");
        }
    }
}

/// What the database says, if it says it in time.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(ANSWER, answer)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}
