//! Rows of `otc_deals`. Written here only.

use serde_json::{Value, json};
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use tokenx_keeper as keeper;
use tokenx_migrations::{Addr, Uint256, Word, audit, outbox};
use uuid::Uuid;

use crate::admin::By;
use crate::ats::names::{Does, named};
use crate::ats::trades::Progress;

named! {
    /// What the parties have said.
    Stage {
        /// It waits for the other one.
        Proposed = "proposed",
        /// Both have agreed.
        Accepted = "accepted",
        /// Its maker has taken it back, or a party may not trade any more.
        Cancelled = "cancelled",
        /// The other one does not want it.
        Declined = "declined",
        /// Nobody has accepted it in time.
        Expired = "expired",
    }
}

named! {
    /// Where it stands on every surface.
    State {
        /// It waits for the other one.
        Proposed = "proposed",
        /// Both have agreed, and it is on its way to the chain.
        Accepted = "accepted",
        /// The chain has moved tokens and money.
        Settled = "settled",
        /// The chain has refused: both have what they had.
        Failed = "failed",
        /// It has come to nothing.
        Cancelled = "cancelled",
        /// The same, and what its maker's wallet has signed counts until it is taken back on chain or too late.
        CancelPending = "cancel_pending",
        /// The other one does not want it.
        Declined = "declined",
        /// Nobody has accepted it in time.
        Expired = "expired",
    }
}

/// A deal as the platform keeps it.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs, reason = "as the table's columns, which say it")]
pub struct Deal {
    pub deal_id: Uuid,
    #[sqlx(default)]
    pub place: i64,
    pub maker: String,
    pub taker: String,
    pub client_deal_id: String,
    pub fingerprint: Word,
    pub proposed_by: String,
    pub idempotency_key: Option<String>,
    pub offering_id: Uuid,
    pub instrument_id: String,
    pub chain_id: i64,
    pub token: Addr,
    pub desk: Addr,
    pub maker_sells: bool,
    pub taker_fixed: bool,
    pub maker_wallet_id: Uuid,
    pub taker_wallet_id: Uuid,
    pub seller: Addr,
    pub buyer: Addr,
    pub quantity: Uint256,
    pub payment_token: Addr,
    pub price: Option<Uint256>,
    pub payment: Uint256,
    pub max_fee_bps: i32,
    pub valid_from: i64,
    pub until: i64,
    pub deadline: i64,
    pub salt: Word,
    pub digest: Word,
    pub maker_signature: Option<Vec<u8>>,
    pub taker_signature: Option<Vec<u8>>,
    #[sqlx(try_from = "String")]
    pub stage: Stage,
    pub ended_code: Option<String>,
    pub command_id: String,
    pub at_fault: Option<String>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// A deal with what is shown beside it.
#[derive(Debug, Clone, FromRow)]
#[allow(missing_docs, reason = "as the view's columns, which say it")]
pub struct Shown {
    #[sqlx(flatten)]
    pub deal: Deal,
    #[sqlx(flatten)]
    pub progress: Progress,
    pub decimals: i16,
    pub payment_decimals: i16,
    pub payment_symbol: String,
    #[sqlx(try_from = "String")]
    pub shown: State,
}

/// Which deals a list is of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Whose, on either side.
    pub party_id: String,
    /// Only of this instrument.
    pub instrument_id: Option<String>,
    /// Only in this state.
    pub state: Option<State>,
    /// Only those that it has proposed itself, or only those that others have.
    pub own: Option<bool>,
    /// Only those older than this.
    pub before: Option<(OffsetDateTime, Uuid)>,
}

impl Deal {
    /// What a party does in it; the maker, unless it is the taker.
    pub fn side_of(&self, party_id: &str) -> Does {
        if self.maker_sells == (self.taker != party_id) { Does::Sell } else { Does::Buy }
    }

    /// As both sign it.
    pub fn message(&self) -> keeper::Deal {
        keeper::Deal {
            seller: self.seller.0,
            buyer: self.buyer.0,
            quantity: self.quantity.0,
            payment_token: self.payment_token.0,
            payment: self.payment.0,
            max_fee_bps: u16::try_from(self.max_fee_bps).unwrap_or(u16::MAX),
            valid_from: self.valid_from.unsigned_abs(),
            deadline: self.deadline.unsigned_abs(),
            terms: alloy::primitives::B256::ZERO,
            salt: self.salt.0,
        }
    }
}

/// One deal of a party, as it is shown.
///
/// # Errors
/// The database's.
pub async fn shown(db: impl PgExecutor<'_>, party_id: &str, deal_id: Uuid) -> Result<Option<Shown>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM otc_deal_records WHERE deal_id = $2 AND (maker = $1 OR taker = $1)")
        .bind(party_id)
        .bind(deal_id)
        .fetch_optional(db)
        .await
}

/// A deal, for a change: nobody else changes it meanwhile.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, deal_id: Uuid) -> Result<Option<Deal>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM otc_deals WHERE deal_id = $1 FOR NO KEY UPDATE")
        .bind(deal_id)
        .fetch_optional(conn)
        .await
}

/// The deals that a proposal might be the repetition of: by the client's name for the deal, or for the request.
///
/// # Errors
/// The database's.
pub async fn known(
    db: impl PgExecutor<'_>,
    (party_id, client_deal_id): (&str, &str),
    (caller, key): (&str, Option<&str>),
) -> Result<Vec<Deal>, sqlx::Error> {
    sqlx::query_as(
        "SELECT *
           FROM otc_deals
          WHERE (maker = $1 AND client_deal_id = $2)
             OR (proposed_by = $3 AND idempotency_key = $4)",
    )
    .bind(party_id)
    .bind(client_deal_id)
    .bind(caller)
    .bind(key)
    .fetch_all(db)
    .await
}

