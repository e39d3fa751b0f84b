//! Rows of `wallets`. Written here only, under a lock on their party.

use alloy::primitives::Address;
use sqlx::{FromRow, PgConnection, PgExecutor};
use time::OffsetDateTime;
use tokenx_migrations::Addr;
use uuid::Uuid;

use super::state::{Verdict, Wish};
use crate::error::ApiError;

/// Who holds a wallet's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// We do: the keeper made it and keeps it sealed.
    Hosted,
    /// The party does.
    SelfCustody,
}

impl Kind {
    /// Its name in the table and on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Hosted => "hosted",
            Kind::SelfCustody => "self_custody",
        }
    }

    /// The kind of this name.
    ///
    /// # Errors
    /// What the names are.
    pub fn parse(name: &str) -> Result<Kind, &'static str> {
        let found = [Kind::Hosted, Kind::SelfCustody].into_iter().find(|kind| kind.as_str() == name);
        found.ok_or("value is no kind of wallet: use hosted or self_custody")
    }
}

/// A wallet as the platform keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id; of two, the later one's is greater.
    pub wallet_id: Uuid,
    /// Whose it is.
    pub party_id: String,
    /// Where it is.
    pub address: Address,
    /// Who holds its key.
    pub kind: Kind,
    /// Who registered it; `None`: an operator, who needs nobody's approval.
    pub registered_by: Option<String>,
    /// The client's own name for the registration.
    pub key: Option<String>,
    /// What was decided on it.
    pub decision: Option<Decision>,
    /// The command that was asked of the keeper last, in scope `system`.
    pub command: Option<String>,
    /// How many were asked so far.
    pub commands: i32,
    /// What is to be asked as soon as the keeper takes it.
    pub due: Option<Wish>,
    /// When it was registered.
    pub created_at: OffsetDateTime,
}

/// A decision on a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which.
    pub verdict: Verdict,
    /// By whom, as the audit log names people.
    pub by: String,
    /// When.
    pub at: OffsetDateTime,
    /// The client's own name for it.
    pub key: Option<String>,
    /// Why it was rejected.
    pub rejection: Option<String>,
}

/// Which wallets a list is of.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this party's.
    pub party_id: Option<String>,
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only those on which nobody has decided.
    pub undecided: bool,
    /// Only those registered before this one.
    pub before: Option<Uuid>,
}

/// One wallet.
///
/// # Errors
/// The database's.
pub async fn find(db: impl PgExecutor<'_>, wallet_id: Uuid) -> Result<Option<Record>, ApiError> {
    let row: Option<Row> =
        sqlx::query_as("SELECT * FROM wallets WHERE wallet_id = $1").bind(wallet_id).fetch_optional(db).await?;
    row.map(Record::try_from).transpose()
}

/// The wallet at this address.
///
/// # Errors
/// The database's.
pub async fn at(db: impl PgExecutor<'_>, address: Address) -> Result<Option<Record>, ApiError> {
    let row: Option<Row> =
        sqlx::query_as("SELECT * FROM wallets WHERE address = $1").bind(Addr(address)).fetch_optional(db).await?;
    row.map(Record::try_from).transpose()
}

/// The wallet that an account has registered under this key.
///
/// # Errors
/// The database's.
pub async fn by_key(db: impl PgExecutor<'_>, registered_by: &str, key: &str) -> Result<Option<Record>, ApiError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT *
           FROM wallets
          WHERE registered_by = $1 AND idempotency_key = $2",
    )
    .bind(registered_by)
    .bind(key)
    .fetch_optional(db)
    .await?;
    row.map(Record::try_from).transpose()
}

/// Wallets, newest first, up to `limit`.
///
/// # Errors
/// The database's.
pub async fn list(db: impl PgExecutor<'_>, filter: &Filter, limit: i64) -> Result<Vec<Record>, ApiError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT *
           FROM wallets
          WHERE ($1::text IS NULL OR party_id = $1)
            AND ($2::text IS NULL OR kind = $2)
            AND (decision IS NULL OR NOT $3)
            AND ($4::uuid IS NULL OR wallet_id < $4)
          ORDER BY wallet_id DESC
          LIMIT $5",
    )
    .bind(&filter.party_id)
    .bind(filter.kind.map(Kind::as_str))
    .bind(filter.undecided)
    .bind(filter.before)
    .bind(limit)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Record::try_from).collect()
}

