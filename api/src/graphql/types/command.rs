use std::sync::Arc;

use async_graphql::connection::Connection;
use async_graphql::resolver_utils::EnumType;
use async_graphql::{Enum, ID, InputObject, Object, Value};
use time::OffsetDateTime;
use tokenx_contracts::ids::InstrumentId;
use tokenx_indexer::read::pages::Choice;
use tokenx_keeper::{CommandFilter as Filter, CommandView, State, command_page};

use super::filter::choice;
use super::token::Token;
use super::total::{Counted, Total};
use crate::graphql::cursor::{Cursor, Order, Page};
use crate::graphql::fault::Fault;
use crate::graphql::loaders::InstrumentOf;
use crate::graphql::reader::Reader;
use crate::graphql::scalars::{Addr, BigInt, Bytes32, Decimal};
use crate::policy::Operation;

/// Scopes that show here: the ones that back offices and tokenx itself write. An issuer's and a party's own are
/// theirs.
const SCOPES: [&str; 2] = ["ops", "system"];

/// Something that is to be done on chain, once, and how far it has come.
pub(in crate::graphql) struct Command {
    reader: Arc<Reader>,
    view: CommandView,
}

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(rename_items = "snake_case")]
pub(in crate::graphql) enum CommandState {
    /// Durably taken.
    Accepted,
    /// Waits for a second person.
    AwaitingApproval,
    /// Goes again: its transaction ended without running it.
    Ready,
    /// Signed, not known to have been sent.
    Prepared,
    /// Sent.
    Broadcast,
    /// In a block.
    Mined,
    /// In a block that is deep enough to count.
    Confirmed,
    /// In a block that cannot be reorganised away.
    Final,
    /// Refused, or failed on chain.
    Failed,
    /// Taken back.
    Cancelled,
    /// Too late.
    Expired,
    /// The second person said no.
    Rejected,
}

impl From<State> for CommandState {
    fn from(state: State) -> CommandState {
        match state {
            State::Accepted => CommandState::Accepted,
            State::AwaitingApproval => CommandState::AwaitingApproval,
            State::Ready => CommandState::Ready,
            State::Prepared => CommandState::Prepared,
            State::Broadcast => CommandState::Broadcast,
            State::Mined(_) => CommandState::Mined,
            State::Confirmed => CommandState::Confirmed,
            State::Final => CommandState::Final,
            State::Failed => CommandState::Failed,
            State::Cancelled => CommandState::Cancelled,
            State::Expired => CommandState::Expired,
            State::Rejected => CommandState::Rejected,
        }
    }
}

impl CommandState {
    /// The state of this name.
    pub(in crate::graphql) fn named(name: &str) -> Option<CommandState> {
        let items = <CommandState as EnumType>::items();
        items.iter().find(|item| item.name == name).map(|item| item.value)
    }

    /// The name in the database: the item's own.
    fn name(self) -> String {
        match async_graphql::resolver_utils::enum_value(self) {
            Value::Enum(name) => name.as_str().to_owned(),
            other => other.to_string(),
        }
    }
}

/// Which commands. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(in crate::graphql) struct CommandFilter {
    /// The client's id.
    command_id: Option<String>,
    /// Where that id is unique: `ops` or `system`.
    scope: Option<String>,
    /// Where it stands.
    state: Option<CommandState>,
    #[graphql(name = "state_in")]
    state_in: Option<Vec<CommandState>>,
    #[graphql(name = "state_not")]
    state_not: Option<CommandState>,
    /// The operation: `mint`, `burn`, `whitelist` and so on.
    kind: Option<String>,
    #[graphql(name = "kind_in")]
    kind_in: Option<Vec<String>>,
    #[graphql(name = "kind_not")]
    kind_not: Option<String>,
    /// The instrument's id.
    instrument_id: Option<String>,
    #[graphql(name = "instrumentId_in")]
    instrument_id_in: Option<Vec<String>>,
    #[graphql(name = "instrumentId_not")]
    instrument_id_not: Option<String>,
    /// When it was accepted.
    #[graphql(name = "createdAt_gte")]
    created_at_gte: Option<OffsetDateTime>,
    #[graphql(name = "createdAt_lt")]
    created_at_lt: Option<OffsetDateTime>,
}

