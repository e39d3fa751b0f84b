//! What must hold before the first block is read: the right chain, the right tables, and every contract of the settings
//! listened to.

use alloy::primitives::{Address, B256};
use alloy::sol_types::SolCall;
use sqlx::PgPool;
use tokenx_config::{Chain, Finality, Follow};

use super::store::{self, Cursor};
use super::{finality, plan, projections};
use crate::event::SecurityToken;
use crate::project::{self, Followed};
use crate::source::Source;
use crate::{IndexerError, Kind, text};

/// Checks chain, genesis and projections, and gives the cursor, which a new chain gets here.
pub(super) async fn prepare(
    chain: &Chain,
    source: &Source,
    pool: &PgPool,
    set: &[(&'static str, i32)],
) -> Result<Cursor, IndexerError> {
    let genesis = source.identify(chain.chain_id).await?;
    let stored = store::cursor(pool, chain.chain_id, genesis).await?;
    let mut tx = tokenx_migrations::begin(pool).await?;
    projections::agree(&mut tx, chain.chain_id, set).await?;
    tx.commit().await?;

    let mut followed = Vec::new();
    for follow in &chain.follow {
        followed.push(describe(chain.chain_id, follow, source, pool).await?);
    }
    let cursor = match stored {
        Some(cursor) => {
            let what = || format!("chain {}", chain.chain_id);
            not_lowered(cursor.start_block, Some(chain.start_block), what)?;
            cursor
        }
        None => new_cursor(chain, source, &followed).await?,
    };
    let fresh = stored.is_none().then_some(genesis);
    register(chain, &followed, &cursor, fresh, pool).await?;
    Ok(cursor)
}

/// Refuses a first block below the one that the tables begin with: those in between would be silently missing.
fn not_lowered(from: u64, asked: Option<u64>, what: impl FnOnce() -> String) -> Result<(), IndexerError> {
    match asked.map(|asked| asked.max(1)) {
        Some(asked) if asked < from => Err(IndexerError::StartLowered { what: what(), from, asked }),
        _ => Ok(()),
    }
}

/// A chain that was never followed: from the first block of the settings, or of a followed token before it.
async fn new_cursor(chain: &Chain, source: &Source, followed: &[Followed]) -> Result<Cursor, IndexerError> {
    let (head, tag) = source.tip(chain.finality == Finality::Finalized).await?;
    // Genesis has no transactions, so no logs.
    let start = followed.iter().map(|token| token.from_block).fold(chain.start_block, u64::min).max(1);
    let before = source.header(start - 1).await?;
    let finalized = finality(chain, head.number, tag).min(before.number);
    Ok(Cursor { block: before, finalized, start_block: start, live_from: head.number, reorgs: 0, halted: false })
}

async fn register(
    chain: &Chain,
    followed: &[Followed],
    cursor: &Cursor,
    fresh: Option<B256>,
    pool: &PgPool,
) -> Result<(), IndexerError> {
    let mut tx = tokenx_migrations::begin(pool).await?;
    if let Some(genesis) = fresh {
        store::begin(chain.chain_id, genesis, cursor, &mut tx).await?;
    }
    let own = [(chain.factory, Kind::Factory), (chain.registry, Kind::Registry)]
        .into_iter()
        .filter_map(|(address, kind)| Some((address?, kind)))
        .chain(chain.executors.iter().map(|executor| (*executor, Kind::Executor)));
    for (address, kind) in own {
        store::watch(chain.chain_id, address, kind, cursor.start_block, cursor.block.number, &mut tx).await?;
    }
    for token in followed {
        store::watch(chain.chain_id, token.token, Kind::Followed, token.from_block, cursor.block.number, &mut tx)
            .await?;
        project::insert_followed(chain.chain_id, token, &mut tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// What a followed token says of itself, and the block it exists since.
async fn describe(chain_id: u64, follow: &Follow, source: &Source, pool: &PgPool) -> Result<Followed, IndexerError> {
    if let Some(known) = crate::read::instrument_of_token(pool, chain_id, follow.token).await? {
        if known.executor.is_none() {
            not_lowered(known.created_block, follow.start_block, || format!("token {}", follow.token))?;
        }
        return Ok(Followed {
            token: follow.token,
            instrument_id: follow.instrument_id.clone(),
            name: known.name,
            symbol: known.symbol,
            decimals: known.decimals,
            from_block: known.created_block,
            from_time: known.created_time,
        });
    }
    let token = follow.token;
    let from_block = match follow.start_block {
        Some(block) => block.max(1),
        None => first_block(token, source).await?,
    };
    let ask = async |call: Vec<u8>| source.view(token, &call).await;
    let name = ask(SecurityToken::nameCall {}.abi_encode()).await?;
    let symbol = ask(SecurityToken::symbolCall {}.abi_encode()).await?;
    let decimals = ask(SecurityToken::decimalsCall {}.abi_encode()).await?;
    Ok(Followed {
        token,
        instrument_id: follow.instrument_id.clone(),
        name: name.as_ref().and_then(text::from_return).unwrap_or_default(),
        symbol: symbol.as_ref().and_then(text::from_return).unwrap_or_default(),
        // ERC-20 makes it optional. Without it, amounts are base units.
        decimals: decimals.and_then(|data| SecurityToken::decimalsCall::abi_decode_returns(&data).ok()).unwrap_or(0),
        from_block,
        from_time: source.header(from_block).await?.timestamp,
    })
}

/// The block in which `token` got its code, by bisection: code stays once it is there.
async fn first_block(token: Address, source: &Source) -> Result<u64, IndexerError> {
    let (head, _) = source.tip(false).await?;
    if !source.has_code(token, head.number).await? {
        return Err(IndexerError::NoContract(token));
    }
    let (mut without, mut with) = (0, head.number);
    while with - without > 1 {
        let middle = without + (with - without) / 2;
        match source.has_code(token, middle).await {
            Ok(true) => with = middle,
            Ok(false) => without = middle,
            Err(error) => return Err(IndexerError::NoState { token, reason: error.to_string() }),
        }
    }
    Ok(with.max(1))
}

/// Where confirmed and final lie, given the head and the chain's own word on finality.
pub(super) fn depths(chain: &Chain, head: u64, tag: Option<u64>) -> (u64, u64) {
    (plan::at_depth(head, chain.confirmations), finality(chain, head, tag))
}
