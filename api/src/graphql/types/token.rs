use std::sync::Arc;

use alloy::primitives::U256;
use async_graphql::connection::Connection;
use async_graphql::{Enum, ID, InputObject, Object, SimpleObject};
use time::OffsetDateTime;
use tokenx_indexer::read::pages::{self, EventKind, TokenKey};
use tokenx_indexer::read::{self, Instrument};

use super::document::Document;
use super::event::{
    self, Burn, BurnFilter, Freeze, FreezeFilter, Mint, MintFilter, Recovery, RecoveryFilter, Transfer, TransferFilter,
};
use super::filter::{CreatedBlockNumber, TotalSupplyRaw, addresses, choice};
use super::holder::{self, HolderConnection, HolderFilter};
use super::holding::{self, HoldingFilter};
use super::record::Record;
use super::total::{Counted, Total};
use crate::graphql::cursor::{Cursor, HolderOrder, HoldingOrder, Order, Page};
use crate::graphql::fault::Fault;
use crate::graphql::limits::nested_rows;
use crate::graphql::loaders::{DocumentsOf, RecordOf, SupplyAt};
use crate::graphql::reader::Reader;
use crate::graphql::scalars::{Addr, BigInt, Bytes32, Decimal, time_of};

/// A security token on chain, our own or one that is followed: the instrument.
#[derive(Clone)]
pub(in crate::graphql) struct Token {
    reader: Arc<Reader>,
    row: Arc<Instrument>,
}

impl Token {
    /// Decimals of its amounts.
    pub(super) fn scale(&self) -> u8 {
        self.row.decimals
    }

    async fn supply(&self, as_of: Option<u64>) -> Result<U256, Fault> {
        let Some(block) = self.reader.past(as_of).await? else { return Ok(self.row.total_supply) };
        let then = self.reader.load(SupplyAt { token: self.row.token, block }).await?;
        Ok(then.unwrap_or_default())
    }

    pub(in crate::graphql) fn new(reader: Arc<Reader>, row: Instrument) -> Token {
        Token { reader, row: Arc::new(row) }
    }
}

/// Which countries recipients may be in.
#[derive(SimpleObject)]
pub(in crate::graphql) struct CountryRule {
    /// What it does with those listed.
    mode: CountryMode,
    /// ISO 3166-1 numeric codes, ascending; 0 stands for a country that is not given.
    countries: Vec<u16>,
}

/// What a country rule does with the countries that it lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum CountryMode {
    /// No recipient may be there.
    Refuse,
    /// Recipients may be nowhere else.
    Admit,
}

impl From<read::CountryRule> for CountryRule {
    fn from(rule: read::CountryRule) -> CountryRule {
        let mode = if rule.admits { CountryMode::Admit } else { CountryMode::Refuse };
        CountryRule { mode, countries: rule.countries }
    }
}

/// Which tokens. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct TokenFilter {
    /// The instrument's id.
    instrument_id: Option<String>,
    #[graphql(name = "instrumentId_in")]
    instrument_id_in: Option<Vec<String>>,
    #[graphql(name = "instrumentId_not")]
    instrument_id_not: Option<String>,
    /// The token's address.
    address: Option<Addr>,
    #[graphql(name = "address_in")]
    address_in: Option<Vec<Addr>>,
    #[graphql(name = "address_not")]
    address_not: Option<Addr>,
    /// The chain's own symbol.
    symbol: Option<String>,
    #[graphql(name = "symbol_in")]
    symbol_in: Option<Vec<String>>,
    #[graphql(name = "symbol_not")]
    symbol_not: Option<String>,
    /// The Executor of the token's node.
    executor: Option<Addr>,
    #[graphql(name = "executor_in")]
    executor_in: Option<Vec<Addr>>,
    #[graphql(flatten)]
    created: CreatedBlockNumber,
    #[graphql(flatten)]
    supply: TotalSupplyRaw,
}

