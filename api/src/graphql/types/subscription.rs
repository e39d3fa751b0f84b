use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::{ID, InputObject};
use uuid::Uuid;

use super::total::{Counted, Total};
use super::uuid;
use crate::graphql::cursor::{Cursor, Order, Page};
use crate::graphql::fault::Fault;
use crate::graphql::reader::Reader;
use crate::investors::party_of;
use crate::offerings::record as offerings;
use crate::offerings::routes::own;
use crate::policy::Operation;
use crate::subscriptions::record::{self, Filter};
use crate::subscriptions::view::Subscription;

pub(in crate::graphql) type SubscriptionConnection = Connection<Cursor<Uuid>, Subscription, Total>;

/// Which subscriptions. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct SubscriptionFilter {
    /// The offering; whoever is no investor has to name one.
    offering_id: Option<ID>,
}

/// A page of an investor's own, or of an offering's for whoever may know all of that; `None` where the asker may not know
/// of this offering.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    page: Page,
    order: Order,
    filter: Option<SubscriptionFilter>,
) -> Result<Option<SubscriptionConnection>, Fault> {
    let (window, cut) = page.window::<Uuid>(order)?;
    let named = filter.unwrap_or_default().offering_id;
    let offering_id = named.as_ref().map(|id| uuid("offeringId", id)).transpose()?;
    let party_id = match reader.access().may(Operation::ListOwnSubscriptions) {
        Ok(investor) => Some(party_of(investor)?.to_owned()),
        Err(_) => {
            let viewer = reader.access().may(Operation::ListSubscriptions)?;
            let id = offering_id.ok_or_else(|| Fault::bad_input("filter: name the offering by offeringId"))?;
            let found = offerings::find(&mut *reader.conn().await?, id).await?;
            if own(viewer, found).is_err() {
                return Ok(None);
            }
            None
        }
    };
    let filter = Filter { party_id, offering_id };
    let rows = record::list(&mut *reader.conn().await?, &filter, &window).await?;
    let total = Total { reader: reader.clone(), of: Counted::Subscriptions(filter) };
    Ok(Some(cut.connection(rows, total, |record| record.subscription_id, |record| Subscription::from(&record))))
}
