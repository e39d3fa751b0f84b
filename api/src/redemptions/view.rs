//! Redemptions as they are answered.

use async_graphql::{ID, SimpleObject};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::course::{Course, Status, Verdict};
use super::record::Case;
use crate::error::ApiError;
use crate::graphql::scalars::{Addr, Bytes32, Decimal, Time};
use crate::offerings::course::came_to_nothing;
use crate::store::commands::{self, Asked, CommandBrief};
use crate::tokens::details::PriceView;
use crate::tokens::money::Price;
use crate::tokens::nav::{self, Nav, NavView};

/// Units that a holder wants to give back for money, or has.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct Redemption {
    /// Of one that the wallet has made at the desk itself: its token, and its number there.
    #[schema(value_type = String)]
    id: ID,
    /// Whose it is; null: nobody's whom the platform knows.
    #[schema(required)]
    party_id: Option<String>,
    /// The wallet's address.
    #[schema(value_type = String)]
    wallet: Addr,
    #[schema(value_type = String)]
    token_id: ID,
    instrument_id: String,
    #[schema(schema_with = crate::openapi::amount_out)]
    quantity: Decimal,
    /// Least that the holder takes for a whole token; null: anything.
    #[schema(required)]
    min_price: Option<PriceView>,
    /// Least that it takes for all of it, as it is signed.
    min_payout: PriceView,
    /// requested: on its way to the desk, the units are reserved; held: the desk holds them, somebody is to decide;
    /// approving, rejecting: somebody has; paid; rejected; cancelled: by the wallet, at the desk; failed: it never came there.
    status: &'static str,
    /// The desk's number for it; null while it has none.
    #[schema(required)]
    request_id: Option<u64>,
    /// As of the decision; before one, now.
    #[serde(flatten)]
    #[graphql(flatten)]
    nav: NavView,
    /// What is paid for a whole token; null before an approval.
    #[schema(required)]
    price: Option<PriceView>,
    /// What is paid for all of it, rounded down to the currency's decimals; null before an approval.
    #[schema(required)]
    payout: Option<PriceView>,
    /// The payment token refused the wallet: the payout waits at the desk until it is drawn.
    credited: bool,
    /// Why it was rejected.
    #[schema(required)]
    rejection: Option<String>,
    /// Why it has not gone on: of a request that failed, or of a decision that came to nothing and may be taken again.
    #[schema(required)]
    problem: Option<RedemptionProblem>,
    /// What was asked of the desk for it; null where its wallet did so itself.
    #[schema(required)]
    command: Option<CommandBrief>,
    /// What was asked of the desk on the last decision; null before one.
    #[schema(required)]
    decision: Option<CommandBrief>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    decided_at: Option<Time>,
    /// When the desk has paid it or let go of it.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    ended_at: Option<Time>,
    /// The transaction that did.
    #[schema(required, value_type = Option<String>)]
    transaction_hash: Option<Bytes32>,
}

/// Why something has come to nothing.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct RedemptionProblem {
    #[schema(required)]
    reason_code: Option<String>,
    detail: String,
}

/// A page of redemptions.
#[derive(Debug, Serialize, ToSchema)]
pub struct RedemptionPage {
    pub(super) items: Vec<Redemption>,
    /// For the next page; null on the last one.
    pub(super) next_cursor: Option<String>,
}

/// A request with what is said of it elsewhere.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) case: Case,
    pub(crate) status: Status,
    asked: Option<Asked>,
    deciding: Option<Asked>,
    /// Now.
    pub(crate) nav: Nav,
}

