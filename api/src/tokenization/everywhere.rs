//! A freeze of a wallet in every instrument, or its end: a freeze is each token's own fact, so it is a command for each of
//! them, all accepted or none. The first one has the id that was asked with, the others that id and their instrument's.

use alloy::primitives::{Address, B256};
use tokenx_contracts::ReasonCode;
use tokenx_contracts::ids::{CommandId, InstrumentId, Scope};
use tokenx_indexer::read;
use tokenx_keeper::{AcceptError, CommandView, Operation, Refusal};

use super::intake::{Asker, Declined};
use crate::error::{ApiError, FieldError};

/// What the commands of one request have come to.
pub(super) struct Parts {
    /// The one that has the id.
    pub first: CommandView,
    /// All ids, the first one's before the others.
    pub command_ids: Vec<String>,
    /// They were accepted before.
    pub replayed: bool,
}

/// Freezes a wallet in every instrument that is operated here, or ends it.
///
/// # Errors
/// 409 where an id belongs to another command, 422 where a command is refused: then none is recorded.
pub(super) async fn freeze(
    asker: &Asker<'_>,
    wallet: Address,
    frozen: bool,
) -> Result<Result<Parts, Declined>, ApiError> {
    let app = asker.app;
    let instruments: Vec<InstrumentId> = read::instruments(app.pool(), app.chain_id())
        .await?
        .into_iter()
        .filter(|instrument| instrument.executor.is_some())
        .filter_map(|instrument| InstrumentId::parse(instrument.instrument_id).ok())
        .collect();
    if let Some(first) = asker.earlier().await? {
        return replay(asker, first, wallet, frozen, &instruments).await.map(Ok);
    }
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let mut command_ids = Vec::with_capacity(instruments.len());
    let mut replayed = false;
    for instrument in &instruments {
        let id = if command_ids.is_empty() { asker.command_id.clone() } else { part(asker.command_id, instrument)? };
        let part = Asker { command_id: &id, ..*asker };
        match app.commands().accept_in(&mut tx, &part.command(operation(instrument, wallet, frozen))).await {
            Ok(accepted) => {
                replayed |= accepted.replayed;
                command_ids.push(id.into_string());
            }
            Err(AcceptError::Refused(refusal)) => {
                let message = format!("instrument {instrument}: {}", refusal.message);
                return Ok(Err(Declined::Refused(Refusal { message, ..refusal })));
            }
            Err(AcceptError::Conflict(_)) => return Err(part.taken()),
            Err(AcceptError::Database(error)) => return Err(error.into()),
        }
    }
    tx.commit().await?;
    app.commands().wake();
    let Some(first) = asker.earlier().await? else {
        let none = FieldError::refused("instrument_id", ReasonCode::UnknownInstrument, "there is no instrument yet");
        return Err(ApiError::Rejected(vec![none]));
    };
    Ok(Ok(Parts { first, command_ids, replayed }))
}

/// The commands that the same request led to before.
async fn replay(
    asker: &Asker<'_>,
    first: CommandView,
    wallet: Address,
    frozen: bool,
    instruments: &[InstrumentId],
) -> Result<Parts, ApiError> {
    let asked = first.operation.instrument().map(|instrument| operation(instrument, wallet, frozen));
    if asked.as_ref() != Some(&first.operation) {
        return Err(asker.taken());
    }
    let mut command_ids = vec![asker.command_id.to_string()];
    for instrument in instruments {
        let id = part(asker.command_id, instrument)?;
        let known = asker.app.commands().view(&Scope::Ops, &id).await?;
        if known.is_some_and(|known| known.operation == operation(instrument, wallet, frozen)) {
            command_ids.push(id.into_string());
        }
    }
    Ok(Parts { first, command_ids, replayed: true })
}

fn part(command_id: &CommandId, instrument: &InstrumentId) -> Result<CommandId, ApiError> {
    CommandId::parse(format!("{command_id}:{instrument}")).map_err(|_| {
        let message = "value is too long for a freeze of all instruments: use 95 characters at most";
        ApiError::Rejected(vec![FieldError::body("command_id", "value_error", message)])
    })
}

fn operation(instrument: &InstrumentId, account: Address, frozen: bool) -> Operation {
    let (instrument, reason, everywhere) = (instrument.clone(), B256::ZERO, true);
    if frozen {
        Operation::FreezeAddress { instrument, account, reason, everywhere }
    } else {
        Operation::UnfreezeAddress { instrument, account, reason, everywhere }
    }
}
