//! Rows of `redemption_intents` and `redemption_decisions`, and the view that brings them together with what the desk has.
//! Written here only.

use alloy::primitives::{Address, B256, U256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgExecutor, Row};
use time::OffsetDateTime;
use tokenx_contracts::amount::Amount;
use tokenx_indexer::read::pages::Window;
use tokenx_migrations::{Addr, Uint256, Word};
use uuid::Uuid;

use super::course::{Desk, Verdict};
use crate::error::ApiError;
use crate::object_id;
use crate::store::page::made_between;
use crate::tokens::money::{Currency, Price};
use crate::tokens::nav::Nav;

/// A request, whoever made it where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is called.
    pub id: Id,
    /// Whose it is; `None`: of a wallet that no party is known to have.
    pub party_id: Option<String>,
    /// Whose units.
    pub wallet: Address,
    /// Of which token.
    pub token_id: String,
    /// What that is called on chain.
    pub instrument_id: String,
    /// Whose token it is.
    pub issuer_id: Uuid,
    /// How many.
    pub quantity: Amount,
    /// Least for a whole token.
    pub min_price: Option<Price>,
    /// Least for all of it.
    pub min_payout: Price,
    /// Who asked, and under which key of its own; `None`: the wallet itself, at the desk.
    pub requested_by: Option<String>,
    /// The client's own name for it.
    pub key: Option<String>,
    /// The command that asks the desk.
    pub command: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// What the desk has of it.
    pub held: Option<Held>,
    /// What was decided on it last.
    pub decision: Option<Decision>,
}

/// What a request is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// It was made here.
    Ours(Uuid),
    /// The wallet has made it itself: its token, and its number at the desk.
    Direct(String, u64),
}

/// What the desk has of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The desk's number for it.
    pub request_id: u64,
    /// In which block it came.
    pub block: u64,
    /// Whether and how it has ended.
    pub desk: Desk,
    /// What was paid, base units.
    pub payout: Option<U256>,
    /// The payment token refused the wallet: it has to draw it.
    pub credited: bool,
    /// When it ended and by which transaction.
    pub end: Option<(OffsetDateTime, B256)>,
}

/// A decision on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// How many there were, this one included.
    pub attempt: i32,
    /// Which.
    pub verdict: Verdict,
    /// Of an approval.
    pub offer: Option<Offer>,
    /// Why it was rejected.
    pub rejection: Option<String>,
    /// By whom.
    pub by: String,
    /// When.
    pub at: OffsetDateTime,
    /// The client's own name for it.
    pub key: Option<String>,
    /// The command that carries it out.
    pub command: String,
}

/// What an approval pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// For a whole token.
    pub price: Price,
    /// For all of it.
    pub payout: Price,
    /// What a whole token was worth.
    pub nav: Nav,
}

/// Which requests a list is of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this party's.
    pub party_id: Option<String>,
    /// Only of this instrument.
    pub instrument_id: Option<String>,
    /// Only those that the desk has not ended.
    pub open: bool,
}

/// Where a request stands in lists.
pub type Place = (OffsetDateTime, Id);

impl Case {
    /// Where it stands in lists.
    pub fn place(&self) -> Place {
        (self.created_at, self.id.clone())
    }
}

impl Id {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Id> {
        if let Ok(id) = text.parse() {
            return Some(Id::Ours(id));
        }
        let (token_id, number) = text.split_once('-')?;
        let number = number.parse().ok().filter(|number: &u64| number.to_string() == text[token_id.len() + 1..])?;
        object_id::is_valid(token_id).then(|| Id::Direct(token_id.to_owned(), number))
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Id::Ours(id) => write!(f, "{id}"),
            Id::Direct(token_id, number) => write!(f, "{token_id}-{number}"),
        }
    }
}

