//! Rows of `orders`. Written here and, once they are in a book, by whoever holds it.

use alloy::primitives::U256;
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use tokenx_keeper as keeper;
use tokenx_migrations::{Addr, Uint256, Word};
use uuid::Uuid;

use super::names::{Does, Kind, State, TimeInForce};

/// An order as the platform keeps it. Prices are base units of the payment token for one whole token, all else base units.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs, reason = "as the table's columns, which say it")]
pub struct Order {
    pub order_id: Uuid,
    #[sqlx(default)]
    pub place: i64,
    pub party_id: String,
    pub investor_id: i64,
    pub client_order_id: String,
    pub fingerprint: Word,
    pub placed_by: String,
    pub request_id: String,
    pub idempotency_key: Option<String>,
    pub offering_id: Uuid,
    pub instrument_id: String,
    pub chain_id: i64,
    pub token: Addr,
    pub market: Addr,
    pub wallet_id: Uuid,
    pub wallet: Addr,
    #[sqlx(try_from = "String")]
    pub side: Does,
    #[sqlx(try_from = "String")]
    pub kind: Kind,
    #[sqlx(try_from = "String")]
    pub time_in_force: TimeInForce,
    pub quantity: Uint256,
    pub limit_price: Uint256,
    pub stop_price: Option<Uint256>,
    pub until: i64,
    pub payment_token: Addr,
    pub max_fee_bps: i32,
    pub valid_from: i64,
    pub expiry: i64,
    pub salt: Word,
    pub digest: Word,
    pub signature: Option<Vec<u8>>,
    #[sqlx(try_from = "String")]
    pub state: State,
    pub rank: Option<i64>,
    pub filled: Uint256,
    pub reserved: Uint256,
    pub ending: Option<String>,
    pub reason_code: Option<String>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// An order with what is shown beside it.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs, reason = "as the view's columns, which say it")]
pub struct Shown {
    #[sqlx(flatten)]
    pub order: Order,
    pub decimals: i16,
    pub payment_decimals: i16,
    pub payment_symbol: String,
    pub settled: Uint256,
    pub failed: Uint256,
    pub counts_on_chain: bool,
}

/// Which orders a list is of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whose.
    pub party_id: String,
    /// Only of this offering.
    pub offering_id: Option<Uuid>,
    /// Only by this wallet.
    pub wallet_id: Option<Uuid>,
    /// Only in this state.
    pub state: Option<State>,
    /// Only on this side.
    pub side: Option<Does>,
    /// Only those older than this.
    pub before: Option<(OffsetDateTime, Uuid)>,
}

impl Order {
    /// Units that are not matched.
    pub fn left(&self) -> U256 {
        self.quantity.0.saturating_sub(self.filled.0)
    }

    /// As its wallet signs it.
    pub fn message(&self) -> keeper::Order {
        keeper::Order {
            wallet: self.wallet.0,
            payment_token: self.payment_token.0,
            quantity: self.quantity.0,
            limit_price: self.limit_price.0,
            max_fee_bps: u16::try_from(self.max_fee_bps).unwrap_or(u16::MAX),
            valid_from: self.valid_from.unsigned_abs(),
            expiry: self.expiry.unsigned_abs(),
            salt: self.salt.0,
        }
    }
}

/// One order of a party, as it is shown.
///
/// # Errors
/// The database's.
pub async fn shown(db: impl PgExecutor<'_>, party_id: &str, order_id: Uuid) -> Result<Option<Shown>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM order_records WHERE party_id = $1 AND order_id = $2")
        .bind(party_id)
        .bind(order_id)
        .fetch_optional(db)
        .await
}

/// One order of a party, for a change: nobody else changes it meanwhile.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, party_id: &str, order_id: Uuid) -> Result<Option<Order>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM orders WHERE party_id = $1 AND order_id = $2 FOR NO KEY UPDATE")
        .bind(party_id)
        .bind(order_id)
        .fetch_optional(conn)
        .await
}

