//! What deals need without anybody asking: proposals end, what both have agreed on goes to the chain, and its parties hear what
//! became of it. Rows say what is due, so any process may look, and any number of them.

use alloy::primitives::Bytes;
use serde_json::json;
use sqlx::FromRow;
use time::OffsetDateTime;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::ids::{CommandId, InstrumentId};
use tokenx_keeper::{AcceptError, Trade};
use tokenx_migrations::Word;
use uuid::Uuid;

use super::record::{self, Deal, Stage};
use crate::admin::By;
use crate::app::App;
use crate::ats::fault::{Side, at_fault, told};
use crate::ats::names::Does;
use crate::error::ApiError;
use crate::store::commands;

/// Who does it: nobody in particular.
const BY: By<'static> = By { actor: "system", request_id: None };
/// Deals of a kind that one look takes at most.
const MOST: i64 = 200;

/// States of a command that has come to nothing.
const ENDED: [&str; 4] = ["failed", "expired", "cancelled", "rejected"];

/// The command that settles a deal.
pub(super) fn command_id(deal_id: Uuid) -> String {
    format!("deal:{deal_id}:-:1")
}

/// Does what is due.
///
/// # Errors
/// The database's.
pub(crate) async fn go_on(app: &App) -> Result<(), ApiError> {
    end(app).await?;
    ask(app).await?;
    follow(app).await
}

