//! Slots that ended without running their commands, and what becomes of those.

use std::collections::HashSet;

use sqlx::{PgConnection, PgPool};
use tokenx_config::failpoint;

use super::lanes;
use super::transition::{self, Change, TransitionError};
use crate::state::Event;

/// Batches in vain in a row that stop a lane.
const MAX_REVERTS: i32 = 3;

/// Slots that ended deep enough for their commands to move on: their nonces, how they ended, whether commands were in them.
async fn releasable(
    conn: &mut PgConnection,
    lane_id: i64,
    confirmed: i64,
    finalized: i64,
) -> Result<Vec<(i64, String, bool)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT s.nonce, s.state, s.executor IS NOT NULL
           FROM slots s
          WHERE s.lane_id = $1 AND s.state <> 'open' AND NOT s.settled AND NOT s.released
            AND s.block_number <= CASE WHEN EXISTS (SELECT FROM slot_commands sc
                                                      JOIN command_states c ON c.seq = sc.command_seq
                                                     WHERE sc.lane_id = s.lane_id AND sc.nonce = s.nonce
                                                       AND sc.live AND c.cancel_requested)
                                       THEN $3
                                       ELSE $2
                                  END
          ORDER BY s.nonce
          LIMIT 256
            FOR NO KEY UPDATE",
    )
    .bind(lane_id)
    .bind(confirmed)
    .bind(finalized)
    .fetch_all(conn)
    .await
}

/// What releasing ended slots came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Released {
    pub slots: usize,
    pub commands: usize,
    pub in_vain: usize,
}

/// Lets go of commands that their slot did not run, once its end is deep enough: confirmed, or final where a
/// cancelled command ends by it. A third batch in a row that was in vain halts the lane.
pub(crate) async fn release(
    pool: &PgPool,
    (lane_id, epoch): (i64, i64),
    confirmed: i64,
    finalized: i64,
) -> Result<Released, TransitionError> {
    let mut tx = tokenx_migrations::begin(pool).await?;
    if lanes::hold(&mut tx, lane_id, epoch).await?.is_none() {
        return Ok(Released::default());
    }
    let ended = releasable(&mut tx, lane_id, confirmed, finalized).await?;
    if ended.is_empty() {
        return Ok(Released::default());
    }
    let nonces: Vec<i64> = ended.iter().map(|(nonce, ..)| *nonce).collect();
    let carried: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT c.seq, s.nonce
           FROM slot_commands s
           JOIN command_states c ON c.seq = s.command_seq
          WHERE s.lane_id = $1 AND s.nonce = ANY ($2) AND s.live AND c.state = 'prepared'
          ORDER BY c.seq",
    )
    .bind(lane_id)
    .bind(&nonces)
    .fetch_all(&mut *tx)
    .await?;
    let seqs: Vec<i64> = carried.iter().map(|(seq, _)| *seq).collect();
    let held = transition::hold(&mut tx, &seqs).await?;
    let cancelled: HashSet<i64> = held.iter().filter(|command| command.cancel_requested).map(|c| c.seq).collect();
    let again: HashSet<i64> =
        carried.iter().filter(|(seq, _)| !cancelled.contains(seq)).map(|(_, nonce)| *nonce).collect();
    let changes: Vec<Change> = held
        .iter()
        .map(|command| {
            // However its slot ended: what was taken back never goes again.
            if command.cancel_requested {
                let code = tokenx_contracts::ReasonCode::CommandCancelled;
                Change::of(command.seq, Event::CancelledInSlot).because(code.as_str(), code.message())
            } else {
                Change::of(command.seq, Event::Returned)
            }
        })
        .collect();
    transition::apply(&mut tx, &held, &changes, true).await?;
    sqlx::query(
        "UPDATE slot_commands SET live = false WHERE lane_id = $1 AND nonce = ANY ($2) AND command_seq = ANY ($3)",
    )
    .bind(lane_id)
    .bind(&nonces)
    .bind(&seqs)
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE slots SET released = true WHERE lane_id = $1 AND nonce = ANY ($2)")
        .bind(lane_id)
        .bind(&nonces)
        .execute(&mut *tx)
        .await?;
    if !seqs.is_empty() {
        failpoint::hit("keeper.before_release").map_err(sqlx::Error::Io)?;
    }
    let mut in_vain = 0;
    for (nonce, state, is_batch) in &ended {
        // A no-op counts where commands go again because no node would take their bytes.
        if (state == "reverted" && *is_batch) || (state == "noop" && again.contains(nonce)) {
            in_vain += 1;
            if lanes::count_revert(&mut tx, lane_id).await? >= MAX_REVERTS {
                let reason = "three batches in a row reverted as a whole or were taken by no node: check the \
                              executor's roles, gas and size, then `tokenx admin lane resume` it";
                lanes::halt(&mut tx, lane_id, epoch, reason).await?;
            }
        }
    }
    tx.commit().await?;
    Ok(Released { slots: ended.len(), commands: seqs.len(), in_vain })
}
