//! What of a party and its wallets stands in the investor registry, and having the keeper write it there: each command
//! once, by an id derived from the wallet and the number of commands before.

use alloy::primitives::{Address, B256};
use serde_json::json;
use sqlx::PgConnection;
use tokenx_contracts::ids::{CommandId, Scope};
use tokenx_keeper::{AcceptError, Commands, NewCommand, Operation};

use super::record::{self, Record};
use super::state::Wish;
use crate::admin::By;
use crate::error::{ApiError, FieldError};
use crate::store::parties::Profile;

/// Has the keeper write a wallet's record, as its party is known now, or take its whitelisting away. The wallet's row is
/// there; its new command is written to it.
///
/// # Errors
/// What the keeper refuses, and the database's; the caller rolls back.
pub async fn ask(
    commands: &Commands,
    conn: &mut PgConnection,
    by: By<'_>,
    (wallet, party, wish): (&mut Record, &Profile, Wish),
) -> Result<(), AcceptError> {
    let number = wallet.commands.saturating_add(1);
    let text = format!("{}:{:#x}:0:{number}", wish.as_str(), wallet.address);
    let command_id = CommandId::parse(text.clone())
        .map_err(|error| AcceptError::Database(sqlx::Error::Encode(error.to_string().into())))?;
    let operation = match wish {
        Wish::Whitelist => whitelist(party, wallet.address),
        Wish::Revoke => Operation::Revoke { wallet: wallet.address, reason: B256::ZERO },
    };
    let command = NewCommand {
        scope: Scope::System,
        command_id,
        operation,
        requested_by: by.actor.to_owned(),
        request_id: by.request_id.unwrap_or("none").to_owned(),
        answer: json!({ "command_id": text, "status": "submitted" }).to_string(),
        valid_until: None,
    };
    commands.accept_in(&mut *conn, &command).await?;
    (wallet.command, wallet.commands, wallet.due) = (Some(text), number, None);
    Ok(record::update(conn, wallet).await?)
}

/// What writes a wallet's record, as its party is known now.
pub fn whitelist(party: &Profile, wallet: Address) -> Operation {
    Operation::Whitelist {
        wallet,
        investor_id: party.investor_id,
        country: party.country,
        investor_class: party.investor_class,
        kyc_expires_at: party.kyc_expires_at.map_or(0, |at| at.unix_timestamp().max(1).unsigned_abs()),
        reason: B256::ZERO,
    }
}

/// What a client hears of a command that was not taken.
pub(crate) fn refused(error: AcceptError) -> ApiError {
    match error {
        AcceptError::Refused(refusal) => {
            ApiError::Rejected(vec![FieldError::refused("wallet_id", refusal.code, refusal.message)])
        }
        AcceptError::Database(error) => error.into(),
        conflict @ AcceptError::Conflict(_) => ApiError::internal(conflict),
    }
}