/// How many wallets a party has that nobody has rejected.
///
/// # Errors
/// The database's.
pub async fn count(db: impl PgExecutor<'_>, party_id: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM wallets WHERE party_id = $1 AND rejection IS NULL")
        .bind(party_id)
        .fetch_one(db)
        .await
}

/// Wallets, with their parties, for which something is to be asked.
///
/// # Errors
/// The database's.
pub async fn due(db: impl PgExecutor<'_>) -> Result<Vec<(Uuid, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT wallet_id, party_id FROM wallets WHERE registry_due IS NOT NULL ORDER BY wallet_id LIMIT 1000",
    )
    .fetch_all(db)
    .await
}

/// Adds a wallet. False: its address is registered already, and nothing was written.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut PgConnection, record: &Record) -> Result<bool, sqlx::Error> {
    let decision = record.decision.as_ref();
    let inserted = sqlx::query(
        "INSERT INTO wallets (wallet_id, party_id, address, kind, registered_by, idempotency_key, decision, decided_by,
                              decided_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT ON CONSTRAINT wallets_address_unique DO NOTHING",
    )
    .bind(record.wallet_id)
    .bind(&record.party_id)
    .bind(Addr(record.address))
    .bind(record.kind.as_str())
    .bind(&record.registered_by)
    .bind(&record.key)
    .bind(decision.map(|decision| decision.verdict.as_str()))
    .bind(decision.map(|decision| &decision.by))
    .bind(decision.map(|decision| decision.at))
    .bind(record.created_at)
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Writes what was decided on a wallet and what was asked for it.
///
/// # Errors
/// The database's.
pub async fn update(conn: &mut PgConnection, record: &Record) -> Result<(), sqlx::Error> {
    let decision = record.decision.as_ref();
    sqlx::query(
        "UPDATE wallets
            SET decision = $2, decided_by = $3, decided_at = $4, decision_key = $5, rejection = $6,
                registry_command = $7, registry_commands = $8, registry_due = $9
          WHERE wallet_id = $1",
    )
    .bind(record.wallet_id)
    .bind(decision.map(|decision| decision.verdict.as_str()))
    .bind(decision.map(|decision| &decision.by))
    .bind(decision.map(|decision| decision.at))
    .bind(decision.and_then(|decision| decision.key.as_ref()))
    .bind(decision.and_then(|decision| decision.rejection.as_ref()))
    .bind(&record.command)
    .bind(record.commands)
    .bind(record.due.map(Wish::as_str))
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    wallet_id: Uuid,
    party_id: String,
    address: Addr,
    kind: String,
    registered_by: Option<String>,
    idempotency_key: Option<String>,
    decision: Option<String>,
    decided_by: Option<String>,
    decided_at: Option<OffsetDateTime>,
    decision_key: Option<String>,
    rejection: Option<String>,
    registry_command: Option<String>,
    registry_commands: i32,
    registry_due: Option<String>,
    created_at: OffsetDateTime,
}

impl TryFrom<Row> for Record {
    type Error = ApiError;

    fn try_from(row: Row) -> Result<Record, ApiError> {
        let decided = row.decision.zip(row.decided_by).zip(row.decided_at);
        let decision = decided.map(|((verdict, by), at)| {
            let named = [Verdict::Approved, Verdict::Rejected].into_iter().find(|known| known.as_str() == verdict);
            let verdict = named.ok_or_else(|| ApiError::internal(format!("decision {verdict:?} on a wallet")))?;
            Ok::<_, ApiError>(Decision { verdict, by, at, key: row.decision_key, rejection: row.rejection })
        });
        Ok(Record {
            wallet_id: row.wallet_id,
            party_id: row.party_id,
            address: row.address.0,
            kind: Kind::parse(&row.kind).map_err(ApiError::internal)?,
            registered_by: row.registered_by,
            key: row.idempotency_key,
            decision: decision.transpose()?,
            command: row.registry_command,
            commands: row.registry_commands,
            due: row.registry_due.as_deref().and_then(Wish::of),
            created_at: row.created_at,
        })
    }
}
