//! Wallets: an address of a party, hosted by us or held by the party, and its way into the registry.

use alloy::primitives::{Address, B256};
use serde_json::json;
use sqlx::PgPool;
use tokenx_contracts::ids::{CommandId, PartyId, Scope};
use tokenx_indexer::read;
use tokenx_keeper::{AcceptError, Commands, NewCommand, Operation, hosted};
use tokenx_migrations::Addr;
use uuid::Uuid;

use super::{By, Error, Note, note, parties};

/// What the keeper needs to whitelist an address runs in the `system` scope under `whitelist:<address>:0:<attempt>`.
const FIRST_ATTEMPT: u32 = 1;

/// Who holds a wallet's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalletKind {
    /// We do: the keeper made it and keeps it sealed.
    Hosted,
    /// The party does; this is its address.
    SelfCustody(Address),
}

impl WalletKind {
    /// Its name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            WalletKind::Hosted => "hosted",
            WalletKind::SelfCustody(_) => "self_custody",
        }
    }
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
    /// The command that whitelists it, in scope `system`.
    pub whitelist_command: String,
    /// Whether the registry, as indexed, has it whitelisted.
    pub approved: bool,
}

/// Adds a wallet to a party and queues its whitelisting, in one transaction. It is approved once that is indexed.
///
/// # Errors
/// When the party is unknown, the address taken, no hosted key is ready, or the keeper refuses.
pub async fn add_wallet(pool: &PgPool, commands: &Commands, by: By<'_>, new: NewWallet) -> Result<Wallet, Error> {
    let party = parties::party(pool, new.party_id.as_str()).await?;
    let wallet_id = Uuid::now_v7();
    let mut tx = tokenx_migrations::begin(pool).await?;
    let address = match new.kind {
        WalletKind::SelfCustody(address) => address,
        WalletKind::Hosted => hosted::claim(&mut tx, &format!("wallet:{wallet_id}"))
            .await
            .map_err(|error| Error::Keeper(error.to_string()))?,
    };
    let command_id = format!("whitelist:{address:#x}:0:{FIRST_ATTEMPT}");
    let inserted = sqlx::query(
        "INSERT INTO wallets (wallet_id, party_id, address, kind, whitelist_command)
         VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT ON CONSTRAINT wallets_address_unique DO NOTHING",
    )
    .bind(wallet_id)
    .bind(&party.party_id)
    .bind(Addr(address))
    .bind(new.kind.as_str())
    .bind(&command_id)
    .execute(&mut *tx)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(Error::Exists(format!("wallet {} is registered already", address.to_checksum(None))));
    }
    let kyc_expires_at = party.kyc_expires_at.map_or(0, |at| at.unix_timestamp().max(0).unsigned_abs());
    let command = NewCommand {
        scope: Scope::System,
        command_id: CommandId::parse(command_id.clone()).map_err(|error| Error::Internal(error.to_string()))?,
        operation: Operation::Whitelist {
            wallet: address,
            investor_id: party.investor_id,
            country: party.country,
            investor_class: party.investor_class,
            kyc_expires_at,
            reason: B256::ZERO,
        },
        requested_by: by.actor.to_owned(),
        request_id: by.request_id.unwrap_or("none").to_owned(),
        answer: json!({ "command_id": command_id, "status": "submitted" }).to_string(),
        valid_until: None,
    };
    commands.accept_in(&mut tx, &command).await.map_err(|error| match error {
        AcceptError::Database(error) => Error::Database(error),
        other => Error::Keeper(other.to_string()),
    })?;
    let detail = json!({
        "party_id": party.party_id,
        "address": address.to_checksum(None),
        "kind": new.kind.as_str(),
        "command_id": command_id,
    });
    note(&mut tx, by, Note { action: "wallet.add", subject: format!("wallet:{wallet_id}"), detail }).await?;
    tx.commit().await?;
    commands.wake();
    Ok(Wallet {
        wallet_id,
        party_id: party.party_id,
        address,
        kind: new.kind.as_str().to_owned(),
        whitelist_command: command_id,
        approved: false,
    })
}

/// All wallets, oldest first, approved or not as indexed on the chain.
///
/// # Errors
/// The database's.
pub async fn list_wallets(pool: &PgPool, chain_id: u64) -> Result<Vec<Wallet>, Error> {
    type Row = (Uuid, String, Addr, String, String);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT wallet_id, party_id, address, kind, whitelist_command
           FROM wallets
          ORDER BY created_at, wallet_id",
    )
    .fetch_all(pool)
    .await?;
    let mut wallets = Vec::with_capacity(rows.len());
    for (wallet_id, party_id, address, kind, whitelist_command) in rows {
        let record = read::investor_wallet(pool, chain_id, address.0).await?;
        let approved = record.is_some_and(|record| record.whitelisted());
        wallets.push(Wallet { wallet_id, party_id, address: address.0, kind, whitelist_command, approved });
    }
    Ok(wallets)
}
