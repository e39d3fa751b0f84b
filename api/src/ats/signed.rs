//! How long what is signed for a trade counts, and for which fee: the same of orders and of deals.

use alloy::primitives::U256;
use sqlx::PgConnection;
use tokenx_indexer::read;

use super::market::Stand;
use crate::app::App;
use crate::error::ApiError;
use crate::http::intent::Said;

/// Seconds that a signature outlives what it is for, so that a late trade is settled still.
pub(crate) const GRACE: u64 = 86_400;
/// The same where the wallet has signed an end itself.
pub(crate) const SIGNED_GRACE: u64 = 600;
/// Hundredths of a per cent in the whole.
const WHOLE_BPS: u64 = 10_000;

/// What time it is, Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// As the chain's clock and ours have it: whichever is later.
    pub(crate) now: u64,
    /// At the indexed head: no later than at the next block.
    pub(crate) head: u64,
    /// What that is.
    pub(crate) stand: Stand,
}

impl Clock {
    /// The time, where ours is `now`.
    ///
    /// # Errors
    /// `Unavailable` before the chain was ever read.
    pub(crate) async fn read(app: &App, conn: &mut PgConnection, now: u64) -> Result<Clock, ApiError> {
        let cursor = read::cursor(conn, app.chain_id()).await?;
        let at = cursor.as_ref().and_then(|cursor| Some((cursor.block_time?, Stand::from(cursor))));
        let (head, stand) =
            at.ok_or_else(|| ApiError::Unavailable("the chain has not been read yet: try again".into()))?;
        Ok(Clock { now: now.max(head), head, stand })
    }
}

impl Said {
    /// The fee that was accepted, at least the one that is asked; hundredths of a per cent.
    pub(crate) fn fits_fee(&mut self, accepted: U256, asked: u16) {
        let asked = U256::from(asked);
        let fits = accepted >= asked && accepted <= U256::from(WHOLE_BPS);
        self.fits("maxFeeBps", fits, format_args!("{asked} to {WHOLE_BPS}"));
    }

    /// It counts already, and to an end that leaves time to settle; which is returned.
    pub(crate) fn lives(&mut self, from: U256, (name, end): (&'static str, U256), clock: Clock) -> Option<u64> {
        self.fits("validFrom", from <= U256::from(clock.head), format_args!("{} or earlier", clock.head));
        let earliest = clock.now + SIGNED_GRACE;
        let end = u64::try_from(end).ok().filter(|end| *end > earliest && i64::try_from(*end).is_ok());
        self.fits(name, end.is_some(), format_args!("a second later than {earliest}"));
        end
    }
}
