//! Opening periods: each once, by a derived id. What is due is opened by whichever process looks; an attempt that has come to
//! nothing is followed by another one after an hour, or when somebody says so.

use alloy::primitives::{B256, U256};
use serde_json::json;
use sqlx::PgConnection;
use tokenx_contracts::ids::{CommandId, Scope};
use tokenx_keeper::{AcceptError, NewCommand, Payout};
use tokenx_migrations::Uint256;

use super::schedule::{self, Next, Schedule};
use crate::admin::{self, By, Note};
use crate::app::App;
use crate::error::{ApiError, FieldError};

/// Opens what is due of every token that another process is not at.
///
/// # Errors
/// The database's. What the keeper refuses for now is tried again when it is looked at next.
pub(crate) async fn go_on(app: &App) -> Result<(), ApiError> {
    let due: Vec<(String,)> = sqlx::query_as(
        "SELECT s.token_id
           FROM rent_schedules s
           JOIN chain_cursors c ON c.chain_id = s.chain_id
           JOIN blocks b        ON b.chain_id = c.chain_id AND b.number = c.number
          WHERE s.chain_id = $1 AND s.terms_hold AND s.length > 0
            AND s.start_at + s.period * s.length <= b.block_time
            AND s.available >= s.income
            AND EXISTS (SELECT FROM holdings h
                         WHERE h.chain_id = s.chain_id AND h.token = s.token AND h.balance > 0 AND h.balance >= s.minimum)
            AND NOT EXISTS (SELECT FROM rent_openings o
                              JOIN command_views v ON v.scope = 'system' AND v.command_id = o.command_id
                             WHERE o.token_id = s.token_id AND o.period = s.period + 1
                               AND (v.state NOT IN ('failed', 'cancelled', 'expired', 'rejected')
                                    OR o.created_at > now() - interval '1 hour'))",
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
        let earns = schedule::somebody_earns(&mut *tx, app.chain_id(), &rent).await?;
        if rent.next(now, earns) != Next::Due || on_its_way(&mut tx, &rent).await?.is_some() {
            continue;
        }
        let by = By { actor: "system", request_id: None };
        match open(app, &mut tx, by, &rent, rent.income.amount.base()).await {
            Ok(_) => {
                tx.commit().await?;
                app.commands().wake();
            }
            Err(ApiError::Rejected(refused)) => {
                let reasons: Vec<&str> = refused.iter().map(|field| field.msg.as_str()).collect();
                tracing::warn!(token_id, reason = reasons.join(", "), "the keeper does not open a period of rent");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes a token for this transaction; false where somebody else has it.
pub(super) async fn take(conn: &mut PgConnection, token_id: &str) -> Result<bool, sqlx::Error> {
    let taken: Option<(String,)> =
        sqlx::query_as("SELECT token_id FROM tokens WHERE token_id = $1 FOR NO KEY UPDATE SKIP LOCKED")
            .bind(token_id)
            .fetch_optional(conn)
            .await?;
    Ok(taken.is_some())
}

/// The command that is to open the next period, and what it divides, where one is on its way.
pub(super) async fn on_its_way(
    conn: &mut PgConnection,
    rent: &Schedule,
) -> Result<Option<(String, U256)>, sqlx::Error> {
    let found: Option<(String, Uint256)> = sqlx::query_as(
        "SELECT o.command_id, o.amount
           FROM rent_openings o
           JOIN command_views v ON v.scope = 'system' AND v.command_id = o.command_id
          WHERE o.token_id = $1 AND o.period = $2
            AND v.state NOT IN ('failed', 'cancelled', 'expired', 'rejected')
          ORDER BY o.attempt DESC
          LIMIT 1",
    )
    .bind(&rent.token_id)
    .bind(i64::from(rent.period) + 1)
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|(command_id, amount)| (command_id, amount.0)))
}

/// Has the keeper open the next period; the token is taken. The command's id.
pub(super) async fn open(
    app: &App,
    conn: &mut PgConnection,
    by: By<'_>,
    rent: &Schedule,
    amount: U256,
) -> Result<CommandId, ApiError> {
    let period = u16::try_from(rent.next_period()).map_err(ApiError::internal)?;
    let attempt: i32 = sqlx::query_scalar(
        "SELECT coalesce(max(attempt), 0) + 1
           FROM rent_openings
          WHERE token_id = $1 AND period = $2",
    )
    .bind(&rent.token_id)
    .bind(i32::from(period))
    .fetch_one(&mut *conn)
    .await?;
    let command_id = CommandId::parse(format!("rent:{}:{period}:{attempt}", rent.token_id));
    let command_id = command_id.map_err(ApiError::internal)?;
    let instrument = rent.instrument_id.clone();
    let operation = Payout::OpenRent { instrument, period, amount, reason: B256::ZERO };
    accept(app, conn, by, &command_id, operation).await?;
    sqlx::query(
        "INSERT INTO rent_openings (token_id, period, attempt, amount, command_id) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&rent.token_id)
    .bind(i32::from(period))
    .bind(attempt)
    .bind(Uint256(amount))
    .bind(command_id.as_str())
    .execute(&mut *conn)
    .await?;
    let rent_note = json!({ "period": period, "amount": amount.to_string(), "command_id": command_id });
    let detail = json!({ "by": by.actor, "token": rent_note });
    admin::note(conn, by, Note { action: "rent.open", subject: format!("token:{}", rent.token_id), detail }).await?;
    Ok(command_id)
}

/// Hands a command of a token's rent to the keeper.
pub(super) async fn accept(
    app: &App,
    conn: &mut PgConnection,
    by: By<'_>,
    command_id: &CommandId,
    operation: impl Into<tokenx_keeper::Operation>,
) -> Result<(), ApiError> {
    let command = NewCommand {
        scope: Scope::System,
        command_id: command_id.clone(),
        operation: operation.into(),
        requested_by: by.actor.to_owned(),
        request_id: by.request_id.unwrap_or("none").to_owned(),
        answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
        valid_until: None,
    };
    match app.commands().accept_in(conn, &command).await {
        Ok(_) => Ok(()),
        Err(AcceptError::Refused(refusal)) => {
            let field = match refusal.field {
                tokenx_keeper::Field::Signature => "signature",
                tokenx_keeper::Field::Until => "intent",
                tokenx_keeper::Field::Wallet => "wallet_id",
                _ => "token_id",
            };
            Err(ApiError::Rejected(vec![FieldError::refused(field, refusal.code, refusal.message)]))
        }
        Err(AcceptError::Database(error)) => Err(error.into()),
        Err(conflict @ AcceptError::Conflict(_)) => Err(ApiError::internal(conflict)),
    }
}
