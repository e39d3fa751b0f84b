//! The way of trades to the chain: each is settled by one command, whose id is the trade's. It is asked for once both wallets'
//! allowances have been there, by whichever process looks, and what became of it is the command's to say.

use alloy::primitives::{Bytes, U256};
use futures::future::join_all;
use sqlx::{FromRow, PgConnection, Row};
use time::OffsetDateTime;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::ids::{CommandId, InstrumentId};
use tokenx_keeper::{AcceptError, Operation, Trade};
use tokenx_migrations::Uint256;
use uuid::Uuid;

use super::fault::{Side, at_fault, told};
use super::names::Does;
use super::record::{self, Order};
use crate::admin::By;
use crate::app::App;
use crate::error::ApiError;
use crate::store::commands;

/// Trades that are asked for at once.
const MOST: i64 = 200;

/// The command that settles a trade.
pub(crate) fn command_id(trade_id: Uuid) -> String {
    format!("fill:{trade_id}:-:1")
}

/// Asks for the settlement of what was matched.
///
/// # Errors
/// The database's.
pub(crate) async fn ask_all(app: &App) -> Result<(), ApiError> {
    while ask(app).await? == usize::try_from(MOST).unwrap_or(usize::MAX) {}
    Ok(())
}

/// A trade that is to be settled.
#[derive(Debug, Clone)]
struct Due {
    trade_id: Uuid,
    quantity: U256,
    buy_rests: bool,
    sell: Order,
    buy: Order,
}

impl Due {
    fn sides(&self) -> [Side; 2] {
        let side = |order: &Order, gives| Side { wallet: order.wallet.0, digest: Some(order.digest.0), gives };
        [side(&self.sell, Some(self.quantity)), side(&self.buy, None)]
    }
}

/// Has the keeper take the commands of trades that have none; how many there were.
async fn ask(app: &App) -> Result<usize, ApiError> {
    let mut conn = app.pool().acquire().await?;
    let due = due(&mut conn).await?;
    drop(conn);
    if due.is_empty() {
        return Ok(0);
    }
    let outcomes = join_all(due.iter().map(async |trade| (trade, accept(app, trade).await))).await;
    let asked = outcomes.iter().filter_map(|(trade, outcome)| Some((trade.trade_id, *outcome.as_ref().ok()?)));
    let (trade_ids, seqs): (Vec<Uuid>, Vec<i64>) = asked.unzip();
    sqlx::query(
        "UPDATE fills f
            SET command_seq = n.seq
           FROM unnest($1::uuid[], $2::bigint[]) AS n (trade_id, seq)
          WHERE f.trade_id = n.trade_id",
    )
    .bind(trade_ids)
    .bind(seqs)
    .execute(app.pool())
    .await?;
    for (trade, outcome) in outcomes {
        match outcome {
            Ok(_) => {}
            Err(Declined::Refused { code, message }) => {
                let mut tx = tokenx_migrations::begin(app.pool()).await?;
                close(&mut tx, trade, Some((code, &message))).await?;
                tx.commit().await?;
            }
            Err(Declined::Other(error)) => return Err(error),
        }
    }
    Ok(due.len())
}

/// Trades without a command whose wallets' allowances are not on their way any more.
async fn due(conn: &mut PgConnection) -> Result<Vec<Due>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT f.trade_id, f.quantity, f.buy_rests, f.sell_order, f.buy_order
           FROM fills f
           JOIN orders o ON o.order_id = f.sell_order
          WHERE NOT f.over
            AND f.command_seq IS NULL
            AND NOT EXISTS (SELECT FROM permits_under_way p
                             WHERE p.spender = o.market
                               AND ((p.wallet = f.seller AND p.token = f.token)
                                    OR (p.wallet = f.buyer AND p.token = f.payment_token)))
          ORDER BY f.trade_id
          LIMIT $1",
    )
    .bind(MOST)
    .fetch_all(&mut *conn)
    .await?;
    of_rows(conn, &rows).await
}

async fn of_rows(conn: &mut PgConnection, rows: &[sqlx::postgres::PgRow]) -> Result<Vec<Due>, sqlx::Error> {
    let mut ids: Vec<Uuid> = Vec::with_capacity(rows.len() * 2);
    for row in rows {
        ids.extend([row.try_get::<Uuid, _>("sell_order")?, row.try_get("buy_order")?]);
    }
    let orders: Vec<Order> =
        sqlx::query_as("SELECT * FROM orders WHERE order_id = ANY ($1)").bind(ids).fetch_all(conn).await?;
    let of = |id: Uuid| orders.iter().find(|order| order.order_id == id).cloned().ok_or(sqlx::Error::RowNotFound);
    rows.iter()
        .map(|row| {
            Ok(Due {
                trade_id: row.try_get("trade_id")?,
                quantity: row.try_get::<Uint256, _>("quantity")?.0,
                buy_rests: row.try_get("buy_rests")?,
                sell: of(row.try_get("sell_order")?)?,
                buy: of(row.try_get("buy_order")?)?,
            })
        })
        .collect()
}

enum Declined {
    Refused { code: ReasonCode, message: String },
    Other(ApiError),
}

