use std::sync::Arc;

use async_graphql::InputObject;
use async_graphql::connection::Connection;

use super::total::{Counted, Total};
use crate::graphql::cursor::{Cursor, Order, Page};
use crate::graphql::fault::{Code, Fault};
use crate::graphql::reader::Reader;
use crate::investors::party_of;
use crate::policy::Operation;
use crate::redemptions::record::{self, Filter, Place};
use crate::redemptions::view::{self, Redemption, Shown};

pub(in crate::graphql) type RedemptionConnection = Connection<Cursor<Place>, Redemption, Total>;

/// Which redemptions. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct RedemptionFilter {
    /// Whose; an investor's are its own.
    party: Option<String>,
    /// The instrument's id.
    instrument_id: Option<String>,
    /// Only those that are neither paid nor let go of at the desk.
    #[graphql(default)]
    open: bool,
}

/// A page of an investor's own redemptions, or of everybody's for whoever decides on them.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    page: Page,
    order: Order,
    filter: Option<RedemptionFilter>,
) -> Result<RedemptionConnection, Fault> {
    let (window, cut) = page.window::<Place>(order)?;
    let RedemptionFilter { party, instrument_id, open } = filter.unwrap_or_default();
    let party_id = match reader.access().may(Operation::ListOwnRedemptions) {
        Ok(investor) => {
            let own = party_of(investor)?;
            if party.is_some_and(|party| party != own) {
                return Err(Fault::new(Code::Forbidden, "party: you may filter only by parties that you may see"));
            }
            Some(own.to_owned())
        }
        Err(_) => reader.access().may(Operation::ListRedemptions).map(|_| party)?,
    };
    let filter = Filter { party_id, instrument_id, open };
    let mut conn = reader.conn().await?;
    let cases = record::list(&mut *conn, reader.chain_id(), &filter, &window).await?;
    let rows = view::all(&mut conn, cases).await?;
    drop(conn);
    let total = Total { reader: reader.clone(), of: Counted::Redemptions(filter) };
    Ok(cut.connection(rows, total, |shown: &Shown| shown.case.place(), |shown| Redemption::from(&shown)))
}
