use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{ComplexObject, ID, SimpleObject};
use tokenx_indexer::read::node::{self, RentPeriod};
use tokenx_indexer::read::pages::EventKey;

use super::total::{Counted, Total};
use crate::error::ApiError;
use crate::graphql::cursor::{Cursor, Order, Page};
use crate::graphql::fault::Fault;
use crate::graphql::limits::nested_rows;
use crate::graphql::reader::Reader;
use crate::policy::Operation;
use crate::rent::act::seen;
use crate::rent::schedule::Schedule;
use crate::rent::view::{self, Period, RentFund};

/// A token's rent.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(in crate::graphql) struct Rent {
    #[graphql(flatten)]
    fund: RentFund,
    #[graphql(skip)]
    schedule: Schedule,
    #[graphql(skip)]
    reader: Arc<Reader>,
}

/// The rent of a token; `None` where it has none that the asker sees.
pub(in crate::graphql) async fn one(reader: &Arc<Reader>, token_id: &ID) -> Result<Option<Rent>, Fault> {
    let viewer = reader.access().may(Operation::GetRent)?;
    let mut conn = reader.conn().await?;
    let schedule = match seen(reader.app(), &mut conn, viewer, token_id).await {
        Ok(schedule) => schedule,
        Err(ApiError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let fund = view::fund(reader.app(), &mut conn, viewer, &schedule).await?;
    Ok(Some(Rent { fund, schedule, reader: reader.clone() }))
}

#[ComplexObject]
impl Rent {
    /// Periods that were opened, newest first; 10 unless asked otherwise.
    #[graphql(complexity = "nested_rows(first, last, child_complexity)")]
    async fn periods(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<Connection<Cursor<EventKey>, Period, Total>, Fault> {
        let (window, cut) = Page::nested(first, after, last, before).window::<EventKey>(order)?;
        let (reader, token) = (&self.reader, self.schedule.token);
        let rows = node::rent_periods(&mut *reader.conn().await?, reader.chain_id(), token, &window).await?;
        let total = Total { reader: reader.clone(), of: Counted::RentPeriods(token) };
        let place = |period: &RentPeriod| (period.origin.block_number, period.origin.log_index);
        Ok(cut.connection(rows, total, place, |period| Period::of(&self.schedule, &period)))
    }
}
