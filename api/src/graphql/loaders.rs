//! What rows lead to, read for all rows of a level by one statement.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use async_graphql::dataloader::Loader;
use sqlx::PgConnection;
use tokenx_indexer::read::pages::{
    self, Choice, EventFilter, EventKey, EventKind, EventRow, HolderFilter, HolderRow, HoldingFilter, HoldingKey,
    HoldingRow, Window,
};
use tokenx_indexer::read::{self, Document, Hold, Instrument};
use tokenx_migrations::Addr;
use uuid::Uuid;

use super::fault::Fault;
use super::reader::Snapshot;
use crate::app::App;
use crate::store::parties;
use crate::tokens::facts;
use crate::tokens::record::{self, Record};
use crate::tokens::status::Status;

/// The batches of one request.
pub(super) struct Loads {
    app: App,
    snapshot: Arc<Snapshot>,
}

impl Loads {
    pub(super) fn new(app: App, snapshot: Arc<Snapshot>) -> Loads {
        Loads { app, snapshot }
    }
}

/// A token by its address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenAt(pub(super) Address);

impl Loader<TokenAt> for Loads {
    type Value = Instrument;
    type Error = Fault;

    async fn load(&self, keys: &[TokenAt]) -> Result<HashMap<TokenAt, Instrument>, Fault> {
        let tokens: Vec<Address> = keys.iter().map(|key| key.0).collect();
        let mut conn = self.snapshot.conn().await?;
        let found = pages::instruments_of_tokens(&mut *conn, self.app.chain_id(), &tokens).await?;
        Ok(found.into_iter().map(|(token, instrument)| (TokenAt(token), instrument)).collect())
    }
}

/// The instrument of an id; of several the one deployed first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct InstrumentOf(pub(super) String);

impl Loader<InstrumentOf> for Loads {
    type Value = Instrument;
    type Error = Fault;

    async fn load(&self, keys: &[InstrumentOf]) -> Result<HashMap<InstrumentOf, Instrument>, Fault> {
        let ids = keys.iter().map(|key| key.0.clone()).collect();
        let instruments = Choice::of(ids);
        let filter = pages::TokenFilter { chain_id: self.app.chain_id(), instruments, ..Default::default() };
        let newest_first = Window { above: None, below: None, descending: true, limit: i64::MAX };
        let mut conn = self.snapshot.conn().await?;
        let found = pages::token_page(&mut *conn, &filter, &newest_first).await?;
        // The later insertion wins, so the earlier deployment does.
        Ok(found.into_iter().map(|found| (InstrumentOf(found.instrument_id.clone()), found)).collect())
    }
}

/// A page of one token's holdings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HoldingsOf {
    pub(super) token: Address,
    pub(super) filter: Arc<HoldingFilter>,
    pub(super) by_size: bool,
    pub(super) window: Window<HoldingKey>,
}

impl Loader<HoldingsOf> for Loads {
    type Value = Vec<HoldingRow>;
    type Error = Fault;

    async fn load(&self, keys: &[HoldingsOf]) -> Result<HashMap<HoldingsOf, Vec<HoldingRow>>, Fault> {
        let mut loaded = HashMap::new();
        // Pages that differ in nothing but their token are one statement.
        for ((filter, by_size, window), keys) in alike(keys, |key| (key.filter.clone(), key.by_size, key.window)) {
            let tokens: Vec<Address> = keys.iter().map(|key| key.token).collect();
            let mut conn = self.snapshot.conn().await?;
            let mut found = pages::holdings_of_tokens(&mut *conn, &tokens, &filter, by_size, &window).await?;
            loaded.extend(keys.into_iter().map(|key| (key.clone(), found.remove(&key.token).unwrap_or_default())));
        }
        Ok(loaded)
    }
}

/// How many holdings one token has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HoldingCount {
    pub(super) token: Address,
    pub(super) filter: Arc<HoldingFilter>,
}

impl Loader<HoldingCount> for Loads {
    type Value = i64;
    type Error = Fault;

