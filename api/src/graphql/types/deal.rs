use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{ID, InputObject, Object};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_indexer::read::pages::Window;

use super::total::{Counted, Total};
use crate::ats::names::Does;
use crate::ats::trades::Settlement;
use crate::ats::view;
use crate::graphql::cursor::{Cursor, Order as Direction, Page};
use crate::graphql::fault::Fault;
use crate::graphql::reader::Reader;
use crate::graphql::scalars::{Addr, Bytes32, Decimal};
use crate::otc::record::Shown;
use crate::policy::Operation;

/// An OTC deal of the asker's party.
pub(in crate::graphql) struct Deal {
    row: Shown,
    party_id: String,
    settlement: Settlement,
}

/// Which deals. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct DealFilter {
    /// The instrument's id.
    instrument_id: Option<String>,
    /// `proposed`, `accepted`, `settled`, `failed`, `cancelled`, `cancel_pending`, `declined` or `expired`.
    state: Option<String>,
    /// Those that the party has proposed itself, or those that others have.
    own: Option<bool>,
}

/// The same, as statements have it.
#[derive(Debug, Clone)]
pub(in crate::graphql) struct Which {
    party_id: String,
    filter: Arc<DealFilter>,
}

/// `$1`–`$4`: whose, and the filter.
macro_rules! matching {
    () => {
        " FROM otc_deal_records
         WHERE (maker = $1 OR taker = $1)
           AND ($2::text IS NULL OR instrument_id = $2)
           AND ($3::text IS NULL OR shown = $3)
           AND ($4::boolean IS NULL OR (maker = $1) = $4)"
    };
}

macro_rules! page {
    ($direction:literal) => {
        concat!("SELECT *", matching!(), " AND place > $5 AND place < $6 ORDER BY place ", $direction, " LIMIT $7")
    };
}

/// A page of the party's deals.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    page: Page,
    order: Direction,
    filter: Option<DealFilter>,
) -> Result<Connection<Cursor<i64>, Deal, Total>, Fault> {
    let viewer = reader.access().may(Operation::ListDeals)?;
    let (window, cut) = page.window::<i64>(order)?;
    let party_id = viewer.party_id.clone().unwrap_or_default();
    let which = Which { party_id: party_id.clone(), filter: Arc::new(filter.unwrap_or_default()) };
    let rows = read(&mut *reader.conn().await?, &which, &window).await?;
    let total = Total { reader: reader.clone(), of: Counted::Deals(which) };
    let node = |row: Shown| Deal { settlement: row.progress.settlement(), party_id: party_id.clone(), row };
    Ok(cut.connection(rows, total, |row| row.deal.place, node))
}

async fn read(conn: &mut PgConnection, which: &Which, window: &Window<i64>) -> Result<Vec<Shown>, sqlx::Error> {
    sqlx::query_as(if window.descending { page!("DESC") } else { page!("ASC") })
        .bind(&which.party_id)
        .bind(&which.filter.instrument_id)
        .bind(&which.filter.state)
        .bind(which.filter.own)
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
        .bind(&which.filter.instrument_id)
        .bind(&which.filter.state)
        .bind(which.filter.own)
        .fetch_one(conn)
        .await
}

impl Deal {
    fn money(&self, base: alloy::primitives::U256) -> Decimal {
        Decimal::of(base, view::decimals(self.row.payment_decimals))
    }

    /// The wallet on a side.
    fn wallet_of(&self, side: Does) -> Addr {
        Addr(if side == Does::Sell { self.row.deal.seller.0 } else { self.row.deal.buyer.0 })
    }
}

#[Object(name = "OtcDeal")]
impl Deal {
    /// Its id.
    async fn id(&self) -> ID {
        self.row.deal.deal_id.to_string().into()
    }

    /// The instrument's id.
    async fn instrument_id(&self) -> &str {
        &self.row.deal.instrument_id
    }

    /// Whether the party has proposed it itself.
    async fn own(&self) -> bool {
        self.row.deal.taker != self.party_id
    }

    /// What the party does: `buy` or `sell`.
    async fn side(&self) -> &str {
        self.row.deal.side_of(&self.party_id).as_str()
    }

    /// The party's wallet.
    async fn wallet(&self) -> Addr {
        self.wallet_of(self.row.deal.side_of(&self.party_id))
    }

    /// The other party, where it was told.
    async fn counterparty_id(&self) -> Option<&str> {
        self.row.counterparty_of(&self.party_id)
    }

    /// Its wallet, where it was told.
    async fn counterparty_wallet(&self) -> Option<Addr> {
        let side = match self.row.deal.side_of(&self.party_id) {
            Does::Sell => Does::Buy,
            Does::Buy => Does::Sell,
        };
        self.row.tells_wallet(&self.party_id).then(|| self.wallet_of(side))
    }

    /// Whole tokens.
    async fn quantity(&self) -> Decimal {
        Decimal::of(self.row.deal.quantity.0, view::decimals(self.row.decimals))
    }

    /// For a whole token; null where a total was agreed on.
    async fn price(&self) -> Option<Decimal> {
        self.row.deal.price.map(|price| self.money(price.0))
    }

    /// For all of it: what the buyer pays.
    async fn total(&self) -> Decimal {
        self.money(self.row.deal.payment.0)
    }

    /// Symbol of what is paid with.
    async fn currency(&self) -> &str {
        &self.row.payment_symbol
    }

    /// `proposed`, `accepted`, `settled`, `failed`, `cancelled`, `cancel_pending`, `declined` or `expired`.
    async fn state(&self) -> &str {
        self.row.shown.as_str()
    }

    /// Why it has come to nothing, where neither party has asked for that.
    async fn reason_code(&self) -> Option<&str> {
        self.row.reason()
    }

    /// `pending` before it was asked for, else its command's state.
    async fn settlement_state(&self) -> &str {
        self.settlement.state
    }

    /// The transaction that settled it.
    async fn transaction_hash(&self) -> Option<Bytes32> {
        self.row.progress.transaction().map(Bytes32)
    }

    /// What the chain knows it by (EIP-712), where both wallets are told.
    async fn digest(&self) -> Option<Bytes32> {
        self.row.tells_wallet(&self.party_id).then_some(Bytes32(self.row.deal.digest.0))
    }

    /// Until when it can be accepted.
    async fn expires_at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.row.deal.until).unwrap_or(self.row.deal.created_at)
    }

    /// When it was proposed.
    async fn created_at(&self) -> OffsetDateTime {
        self.row.deal.created_at
    }

    /// When it last changed.
    async fn updated_at(&self) -> OffsetDateTime {
        self.row.deal.updated_at
    }
}
