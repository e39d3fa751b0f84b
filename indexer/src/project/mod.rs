//! The chain's own tables: what a batch does to them, and how a fork is taken back out of them.
//!
//! Everything is worked out in memory and written set-wise: rows by binary `COPY`, state by one absolute upsert per
//! table. Taking back is recomputing: the latest row that is left says what the state is.

mod documents;
mod effects;
mod holds;
mod instruments;
mod labels;
mod ledger;
mod node;
mod rollback;
mod rows;
mod settings;

use std::collections::{BTreeSet, HashMap, HashSet};

use alloy::primitives::Address;
use sqlx::{PgConnection, Row};
use tokenx_migrations::{Addr, Uint256};

use crate::event::RegistryEvent;
use crate::read::{Columns, int};
use crate::{Batch, ChainLog, Event};
pub(crate) use instruments::{Followed, insert_followed};
pub(crate) use labels::{Label, relabel};
use ledger::{Account, Book, Inexact, Ledger};
pub(crate) use rollback::rollback;

/// What a batch came to, for metrics and the wake-up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Applied {
    /// Outbox rows written.
    pub(crate) told: usize,
    /// Logs that did not decode.
    pub(crate) undecoded: u64,
    /// Tokens whose logs stopped adding up.
    pub(crate) inexact: u64,
}

/// Keeps a batch's logs, and its transfers: they are what they are, whatever came before.
pub(crate) async fn keep(chain_id: u64, logs: &[ChainLog], tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    rows::logs(chain_id, logs, tx).await?;
    rows::transfers(chain_id, logs, tx).await
}

/// Applies a batch whose logs were kept to the chain's other tables, upon what came before it.
pub(crate) async fn apply(batch: &Batch, tx: &mut PgConnection) -> Result<Applied, sqlx::Error> {
    rows::blocks(batch, tx).await?;
    if batch.logs.is_empty() {
        return Ok(Applied::default());
    }
    let (chain_id, logs) = (batch.chain_id, batch.logs.as_slice());
    instruments::deployed(chain_id, logs, batch.blocks.is_empty(), tx).await?;
    let tokens = instruments::load(chain_id, logs, tx).await?;
    settings::write(chain_id, logs, &tokens, tx).await?;
    documents::write(chain_id, logs, tx).await?;
    node::write(chain_id, logs, &tokens, tx).await?;

    rows::recoveries(chain_id, logs, tx).await?;
    let supplies = rows::supply_of(logs, |token| tokens.get(&token).is_some_and(|token| token.followed));
    rows::supplies(chain_id, &supplies, tx).await?;
    rows::investors(chain_id, logs, tx).await?;
    wallets(chain_id, logs, tx).await?;

    let books = tokens
        .iter()
        .map(|(token, state)| {
            let inexact = state.inexact_block.map(|block| Inexact { block, reason: String::new() });
            (*token, Book { supply: state.supply, inexact })
        })
        .collect();
    let before = accounts(chain_id, &ledger::touched(logs), tx).await?;
    let touched_holds = ledger::touched_holds(logs);
    let holds = holds::load(chain_id, &touched_holds, tx).await?;
    let mut ledger = Ledger { accounts: before.clone(), holds, books, ..Ledger::default() };
    ledger.apply(logs);
    rows::balances(chain_id, &ledger, tx).await?;
    rows::freezes(chain_id, logs, &ledger.freeze_changes, tx).await?;
    holds::write(chain_id, logs, &touched_holds, &ledger, tx).await?;
    holdings(chain_id, logs, &before, &ledger, tx).await?;
    let inexact = supplies_and_marks(chain_id, &tokens, &ledger, tx).await?;

    let told = if batch.live { effects::tell(batch, &tokens, &supplies, tx).await? } else { 0 };
    let undecoded = logs.iter().filter(|log| log.event.is_none()).count() as u64;
    Ok(Applied { told, undecoded, inexact })
}

