//! What nobody is there to say: that a wallet has bought by itself, or has not in time. The chain and the clock are looked at, and
//! each end is told once; another one where a reorg has the purchase in another transaction, or it was indexed late.

use serde_json::json;
use sqlx::FromRow;
use tokenx_migrations::{Word, outbox};
use uuid::Uuid;

use super::course::Status;
use crate::app::App;
use crate::error::ApiError;

/// An end that nobody was told of.
#[derive(Debug, FromRow)]
struct Untold {
    subscription_id: Uuid,
    party_id: String,
    offering_id: Uuid,
    token_id: String,
    instrument_id: String,
    command_id: String,
    tx_hash: Option<Word>,
    effect_key: String,
}

/// Tells of the ends of the day.
///
/// # Errors
/// The database's.
pub(crate) async fn go_on(app: &App) -> Result<(), ApiError> {
    let untold: Vec<Untold> = sqlx::query_as(
        "SELECT s.subscription_id, s.party_id, s.offering_id, o.token_id, s.instrument_id, s.command_id, s.tx_hash,
                e.effect_key
           FROM subscription_records s
           JOIN offerings o ON o.offering_id = s.offering_id
          CROSS JOIN LATERAL (SELECT concat_ws(':', 'subscription.end', s.subscription_id,
                                               encode(s.tx_hash::bytea, 'hex')) AS effect_key) e
          WHERE s.purchase = 'own' AND s.expires_at > now() - interval '1 day'
            AND (s.tx_hash IS NOT NULL OR s.expires_at <= now())
            AND NOT EXISTS (SELECT FROM outbox k WHERE k.effect_key = e.effect_key)
          ORDER BY s.subscription_id
          LIMIT 200",
    )
    .fetch_all(app.pool())
    .await?;
    if untold.is_empty() {
        return Ok(());
    }
    let events: Vec<outbox::Event> = untold.into_iter().map(Untold::event).collect();
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    outbox::append_all(&mut tx, &events).await?;
    Ok(tx.commit().await?)
}

impl Untold {
    fn event(self) -> outbox::Event {
        let status = if self.tx_hash.is_some() { Status::Completed } else { Status::Expired };
        outbox::Event {
            kind: format!("subscription.{}", status.as_str()),
            subject: format!("subscription:{}", self.subscription_id),
            payload: json!({
                "party_id": self.party_id,
                "token_id": self.token_id,
                "instrument_id": self.instrument_id,
                "offering_id": self.offering_id,
                "command_id": self.command_id,
                "status": status.as_str(),
                "transaction_hash": self.tx_hash.map(|hash| hash.0),
            }),
            effect_key: Some(self.effect_key),
        }
    }
}
