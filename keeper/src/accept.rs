//! Acceptance of commands in one transaction, each with an outcome of its own, set by set: a statement costs about the
//! same for one command as for a hundred.

use std::collections::HashMap;

use alloy::primitives::B256;
use sqlx::{PgConnection, Row};
use time::OffsetDateTime;
use tokenx_contracts::ids::{CommandId, InstrumentId, Scope, onchain_id};
use tokenx_migrations::{Addr, Uint256, Word, audit, outbox};

use crate::bind::{Bound, bind};
use crate::commands::{AcceptError, Accepted, Doors, NewCommand};
use crate::state::{State, notice};
use crate::{Operation, facts, view};

/// Accepts what can be accepted; the outcomes are in the order of the commands. No two commands may have the same id or
/// draw on the same position. The caller commits before anybody is told.
///
/// # Errors
/// The database's alone: then nothing was accepted, and the caller rolls back.
pub(crate) async fn accept_all(
    conn: &mut PgConnection,
    doors: &Doors,
    commands: &[NewCommand],
) -> Result<Vec<Result<Accepted, AcceptError>>, sqlx::Error> {
    let asked: Vec<Asked<'_>> = commands.iter().map(Asked::from).collect();
    let known = replays(conn, &asked).await?;
    let new: Vec<&NewCommand> =
        (commands.iter().zip(&known)).filter(|(_, known)| known.is_none()).map(|(n, _)| n).collect();
    let mut fresh = insert_all(conn, doors, &new).await?.into_iter();
    let mut outcomes: Vec<Option<Result<Accepted, AcceptError>>> =
        known.into_iter().map(|known| known.or_else(|| fresh.next().flatten())).collect();
    // Somebody was faster; and what he reserved may be the very reason for a refusal.
    let unclear: Vec<usize> =
        (0..commands.len()).filter(|i| !matches!(outcomes[*i], Some(Ok(_) | Err(AcceptError::Conflict(_))))).collect();
    let again: Vec<Asked<'_>> = unclear.iter().map(|i| Asked::from(&commands[*i])).collect();
    for (i, known) in unclear.into_iter().zip(replays(conn, &again).await?) {
        outcomes[i] = known.or_else(|| outcomes[i].take());
    }
    let conflict = |new: &NewCommand| AcceptError::Conflict(new.command_id.as_str().to_owned());
    Ok(outcomes.into_iter().zip(commands).map(|(outcome, new)| outcome.unwrap_or_else(|| Err(conflict(new)))).collect())
}

/// What identifies a command.
pub(crate) struct Asked<'a> {
    pub scope: &'a Scope,
    pub command_id: &'a CommandId,
    pub operation: &'a Operation,
}

impl<'a> From<&'a NewCommand> for Asked<'a> {
    fn from(new: &'a NewCommand) -> Self {
        Self { scope: &new.scope, command_id: &new.command_id, operation: &new.operation }
    }
}

/// For each: the stored first answer, a conflict where its id belongs to another command, `None` where it is free.
pub(crate) async fn replays(
    conn: &mut PgConnection,
    asked: &[Asked<'_>],
) -> Result<Vec<Option<Result<Accepted, AcceptError>>>, sqlx::Error> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "SELECT a.place, c.seq, c.fingerprint, c.answer
           FROM unnest((SELECT $1::text[]), (SELECT $2::text[])) WITH ORDINALITY AS a (scope, command_id, place)
          CROSS JOIN LATERAL (SELECT *
                                FROM commands c
                               WHERE c.scope = a.scope AND c.command_id = a.command_id
                               LIMIT 1) c",
    )
    .bind(asked.iter().map(|a| a.scope.to_string()).collect::<Vec<_>>())
    .bind(asked.iter().map(|a| a.command_id.as_str()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let mut known: Vec<Option<Result<Accepted, AcceptError>>> = asked.iter().map(|_| None).collect();
    for row in rows {
        let place = usize::try_from(row.try_get::<i64, _>("place")? - 1).unwrap_or(usize::MAX);
        let Some((asked, known)) = asked.get(place).zip(known.get_mut(place)) else { continue };
        *known = Some(if row.try_get::<Word, _>("fingerprint")?.0 == asked.operation.fingerprint() {
            Ok(Accepted { seq: row.try_get("seq")?, replayed: true, answer: row.try_get("answer")? })
        } else {
            Err(AcceptError::Conflict(asked.command_id.as_str().to_owned()))
        });
    }
    Ok(known)
}

/// A command with all that its row holds.
struct Line<'a> {
    new: &'a NewCommand,
    bound: Bound,
    subject: String,
    operation: serde_json::Value,
    onchain_id: B256,
}