/// One request.
///
/// # Errors
/// The database's.
pub async fn find(db: impl PgExecutor<'_>, chain_id: u64, id: &Id) -> Result<Option<Case>, ApiError> {
    let row = match id {
        Id::Ours(id) => {
            sqlx::query("SELECT * FROM redemption_cases WHERE chain_id = $1 AND redemption_id = $2")
                .bind(chain_id.cast_signed())
                .bind(id)
                .fetch_optional(db)
                .await?
        }
        Id::Direct(token_id, number) => {
            sqlx::query(
                "SELECT *
                   FROM redemption_cases
                  WHERE chain_id = $1 AND redemption_id IS NULL AND token_id = $2 AND request_id = $3",
            )
            .bind(chain_id.cast_signed())
            .bind(token_id)
            .bind(number.cast_signed())
            .fetch_optional(db)
            .await?
        }
    };
    row.as_ref().map(case).transpose()
}

/// The request that an account has made under this key.
///
/// # Errors
/// The database's.
pub async fn by_key(db: impl PgExecutor<'_>, by: &str, key: &str) -> Result<Option<Case>, ApiError> {
    let row = sqlx::query("SELECT * FROM redemption_cases WHERE requested_by = $1 AND idempotency_key = $2")
        .bind(by)
        .bind(key)
        .fetch_optional(db)
        .await?;
    row.as_ref().map(case).transpose()
}

/// `$1`–`$4`: which requests.
macro_rules! matching {
    () => {
        " FROM redemption_cases
         WHERE chain_id = $1
           AND ($2::text IS NULL OR party_id = $2)
           AND ($3::text IS NULL OR instrument_id = $3)
           AND (NOT $4   OR approved IS NULL)"
    };
}

/// A page of requests.
///
/// # Errors
/// The database's.
pub async fn list(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    filter: &Filter,
    window: &Window<Place>,
) -> Result<Vec<Case>, ApiError> {
    let [above, below] =
        [&window.above, &window.below].map(|place| place.as_ref().map(|(at, id)| (*at, id.to_string())).unzip());
    let rows = sqlx::query(made_between!(matching!(), "id", ["$5", "$6", "$7", "$8", "$9"], window))
        .bind(chain_id.cast_signed())
        .bind(filter.party_id.as_deref())
        .bind(filter.instrument_id.as_deref())
        .bind(filter.open)
        .bind(above.0)
        .bind(above.1)
        .bind(below.0)
        .bind(below.1)
        .bind(window.limit)
        .fetch_all(db)
        .await?;
    rows.iter().map(case).collect()
}

/// How many requests there are.
///
/// # Errors
/// The database's.
pub async fn count(db: impl PgExecutor<'_>, chain_id: u64, filter: &Filter) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(concat!("SELECT count(*)", matching!()))
        .bind(chain_id.cast_signed())
        .bind(filter.party_id.as_deref())
        .bind(filter.instrument_id.as_deref())
        .bind(filter.open)
        .fetch_one(db)
        .await
}

/// A new request, as it is written.
#[derive(Debug)]
pub struct New<'a> {
    /// Its id.
    pub redemption_id: Uuid,
    /// Whose it is.
    pub party_id: &'a str,
    /// What is signed.
    pub redemption: &'a tokenx_keeper::Redemption,
    /// Of which token.
    pub token_id: &'a str,
    /// Least for a whole token, base units.
    pub min_price: Option<U256>,
    /// Who asks.
    pub by: &'a str,
    /// The client's own name for it.
    pub key: Option<&'a str>,
    /// The command that asks the desk, and as the chain has it.
    pub command: (&'a str, B256),
    /// When.
    pub at: OffsetDateTime,
}

