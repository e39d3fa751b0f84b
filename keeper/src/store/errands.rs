//! What slots do for hosted wallets that have to approve by themselves: one gives gas, another one is the wallet's own.

use std::collections::HashMap;

use alloy::primitives::Address;
use sqlx::{PgConnection, PgPool};
use tokenx_config::failpoint;
use tokenx_migrations::Addr;

use super::lanes::{self, Cursor};
use super::permits;
use super::slots::{self, PrepareError, Prepared};

/// Whom a slot serves in place of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errand {
    pub wallet: Address,
    /// The command that waits for it.
    pub seq: i64,
}

/// What is on its way for a wallet: in a slot, or in a block that the head does not tell of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnderWay {
    pub fund: bool,
    pub approve: bool,
}

/// What is on its way for these wallets at `head`, where anything is.
pub(crate) async fn under_way(
    conn: &mut PgConnection,
    chain_id: i64,
    wallets: &[Address],
    head: i64,
) -> Result<HashMap<Address, UnderWay>, sqlx::Error> {
    if wallets.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(Addr, bool, bool)> = sqlx::query_as(
        "SELECT e.wallet, bool_or(e.kind = 'fund'), bool_or(e.kind = 'approve')
           FROM slot_errands e
           JOIN slots s USING (lane_id, nonce)
           JOIN lanes l USING (lane_id)
          WHERE e.wallet = ANY ($1) AND l.chain_id = $2 AND (s.state = 'open' OR s.block_number > $3)
          GROUP BY e.wallet",
    )
    .bind(wallets.iter().copied().map(Addr).collect::<Vec<_>>())
    .bind(chain_id)
    .bind(head)
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(|(wallet, fund, approve)| (wallet.0, UnderWay { fund, approve })).collect())
}

/// How many slots these commands have taken so far, where any.
pub(crate) async fn tried(pool: &PgPool, seqs: &[i64]) -> Result<HashMap<i64, i64>, sqlx::Error> {
    let counts: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT command_seq, count(*)
           FROM slot_errands
          WHERE command_seq = ANY ($1)
          GROUP BY command_seq",
    )
    .bind(seqs)
    .fetch_all(pool)
    .await?;
    Ok(counts.into_iter().collect())
}

/// Whether this wallet is yet to pay, or may be, for what it bought before the command: with what it allows now.
pub(crate) async fn pays_before(pool: &PgPool, chain_id: i64, errand: Errand) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT
                          FROM command_states s
                          JOIN commands c USING (seq)
                         WHERE s.chain_id = $1 AND s.state IN ('accepted', 'awaiting_approval', 'ready', 'prepared')
                           AND s.seq < $2 AND c.kind = 'buy' AND s.subject LIKE 'position:%:' || $3)",
    )
    .bind(chain_id)
    .bind(errand.seq)
    .bind(format!("{:#x}", errand.wallet))
    .fetch_one(pool)
    .await
}

/// Notes which of these slots serve whom.
pub(super) async fn insert(conn: &mut PgConnection, lane_id: i64, slots: &[Prepared]) -> Result<(), sqlx::Error> {
    let errands: Vec<(&Prepared, Errand)> = slots.iter().filter_map(|slot| Some((slot, slot.errand?))).collect();
    if errands.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO slot_errands (lane_id, nonce, kind, wallet, command_seq)
         SELECT $1, nonce, kind, wallet, seq
           FROM unnest($2::bigint[], $3::text[], $4::bytea[], $5::bigint[]) AS s (nonce, kind, wallet, seq)",
    )
    .bind(lane_id)
    .bind(errands.iter().map(|(slot, _)| slot.nonce).collect::<Vec<_>>())
    .bind(errands.iter().map(|(slot, _)| slot.kind.name()).collect::<Vec<_>>())
    .bind(errands.iter().map(|(_, errand)| Addr(errand.wallet)).collect::<Vec<_>>())
    .bind(errands.iter().map(|(_, errand)| errand.seq).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a wallet's approve in its own lane, for the owner of the lane by which its command waits: the wallet's next nonce
/// by compare-and-swap, while none of its approves is on its way on the branch that this was decided on.
pub(crate) async fn approve(
    pool: &PgPool,
    (waiting_lane, epoch): (i64, i64),
    (chain_id, cursor): (i64, Cursor),
    wallets_lane: i64,
    slot: &Prepared,
) -> Result<(), PrepareError> {
    let Some(Errand { wallet, .. }) = slot.errand else { return Ok(()) };
    let mut tx = tokenx_migrations::begin(pool).await?;
    if !lanes::hold_branch(&mut tx, chain_id, cursor).await? {
        return Err(PrepareError::Moved);
    }
    if lanes::hold(&mut tx, waiting_lane, epoch).await?.is_none() {
        return Err(PrepareError::Fenced);
    }
    if !lanes::advance_wallet(&mut tx, wallets_lane, slot.nonce).await? {
        return Err(PrepareError::Moved);
    }
    permits::hold(&mut tx, chain_id, &[wallet]).await?;
    if under_way(&mut tx, chain_id, &[wallet], cursor.number).await?.get(&wallet).is_some_and(|one| one.approve) {
        return Err(PrepareError::Moved);
    }
    slots::insert(&mut tx, wallets_lane, cursor.number, std::slice::from_ref(slot)).await?;
    tx.commit().await?;
    failpoint::hit("wallet.after_approve").map_err(sqlx::Error::Io)?;
    Ok(())
}