/// The latest registry record of each wallet that the batch changed: of all that are kept, since the past of a registry
/// named late comes after newer records of another.
async fn wallets(chain_id: u64, logs: &[ChainLog], tx: &mut PgConnection) -> Result<(), sqlx::Error> {
    let changed = logs.iter().filter_map(|log| match &log.event {
        Some(Event::Registry(RegistryEvent::InvestorChanged(e))) => Some(e.wallet),
        _ => None,
    });
    let changed: BTreeSet<Address> = changed.collect();
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO investor_wallets (chain_id, wallet, registry, investor_id, country, investor_class, kyc_expires_at,
                                       flags, since_block, changed_block)
         SELECT $1, t.wallet, l.registry, l.investor_id, l.country, l.investor_class, l.kyc_expires_at, l.flags,
                f.block_number, l.block_number
           FROM unnest($2::bytea[]) AS t (wallet)
          CROSS JOIN LATERAL (SELECT c.*
                                FROM investor_changes c
                               WHERE c.chain_id = $1 AND c.wallet = t.wallet
                               ORDER BY c.block_number DESC, c.log_index DESC
                               LIMIT 1) l
          CROSS JOIN LATERAL (SELECT c.block_number
                                FROM investor_changes c
                               WHERE c.chain_id = $1 AND c.wallet = t.wallet
                               ORDER BY c.block_number, c.log_index
                               LIMIT 1) f
             ON CONFLICT (chain_id, wallet) DO UPDATE
            SET registry       = excluded.registry,
                investor_id    = excluded.investor_id,
                country        = excluded.country,
                investor_class = excluded.investor_class,
                kyc_expires_at = excluded.kyc_expires_at,
                flags          = excluded.flags,
                since_block    = excluded.since_block,
                changed_block  = excluded.changed_block",
    )
    .bind(int(chain_id))
    .bind(changed.into_iter().map(Addr).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// The touched accounts as the table has them.
async fn accounts(
    chain_id: u64,
    touched: &BTreeSet<(Address, Address)>,
    tx: &mut PgConnection,
) -> Result<HashMap<(Address, Address), Account>, sqlx::Error> {
    if touched.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "SELECT h.token, h.wallet, h.balance, h.frozen, h.address_frozen
           FROM unnest($2::bytea[], $3::bytea[]) AS t (token, wallet)
           JOIN holdings h ON h.chain_id = $1 AND h.token = t.token AND h.wallet = t.wallet",
    )
    .bind(int(chain_id))
    .bind(touched.iter().map(|(token, _)| Addr(*token)).collect::<Vec<_>>())
    .bind(touched.iter().map(|(_, wallet)| Addr(*wallet)).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    rows.iter()
        .map(|row| {
            let account = Account {
                balance: row.amount("balance")?,
                frozen: row.amount("frozen")?,
                address_frozen: row.try_get("address_frozen")?,
            };
            Ok(((row.address("token")?, row.address("wallet")?), account))
        })
        .collect()
}

/// Upserts the accounts that changed, as absolute figures.
async fn holdings(
    chain_id: u64,
    logs: &[ChainLog],
    before: &HashMap<(Address, Address), Account>,
    ledger: &Ledger,
    tx: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    // An account with rows of history has a row of state, if only of zeros: reads of past blocks begin there, and the
    // table does not depend on how blocks were batched.
    let moved = ledger.holding_changes.iter().map(|change| (change.token, change.wallet));
    let frozen = ledger.freeze_changes.iter().map(|change| (logs[change.log].address, change.wallet));
    let moved: HashSet<_> = moved.chain(frozen).collect();
    let mut changed: Vec<_> = ledger
        .accounts
        .iter()
        .filter(|(key, account)| before.get(*key).copied().unwrap_or_default() != **account || moved.contains(*key))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    // In index order, so that two writers could never deadlock and pages are touched once.
    changed.sort_unstable_by_key(|(key, _)| **key);
    sqlx::query(
        "INSERT INTO holdings (chain_id, token, wallet, balance, frozen, address_frozen)
         SELECT $1, a.*
           FROM unnest($2::bytea[], $3::bytea[], $4::numeric[], $5::numeric[], $6::boolean[]) AS a
             ON CONFLICT (chain_id, token, wallet) DO UPDATE
            SET balance        = excluded.balance,
                frozen         = excluded.frozen,
                address_frozen = excluded.address_frozen",
    )
    .bind(int(chain_id))
    .bind(changed.iter().map(|((token, _), _)| Addr(*token)).collect::<Vec<_>>())
    .bind(changed.iter().map(|((_, wallet), _)| Addr(*wallet)).collect::<Vec<_>>())
    .bind(changed.iter().map(|(_, account)| Uint256(account.balance)).collect::<Vec<_>>())
    .bind(changed.iter().map(|(_, account)| Uint256(account.frozen)).collect::<Vec<_>>())
    .bind(changed.iter().map(|(_, account)| account.address_frozen).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// Supply after the batch, and marks on tokens that stopped adding up in it. Gives the number of new marks.
async fn supplies_and_marks(
    chain_id: u64,
    tokens: &HashMap<Address, instruments::State>,
    ledger: &Ledger,
    tx: &mut PgConnection,
) -> Result<u64, sqlx::Error> {
    let changed: Vec<_> = ledger
        .books
        .iter()
        .filter(|(token, book)| tokens.get(*token).is_some_and(|state| state.supply != book.supply))
        .collect();
    if !changed.is_empty() {
        sqlx::query(
            "UPDATE instruments i
                SET total_supply = s.supply
               FROM unnest($2::bytea[], $3::numeric[]) AS s (token, supply)
              WHERE i.chain_id = $1 AND i.token = s.token",
        )
        .bind(int(chain_id))
        .bind(changed.iter().map(|(token, _)| Addr(**token)).collect::<Vec<_>>())
        .bind(changed.iter().map(|(_, book)| Uint256(book.supply)).collect::<Vec<_>>())
        .execute(&mut *tx)
        .await?;
    }
    let mut marked = 0;
    for (token, book) in &ledger.books {
        let fresh = tokens.get(token).is_none_or(|state| state.inexact_block.is_none());
        let Some(inexact) = book.inexact.as_ref().filter(|_| fresh) else { continue };
        tracing::error!(%token, block = inexact.block, reason = %inexact.reason, "a token's logs do not add up: its holdings stop here");
        marked += 1;
        sqlx::query(
            "UPDATE instruments SET inexact_block = $3, inexact_reason = $4 WHERE chain_id = $1 AND token = $2",
        )
        .bind(int(chain_id))
        .bind(Addr(*token))
        .bind(int(inexact.block))
        .bind(&inexact.reason)
        .execute(&mut *tx)
        .await?;
    }
    Ok(marked)
}
