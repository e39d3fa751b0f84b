use async_graphql::SimpleObject;
use time::OffsetDateTime;
use tokenx_indexer::read::{Snapshot, TokenStatus};

use crate::graphql::scalars::Decimal;

/// The monitor's last pass, as of its confirmed block.
#[derive(Debug, Clone, SimpleObject)]
pub(in crate::graphql) struct Status {
    /// When the pass ended.
    updated_at: OffsetDateTime,
    /// The confirmed block it is as of.
    block_number: u64,
    /// Figures of each instrument whose logs add up; an issuer sees its own.
    tokens: Vec<TokenFigures>,
}

/// Figures of one instrument. Holders are counted as parties.
#[derive(Debug, Clone, SimpleObject)]
pub(in crate::graphql) struct TokenFigures {
    /// The instrument's id.
    instrument_id: String,
    /// All that exists, in whole tokens.
    total_supply: Decimal,
    /// The part that may not move.
    total_locked_supply: Decimal,
    /// Parties above zero.
    unique_holders: u64,
    /// The largest party's part of the supply, from 0 to 1; null at zero supply.
    top_holder_share: Option<Decimal>,
    /// Herfindahl–Hirschman index: the sum of the parties' squared shares; null at zero supply.
    supply_concentration_hhi: Option<Decimal>,
    /// When the figures were taken.
    updated_at: OffsetDateTime,
}

impl Status {
    pub(in crate::graphql) fn new(snapshot: Snapshot, visible: impl Fn(&TokenStatus) -> bool) -> Status {
        Status {
            updated_at: snapshot.taken_at,
            block_number: snapshot.block_number,
            tokens: snapshot.tokens.into_iter().filter(visible).map(TokenFigures::from).collect(),
        }
    }
}

impl From<TokenStatus> for TokenFigures {
    fn from(status: TokenStatus) -> TokenFigures {
        TokenFigures {
            instrument_id: status.instrument_id,
            total_supply: Decimal(status.total_supply),
            total_locked_supply: Decimal(status.total_locked_supply),
            unique_holders: status.unique_holders,
            top_holder_share: status.top_holder_share.map(Decimal),
            supply_concentration_hhi: status.supply_concentration_hhi.map(Decimal),
            updated_at: status.updated_at,
        }
    }
}
