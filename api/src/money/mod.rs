//! What wallets can pay: what they have and allow as of the indexed head, less what is promised already.

pub mod allowance;

use std::time::Duration;

use alloy::primitives::{Address, U256};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokenx_contracts::codes::ReasonCode;
use tokenx_indexer::{payments, read};
use tokenx_keeper::Contract;
use tokenx_migrations::{Addr, Uint256};

use crate::app::App;
use crate::error::{ApiError, FieldError};
use crate::wallets::record::{Kind, Record as Wallet};

/// How long a wallet's money is watched after it was asked about.
const WATCHED: time::Duration = time::Duration::hours(24);
/// How long the first look at it may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between looks whether it was read.
const PAUSE: Duration = Duration::from_millis(50);

/// Money that is watched: whose, of which payment token, and who may take it.
pub(crate) type Purse = (Address, Address, Address);

/// Who is to be paid, and how.
#[derive(Debug, Clone, Copy)]
pub struct Towards {
    /// What contract of the node that is.
    pub contract: Contract,
    /// Where it is.
    pub address: Address,
    /// What a permit allows that comes with the request.
    pub permit: Option<U256>,
}

/// Has a wallet's money watched, and waits until it is known. Call it before the transaction that asks
/// [`buying_power`], or after it was rolled back: nobody should wait while he holds a lock.
///
/// # Errors
/// `Unavailable` where no indexer reads it in time.
pub async fn watch(app: &App, whose: Purse) -> Result<(), ApiError> {
    payments::watch(app.pool(), app.chain_id(), whose, OffsetDateTime::now_utc() + WATCHED).await?;
    let known = async {
        while read::purse(app.pool(), app.chain_id(), whose).await?.is_none() {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, known).await.unwrap_or_else(|_| Err(unread()))
}

/// Base units of a payment token that a wallet can pay towards a contract: the lesser of what it has and what it allows,
/// less what is reserved of it. A wallet whose key is held here allows whatever it is asked for.
///
/// # Errors
/// `Unavailable` where nobody has looked yet: see [`watch`].
pub async fn buying_power(
    conn: &mut PgConnection,
    chain_id: u64,
    wallet: &Wallet,
    payment_token: Address,
    towards: Towards,
) -> Result<U256, ApiError> {
    let power = known_buying_power(conn, chain_id, wallet, payment_token, towards).await?;
    power.map_err(|_| unread())
}

/// The same; where nobody has looked yet, what is to be watched.
///
/// # Errors
/// The database's.
pub(crate) async fn known_buying_power(
    conn: &mut PgConnection,
    chain_id: u64,
    wallet: &Wallet,
    payment_token: Address,
    towards: Towards,
) -> Result<Result<U256, Purse>, sqlx::Error> {
    let whose = (wallet.address, payment_token, towards.address);
    let Some(purse) = read::purse(&mut *conn, chain_id, whose).await? else { return Ok(Err(whose)) };
    let allowed = match wallet.kind {
        Kind::Hosted => U256::MAX,
        Kind::SelfCustody => purse.allowance.max(towards.permit.unwrap_or_default()),
    };
    let reserved = reserved(conn, wallet.address, payment_token, purse.block).await?;
    Ok(Ok(purse.balance.min(allowed).saturating_sub(reserved)))
}

/// Refuses what a wallet cannot pay.
///
/// # Errors
/// 422, by the wallet.
pub fn covers(power: U256, cost: U256) -> Result<(), ApiError> {
    if cost <= power {
        return Ok(());
    }
    let message = format!("it costs {cost} base units of the payment token, and {power} are free and allowed");
    Err(ApiError::Rejected(vec![FieldError::refused("wallet_id", ReasonCode::InsufficientFunds, message)]))
}

/// What is promised of a wallet's money: open subscriptions, and those that were paid for after the block that its balance
/// is as of.
///
/// # Errors
/// The database's.
pub(crate) async fn reserved(
    conn: &mut PgConnection,
    wallet: Address,
    payment_token: Address,
    block: u64,
) -> Result<U256, sqlx::Error> {
    let reserved: Uint256 = sqlx::query_scalar(
        "SELECT coalesce(sum(amount), 0)
           FROM (SELECT cost::numeric AS amount
                   FROM subscriptions_open
                  WHERE wallet = $1 AND payment_token = $2
                  UNION ALL
                 SELECT p.cost::numeric
                   FROM subscriptions s
                   JOIN subscription_purchases p USING (subscription_id)
                  WHERE s.wallet = $1 AND s.payment_token = $2 AND p.block_number > $3
                  UNION ALL
                 SELECT amount
                   FROM money_held_back
                  WHERE wallet = $1 AND payment_token = $2 AND (block IS NULL OR block > $3)) r",
    )
    .bind(Addr(wallet))
    .bind(Addr(payment_token))
    .bind(i64::try_from(block).unwrap_or(i64::MAX))
    .fetch_one(conn)
    .await?;
    Ok(reserved.0)
}

/// Has what treasuries have watched, and what they let their nodes' funds take; and what open orders are to pay with, for as
/// long as they are open.
///
/// # Errors
/// The database's.
pub(crate) async fn watch_standing(app: &App) -> Result<(), ApiError> {
    // In a transaction: planned once.
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let unwatched: Vec<(Addr, Addr, Addr)> = sqlx::query_as(
        "SELECT wallet, payment_token, spender
           FROM (SELECT f.treasury, f.payment_token, f.contract
                   FROM token_funds f
                  WHERE f.chain_id = $1 AND f.treasury IS NOT NULL
                  UNION
                 SELECT o.wallet, o.payment_token, o.market
                   FROM orders o
                  WHERE o.chain_id = $1 AND o.side = 'buy' AND o.state IN ('pending', 'waiting', 'open')
                ) AS s (wallet, payment_token, spender)
          WHERE NOT EXISTS (SELECT FROM payment_balances p
                             WHERE p.chain_id = $1 AND p.wallet = s.wallet
                               AND p.payment_token = s.payment_token AND p.spender = s.spender
                               AND p.watched_until > now() + interval '1 hour')",
    )
    .bind(app.chain_id().cast_signed())
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    for (wallet, payment_token, spender) in unwatched {
        let whose = (wallet.0, payment_token.0, spender.0);
        payments::watch(app.pool(), app.chain_id(), whose, OffsetDateTime::now_utc() + WATCHED).await?;
    }
    Ok(())
}

/// Nobody has looked at the wallet's money yet.
pub(crate) fn unread() -> ApiError {
    ApiError::Unavailable("what the wallet can pay has not been read yet: try again in a few seconds".into())
}
