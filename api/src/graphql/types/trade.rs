use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{ID, Object};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_indexer::read::pages::Window;
use uuid::Uuid;

use super::total::{Counted, Total};
use crate::ats::trades::{Settlement, Trade as Row};
use crate::ats::view;
use crate::graphql::cursor::{Cursor, Order as Direction, Page};
use crate::graphql::fault::Fault;
use crate::graphql::reader::Reader;
use crate::graphql::scalars::{Bytes32, Decimal};
use crate::offerings::record as offerings;
use crate::offerings::visibility::Sees;
use crate::policy::Operation;

/// What two orders have traded. Nobody is named.
pub(in crate::graphql) struct Trade {
    row: Row,
    settlement: Settlement,
}

macro_rules! page {
    ($direction:literal) => {
        concat!(
            "SELECT *
               FROM trade_records
              WHERE instrument_id = $1 AND place > $2 AND place < $3
              ORDER BY place ",
            $direction,
            " LIMIT $4"
        )
    };
}

/// A page of the trades in an offering's instrument; `None` where the asker sees no such offering.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    page: Page,
    order: Direction,
    offering_id: &ID,
) -> Result<Option<Connection<Cursor<i64>, Trade, Total>>, Fault> {
    let viewer = reader.access().may(Operation::ListTrades)?;
    let (window, cut) = page.window::<i64>(order)?;
    let offering_id: Uuid = offering_id.parse().map_err(|_| Fault::bad_input("trades: offeringId is not a UUID"))?;
    let mut conn = reader.conn().await?;
    let found = offerings::find(&mut *conn, offering_id).await?;
    let sees = Sees::of(&mut conn, viewer).await?;
    let Some(offering) = found.filter(|offering| sees.shows(offering)) else { return Ok(None) };
    let rows = read(&mut conn, &offering.instrument_id, &window).await?;
    drop(conn);
    let total = Total { reader: reader.clone(), of: Counted::Trades(offering.instrument_id) };
    let node = |row: Row| Trade { settlement: row.progress.settlement(), row };
    Ok(Some(cut.connection(rows, total, |row| row.place, node)))
}

async fn read(conn: &mut PgConnection, instrument_id: &str, window: &Window<i64>) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(if window.descending { page!("DESC") } else { page!("ASC") })
        .bind(instrument_id)
        .bind(window.above.unwrap_or(i64::MIN))
        .bind(window.below.unwrap_or(i64::MAX))
        .bind(window.limit)
        .fetch_all(conn)
        .await
}

/// How many there are.
pub(in crate::graphql) async fn count(conn: &mut PgConnection, instrument_id: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM fills WHERE instrument_id = $1").bind(instrument_id).fetch_one(conn).await
}

#[Object]
impl Trade {
    /// Its id.
    async fn id(&self) -> ID {
        self.row.trade_id.to_string().into()
    }

    /// The instrument's id.
    async fn instrument_id(&self) -> &str {
        &self.row.instrument_id
    }

    /// For a whole token: the price of the order that was there first.
    async fn price(&self) -> Decimal {
        Decimal::of(self.row.price.0, view::decimals(self.row.payment_decimals))
    }

    /// Whole tokens.
    async fn quantity(&self) -> Decimal {
        Decimal::of(self.row.quantity.0, view::decimals(self.row.decimals))
    }

    /// What they are worth.
    async fn cost(&self) -> Decimal {
        Decimal::of(self.row.cost.0, view::decimals(self.row.payment_decimals))
    }

    /// Symbol of what is paid with.
    async fn currency(&self) -> &str {
        &self.row.payment_symbol
    }

    /// What the order did that came second: `buy` or `sell`.
    async fn taker_side(&self) -> &str {
        if self.row.buy_rests { "sell" } else { "buy" }
    }

    /// When it was matched.
    async fn matched_at(&self) -> OffsetDateTime {
        self.row.matched_at
    }

    /// `pending` before it was asked for, else its command's state.
    async fn settlement_state(&self) -> &str {
        self.settlement.state
    }

    /// Whether the chain has moved tokens and money.
    async fn settled(&self) -> bool {
        self.settlement.settled
    }

    /// Why it came to nothing.
    async fn reason_code(&self) -> Option<&str> {
        self.settlement.reason_code.as_deref()
    }

    /// The transaction that settled it.
    async fn transaction_hash(&self) -> Option<Bytes32> {
        self.row.progress.transaction().map(Bytes32)
    }
}
