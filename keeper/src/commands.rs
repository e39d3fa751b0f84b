//! The door for the rooms above: accept a command once, look commands up, take them back.

use alloy::primitives::{Address, B256};
use sqlx::{PgConnection, PgPool};
use std::collections::HashMap;
use time::OffsetDateTime;
use tokenx_contracts::ids::{CommandId, Scope};
use tokenx_migrations::audit;

use crate::accept::{self, Asked};
use crate::intake::{self, Intake};
use crate::refusal::Refusal;
use crate::wake::Wake;
use crate::{CommandView, Filter, Operation, view};

/// The contracts of a chain that no instrument's row names.
#[derive(Clone, Copy, Debug)]
pub struct Doors {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The investor registry; `None` where the deployment has none.
    pub registry: Option<Address>,
    /// The Executor that writes it.
    pub registry_executor: Option<Address>,
    /// The node factory, which makes tokens; `None` where the deployment has none.
    pub factory: Option<Address>,
}

/// A command to accept. The caller has checked syntax, role and tenancy.
#[derive(Clone, Debug)]
pub struct NewCommand {
    /// Where its id is unique.
    pub scope: Scope,
    /// The client's id.
    pub command_id: CommandId,
    /// What is asked.
    pub operation: Operation,
    /// Who asks, as the audit log names people.
    pub requested_by: String,
    /// The request's id.
    pub request_id: String,
    /// The answer's body: stored, and repeated byte for byte to whoever asks again.
    pub answer: String,
    /// It must not run after; `None` = whenever.
    pub valid_until: Option<OffsetDateTime>,
}

/// An accepted command, now or earlier.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its place in the order of acceptance.
    pub seq: i64,
    /// It was accepted before, and nothing was done now.
    pub replayed: bool,
    /// The stored first answer.
    pub answer: String,
}

/// Why a command was not accepted. Nothing is recorded and the id stays free, save on `Conflict`.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The id belongs to another command.
    #[error("command id {0:?} was used for another command: choose a new one")]
    Conflict(String),
    /// The state of the chain, or a command still open, does not allow it.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The database's.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Why a command was not taken back.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// No such command.
    #[error("no command {0:?}")]
    Unknown(String),
    /// It has ended.
    #[error("command {command_id:?} has ended: it is {state}")]
    Ended {
        /// Its id.
        command_id: String,
        /// Its state's name.
        state: &'static str,
    },
    /// It shares a transaction with others, whose no-op would take them back too.
    #[error(
        "command {0:?} is in one transaction with others and cannot be taken back alone: wait for it, then undo it"
    )]
    Shared(String),
    /// It moved on while it was asked about.
    #[error("{0}")]
    Moved(String),
    /// The database's.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// What a cancellation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is cancelled: it never had a slot.
    Now,
    /// A no-op races it at its nonce; the chain decides.
    Asked,
}

/// The keeper's commands on one chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Commands {
    pool: PgPool,
    doors: Doors,
    wake: Wake,
    intake: Intake,
}

impl Doors {
    /// The doors that settings name: factory and registry, and the first of `chain.executors`, which is the registry's.
    pub fn of(chain: &tokenx_config::Chain) -> Self {
        Self {
            chain_id: chain.chain_id,
            registry: chain.registry,
            registry_executor: chain.executors.first().copied(),
            factory: chain.factory,
        }
    }
}

impl Commands {
    /// Commands in this database, for this chain. Needs a runtime, on which waiting requests are brought together.
    pub fn new(pool: PgPool, doors: Doors) -> Self {
        let wake = Wake::new(pool.clone());
        Self { intake: Intake::open(pool.clone(), doors, wake.clone()), wake, pool, doors }
    }

    /// Wakes the keeper of this process and of others; call it after committing what [`Commands::accept_in`] wrote.
    pub fn wake(&self) {
        self.wake.ring();
    }

    pub(crate) fn waker(&self) -> Wake {
        self.wake.clone()
    }

    /// The chain this is about.
    pub fn doors(&self) -> Doors {
        self.doors
    }

    /// Accepts a command durably, exactly once per id, in a transaction that it shares with whoever asks meanwhile.
    ///
    /// # Errors
    /// See [`AcceptError`].
    pub async fn accept(&self, new: &NewCommand) -> Result<Accepted, AcceptError> {
        self.intake.accept(new.clone()).await
    }

    /// The stored first answer, if this very command was accepted before; `None` if the id is free.
    ///
    /// # Errors
    /// `Conflict` where the id belongs to another command.
    pub async fn replay(
        &self,
        scope: &Scope,
        command_id: &CommandId,
        operation: &Operation,
    ) -> Result<Option<Accepted>, AcceptError> {
        let mut conn = self.pool.acquire().await?;
        let known = accept::replays(&mut conn, &[Asked { scope, command_id, operation }]).await?;
        known.into_iter().next().flatten().transpose()
    }

    /// Accepts within the caller's transaction, which it commits before it answers and before it calls
    /// [`Commands::wake`]. The row, its audit entry and its outbox event stand or fall together with the rest.
    ///
    /// # Errors
    /// See [`AcceptError`]; the caller rolls back.
    pub async fn accept_in(&self, conn: &mut PgConnection, new: &NewCommand) -> Result<Accepted, AcceptError> {
        intake::only(accept::accept_all(conn, &self.doors, std::slice::from_ref(new)).await?)
    }

    /// One command by its id.
    ///
    /// # Errors
    /// The database's.
    pub async fn view(&self, scope: &Scope, command_id: &CommandId) -> Result<Option<CommandView>, sqlx::Error> {
        view::view(&self.pool, scope, command_id).await
    }

    /// Commands, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(&self, filter: &Filter) -> Result<Vec<CommandView>, sqlx::Error> {
        view::list(&self.pool, filter).await
    }

    /// The clients' ids of commands by their on-chain ids; ids that no command has are left out.
    ///
    /// # Errors
    /// The database's.
    pub async fn command_ids(&self, onchain_ids: &[B256]) -> Result<HashMap<B256, String>, sqlx::Error> {
        view::command_ids(&self.pool, onchain_ids).await
    }

    /// Takes a command back: at once before it has a slot; afterwards, if it is alone in its slot, by a no-op at the
    /// same nonce, and the chain decides which of the two won.
    ///
    /// # Errors
    /// See [`CancelError`].
    pub async fn cancel(
        &self,
        scope: &Scope,
        command_id: &CommandId,
        by: &str,
        request_id: &str,
    ) -> Result<Cancelled, CancelError> {
        let mut tx = tokenx_migrations::begin(&self.pool).await?;
        let done = crate::cancel::cancel(&mut tx, scope, command_id).await?;
        audit::append(
            &mut tx,
            audit::Entry {
                actor: by,
                action: "command.cancel",
                subject: &format!("command:{scope}:{}", command_id.as_str()),
                request_id: Some(request_id),
                detail: serde_json::json!({ "at_once": done == Cancelled::Now }),
            },
        )
        .await?;
        tx.commit().await?;
        self.wake();
        Ok(done)
    }
}

impl From<crate::store::transition::TransitionError> for CancelError {
    fn from(error: crate::store::transition::TransitionError) -> Self {
        use crate::store::transition::TransitionError;
        match error {
            TransitionError::Database(error) => Self::Database(error),
            illegal @ TransitionError::Illegal { .. } => Self::Moved(illegal.to_string()),
        }
    }
}
