//! Mints, burns, transfers, freezes and recoveries: one row, five faces.

use std::sync::Arc;

use alloy::primitives::Address;
use async_graphql::connection::Connection;
use async_graphql::{ID, InputObject, Object, OutputType};
use time::OffsetDateTime;
use tokenx_indexer::read::pages::{self, EventKey, EventKind, EventRow};

use super::filter::{AmountRaw, OfInstrument, OfPlace, OfWallet, addresses};
use super::party::Party;
use super::token::Token;
use super::total::{Counted, Total};
use crate::graphql::cursor::{Cursor, Order, Page, narrowed};
use crate::graphql::fault::Fault;
use crate::graphql::loaders::{EventCount, EventsOf, TokenAt};
use crate::graphql::reader::{Bounds, Reader};
use crate::graphql::scalars::{Addr, BigInt, Bytes32, Decimal, time_of};

/// What every event of a token says.
#[derive(Clone)]
pub(in crate::graphql) struct Event {
    reader: Arc<Reader>,
    row: Arc<EventRow>,
}

#[Object]
impl Event {
    /// Transaction hash and log index: unique, and the same after a re-index. `update_id` of the REST lists.
    async fn id(&self) -> ID {
        format!("{:#x}:{}", self.row.tx_hash, self.row.log_index).into()
    }

    /// What every text calls the instrument.
    async fn instrument_id(&self) -> &str {
        &self.row.instrument_id
    }

    /// The token.
    async fn token(&self) -> Result<Token, Fault> {
        let row = self.reader.load(TokenAt(self.row.token)).await?;
        let row = row.ok_or_else(|| Fault::internal("an event of a token that is not there"))?;
        Ok(Token::new(self.reader.clone(), row))
    }

    /// How much, in whole tokens.
    async fn amount(&self) -> Decimal {
        Decimal::of(self.row.amount, self.row.decimals)
    }

    /// How much, in base units.
    async fn amount_raw(&self) -> BigInt {
        BigInt(self.row.amount)
    }

    /// Block of the event.
    async fn block_number(&self) -> u64 {
        self.row.block_number
    }

    /// Place of the event in its block.
    async fn log_index(&self) -> u64 {
        self.row.log_index
    }

    /// Time of the block.
    async fn timestamp(&self) -> OffsetDateTime {
        time_of(self.row.block_time)
    }

    /// Transaction of the event.
    async fn transaction_hash(&self) -> Bytes32 {
        Bytes32(self.row.tx_hash)
    }

    /// The reason word of the event; null where it has none.
    async fn reason(&self) -> Option<Bytes32> {
        self.row.reason.map(Bytes32)
    }

    /// Who called the token; null where the event does not say.
    async fn operator(&self) -> Option<Addr> {
        self.row.operator.map(Addr)
    }

    /// On-chain id of the command that caused it; null where none did.
    async fn command_key(&self) -> Option<Bytes32> {
        self.row.command_key.map(Bytes32)
    }

    /// The client's name of that command; null where none did it, or where the chain has only a hash of the name and
    /// you may not see who is concerned.
    async fn command_id(&self) -> Result<Option<String>, Fault> {
        self.reader.command_id(self.row.command_key, self.row.executor).await
    }
}

impl Event {
    async fn party(&self, investor_id: Option<u64>, wallet: Address) -> Result<Option<Party>, Fault> {
        // The zero address is nobody.
        if wallet.is_zero() {
            return Ok(None);
        }
        self.reader.party_id(investor_id, wallet, self.row.executor).await.map(Party::named)
    }
}

/// Units that came into being.
pub(in crate::graphql) struct Mint(Event);

/// Units that were destroyed.
pub(in crate::graphql) struct Burn(Event);

/// Units that changed hands; the zero address is where a mint comes from and a burn goes to.
pub(in crate::graphql) struct Transfer(Event);

/// What is frozen of a wallet changed: its amounts are all that is frozen from then on.
pub(in crate::graphql) struct Freeze(Event);

/// A wallet whose key was lost was replaced: what it had of the token went to another one of the same investor.
pub(in crate::graphql) struct Recovery(Event);

