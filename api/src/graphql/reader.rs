//! One request's view of the database: every statement sees the same state, that of the indexed head, and nothing is
//! read twice.

use std::sync::Arc;

use alloy::primitives::{Address, B256};
use async_graphql::dataloader::{DataLoader, HashMapCache, Loader};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokenx_indexer::read::{self, Cursor};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard, OnceCell};

use super::access::{Access, Parties};
use super::fault::{Code, Fault};
use super::loaders::{CommandKey, HolderKey, InvestorKey, Loads, PartyKey};
use crate::app::App;
use crate::auth::Viewer;
use crate::policy::{Operation, Role};
use crate::store::parties;
use crate::tokens::record::Record;

/// A snapshot and what was read in it.
pub(super) struct Reader {
    app: App,
    access: Access,
    snapshot: Arc<Snapshot>,
    loader: DataLoader<Loads, HashMapCache>,
    own_executors: OnceCell<Vec<Address>>,
    cursor: OnceCell<Cursor>,
}

impl Reader {
    /// For one request of this asker. Takes no connection before the first read.
    pub(super) fn new(app: &App, access: Access) -> Arc<Reader> {
        let snapshot = Arc::new(Snapshot { pool: app.pool().clone(), open: Mutex::new(None) });
        let loads = Loads::new(app.clone(), snapshot.clone());
        Arc::new(Reader {
            app: app.clone(),
            access,
            snapshot,
            loader: DataLoader::with_cache(loads, tokio::spawn, HashMapCache::default()),
            own_executors: OnceCell::new(),
            cursor: OnceCell::new(),
        })
    }

    pub(super) fn app(&self) -> &App {
        &self.app
    }

    pub(super) fn chain_id(&self) -> u64 {
        self.app.chain_id()
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// The snapshot's connection, for a statement that nothing else in the request repeats.
    pub(super) async fn conn(&self) -> Result<Conn<'_>, Fault> {
        self.snapshot.conn().await
    }

    /// How far the chain is indexed.
    ///
    /// # Errors
    /// Unavailable before anything is.
    pub(super) async fn cursor(&self) -> Result<&Cursor, Fault> {
        let read = async || {
            let cursor = read::cursor(&mut *self.conn().await?, self.chain_id()).await?;
            let unread = || format!("chain {} has not been read yet: try again", self.chain_id());
            cursor.ok_or_else(|| Fault::new(Code::Unavailable, unread()))
        };
        self.cursor.get_or_try_init(read).await
    }

    /// The block that a figure is asked as of, where it is not the indexed head.
    ///
    /// # Errors
    /// It is above the head, or below what was read.
    pub(super) async fn past(&self, as_of: Option<u64>) -> Result<Option<u64>, Fault> {
        let Some(block) = as_of else { return Ok(None) };
        let Cursor { start, number, .. } = *self.cursor().await?;
        if block > number {
            return Err(Fault::bad_input(format!(
                "asOfBlock: {block} is above the indexed head {number}: send that or less, or leave it out"
            )));
        }
        if block < start {
            return Err(Fault::bad_input(format!(
                "asOfBlock: {block} is below block {start}, from which the chain is read: send that or more"
            )));
        }
        Ok((block < number).then_some(block))
    }

    /// A value by its key, batched with what others ask for at the same time.
    pub(super) async fn load<K>(&self, key: K) -> Result<Option<<Loads as Loader<K>>::Value>, Fault>
    where
        K: Send + Sync + std::hash::Hash + Eq + Clone + 'static,
        Loads: Loader<K, Error = Fault>,
    {
        self.loader.load_one(key).await
    }

    /// The Executors of the asking issuer's nodes; none for whoever is no issuer.
    async fn own_executors(&self) -> Result<&[Address], Fault> {
        let Parties::HoldersOf(issuer) = *self.access.parties() else { return Ok(&[]) };
        let found = self.own_executors.get_or_try_init(async || {
            super::loaders::executors_of(&mut *self.conn().await?, self.chain_id(), issuer).await
        });
        Ok(found.await?)
    }

    /// The instruments of the asking issuer; `None` for whoever is no issuer, and sees all.
    pub(super) async fn own_instruments(&self) -> Result<Option<Vec<String>>, Fault> {
        let Some(viewer) = self.access.viewer().filter(|viewer| viewer.role == Role::Issuer) else { return Ok(None) };
        let Some(issuer) = viewer.issuer_id else { return Ok(Some(Vec::new())) };
        let mut conn = self.conn().await?;
        let own = parties::tokens_of_issuer(&mut conn, self.chain_id(), issuer).await?;
        Ok(Some(own.into_iter().map(|own| own.instrument_id).collect()))
    }