/// The insert proper; `None` where the id is taken.
async fn insert_all(
    conn: &mut PgConnection,
    doors: &Doors,
    commands: &[&NewCommand],
) -> Result<Vec<Option<Result<Accepted, AcceptError>>>, sqlx::Error> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let chain_id = doors.chain_id.cast_signed();
    let operations: Vec<&Operation> = commands.iter().map(|new| &new.operation).collect();
    lock(conn, chain_id, &operations).await?;
    let facts = facts::read_all(conn, chain_id, &operations).await?;
    let now = OffsetDateTime::now_utc();
    let mut outcomes: Vec<Option<Result<Accepted, AcceptError>>> = Vec::with_capacity(commands.len());
    let mut lines = Vec::with_capacity(commands.len());
    for (new, facts) in commands.iter().zip(&facts) {
        match bind(&new.operation, facts, doors, now) {
            Ok(bound) => {
                outcomes.push(None);
                lines.push(Line {
                    new,
                    bound,
                    subject: new.operation.subject(),
                    operation: serde_json::to_value(&new.operation)
                        .map_err(|error| view::decode_error("operation", error.to_string()))?,
                    onchain_id: onchain_id(&new.scope, &new.command_id),
                });
            }
            Err(refusal) => outcomes.push(Some(Err(refusal.into()))),
        }
    }
    let inserted = write(conn, chain_id, &lines).await?;
    let mut written = lines.iter().map(|line| {
        let seq = *inserted.get(&line.onchain_id)?;
        Some(Ok(Accepted { seq, replayed: false, answer: line.new.answer.clone() }))
    });
    Ok(outcomes.into_iter().map(|refused| refused.or_else(|| written.next().flatten())).collect())
}