#[Object]
impl Mint {
    #[graphql(flatten)]
    async fn event(&self) -> &Event {
        &self.0
    }

    /// The wallet that received them.
    async fn wallet(&self) -> Addr {
        Addr(self.0.row.to)
    }

    /// Who is behind the wallet; null where you may not know.
    async fn party(&self) -> Result<Option<Party>, Fault> {
        self.0.party(self.0.row.to_investor, self.0.row.to).await
    }
}

#[Object]
impl Burn {
    #[graphql(flatten)]
    async fn event(&self) -> &Event {
        &self.0
    }

    /// The wallet that they were taken from.
    async fn wallet(&self) -> Addr {
        Addr(self.0.row.from)
    }

    /// Who is behind the wallet; null where you may not know.
    async fn party(&self) -> Result<Option<Party>, Fault> {
        self.0.party(self.0.row.from_investor, self.0.row.from).await
    }

    /// Without the holder's consent.
    async fn forced(&self) -> bool {
        self.0.row.forced
    }
}

#[Object]
impl Transfer {
    #[graphql(flatten)]
    async fn event(&self) -> &Event {
        &self.0
    }

    /// Whose they were.
    async fn from(&self) -> Addr {
        Addr(self.0.row.from)
    }

    /// Whose they are.
    async fn to(&self) -> Addr {
        Addr(self.0.row.to)
    }

    /// Who is behind `from`; null where you may not know.
    #[graphql(name = "fromParty")]
    async fn party_before(&self) -> Result<Option<Party>, Fault> {
        self.0.party(self.0.row.from_investor, self.0.row.from).await
    }

    /// Who is behind `to`; null where you may not know.
    #[graphql(name = "toParty")]
    async fn party_after(&self) -> Result<Option<Party>, Fault> {
        self.0.party(self.0.row.to_investor, self.0.row.to).await
    }

    /// Without the holder's consent.
    async fn forced(&self) -> bool {
        self.0.row.forced
    }
}

#[Object]
impl Freeze {
    #[graphql(flatten)]
    async fn event(&self) -> &Event {
        &self.0
    }

    /// Whose units they are.
    async fn wallet(&self) -> Addr {
        Addr(self.0.row.to)
    }

    /// Who is behind the wallet; null where you may not know.
    async fn party(&self) -> Result<Option<Party>, Fault> {
        self.0.party(self.0.row.to_investor, self.0.row.to).await
    }

    /// The whole wallet is frozen for this token from then on.
    async fn address_frozen(&self) -> bool {
        self.0.row.address_frozen.unwrap_or_default()
    }
}

#[Object]
impl Recovery {
    #[graphql(flatten)]
    async fn event(&self) -> &Event {
        &self.0
    }

    /// The wallet that was lost.
    async fn lost(&self) -> Addr {
        Addr(self.0.row.from)
    }

    /// The wallet that has its units now.
    async fn replacement(&self) -> Addr {
        Addr(self.0.row.to)
    }

    /// Who is behind both; null where you may not know.
    async fn party(&self) -> Result<Option<Party>, Fault> {
        self.0.party(self.0.row.to_investor, self.0.row.to).await
    }
}

/// One of the five faces.
pub(in crate::graphql) trait Face: OutputType {
    fn of(reader: Arc<Reader>, row: EventRow) -> Self;
}

macro_rules! face {
    ($face:ident) => {
        impl Face for $face {
            fn of(reader: Arc<Reader>, row: EventRow) -> $face {
                $face(Event { reader, row: Arc::new(row) })
            }
        }
    };
}

face!(Mint);
face!(Burn);
face!(Transfer);
face!(Freeze);
face!(Recovery);

pub(in crate::graphql) type EventConnection<F> = Connection<Cursor<EventKey>, F, Total>;

/// What every list of events can be filtered by.
#[derive(Debug, Default)]
pub(in crate::graphql) struct Wanted {
    filter: pages::EventFilter,
    party: Option<String>,
    above: Option<EventKey>,
    below: Option<EventKey>,
}

/// Which mints. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct MintFilter {
    #[graphql(flatten)]
    of: OfInstrument,
    #[graphql(flatten)]
    who: OfWallet,
    #[graphql(flatten)]
    place: OfPlace,
    #[graphql(flatten)]
    size: AmountRaw,
}

