use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{ID, InputObject};

use super::total::{Counted, Total};
use super::uuid;
use crate::graphql::cursor::{Cursor, Order, Page};
use crate::graphql::fault::Fault;
use crate::graphql::reader::Reader;
use crate::offerings::record::{self, Filter, Place};
use crate::offerings::terms::Exemption;
use crate::offerings::view::{self, Offering};
use crate::offerings::visibility::Sees;
use crate::policy::Operation;

pub(in crate::graphql) type OfferingConnection = Connection<Cursor<Place>, Offering, Total>;

/// Which offerings. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct OfferingFilter {
    /// The token that is sold, by its record's id.
    token_id: Option<ID>,
    /// Its id once deployed.
    instrument_id: Option<String>,
    /// `506b`, `506c` or `reg_s`.
    exemption: Option<String>,
}

/// One offering; `None` where the asker sees none of this id.
pub(in crate::graphql) async fn one(reader: &Reader, id: &ID) -> Result<Option<Offering>, Fault> {
    let viewer = reader.access().may(Operation::GetOffering)?;
    let id = uuid("id", id)?;
    let mut conn = reader.conn().await?;
    let found = record::find(&mut *conn, id).await?;
    let sees = Sees::of(&mut conn, viewer).await?;
    let seen = found.into_iter().filter(|record| sees.shows(record)).collect();
    let shown = view::with_facts(reader.app(), &mut conn, seen).await?;
    Ok(view::all(reader.app(), &mut conn, shown).await?.pop())
}

/// A page of the offerings that the asker sees.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    page: Page,
    order: Order,
    filter: Option<OfferingFilter>,
) -> Result<OfferingConnection, Fault> {
    let viewer = reader.access().may(Operation::ListOfferings)?;
    let (window, cut) = page.window::<Place>(order)?;
    let OfferingFilter { token_id, instrument_id, exemption } = filter.unwrap_or_default();
    let exemption = exemption.as_deref().map(Exemption::parse).transpose();
    let exemption = exemption.map_err(|error| Fault::bad_input(format!("exemption: {error}")))?;
    let mut conn = reader.conn().await?;
    let sees = Sees::of(&mut conn, viewer).await?;
    let filter = Filter { sees, token_id: token_id.map(|id| id.0), instrument_id, exemption };
    let records = record::list(&mut *conn, &filter, &window).await?;
    let places: Vec<Place> = records.iter().map(record::Record::place).collect();
    let shown = view::with_facts(reader.app(), &mut conn, records).await?;
    let offerings = view::all(reader.app(), &mut conn, shown).await?;
    drop(conn);
    let rows = places.into_iter().zip(offerings).collect();
    let total = Total { reader: reader.clone(), of: Counted::Offerings(filter) };
    Ok(cut.connection(rows, total, |(place, _)| *place, |(_, offering)| offering))
}
