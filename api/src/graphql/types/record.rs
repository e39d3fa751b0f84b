use async_graphql::{Enum, ID, SimpleObject};
use time::OffsetDateTime;

use crate::tokens::record;
use crate::tokens::status::Status;

/// What a token's issuer says of it, and where it stands.
#[derive(SimpleObject)]
#[graphql(name = "TokenRecord")]
pub(in crate::graphql) struct Record {
    /// Its id in `GET /v2/admin/token/{token_id}`.
    token_id: ID,
    /// What people call it.
    name: String,
    /// What it is.
    description: String,
    /// Which category it is in.
    category_id: String,
    /// Where it stands.
    status: TokenStatus,
    /// Whether anyone may see this.
    is_public: bool,
    /// Whether it trades on the secondary market.
    is_open_to_secondary_market: bool,
    /// Whether it trades over the counter.
    is_open_to_otc: bool,
    /// When it is to be listed.
    listing_at: Option<OffsetDateTime>,
    /// When its term ends.
    expires_at: Option<OffsetDateTime>,
    /// When it was made.
    created_at: OffsetDateTime,
    /// When it was last written.
    updated_at: OffsetDateTime,
}

impl Record {
    pub(in crate::graphql) fn new(record: record::Record, status: Status) -> Record {
        let draft = record.draft;
        let (listing_at, expires_at) = draft.metric.map_or((None, None), |terms| (terms.listing_at, terms.expires_at));
        Record {
            token_id: record.token_id.into(),
            name: draft.name,
            description: draft.description,
            category_id: draft.category_id,
            status: status.into(),
            is_public: draft.is_public,
            is_open_to_secondary_market: draft.is_open_to_secondary_market,
            is_open_to_otc: draft.is_open_to_otc,
            listing_at,
            expires_at,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

/// Where a token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Status")]
pub(in crate::graphql) enum TokenStatus {
    /// A record and nothing on chain.
    Draft,
    /// On its way to the chain.
    InProgress,
    /// Its deployment has failed.
    Error,
    /// Its contract stands and was never for sale.
    NotListed,
    /// It was for sale.
    Delisted,
    /// It is for sale.
    Listed,
    /// It will not be for sale again.
    Passive,
    /// It has ended for ever.
    Burn,
}
