//! The root of subscriptions.

use std::sync::Arc;

use alloy::primitives::Address;
use async_graphql::{Context, Enum, InputObject, SimpleObject, Subscription};
use futures::{Stream, stream};
use tokenx_contracts::ids::InstrumentId;
use tokenx_indexer::read::pages::{EventRow, HoldingRow};
use tokenx_keeper::CommandView;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::access::Access;
use super::fault::{Code, Fault};
use super::live::{CommandNews, EventNews, Turn};
use super::reader::{Bounds, Reader};
use super::scalars::Addr;
use super::types::command::{self, Command, CommandState};
use super::types::event::{Face, Mint, Transfer};
use super::types::holding::Holding;
use super::types::status::{self, Status};
use super::types::{addresses, one_of};
use crate::app::App;
use crate::policy::Operation;

/// News, over `graphql-transport-ws`. What a reorg takes back is corrected: nobody has to ask again.
pub(super) struct Subscriptions;

/// What happened to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(super) enum NewsKind {
    /// Its block was indexed.
    Added,
    /// A reorg took its block off the chain: forget it. What the chain has instead follows.
    Removed,
}

impl From<Turn> for NewsKind {
    fn from(turn: Turn) -> NewsKind {
        match turn {
            Turn::Added => NewsKind::Added,
            Turn::Removed => NewsKind::Removed,
        }
    }
}

/// News of a mint.
#[derive(SimpleObject)]
pub(super) struct NewMint {
    /// What happened to it.
    kind: NewsKind,
    /// The mint.
    mint: Mint,
}

/// News of a transfer.
#[derive(SimpleObject)]
pub(super) struct NewTransfer {
    /// What happened to it.
    kind: NewsKind,
    /// The transfer.
    transfer: Transfer,
}

/// A command entered a state.
#[derive(SimpleObject)]
pub(super) struct NewCommandState {
    /// The state that it entered. After a reorg it may be one that it was in before.
    state: CommandState,
    /// The command as it is by now.
    command: Command,
}

/// Whose news. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(super) struct NewsFilter {
    /// The instrument's id.
    instrument_id: Option<String>,
    #[graphql(name = "instrumentId_in")]
    instrument_id_in: Option<Vec<String>>,
    /// The token's address.
    token: Option<Addr>,
    #[graphql(name = "token_in")]
    token_in: Option<Vec<Addr>>,
    /// The wallet; of a transfer on either side.
    wallet: Option<Addr>,
    #[graphql(name = "wallet_in")]
    wallet_in: Option<Vec<Addr>>,
    /// The party behind it. Only parties that you may see.
    party: Option<String>,
}

/// Which commands. Conditions are joined by and.
#[derive(Debug, Default, InputObject)]
pub(super) struct NewCommandStateFilter {
    /// The client's id.
    command_id: Option<String>,
    #[graphql(name = "commandId_in")]
    command_id_in: Option<Vec<String>>,
    /// The operation: `mint`, `burn`, `whitelist` and so on.
    kind: Option<String>,
    #[graphql(name = "kind_in")]
    kind_in: Option<Vec<String>>,
    /// The instrument's id.
    instrument_id: Option<String>,
    #[graphql(name = "instrumentId_in")]
    instrument_id_in: Option<Vec<String>>,
}

/// A filter, looked up.
#[derive(Debug)]
struct Wanted {
    instruments: Option<Vec<String>>,
    tokens: Option<Vec<Address>>,
    wallets: Option<Vec<Address>>,
    bounds: Bounds,
}

impl Wanted {
    async fn of(asker: &Asker, filter: Option<NewsFilter>) -> Result<Wanted, Fault> {
        let filter = filter.unwrap_or_default();
        Ok(Wanted {
            instruments: one_of(filter.instrument_id, filter.instrument_id_in),
            tokens: addresses(filter.token, filter.token_in),
            wallets: addresses(filter.wallet, filter.wallet_in),
            bounds: asker.reader().bounds(filter.party.as_deref()).await?,
        })
    }

    fn has(
        &self,
        instrument: &String,
        token: Address,
        executor: Option<Address>,
        sides: &[(Address, Option<u64>)],
    ) -> bool {
        let bounds = &self.bounds;
        self.instruments.as_ref().is_none_or(|ids| ids.contains(instrument))
            && self.tokens.as_ref().is_none_or(|tokens| tokens.contains(&token))
            && self.wallets.as_ref().is_none_or(|wallets| sides.iter().any(|(wallet, _)| wallets.contains(wallet)))
            && bounds.investor.is_none_or(|investor| sides.iter().any(|(_, of)| *of == Some(investor)))
            && bounds.executors.as_ref().is_none_or(|own| executor.is_some_and(|of| own.contains(&of)))
    }

    fn has_event(&self, row: &EventRow) -> bool {
        let sides = [(row.from, row.from_investor), (row.to, row.to_investor)];
        self.has(&row.instrument_id, row.token, row.executor, &sides)
    }

    fn has_holding(&self, row: &HoldingRow) -> bool {
        self.has(&row.instrument_id, row.token, row.executor, &[(row.wallet, row.investor_id)])
    }
}

/// Who listens.
#[derive(Clone)]
struct Asker {
    app: App,
    access: Access,
}

impl Asker {
    fn of(ctx: &Context<'_>) -> Result<Asker, Fault> {
        let absent = || Fault::internal("a subscription without its asker");
        let app = ctx.data_opt::<App>().ok_or_else(absent)?.clone();
        Ok(Asker { app, access: ctx.data_opt::<Access>().ok_or_else(absent)?.clone() })
    }

