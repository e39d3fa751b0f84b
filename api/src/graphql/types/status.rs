use async_graphql::SimpleObject;
use time::OffsetDateTime;
use tokenx_indexer::read::{self, Snapshot, TokenStatus};

use crate::graphql::fault::Fault;
use crate::graphql::reader::Reader;
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

/// The last pass, of the instruments that the asker may see; `None` before the first.
pub(in crate::graphql) async fn latest(reader: &Reader) -> Result<Option<Status>, Fault> {
    let snapshot = read::status(&mut *reader.conn().await?, reader.chain_id()).await?;
    let own = reader.own_instruments().await?;
    let visible = |id: &str| own.as_ref().is_none_or(|own| own.iter().any(|own| own == id));
    Ok(snapshot.map(|snapshot| Status::new(snapshot, |token| visible(&token.instrument_id))))
}

impl Status {
    fn new(snapshot: Snapshot, visible: impl Fn(&TokenStatus) -> bool) -> Status {
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
