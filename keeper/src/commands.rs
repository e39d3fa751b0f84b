//! The door for the rooms above: accept a command once, look commands up, take them back.

use alloy::primitives::{Address, B256};
use sqlx::{PgConnection, PgPool, Row};
use std::collections::HashMap;
use time::OffsetDateTime;
use tokenx_config::failpoint;
use tokenx_contracts::ids::{CommandId, InstrumentId, Scope, onchain_id};
use tokenx_migrations::{Addr, Uint256, Word, audit, outbox};

use crate::call::{self, Bound};
use crate::metrics::METRICS;
use crate::refusal::Refusal;
use crate::state::{State, notice};
use crate::wake::Wake;
use crate::{CommandView, Filter, Operation, facts, view};

/// The contracts of a chain that no instrument's row names.
#[derive(Clone, Copy, Debug)]
pub struct Doors {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The investor registry; `None` where the deployment has none.
    pub registry: Option<Address>,
    /// The Executor that writes it.
    pub registry_executor: Option<Address>,
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
    #[error("command {0:?} is on its way together with others and cannot be taken back")]
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
}

impl Doors {
    /// The doors that settings name: the registry, and the first of `chain.executors`, which is the registry's.
    pub fn of(chain: &tokenx_config::Chain) -> Self {
        Self { chain_id: chain.chain_id, registry: chain.registry, registry_executor: chain.executors.first().copied() }
    }
}

impl Commands {
    /// Commands in this database, for this chain.
    pub fn new(pool: PgPool, doors: Doors) -> Self {
        Self { wake: Wake::new(pool.clone()), pool, doors }
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

    /// Accepts a command durably, exactly once per id, in a transaction of its own.
    ///
    /// # Errors
    /// See [`AcceptError`].
    pub async fn accept(&self, new: &NewCommand) -> Result<Accepted, AcceptError> {
        if let Some(accepted) = self.replay(&new.scope, &new.command_id, &new.operation).await? {
            METRICS.replayed.inc();
            return Ok(accepted);
        }
        let mut tx = self.pool.begin().await?;
        let accepted = self.accept_in(&mut tx, new).await?;
        failpoint::hit("accept.before_commit").map_err(sqlx::Error::Io)?;
        tx.commit().await?;
        failpoint::hit("accept.after_commit").map_err(sqlx::Error::Io)?;
        if accepted.replayed {
            METRICS.replayed.inc();
        } else {
            METRICS.accepted.inc();
            self.wake();
        }
        Ok(accepted)
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
        replay(&mut conn, scope, command_id, operation).await
    }

    /// Accepts within the caller's transaction, which it commits before it answers and before it calls
    /// [`Commands::wake`]. The row, its audit entry and its outbox event stand or fall together with the rest.
    ///
    /// # Errors
    /// See [`AcceptError`]; the caller rolls back.
    pub async fn accept_in(&self, conn: &mut PgConnection, new: &NewCommand) -> Result<Accepted, AcceptError> {
        match self.insert(conn, new).await {
            Ok(Some(seq)) => Ok(Accepted { seq, replayed: false, answer: new.answer.clone() }),
            // Somebody was faster, and what he reserved may be the very reason for the refusal.
            Ok(None) => match replay(conn, &new.scope, &new.command_id, &new.operation).await? {
                Some(accepted) => Ok(accepted),
                None => Err(AcceptError::Conflict(new.command_id.as_str().to_owned())),
            },
            Err(AcceptError::Refused(refusal)) => {
                match replay(conn, &new.scope, &new.command_id, &new.operation).await? {
                    Some(accepted) => Ok(accepted),
                    None => Err(refusal.into()),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// The insert proper; `None` if the id is taken.
    async fn insert(&self, conn: &mut PgConnection, new: &NewCommand) -> Result<Option<i64>, AcceptError> {
        let operation = &new.operation;
        let subject = operation.subject();
        let chain_id = self.doors.chain_id.cast_signed();
        if operation.is_serialised() {
            // Two requests that draw on one position must see each other.
            sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('keeper:' || $1, $2))")
                .bind(&subject)
                .bind(chain_id)
                .execute(&mut *conn)
                .await?;
        }
        let facts = facts::read(conn, chain_id, operation, &subject).await?;
        let bound = call::bind(operation, &facts, &self.doors, OffsetDateTime::now_utc())?;
        let id = onchain_id(&new.scope, &new.command_id);
        let Some(seq) = insert_row(conn, new, &bound, &subject, chain_id, id).await? else {
            return Ok(None);
        };
        let stored = serde_json::to_value(operation).map_err(|e| view::decode_error("operation", e.to_string()))?;
        audit::append(
            conn,
            audit::Entry {
                actor: &new.requested_by,
                action: "command.accept",
                subject: &format!("command:{}:{}", new.scope, new.command_id.as_str()),
                request_id: Some(&new.request_id),
                detail: stored.clone(),
            },
        )
        .await?;
        outbox::append(
            conn,
            outbox::Event {
                kind: notice::ACCEPTED.to_owned(),
                subject: format!("command:{seq}"),
                payload: serde_json::json!({
                    "scope": new.scope.to_string(),
                    "command_id": new.command_id.as_str(),
                    "state": State::Accepted.name(),
                    "operation": stored,
                }),
                effect_key: None,
            },
        )
        .await?;
        Ok(Some(seq))
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
        let mut tx = self.pool.begin().await?;
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

async fn replay(
    conn: &mut PgConnection,
    scope: &Scope,
    command_id: &CommandId,
    operation: &Operation,
) -> Result<Option<Accepted>, AcceptError> {
    let row = sqlx::query(
        "SELECT seq, fingerprint, answer
           FROM commands
          WHERE scope = $1 AND command_id = $2",
    )
    .bind(scope.to_string())
    .bind(command_id.as_str())
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.try_get::<Word, _>("fingerprint")?.0 != operation.fingerprint() {
        return Err(AcceptError::Conflict(command_id.as_str().to_owned()));
    }
    Ok(Some(Accepted { seq: row.try_get("seq")?, replayed: true, answer: row.try_get("answer")? }))
}

async fn insert_row(
    conn: &mut PgConnection,
    new: &NewCommand,
    bound: &Bound,
    subject: &str,
    chain_id: i64,
    id: B256,
) -> Result<Option<i64>, sqlx::Error> {
    let operation = serde_json::to_value(&new.operation).map_err(|e| view::decode_error("operation", e.to_string()))?;
    sqlx::query_scalar(
        "INSERT INTO commands (scope, command_id, onchain_id, fingerprint, kind, operation, instrument_id, answer,
                               requested_by, request_id, chain_id, executor, target, data, gas_limit, gas_expected,
                               subject, reserves, valid_until, state)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 'accepted')
             ON CONFLICT DO NOTHING
         RETURNING seq",
    )
    .bind(new.scope.to_string())
    .bind(new.command_id.as_str())
    .bind(Word(id))
    .bind(Word(new.operation.fingerprint()))
    .bind(new.operation.kind())
    .bind(operation)
    .bind(new.operation.instrument().map(InstrumentId::as_str))
    .bind(&new.answer)
    .bind(&new.requested_by)
    .bind(&new.request_id)
    .bind(chain_id)
    .bind(Addr(bound.executor))
    .bind(Addr(bound.target))
    .bind(bound.data.as_ref())
    .bind(bound.gas.limit.cast_signed())
    .bind(bound.gas.expected.cast_signed())
    .bind(subject)
    .bind(Uint256(new.operation.reserves()))
    .bind(new.valid_until)
    .fetch_optional(conn)
    .await
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
