//! Wallets: an address of a party, hosted by us or held by the party, and its way into the registry.

use alloy::primitives::Address;
use serde_json::json;
use sqlx::PgPool;
use tokenx_contracts::ids::PartyId;
use tokenx_indexer::read;
use tokenx_keeper::{AcceptError, Commands, hosted};
use tokenx_migrations::Addr;
use uuid::Uuid;

use super::{By, Error, Note, note};
use crate::store::parties;
use crate::tokens::routes::now;
use crate::wallets::record::{self, Decision, Kind, Record};
use crate::wallets::registry;
use crate::wallets::state::{Verdict, Wish};

/// Who holds a wallet's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalletKind {
    /// We do: the keeper made it and keeps it sealed.
    Hosted,
    /// The party does; this is its address.
    SelfCustody(Address),
}

/// A wallet to be added.
#[derive(Debug, Clone)]
pub struct NewWallet {
    /// Whose it is.
    pub party_id: PartyId,
    /// Who holds its key.
    pub kind: WalletKind,
}

/// A wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    /// Its id.
    pub wallet_id: Uuid,
    /// Whose it is.
    pub party_id: String,
    /// Where it is.
    pub address: Address,
    /// `hosted` or `self_custody`.
    pub kind: String,
    /// The command that was asked of the registry last, in scope `system`; `None` before an approval.
    pub command: Option<String>,
    /// Whether the registry, as indexed, has it whitelisted.
    pub approved: bool,
}

/// Adds a wallet to a party and queues its whitelisting, in one transaction: an operator's word needs no other approval.
/// The wallet is approved once that is indexed.
///
/// # Errors
/// When the party is unknown, the address taken, no hosted key is ready, or the keeper refuses.
pub async fn add_wallet(pool: &PgPool, commands: &Commands, by: By<'_>, new: NewWallet) -> Result<Wallet, Error> {
    let party_id = new.party_id.as_str();
    let wallet_id = Uuid::now_v7();
    let mut tx = tokenx_migrations::begin(pool).await?;
    let party = parties::lock(&mut tx, party_id).await?;
    let party = party.ok_or_else(|| Error::Unknown { what: "party", id: party_id.to_owned() })?;
    let (kind, address) = match new.kind {
        WalletKind::SelfCustody(address) => (Kind::SelfCustody, address),
        WalletKind::Hosted => {
            let claimed = hosted::claim(&mut tx, &format!("wallet:{wallet_id}")).await;
            (Kind::Hosted, claimed.map_err(|error| Error::Keeper(error.to_string()))?)
        }
    };
    let now = now();
    let mut record = Record {
        wallet_id,
        party_id: party_id.to_owned(),
        address,
        kind,
        registered_by: None,
        key: None,
        decision: Some(Decision {
            verdict: Verdict::Approved,
            by: by.actor.to_owned(),
            at: now,
            key: None,
            rejection: None,
        }),
        command: None,
        commands: 0,
        due: None,
        created_at: now,
    };
    if !record::insert(&mut tx, &record).await? {
        return Err(Error::Exists(format!("wallet {} is registered already", address.to_checksum(None))));
    }
    let asked = registry::ask(commands, &mut tx, by, (&mut record, &party, Wish::Whitelist)).await;
    asked.map_err(|error| match error {
        AcceptError::Database(error) => Error::Database(error),
        other => Error::Keeper(other.to_string()),
    })?;
    let detail = json!({
        "party_id": party_id,
        "address": address.to_checksum(None),
        "kind": kind.as_str(),
        "command_id": record.command,
    });
    note(&mut tx, by, Note { action: "wallet.add", subject: format!("wallet:{wallet_id}"), detail }).await?;
    tx.commit().await?;
    commands.wake();
    Ok(Wallet {
        wallet_id,
        party_id: record.party_id,
        address,
        kind: kind.as_str().to_owned(),
        command: record.command,
        approved: false,
    })
}

/// All wallets, oldest first, approved or not as indexed on the chain.
///
/// # Errors
/// The database's.
pub async fn list_wallets(pool: &PgPool, chain_id: u64) -> Result<Vec<Wallet>, Error> {
    type Row = (Uuid, String, Addr, String, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT wallet_id, party_id, address, kind, registry_command
           FROM wallets
          ORDER BY created_at, wallet_id",
    )
    .fetch_all(pool)
    .await?;
    let mut wallets = Vec::with_capacity(rows.len());
    for (wallet_id, party_id, address, kind, command) in rows {
        let record = read::investor_wallet(pool, chain_id, address.0).await?;
        let approved = record.is_some_and(|record| record.whitelisted());
        wallets.push(Wallet { wallet_id, party_id, address: address.0, kind, command, approved });
    }
    Ok(wallets)
}
