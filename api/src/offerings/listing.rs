//! What an approval asks of the keeper, step by step: the offering's terms, then the token's listing, each once a round. The
//! first step is taken with the approval itself, what follows by whichever process looks next (`crate::due`).

use alloy::primitives::{B256, U256};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_contracts::ids::{CommandId, Scope};
use tokenx_keeper::{AcceptError, NewCommand, Operation, Sale};
use uuid::Uuid;

use super::course::Step;
use super::facts::Facts;
use super::record::{self, Decision, Record};
use super::{facts, routes};
use crate::admin::By;
use crate::app::App;
use crate::error::{ApiError, FieldError};

/// Kinds of commands, in the table and in derived ids.
pub(super) const TERMS: &str = "offering_terms";
const LIST: &str = "offering_list";

/// Takes the next step of every approved offering that another process is not at.
///
/// # Errors
/// The database's. What the keeper refuses for now is tried again when it is looked at next.
pub(crate) async fn go_on(app: &App) -> Result<(), ApiError> {
    for offering_id in record::on_their_way(app.pool()).await? {
        let mut tx = tokenx_migrations::begin(app.pool()).await?;
        let Some(record) = record::lock_on_its_way(&mut tx, offering_id).await? else { continue };
        match step(app, &mut tx, record).await {
            Ok(_) => {
                tx.commit().await?;
                app.commands().wake();
            }
            Err(ApiError::Rejected(refused)) => {
                let reasons: Vec<&str> = refused.iter().map(|field| field.msg.as_str()).collect();
                tracing::warn!(%offering_id, reason = reasons.join(", "), "the keeper does not take an offering's command");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes the next step of an offering that is locked, if one is due; the offering as it is then.
pub(super) async fn step(app: &App, conn: &mut PgConnection, record: Record) -> Result<Record, ApiError> {
    let facts = facts::of_one(conn, app.chain_id(), &record).await?;
    let next = facts.course(&record, OffsetDateTime::now_utc()).next();
    match next {
        Step::SetTerms => ask(app, conn, &record, &facts, TERMS).await?,
        Step::List => ask(app, conn, &record, &facts, LIST).await?,
        Step::Wait | Step::Stuck | Step::Done => {}
    }
    if !matches!(next, Step::List | Step::Done) || record.settled {
        return Ok(record);
    }
    let record = Record { settled: true, ..record };
    record::write(conn, &record).await?;
    Ok(record)
}

/// Has the keeper take a command, on behalf of whoever approved the offering.
async fn ask(
    app: &App,
    conn: &mut PgConnection,
    record: &Record,
    facts: &Facts,
    kind: &'static str,
) -> Result<(), ApiError> {
    let Some(Decision { by, request_id, .. }) = &record.decision else {
        return Err(ApiError::internal("an approved offering that nobody has decided on"));
    };
    let Some(deployed) = &facts.chain.deployment else {
        return Err(ApiError::internal("an approved offering of a token that is not deployed"));
    };
    let (instrument, reason) = (facts.token.draft.instrument_id.clone(), word(record.offering_id));
    let operation: Operation = if kind == TERMS {
        let terms = record.terms.on_chain(deployed.unit);
        Sale::SetListingTerms { instrument, terms, reason }.into()
    } else {
        Sale::List { instrument, reason }.into()
    };
    let command_id = CommandId::parse(format!("{kind}:{}:-:{}", record.offering_id, record.round));
    let command_id = command_id.map_err(ApiError::internal)?;
    sqlx::query("INSERT INTO offering_commands (offering_id, kind, attempt, command_id) VALUES ($1, $2, $3, $4)")
        .bind(record.offering_id)
        .bind(kind)
        .bind(record.round)
        .bind(command_id.as_str())
        .execute(&mut *conn)
        .await?;
    let command = NewCommand {
        scope: Scope::System,
        command_id: command_id.clone(),
        operation,
        requested_by: by.clone(),
        request_id: request_id.clone(),
        answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
        valid_until: None,
    };
    match app.commands().accept_in(conn, &command).await {
        Ok(_) => {}
        Err(AcceptError::Refused(refusal)) => {
            let refused = FieldError::refused("offering_id", refusal.code, refusal.message);
            return Err(ApiError::Rejected(vec![refused]));
        }
        Err(AcceptError::Database(error)) => return Err(error.into()),
        Err(conflict @ AcceptError::Conflict(_)) => return Err(ApiError::internal(conflict)),
    }
    let by = By { actor: by, request_id: Some(request_id) };
    let action = if kind == TERMS { "offering.terms" } else { "offering.list" };
    routes::note(conn, by, action, record, json!({ "command_id": command_id })).await
}

/// The word in the events of an offering: its id.
fn word(offering_id: Uuid) -> B256 {
    B256::from(U256::from(offering_id.as_u128()))
}
