use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{ID, InputObject, Object};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_indexer::read::pages::Window;
use uuid::Uuid;

use super::total::{Counted, Total};
use crate::ats::record::Shown;
use crate::ats::view;
use crate::graphql::cursor::{Cursor, Order as Direction, Page};
use crate::graphql::fault::Fault;
use crate::graphql::reader::Reader;
use crate::graphql::scalars::{Addr, Bytes32, Decimal};
use crate::policy::Operation;

/// An order of the asker's party.
pub(in crate::graphql) struct Order {
    row: Shown,
}

/// Which orders. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct OrderFilter {
    /// The offering whose instrument is traded.
    offering_id: Option<ID>,
    /// The instrument's id.
    instrument_id: Option<String>,
    /// `pending`, `waiting`, `open`, `filled`, `cancelled` or `expired`.
    state: Option<String>,
    /// `buy` or `sell`.
    side: Option<String>,
}

/// The same, as statements have it.
#[derive(Debug, Clone)]
pub(in crate::graphql) struct Which {
    party_id: String,
    offering_id: Option<Uuid>,
    instrument_id: Option<String>,
    state: Option<String>,
    side: Option<String>,
}

/// `$1`–`$5`: whose, and the filter.
macro_rules! matching {
    () => {
        " FROM order_records
         WHERE party_id = $1
           AND ($2::uuid IS NULL OR offering_id = $2)
           AND ($3::text IS NULL OR instrument_id = $3)
           AND ($4::text IS NULL OR state = $4)
           AND ($5::text IS NULL OR side = $5)"
    };
}

macro_rules! page {
    ($direction:literal) => {
        concat!("SELECT *", matching!(), " AND place > $6 AND place < $7 ORDER BY place ", $direction, " LIMIT $8")
    };
}

/// A page of the party's orders.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    page: Page,
    order: Direction,
    filter: Option<OrderFilter>,
) -> Result<Connection<Cursor<i64>, Order, Total>, Fault> {
    let viewer = reader.access().may(Operation::ListOrders)?;
    let (window, cut) = page.window::<i64>(order)?;
    let filter = filter.unwrap_or_default();
    let offering_id = filter.offering_id.map(|id| id.parse::<Uuid>()).transpose();
    let which = Which {
        party_id: viewer.party_id.clone().unwrap_or_default(),
        offering_id: offering_id.map_err(|_| Fault::bad_input("orders: offeringId is not a UUID"))?,
        instrument_id: filter.instrument_id,
        state: filter.state,
        side: filter.side,
    };
    let rows = read(&mut *reader.conn().await?, &which, &window).await?;
    let total = Total { reader: reader.clone(), of: Counted::Orders(which) };
    Ok(cut.connection(rows, total, |row| row.order.place, |row| Order { row }))
}

async fn read(conn: &mut PgConnection, which: &Which, window: &Window<i64>) -> Result<Vec<Shown>, sqlx::Error> {
    sqlx::query_as(if window.descending { page!("DESC") } else { page!("ASC") })
        .bind(&which.party_id)
        .bind(which.offering_id)
        .bind(&which.instrument_id)
        .bind(&which.state)
        .bind(&which.side)
        .bind(window.above.unwrap_or(i64::MIN))
        .bind(window.below.unwrap_or(i64::MAX))
        .bind(window.limit)
        .fetch_all(conn)
        .await
}

/// How many there are.
pub(in crate::graphql) async fn count(conn: &mut PgConnection, which: &Which) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(concat!("SELECT count(*)", matching!()))
        .bind(&which.party_id)
        .bind(which.offering_id)
        .bind(&which.instrument_id)
        .bind(&which.state)
        .bind(&which.side)
        .fetch_one(conn)
        .await
}

impl Order {
    fn units(&self, base: alloy::primitives::U256) -> Decimal {
        Decimal::of(base, view::decimals(self.row.decimals))
    }

    fn price(&self, base: alloy::primitives::U256) -> Decimal {
        Decimal::of(base, view::decimals(self.row.payment_decimals))
    }
}

#[Object(name = "MarketOrder")]
impl Order {
    /// Its id.
    async fn id(&self) -> ID {
        self.row.order.order_id.to_string().into()
    }

    /// The client's own name for it.
    async fn client_order_id(&self) -> &str {
        &self.row.order.client_order_id
    }

    /// The offering whose instrument is traded.
    async fn offering_id(&self) -> ID {
        self.row.order.offering_id.to_string().into()
    }

    /// The instrument's id.
    async fn instrument_id(&self) -> &str {
        &self.row.order.instrument_id
    }

    /// The wallet that trades.
    async fn wallet(&self) -> Addr {
        Addr(self.row.order.wallet.0)
    }

    /// `buy` or `sell`.
    async fn side(&self) -> &str {
        self.row.order.side.as_str()
    }

    /// `limit`, `market`, `stop` or `stop_limit`.
    async fn kind(&self) -> &str {
        self.row.order.kind.as_str()
    }

    /// `day`, `gtc`, `ioc` or `fok`.
    async fn time_in_force(&self) -> &str {
        self.row.order.time_in_force.as_str()
    }

    /// Whole tokens.
    async fn quantity(&self) -> Decimal {
        self.units(self.row.order.quantity.0)
    }

    /// Its worst price for a whole token.
    async fn limit_price(&self) -> Decimal {
        self.price(self.row.order.limit_price.0)
    }

    /// The price of a trade from which on it counts.
    async fn stop_price(&self) -> Option<Decimal> {
        self.row.order.stop_price.map(|stop| self.price(stop.0))
    }

    /// Symbol of what is paid with.
    async fn currency(&self) -> &str {
        &self.row.payment_symbol
    }

    /// `pending`, `waiting`, `open`, `filled`, `cancelled`, `cancel_pending` or `expired`.
    async fn state(&self) -> &str {
        view::state(&self.row)
    }

    /// Why it ended unfilled, or a trade of it failed.
    async fn reason_code(&self) -> Option<&str> {
        self.row.order.reason_code.as_deref()
    }

    /// Tokens that were matched.
    async fn filled_quantity(&self) -> Decimal {
        self.units(self.row.order.filled.0)
    }

    /// Of these, the ones that the chain has settled.
    async fn settled_quantity(&self) -> Decimal {
        self.units(self.row.settled.0)
    }

    /// Of these, the ones whose trades came to nothing.
    async fn failed_quantity(&self) -> Decimal {
        self.units(self.row.failed.0)
    }

    /// What the chain knows it by (EIP-712).
    async fn digest(&self) -> Bytes32 {
        Bytes32(self.row.order.digest.0)
    }

    /// When it was placed.
    async fn created_at(&self) -> OffsetDateTime {
        self.row.order.created_at
    }

    /// When it last changed.
    async fn updated_at(&self) -> OffsetDateTime {
        self.row.order.updated_at
    }
}
