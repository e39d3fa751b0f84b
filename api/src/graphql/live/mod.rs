//! News: what two tails of the database find, each read once a process and handed to all subscribers.
//!
//! The tail of the outbox tells of mints and commands, that of the chain's own tables of transfers, holdings and status.
//! What is told of a block is told when the block is indexed, so a reorg may take it back: then it is told again as
//! removed, and after that what the new branch has.

mod chain;
mod outbox;

use std::sync::Arc;
use std::time::Duration;

use tokenx_indexer::read::pages::{EventRow, HoldingRow};
use tokenx_keeper::CommandView;
use tokio::sync::{OnceCell, broadcast};

use crate::app::App;

/// How often a tail is read.
const POLL: Duration = Duration::from_millis(200);
/// Pause after a read that failed.
const RETRY: Duration = Duration::from_secs(1);
/// Rows read at once.
const BATCH: usize = 500;
/// News that wait for one subscriber; one that falls further behind is told so and ends.
const QUEUE: usize = 4_096;

/// What happened to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Its block was indexed.
    Added,
    /// Its block is no longer on the chain.
    Removed,
}

/// News of a mint or a transfer.
pub(crate) type EventNews = (Turn, Arc<EventRow>);
/// News of a command: the state that it entered, and what it is by now.
pub(crate) type CommandNews = (String, CommandView);

/// The process's tails. Each begins with its first subscriber.
#[derive(Debug, Default)]
pub(crate) struct Live {
    outbox: OnceCell<outbox::Topics>,
    chain: OnceCell<chain::Topics>,
}

impl Live {
    /// Mints from now on.
    ///
    /// # Errors
    /// The database's, where the tail cannot begin.
    pub(crate) async fn mints(&self, app: &App) -> Result<broadcast::Receiver<EventNews>, sqlx::Error> {
        Ok(self.outbox(app).await?.mints.subscribe())
    }

    /// States that commands enter from now on.
    ///
    /// # Errors
    /// As [`Live::mints`].
    pub(crate) async fn commands(&self, app: &App) -> Result<broadcast::Receiver<CommandNews>, sqlx::Error> {
        Ok(self.outbox(app).await?.commands.subscribe())
    }

    /// Transfers from now on.
    ///
    /// # Errors
    /// As [`Live::mints`].
    pub(crate) async fn transfers(&self, app: &App) -> Result<broadcast::Receiver<EventNews>, sqlx::Error> {
        Ok(self.chain(app).await?.transfers.subscribe())
    }

    /// Holdings that change from now on.
    ///
    /// # Errors
    /// As [`Live::mints`].
    pub(crate) async fn holdings(&self, app: &App) -> Result<broadcast::Receiver<HoldingRow>, sqlx::Error> {
        Ok(self.chain(app).await?.holdings.subscribe())
    }

    /// A word for each pass of the monitor from now on.
    ///
    /// # Errors
    /// As [`Live::mints`].
    pub(crate) async fn status(&self, app: &App) -> Result<broadcast::Receiver<()>, sqlx::Error> {
        Ok(self.chain(app).await?.status.subscribe())
    }

    async fn outbox(&self, app: &App) -> Result<&outbox::Topics, sqlx::Error> {
        self.outbox.get_or_try_init(|| outbox::begin(app)).await
    }

    async fn chain(&self, app: &App) -> Result<&chain::Topics, sqlx::Error> {
        self.chain.get_or_try_init(|| chain::begin(app)).await
    }
}

/// Something that is read again and again.
trait Tail: Send + 'static {
    /// What it reads.
    const WHAT: &'static str;

    /// Reads on; whether there may be more at once.
    fn read(&mut self) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;
}

/// Reads a tail until the process stops.
fn follow<T: Tail>(app: &App, mut tail: T) {
    let stop = app.stop().clone();
    tokio::spawn(async move {
        loop {
            let pause = match tail.read().await {
                Ok(true) if !stop.is_cancelled() => continue,
                Ok(_) => POLL,
                Err(error) => {
                    tracing::warn!(error = %error, "{} could not be read: news wait", T::WHAT);
                    RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
}