/// Which burns. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct BurnFilter {
    #[graphql(flatten)]
    common: MintFilter,
    /// By force, or not.
    forced: Option<bool>,
}

/// Which transfers. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct TransferFilter {
    #[graphql(flatten)]
    common: MintFilter,
    /// Whose they were.
    from: Option<Addr>,
    #[graphql(name = "from_in")]
    from_in: Option<Vec<Addr>>,
    #[graphql(name = "from_not")]
    from_not: Option<Addr>,
    /// Whose they are.
    to: Option<Addr>,
    #[graphql(name = "to_in")]
    to_in: Option<Vec<Addr>>,
    #[graphql(name = "to_not")]
    to_not: Option<Addr>,
    /// By force, or not.
    forced: Option<bool>,
}

/// Which changes of what is frozen. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct FreezeFilter {
    #[graphql(flatten)]
    common: MintFilter,
}

/// Which recoveries. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct RecoveryFilter {
    #[graphql(flatten)]
    common: MintFilter,
}

impl From<MintFilter> for Wanted {
    fn from(filter: MintFilter) -> Wanted {
        let ((instruments, tokens), (wallets, party)) = (filter.of.choices(), filter.who.choices());
        let (above, below) = filter.place.keys();
        let (txs, time, amount) = (filter.place.txs(), filter.place.time(), filter.size.range());
        let filter = pages::EventFilter { tokens, instruments, wallets, txs, time, amount, ..Default::default() };
        Wanted { filter, party, above, below }
    }
}

impl From<BurnFilter> for Wanted {
    fn from(filter: BurnFilter) -> Wanted {
        let mut wanted = Wanted::from(filter.common);
        wanted.filter.forced = filter.forced;
        wanted
    }
}

impl From<TransferFilter> for Wanted {
    fn from(filter: TransferFilter) -> Wanted {
        let mut wanted = Wanted::from(filter.common);
        wanted.filter.from = addresses(filter.from, filter.from_in, filter.from_not);
        wanted.filter.to = addresses(filter.to, filter.to_in, filter.to_not);
        wanted.filter.forced = filter.forced;
        wanted
    }
}

impl From<FreezeFilter> for Wanted {
    fn from(filter: FreezeFilter) -> Wanted {
        filter.common.into()
    }
}

impl From<RecoveryFilter> for Wanted {
    fn from(filter: RecoveryFilter) -> Wanted {
        filter.common.into()
    }
}

/// A page of events, of one token or of all.
pub(in crate::graphql) async fn connection<F: Face, W: Into<Wanted>>(
    reader: &Arc<Reader>,
    kind: EventKind,
    parent: Option<Address>,
    page: Page,
    order: Order,
    filter: Option<W>,
) -> Result<EventConnection<F>, Fault> {
    let (window, cut) = page.window::<EventKey>(order)?;
    let wanted: Wanted = filter.map(Into::into).unwrap_or_default();
    let Bounds { owned, executors, .. } = reader.bounds(wanted.party.as_deref()).await?;
    let filter = pages::EventFilter { chain_id: reader.chain_id(), owned, executors, ..wanted.filter };
    // The cursor is no part of what is counted, the blocks are.
    let everything = pages::Window { above: wanted.above, below: wanted.below, descending: false, limit: 0 };
    let window = narrowed(window, wanted.above, wanted.below);
    let (rows, of) = match parent {
        None => {
            let rows = pages::event_page(&mut *reader.conn().await?, kind, &filter, &window).await?;
            (rows, Counted::Events(kind, Box::new(filter), everything))
        }
        Some(token) => {
            let filter = Arc::new(filter);
            let rows = reader.load(EventsOf { token, kind, filter: filter.clone(), window }).await?;
            let count = EventCount(EventsOf { token, kind, filter, window: everything });
            (rows.unwrap_or_default(), Counted::EventsOf(count))
        }
    };
    let total = Total { reader: reader.clone(), of };
    Ok(cut.connection(rows, total, EventRow::key, |row| F::of(reader.clone(), row)))
}
