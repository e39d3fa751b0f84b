//! How an operation of the shared space of command ids (`ops`) is taken, by the Token App and by `/tokenization/*` alike:
//! the same id and the same canonical command are one command, whoever asks first and on which surface.

use alloy::primitives::Address;
use serde_json::json;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::ids::{CommandId, Holder, Scope};
use tokenx_keeper::{AcceptError, Accepted, CommandView, Field, NewCommand, Operation, Refusal};

use crate::app::App;
use crate::auth::Viewer;
use crate::error::ApiError;
use crate::http::envelope::RequestId;
use crate::store::parties::{self, Party};

/// Whose wallet a request means.
#[derive(Debug)]
pub(crate) enum Whose {
    /// A party's: its primary one, where it has one.
    Party { party: Party, primary: Option<Address> },
    /// This one.
    Wallet(Address),
}

/// Why nothing was taken; the id stays free.
#[derive(Debug)]
pub(crate) enum Declined {
    /// The state does not allow it.
    Refused(Refusal),
    /// The party has no approved wallet.
    NoWallet,
}

/// Who asks, under which id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub app: &'a App,
    pub viewer: &'a Viewer,
    pub request_id: &'a RequestId,
    pub command_id: &'a CommandId,
}

impl Whose {
    /// Looks up whom a text means; the inner error is a party that nobody knows.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn of(app: &App, holder: Holder) -> Result<Result<Whose, Refusal>, ApiError> {
        match holder {
            Holder::Wallet(address) => Ok(Ok(Whose::Wallet(address))),
            Holder::Party(id) => match parties::find(app.pool(), &id).await? {
                Some(party) => {
                    let primary = parties::primary_wallet(app.pool(), app.chain_id(), &party).await?;
                    Ok(Ok(Whose::Party { party, primary }))
                }
                None => {
                    let message = format!("there is no party {id}");
                    Ok(Err(Refusal::with(ReasonCode::UnknownParty, Field::Wallet, message)))
                }
            },
        }
    }

    /// The wallet it means now.
    pub(crate) fn wallet(&self) -> Option<Address> {
        match self {
            Whose::Party { primary, .. } => *primary,
            Whose::Wallet(address) => Some(*address),
        }
    }
}

impl Asker<'_> {
    /// Hands the operation to the keeper, or finds what it has of it; the inner error refuses, and records nothing.
    ///
    /// # Errors
    /// 409 where the id belongs to another command; the database's.
    pub(crate) async fn take(
        &self,
        whose: &Whose,
        operation: impl Fn(Address) -> Operation,
    ) -> Result<Result<Accepted, Declined>, ApiError> {
        let commands = self.app.commands();
        if let Some(wallet) = whose.wallet() {
            match commands.accept(&self.command(operation(wallet))).await {
                Ok(accepted) => return Ok(Ok(accepted)),
                Err(AcceptError::Refused(refusal)) => return Ok(Err(Declined::Refused(refusal))),
                Err(AcceptError::Database(error)) => return Err(error.into()),
                Err(AcceptError::Conflict(_)) => {}
            }
        }
        // The id is taken, or the party has no wallet now. A party may have changed its primary wallet since the
        // command was accepted; asked for again it is still the same command.
        let earlier = self.earlier().await?;
        let earlier_wallet = earlier.as_ref().and_then(|command| command.operation.wallet());
        if let (Whose::Party { party, .. }, Some(wallet)) = (whose, earlier_wallet)
            && parties::owns(self.app.pool(), self.app.chain_id(), party, wallet).await?
            && let Ok(Some(accepted)) = commands.replay(&Scope::Ops, self.command_id, &operation(wallet)).await
        {
            return Ok(Ok(accepted));
        }
        match earlier {
            Some(_) => Err(self.taken()),
            None => Ok(Err(Declined::NoWallet)),
        }
    }

    /// The command that has the id.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn earlier(&self) -> Result<Option<CommandView>, ApiError> {
        Ok(self.app.commands().view(&Scope::Ops, self.command_id).await?)
    }

    /// The id belongs to another command.
    pub(crate) fn taken(&self) -> ApiError {
        ApiError::Conflict(format!("command id {} was used for another command: choose a new one", self.command_id))
    }

    /// The command as the keeper gets it.
    pub(crate) fn command(&self, operation: Operation) -> NewCommand {
        NewCommand {
            scope: Scope::Ops,
            command_id: self.command_id.clone(),
            operation,
            requested_by: self.viewer.actor(),
            request_id: self.request_id.0.to_string(),
            answer: json!({ "command_id": self.command_id.as_str(), "status": "submitted" }).to_string(),
            valid_until: None,
        }
    }
}
