//! Parties and wallets: whom a text means, and what to call whoever the chain means.

use std::collections::HashMap;

use alloy::primitives::Address;
use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use tokenx_contracts::ids::PartyId;
use tokenx_indexer::read;
use tokenx_migrations::Addr;
use uuid::Uuid;

/// A party as the platform knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// What every text calls it.
    pub party_id: String,
    /// Its number in the investor registry.
    pub investor_id: u64,
    /// The wallet it named as its primary one; `None`: the first approved.
    pub chosen: Option<Address>,
}

/// What the registry is to say of a party's wallets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What every text calls it.
    pub party_id: String,
    /// Its number in the investor registry.
    pub investor_id: u64,
    /// ISO 3166-1 numeric.
    pub country: u16,
    /// Class as the platform numbers it; 0 = not given.
    pub investor_class: u8,
    /// When its KYC ends; `None` = never.
    pub kyc_expires_at: Option<OffsetDateTime>,
}

/// A party's profile.
///
/// # Errors
/// The database's.
pub async fn profile(db: impl PgExecutor<'_>, party_id: &str) -> Result<Option<Profile>, sqlx::Error> {
    let row: Option<ProfileRow> = sqlx::query_as(
        "SELECT party_id, investor_id, country, investor_class, kyc_expires_at
           FROM parties
          WHERE party_id = $1",
    )
    .bind(party_id)
    .fetch_optional(db)
    .await?;
    Ok(row.map(Profile::from))
}

/// The same, until the transaction ends for this one alone: who writes of a party's wallets, or decides on who it is, holds
/// this lock.
///
/// # Errors
/// The database's.
pub async fn lock(conn: &mut PgConnection, party_id: &str) -> Result<Option<Profile>, sqlx::Error> {
    let row: Option<ProfileRow> = sqlx::query_as(
        "SELECT party_id, investor_id, country, investor_class, kyc_expires_at
           FROM parties
          WHERE party_id = $1
            FOR NO KEY UPDATE",
    )
    .bind(party_id)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Profile::from))
}

/// On what a party's accreditation rests, and when it ends; `None`: it is not accredited, as far as anybody has said.
///
/// # Errors
/// The database's.
pub async fn accreditation(
    db: impl PgExecutor<'_>,
    party_id: &str,
) -> Result<Option<(String, Option<OffsetDateTime>)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT accreditation_method, accredited_until
           FROM parties
          WHERE party_id = $1 AND accreditation_method IS NOT NULL",
    )
    .bind(party_id)
    .fetch_optional(db)
    .await
}

type ProfileRow = (String, i64, i16, i16, Option<OffsetDateTime>);

impl From<ProfileRow> for Profile {
    fn from((party_id, investor_id, country, class, kyc_expires_at): ProfileRow) -> Profile {
        // The table's CHECKs keep them in range.
        Profile {
            party_id,
            investor_id: investor_id.unsigned_abs(),
            country: country.unsigned_abs(),
            investor_class: u8::try_from(class).unwrap_or_default(),
            kyc_expires_at,
        }
    }
}

/// The party of this id.
///
/// # Errors
/// The database's.
pub async fn find(db: impl PgExecutor<'_>, party_id: &PartyId) -> Result<Option<Party>, sqlx::Error> {
    let row: Option<(String, i64, Option<Addr>)> = sqlx::query_as(
        "SELECT p.party_id, p.investor_id, w.address
           FROM parties p
           LEFT JOIN wallets w ON w.wallet_id = p.primary_wallet_id
          WHERE p.party_id = $1",
    )
    .bind(party_id.as_str())
    .fetch_optional(db)
    .await?;
    Ok(row.map(|(party_id, investor_id, chosen)| Party {
        party_id,
        investor_id: investor_id.unsigned_abs(),
        chosen: chosen.map(|address| address.0),
    }))
}

