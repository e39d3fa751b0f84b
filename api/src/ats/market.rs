//! An instrument's market: on which terms it trades, and whether it does now.

use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use moka::future::Cache;
use sqlx::PgConnection;
use time::{OffsetDateTime, UtcOffset};
use tokenx_config::{DayTime, MarketRules};
use tokenx_contracts::ReasonCode;
use tokenx_contracts::amount::Amount;
use tokenx_indexer::read::node::{self, ListingStatus, MarketTerms};
use tokenx_indexer::read::{self, Cursor, Instrument, NodeContracts};
use tokenx_migrations::Uint256;

use super::record::{Order, Shown};
use crate::app::App;
use crate::error::ApiError;
use crate::store::currencies;
use crate::tokens::Currency;
use crate::tokens::facts;
use crate::tokens::record::Record as Token;

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Markets that are kept, and for how long at most.
const MOST: u64 = 10_000;
const KEPT: Duration = Duration::from_secs(60);

/// What markets are read as of: as long as it is the same, what the chain says is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stand {
    /// Hash of the indexed head.
    pub head: B256,
    rewrites: u64,
}

impl From<&Cursor> for Stand {
    fn from(cursor: &Cursor) -> Stand {
        Stand { head: cursor.hash, rewrites: cursor.rewrites }
    }
}

/// Markets as they were read last, by token: each is read once a block, however many ask.
#[derive(Debug, Clone)]
pub struct Markets(Cache<(String, Stand), Market>);

impl Default for Markets {
    fn default() -> Markets {
        Markets(Cache::builder().max_capacity(MOST).time_to_live(KEPT).build())
    }
}

/// A market that there is, whether it trades or not.
#[derive(Debug, Clone)]
pub struct Market {
    /// The token as it is indexed.
    pub instrument: Instrument,
    /// One whole token, base units.
    pub unit: U256,
    /// The contract that settles.
    pub contract: Address,
    /// Its terms.
    pub terms: MarketTerms,
    /// What is paid with.
    pub currency: Currency,
    /// Prices are whole multiples of it.
    pub tick: U256,
    /// Its token is listed.
    pub listed: bool,
    /// Its issuer has opened it.
    pub open: bool,
    /// When it opens and closes each day; `None`: never.
    pub hours: Option<(DayTime, DayTime)>,
}

/// Why an instrument has no market, or none now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// As a code.
    pub code: ReasonCode,
    /// As a sentence.
    pub message: String,
}

impl Closed {
    pub(crate) fn new(code: ReasonCode, message: impl Into<String>) -> Closed {
        Closed { code, message: message.into() }
    }
}

/// A token on chain, as every way to trade it looks at it first.
#[derive(Debug, Clone)]
pub(crate) struct Traded {
    /// The token as it is indexed.
    pub(crate) instrument: Instrument,
    /// One whole token, base units.
    pub(crate) unit: U256,
    /// Its node's contracts.
    pub(crate) contracts: NodeContracts,
    /// It is listed.
    pub(crate) listed: bool,
}

impl Traded {
    /// A token, as of the indexed head; why it is not traded.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn of(
        app: &App,
        conn: &mut PgConnection,
        token: &Token,
    ) -> Result<Result<Traded, Closed>, ApiError> {
        let id = token.draft.instrument_id.as_str();
        let chain_id = app.chain_id();
        let facts = facts::of(&mut *conn, chain_id, std::slice::from_ref(token)).await?;
        let deployed = facts.into_iter().next().and_then(|facts| facts.deployment);
        let Some(deployed) = deployed else {
            return Ok(Err(Closed::new(ReasonCode::NotListed, format!("{id} is not deployed"))));
        };
        let Some(instrument) = read::instrument_of_token(&mut *conn, chain_id, deployed.token).await? else {
            return Err(ApiError::Unavailable("the chain is being read anew: try again".into()));
        };
        if instrument.inexact.is_some() {
            let code = ReasonCode::InstrumentInexact;
            return Ok(Err(Closed::new(code, code.message())));
        }
        let contracts = node::contracts_of_token(&mut *conn, chain_id, deployed.token).await?;
        let listing = deployed.listing.map(|listing| listing.status);
        let listed = !deployed.retired && listing == Some(ListingStatus::Listed);
        Ok(Ok(Traded { instrument, unit: deployed.unit, contracts, listed }))
    }
}