/// What commands and prices say of requests, in their order.
pub(crate) async fn all(conn: &mut PgConnection, cases: Vec<Case>) -> Result<Vec<Shown>, ApiError> {
    let decided = |case: &Case| case.decision.as_ref().map(|decision| decision.command.clone());
    let ids: Vec<String> = cases.iter().flat_map(|case| [case.command.clone(), decided(case)]).flatten().collect();
    let mut commands = commands::by_id(&mut *conn, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let tokens: Vec<&str> = cases.iter().map(|case| case.token_id.as_str()).collect();
    let navs = nav::of_tokens(conn, &tokens).await?;
    let shown = cases.into_iter().map(|case| {
        let asked = case.command.as_ref().and_then(|id| commands.remove(id));
        let deciding = decided(&case).and_then(|id| commands.remove(&id));
        let course = Course {
            request: asked.as_ref().map(|asked| asked.state),
            desk: case.held.map(|held| held.desk),
            decision: case.decision.as_ref().zip(deciding.as_ref()).map(|(d, asked)| (d.verdict, asked.state)),
        };
        let nav = navs.get(&case.token_id).cloned();
        let nav = nav.ok_or_else(|| ApiError::internal("a token that is worth nothing that anybody knows"))?;
        Ok(Shown { status: course.status(), asked, deciding, nav, case })
    });
    shown.collect()
}

/// One request, as the transaction sees the chain.
pub(crate) async fn one(conn: &mut PgConnection, case: Case) -> Result<Shown, ApiError> {
    let shown = all(conn, vec![case]).await?.into_iter().next();
    shown.ok_or_else(|| ApiError::internal("a redemption that does not show"))
}

impl Shown {
    /// Why it has not gone on.
    fn problem(&self) -> Option<RedemptionProblem> {
        let failed = match self.status {
            Status::Failed => self.asked.as_ref(),
            Status::Held => self.deciding.as_ref(),
            _ => None,
        };
        failed.filter(|asked| came_to_nothing(asked.state)).map(|asked| RedemptionProblem {
            reason_code: asked.reason_code.clone(),
            detail: asked.failure.clone().unwrap_or_else(|| format!("the command is {}", asked.state.name())),
        })
    }

    /// What is paid for a whole token and for all of it, as far as that is settled. What the desk says outweighs what was
    /// asked.
    pub(crate) fn paid(&self) -> (Option<&Price>, Option<Price>) {
        let offer = match (self.status, &self.case.decision) {
            (Status::Approving | Status::Paid, Some(decision)) => decision.offer.as_ref(),
            _ => None,
        };
        let currency = || self.case.min_payout.currency.clone();
        let said = self.case.held.and_then(|held| held.payout).map(|units| Price::new(currency(), units));
        let asked = offer.map(|offer| offer.payout.clone());
        let price = offer.filter(|_| said.is_none() || said == asked).map(|offer| &offer.price);
        (price, said.or(asked))
    }

    /// What a whole token was worth when it was decided on; before, now.
    pub(crate) fn worth(&self) -> &Nav {
        let offer = self.case.decision.as_ref().and_then(|decision| decision.offer.as_ref());
        offer.filter(|_| matches!(self.status, Status::Approving | Status::Paid)).map_or(&self.nav, |offer| &offer.nav)
    }

    /// Why it was rejected.
    pub(crate) fn rejection(&self) -> Option<&str> {
        let decision = self.case.decision.as_ref().filter(|decision| decision.verdict == Verdict::Rejected)?;
        matches!(self.status, Status::Rejecting | Status::Rejected).then_some(decision.rejection.as_deref())?
    }
}

impl From<&Shown> for Redemption {
    fn from(shown: &Shown) -> Redemption {
        let Shown { case, status, asked, deciding, .. } = shown;
        let (price, payout) = shown.paid();
        let end = case.held.and_then(|held| held.end);
        Redemption {
            id: case.id.to_string().into(),
            party_id: case.party_id.clone(),
            wallet: Addr(case.wallet),
            token_id: case.token_id.clone().into(),
            instrument_id: case.instrument_id.clone(),
            quantity: case.quantity.into(),
            min_price: case.min_price.as_ref().map(PriceView::of),
            min_payout: PriceView::of(&case.min_payout),
            status: status.as_str(),
            request_id: case.held.map(|held| held.request_id),
            nav: shown.worth().into(),
            price: price.map(PriceView::of),
            payout: payout.as_ref().map(PriceView::of),
            credited: case.held.is_some_and(|held| held.credited),
            rejection: shown.rejection().map(str::to_owned),
            problem: shown.problem(),
            command: asked.as_ref().map(CommandBrief::from),
            decision: deciding.as_ref().map(CommandBrief::from),
            created_at: Time(case.created_at),
            decided_at: case.decision.as_ref().map(|decision| Time(decision.at)),
            ended_at: end.map(|(at, _)| Time(at)),
            transaction_hash: end.map(|(_, hash)| Bytes32(hash)),
        }
    }
}