/// The parties of these ids, by id.
///
/// # Errors
/// The database's.
pub async fn owners(db: impl PgExecutor<'_>, party_ids: &[&str]) -> Result<HashMap<String, Party>, sqlx::Error> {
    let rows: Vec<(String, i64, Option<Addr>)> = sqlx::query_as(
        "SELECT p.party_id, p.investor_id, w.address
           FROM parties p
           LEFT JOIN wallets w ON w.wallet_id = p.primary_wallet_id
          WHERE p.party_id = ANY ($1)",
    )
    .bind(party_ids)
    .fetch_all(db)
    .await?;
    let party = |(party_id, investor_id, chosen): (String, i64, Option<Addr>)| {
        let chosen = chosen.map(|address| address.0);
        (party_id.clone(), Party { party_id, investor_id: investor_id.unsigned_abs(), chosen })
    };
    Ok(rows.into_iter().map(party).collect())
}

/// Has the party's name stand for this wallet of its; whether it did not before.
///
/// # Errors
/// The database's.
pub async fn choose_primary(conn: &mut PgConnection, party_id: &str, wallet_id: Uuid) -> Result<bool, sqlx::Error> {
    let chosen = sqlx::query(
        "UPDATE parties
            SET primary_wallet_id = $2
          WHERE party_id = $1 AND primary_wallet_id IS DISTINCT FROM $2",
    )
    .bind(party_id)
    .bind(wallet_id)
    .execute(conn)
    .await?;
    Ok(chosen.rows_affected() > 0)
}

/// The party's primary wallet: the one it chose, else the first that the registry approved. `None` while it has none.
///
/// # Errors
/// The database's.
pub async fn primary_wallet(
    db: impl PgExecutor<'_>,
    chain_id: u64,
    party: &Party,
) -> Result<Option<Address>, sqlx::Error> {
    if party.chosen.is_some() {
        return Ok(party.chosen);
    }
    let wallets = read::wallets_of_investor(db, chain_id, party.investor_id).await?;
    Ok(wallets.iter().find(|wallet| wallet.whitelisted()).map(|wallet| wallet.wallet))
}

/// Whether the registry has a wallet of this investor under sanctions.
///
/// # Errors
/// The database's.
pub async fn is_sanctioned(conn: &mut PgConnection, chain_id: u64, investor_id: u64) -> Result<bool, sqlx::Error> {
    let wallets = read::wallets_of_investor(conn, chain_id, investor_id).await?;
    Ok(wallets.iter().any(read::InvestorWallet::sanctioned))
}

/// Whether the wallet is one of the party's, approved or not.
///
/// # Errors
/// The database's.
pub async fn owns(pool: &PgPool, chain_id: u64, party: &Party, wallet: Address) -> Result<bool, sqlx::Error> {
    let registered: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM wallets WHERE party_id = $1 AND address = $2)")
            .bind(&party.party_id)
            .bind(Addr(wallet))
            .fetch_one(pool)
            .await?;
    if registered {
        return Ok(true);
    }
    let on_chain = read::investor_wallet(pool, chain_id, wallet).await?;
    Ok(on_chain.is_some_and(|record| record.investor_id == party.investor_id))
}

/// What to call the parties of these investor ids; those that the platform does not know are left out.
///
/// # Errors
/// The database's.
pub async fn names(conn: &mut PgConnection, investor_ids: &[u64]) -> Result<HashMap<u64, String>, sqlx::Error> {
    let ids: Vec<i64> = investor_ids.iter().filter_map(|id| i64::try_from(*id).ok()).collect();
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT investor_id, party_id FROM parties WHERE investor_id = ANY ($1)")
            .bind(ids)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|(id, name)| (id.unsigned_abs(), name)).collect())
}

/// What regulation asks of an investor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What every text calls it.
    pub party_id: String,
    /// ISO 3166-1 numeric.
    pub country: u16,
    /// The class that the registry carries; 0 = none in particular.
    pub investor_class: u8,
    /// On what its accreditation rests, and when that ends; `None`: nobody has verified it.
    pub accreditation: Option<(String, Option<OffsetDateTime>)>,
}