impl Market {
    /// The market of a token, as of the indexed head, which is at `stand`; why there is none.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(
        app: &App,
        conn: &mut PgConnection,
        token: &Token,
        stand: Stand,
    ) -> Result<Result<Market, Closed>, ApiError> {
        let Markets(known) = app.markets();
        let key = (token.token_id.clone(), stand);
        let market = match known.get(&key).await {
            Some(market) => market,
            None => match Market::read(app, conn, token).await? {
                Ok(market) => {
                    known.insert(key, market.clone()).await;
                    market
                }
                Err(closed) => return Ok(Err(closed)),
            },
        };
        // The issuer may close it, whatever the chain says.
        Ok(Ok(Market { open: token.draft.is_open_to_secondary_market && market.terms.open, ..market }))
    }

    async fn read(app: &App, conn: &mut PgConnection, token: &Token) -> Result<Result<Market, Closed>, ApiError> {
        let Traded { instrument, unit, contracts, listed } = match Traded::of(app, conn, token).await? {
            Ok(traded) => traded,
            Err(closed) => return Ok(Err(closed)),
        };
        let (chain_id, id) = (app.chain_id(), instrument.instrument_id.as_str());
        let Some(contract) = contracts.secondary_market else {
            let message = format!("the node of {id} has no market");
            return Ok(Err(Closed::new(ReasonCode::NodeContractMissing, message)));
        };
        let Some(terms) = node::market_terms(&mut *conn, chain_id, contract, instrument.token).await? else {
            return Ok(Err(Closed::new(ReasonCode::MarketClosed, format!("the market of {id} has no terms yet"))));
        };
        let known = currencies::list(&mut *conn, chain_id).await?;
        let Some(currency) = known.into_iter().find(|known| known.address == terms.payment_token) else {
            let message = format!("{id} is paid for in {}, which is no currency here", terms.payment_token);
            return Ok(Err(Closed::new(ReasonCode::WrongPaymentToken, message)));
        };
        let rules = app.settings().market.instruments.iter().find(|rules| rules.instrument_id == id);
        Ok(Ok(Market {
            unit,
            tick: tick(rules, &currency),
            listed,
            open: terms.open,
            hours: rules.and_then(|rules| rules.opens.zip(rules.closes)),
            instrument,
            contract,
            terms,
            currency,
        }))
    }

    /// Why nothing is matched now.
    ///
    /// # Errors
    /// The reason.
    pub fn is_open(&self, now: u64) -> Result<(), Closed> {
        let id = &self.instrument.instrument_id;
        tradable(&self.instrument, self.listed, self.open)?;
        let second = now % DAY;
        if self.hours.is_some_and(|(opens, closes)| !(opens.seconds()..closes.seconds()).contains(&second)) {
            let message = format!("the market of {id} is closed at this time of day");
            return Err(Closed::new(ReasonCode::OutsideHours, message));
        }
        Ok(())
    }

    /// When the day of orders ends that are placed at `now`: with its session, or at midnight UTC.
    pub fn day_ends(&self, now: u64) -> u64 {
        let midnight = now - now % DAY;
        let closes = self.hours.map_or(DAY, |(_, closes)| closes.seconds());
        let end = midnight + closes;
        if end > now { end } else { end + DAY }
    }

    /// An order that has just been placed here, as it is shown: nothing of it is matched.
    pub(crate) fn fresh(&self, order: Order) -> Shown {
        Shown {
            order,
            decimals: i16::from(self.instrument.decimals),
            payment_decimals: i16::from(self.currency.decimals),
            payment_symbol: self.currency.symbol.clone(),
            settled: Uint256(U256::ZERO),
            failed: Uint256(U256::ZERO),
            counts_on_chain: false,
        }
    }

    /// A price as people read it.
    pub fn price(&self, base: U256) -> Amount {
        Amount::new(base, self.currency.decimals)
    }

    /// Units as people read them.
    pub fn units(&self, base: U256) -> Amount {
        Amount::new(base, self.instrument.decimals)
    }
}

/// Why a token does not change hands for money here.
///
/// # Errors
/// The reason.
pub(crate) fn tradable(instrument: &Instrument, listed: bool, open: bool) -> Result<(), Closed> {
    let id = &instrument.instrument_id;
    if !listed {
        return Err(Closed::new(ReasonCode::NotListed, format!("{id} is not listed")));
    }
    if !open {
        return Err(Closed::new(ReasonCode::MarketClosed, format!("the market of {id} is closed")));
    }
    if instrument.transfers_paused {
        return Err(Closed::new(ReasonCode::TokenPaused, ReasonCode::TokenPaused.message()));
    }
    Ok(())
}

/// The instrument's own, or the smallest there is.
fn tick(rules: Option<&MarketRules>, currency: &Currency) -> U256 {
    let own = rules.and_then(|rules| rules.tick.as_deref());
    let own = own.and_then(|text| Amount::parse(text, currency.decimals).ok()).map(|amount| amount.base());
    own.filter(|tick| !tick.is_zero()).unwrap_or(U256::ONE)
}

/// Unix seconds of a time.
pub fn seconds(at: OffsetDateTime) -> u64 {
    u64::try_from(at.to_offset(UtcOffset::UTC).unix_timestamp()).unwrap_or_default()
}