/// Adds a request.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut PgConnection, new: &New<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO redemption_intents (redemption_id, party_id, wallet, token_id, quantity, min_price, payment_token,
                                         min_payout, requested_by, idempotency_key, command_id, command_key, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(new.redemption_id)
    .bind(new.party_id)
    .bind(Addr(new.redemption.wallet))
    .bind(new.token_id)
    .bind(Uint256(new.redemption.quantity))
    .bind(new.min_price.map(Uint256))
    .bind(Addr(new.redemption.payment_token))
    .bind(Uint256(new.redemption.min_payout))
    .bind(new.by)
    .bind(new.key)
    .bind(new.command.0)
    .bind(Word(new.command.1))
    .bind(new.at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a decision on a request that the desk has.
///
/// # Errors
/// The database's.
pub async fn decide(
    conn: &mut PgConnection,
    case: &Case,
    request_id: u64,
    decision: &Decision,
) -> Result<(), sqlx::Error> {
    let offer = decision.offer.as_ref();
    sqlx::query(
        "INSERT INTO redemption_decisions (token_id, request_id, attempt, wallet, quantity, verdict, price, payout, nav,
                                           nav_source, nav_as_of, rejection, decided_by, decided_at, decision_key,
                                           command_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(&case.token_id)
    .bind(request_id.cast_signed())
    .bind(decision.attempt)
    .bind(Addr(case.wallet))
    .bind(Uint256(case.quantity.base()))
    .bind(decision.verdict.as_str())
    .bind(offer.map(|offer| Uint256(offer.price.amount.base())))
    .bind(offer.map(|offer| Uint256(offer.payout.amount.base())))
    .bind(offer.map(|offer| Uint256(offer.nav.price.amount.base())))
    .bind(offer.map(|offer| offer.nav.source.as_str()))
    .bind(offer.map(|offer| offer.nav.as_of))
    .bind(decision.rejection.as_deref())
    .bind(&decision.by)
    .bind(decision.at)
    .bind(decision.key.as_deref())
    .bind(&decision.command)
    .execute(conn)
    .await?;
    Ok(())
}

/// The number of the next decision on a request: none before had it, whatever reorgs have made of it.
///
/// # Errors
/// The database's.
pub async fn next_attempt(conn: &mut PgConnection, token_id: &str, request_id: u64) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce(max(attempt), 0) + 1
           FROM redemption_decisions
          WHERE token_id = $1 AND request_id = $2",
    )
    .bind(token_id)
    .bind(request_id.cast_signed())
    .fetch_one(conn)
    .await
}

/// What approvals of a token promise that the chain has not paid yet, base units of a payment token.
///
/// # Errors
/// The database's.
pub async fn promised(
    conn: &mut PgConnection,
    chain_id: u64,
    token_id: &str,
    payment_token: Address,
) -> Result<U256, sqlx::Error> {
    let promised: Uint256 = sqlx::query_scalar(
        "SELECT coalesce(sum(k.decided_payout::numeric), 0)
           FROM redemption_cases k
           JOIN command_views c ON c.scope = 'system' AND c.command_id = k.decision_command
          WHERE k.chain_id = $1 AND k.token_id = $2 AND k.payment_token = $3
            AND k.verdict = 'approved' AND k.approved IS NULL
            AND c.state NOT IN ('failed', 'cancelled', 'expired', 'rejected')",
    )
    .bind(chain_id.cast_signed())
    .bind(token_id)
    .bind(Addr(payment_token))
    .fetch_one(conn)
    .await?;
    Ok(promised.0)
}

/// Units of a token that its desk holds and nobody's decision is about to take or let go of, base units.
///
/// # Errors
/// The database's.
pub async fn undecided(conn: &mut PgConnection, chain_id: u64, token_id: &str) -> Result<U256, sqlx::Error> {
    let units: Uint256 = sqlx::query_scalar(
        "SELECT coalesce(sum(k.quantity::numeric), 0)
           FROM redemption_cases k
          WHERE k.chain_id = $1 AND k.token_id = $2 AND k.request_id IS NOT NULL AND k.approved IS NULL
            AND NOT EXISTS (SELECT FROM command_views c
                             WHERE c.scope = 'system' AND c.command_id = k.decision_command
                               AND c.state NOT IN ('failed', 'cancelled', 'expired', 'rejected'))",
    )
    .bind(chain_id.cast_signed())
    .bind(token_id)
    .fetch_one(conn)
    .await?;
    Ok(units.0)
}