/// A page of deals, newest first.
///
/// # Errors
/// The database's.
pub async fn list(db: impl PgExecutor<'_>, filter: &Filter, limit: i64) -> Result<Vec<Shown>, sqlx::Error> {
    let (at, id) = filter.before.unzip();
    sqlx::query_as(
        "SELECT *
           FROM otc_deal_records
          WHERE (maker = $1 OR taker = $1)
            AND ($2::text IS NULL OR instrument_id = $2)
            AND ($3::text IS NULL OR shown = $3)
            AND ($4::boolean IS NULL OR (maker = $1) = $4)
            AND ($5::timestamptz IS NULL OR (created_at, deal_id) < ($5, $6))
          ORDER BY created_at DESC, deal_id DESC
          LIMIT $7",
    )
    .bind(&filter.party_id)
    .bind(&filter.instrument_id)
    .bind(filter.state.map(State::as_str))
    .bind(filter.own)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Keeps a proposal; its place is the database's to give.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut PgConnection, deal: &Deal) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO otc_deals (deal_id, maker, taker, client_deal_id, fingerprint, proposed_by, idempotency_key, offering_id,
                                instrument_id, chain_id, token, desk, maker_sells, taker_fixed, maker_wallet_id,
                                taker_wallet_id, seller, buyer, quantity, payment_token, price, payment, max_fee_bps,
                                valid_from, until, deadline, salt, digest, maker_signature, stage, command_id, created_at,
                                updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
                 $24, $25, $26, $27, $28, $29, $30, $31, $32, $32)",
    )
    .bind(deal.deal_id)
    .bind(&deal.maker)
    .bind(&deal.taker)
    .bind(&deal.client_deal_id)
    .bind(deal.fingerprint)
    .bind(&deal.proposed_by)
    .bind(&deal.idempotency_key)
    .bind(deal.offering_id)
    .bind(&deal.instrument_id)
    .bind(deal.chain_id)
    .bind(deal.token)
    .bind(deal.desk)
    .bind(deal.maker_sells)
    .bind(deal.taker_fixed)
    .bind(deal.maker_wallet_id)
    .bind(deal.taker_wallet_id)
    .bind(deal.seller)
    .bind(deal.buyer)
    .bind(deal.quantity)
    .bind(deal.payment_token)
    .bind(deal.price)
    .bind(deal.payment)
    .bind(deal.max_fee_bps)
    .bind(deal.valid_from)
    .bind(deal.until)
    .bind(deal.deadline)
    .bind(deal.salt)
    .bind(deal.digest)
    .bind(&deal.maker_signature)
    .bind(deal.stage.as_str())
    .bind(&deal.command_id)
    .bind(deal.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what both have agreed on: the taker's wallet, and what follows from it.
///
/// # Errors
/// The database's.
pub async fn accept(conn: &mut PgConnection, deal: &Deal) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE otc_deals
            SET stage = 'accepted', taker_wallet_id = $2, seller = $3, buyer = $4, digest = $5, taker_signature = $6,
                updated_at = $7
          WHERE deal_id = $1",
    )
    .bind(deal.deal_id)
    .bind(deal.taker_wallet_id)
    .bind(deal.seller)
    .bind(deal.buyer)
    .bind(deal.digest)
    .bind(&deal.taker_signature)
    .bind(deal.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a proposal, and says why where nobody has asked for it.
///
/// # Errors
/// The database's.
pub async fn end(
    conn: &mut PgConnection,
    deal: &Deal,
    (stage, code): (Stage, Option<&str>),
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE otc_deals SET stage = $2, ended_code = $3, over = true, updated_at = now() WHERE deal_id = $1")
        .bind(deal.deal_id)
        .bind(stage.as_str())
        .bind(code)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes a change, and tells each party of it: as of a deal of its own, and nothing of the other one.
///
/// # Errors
/// The database's.
pub async fn tell(
    conn: &mut PgConnection,
    by: By<'_>,
    deal: &Deal,
    action: &str,
    more: Value,
) -> Result<(), sqlx::Error> {
    let detail = |party_id: &str| {
        let mut detail = json!({
            "party_id": party_id,
            "deal_id": deal.deal_id,
            "instrument_id": deal.instrument_id,
            "side": deal.side_of(party_id).as_str(),
            "quantity_base_units": deal.quantity.0.to_string(),
            "payment_base_units": deal.payment.0.to_string(),
        });
        if let (Value::Object(detail), Value::Object(more)) = (&mut detail, more.clone()) {
            detail.extend(more);
        }
        detail
    };
    let subject = format!("deal:{}", deal.deal_id);
    let mut whole = detail(&deal.maker);
    whole["counterparty_id"] = deal.taker.as_str().into();
    let entry = audit::Entry { actor: by.actor, action, subject: &subject, request_id: by.request_id, detail: whole };
    audit::append(&mut *conn, entry).await?;
    let event = |party_id: &str| outbox::Event {
        kind: action.to_owned(),
        subject: subject.clone(),
        payload: detail(party_id),
        effect_key: None,
    };
    outbox::append_all(conn, &[event(&deal.maker), event(&deal.taker)]).await
}
