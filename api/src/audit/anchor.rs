//! A seal's hash on chain: as a document of one of our instruments, whose event no database can take back. The document is
//! replaced each time; its events stay.

use alloy::primitives::B256;
use serde_json::json;
use sqlx::PgConnection;
use tokenx_contracts::ids::{CommandId, InstrumentId, Scope, onchain_id};
use tokenx_indexer::read;
use tokenx_keeper::{AcceptError, NewCommand, Operation};
use tokenx_migrations::seal::{self, Anchor};

use crate::app::App;
use crate::error::ApiError;

/// What contracts call the document.
const NAME: &[u8] = b"audit-log";
/// What its address begins with; the id of the command follows.
const URN: &str = "urn:tokenx:";
/// What the id of such a command begins with; the seal's number and the attempt follow.
const PREFIX: &str = "anchor:audit:";

/// Asks the keeper to put the newest seal's hash on chain, where the last was asked for long enough ago.
///
/// # Errors
/// The database's. What the keeper refuses for now is tried again when it is looked at next.
pub(crate) async fn go_on(app: &App) -> Result<(), ApiError> {
    let settings = &app.settings().audit;
    let every = i64::try_from(settings.anchor_seconds).unwrap_or(i64::MAX);
    if every == 0 || !is_due(&mut *app.pool().acquire().await?, every).await? {
        return Ok(());
    }
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let ours = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended('audit:anchor', 0))");
    // Whoever had it before may have asked meanwhile.
    if !ours.fetch_one(&mut *tx).await? || !is_due(&mut tx, every).await? {
        return Ok(());
    }
    let Some(head) = seal::head(&mut *tx).await? else { return Ok(()) };
    let named = settings.anchor_instrument.clone();
    let Some(instrument) = (match named {
        Some(named) => Some(named),
        None => first_operated(&mut tx, app.chain_id()).await?,
    }) else {
        return Ok(());
    };
    let attempt = match newest_asked(&mut tx).await? {
        Some((number, attempt)) if number == head.number => attempt + 1,
        _ => 1,
    };
    let id = command_id(head.number, attempt)?;
    let command = NewCommand {
        scope: Scope::System,
        operation: Operation::SetDocument {
            instrument: InstrumentId::parse(instrument).map_err(ApiError::internal)?,
            name: B256::right_padding_from(NAME),
            uri: format!("{URN}{id}"),
            hash: head.hash,
        },
        requested_by: "system".to_owned(),
        request_id: id.as_str().to_owned(),
        answer: json!({ "command_id": id, "status": "submitted" }).to_string(),
        command_id: id,
        valid_until: None,
    };
    match app.commands().accept_in(&mut tx, &command).await {
        Ok(_) => {}
        Err(AcceptError::Refused(refusal)) => {
            tracing::debug!(reason = %refusal, "the audit log cannot be anchored now");
            return Ok(());
        }
        Err(AcceptError::Database(error)) => return Err(error.into()),
        Err(conflict @ AcceptError::Conflict(_)) => return Err(ApiError::internal(conflict)),
    }
    tx.commit().await?;
    app.commands().wake();
    Ok(())
}

/// Whether it is time: so long after the last command was made, and that one waits no more; the first so long after the
/// first seal.
async fn is_due(conn: &mut PgConnection, every: i64) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce((SELECT c.created_at + $1 * interval '1 second' <= now()
                             AND s.state NOT IN ('accepted', 'awaiting_approval', 'ready', 'prepared')
                            FROM commands c
                            JOIN command_states s ON s.seq = c.seq
                           WHERE c.scope = 'system' AND c.command_id LIKE 'anchor:audit:%'
                           ORDER BY c.seq DESC
                           LIMIT 1),
                         (SELECT sealed_at + $1 * interval '1 second' <= now() FROM audit_seals WHERE number = 1),
                         false)",
    )
    .bind(every)
    .fetch_one(conn)
    .await
}

/// Seal and attempt of the newest command.
async fn newest_asked(conn: &mut PgConnection) -> Result<Option<(u64, u64)>, sqlx::Error> {
    let id: Option<String> = sqlx::query_scalar(
        "SELECT command_id
           FROM commands
          WHERE scope = 'system' AND command_id LIKE 'anchor:audit:%'
          ORDER BY seq DESC
          LIMIT 1",
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.as_deref().and_then(read_id))
}

/// The newest seal whose hash a confirmed block has.
pub(super) async fn newest(conn: &mut PgConnection) -> Result<Option<u64>, sqlx::Error> {
    let id: Option<String> = sqlx::query_scalar(
        "SELECT c.command_id
           FROM commands c
           JOIN command_states s ON s.seq = c.seq
          WHERE c.scope = 'system' AND c.command_id LIKE 'anchor:audit:%' AND s.state IN ('confirmed', 'final')
          ORDER BY c.seq DESC
          LIMIT 1",
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.as_deref().and_then(read_id).map(|(number, _)| number))
}

async fn first_operated(conn: &mut PgConnection, chain_id: u64) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT instrument_id
           FROM instruments
          WHERE chain_id = $1 AND executor IS NOT NULL AND inexact_block IS NULL
          ORDER BY created_block, created_log
          LIMIT 1",
    )
    .bind(chain_id.cast_signed())
    .fetch_optional(conn)
    .await
}

/// The hashes that the indexed chain has. A document of the same name that no command of ours attached is none of them: its
/// event carries the on-chain id, which only our Executors take.
pub(super) async fn indexed(conn: &mut PgConnection, chain_id: u64) -> Result<Vec<Anchor>, sqlx::Error> {
    let named = read::documents_named(conn, chain_id, B256::right_padding_from(NAME)).await?;
    let anchor = |document: read::NamedDocument| {
        let (number, attempt) = read_id(document.uri.strip_prefix(URN)?)?;
        let id = command_id(number, attempt).ok()?;
        (onchain_id(&Scope::System, &id) == document.command).then(|| Anchor {
            number,
            hash: document.hash,
            place: format!("block {}, transaction {}", document.block, document.tx),
        })
    };
    Ok(named.into_iter().filter_map(anchor).collect())
}

fn command_id(number: u64, attempt: u64) -> Result<CommandId, ApiError> {
    CommandId::parse(format!("{PREFIX}{number}:{attempt}")).map_err(ApiError::internal)
}

fn read_id(id: &str) -> Option<(u64, u64)> {
    let (number, attempt) = id.strip_prefix(PREFIX)?.split_once(':')?;
    Some((number.parse().ok()?, attempt.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchors_command_tells_its_seal() {
        assert_eq!(read_id(command_id(17, 2).unwrap().as_str()), Some((17, 2)));
        for other in ["anchor:6650a1b2c3d4e5f601020304:-:1", "anchor:audit:", "anchor:audit:1", "anchor:audit:x:1"] {
            assert_eq!(read_id(other), None, "{other}");
        }
    }
}
