//! Taking a command back: free before it has a slot, a race of a no-op against its bytes afterwards.

use sqlx::{PgConnection, Row};
use tokenx_contracts::ids::{CommandId, Scope};

use crate::commands::{CancelError, Cancelled};
use crate::state::{Event, State};
use crate::store::transition::{self, Change};

/// Takes a command back in the caller's transaction.
pub(crate) async fn cancel(
    conn: &mut PgConnection,
    scope: &Scope,
    command_id: &CommandId,
) -> Result<Cancelled, CancelError> {
    let row = sqlx::query(
        "SELECT seq
           FROM commands
          WHERE scope = $1 AND command_id = $2",
    )
    .bind(scope.to_string())
    .bind(command_id.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    let unknown = || CancelError::Unknown(command_id.as_str().to_owned());
    let seq: i64 = row.ok_or_else(unknown)?.try_get("seq")?;
    let held = transition::hold(conn, &[seq]).await?;
    let command = held.first().ok_or_else(unknown)?;
    match command.state {
        State::Accepted | State::AwaitingApproval | State::Ready => {
            transition::apply(conn, &held, &[Change::of(seq, Event::Cancelled)], true).await?;
            Ok(Cancelled::Now)
        }
        State::Prepared | State::Broadcast => ask_noop(conn, seq, command_id).await,
        state => Err(CancelError::Ended { command_id: command_id.as_str().to_owned(), state: state.name() }),
    }
}

async fn ask_noop(conn: &mut PgConnection, seq: i64, command_id: &CommandId) -> Result<Cancelled, CancelError> {
    let asked = sqlx::query(
        "UPDATE slots s
            SET wants_noop = true
           FROM slot_commands mine
          WHERE mine.command_seq = $1 AND mine.live
            AND s.lane_id = mine.lane_id AND s.nonce = mine.nonce AND s.state = 'open'
            AND NOT EXISTS (SELECT
                              FROM slot_commands other
                             WHERE other.lane_id = s.lane_id AND other.nonce = s.nonce
                               AND other.command_seq <> $1)",
    )
    .bind(seq)
    .execute(&mut *conn)
    .await?;
    if asked.rows_affected() == 0 {
        return Err(CancelError::Shared(command_id.as_str().to_owned()));
    }
    sqlx::query("UPDATE commands SET cancel_requested = true, updated_at = now() WHERE seq = $1")
        .bind(seq)
        .execute(&mut *conn)
        .await?;
    Ok(Cancelled::Asked)
}
