//! Rows of `subscriptions`, with what became of them. Written here only, under a lock on their offering.

use alloy::primitives::{Address, B256, U256};
use sqlx::{FromRow, PgConnection, PgExecutor, Row};
use time::OffsetDateTime;
use tokenx_contracts::ids::CommandId;
use tokenx_indexer::read::pages::Window;
use tokenx_keeper::{State as CommandState, Verdict};
use tokenx_migrations::{Addr, Uint256, Word};
use uuid::Uuid;

use super::course::{Purchase, Status};
use crate::error::ApiError;
use crate::tokens::Currency;
use crate::tokens::money::Price;

/// A subscription that is asked for.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the table's comments say it")]
pub struct New {
    pub subscription_id: Uuid,
    pub offering_id: Uuid,
    pub party_id: String,
    pub wallet_id: Uuid,
    pub command_id: CommandId,
    pub purchase: Purchase,
    pub chain_id: u64,
    pub token: Address,
    pub listing: Address,
    pub wallet: Address,
    pub unit: U256,
    pub quantity: U256,
    pub payment_token: Address,
    pub cost: U256,
    pub salt: Option<B256>,
    pub at_block: u64,
    pub expires_at: Option<OffsetDateTime>,
    pub asked_by: String,
    pub idempotency_key: Option<String>,
    pub created_at: OffsetDateTime,
}

/// A subscription and what became of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id.
    pub subscription_id: Uuid,
    /// Of which offering.
    pub offering_id: Uuid,
    /// Whose that is.
    pub issuer_id: Uuid,
    /// What is sold.
    pub instrument_id: String,
    /// Who buys.
    pub party_id: String,
    /// With which wallet.
    pub wallet_id: Uuid,
    /// Where that is.
    pub wallet: Address,
    /// The client's own name for it.
    pub command_id: String,
    /// Who makes the purchase.
    pub purchase: Purchase,
    /// What is sold, on chain.
    pub token: Address,
    /// The listing that sells it.
    pub listing: Address,
    /// Base units.
    pub quantity: U256,
    /// One whole token.
    pub unit: U256,
    /// What it costs; what was paid, once it was.
    pub cost: Price,
    /// Of what was signed.
    pub salt: Option<B256>,
    /// Where it stands.
    pub status: Status,
    /// The transaction that bought, or that failed to.
    pub tx_hash: Option<B256>,
    /// Why it failed, as a code of the catalogue.
    pub reason_code: Option<String>,
    /// Why it failed, as a sentence.
    pub failure: Option<String>,
    /// When the reservation ends; `None`: with its command.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
}

/// Which subscriptions a list is of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only of this party.
    pub party_id: Option<String>,
    /// Only of this offering.
    pub offering_id: Option<Uuid>,
}

/// How much of a token is there to be bought, all of one moment. Base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelf {
    /// What is for sale in all.
    pub listed: U256,
    /// What was sold, or set aside for fees.
    pub sold: U256,
    /// What open subscriptions hold back.
    pub reserved: U256,
    /// What the investor has bought, over all its wallets.
    pub bought_by: U256,
    /// What its open subscriptions hold back.
    pub reserved_by: U256,
}