    async fn load(&self, keys: &[HoldingCount]) -> Result<HashMap<HoldingCount, i64>, Fault> {
        let mut loaded = HashMap::new();
        for (filter, keys) in alike(keys, |key| key.filter.clone()) {
            let tokens: Vec<Address> = keys.iter().map(|key| key.token).collect();
            let mut conn = self.snapshot.conn().await?;
            let found = pages::count_holdings_of_tokens(&mut *conn, &tokens, &filter).await?;
            let count = |token: &Address| found.get(token).copied().unwrap_or_default();
            loaded.extend(keys.into_iter().map(|key| (key.clone(), count(&key.token))));
        }
        Ok(loaded)
    }
}

/// A page of one token's holders.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HoldersOf {
    pub(super) token: Address,
    pub(super) filter: Arc<HolderFilter>,
    pub(super) window: Window<pages::HolderKey>,
}

impl Loader<HoldersOf> for Loads {
    type Value = Vec<HolderRow>;
    type Error = Fault;

    async fn load(&self, keys: &[HoldersOf]) -> Result<HashMap<HoldersOf, Vec<HolderRow>>, Fault> {
        let mut loaded = HashMap::new();
        for ((filter, window), keys) in alike(keys, |key| (key.filter.clone(), key.window)) {
            let tokens: Vec<Address> = keys.iter().map(|key| key.token).collect();
            let mut conn = self.snapshot.conn().await?;
            let mut found = pages::holders_of_tokens(&mut *conn, &tokens, &filter, &window).await?;
            loaded.extend(keys.into_iter().map(|key| (key.clone(), found.remove(&key.token).unwrap_or_default())));
        }
        Ok(loaded)
    }
}

/// How many holders one token has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HolderCount {
    pub(super) token: Address,
    pub(super) filter: Arc<HolderFilter>,
}

impl Loader<HolderCount> for Loads {
    type Value = i64;
    type Error = Fault;

    async fn load(&self, keys: &[HolderCount]) -> Result<HashMap<HolderCount, i64>, Fault> {
        let mut loaded = HashMap::new();
        for (filter, keys) in alike(keys, |key| key.filter.clone()) {
            let tokens: Vec<Address> = keys.iter().map(|key| key.token).collect();
            let mut conn = self.snapshot.conn().await?;
            let found = pages::count_holders_of_tokens(&mut *conn, &tokens, &filter).await?;
            let count = |token: &Address| found.get(token).copied().unwrap_or_default();
            loaded.extend(keys.into_iter().map(|key| (key.clone(), count(&key.token))));
        }
        Ok(loaded)
    }
}

/// The holds of one wallet in one token, at the head or as of a block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HoldsOf {
    pub(super) token: Address,
    pub(super) wallet: Address,
    pub(super) at: Option<u64>,
}

impl Loader<HoldsOf> for Loads {
    type Value = Vec<Hold>;
    type Error = Fault;

    async fn load(&self, keys: &[HoldsOf]) -> Result<HashMap<HoldsOf, Vec<Hold>>, Fault> {
        let mut loaded = HashMap::new();
        for (at, keys) in alike(keys, |key| key.at) {
            let wallets: Vec<_> = keys.iter().map(|key| (key.token, key.wallet)).collect();
            let mut conn = self.snapshot.conn().await?;
            let found = read::holds_of_wallets(&mut *conn, self.app.chain_id(), at, &wallets).await?;
            loaded.extend(found.into_iter().map(|((token, wallet), holds)| (HoldsOf { token, wallet, at }, holds)));
        }
        Ok(loaded)
    }
}

/// What existed of one token after a block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SupplyAt {
    pub(super) token: Address,
    pub(super) block: u64,
}

impl Loader<SupplyAt> for Loads {
    type Value = U256;
    type Error = Fault;