/// The standing of these investors; those that the platform does not know are left out.
///
/// # Errors
/// The database's.
pub async fn standing(conn: &mut PgConnection, investor_ids: &[u64]) -> Result<HashMap<u64, Standing>, sqlx::Error> {
    let ids: Vec<i64> = investor_ids.iter().filter_map(|id| i64::try_from(*id).ok()).collect();
    type Row = (i64, String, i16, i16, Option<String>, Option<OffsetDateTime>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT investor_id, party_id, country, investor_class, accreditation_method, accredited_until
           FROM parties
          WHERE investor_id = ANY ($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let standing = |(id, party_id, country, class, method, until): Row| {
        // The table's CHECKs keep them in range.
        let (country, investor_class) = (country.unsigned_abs(), u8::try_from(class).unwrap_or_default());
        let accreditation = method.map(|method| (method, until));
        (id.unsigned_abs(), Standing { party_id, country, investor_class, accreditation })
    };
    Ok(rows.into_iter().map(standing).collect())
}

/// What to call holders of tokens, each by the Executor of the token's node and its investor id: `None` where the platform
/// knows no party. Holders of tokens that are not of this issuer's nodes are left out.
///
/// # Errors
/// The database's.
pub async fn names_of_holders(
    conn: &mut PgConnection,
    chain_id: u64,
    issuer_id: Uuid,
    holders: &[(Address, Option<u64>)],
) -> Result<HashMap<(Address, Option<u64>), Option<String>>, sqlx::Error> {
    let rows: Vec<(Addr, Option<i64>, Option<String>)> = sqlx::query_as(
        "SELECT h.executor, h.investor_id, p.party_id
           FROM unnest($3::bytea[], $4::bigint[]) AS h (executor, investor_id)
           JOIN nodes n        ON n.chain_id = $1 AND n.issuer_id = $2 AND n.executor = h.executor
           LEFT JOIN parties p ON p.investor_id = h.investor_id",
    )
    .bind(i64::try_from(chain_id).unwrap_or(i64::MAX))
    .bind(issuer_id)
    .bind(holders.iter().map(|(executor, _)| Addr(*executor)).collect::<Vec<_>>())
    .bind(holders.iter().map(|(_, investor)| investor.and_then(|id| i64::try_from(id).ok())).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let holder =
        |(executor, investor, name): (Addr, Option<i64>, _)| ((executor.0, investor.map(i64::unsigned_abs)), name);
    Ok(rows.into_iter().map(holder).collect())
}

/// What to call whoever is behind a wallet: the party of its investor id, else the wallet itself (EIP-55).
pub fn name_of(names: &HashMap<u64, String>, investor_id: Option<u64>, wallet: Address) -> String {
    let known = investor_id.and_then(|id| names.get(&id)).cloned();
    known.unwrap_or_else(|| wallet.to_checksum(None))
}

/// The tokens that an issuer's nodes deployed.
///
/// # Errors
/// The database's.
pub async fn tokens_of_issuer(
    conn: &mut PgConnection,
    chain_id: u64,
    issuer_id: Uuid,
) -> Result<Vec<read::Instrument>, sqlx::Error> {
    let executors: Vec<Addr> = sqlx::query_scalar("SELECT executor FROM nodes WHERE issuer_id = $1 AND chain_id = $2")
        .bind(issuer_id)
        .bind(i64::try_from(chain_id).unwrap_or(i64::MAX))
        .fetch_all(&mut *conn)
        .await?;
    let mut instruments = read::instruments(conn, chain_id).await?;
    instruments
        .retain(|instrument| instrument.executor.is_some_and(|executor| executors.iter().any(|own| own.0 == executor)));
    Ok(instruments)
}
