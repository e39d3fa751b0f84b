//! Documents on chain: a token's contract names each by the letters of its id, with the hash of its content; one that is
//! taken away is taken back there. What is due follows from the rows and the chain, and is looked for again and again
//! (`crate::due`): a document may come before its token is deployed, and a process may go at any time.

use alloy::primitives::B256;
use serde_json::json;
use sqlx::{FromRow, PgConnection};
use tokenx_contracts::ids::{CommandId, InstrumentId, Scope};
use tokenx_keeper::{AcceptError, NewCommand, Operation};
use tokenx_migrations::Word;
use uuid::Uuid;

use crate::admin::{self, By, Note};
use crate::app::App;
use crate::error::ApiError;
use crate::files::store::ObjectName;

/// Documents of one look.
const MOST: i64 = 100;
/// Who asks: nobody did.
const BY: By<'static> = By { actor: "system", request_id: None };

/// A row of the view `anchors_due`.
#[derive(Debug, FromRow)]
struct Due {
    instrument_id: String,
    file_id: String,
    token_id: String,
    object_id: Uuid,
    extension: String,
    hash: Word,
    is_over: bool,
}

/// Asks the keeper for what is due.
///
/// # Errors
/// The database's. What the keeper refuses for now is tried again when it is looked at next.
pub(crate) async fn go_on(app: &App) -> Result<(), ApiError> {
    // In no order: what is refused for now holds nothing else up.
    let due: Vec<Due> = sqlx::query_as("SELECT * FROM anchors_due WHERE chain_id = $1 ORDER BY random() LIMIT $2")
        .bind(app.chain_id().cast_signed())
        .bind(MOST)
        .fetch_all(app.pool())
        .await?;
    for document in due {
        let mut tx = tokenx_migrations::begin(app.pool()).await?;
        if take(&mut tx, &document).await? && ask(app, &mut tx, &document).await? {
            tx.commit().await?;
            app.commands().wake();
        }
    }
    Ok(())
}

/// Writes the command's id into the document's row; false where another process was faster, or the document has changed.
async fn take(conn: &mut PgConnection, due: &Due) -> Result<bool, sqlx::Error> {
    let update = if due.is_over {
        "UPDATE token_files
            SET released_by = $2
          WHERE file_id = (SELECT file_id
                             FROM token_files
                            WHERE file_id = $1 AND released_by IS NULL AND deleted_at IS NOT NULL
                              FOR UPDATE SKIP LOCKED)"
    } else {
        "UPDATE token_files
            SET anchored_by = $2
          WHERE file_id = (SELECT file_id
                             FROM token_files
                            WHERE file_id = $1 AND anchored_by IS NULL AND deleted_at IS NULL
                              FOR UPDATE SKIP LOCKED)"
    };
    let done = sqlx::query(update).bind(&due.file_id).bind(due.command_id()).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// False where the keeper does not take it now.
async fn ask(app: &App, conn: &mut PgConnection, due: &Due) -> Result<bool, ApiError> {
    let instrument = InstrumentId::parse(due.instrument_id.as_str()).map_err(ApiError::internal)?;
    let name = name(&due.file_id);
    let operation = if due.is_over {
        Operation::RemoveDocument { instrument, name }
    } else {
        let object = ObjectName { token_id: &due.token_id, object_id: due.object_id, extension: &due.extension };
        let uri = format!("{}/files/{object}", app.settings().server.public_url());
        Operation::SetDocument { instrument, name, uri, hash: due.hash.0 }
    };
    let command_id = CommandId::parse(due.command_id()).map_err(ApiError::internal)?;
    let command = NewCommand {
        scope: Scope::System,
        command_id: command_id.clone(),
        operation,
        requested_by: BY.actor.to_owned(),
        request_id: command_id.as_str().to_owned(),
        answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
        valid_until: None,
    };
    match app.commands().accept_in(conn, &command).await {
        Ok(_) => {}
        Err(AcceptError::Refused(refusal)) => {
            tracing::debug!(file_id = due.file_id, reason = %refusal, "a document cannot be anchored now");
            return Ok(false);
        }
        Err(AcceptError::Database(error)) => return Err(error.into()),
        Err(conflict @ AcceptError::Conflict(_)) => return Err(ApiError::internal(conflict)),
    }
    let action = if due.is_over { "token.document.release" } else { "token.document.anchor" };
    let detail = json!({ "by": BY.actor, "token": { "file_id": due.file_id, "command_id": command_id } });
    admin::note(conn, BY, Note { action, subject: format!("token:{}", due.token_id), detail }).await?;
    Ok(true)
}

impl Due {
    fn command_id(&self) -> String {
        let kind = if self.is_over { "release" } else { "anchor" };
        format!("{kind}:{}:-:1", self.file_id)
    }
}

/// What a contract calls a document: the letters of its id.
fn name(file_id: &str) -> B256 {
    let mut name = B256::ZERO;
    for (place, letter) in name.iter_mut().zip(file_id.bytes()) {
        *place = letter;
    }
    name
}