    async fn load(&self, keys: &[SupplyAt]) -> Result<HashMap<SupplyAt, U256>, Fault> {
        let tokens: Vec<_> = keys.iter().map(|key| (key.token, key.block)).collect();
        let mut conn = self.snapshot.conn().await?;
        let found = read::supplies_at(&mut *conn, self.app.chain_id(), &tokens).await?;
        Ok(found.into_iter().map(|((token, block), supply)| (SupplyAt { token, block }, supply)).collect())
    }
}

/// The documents of one token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct DocumentsOf(pub(super) Address);

impl Loader<DocumentsOf> for Loads {
    type Value = Vec<Document>;
    type Error = Fault;

    async fn load(&self, keys: &[DocumentsOf]) -> Result<HashMap<DocumentsOf, Vec<Document>>, Fault> {
        let tokens: Vec<Address> = keys.iter().map(|key| key.0).collect();
        let mut conn = self.snapshot.conn().await?;
        let found = read::documents_of_tokens(&mut *conn, self.app.chain_id(), &tokens).await?;
        Ok(found.into_iter().map(|(token, documents)| (DocumentsOf(token), documents)).collect())
    }
}

/// The record of the instrument that a node has deployed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RecordOf {
    pub(super) instrument_id: String,
    pub(super) executor: Address,
}

impl Loader<RecordOf> for Loads {
    type Value = (Record, Status);
    type Error = Fault;

    async fn load(&self, keys: &[RecordOf]) -> Result<HashMap<RecordOf, (Record, Status)>, Fault> {
        let ids: Vec<&str> = keys.iter().map(|key| key.instrument_id.as_str()).collect();
        let chain_id = self.app.chain_id();
        let mut conn = self.snapshot.conn().await?;
        let records = record::of_instruments(&mut *conn, chain_id, &ids).await?;
        let facts = facts::of(&mut conn, chain_id, &records).await?;
        let loaded = records.into_iter().zip(facts).map(|(record, facts)| {
            let instrument_id = record.draft.instrument_id.as_str().to_owned();
            (RecordOf { instrument_id, executor: record.executor }, (record, Status::of(&facts)))
        });
        Ok(loaded.collect())
    }
}

/// A page of one token's mints, burns or transfers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EventsOf {
    pub(super) token: Address,
    pub(super) kind: EventKind,
    pub(super) filter: Arc<EventFilter>,
    pub(super) window: Window<EventKey>,
}

impl Loader<EventsOf> for Loads {
    type Value = Vec<EventRow>;
    type Error = Fault;

    async fn load(&self, keys: &[EventsOf]) -> Result<HashMap<EventsOf, Vec<EventRow>>, Fault> {
        let mut loaded = HashMap::new();
        for ((kind, filter, window), keys) in alike(keys, |key| (key.kind, key.filter.clone(), key.window)) {
            let tokens: Vec<Address> = keys.iter().map(|key| key.token).collect();
            let mut conn = self.snapshot.conn().await?;
            let mut found = pages::events_of_tokens(&mut *conn, kind, &tokens, &filter, &window).await?;
            loaded.extend(keys.into_iter().map(|key| (key.clone(), found.remove(&key.token).unwrap_or_default())));
        }
        Ok(loaded)
    }
}

/// How many mints, burns or transfers one token has. The window's limit is no part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EventCount(pub(super) EventsOf);

impl Loader<EventCount> for Loads {
    type Value = i64;
    type Error = Fault;

    async fn load(&self, keys: &[EventCount]) -> Result<HashMap<EventCount, i64>, Fault> {
        let mut loaded = HashMap::new();
        for ((kind, filter, window), keys) in alike(keys, |key| (key.0.kind, key.0.filter.clone(), key.0.window)) {
            let tokens: Vec<Address> = keys.iter().map(|key| key.0.token).collect();
            let mut conn = self.snapshot.conn().await?;
            let found = pages::count_events_of_tokens(&mut *conn, kind, &tokens, &filter, &window).await?;
            let count = |token: &Address| found.get(token).copied().unwrap_or_default();
            loaded.extend(keys.into_iter().map(|key| (key.clone(), count(&key.0.token))));
        }
        Ok(loaded)
    }
}