/// A page of tokens.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    page: Page,
    order: Order,
    filter: Option<TokenFilter>,
) -> Result<Connection<Cursor<TokenKey>, Token, Total>, Fault> {
    let (window, cut) = page.window::<TokenKey>(order)?;
    let filter = filter.unwrap_or_default();
    let filter = pages::TokenFilter {
        chain_id: reader.chain_id(),
        tokens: addresses(filter.address, filter.address_in, filter.address_not),
        instruments: choice(filter.instrument_id, filter.instrument_id_in, filter.instrument_id_not),
        symbols: choice(filter.symbol, filter.symbol_in, filter.symbol_not),
        executors: addresses(filter.executor, filter.executor_in, None).any,
        created_block: filter.created.range(),
        supply: filter.supply.range(),
    };
    let rows = pages::token_page(&mut *reader.conn().await?, &filter, &window).await?;
    let total = Total { reader: reader.clone(), of: Counted::Tokens(filter) };
    Ok(cut.connection(rows, total, |row| (row.created_block, row.token), |row| Token::new(reader.clone(), row)))
}

#[Object]
impl Token {
    /// The address.
    async fn id(&self) -> ID {
        self.row.token.to_checksum(None).into()
    }

    /// Address of the token contract.
    async fn address(&self) -> Addr {
        Addr(self.row.token)
    }

    /// What every text calls the instrument.
    async fn instrument_id(&self) -> &str {
        &self.row.instrument_id
    }

    /// The chain's own name, cleaned.
    async fn name(&self) -> &str {
        &self.row.name
    }

    /// The chain's own symbol, cleaned.
    async fn symbol(&self) -> &str {
        &self.row.symbol
    }

    /// Base units of one whole token: ten to the power of this.
    async fn decimals(&self) -> u8 {
        self.row.decimals
    }

    /// What exists, in whole tokens; or existed after a past block.
    async fn total_supply(&self, as_of_block: Option<u64>) -> Result<Decimal, Fault> {
        Ok(Decimal::of(self.supply(as_of_block).await?, self.row.decimals))
    }

    /// What exists, in base units; or existed after a past block.
    async fn total_supply_raw(&self, as_of_block: Option<u64>) -> Result<BigInt, Fault> {
        self.supply(as_of_block).await.map(BigInt)
    }

    /// What may exist at most, in whole tokens; null where the contract has no such limit.
    async fn max_supply(&self) -> Option<Decimal> {
        self.row.max_supply.map(|supply| Decimal::of(supply, self.row.decimals))
    }

    /// What may exist at most, in base units.
    async fn max_supply_raw(&self) -> Option<BigInt> {
        self.row.max_supply.map(BigInt)
    }

    /// The Executor of its node, through which commands reach it; null for a followed token.
    async fn executor(&self) -> Option<Addr> {
        self.row.executor.map(Addr)
    }

    /// The investor registry that it asks; null for a followed token.
    async fn registry(&self) -> Option<Addr> {
        self.row.registry.map(Addr)
    }

    /// Transfers between holders are paused.
    async fn transfers_paused(&self) -> bool {
        self.row.transfers_paused
    }

    /// Mint and burn are paused.
    async fn supply_paused(&self) -> bool {
        self.row.supply_paused
    }

    /// Most wallets that may have some of it; null where there is no limit.
    async fn max_holders(&self) -> Option<u32> {
        self.row.max_holders
    }

    /// Most that one wallet may have, in whole tokens; null where there is no limit.
    async fn max_balance(&self) -> Option<Decimal> {
        self.row.max_balance.map(|most| Decimal::of(most, self.row.decimals))
    }

    /// Most that one wallet may have, in base units.
    async fn max_balance_raw(&self) -> Option<BigInt> {
        self.row.max_balance.map(BigInt)
    }

    /// Where recipients may be; null where anywhere.
    async fn country_rule(&self) -> Option<CountryRule> {
        self.row.country_rule.clone().map(CountryRule::from)
    }

    /// What its issuer says of it and where it stands; null where there is no record, or one that you may not see: others
    /// than public ones are their issuer's and staff's.
    async fn record(&self) -> Result<Option<Record>, Fault> {
        let Some(executor) = self.row.executor else { return Ok(None) };
        let key = RecordOf { instrument_id: self.row.instrument_id.clone(), executor };
        let found = self.reader.load(key).await?;
        Ok(found.filter(|(record, _)| self.reader.sees(record)).map(|(record, status)| Record::new(record, status)))
    }

