//! What the contracts of a node are to say of a token follows its record and its price: whoever looks next has the keeper
//! set what differs (`crate::due`). What was asked for last is not asked for again, so terms that an admin sets beside it
//! stand until the record says something new; a command that has come to nothing is tried again after an hour, or after a day
//! where the Executor may not do it: until then its admin is shown the call ([`standing`]).

use alloy::primitives::B256;
use serde::Serialize;
use serde_json::json;
use sqlx::{FromRow, PgConnection};
use tokenx_contracts::ids::{CommandId, InstrumentId, Scope};
use tokenx_keeper::{
    AcceptError, MarketTerms, NewCommand, Operation, OtcTerms, Payout, RedemptionTerms, RentTerms, Trade,
};
use tokenx_migrations::{Addr, Uint256};
use utoipa::ToSchema;

use crate::admin::{self, By, Note};
use crate::app::App;
use crate::error::ApiError;
use crate::offerings::course::came_to_nothing;
use crate::store::commands::{self, CommandBrief, CommandProblem};

/// Who asks: nobody in particular.
const BY: By<'static> = By { actor: "system", request_id: None };

#[derive(Debug, FromRow)]
struct Due {
    token_id: String,
    instrument_id: String,
    kind: String,
    payment_token: Option<Addr>,
    amount: Option<Uint256>,
    start_at: Option<i64>,
    length: Option<i64>,
    is_open: Option<bool>,
    low: Option<Uint256>,
    high: Option<Uint256>,
    wanted: String,
    attempt: i32,
}

/// Asks for the terms that differ.
///
/// # Errors
/// The database's. What the keeper refuses for now is tried again when it is looked at next.
pub(crate) async fn go_on(app: &App) -> Result<(), ApiError> {
    // In a transaction: planned once.
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let due: Vec<(String,)> = sqlx::query_as("SELECT DISTINCT token_id FROM token_terms_due WHERE chain_id = $1")
        .bind(app.chain_id().cast_signed())
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    for (token_id,) in due {
        let mut tx = tokenx_migrations::begin(app.pool()).await?;
        // Another process may be at it.
        let free: Option<(String,)> =
            sqlx::query_as("SELECT token_id FROM tokens WHERE token_id = $1 FOR NO KEY UPDATE SKIP LOCKED")
                .bind(&token_id)
                .fetch_optional(&mut *tx)
                .await?;
        if free.is_none() {
            continue;
        }
        let due: Vec<Due> =
            sqlx::query_as("SELECT * FROM token_terms_due WHERE chain_id = $1 AND token_id = $2 ORDER BY kind")
                .bind(app.chain_id().cast_signed())
                .bind(&token_id)
                .fetch_all(&mut *tx)
                .await?;
        for due in due {
            ask(app, &mut tx, due).await?;
        }
        tx.commit().await?;
        app.commands().wake();
    }
    Ok(())
}

/// Terms that a contract of the node is to say of a token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TermsView {
    /// redemption_terms, rent_terms, rent_minimum, otc_terms or market_terms.
    kind: String,
    /// Whether the chain says what record and price say.
    holds: bool,
    /// The last command that was asked to say it; null before one.
    #[schema(required)]
    command: Option<CommandBrief>,
    /// Why the chain does not say it yet; null where nothing stands in the way.
    #[schema(required)]
    problem: Option<CommandProblem>,
}

/// Where each of a token's terms stands, by kind.
///
/// # Errors
/// The database's.
pub(super) async fn standing(
    conn: &mut PgConnection,
    chain_id: u64,
    token_id: &str,
) -> Result<Vec<TermsView>, sqlx::Error> {
    let rows: Vec<(String, bool, Option<String>)> = sqlx::query_as(
        "SELECT kind, holds, command_id
           FROM token_terms_standing
          WHERE chain_id = $1 AND token_id = $2
          ORDER BY kind",
    )
    .bind(chain_id.cast_signed())
    .bind(token_id)
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<&str> = rows.iter().filter_map(|(.., command_id)| command_id.as_deref()).collect();
    let asked = commands::by_id(conn, &ids).await?;
    let view = |(kind, holds, command_id): (String, bool, Option<String>)| {
        let command = command_id.and_then(|id| asked.get(&id));
        let failed = command.filter(|command| !holds && came_to_nothing(command.state));
        TermsView {
            problem: failed.map(|failed| {
                CommandProblem::of(failed, "it is asked for again by itself, where it is still to be done")
            }),
            command: command.map(CommandBrief::from),
            kind,
            holds,
        }
    };
    Ok(rows.into_iter().map(view).collect())
}

