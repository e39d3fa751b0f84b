//! The room's front door.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokenx_config::{Reconcile, Settings};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::follow::Follower;
use crate::payments::Purses;
use crate::reconcile::Sweep;
use crate::source::Source;
use crate::{AccountWatch, IndexerError, Projection, monitor};

/// Follows the chain of the settings into a database.
///
/// ```ignore
/// Indexer::builder(&settings, pool)
///     .with_projection(keeper_projection)
///     .watch_accounts(lanes)
///     .build()
///     .run(stop)
///     .await
/// ```
pub struct Indexer {
    follower: Follower,
    monitor: Option<Duration>,
    reconcile: Option<Reconcile>,
}

impl std::fmt::Debug for Indexer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let projections: Vec<_> = self.follower.projections.iter().map(|projection| projection.name()).collect();
        f.debug_struct("Indexer")
            .field("chain_id", &self.follower.chain.chain_id)
            .field("projections", &projections)
            .field("monitor", &self.monitor)
            .finish_non_exhaustive()
    }
}

/// Collects what an [`Indexer`] runs with.
#[derive(Debug)]
pub struct IndexerBuilder(Indexer);

impl Indexer {
    /// An indexer for `settings.chain`, writing through `pool`.
    #[must_use]
    pub fn builder(settings: &Settings, pool: PgPool) -> IndexerBuilder {
        let follower = Follower {
            chain: settings.chain.clone(),
            direct_url: settings.database.direct_url().clone(),
            pool,
            projections: Vec::new(),
            accounts: Vec::new(),
        };
        let monitor =
            settings.monitor.enabled.then(|| Duration::from_secs(settings.monitor.poll_interval_seconds.max(1)));
        let reconcile = settings.reconcile.enabled.then(|| settings.reconcile.clone());
        IndexerBuilder(Self { follower, monitor, reconcile })
    }

    /// Follows until `stop`. While another process follows the chain this one stands by, and takes over within a second
    /// of its end. Errors that pass are waited out; `/status` and the metrics show them.
    ///
    /// # Errors
    /// What only a person can mend: the wrong chain or genesis, tables of other projections, a followed token that does
    /// not exist.
    pub async fn run(self, stop: CancellationToken) -> Result<(), IndexerError> {
        let Self { follower, monitor, reconcile } = self;
        let source = Source::connect(&follower.chain)?;
        // All that runs beside the follower ends with it, however that ends.
        let done = stop.child_token();
        let (pool, chain_id) = (follower.pool.clone(), follower.chain.chain_id);
        let purses = Purses { pool, chain_id, source: source.clone() };
        let reading = AbortOnDropHandle::new(tokio::spawn(purses.run(done.clone())));
        let watching = monitor.map(|interval| {
            let (pool, chain_id) = (follower.pool.clone(), follower.chain.chain_id);
            AbortOnDropHandle::new(tokio::spawn(monitor::run(pool, chain_id, interval, done.clone())))
        });
        let sweeping = reconcile.map(|Reconcile { interval_seconds, holdings_per_pass, .. }| {
            let sweep = Sweep {
                pool: follower.pool.clone(),
                chain_id: follower.chain.chain_id,
                source,
                interval: Duration::from_secs(interval_seconds),
                slice: holdings_per_pass,
            };
            AbortOnDropHandle::new(tokio::spawn(sweep.run(done.clone())))
        });
        let result = follower.run(stop).await;
        done.cancel();
        let _ = reading.await;
        if let Some(sweeping) = sweeping {
            let _ = sweeping.await;
        }
        if let Some(watching) = watching {
            let _ = watching.await;
        }
        result
    }
}

impl IndexerBuilder {
    /// Adds a projection. They are applied in the order in which they were added, and taken back in reverse.
    #[must_use]
    pub fn with_projection(mut self, projection: Arc<dyn Projection>) -> Self {
        self.0.follower.projections.push(projection);
        self
    }

    /// Reads these accounts' transaction counts at each head block.
    #[must_use]
    pub fn watch_accounts(mut self, watch: Arc<dyn AccountWatch>) -> Self {
        self.0.follower.accounts.push(watch);
        self
    }

    /// The indexer, ready to [`Indexer::run`].
    #[must_use]
    pub fn build(self) -> Indexer {
        self.0
    }
}
