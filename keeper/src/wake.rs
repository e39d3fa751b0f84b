//! The wake-up after an accept: never inside its transaction, where NOTIFY would make all commits queue. It only
//! shortens the wait: the keeper's poll is the truth, so a lost wake-up costs one poll interval.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;

/// The NOTIFY channel for keepers of other processes.
pub(crate) const CHANNEL: &str = "tokenx_keeper";

/// Accepts within this time share one NOTIFY.
const COALESCE: Duration = Duration::from_millis(5);

/// Rings the keepers. Cheap to clone; clones ring the same bell.
#[derive(Clone, Debug)]
pub(crate) struct Wake {
    pool: PgPool,
    here: Arc<Notify>,
    pending: Arc<AtomicBool>,
}

impl Wake {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, here: Arc::new(Notify::new()), pending: Arc::new(AtomicBool::new(false)) }
    }

    /// Rings at once in this process, and in others within a few milliseconds, once for all who ring meanwhile.
    pub(crate) fn ring(&self) {
        self.here.notify_waiters();
        if self.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        let (pool, pending) = (self.pool.clone(), Arc::clone(&self.pending));
        tokio::spawn(async move {
            tokio::time::sleep(COALESCE).await;
            // Cleared first: whoever rings from now on is not covered by this NOTIFY.
            pending.store(false, Ordering::Release);
            let rung = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&pool).await;
            if let Err(error) = rung {
                tracing::debug!(%error, "a wake-up was lost; the poll finds the command");
            }
        });
    }

    /// Rings in this process alone: another one's NOTIFY has come.
    pub(crate) fn echo(&self) {
        self.here.notify_waiters();
    }

    /// What rings in this process; register before looking for work.
    pub(crate) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.here)
    }
}
