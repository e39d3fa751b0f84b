//! Wallets as they are answered.

use std::collections::HashMap;

use alloy::primitives::Address;
use serde::Serialize;
use sqlx::PgConnection;
use tokenx_indexer::read::{self, InvestorWallet};
use utoipa::ToSchema;
use uuid::Uuid;

use super::record::Record;
use super::state::{State, Wish};
use crate::app::App;
use crate::error::ApiError;
use crate::store::commands::{self, Asked, CommandBrief};
use crate::store::parties;
use crate::tokens::details::timestamp;

/// A wallet of a party.
#[derive(Debug, Serialize, ToSchema)]
pub struct WalletView {
    id: Uuid,
    party_id: String,
    address: String,
    /// hosted: its key is held here; self_custody: the party holds it.
    kind: &'static str,
    /// pending: it waits for a decision; approving: the chain does not say so yet; approved: the registry has it
    /// whitelisted; rejected; failed: its command has come to nothing, another approval tries again; revoked.
    status: &'static str,
    /// Whether the party's name stands for this wallet.
    primary: bool,
    /// Why it was rejected.
    #[schema(required)]
    rejection: Option<String>,
    /// What was asked of the chain last; null before an approval.
    #[schema(required)]
    command: Option<CommandBrief>,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was decided on; null before.
    #[schema(required, format = DateTime)]
    decided_at: Option<String>,
}

/// A page of wallets.
#[derive(Debug, Serialize, ToSchema)]
pub struct WalletPage {
    pub(crate) items: Vec<WalletView>,
    /// For the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// A wallet, with what is said of it elsewhere.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) record: Record,
    pub(crate) state: State,
    asked: Option<Asked>,
    primary: bool,
}

/// What commands and chain say of wallets, in their order.
pub(crate) async fn all(app: &App, conn: &mut PgConnection, records: Vec<Record>) -> Result<Vec<Shown>, ApiError> {
    let ids: Vec<&str> = records.iter().filter_map(|record| record.command.as_deref()).collect();
    let mut asked = commands::by_id(&mut *conn, &ids).await?;
    let owners: Vec<&str> = records.iter().map(|record| record.party_id.as_str()).collect();
    let owners = parties::owners(&mut *conn, &owners).await?;
    let investors: Vec<u64> = owners.values().map(|owner| owner.investor_id).collect();
    let listed = read::wallets_of_investors(conn, app.chain_id(), &investors).await?;
    let mut of_investor: HashMap<u64, Vec<&InvestorWallet>> = HashMap::new();
    for wallet in &listed {
        of_investor.entry(wallet.investor_id).or_default().push(wallet);
    }
    let shown = records.into_iter().map(|record| {
        let owner = owners.get(&record.party_id);
        let on_chain = owner.and_then(|owner| of_investor.get(&owner.investor_id)).map_or(&[][..], Vec::as_slice);
        let whitelisted = |address: Address| on_chain.iter().any(|w| w.wallet == address && w.whitelisted());
        let first = || on_chain.iter().find(|wallet| wallet.whitelisted()).map(|wallet| wallet.wallet);
        let primary = owner.and_then(|owner| owner.chosen).or_else(first);
        let asked = record.command.as_ref().and_then(|id| asked.remove(id));
        let wish = asked.as_ref().and_then(|asked| Some((Wish::of(&asked.command_id)?, asked.state)));
        let verdict = record.decision.as_ref().map(|decision| decision.verdict);
        let state = State::of(verdict, wish, whitelisted(record.address));
        Shown { state, asked, primary: primary == Some(record.address), record }
    });
    Ok(shown.collect())
}

/// One wallet, as the transaction sees the chain.
pub(crate) async fn one(app: &App, conn: &mut PgConnection, record: Record) -> Result<Shown, ApiError> {
    let shown = all(app, conn, vec![record]).await?.into_iter().next();
    shown.ok_or_else(|| ApiError::internal("a wallet that does not show"))
}

impl From<Shown> for WalletView {
    fn from(Shown { record, state, asked, primary }: Shown) -> WalletView {
        let (decided_at, rejection) = record.decision.map(|decision| (decision.at, decision.rejection)).unzip();
        WalletView {
            id: record.wallet_id,
            party_id: record.party_id,
            address: record.address.to_checksum(None),
            kind: record.kind.as_str(),
            status: state.as_str(),
            primary,
            rejection: rejection.flatten(),
            command: asked.as_ref().map(CommandBrief::from),
            created_at: timestamp(record.created_at),
            decided_at: decided_at.map(timestamp),
        }
    }
}

/// Whose next page begins after this wallet.
pub(crate) fn page(shown: Vec<Shown>, more: bool) -> WalletPage {
    let next_cursor = shown.last().filter(|_| more).map(|shown| shown.record.wallet_id.to_string());
    WalletPage { items: shown.into_iter().map(WalletView::from).collect(), next_cursor }
}
