//! Paying everybody after a period: each wallet that may be paid is asked to be once, 64 a command, and again only where that
//! command has come to nothing. The distributor pays what a wallet has earned and not been paid, so a second time pays nothing.

use std::collections::BTreeSet;

use alloy::primitives::Address;
use serde_json::json;
use sqlx::PgConnection;
use tokenx_contracts::ids::CommandId;
use tokenx_keeper::Payout;
use tokenx_migrations::Addr;

use super::period::{accept, take};
use super::schedule::{self, Schedule};
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::error::ApiError;

/// Wallets that one command pays: the keeper takes no more.
const MOST: usize = 64;
const BY: By<'static> = By { actor: "system", request_id: None };

/// Goes on paying the rent of every token that another process is not at. Once everybody who may be paid has been asked to
/// be, it is looked again after a minute: somebody may have been let go of.
///
/// # Errors
/// The database's.
pub(crate) async fn go_on(app: &App) -> Result<(), ApiError> {
    let due: Vec<(String,)> = sqlx::query_as(
        "SELECT s.token_id
           FROM rent_schedules s
           LEFT JOIN rent_rounds r ON r.token_id = s.token_id
          WHERE s.chain_id = $1 AND s.period > 0
            AND (r.period IS DISTINCT FROM s.period OR r.settled_at < now() - interval '1 minute')",
    )
    .bind(app.chain_id().cast_signed())
    .fetch_all(app.pool())
    .await?;
    for (token_id,) in due {
        let mut tx = tokenx_migrations::begin(app.pool()).await?;
        if !take(&mut tx, &token_id).await? {
            continue;
        }
        let Some(rent) = schedule::find(&mut *tx, app.chain_id(), &token_id).await? else { continue };
        let now = schedule::chain_time(&mut tx, app.chain_id()).await?;
        let wallets = payable(&mut tx, app.chain_id(), &rent, now).await?;
        let all = wallets.len() < MOST;
        if !wallets.is_empty() {
            push(app, &mut tx, &rent, wallets).await?;
        }
        if all {
            settle(&mut tx, &rent).await?;
        }
        tx.commit().await?;
        app.commands().wake();
    }
    Ok(())
}

/// Wallets that have something to get, may be paid now, and were not asked to be since the last period.
async fn payable(
    conn: &mut PgConnection,
    chain_id: u64,
    rent: &Schedule,
    now: u64,
) -> Result<BTreeSet<Address>, sqlx::Error> {
    let wallets: Vec<Addr> = sqlx::query_scalar(
        "SELECT a.wallet
           FROM rent_accounts a
           JOIN investor_wallets w ON w.chain_id = a.chain_id AND w.wallet = a.wallet
                                  AND (w.flags & 3) = 1 AND (w.kyc_expires_at = 0 OR w.kyc_expires_at > $4)
          WHERE a.chain_id = $1 AND a.token = $2
            AND a.accrued >= 340282366920938463463374607431768211456
            AND NOT EXISTS (SELECT FROM holdings h
                             WHERE h.chain_id = a.chain_id AND h.token = a.token AND h.wallet = a.wallet
                               AND h.address_frozen)
            AND NOT EXISTS (SELECT FROM rent_pushes p
                              JOIN command_views v ON v.scope = 'system' AND v.command_id = p.command_id
                             WHERE p.token_id = $3 AND p.period = $5 AND a.wallet::bytea = ANY (p.wallets)
                               AND v.state NOT IN ('failed', 'cancelled', 'expired', 'rejected'))
          ORDER BY a.wallet
          LIMIT $6",
    )
    .bind(chain_id.cast_signed())
    .bind(Addr(rent.token))
    .bind(&rent.token_id)
    .bind(now.cast_signed())
    .bind(i32::from(rent.period))
    .bind(i64::try_from(MOST).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    Ok(wallets.into_iter().map(|wallet| wallet.0).collect())
}

async fn push(app: &App, conn: &mut PgConnection, rent: &Schedule, wallets: BTreeSet<Address>) -> Result<(), ApiError> {
    let attempt: i32 = sqlx::query_scalar(
        "SELECT coalesce(max(attempt), 0) + 1
           FROM rent_pushes
          WHERE token_id = $1 AND period = $2",
    )
    .bind(&rent.token_id)
    .bind(i32::from(rent.period))
    .fetch_one(&mut *conn)
    .await?;
    let command_id = CommandId::parse(format!("rent_push:{}:{}:{attempt}", rent.token_id, rent.period));
    let command_id = command_id.map_err(ApiError::internal)?;
    let (instrument, paid) = (rent.instrument_id.clone(), wallets.clone());
    accept(app, conn, BY, &command_id, Payout::PushRent { instrument, wallets }).await?;
    sqlx::query("INSERT INTO rent_pushes (token_id, period, attempt, wallets, command_id) VALUES ($1, $2, $3, $4, $5)")
        .bind(&rent.token_id)
        .bind(i32::from(rent.period))
        .bind(attempt)
        .bind(paid.iter().copied().map(Addr).collect::<Vec<_>>())
        .bind(command_id.as_str())
        .execute(&mut *conn)
        .await?;
    let rent_note = json!({ "period": rent.period, "wallets": paid.len(), "command_id": command_id });
    let detail = json!({ "by": BY.actor, "token": rent_note });
    let note = Note { action: "rent.push", subject: format!("token:{}", rent.token_id), detail };
    Ok(admin::note(conn, BY, note).await?)
}

/// Everybody who may be paid has been asked to be.
async fn settle(conn: &mut PgConnection, rent: &Schedule) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO rent_rounds (token_id, period, settled_at)
         VALUES ($1, $2, now())
             ON CONFLICT (token_id) DO UPDATE
            SET period = excluded.period, settled_at = excluded.settled_at",
    )
    .bind(&rent.token_id)
    .bind(i32::from(rent.period))
    .execute(conn)
    .await?;
    Ok(())
}
