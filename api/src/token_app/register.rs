//! The register of holders: who holds what as of the confirmed block, kept in memory in the order of the list.
//!
//! Every page of that list counts and sorts all of it, which for the database is work on every holding. Here it is done
//! once; when the confirmed block has moved, the accounts that changed meanwhile are read again, and no others. After a
//! reorg, or whatever else changes what lies behind, everything is. It takes some 300 bytes of memory a row.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tokenx_contracts::amount::Amount;
use tokenx_contracts::ids::Holder;
use tokenx_indexer::read::{self, AsOf};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::holdings::Holding;
use super::scope;
use crate::app::App;
use crate::error::ApiError;
use crate::store::parties;

/// The register of the platform's chain; empty until it is asked for.
#[derive(Debug, Default, Clone)]
pub(crate) struct Register(Arc<RwLock<Kept>>);

/// Where a row stands in the list of its instrument: its party, as it shows, and its `holding_cid`.
type Place = (Arc<str>, B256);
type Rows = BTreeMap<Place, Part>;
/// Rows in order, with the decimals of their token.
type List<'a> = Box<dyn ExactSizeIterator<Item = (&'a Place, Part, u8)> + 'a>;

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// `None` until it is read.
    as_of: Option<AsOf>,
    chain_id: u64,
    tokens: HashMap<Address, Rows>,
    /// What each wallet's party is called.
    parties: HashMap<Address, Arc<str>>,
    /// Investors of whom the platform knew no party.
    unknown: HashSet<u64>,
}

/// The spendable or the locked part of a holding, in base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    amount: U256,
    locked: bool,
}

impl Register {
    /// The register as it is now, or a little later: as of `wanted`, which was just read, or of a newer block.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn now(&self, app: &App, wanted: AsOf) -> Result<OwnedRwLockReadGuard<Kept>, ApiError> {
        let kept = self.0.clone().read_owned().await;
        if kept.is_of(wanted) && kept.unknown.is_empty() {
            return Ok(kept);
        }
        drop(kept);
        // In a task of its own: a request that waits for its deadline only, or leaves, does not undo what was read.
        let (register, app) = (self.clone(), app.clone());
        tokio::spawn(async move { register.catch_up(&app, wanted).await }).await.map_err(ApiError::internal)??;
        Ok(self.0.clone().read_owned().await)
    }

    async fn catch_up(&self, app: &App, wanted: AsOf) -> Result<(), ApiError> {
        let mut kept = self.0.write().await;
        if kept.is_of(wanted) && kept.unknown.is_empty() {
            return Ok(());
        }
        let mut tx = read::snapshot(app.pool()).await?;
        let to = scope::as_of(app, &mut tx).await?;
        let unknown: Vec<u64> = kept.unknown.iter().copied().collect();
        let named = !unknown.is_empty() && !parties::names(&mut tx, &unknown).await?.is_empty();
        match kept.as_of {
            Some(after) if !named && after.rewrites == to.rewrites && after.block <= to.block => {
                if after != to {
                    let changed = read::accounts_changed(&mut *tx, app.chain_id(), after, to).await?;
                    let accounts = read::these_accounts_at(&mut *tx, app.chain_id(), to.block, &changed).await?;
                    let named = names(&mut tx, &accounts).await?;
                    kept.forget(&changed);
                    kept.put(&accounts, &named);
                    kept.as_of = Some(to);
                }
            }
            _ => {
                let accounts = read::accounts_at(&mut *tx, app.chain_id(), to.block).await?;
                let named = names(&mut tx, &accounts).await?;
                *kept = Kept { as_of: Some(to), chain_id: app.chain_id(), ..Kept::default() };
                kept.put(&accounts, &named);
            }
        }
        Ok(())
    }
}

async fn names(conn: &mut PgConnection, accounts: &[read::Account]) -> Result<HashMap<u64, String>, sqlx::Error> {
    let investors: HashSet<u64> = accounts.iter().filter_map(|account| account.investor_id).collect();
    parties::names(conn, &Vec::from_iter(investors)).await
}

impl Kept {
    /// What it is as of.
    pub(super) fn as_of(&self) -> Option<AsOf> {
        self.as_of
    }

