//! Payment tokens are not followed. What the wallets that somebody watches have of them, and let contracts take, is asked at
//! each head's hash once it is committed, beside the follower and never in its way: while it catches up nothing is asked.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;
use tokenx_contracts::bindings::TestUSD;
use tokenx_migrations::{Addr, Uint256, Word};
use tokio_util::sync::CancellationToken;

use crate::IndexerError;
use crate::read::{self, Columns, int};
use crate::source::Source;

/// Between looks for a new head and for rows that nobody has read yet.
const PAUSE: Duration = Duration::from_millis(200);
/// Rows that are read at once.
const MOST: i64 = 1_000;
/// Blocks behind the head from which on nothing is asked: the follower has other things to do.
const BEHIND: u64 = 3;

/// Has a wallet's money watched until then, and what it lets `spender` take of it. What was watched longer stays so.
///
/// # Errors
/// The database's.
pub async fn watch(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    (wallet, payment_token, spender): (Address, Address, Address),
    until: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO payment_balances AS p (chain_id, wallet, payment_token, spender, watched_until)
         VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (chain_id, wallet, payment_token, spender) DO UPDATE
            SET watched_until = excluded.watched_until
          WHERE p.watched_until < excluded.watched_until",
    )
    .bind(int(chain_id))
    .bind(Addr(wallet))
    .bind(Addr(payment_token))
    .bind(Addr(spender))
    .bind(until)
    .execute(db)
    .await?;
    Ok(())
}

/// Reads what is watched.
pub(crate) struct Purses {
    pub(crate) pool: PgPool,
    pub(crate) chain_id: u64,
    pub(crate) source: Source,
}

/// A row to be read.
struct Purse {
    wallet: Address,
    payment_token: Address,
    spender: Address,
}

impl Purses {
    /// Reads each head's until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let passed = tokio::select! {
                () = stop.cancelled() => return,
                passed = self.pass() => passed,
            };
            if let Err(error) = passed {
                tracing::warn!(chain_id = self.chain_id, %error, "money that is watched could not be read now");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    async fn pass(&self) -> Result<(), IndexerError> {
        let Some(cursor) = read::cursor(&self.pool, self.chain_id).await? else { return Ok(()) };
        if cursor.halted.is_some() || cursor.head.saturating_sub(cursor.number) > BEHIND {
            return Ok(());
        }
        let purses = self.outdated(cursor.hash).await?;
        if purses.is_empty() {
            return Ok(());
        }
        let views: Vec<(Address, Vec<u8>)> = purses.iter().flat_map(Purse::views).collect();
        let answers = self.source.views_together(cursor.hash, &views).await?;
        let words: Vec<Option<U256>> = answers.iter().map(|answer| word(answer.as_ref())).collect();
        self.write(&purses, &words, (cursor.number, cursor.hash)).await?;
        Ok(())
    }

    /// What is watched and was read at another block, the longest ago first. What nobody watches any more is forgotten.
    async fn outdated(&self, head: B256) -> Result<Vec<Purse>, sqlx::Error> {
        sqlx::query("DELETE FROM payment_balances WHERE chain_id = $1 AND watched_until <= now()")
            .bind(int(self.chain_id))
            .execute(&self.pool)
            .await?;
        let rows = sqlx::query(
            "SELECT wallet, payment_token, spender
               FROM payment_balances
              WHERE chain_id = $1 AND block_hash IS DISTINCT FROM $2
              ORDER BY block_number NULLS FIRST
              LIMIT $3",
        )
        .bind(int(self.chain_id))
        .bind(Word(head))
        .bind(MOST)
        .fetch_all(&self.pool)
        .await?;
        let purse = |row: &sqlx::postgres::PgRow| {
            Ok(Purse {
                wallet: row.address("wallet")?,
                payment_token: row.address("payment_token")?,
                spender: row.address("spender")?,
            })
        };
        rows.iter().map(purse).collect()
    }

    /// Writes what was answered; a token that does not answer leaves a row as it is.
    async fn write(&self, purses: &[Purse], words: &[Option<U256>], at: (u64, B256)) -> Result<(), sqlx::Error> {
        let read: Vec<(&Purse, U256, U256)> = purses
            .iter()
            .zip(words.chunks(VIEWS))
            .filter_map(|(purse, words)| match *words {
                [Some(balance), Some(allowance)] => Some((purse, balance, allowance)),
                _ => None,
            })
            .collect();
        sqlx::query(
            "UPDATE payment_balances p
                SET balance = n.balance, allowance = n.allowance, block_number = $2, block_hash = $3
               FROM unnest($4::bytea[], $5::bytea[], $6::bytea[], $7::numeric[], $8::numeric[])
                 AS n (wallet, payment_token, spender, balance, allowance)
              WHERE p.chain_id = $1 AND p.wallet = n.wallet AND p.payment_token = n.payment_token
                AND p.spender = n.spender",
        )
        .bind(int(self.chain_id))
        .bind(int(at.0))
        .bind(Word(at.1))
        .bind(read.iter().map(|(purse, ..)| Addr(purse.wallet)).collect::<Vec<_>>())
        .bind(read.iter().map(|(purse, ..)| Addr(purse.payment_token)).collect::<Vec<_>>())
        .bind(read.iter().map(|(purse, ..)| Addr(purse.spender)).collect::<Vec<_>>())
        .bind(read.iter().map(|(_, balance, _)| Uint256(*balance)).collect::<Vec<_>>())
        .bind(read.iter().map(|(.., allowance)| Uint256(*allowance)).collect::<Vec<_>>())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Views that a row takes.
const VIEWS: usize = 2;

impl Purse {
    fn views(&self) -> [(Address, Vec<u8>); VIEWS] {
        let (owner, spender) = (self.wallet, self.spender);
        let calls = [
            TestUSD::balanceOfCall { account: owner }.abi_encode(),
            TestUSD::allowanceCall { owner, spender }.abi_encode(),
        ];
        calls.map(|call| (self.payment_token, call))
    }
}

fn word(answer: Option<&Bytes>) -> Option<U256> {
    answer.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_ref()).ok()).map(U256::from_be_bytes)
}
