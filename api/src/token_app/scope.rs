//! What a viewer may see of the ledger, and whose rows a filter means.

use alloy::primitives::Address;
use sqlx::PgConnection;
use tokenx_contracts::ids::{Holder, InstrumentId};
use tokenx_indexer::read;

use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::query::Query;
use crate::policy::Role;
use crate::store::parties;

/// The filters that the three lists share.
#[derive(Debug)]
pub struct Filters {
    instrument_id: Option<InstrumentId>,
    holder: Option<Holder>,
    /// Rows at most.
    pub limit: i64,
    /// Rows to pass over.
    pub offset: i64,
}

impl Filters {
    /// Reads them off the query. `default` and `max` bound the page.
    ///
    /// # Errors
    /// Every bad parameter.
    pub fn read(mut query: Query, default: u64, max: u64) -> Result<Filters, ApiError> {
        let holder = query.text("party_id", str::parse::<Holder>);
        let instrument_id = query.text("instrument_id", str::parse::<InstrumentId>);
        let limit = query.integer("limit", default, 1..=max);
        let offset = query.integer("offset", 0, 0..=i64::MAX.unsigned_abs());
        query.finish()?;
        Ok(Filters { instrument_id, holder, limit: limit.cast_signed(), offset: offset.cast_signed() })
    }
}

/// The filters in the chain's terms, bounded by what the viewer may see.
#[derive(Debug)]
pub struct Bounds {
    /// Only this instrument.
    pub instrument_id: Option<String>,
    /// Only these tokens; `None`: all.
    pub tokens: Option<Vec<Address>>,
    /// Only this party.
    pub party: Option<read::Party>,
}

impl Filters {
    /// Only this instrument.
    pub fn instrument_id(&self) -> Option<&InstrumentId> {
        self.instrument_id.as_ref()
    }

    /// Only of this holder.
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// Looks up what the filters mean; `None` where nothing can match.
    ///
    /// # Errors
    /// The database's.
    pub async fn bound(&self, app: &App, viewer: &Viewer, conn: &mut PgConnection) -> Result<Option<Bounds>, ApiError> {
        let party = match &self.holder {
            None => None,
            Some(Holder::Wallet(address)) => Some(read::Party::Wallet(*address)),
            Some(Holder::Party(id)) => match parties::find(&mut *conn, id).await? {
                Some(party) => Some(read::Party::Investor(party.investor_id)),
                None => return Ok(None),
            },
        };
        let tokens = visible_tokens(app, viewer, conn).await?;
        let tokens = tokens.map(|own| own.into_iter().map(|instrument| instrument.token).collect());
        let instrument_id = self.instrument_id.as_ref().map(|id| id.as_str().to_owned());
        Ok(Some(Bounds { instrument_id, tokens, party }))
    }
}

/// The instruments that a viewer may see: an issuer its own, staff all (`None`).
///
/// # Errors
/// The database's.
pub async fn visible_tokens(
    app: &App,
    viewer: &Viewer,
    conn: &mut PgConnection,
) -> Result<Option<Vec<read::Instrument>>, ApiError> {
    match (viewer.role, viewer.issuer_id) {
        (Role::Issuer, Some(issuer)) => Ok(Some(parties::tokens_of_issuer(conn, app.chain_id(), issuer).await?)),
        (Role::Issuer, None) => Ok(Some(Vec::new())),
        _ => Ok(None),
    }
}

/// The confirmed block that lists are as of.
///
/// # Errors
/// 503 before the chain was ever read.
pub async fn as_of(app: &App, conn: &mut PgConnection) -> Result<read::AsOf, ApiError> {
    read::as_of(conn, app.chain_id())
        .await?
        .ok_or_else(|| ApiError::Unavailable(format!("chain {} has not been read yet: try again", app.chain_id())))
}