/// The keeper takes a command once, whoever asks and however often: its place among commands.
async fn accept(app: &App, trade: &Due) -> Result<i64, Declined> {
    let other = |error: String| Declined::Other(ApiError::internal(error));
    let command_id = CommandId::parse(command_id(trade.trade_id)).map_err(|error| other(error.to_string()))?;
    let instrument = InstrumentId::parse(trade.sell.instrument_id.clone()).map_err(|error| other(error.to_string()))?;
    // Empty: the keeper signs for the wallet. What it signs is the order that is kept.
    let proof = |order: &Order| order.signature.clone().map(Bytes::from).unwrap_or_default();
    let operation: Operation = Trade::SettleOrders {
        instrument,
        sell: trade.sell.message(),
        buy: trade.buy.message(),
        quantity: trade.quantity,
        buy_rests: trade.buy_rests,
        sell_signature: proof(&trade.sell),
        buy_signature: proof(&trade.buy),
    }
    .into();
    let request_id = trade.trade_id.to_string();
    let by = By { actor: "system", request_id: Some(&request_id) };
    let valid_until = OffsetDateTime::from_unix_timestamp(trade.sell.expiry.min(trade.buy.expiry)).ok();
    let new = commands::of_system(command_id, operation, by, valid_until);
    match app.commands().accept(&new).await {
        Ok(accepted) => Ok(accepted.seq),
        Err(AcceptError::Refused(refusal)) => Err(Declined::Refused { code: refusal.code, message: refusal.message }),
        Err(AcceptError::Database(error)) => Err(Declined::Other(error.into())),
        Err(conflict @ AcceptError::Conflict(_)) => Err(other(conflict.to_string())),
    }
}

/// Takes note of trades whose commands have ended, and once no reorg can take that back they are over.
///
/// # Errors
/// The database's.
pub(crate) async fn follow(app: &App) -> Result<(), ApiError> {
    #[derive(FromRow)]
    struct Ended {
        trade_id: Uuid,
        state: String,
        cannot_turn: bool,
        reason_code: Option<String>,
        failure: Option<String>,
    }
    let ended: Vec<Ended> = sqlx::query_as(
        "SELECT f.trade_id, c.state, c.settled OR c.block_number IS NULL AS cannot_turn, c.reason_code, c.failure
           FROM fills f
           JOIN command_views c ON c.seq = f.command_seq
          WHERE NOT f.over
            AND c.state IN ('final', 'failed', 'expired', 'cancelled', 'rejected')
            AND (c.settled OR c.block_number IS NULL OR NOT f.noted)
          ORDER BY f.trade_id
          LIMIT 1000",
    )
    .fetch_all(app.pool())
    .await?;
    let done: Vec<Uuid> = ended.iter().filter(|end| end.state == "final").map(|end| end.trade_id).collect();
    if !done.is_empty() {
        // One that had failed may have come after all, behind a reorg.
        sqlx::query("UPDATE fills SET over = true, at_fault = NULL WHERE trade_id = ANY ($1)")
            .bind(&done)
            .execute(app.pool())
            .await?;
    }
    for end in ended.iter().filter(|end| end.state != "final") {
        let mut tx = tokenx_migrations::begin(app.pool()).await?;
        let rows = sqlx::query(
            "SELECT trade_id, quantity, buy_rests, sell_order, buy_order
               FROM fills
              WHERE trade_id = $1 AND NOT over
                FOR NO KEY UPDATE",
        )
        .bind(end.trade_id)
        .fetch_all(&mut *tx)
        .await?;
        let Some(trade) = of_rows(&mut tx, &rows).await?.into_iter().next() else { continue };
        let code = end.reason_code.as_deref().and_then(|code| code.parse().ok()).unwrap_or(ReasonCode::CommandExpired);
        let at_fault = at_fault(code, end.failure.as_deref().unwrap_or_default(), trade.sides());
        finish(&mut tx, &trade, code, (at_fault, end.cannot_turn)).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Ends a trade that the keeper does not take.
async fn close(conn: &mut PgConnection, trade: &Due, refusal: Option<(ReasonCode, &str)>) -> Result<(), ApiError> {
    let Some((code, message)) = refusal else { return Ok(()) };
    sqlx::query("UPDATE fills SET refusal_code = $2, refusal = $3, over = true WHERE trade_id = $1 AND NOT over")
        .bind(trade.trade_id)
        .bind(code.as_str())
        .bind(message)
        .execute(&mut *conn)
        .await?;
    finish(conn, trade, code, (at_fault(code, message, trade.sides()), true)).await
}

/// Says who was at fault, and ends what is left of that party's order: it would fail again.
async fn finish(
    conn: &mut PgConnection,
    trade: &Due,
    code: ReasonCode,
    (at_fault, over): (Option<Does>, bool),
) -> Result<(), ApiError> {
    sqlx::query("UPDATE fills SET at_fault = $2, noted = true, over = $3 WHERE trade_id = $1")
        .bind(trade.trade_id)
        .bind(at_fault.map(|side| if side == Does::Sell { "seller" } else { "buyer" }))
        .bind(over)
        .execute(&mut *conn)
        .await?;
    let Some(side) = at_fault else { return Ok(()) };
    let order = if side == Does::Sell { &trade.sell } else { &trade.buy };
    let code = told(code);
    sqlx::query("UPDATE orders SET reason_code = $2 WHERE order_id = $1")
        .bind(order.order_id)
        .bind(code.as_str())
        .execute(&mut *conn)
        .await?;
    record::end(conn, &[order.order_id], &[code.as_str()]).await?;
    Ok(())
}
