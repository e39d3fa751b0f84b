//! The sealer: names what was appended, about once a second.

use std::time::Duration;

use tokenx_config::failpoint;
use tokenx_migrations::seal;

use crate::app::App;

/// Pause between looks.
const TICK: Duration = Duration::from_secs(1);

/// Seals until the process stops. Killed at any point it leaves a whole seal or none; who comes next goes on from there.
pub(crate) async fn keep_sealing(app: App) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stop().cancelled() => return,
            _ = tick.tick() => {}
        }
        // A seal takes a thousand entries: there may be more.
        loop {
            match one(&app).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "the audit log was not sealed: tried again");
                    break;
                }
            }
        }
    }
}

/// Makes the next seal; false where there is nothing to seal, or another process is at it.
async fn one(app: &App) -> Result<bool, sqlx::Error> {
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let Some(seal) = seal::next(&mut tx).await? else { return Ok(false) };
    failpoint::hit("audit.before_seal").map_err(sqlx::Error::Io)?;
    tx.commit().await?;
    tracing::debug!(number = seal.number, entries = seal.entries.len(), hash = %seal.hash, "sealed");
    Ok(true)
}
