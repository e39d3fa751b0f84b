//! Commands that the api itself has asked of the keeper, by their derived ids.

use std::collections::HashMap;

use alloy::primitives::{Address, B256};
use async_graphql::SimpleObject;
use serde::Serialize;
use serde_json::json;
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use tokenx_contracts::codes::ReasonCode;
use tokenx_contracts::ids::{CommandId, Scope};
use tokenx_keeper::{NewCommand, Operation, State, Verdict};
use tokenx_migrations::{Addr, Word};
use utoipa::ToSchema;

use crate::admin::By;
use crate::graphql::scalars::{Addr as Checksum, Bytes32};

/// How far a command has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its derived id.
    pub command_id: String,
    /// Where it stands.
    pub state: State,
    /// The transaction that ran it.
    pub tx_hash: Option<B256>,
    /// Why it failed, as a code of the catalogue.
    pub reason_code: Option<String>,
    /// Why it failed, as a sentence.
    pub failure: Option<String>,
    /// The contract that it calls.
    pub target: Address,
    /// The call.
    pub data: Vec<u8>,
}

/// The same as it is answered.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct CommandBrief {
    /// Derived from what it is for.
    command_id: String,
    /// accepted, awaiting_approval, ready, prepared, broadcast, mined, confirmed, final; or how it ended: failed,
    /// cancelled, expired, rejected.
    state: &'static str,
    /// The transaction that ran it.
    #[schema(required, value_type = Option<String>)]
    transaction_hash: Option<Bytes32>,
    /// Why it failed.
    #[schema(required)]
    reason_code: Option<String>,
}

impl From<&Asked> for CommandBrief {
    fn from(asked: &Asked) -> CommandBrief {
        CommandBrief {
            command_id: asked.command_id.clone(),
            state: asked.state.name(),
            transaction_hash: asked.tx_hash.map(Bytes32),
            reason_code: asked.reason_code.clone(),
        }
    }
}

/// A command that nobody but the platform itself can name.
pub(crate) fn of_system(
    command_id: CommandId,
    operation: Operation,
    by: By<'_>,
    valid_until: Option<OffsetDateTime>,
) -> NewCommand {
    NewCommand {
        scope: Scope::System,
        answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
        command_id,
        operation,
        requested_by: by.actor.to_owned(),
        request_id: by.request_id.unwrap_or_default().to_owned(),
        valid_until,
    }
}

/// A call of a contract, to be sent by whoever may.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "ContractCall")]
pub struct CallView {
    #[schema(value_type = String)]
    to: Checksum,
    data: String,
}

impl CallView {
    /// Of this contract, with this.
    pub(crate) fn new(to: Address, data: &[u8]) -> CallView {
        CallView { to: Checksum(to), data: format!("0x{}", hex::encode(data)) }
    }
}

/// Why what was asked of the keeper does not go on, and what to do.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct CommandProblem {
    #[schema(required)]
    pub(crate) reason_code: Option<String>,
    pub(crate) detail: String,
    pub(crate) remedy: String,
    /// What was refused.
    #[schema(required)]
    pub(crate) call: Option<CallView>,
}

impl CommandProblem {
    /// Of a command that came to nothing: what is to be mended, by whom, and what then follows.
    pub(crate) fn of(failed: &Asked, then: &str) -> CommandProblem {
        let forbidden = failed.reason_code.as_deref() == Some(ReasonCode::ActionNotAllowed.as_str());
        let remedy = if forbidden {
            "the node's keeper may not do this: have the token's admin send the call, or let the node's executor do it"
        } else {
            "mend what the detail names"
        };
        CommandProblem {
            reason_code: failed.reason_code.clone(),
            detail: failed.failure.clone().unwrap_or_else(|| format!("the command is {}", failed.state.name())),
            remedy: format!("{remedy}; then {then}"),
            call: Some(CallView::new(failed.target, &failed.data)),
        }
    }
}

/// The commands of these ids, by id.
///
/// # Errors
/// The database's.
pub async fn by_id(db: impl PgExecutor<'_>, ids: &[&str]) -> Result<HashMap<String, Asked>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT command_id, state, verdict, tx_hash, reason_code, failure, target, data
           FROM command_views
          WHERE scope = 'system'
            AND command_id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok((row.command_id.clone(), row.read()?))).collect()
}

#[derive(FromRow)]
struct Row {
    command_id: String,
    state: String,
    verdict: Option<String>,
    tx_hash: Option<Word>,
    reason_code: Option<String>,
    failure: Option<String>,
    target: Addr,
    data: Vec<u8>,
}

impl Row {
    fn read(self) -> Result<Asked, sqlx::Error> {
        let verdict = self.verdict.as_deref().and_then(Verdict::parse);
        let state = State::parse(&self.state, verdict);
        let state = state.ok_or_else(|| sqlx::Error::Decode(format!("state {:?}", self.state).into()))?;
        Ok(Asked {
            command_id: self.command_id,
            state,
            tx_hash: self.tx_hash.map(|hash| hash.0),
            reason_code: self.reason_code,
            failure: self.failure,
            target: self.target.0,
            data: self.data,
        })
    }
}