/// Ends proposals whose time is over, or a party of which may not trade any more.
async fn end(app: &App) -> Result<(), ApiError> {
    let ending: Vec<(Uuid, Option<String>)> =
        sqlx::query_as("SELECT deal_id, code FROM otc_deals_ending ORDER BY deal_id LIMIT $1")
            .bind(MOST)
            .fetch_all(app.pool())
            .await?;
    for (deal_id, code) in ending {
        let mut tx = tokenx_migrations::begin(app.pool()).await?;
        let Some(deal) = record::lock(&mut tx, deal_id).await?.filter(|deal| deal.stage == Stage::Proposed) else {
            continue;
        };
        let (stage, action) = match code {
            None => (Stage::Expired, "deal.expire"),
            Some(_) => (Stage::Cancelled, "deal.cancel"),
        };
        record::end(&mut tx, &deal, (stage, code.as_deref())).await?;
        let more = json!({ "state": stage.as_str(), "reason_code": code });
        record::tell(&mut tx, BY, &deal, action, more).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Has the keeper settle what both have agreed on, once neither wallet's allowance is on its way any more.
async fn ask(app: &App) -> Result<(), ApiError> {
    let due: Vec<Deal> = sqlx::query_as(
        "SELECT d.*
           FROM otc_deals d
          WHERE d.stage = 'accepted' AND NOT d.over
            AND NOT EXISTS (SELECT FROM commands c WHERE c.scope = 'system' AND c.command_id = d.command_id)
            AND NOT EXISTS (SELECT FROM permits_under_way p
                             WHERE p.spender = d.desk
                               AND ((p.wallet = d.seller AND p.token = d.token)
                                    OR (p.wallet = d.buyer AND p.token = d.payment_token)))
          ORDER BY d.place
          LIMIT $1",
    )
    .bind(MOST)
    .fetch_all(app.pool())
    .await?;
    for deal in due {
        let command_id = CommandId::parse(deal.command_id.as_str()).map_err(ApiError::internal)?;
        let instrument = InstrumentId::parse(deal.instrument_id.as_str()).map_err(ApiError::internal)?;
        // Empty: the keeper signs for the wallet. What it signs is the deal that is kept.
        let proof = |signature: &Option<Vec<u8>>| signature.clone().map(Bytes::from).unwrap_or_default();
        let (maker, taker) = (proof(&deal.maker_signature), proof(&deal.taker_signature));
        let (seller_signature, buyer_signature) = if deal.maker_sells { (maker, taker) } else { (taker, maker) };
        let operation = Trade::SettleDeal { instrument, deal: deal.message(), seller_signature, buyer_signature };
        let valid_until = OffsetDateTime::from_unix_timestamp(deal.deadline).ok();
        let new = commands::of_system(command_id, operation.into(), BY, valid_until);
        match app.commands().accept(&new).await {
            Ok(_) => {}
            Err(AcceptError::Refused(refusal)) => {
                close(app, &deal, (refusal.code, &refusal.message), Ended::Refused).await?;
            }
            Err(AcceptError::Database(error)) => return Err(error.into()),
            Err(conflict @ AcceptError::Conflict(_)) => return Err(ApiError::internal(conflict)),
        }
    }
    Ok(())
}

/// Tells the parties what became of it, again where after a reorg another transaction has settled it, and closes what cannot
/// change any more.
async fn follow(app: &App) -> Result<(), ApiError> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        deal: Deal,
        told_tx: Option<Word>,
        tx_hash: Option<Word>,
        state: Option<String>,
        cannot_turn: Option<bool>,
        reason_code: Option<String>,
        failure: Option<String>,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT d.*, s.tx_hash, k.state, k.settled OR k.block_number IS NULL AS cannot_turn, k.reason_code, k.failure
           FROM otc_deals d
           LEFT JOIN commands c       ON c.scope = 'system' AND c.command_id = d.command_id
           LEFT JOIN command_states k ON k.seq = c.seq
           LEFT JOIN LATERAL (SELECT e.tx_hash
                                FROM deals e
                               WHERE e.chain_id = d.chain_id AND e.deal = d.digest AND e.contract = d.desk
                               LIMIT 1) s ON true
          WHERE NOT d.over
            AND (s.tx_hash IS DISTINCT FROM d.told_tx AND s.tx_hash IS NOT NULL
                 OR d.stage = 'accepted' AND k.state IN ('final', 'failed', 'expired', 'cancelled', 'rejected')
                    AND (d.ended_code IS NULL AND s.tx_hash IS NULL OR k.settled OR k.block_number IS NULL))
          ORDER BY d.place
          LIMIT $1",
    )
    .bind(MOST)
    .fetch_all(app.pool())
    .await?;
    for row in rows {
        if row.tx_hash != row.told_tx
            && let Some(tx_hash) = row.tx_hash
        {
            let mut tx = tokenx_migrations::begin(app.pool()).await?;
            let known = sqlx::query(
                "UPDATE otc_deals
                    SET told_tx = $2, ended_code = NULL, at_fault = NULL, updated_at = now()
                  WHERE deal_id = $1 AND told_tx IS DISTINCT FROM $2",
            )
            .bind(row.deal.deal_id)
            .bind(tx_hash)
            .execute(&mut *tx)
            .await?;
            if known.rows_affected() > 0 {
                let more = json!({ "state": "settled", "transaction_hash": tx_hash.0 });
                record::tell(&mut tx, BY, &row.deal, "deal.settle", more).await?;
            }
            tx.commit().await?;
        }
        let cannot_turn = row.cannot_turn.unwrap_or_default();
        match row.state.as_deref() {
            // What the parties have settled by themselves our command cannot settle again.
            Some(state) if state == "final" || cannot_turn && row.tx_hash.is_some() && ENDED.contains(&state) => {
                sqlx::query("UPDATE otc_deals SET over = true WHERE deal_id = $1")
                    .bind(row.deal.deal_id)
                    .execute(app.pool())
                    .await?;
            }
            Some(state) if row.tx_hash.is_none() && ENDED.contains(&state) => {
                let code = row.reason_code.as_deref().and_then(|code| code.parse().ok());
                let code = code.unwrap_or(ReasonCode::CommandExpired);
                close(
                    app,
                    &row.deal,
                    (code, row.failure.as_deref().unwrap_or_default()),
                    Ended::OnChain { cannot_turn },
                )
                .await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Who has ended a deal's settlement.
#[derive(Clone, Copy)]
enum Ended {
    /// The keeper, which took no command for it.
    Refused,
    /// The chain; until that is final a reorg may take it back.
    OnChain { cannot_turn: bool },
}

/// Ends a deal that the chain or the keeper has refused, and says once whose fault it was.
async fn close(app: &App, deal: &Deal, (code, failure): (ReasonCode, &str), ended: Ended) -> Result<(), ApiError> {
    let side = |wallet, gives| Side { wallet, digest: None, gives };
    let sides = [side(deal.seller.0, Some(deal.quantity.0)), side(deal.buyer.0, None)];
    let at_fault = at_fault(code, failure, sides).map(|side| if side == Does::Sell { "seller" } else { "buyer" });
    let told = told(code).as_str();
    let (refusal, over) = match ended {
        Ended::Refused => ((Some(code.as_str()), Some(failure)), true),
        Ended::OnChain { cannot_turn } => ((None, None), cannot_turn),
    };
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let known: Option<Option<String>> =
        sqlx::query_scalar("SELECT ended_code FROM otc_deals WHERE deal_id = $1 AND NOT over FOR NO KEY UPDATE")
            .bind(deal.deal_id)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(known) = known else { return Ok(()) };
    sqlx::query(
        "UPDATE otc_deals
            SET ended_code = $2, at_fault = $3, refusal_code = $4, refusal = $5, over = $6, updated_at = now()
          WHERE deal_id = $1",
    )
    .bind(deal.deal_id)
    .bind(told)
    .bind(at_fault)
    .bind(refusal.0)
    .bind(refusal.1)
    .bind(over)
    .execute(&mut *tx)
    .await?;
    if known.is_none() {
        let more = json!({ "state": "failed", "reason_code": told, "at_fault": at_fault });
        record::tell(&mut tx, BY, deal, "deal.fail", more).await?;
    }
    Ok(tx.commit().await?)
}
