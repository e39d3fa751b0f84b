//! A token's OTC desk: on which terms deals in it are settled, and whether any are.

use alloy::primitives::{Address, U256};
use sqlx::PgConnection;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::amount::Amount;
use tokenx_indexer::read::Instrument;
use tokenx_indexer::read::node::{self, OtcTerms};

use crate::app::App;
use crate::ats::market::{Closed, Traded, tradable};
use crate::error::ApiError;
use crate::tokens::Currency;
use crate::tokens::record::Record as Token;

/// A desk that there is, whether it settles or not.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The token as it is indexed.
    pub instrument: Instrument,
    /// One whole token, base units.
    pub unit: U256,
    /// The contract that settles.
    pub contract: Address,
    /// Its terms.
    pub terms: OtcTerms,
    /// What is paid with: what the token's price is in.
    pub currency: Currency,
    listed: bool,
    open: bool,
}

impl Desk {
    /// The desk of a token, as of the indexed head; why there is none.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(app: &App, conn: &mut PgConnection, token: &Token) -> Result<Result<Desk, Closed>, ApiError> {
        let Traded { instrument, unit, contracts, listed } = match Traded::of(app, conn, token).await? {
            Ok(traded) => traded,
            Err(closed) => return Ok(Err(closed)),
        };
        let id = &instrument.instrument_id;
        let Some(contract) = contracts.otc_desk else {
            let message = format!("the node of {id} has no OTC desk");
            return Ok(Err(Closed::new(ReasonCode::NodeContractMissing, message)));
        };
        let Some(terms) = node::otc_terms(conn, app.chain_id(), contract, instrument.token).await? else {
            return Ok(Err(Closed::new(ReasonCode::MarketClosed, format!("{id} is not open to OTC deals"))));
        };
        let (currency, open) = (token.draft.token_price.currency.clone(), token.draft.is_open_to_otc && terms.open);
        Ok(Ok(Desk { instrument, unit, contract, terms, currency, listed, open }))
    }

    /// Why nothing is settled now.
    ///
    /// # Errors
    /// The reason.
    pub fn is_open(&self) -> Result<(), Closed> {
        tradable(&self.instrument, self.listed, self.open)
    }

    /// Money as people read it.
    pub fn money(&self, base: U256) -> Amount {
        Amount::new(base, self.currency.decimals)
    }

    /// Units as people read them.
    pub fn units(&self, base: U256) -> Amount {
        Amount::new(base, self.instrument.decimals)
    }
}
