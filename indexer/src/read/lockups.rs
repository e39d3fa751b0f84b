use alloy::primitives::{Address, U256};
use sqlx::{PgExecutor, Row};
use tokenx_migrations::Addr;

use super::{Columns, HoldKind, int, uint};

/// A lockup's place in their order: the second it ends, its token, its wallet, the token's number for it.
pub type LockupKey = (u64, Address, Address, u64);

/// Which lockups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockupFilter {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Only of this instrument.
    pub instrument_id: Option<String>,
    /// Only of this kind.
    pub kind: Option<HoldKind>,
    /// Only of these wallets.
    pub wallets: Option<Vec<Address>>,
    /// Only those after this one.
    pub after: Option<LockupKey>,
}

/// Units that a regulation keeps where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockup {
    /// The instrument.
    pub instrument_id: String,
    /// Its token.
    pub token: Address,
    /// Decimals of the amount.
    pub decimals: u8,
    /// The wallet.
    pub wallet: Address,
    /// The investor behind it; `None`: the wallet is its own party.
    pub investor_id: Option<u64>,
    /// The token's own number for it.
    pub id: u64,
    /// Under which regulation.
    pub kind: HoldKind,
    /// Base units.
    pub amount: U256,
    /// Unix seconds from which it no longer binds; 0 = never.
    pub until: u64,
}

impl Lockup {
    /// Its place.
    #[must_use]
    pub const fn key(&self) -> LockupKey {
        (self.until, self.token, self.wallet, self.id)
    }
}

/// The lockups that bind at the indexed head, those that end first before the others.
///
/// # Errors
/// The database's.
pub async fn lockups(db: impl PgExecutor<'_>, filter: &LockupFilter, limit: i64) -> Result<Vec<Lockup>, sqlx::Error> {
    let (until, token, wallet, id) = filter.after.unwrap_or_default();
    let rows = sqlx::query(
        "SELECT i.instrument_id, i.decimals, k.token, k.wallet, k.hold_id, k.kind, k.amount, k.until, w.investor_id
           FROM unexpired_holds k
           JOIN instruments i           ON i.chain_id = k.chain_id AND i.token  = k.token
           LEFT JOIN investor_wallets w ON w.chain_id = k.chain_id AND w.wallet = k.wallet
          WHERE k.chain_id = $1
            AND k.kind IN (2, 3)
            AND ($2::text     IS NULL OR i.instrument_id = $2)
            AND ($3::smallint IS NULL OR k.kind = $3)
            AND ($4::bytea[]  IS NULL OR k.wallet = ANY ((SELECT $4::bytea[])::bytea[]))
            AND (NOT $5 OR (k.until, k.token::bytea, k.wallet::bytea, k.hold_id) > ($6, $7::bytea, $8::bytea, $9))
          ORDER BY k.until, k.token, k.wallet, k.hold_id
          LIMIT $10",
    )
    .bind(int(filter.chain_id))
    .bind(filter.instrument_id.as_deref())
    .bind(filter.kind.map(|kind| i16::from(kind.code())))
    .bind(filter.wallets.as_ref().map(|wallets| wallets.iter().copied().map(Addr).collect::<Vec<_>>()))
    .bind(filter.after.is_some())
    .bind(int(until))
    .bind(Addr(token))
    .bind(Addr(wallet))
    .bind(int(id))
    .bind(limit)
    .fetch_all(db)
    .await?;
    let lockup = |row: &sqlx::postgres::PgRow| {
        Ok(Lockup {
            instrument_id: row.try_get("instrument_id")?,
            token: row.address("token")?,
            decimals: u8::try_from(row.try_get::<i16, _>("decimals")?).unwrap_or(u8::MAX),
            wallet: row.address("wallet")?,
            investor_id: row.try_get::<Option<i64>, _>("investor_id")?.map(uint),
            id: row.height("hold_id")?,
            kind: HoldKind::from_code(u8::try_from(row.try_get::<i16, _>("kind")?).unwrap_or(u8::MAX)),
            amount: row.amount("amount")?,
            until: row.height("until")?,
        })
    };
    rows.iter().map(lockup).collect()
}