/// The orders that a request might be the repetition of: by the client's name for the order, or for the request.
///
/// # Errors
/// The database's.
pub async fn known(
    db: impl PgExecutor<'_>,
    party_id: &str,
    client_order_id: &str,
    caller: &str,
    key: Option<&str>,
) -> Result<Vec<Order>, sqlx::Error> {
    sqlx::query_as(
        "SELECT *
           FROM orders
          WHERE party_id = $1 AND client_order_id = $2
          UNION ALL
         SELECT *
           FROM orders
          WHERE placed_by = $3 AND idempotency_key = $4 AND NOT (party_id = $1 AND client_order_id = $2)",
    )
    .bind(party_id)
    .bind(client_order_id)
    .bind(caller)
    .bind(key)
    .fetch_all(db)
    .await
}

/// A page of orders, newest first.
///
/// # Errors
/// The database's.
pub async fn list(db: impl PgExecutor<'_>, filter: &Filter, limit: i64) -> Result<Vec<Shown>, sqlx::Error> {
    let (at, id) = filter.before.unzip();
    sqlx::query_as(
        "SELECT *
           FROM order_records
          WHERE party_id = $1
            AND ($2::uuid IS NULL OR offering_id = $2)
            AND ($3::uuid IS NULL OR wallet_id = $3)
            AND ($4::text IS NULL OR state = $4)
            AND ($5::text IS NULL OR side = $5)
            AND ($6::timestamptz IS NULL OR (created_at, order_id) < ($6, $7))
          ORDER BY created_at DESC, order_id DESC
          LIMIT $8",
    )
    .bind(&filter.party_id)
    .bind(filter.offering_id)
    .bind(filter.wallet_id)
    .bind(filter.state.map(State::as_str))
    .bind(filter.side.map(Does::as_str))
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Keeps a new order; its place is the database's to give.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut PgConnection, order: &Order) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH book AS (INSERT INTO books (instrument_id) VALUES ($10) ON CONFLICT DO NOTHING)
         INSERT INTO orders (order_id, party_id, investor_id, client_order_id, fingerprint, placed_by, request_id,
                             idempotency_key, offering_id, instrument_id, chain_id, token, market, wallet_id, wallet, side,
                             kind, time_in_force, quantity, limit_price, stop_price, until, payment_token, max_fee_bps,
                             valid_from, expiry, salt, digest, signature, state, reserved, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
                 $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)",
    )
    .bind(order.order_id)
    .bind(&order.party_id)
    .bind(order.investor_id)
    .bind(&order.client_order_id)
    .bind(order.fingerprint)
    .bind(&order.placed_by)
    .bind(&order.request_id)
    .bind(&order.idempotency_key)
    .bind(order.offering_id)
    .bind(&order.instrument_id)
    .bind(order.chain_id)
    .bind(order.token)
    .bind(order.market)
    .bind(order.wallet_id)
    .bind(order.wallet)
    .bind(order.side.as_str())
    .bind(order.kind.as_str())
    .bind(order.time_in_force.as_str())
    .bind(order.quantity)
    .bind(order.limit_price)
    .bind(order.stop_price)
    .bind(order.until)
    .bind(order.payment_token)
    .bind(order.max_fee_bps)
    .bind(order.valid_from)
    .bind(order.expiry)
    .bind(order.salt)
    .bind(order.digest)
    .bind(&order.signature)
    .bind(order.state.as_str())
    .bind(order.reserved)
    .bind(order.created_at)
    .bind(order.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Asks for the end of orders, where they are in a book or wait for one.
///
/// # Errors
/// The database's.
pub async fn end(conn: &mut PgConnection, order_ids: &[Uuid], codes: &[&str]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE orders o
            SET ending = coalesce(o.ending, e.code)
           FROM unnest($1::uuid[], $2::text[]) AS e (order_id, code)
          WHERE o.order_id = e.order_id AND o.state IN ('pending', 'waiting', 'open')",
    )
    .bind(order_ids)
    .bind(codes)
    .execute(conn)
    .await?;
    Ok(())
}