fn case(row: &PgRow) -> Result<Case, ApiError> {
    let byte = |column| Ok::<_, sqlx::Error>(u8::try_from(row.try_get::<i16, _>(column)?).unwrap_or(u8::MAX));
    let currency = Currency {
        currency_id: row.try_get("currency_id")?,
        address: row.try_get::<Addr, _>("payment_token")?.0,
        symbol: row.try_get("symbol")?,
        decimals: byte("decimals")?,
    };
    let price = |units: Uint256| Price::new(currency.clone(), units.0);
    let token_id: String = row.try_get("token_id")?;
    let held = held(row)?;
    let id = match (row.try_get("redemption_id")?, &held) {
        (Some(id), _) => Id::Ours(id),
        (None, Some(held)) => Id::Direct(token_id.clone(), held.request_id),
        (None, None) => return Err(ApiError::internal("a redemption that nobody knows")),
    };
    Ok(Case {
        id,
        party_id: row.try_get("party_id")?,
        wallet: row.try_get::<Addr, _>("wallet")?.0,
        token_id,
        instrument_id: row.try_get("instrument_id")?,
        issuer_id: row.try_get("issuer_id")?,
        quantity: Amount::new(row.try_get::<Uint256, _>("quantity")?.0, byte("token_decimals")?),
        min_price: row.try_get::<Option<Uint256>, _>("min_price")?.map(price),
        min_payout: price(row.try_get("min_payout")?),
        requested_by: row.try_get("requested_by")?,
        key: row.try_get("idempotency_key")?,
        command: row.try_get("command_id")?,
        created_at: row.try_get("created_at")?,
        held,
        decision: decision(row, price)?,
    })
}

fn held(row: &PgRow) -> Result<Option<Held>, ApiError> {
    let Some(request_id) = row.try_get::<Option<i64>, _>("request_id")? else { return Ok(None) };
    let operator: Option<Addr> = row.try_get("end_operator")?;
    let wallet: Addr = row.try_get("wallet")?;
    let desk = match row.try_get::<Option<bool>, _>("approved")? {
        None => Desk::Open,
        Some(true) => Desk::Paid,
        Some(false) => Desk::Closed { by_wallet: operator == Some(wallet) },
    };
    let ended: Option<i64> = row.try_get("end_time")?;
    let end = ended.zip(row.try_get::<Option<Word>, _>("end_tx")?).map(|(at, Word(hash))| {
        let at = OffsetDateTime::from_unix_timestamp(at).map_err(ApiError::internal)?;
        Ok::<_, ApiError>((at, hash))
    });
    Ok(Some(Held {
        request_id: request_id.unsigned_abs(),
        block: row.try_get::<i64, _>("block_number")?.unsigned_abs(),
        desk,
        payout: row.try_get::<Option<Uint256>, _>("payout")?.map(|payout| payout.0),
        credited: row.try_get::<Option<Uint256>, _>("credit")?.is_some_and(|credit| !credit.0.is_zero()),
        end: end.transpose()?,
    }))
}

fn decision(row: &PgRow, price: impl Fn(Uint256) -> Price) -> Result<Option<Decision>, ApiError> {
    let Some(attempt) = row.try_get("attempt")? else { return Ok(None) };
    let verdict: String = row.try_get("verdict")?;
    let verdict = Verdict::named(&verdict).ok_or_else(|| ApiError::internal(format!("verdict {verdict:?}")))?;
    let offer = |asked: Uint256| {
        Ok::<_, sqlx::Error>(Offer {
            price: price(asked),
            payout: price(row.try_get("decided_payout")?),
            nav: Nav {
                price: price(row.try_get("nav")?),
                source: row.try_get("nav_source")?,
                as_of: row.try_get("nav_as_of")?,
            },
        })
    };
    Ok(Some(Decision {
        attempt,
        verdict,
        offer: row.try_get::<Option<Uint256>, _>("price")?.map(offer).transpose()?,
        rejection: row.try_get("rejection")?,
        by: row.try_get("decided_by")?,
        at: row.try_get("decided_at")?,
        key: row.try_get("decision_key")?,
        command: row.try_get("decision_command")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_nothing_else_is_one() {
        let token_id = "67d8774e903bfcbe7eb5d93e".to_owned();
        for id in [Id::Ours(Uuid::now_v7()), Id::Direct(token_id.clone(), 7)] {
            assert_eq!(Id::parse(&id.to_string()), Some(id));
        }
        for other in ["", "7", "67d8774e903bfcbe7eb5d93e", "67d8774e903bfcbe7eb5d93e-07", "x-7", "-", "é-1"] {
            assert_eq!(Id::parse(other), None, "{other}");
        }
    }
}