/// A page of commands.
pub(in crate::graphql) async fn connection(
    reader: &Arc<Reader>,
    page: Page,
    order: Order,
    filter: Option<CommandFilter>,
) -> Result<Connection<Cursor<i64>, Command, Total>, Fault> {
    reader.access().may(Operation::GetCommand)?;
    let (window, cut) = page.window::<i64>(order)?;
    let filter = filter.unwrap_or_default();
    let scopes = SCOPES.iter().filter(|scope| filter.scope.as_ref().is_none_or(|wanted| wanted == *scope));
    let states = choice(filter.state, filter.state_in, filter.state_not);
    let filter = Filter {
        seqs: None,
        scopes: Some(scopes.map(|&scope| scope.to_owned()).collect()),
        command_id: filter.command_id,
        states: Choice {
            any: states.any.map(|states| states.into_iter().map(CommandState::name).collect()),
            not: states.not.map(CommandState::name),
        },
        kinds: choice(filter.kind, filter.kind_in, filter.kind_not),
        instruments: choice(filter.instrument_id, filter.instrument_id_in, filter.instrument_id_not),
        since: filter.created_at_gte,
        before: filter.created_at_lt,
    };
    let rows = command_page(&mut *reader.conn().await?, &filter, &window).await?;
    let total = Total { reader: reader.clone(), of: Counted::Commands(filter) };
    Ok(cut.connection(rows, total, |view| view.seq, |view| Command::new(reader.clone(), view)))
}

/// Whether a command shows here at all.
pub(in crate::graphql) fn shows(view: &CommandView) -> bool {
    SCOPES.contains(&view.scope.as_str())
}

impl Command {
    pub(in crate::graphql) fn new(reader: Arc<Reader>, view: CommandView) -> Command {
        Command { reader, view }
    }

    async fn instrument(&self) -> Result<Option<Token>, Fault> {
        let Some(id) = self.view.operation.instrument() else { return Ok(None) };
        let found = self.reader.load(InstrumentOf(id.as_str().to_owned())).await?;
        Ok(found.map(|row| Token::new(self.reader.clone(), row)))
    }
}

#[Object]
impl Command {
    /// Scope and client's id.
    async fn id(&self) -> ID {
        format!("{}/{}", self.view.scope, self.view.command_id).into()
    }

    /// The client's id.
    async fn command_id(&self) -> &str {
        &self.view.command_id
    }

    /// Where that id is unique.
    async fn scope(&self) -> &str {
        &self.view.scope
    }

    /// The id that the Executor remembers it by.
    async fn command_key(&self) -> Bytes32 {
        Bytes32(self.view.onchain_id)
    }

    /// The operation: `mint`, `burn`, `whitelist` and so on.
    async fn kind(&self) -> &str {
        self.view.operation.kind()
    }

    /// The instrument it is about; null for the registry's own operations.
    async fn instrument_id(&self) -> Option<&str> {
        self.view.operation.instrument().map(InstrumentId::as_str)
    }

    /// The instrument's token.
    async fn token(&self) -> Result<Option<Token>, Fault> {
        self.instrument().await
    }

    /// The wallet it draws on or is about; null where it is about a whole instrument.
    async fn wallet(&self) -> Option<Addr> {
        self.view.operation.wallet().map(Addr)
    }

    /// The wallet that receives, of a forced transfer or a recovery.
    async fn receiver(&self) -> Option<Addr> {
        self.view.operation.receiver().map(Addr)
    }

    /// How much, in whole tokens; null where it has no amount.
    async fn amount(&self) -> Result<Option<Decimal>, Fault> {
        let Some(base) = self.view.operation.amount() else { return Ok(None) };
        Ok(self.instrument().await?.map(|token| Decimal::of(base, token.scale())))
    }

    /// How much, in base units.
    async fn amount_raw(&self) -> Option<BigInt> {
        self.view.operation.amount().map(BigInt)
    }

    /// Where it stands.
    async fn state(&self) -> CommandState {
        self.view.state.into()
    }

    /// Why it failed, as a code.
    async fn reason_code(&self) -> Option<&str> {
        self.view.reason_code.as_deref()
    }

    /// Why it failed, as a sentence.
    async fn failure(&self) -> Option<&str> {
        self.view.failure.as_deref()
    }

    /// Signed transactions that carried it, replacements included.
    async fn attempts(&self) -> i64 {
        self.view.attempts
    }

    /// The transaction that ran it, or the newest one sent for it.
    async fn transaction_hash(&self) -> Option<Bytes32> {
        self.view.tx_hash.map(Bytes32)
    }

    /// Block of that transaction.
    async fn block_number(&self) -> Option<u64> {
        self.view.block_number
    }

    /// Hash of that block.
    async fn block_hash(&self) -> Option<Bytes32> {
        self.view.block_hash.map(Bytes32)
    }

    /// Time of that block.
    async fn timestamp(&self) -> Option<OffsetDateTime> {
        self.view.block_time
    }

    /// Who asked, as the audit log names accounts.
    async fn requested_by(&self) -> &str {
        &self.view.requested_by
    }

    /// When it was accepted.
    async fn created_at(&self) -> OffsetDateTime {
        self.view.created_at
    }

    /// When it last moved.
    async fn updated_at(&self) -> OffsetDateTime {
        self.view.updated_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_the_name_that_every_surface_shows() {
        for state in [State::Accepted, State::AwaitingApproval, State::Broadcast, State::Final, State::Rejected] {
            assert_eq!(CommandState::from(state).name(), state.name());
            assert_eq!(CommandState::named(state.name()), Some(state.into()));
        }
    }
}