/// Writes a subscription.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut PgConnection, new: &New) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO subscriptions (subscription_id, offering_id, party_id, wallet_id, command_id, purchase, chain_id, token,
                                    listing, wallet, unit, quantity, payment_token, cost, salt, at_block, expires_at,
                                    asked_by, idempotency_key, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
    )
    .bind(new.subscription_id)
    .bind(new.offering_id)
    .bind(&new.party_id)
    .bind(new.wallet_id)
    .bind(new.command_id.as_str())
    .bind(new.purchase.as_str())
    .bind(new.chain_id.cast_signed())
    .bind(Addr(new.token))
    .bind(Addr(new.listing))
    .bind(Addr(new.wallet))
    .bind(Uint256(new.unit))
    .bind(Uint256(new.quantity))
    .bind(Addr(new.payment_token))
    .bind(Uint256(new.cost))
    .bind(new.salt.map(Word))
    .bind(new.at_block.cast_signed())
    .bind(new.expires_at)
    .bind(&new.asked_by)
    .bind(new.idempotency_key.as_deref())
    .bind(new.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// One subscription.
///
/// # Errors
/// The database's.
pub async fn find(db: impl PgExecutor<'_>, subscription_id: Uuid) -> Result<Option<Record>, ApiError> {
    let row: Option<Joined> = sqlx::query_as("SELECT * FROM subscription_records WHERE subscription_id = $1")
        .bind(subscription_id)
        .fetch_optional(db)
        .await?;
    row.map(Record::try_from).transpose()
}

/// What this client has asked for under these names before.
///
/// # Errors
/// The database's.
pub async fn known(
    db: impl PgExecutor<'_>,
    party_id: &str,
    command_id: &CommandId,
    (asked_by, key): (&str, Option<&str>),
) -> Result<Vec<Record>, ApiError> {
    let rows: Vec<Joined> = sqlx::query_as(
        "SELECT *
           FROM subscription_records
          WHERE (party_id = $1 AND command_id = $2) OR (asked_by = $3 AND idempotency_key = $4)",
    )
    .bind(party_id)
    .bind(command_id.as_str())
    .bind(asked_by)
    .bind(key)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Record::try_from).collect()
}

/// `$1`, `$2`: which subscriptions.
macro_rules! matching {
    () => {
        " FROM subscription_records
         WHERE ($1::text IS NULL OR party_id = $1)
           AND ($2::uuid IS NULL OR offering_id = $2)"
    };
}

macro_rules! page {
    ($direction:literal) => {
        concat!(
            "SELECT *",
            matching!(),
            " AND ($3::uuid IS NULL OR subscription_id > $3)
              AND ($4::uuid IS NULL OR subscription_id < $4)
            ORDER BY subscription_id ",
            $direction,
            " LIMIT $5"
        )
    };
}

/// A page of subscriptions; the greater an id, the newer.
///
/// # Errors
/// The database's.
pub async fn list(db: impl PgExecutor<'_>, filter: &Filter, window: &Window<Uuid>) -> Result<Vec<Record>, ApiError> {
    let rows: Vec<Joined> = sqlx::query_as(if window.descending { page!("DESC") } else { page!("ASC") })
        .bind(filter.party_id.as_deref())
        .bind(filter.offering_id)
        .bind(window.above)
        .bind(window.below)
        .bind(window.limit)
        .fetch_all(db)
        .await?;
    rows.into_iter().map(Record::try_from).collect()
}

/// How many subscriptions there are.
///
/// # Errors
/// The database's.
pub async fn count(db: impl PgExecutor<'_>, filter: &Filter) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(concat!("SELECT count(*)", matching!()))
        .bind(filter.party_id.as_deref())
        .bind(filter.offering_id)
        .fetch_one(db)
        .await
}

/// What is left of a token: one statement, so that a purchase that is just mined counts as sold or as reserved, never as
/// neither. `None` where nobody sells it.
///
/// # Errors
/// The database's.
pub async fn shelf(
    conn: &mut PgConnection,
    (chain_id, token): (u64, Address),
    (party_id, investor_id): (&str, u64),
) -> Result<Option<Shelf>, sqlx::Error> {
    let row = sqlx::query(
        "SELECT l.listed::numeric, l.sold::numeric, coalesce(o.reserved, 0) AS reserved,
                coalesce(o.reserved_by, 0) AS reserved_by, coalesce(b.by_investor::numeric, 0) AS bought_by
           FROM listings l
          CROSS JOIN LATERAL (SELECT sum(s.quantity) AS reserved,
                                     sum(s.quantity) FILTER (WHERE s.party_id = $3) AS reserved_by
                                FROM subscriptions_open s
                               WHERE s.chain_id = $1 AND s.token = $2) o
           LEFT JOIN LATERAL (SELECT p.by_investor
                                FROM purchases p
                               WHERE p.chain_id = $1 AND p.token = $2 AND p.investor_id = $4 AND p.contract = l.contract
                               ORDER BY p.block_number DESC, p.log_index DESC
                               LIMIT 1) b ON true
          WHERE l.chain_id = $1 AND l.token = $2",
    )
    .bind(chain_id.cast_signed())
    .bind(Addr(token))
    .bind(party_id)
    .bind(investor_id.cast_signed())
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let amount = |column: &str| Ok::<_, sqlx::Error>(row.try_get::<Uint256, _>(column)?.0);
    Ok(Some(Shelf {
        listed: amount("listed")?,
        sold: amount("sold")?,
        reserved: amount("reserved")?,
        bought_by: amount("bought_by")?,
        reserved_by: amount("reserved_by")?,
    }))
}