async fn ask(app: &App, conn: &mut PgConnection, due: Due) -> Result<(), ApiError> {
    let operation = operation(&due)?;
    let command_id = CommandId::parse(format!("{}:{}:-:{}", due.kind, due.token_id, due.attempt));
    let command_id = command_id.map_err(ApiError::internal)?;
    let command = NewCommand {
        scope: Scope::System,
        command_id: command_id.clone(),
        operation,
        requested_by: BY.actor.to_owned(),
        request_id: "none".to_owned(),
        answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
        valid_until: None,
    };
    match app.commands().accept_in(&mut *conn, &command).await {
        Ok(_) => {}
        Err(AcceptError::Refused(refusal)) => {
            let (token_id, kind) = (due.token_id, due.kind);
            tracing::debug!(token_id, kind, reason = refusal.message, "the keeper does not take a token's terms");
            return Ok(());
        }
        Err(AcceptError::Database(error)) => return Err(error.into()),
        Err(conflict @ AcceptError::Conflict(_)) => return Err(ApiError::internal(conflict)),
    }
    sqlx::query("INSERT INTO token_terms (token_id, kind, attempt, wanted, command_id) VALUES ($1, $2, $3, $4, $5)")
        .bind(&due.token_id)
        .bind(&due.kind)
        .bind(due.attempt)
        .bind(&due.wanted)
        .bind(command_id.as_str())
        .execute(&mut *conn)
        .await?;
    let detail = json!({ "by": BY.actor, "token": { "kind": due.kind, "command_id": command_id } });
    let note = Note { action: "token.terms", subject: format!("token:{}", due.token_id), detail };
    Ok(admin::note(conn, BY, note).await?)
}

/// What is asked. The view has a figure for each member of its kind's terms.
fn operation(due: &Due) -> Result<Operation, ApiError> {
    let missing = || ApiError::internal(format!("terms of kind {:?} that lack a figure", due.kind));
    let instrument = InstrumentId::parse(due.instrument_id.as_str()).map_err(ApiError::internal)?;
    let payment_token = || due.payment_token.map(|token| token.0).ok_or_else(missing);
    let units = |figure: Option<Uint256>| figure.map(|units| units.0).ok_or_else(missing);
    let seconds = |figure: Option<i64>| figure.map(i64::unsigned_abs).ok_or_else(missing);
    let reason = B256::ZERO;
    Ok(match due.kind.as_str() {
        "redemption_terms" => {
            let terms = RedemptionTerms { payment_token: payment_token()?, max_price: units(due.amount)? };
            Payout::SetRedemptionTerms { instrument, terms, reason }.into()
        }
        "rent_terms" => {
            let (start, length) = (seconds(due.start_at)?, seconds(due.length)?);
            let terms = RentTerms { payment_token: payment_token()?, start, length };
            Payout::SetRentTerms { instrument, terms, reason }.into()
        }
        "rent_minimum" => Payout::SetRentMinimum { instrument, minimum: units(due.amount)?, reason }.into(),
        "otc_terms" => {
            let terms = OtcTerms { open: due.is_open.ok_or_else(missing)?, fee_bps: 0 };
            Trade::SetOtcTerms { instrument, terms, reason }.into()
        }
        "market_terms" => {
            let terms = MarketTerms {
                payment_token: payment_token()?,
                open: due.is_open.ok_or_else(missing)?,
                fee_bps: 0,
                lot: units(due.amount)?,
                min_price: units(due.low)?,
                max_price: units(due.high)?,
            };
            Trade::SetMarketTerms { instrument, terms, reason }.into()
        }
        other => return Err(ApiError::internal(format!("terms of kind {other:?}"))),
    })
}