/// The party of an investor number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PartyKey(pub(super) u64);

impl Loader<PartyKey> for Loads {
    type Value = String;
    type Error = Fault;

    async fn load(&self, keys: &[PartyKey]) -> Result<HashMap<PartyKey, String>, Fault> {
        let investors: Vec<u64> = keys.iter().map(|key| key.0).collect();
        let mut conn = self.snapshot.conn().await?;
        let found = parties::names(&mut conn, &investors).await?;
        Ok(found.into_iter().map(|(investor, name)| (PartyKey(investor), name)).collect())
    }
}

/// A holder of an issuer's instruments, as the issuer may know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HolderKey {
    pub(super) issuer: Uuid,
    /// Of the token's node.
    pub(super) executor: Address,
    pub(super) investor: Option<u64>,
}

/// The party, if the platform knows one; nothing at all where the node is another issuer's.
impl Loader<HolderKey> for Loads {
    type Value = Option<String>;
    type Error = Fault;

    async fn load(&self, keys: &[HolderKey]) -> Result<HashMap<HolderKey, Option<String>>, Fault> {
        let mut loaded = HashMap::new();
        for (issuer, keys) in alike(keys, |key| key.issuer) {
            let holders: Vec<_> = keys.iter().map(|key| (key.executor, key.investor)).collect();
            let mut conn = self.snapshot.conn().await?;
            let found = parties::names_of_holders(&mut conn, self.app.chain_id(), issuer, &holders).await?;
            let key = |(executor, investor)| HolderKey { issuer, executor, investor };
            loaded.extend(found.into_iter().map(|(holder, name)| (key(holder), name)));
        }
        Ok(loaded)
    }
}

/// The investor number of a party.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct InvestorKey(pub(super) String);

impl Loader<InvestorKey> for Loads {
    type Value = u64;
    type Error = Fault;

    async fn load(&self, keys: &[InvestorKey]) -> Result<HashMap<InvestorKey, u64>, Fault> {
        let ids: Vec<&str> = keys.iter().map(|key| key.0.as_str()).collect();
        let mut conn = self.snapshot.conn().await?;
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT party_id, investor_id FROM parties WHERE party_id = ANY ($1)")
                .bind(ids)
                .fetch_all(&mut *conn)
                .await?;
        Ok(rows.into_iter().map(|(party, investor)| (InvestorKey(party), investor.unsigned_abs())).collect())
    }
}

/// A command by its on-chain id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CommandKey(pub(super) B256);

impl Loader<CommandKey> for Loads {
    type Value = String;
    type Error = Fault;

    async fn load(&self, keys: &[CommandKey]) -> Result<HashMap<CommandKey, String>, Fault> {
        let ids: Vec<B256> = keys.iter().map(|key| key.0).collect();
        let mut conn = self.snapshot.conn().await?;
        let found = tokenx_keeper::command_ids(&mut *conn, &ids).await?;
        Ok(found.into_iter().map(|(key, id)| (CommandKey(key), id)).collect())
    }
}

/// The Executors of an issuer's nodes.
pub(super) async fn executors_of(
    conn: &mut PgConnection,
    chain_id: u64,
    issuer_id: Uuid,
) -> Result<Vec<Address>, Fault> {
    let executors: Vec<Addr> = sqlx::query_scalar("SELECT executor FROM nodes WHERE issuer_id = $1 AND chain_id = $2")
        .bind(issuer_id)
        .bind(chain_id.cast_signed())
        .fetch_all(conn)
        .await?;
    Ok(executors.into_iter().map(|executor| executor.0).collect())
}

/// Keys by what they have in common.
fn alike<K, S: Hash + Eq>(keys: &[K], shared: impl Fn(&K) -> S) -> HashMap<S, Vec<&K>> {
    let mut groups: HashMap<S, Vec<&K>> = HashMap::new();
    for key in keys {
        groups.entry(shared(key)).or_default().push(key);
    }
    groups
}