    /// How many rows these instruments have, all or of one holder, and so many of them after so many others: by
    /// instrument, party and cid.
    pub(super) fn page(
        &self,
        instruments: &[read::Instrument],
        holder: Option<&Holder>,
        limit: usize,
        offset: usize,
    ) -> (usize, Vec<Holding>) {
        let mut lists: BTreeMap<&str, Vec<List<'_>>> = BTreeMap::new();
        for instrument in instruments {
            let list = lists.entry(&instrument.instrument_id).or_default();
            list.extend(self.list(instrument, holder));
        }
        let total = lists.values().flatten().map(ExactSizeIterator::len).sum();
        let rows = lists.into_iter().flat_map(|(id, lists)| in_order(lists).map(move |row| (id, row)));
        let page = rows.skip(offset).take(limit).map(|(instrument_id, ((party, cid), part, decimals))| Holding {
            holding_cid: hex::encode(cid),
            party_id: party.to_string(),
            instrument_id: instrument_id.to_owned(),
            amount: Amount::new(part.amount, decimals).to_string(),
            locked: part.locked,
        });
        (total, page.collect())
    }

    /// One token's rows, in order.
    fn list<'a>(&'a self, instrument: &read::Instrument, holder: Option<&Holder>) -> Option<List<'a>> {
        let (token, decimals) = (instrument.token, instrument.decimals);
        let rows = self.tokens.get(&token)?;
        let shown = move |(place, part): (&'a Place, &'a Part)| (place, *part, decimals);
        let some = |rows: Vec<_>| Box::new(rows.into_iter()) as List<'a>;
        Some(match holder {
            None => Box::new(rows.iter().map(shown)),
            Some(Holder::Party(id)) => {
                let from: Place = (id.as_str().into(), B256::ZERO);
                some(rows.range(from..).take_while(|((party, _), _)| **party == *id.as_str()).map(shown).collect())
            }
            Some(Holder::Wallet(wallet)) => {
                let party = self.parties.get(wallet)?;
                let place = |locked| (party.clone(), cid(self.chain_id, token, *wallet, locked));
                let parts = [false, true].into_iter().filter_map(|locked| rows.get_key_value(&place(locked)));
                let mut parts: Vec<_> = parts.map(shown).collect();
                parts.sort_unstable_by_key(|(place, ..)| *place);
                some(parts)
            }
        })
    }

    fn is_of(&self, block: AsOf) -> bool {
        self.as_of == Some(block)
    }

    fn forget(&mut self, accounts: &[(Address, Address)]) {
        for (token, wallet) in accounts {
            let (Some(party), Some(rows)) = (self.parties.get(wallet), self.tokens.get_mut(token)) else { continue };
            for locked in [false, true] {
                rows.remove(&(party.clone(), cid(self.chain_id, *token, *wallet, locked)));
            }
        }
    }

    fn put(&mut self, accounts: &[read::Account], named: &HashMap<u64, String>) {
        for account in accounts {
            let party: Arc<str> = parties::name_of(named, account.investor_id, account.wallet).into();
            self.unknown.extend(account.investor_id.filter(|id| !named.contains_key(id)));
            self.parties.insert(account.wallet, party.clone());
            let rows = self.tokens.entry(account.token).or_default();
            for (amount, locked) in [(account.balance - account.locked, false), (account.locked, true)] {
                if !amount.is_zero() {
                    let cid = cid(self.chain_id, account.token, account.wallet, locked);
                    rows.insert((party.clone(), cid), Part { amount, locked });
                }
            }
        }
    }
}

/// The rows of all tokens that claim one instrument id: of one token, unless a followed one took another's.
fn in_order(mut lists: Vec<List<'_>>) -> List<'_> {
    match (lists.pop(), lists.is_empty()) {
        (Some(one), true) => one,
        (last, _) => {
            let mut all: Vec<_> = lists.into_iter().chain(last).flatten().collect();
            all.sort_unstable_by_key(|(place, ..)| *place);
            Box::new(all.into_iter())
        }
    }
}

/// `holding_cid`, as SQL's `holding_rows_at` gives it.
fn cid(chain_id: u64, token: Address, wallet: Address, locked: bool) -> B256 {
    let hash = Sha256::new().chain_update(chain_id.to_be_bytes()).chain_update(token).chain_update(wallet);
    B256::new(hash.chain_update([u8::from(locked)]).finalize().into())
}
