//! The outbox, read once a process for all clients that keep up, and by each for itself where it does not.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use time::format_description::well_known::Rfc3339;
use tokenx_migrations::Position;
use tokenx_migrations::outbox::{self, Kept};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OnceCell, broadcast};

use super::audience::{self, Audience};
use crate::app::App;

/// How often the tail is read.
const POLL: Duration = Duration::from_millis(200);
/// Pause after a read that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Events read at once.
const BATCH: usize = 500;
/// Batches that are held for who is a little behind.
const QUEUE: usize = 16;

/// An event as it is told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) position: Position,
    pub(super) kind: String,
    pub(super) instrument_id: Option<String>,
    pub(super) audience: Audience,
    /// As it is written, to its last byte.
    pub(super) text: String,
}

type Batch = Arc<[Told]>;

/// The process's reader of the outbox; begins with the first client.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    batches: OnceCell<broadcast::Sender<Batch>>,
}

impl Feed {
    /// Events after a position, each once and none left out.
    ///
    /// # Errors
    /// The database's, where the reader cannot begin.
    pub(super) async fn read_from(&self, app: &App, position: Position) -> Result<Reader, sqlx::Error> {
        let begin = async || {
            let position = outbox::head(app.pool()).await?;
            let sender = broadcast::Sender::new(QUEUE);
            tokio::spawn(follow(app.clone(), position, sender.clone()));
            Ok::<_, sqlx::Error>(sender)
        };
        let batches = self.batches.get_or_try_init(begin).await?.subscribe();
        Ok(Reader { app: app.clone(), position, batches, behind: true })
    }
}

/// One client's way through the outbox. It listens before it reads: what its own last read did not see yet, the
/// process's reader tells after.
#[derive(Debug)]
pub(super) struct Reader {
    app: App,
    position: Position,
    batches: broadcast::Receiver<Batch>,
    /// There may be more in the table than was read.
    behind: bool,
}

impl Reader {
    /// Up to where everything was given out.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// The next events, in order; waits for some. Cancelled, it loses none.
    pub(super) async fn next(&mut self) -> Result<Batch, sqlx::Error> {
        loop {
            if self.behind {
                let events = outbox_after(&self.app, self.position).await?;
                self.behind = events.len() == BATCH;
                if let Some(last) = events.last().map(|last| last.position) {
                    let batch = told(&self.app, events).await?;
                    self.position = last;
                    return Ok(batch);
                }
            }
            match self.batches.recv().await {
                Ok(batch) => {
                    let fresh = batch.iter().position(|told| told.position > self.position);
                    let (Some(fresh), Some(last)) = (fresh, batch.last()) else { continue };
                    self.position = last.position;
                    return Ok(if fresh == 0 { batch } else { batch[fresh..].into() });
                }
                Err(RecvError::Lagged(_)) => self.behind = true,
                // The service is stopping.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

async fn follow(app: App, mut position: Position, sender: broadcast::Sender<Batch>) {
    let stop = app.stop().clone();
    loop {
        let pause = match step(&app, position, &sender).await {
            // A full batch has more behind it.
            Ok((to, true)) => {
                position = to;
                continue;
            }
            Ok((to, false)) => {
                position = to;
                POLL
            }
            Err(error) => {
                tracing::warn!(error = %error, "the outbox could not be read: events wait");
                PAUSE
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Reads on; up to where, and whether there may be more at once.
async fn step(
    app: &App,
    position: Position,
    sender: &broadcast::Sender<Batch>,
) -> Result<(Position, bool), sqlx::Error> {
    let events = outbox_after(app, position).await?;
    let Some(last) = events.last() else { return Ok((position, false)) };
    let (to, more) = (last.position, events.len() == BATCH);
    // Who comes after this was read sees it in the table.
    if sender.receiver_count() > 0 {
        let _ = sender.send(told(app, events).await?);
    }
    Ok((to, more))
}

async fn outbox_after(app: &App, position: Position) -> Result<Vec<Kept>, sqlx::Error> {
    outbox::read_after(app.pool(), position, i64::try_from(BATCH).unwrap_or(i64::MAX)).await
}

/// Events as they are told.
async fn told(app: &App, events: Vec<Kept>) -> Result<Batch, sqlx::Error> {
    let audiences = audience::of_all(app, &mut *app.pool().acquire().await?, &events).await?;
    let told = events.into_iter().zip(audiences).map(|(event, (audience, instrument_id))| {
        let data = json!({
            "at": event.at.format(&Rfc3339).unwrap_or_default(),
            "type": event.kind,
            "subject": event.subject,
            "data": event.payload,
        });
        let text = format!("id: {}\nevent: {}\ndata: {data}\n\n", event.position, event.kind);
        Told { position: event.position, kind: event.kind, instrument_id, audience, text }
    });
    Ok(told.collect())
}