    /// Whether the asker may see a token's record: a public one, or one that `GET /v2/admin/token/{token_id}` would show.
    pub(super) fn sees(&self, record: &Record) -> bool {
        let shown = self.access.may(Operation::GetToken);
        let own = |viewer: &Viewer| viewer.role != Role::Issuer || viewer.issuer_id == Some(record.issuer_id);
        record.draft.is_public || shown.is_ok_and(own)
    }

    /// What to call whoever is behind a wallet that a row of some token names; `None` where the asker may not know.
    pub(super) async fn party_id(
        &self,
        investor_id: Option<u64>,
        wallet: Address,
        executor: Option<Address>,
    ) -> Result<Option<String>, Fault> {
        let name = match (self.access.parties(), investor_id) {
            (Parties::None, _) => return Ok(None),
            (Parties::HoldersOf(issuer), investor) => {
                let Some(executor) = executor else { return Ok(None) };
                match self.load(HolderKey { issuer: *issuer, executor, investor }).await? {
                    Some(name) => name,
                    None => return Ok(None),
                }
            }
            (Parties::Own(_) | Parties::All, Some(investor)) => self.load(PartyKey(investor)).await?,
            (Parties::Own(_) | Parties::All, None) => None,
        };
        Ok(match self.access.parties() {
            Parties::Own(own) => name.filter(|name| name == own),
            // A wallet that no party of ours has is its own party.
            _ => Some(name.unwrap_or_else(|| wallet.to_checksum(None))),
        })
    }

    /// What a filter by party means.
    ///
    /// # Errors
    /// Forbidden for a party that the asker may not know of, whether there is one or not.
    pub(super) async fn bounds(&self, party: Option<&str>) -> Result<Bounds, Fault> {
        let Some(party) = party else { return Ok(Bounds::default()) };
        let forbidden = || Fault::new(Code::Forbidden, "party: you may filter only by parties that you may see");
        let executors = match self.access.parties() {
            Parties::None => return Err(forbidden()),
            Parties::Own(own) if own != party => return Err(forbidden()),
            Parties::Own(_) | Parties::All => None,
            Parties::HoldersOf(_) => Some(self.own_executors().await?.to_vec()),
        };
        // Nobody has this number and none of these wallets: an unknown party has no rows.
        let unknown = Bounds { investor: Some(u64::MAX), owned: Some(Vec::new()), executors: None };
        let Some(investor) = self.load(InvestorKey(party.to_owned())).await? else { return Ok(unknown) };
        let wallets = read::wallets_of_investor(&mut *self.conn().await?, self.chain_id(), investor).await?;
        let owned = wallets.into_iter().map(|wallet| wallet.wallet).collect();
        Ok(Bounds { investor: Some(investor), owned: Some(owned), executors })
    }

    /// The client's name of the command behind an on-chain id: the keeper's word where the asker may see who is
    /// concerned, else what the id spells out by itself.
    pub(super) async fn command_id(
        &self,
        key: Option<B256>,
        executor: Option<Address>,
    ) -> Result<Option<String>, Fault> {
        let Some(key) = key else { return Ok(None) };
        if let Some(readable) = tokenx_contracts::ids::readable(key) {
            return Ok(Some(readable));
        }
        let may = match self.access.parties() {
            Parties::None | Parties::Own(_) => false,
            Parties::HoldersOf(_) => {
                let own = self.own_executors().await?;
                executor.is_some_and(|executor| own.contains(&executor))
            }
            Parties::All => true,
        };
        if may { self.load(CommandKey(key)).await } else { Ok(None) }
    }
}

/// What a filter by party comes down to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The party's number in the registry, which it keeps.
    pub(super) investor: Option<u64>,
    /// Its wallets by now.
    pub(super) owned: Option<Vec<Address>>,
    /// The nodes whose tokens may be looked into for it.
    pub(super) executors: Option<Vec<Address>>,
}

/// A transaction that is begun by the first statement and read only.
#[derive(Debug)]
pub(super) struct Snapshot {
    pool: PgPool,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open(Transaction<'static, Postgres>);

/// The connection of a [`Snapshot`], for one statement.
pub(super) type Conn<'a> = MappedMutexGuard<'a, PgConnection>;

impl Snapshot {
    pub(super) async fn conn(&self) -> Result<Conn<'_>, Fault> {
        let mut open = self.open.lock().await;
        if open.is_none() {
            // The statement's own limit ends it in the database too, where dropping the request does not reach.
            // Each statement is planned for the filters it has: one plan for any of them would scan.
            const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
                                 SET LOCAL statement_timeout = '5s';
                                 SET LOCAL plan_cache_mode = force_custom_plan";
            *open = Some(Open(tokenx_migrations::begin_with(&self.pool, BEGIN).await?));
        }
        MutexGuard::try_map(open, |open| open.as_mut().map(|open| &mut *open.0))
            .map_err(|_| Fault::internal("a snapshot that was begun is not open"))
    }
}
