//! Waiting requests share a commit: what is written to disk once serves all who asked meanwhile.

use std::collections::HashSet;

use sqlx::PgPool;
use tokenx_config::failpoint;
use tokio::sync::{mpsc, oneshot};

use crate::accept::accept_all;
use crate::commands::{AcceptError, Accepted, Doors, NewCommand};
use crate::metrics::METRICS;
use crate::wake::Wake;

/// Most requests of one commit.
const LARGEST: usize = 256;
/// Requests that wait before further ones wait to wait.
const QUEUE: usize = 1_024;

type Outcome = Result<Accepted, AcceptError>;

/// The queue before the commit. Cheap to clone; its worker ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Intake {
    requests: mpsc::Sender<Request>,
}

#[derive(Debug)]
struct Request {
    new: NewCommand,
    answer: oneshot::Sender<Outcome>,
}

#[derive(Debug)]
struct Worker {
    pool: PgPool,
    doors: Doors,
    wake: Wake,
}

impl Intake {
    /// A queue with its worker, which runs on the caller's runtime.
    pub(crate) fn open(pool: PgPool, doors: Doors, wake: Wake) -> Self {
        let (requests, queue) = mpsc::channel(QUEUE);
        tokio::spawn(Worker { pool, doors, wake }.run(queue));
        Self { requests }
    }

    /// Accepts a command; the answer comes after the commit.
    pub(crate) async fn accept(&self, new: NewCommand) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let gone = || AcceptError::Database(sqlx::Error::WorkerCrashed);
        self.requests.send(Request { new, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Worker {
    async fn run(self, mut queue: mpsc::Receiver<Request>) {
        let mut waiting = Vec::new();
        loop {
            if waiting.is_empty() && queue.recv_many(&mut waiting, LARGEST).await == 0 {
                return;
            }
            while waiting.len() < LARGEST
                && let Ok(request) = queue.try_recv()
            {
                waiting.push(request);
            }
            let group;
            (group, waiting) = apart(waiting);
            self.serve(group).await;
        }
    }

    async fn serve(&self, group: Vec<Request>) {
        let (commands, answers): (Vec<_>, Vec<_>) =
            group.into_iter().map(|request| (request.new, request.answer)).unzip();
        let outcomes = match self.together(&commands).await {
            Ok(outcomes) => outcomes,
            // Whatever it was, it may be the matter of one alone.
            Err(error) if commands.len() > 1 => {
                tracing::debug!(%error, "accepting one by one");
                let mut outcomes = Vec::with_capacity(commands.len());
                for new in &commands {
                    let alone = self.together(std::slice::from_ref(new)).await;
                    outcomes.push(alone.map_or_else(|error| Err(error.into()), only));
                }
                outcomes
            }
            Err(error) => vec![Err(error.into())],
        };
        let new = outcomes.iter().flatten().filter(|accepted| !accepted.replayed).count();
        METRICS.accepted.inc_by(new as u64);
        METRICS.replayed.inc_by((outcomes.iter().flatten().count() - new) as u64);
        if new > 0 {
            self.wake.ring();
        }
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Whoever is no longer there asks again, and gets the same answer.
            let _ = answer.send(outcome);
        }
    }

    async fn together(&self, commands: &[NewCommand]) -> Result<Vec<Outcome>, sqlx::Error> {
        let mut tx = tokenx_migrations::begin(&self.pool).await?;
        let outcomes = accept_all(&mut tx, &self.doors, commands).await?;
        if outcomes.iter().flatten().all(|accepted| accepted.replayed) {
            return Ok(outcomes);
        }
        failpoint::hit("accept.before_commit").map_err(sqlx::Error::Io)?;
        tx.commit().await?;
        failpoint::hit("accept.after_commit").map_err(sqlx::Error::Io)?;
        Ok(outcomes)
    }
}

/// The outcome of the one command that was asked about.
pub(crate) fn only(mut outcomes: Vec<Outcome>) -> Outcome {
    outcomes.pop().unwrap_or(Err(AcceptError::Database(sqlx::Error::RowNotFound)))
}

/// Takes as many as may share a transaction, in order: no two with one id, and no two that draw on one position, since
/// each of these is to see what the other took. The rest waits for the next.
fn apart(waiting: Vec<Request>) -> (Vec<Request>, Vec<Request>) {
    let (mut ids, mut subjects) = (HashSet::new(), HashSet::new());
    waiting.into_iter().partition(|request| {
        let new = &request.new;
        ids.insert((new.scope.clone(), new.command_id.clone()))
            & (!new.operation.is_serialised() || subjects.insert(new.operation.subject()))
    })
}
