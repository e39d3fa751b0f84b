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
    // Slots come before commands, as wherever both are written.
    let slot = hold_slot(conn, seq).await?;
    let held = transition::hold(conn, &[seq]).await?;
    let command = held.first().ok_or_else(unknown)?;
    match (command.state, slot) {
        (State::Accepted | State::AwaitingApproval | State::Ready, _) => {
            transition::apply(conn, &held, &[Change::of(seq, Event::Cancelled)], true).await?;
            Ok(Cancelled::Now)
        }
        (State::Prepared, Some(slot)) => ask_noop(conn, seq, slot, command_id).await,
        (State::Prepared, None) => {
            let id = command_id.as_str();
            Err(CancelError::Moved(format!("command {id:?} has just been signed for: ask again")))
        }
        (state, _) => Err(CancelError::Ended { command_id: command_id.as_str().to_owned(), state: state.name() }),
    }
}

/// The slot that carries a command.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
struct Carrier {
    lane_id: i64,
    nonce: i64,
    open: bool,
}

async fn hold_slot(conn: &mut PgConnection, seq: i64) -> Result<Option<Carrier>, sqlx::Error> {
    sqlx::query_as(
        "SELECT s.lane_id, s.nonce, s.state = 'open' AS open
           FROM slot_commands c
           JOIN slots s ON s.lane_id = c.lane_id AND s.nonce = c.nonce
          WHERE c.command_seq = $1 AND c.live
            FOR NO KEY UPDATE OF s",
    )
    .bind(seq)
    .fetch_optional(conn)
    .await
}

async fn ask_noop(
    conn: &mut PgConnection,
    seq: i64,
    slot: Carrier,
    command_id: &CommandId,
) -> Result<Cancelled, CancelError> {
    let Carrier { lane_id, nonce, open } = slot;
    if !open {
        let id = command_id.as_str();
        return Err(CancelError::Moved(format!("the transaction of command {id:?} has just ended: ask again")));
    }
    let alone: bool = sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT FROM slot_commands WHERE lane_id = $1 AND nonce = $2 AND command_seq <> $3)",
    )
    .bind(lane_id)
    .bind(nonce)
    .bind(seq)
    .fetch_one(&mut *conn)
    .await?;
    if !alone {
        return Err(CancelError::Shared(command_id.as_str().to_owned()));
    }
    sqlx::query("UPDATE slots SET wants_noop = true WHERE lane_id = $1 AND nonce = $2")
        .bind(lane_id)
        .bind(nonce)
        .execute(&mut *conn)
        .await?;
    sqlx::query("UPDATE command_states SET cancel_requested = true, updated_at = now() WHERE seq = $1")
        .bind(seq)
        .execute(&mut *conn)
        .await?;
    Ok(Cancelled::Asked)
}