/// What a wallet's open subscriptions will pay to a listing, and whether the wallet is to buy one of this token by itself.
///
/// # Errors
/// The database's.
pub async fn promised(conn: &mut PgConnection, new: &New) -> Result<(U256, bool), sqlx::Error> {
    let (cost, own): (Uint256, bool) = sqlx::query_as(
        "SELECT coalesce(sum(cost) FILTER (WHERE listing = $2 AND payment_token = $3), 0),
                coalesce(bool_or(purchase = 'own' AND token = $4), false)
           FROM subscriptions_open
          WHERE wallet = $1",
    )
    .bind(Addr(new.wallet))
    .bind(Addr(new.listing))
    .bind(Addr(new.payment_token))
    .bind(Addr(new.token))
    .fetch_one(conn)
    .await?;
    Ok((cost.0, own))
}

/// Whether the party's client has named another command so.
///
/// # Errors
/// The database's.
pub async fn is_taken(conn: &mut PgConnection, party_id: &str, command_id: &CommandId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM commands WHERE scope = 'party:' || $1 AND command_id = $2)")
        .bind(party_id)
        .bind(command_id.as_str())
        .fetch_one(conn)
        .await
}

/// A row of the view `subscription_records`.
#[derive(FromRow)]
struct Joined {
    subscription_id: Uuid,
    offering_id: Uuid,
    issuer_id: Uuid,
    instrument_id: String,
    party_id: String,
    wallet_id: Uuid,
    wallet: Addr,
    command_id: String,
    purchase: String,
    token: Addr,
    listing: Addr,
    quantity: Uint256,
    unit: Uint256,
    payment_token: Addr,
    currency_id: String,
    currency_symbol: String,
    currency_decimals: i16,
    cost: Uint256,
    paid: Option<Uint256>,
    salt: Option<Word>,
    command_state: Option<String>,
    verdict: Option<String>,
    tx_hash: Option<Word>,
    bought_block: Option<i64>,
    reason_code: Option<String>,
    failure: Option<String>,
    expires_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl TryFrom<Joined> for Record {
    type Error = ApiError;

    fn try_from(row: Joined) -> Result<Record, ApiError> {
        let purchase = Purchase::ALL.into_iter().find(|purchase| purchase.as_str() == row.purchase);
        let purchase = purchase.ok_or_else(|| ApiError::internal(format!("purchase {:?}", row.purchase)))?;
        let verdict = row.verdict.as_deref().and_then(Verdict::parse);
        let command = row.command_state.as_deref().map(|state| {
            CommandState::parse(state, verdict).ok_or_else(|| ApiError::internal(format!("state {state:?}")))
        });
        let is_over = row.expires_at.is_some_and(|expires| expires <= OffsetDateTime::now_utc());
        let status = Status::of(purchase, command.transpose()?, row.bought_block.is_some(), is_over);
        let currency = Currency {
            currency_id: row.currency_id,
            address: row.payment_token.0,
            symbol: row.currency_symbol,
            decimals: u8::try_from(row.currency_decimals).map_err(ApiError::internal)?,
        };
        Ok(Record {
            subscription_id: row.subscription_id,
            offering_id: row.offering_id,
            issuer_id: row.issuer_id,
            instrument_id: row.instrument_id,
            party_id: row.party_id,
            wallet_id: row.wallet_id,
            wallet: row.wallet.0,
            command_id: row.command_id,
            purchase,
            token: row.token.0,
            listing: row.listing.0,
            quantity: row.quantity.0,
            unit: row.unit.0,
            cost: Price::new(currency, row.paid.unwrap_or(row.cost).0),
            salt: row.salt.map(|salt| salt.0),
            status,
            tx_hash: row.tx_hash.map(|hash| hash.0),
            reason_code: row.reason_code,
            failure: row.failure,
            expires_at: row.expires_at,
            created_at: row.created_at,
        })
    }
}