    /// Each piece of news is read for as of its own moment.
    fn reader(&self) -> Arc<Reader> {
        Reader::new(&self.app, self.access.clone())
    }
}

#[Subscription(use_type_description = false)]
impl Subscriptions {
    /// Mints from now on, as their blocks are indexed; one of the moments before may come, too. A mint that a reorg
    /// takes back comes again as `REMOVED`, also where it was minted before the subscription.
    async fn new_mint(
        &self,
        ctx: &Context<'_>,
        filter: Option<NewsFilter>,
    ) -> Result<impl Stream<Item = Result<NewMint, Fault>>, Fault> {
        let asker = Asker::of(ctx)?;
        let wanted = Wanted::of(&asker, filter).await?;
        let news = asker.app.live().mints(&asker.app).await?;
        Ok(told(news, move |(turn, row): EventNews| {
            let mint = |row| Mint::of(asker.reader(), Arc::unwrap_or_clone(row));
            wanted.has_event(&row).then(|| NewMint { kind: turn.into(), mint: mint(row) })
        }))
    }

    /// Transfers from now on, mints and burns among them, as their blocks are indexed; one of the moments before may
    /// come, too. A transfer that a reorg takes back comes again as `REMOVED`.
    async fn new_transfer(
        &self,
        ctx: &Context<'_>,
        filter: Option<NewsFilter>,
    ) -> Result<impl Stream<Item = Result<NewTransfer, Fault>>, Fault> {
        let asker = Asker::of(ctx)?;
        let wanted = Wanted::of(&asker, filter).await?;
        let news = asker.app.live().transfers(&asker.app).await?;
        Ok(told(news, move |(turn, row): EventNews| {
            let transfer = |row| Transfer::of(asker.reader(), Arc::unwrap_or_clone(row));
            wanted.has_event(&row).then(|| NewTransfer { kind: turn.into(), transfer: transfer(row) })
        }))
    }

    /// Holdings as they are after whatever changes them: transfers, freezes, holds, and reorgs, which put them back. Those
    /// that fall to zero come, too. A lockup that ends by time alone is no news.
    async fn new_holding(
        &self,
        ctx: &Context<'_>,
        filter: Option<NewsFilter>,
    ) -> Result<impl Stream<Item = Result<Holding, Fault>>, Fault> {
        let asker = Asker::of(ctx)?;
        let wanted = Wanted::of(&asker, filter).await?;
        let news = asker.app.live().holdings(&asker.app).await?;
        Ok(told(news, move |row: HoldingRow| wanted.has_holding(&row).then(|| Holding::now(asker.reader(), row))))
    }

    /// States that commands enter from now on and that people wait for: `accepted`, `confirmed`, `final`, and the ends. A
    /// reorg that takes a confirmed command out of the chain is news of the state that it falls back to. For whom
    /// `GET /api/admin/commands/{command_id}` answers.
    async fn new_command_state(
        &self,
        ctx: &Context<'_>,
        filter: Option<NewCommandStateFilter>,
    ) -> Result<impl Stream<Item = Result<NewCommandState, Fault>>, Fault> {
        let asker = Asker::of(ctx)?;
        asker.access.may(Operation::GetCommand)?;
        let filter = filter.unwrap_or_default();
        let ids = one_of(filter.command_id, filter.command_id_in);
        let kinds = one_of(filter.kind, filter.kind_in);
        let instruments = one_of(filter.instrument_id, filter.instrument_id_in);
        let wanted = move |view: &CommandView| {
            let is = |list: &Option<Vec<String>>, value: Option<&str>| {
                list.as_ref().is_none_or(|list| value.is_some_and(|value| list.iter().any(|wanted| wanted == value)))
            };
            command::shows(view)
                && is(&ids, Some(&view.command_id))
                && is(&kinds, Some(view.operation.kind()))
                && is(&instruments, view.operation.instrument().map(InstrumentId::as_str))
        };
        let news = asker.app.live().commands(&asker.app).await?;
        Ok(told(news, move |(state, view): CommandNews| {
            let state = CommandState::named(&state).filter(|_| wanted(&view))?;
            Some(NewCommandState { state, command: Command::new(asker.reader(), view) })
        }))
    }

    /// The monitor's figures after each of its passes, for whom `GET /status` answers.
    async fn new_status(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = Result<Option<Status>, Fault>>, Fault> {
        let asker = Asker::of(ctx)?;
        asker.access.may(Operation::GetStatus)?;
        let news = asker.app.live().status(&asker.app).await?;
        Ok(futures::StreamExt::then(told(news, |()| Some(())), move |pass: Result<(), Fault>| {
            let reader = asker.reader();
            async move {
                pass?;
                status::latest(&reader).await
            }
        }))
    }
}

/// The news that are wanted, as what is told of them. A subscriber that does not keep up is told so, and that is all.
fn told<N, T, F>(news: Receiver<N>, tell: F) -> impl Stream<Item = Result<T, Fault>>
where
    N: Clone,
    F: Fn(N) -> Option<T>,
{
    stream::unfold(Some((news, tell)), async |listening| {
        let (mut news, tell) = listening?;
        loop {
            match news.recv().await {
                Ok(item) => {
                    if let Some(item) = tell(item) {
                        return Some((Ok(item), Some((news, tell))));
                    }
                }
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(missed)) => {
                    let message =
                        format!("{missed} pieces of news were missed: query what you need and subscribe again");
                    return Some((Err(Fault::new(Code::TooSlow, message)), None));
                }
            }
        }
    })
}