    /// Its documents, by name.
    #[graphql(complexity = "nested_rows(None, None, child_complexity)")]
    async fn documents(&self) -> Result<Vec<Document>, Fault> {
        let documents = self.reader.load(DocumentsOf(self.row.token)).await?.unwrap_or_default();
        Ok(documents.into_iter().map(Document::from).collect())
    }

    /// Block of its deployment; for a followed token the block it is followed from.
    async fn created_block_number(&self) -> u64 {
        self.row.created_block
    }

    /// Time of that block.
    async fn created_at(&self) -> OffsetDateTime {
        time_of(self.row.created_time)
    }

    /// Transaction of its deployment; null for a followed token.
    async fn created_transaction_hash(&self) -> Option<Bytes32> {
        self.row.created_tx.map(Bytes32)
    }

    /// Why its holdings are not shown: its logs do not add up. Null while they do.
    async fn inexact(&self) -> Option<&str> {
        self.row.inexact.as_deref()
    }

    /// Its holdings above zero, by wallet unless asked otherwise; 10 of them unless asked otherwise. As of a past block
    /// they are what the contract would have said then.
    #[graphql(complexity = "nested_rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn holdings(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<HoldingFilter>,
        #[graphql(default_with = "HoldingOrder::ByWallet")] order: HoldingOrder,
        as_of_block: Option<u64>,
    ) -> Result<holding::HoldingConnection, Fault> {
        let page = Page::nested(first, after, last, before);
        holding::connection(&self.reader, Some(self.row.token), page, order, filter, as_of_block).await
    }

    /// Who holds it, largest first: the wallets of one investor count as one holder. 10 unless asked otherwise.
    #[graphql(complexity = "nested_rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn holders(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<HolderFilter>,
        #[graphql(default_with = "HolderOrder::LargestFirst")] order: HolderOrder,
        as_of_block: Option<u64>,
    ) -> Result<HolderConnection, Fault> {
        let page = Page::nested(first, after, last, before);
        holder::connection(&self.reader, self.row.token, page, order, filter, as_of_block).await
    }

    /// Its mints; 10 unless asked otherwise.
    #[graphql(complexity = "nested_rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn mints(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<MintFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<event::EventConnection<Mint>, Fault> {
        let page = Page::nested(first, after, last, before);
        event::connection(&self.reader, EventKind::Mint, Some(self.row.token), page, order, filter).await
    }

    /// Its burns; 10 unless asked otherwise.
    #[graphql(complexity = "nested_rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn burns(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<BurnFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<event::EventConnection<Burn>, Fault> {
        let page = Page::nested(first, after, last, before);
        event::connection(&self.reader, EventKind::Burn, Some(self.row.token), page, order, filter).await
    }

    /// Its transfers, mints and burns among them; 10 unless asked otherwise.
    #[graphql(complexity = "nested_rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn transfers(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<TransferFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<event::EventConnection<Transfer>, Fault> {
        let page = Page::nested(first, after, last, before);
        event::connection(&self.reader, EventKind::Transfer, Some(self.row.token), page, order, filter).await
    }

    /// Changes of what is frozen of it; 10 unless asked otherwise.
    #[graphql(complexity = "nested_rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn freezes(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<FreezeFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<event::EventConnection<Freeze>, Fault> {
        let page = Page::nested(first, after, last, before);
        event::connection(&self.reader, EventKind::Freeze, Some(self.row.token), page, order, filter).await
    }

    /// Recoveries of its wallets; 10 unless asked otherwise.
    #[graphql(complexity = "nested_rows(first, last, child_complexity)")]
    #[allow(clippy::too_many_arguments, reason = "the arguments of a relay list")]
    async fn recoveries(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<RecoveryFilter>,
        #[graphql(default_with = "Order::NewestFirst")] order: Order,
    ) -> Result<event::EventConnection<Recovery>, Fault> {
        let page = Page::nested(first, after, last, before);
        event::connection(&self.reader, EventKind::Recovery, Some(self.row.token), page, order, filter).await
    }
}