/// Two requests that draw on one position must see each other. In one order everywhere, so that none waits in a circle.
async fn lock(conn: &mut PgConnection, chain_id: i64, operations: &[&Operation]) -> Result<(), sqlx::Error> {
    let subjects: Vec<String> =
        operations.iter().filter(|operation| operation.is_serialised()).map(|operation| operation.subject()).collect();
    if subjects.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "SELECT pg_advisory_xact_lock(key)
           FROM (SELECT DISTINCT hashtextextended('keeper:' || subject, $2) AS key
                   FROM unnest($1::text[]) AS subject
                  ORDER BY key) keys",
    )
    .bind(subjects)
    .bind(chain_id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes rows, audit entries and outbox events; the places of those that were written, by on-chain id. Ids go in in
/// order, so that two writers of the same ones do not wait in a circle.
async fn write(conn: &mut PgConnection, chain_id: i64, lines: &[Line<'_>]) -> Result<HashMap<B256, i64>, sqlx::Error> {
    if lines.is_empty() {
        return Ok(HashMap::new());
    }
    let each = |value: fn(&Line<'_>) -> String| lines.iter().map(value).collect::<Vec<_>>();
    let rows: Vec<(i64, Word)> = sqlx::query_as(
        "WITH asked AS (
              SELECT *
                FROM unnest($2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::jsonb[], $8::text[],
                            $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[], $14::bytea[],
                            $15::bigint[], $16::bigint[], $17::text[], $18::numeric[], $19::timestamptz[],
                            $20::boolean[], $21::boolean[])
                  AS n (scope, command_id, onchain_id, fingerprint, kind, operation, instrument_id, answer, requested_by,
                        request_id, executor, target, data, gas_limit, gas_expected, subject, reserves, valid_until,
                        commutes, mandate)
         ), taken AS (
              INSERT INTO commands (scope, command_id, onchain_id, fingerprint, kind, operation, instrument_id, answer,
                                    requested_by, request_id, target, data, gas_limit, gas_expected, reserves, mandate)
              SELECT scope, command_id, onchain_id, fingerprint, kind, operation, instrument_id, answer, requested_by,
                     request_id, target, data, gas_limit, gas_expected, reserves, mandate
                FROM asked
               ORDER BY scope, command_id
                  ON CONFLICT DO NOTHING
              RETURNING seq, onchain_id
         ), queued AS (
              INSERT INTO command_states (seq, chain_id, executor, subject, commutes, valid_until, state)
              SELECT t.seq, $1, a.executor, a.subject, a.commutes, a.valid_until, 'accepted'
                FROM taken t
                JOIN asked a ON a.onchain_id = t.onchain_id
         )
         SELECT seq, onchain_id FROM taken",
    )
    .bind(chain_id)
    .bind(each(|line| line.new.scope.to_string()))
    .bind(each(|line| line.new.command_id.as_str().to_owned()))
    .bind(lines.iter().map(|line| Word(line.onchain_id)).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| Word(line.new.operation.fingerprint())).collect::<Vec<_>>())
    .bind(each(|line| line.new.operation.kind().to_owned()))
    .bind(lines.iter().map(|line| &line.operation).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.new.operation.instrument().map(InstrumentId::as_str)).collect::<Vec<_>>())
    .bind(each(|line| line.new.answer.clone()))
    .bind(each(|line| line.new.requested_by.clone()))
    .bind(each(|line| line.new.request_id.clone()))
    .bind(lines.iter().map(|line| Addr(line.bound.executor)).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| Addr(line.bound.target)).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.bound.data.as_ref()).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.bound.gas.limit.cast_signed()).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.bound.gas.expected.cast_signed()).collect::<Vec<_>>())
    .bind(each(|line| line.subject.clone()))
    .bind(lines.iter().map(|line| Uint256(line.new.operation.reserves())).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.new.valid_until).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.new.operation.commutes()).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.bound.mandate).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let inserted: HashMap<B256, i64> = rows.into_iter().map(|(seq, id)| (id.0, seq)).collect();
    let written: Vec<(i64, &Line<'_>)> =
        lines.iter().filter_map(|line| Some((*inserted.get(&line.onchain_id)?, line))).collect();
    log(conn, &written).await?;
    Ok(inserted)
}

async fn log(conn: &mut PgConnection, written: &[(i64, &Line<'_>)]) -> Result<(), sqlx::Error> {
    let subjects: Vec<String> = written
        .iter()
        .map(|(_, line)| format!("command:{}:{}", line.new.scope, line.new.command_id.as_str()))
        .collect();
    let entries: Vec<audit::Entry<'_>> = written
        .iter()
        .zip(&subjects)
        .map(|((_, line), subject)| audit::Entry {
            actor: &line.new.requested_by,
            action: "command.accept",
            subject,
            request_id: Some(&line.new.request_id),
            detail: line.operation.clone(),
        })
        .collect();
    audit::append_all(conn, &entries).await?;
    let events: Vec<outbox::Event> = written
        .iter()
        .map(|(seq, line)| outbox::Event {
            kind: notice::ACCEPTED.to_owned(),
            subject: format!("command:{seq}"),
            payload: serde_json::json!({
                "scope": line.new.scope.to_string(),
                "command_id": line.new.command_id.as_str(),
                "instrument_id": line.new.operation.instrument().map(InstrumentId::as_str),
                "state": State::Accepted.name(),
                "operation": line.operation,
            }),
            effect_key: None,
        })
        .collect();
    outbox::append_all(conn, &events).await
}
