//! Fetches what the provider has found out about an applicant, whenever it has said something new: the defaults of an
//! approval, and a company's beneficial owners. A task of its own, since a provider may be slow.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::Kyc;
use crate::app::App;
use crate::error::ApiError;

/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(500);
/// At most so many are looked up between two looks.
const BATCH: i64 = 20;
/// When it is tried again after the provider was of no use.
const LATER: time::Duration = time::Duration::minutes(1);

/// Looks up what is due until the process stops.
pub(crate) async fn keep_going(app: App) {
    let Some(kyc) = app.kyc() else { return };
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stop().cancelled() => return,
            _ = tick.tick() => {}
        }
        if let Err(error) = go_on(&app, kyc).await {
            tracing::warn!(error = %error, "what the KYC provider found out is not looked up: tried again");
        }
    }
}

async fn go_on(app: &App, kyc: &Kyc) -> Result<(), ApiError> {
    let due: Vec<(Uuid, String, OffsetDateTime)> = sqlx::query_as(
        "SELECT applicant_id, external_id, facts_due_at
           FROM applicants
          WHERE provider = $1 AND facts_due_at <= now()
          ORDER BY facts_due_at
          LIMIT $2",
    )
    .bind(kyc.provider.name())
    .bind(BATCH)
    .fetch_all(app.pool())
    .await?;
    for (applicant_id, external_id, due_at) in due {
        let (facts, next) = match kyc.provider.facts(&external_id).await {
            Ok(facts) => (Some(serde_json::to_value(facts).map_err(ApiError::internal)?), None),
            Err(error) => {
                tracing::warn!(%applicant_id, error = %error, "an applicant's data: tried again in a minute");
                (None, Some(OffsetDateTime::now_utc() + LATER))
            }
        };
        // A word that came meanwhile has made it due once more.
        sqlx::query(
            "UPDATE applicants
                SET facts = coalesce($2, facts), facts_due_at = $3
              WHERE applicant_id = $1 AND facts_due_at = $4",
        )
        .bind(applicant_id)
        .bind(facts)
        .bind(next)
        .bind(due_at)
        .execute(app.pool())
        .await?;
    }
    Ok(())
}
