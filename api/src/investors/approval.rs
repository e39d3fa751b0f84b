//! `/investors/wallets/{wallet_id}/approval`: what a wallet whose key the party holds has to send so that a contract may take
//! money of it, where the payment token knows no permit that could be signed instead.

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Extract};
use serde::Serialize;
use sqlx::PgConnection;
use tokenx_contracts::amount::AmountText;
use tokenx_contracts::bindings::TestUSD;
use tokenx_contracts::codes::ReasonCode;
use tokenx_indexer::read;
use tokenx_keeper::Contract;
use utoipa::ToSchema;
use uuid::Uuid;

use super::party_of;
use crate::app::App;
use crate::ats::market::{Closed, Market};
use crate::ats::signed::Clock;
use crate::auth::Viewer;
use crate::error::{ApiError, FieldError};
use crate::graphql::scalars::Addr as Checksum;
use crate::http::query::Query;
use crate::money;
use crate::offerings::facts;
use crate::offerings::record::{self as offerings, Record as Offering};
use crate::offerings::routes::seen;
use crate::otc::desk::Desk;
use crate::store::commands::CallView;
use crate::store::currencies;
use crate::tokens::Currency;
use crate::tokens::record as tokens;
use crate::wallets::record::{self, Kind};

/// Contracts of a node that take money of investors.
const TAKE: [Contract; 3] = [Contract::Listing, Contract::SecondaryMarket, Contract::OtcDesk];

/// What lets a contract take money of a wallet.
#[derive(Debug, Serialize, ToSchema)]
pub struct Approval {
    /// To be signed and sent by the wallet, in this order, each once the one before is in a block; none where as much is
    /// allowed already.
    transactions: Vec<UnsignedTransaction>,
    /// What the wallet allows as of the indexed head, in whole units of the payment token.
    allowance: String,
    /// The payment token.
    #[schema(value_type = String)]
    payment_token: Checksum,
    /// The contract that may take it.
    #[schema(value_type = String)]
    spender: Checksum,
}

/// A transaction that nobody has signed. Nonce, gas and fees are for the wallet to say.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnsignedTransaction {
    /// EIP-155 id of the chain.
    chain_id: u64,
    /// The wallet.
    #[schema(value_type = String)]
    from: Checksum,
    #[serde(flatten)]
    call: CallView,
    /// Wei.
    #[schema(pattern = "^0$")]
    value: &'static str,
}

/// What a self-custody wallet has to send before it pays in a payment token without permits: `approve`, for what is about to
/// be bought. A wallet whose key is held here approves by itself.
#[utoipa::path(
    get,
    path = "/investors/wallets/{wallet_id}/approval",
    params(
        ("wallet_id" = Uuid, Path, description = "The wallet"),
        ("offering_id" = Uuid, Query, description = "The offering that is to be paid for"),
        ("contract" = String, Query, description = "Who is to take it: listing for subscriptions, secondary_market for \
            orders, otc_desk for deals", pattern = "^(listing|secondary_market|otc_desk)$"),
        ("amount" = String, Query, description = "As much as may be taken, fees included, in whole units of the payment token",
            pattern = r"^[0-9]+(\.[0-9]+)?$"),
    ),
    responses((status = 200, description = "The transactions to sign and send", body = Approval))
)]
pub(crate) async fn approval(
    Extract(app): Extract<App>,
    viewer: Viewer,
    id: Result<Path<String>, PathRejection>,
    mut query: Query,
) -> Result<Json<Approval>, ApiError> {
    let unknown = || ApiError::NotFound("the party has no wallet with this id".into());
    let wallet_id: Uuid = id.ok().and_then(|Path(id)| id.parse().ok()).ok_or_else(unknown)?;
    let party_id = party_of(&viewer)?;
    let mut tx = read::snapshot(app.pool()).await?;
    let wallet = record::find(&mut *tx, wallet_id).await?.filter(|wallet| wallet.party_id == party_id);
    let wallet = wallet.ok_or_else(unknown)?;
    let offering_id = query.text("offering_id", str::parse::<Uuid>);
    let contract = query.text("contract", contract);
    let amount = query.text("amount", AmountText::from_text);
    query.finish()?;
    let offering_id = offering_id.ok_or_else(|| missing("offering_id"))?;
    let contract = contract.ok_or_else(|| missing("contract"))?;
    let amount = amount.ok_or_else(|| missing("amount"))?;
    if wallet.kind == Kind::Hosted {
        let detail = "the wallet's key is held here, and approves by itself: there is nothing to send";
        return Err(ApiError::Conflict(detail.into()));
    }
    let offering = offerings::find(&mut *tx, offering_id).await?;
    let offering = seen(&mut tx, &viewer, offering).await?;
    let taker = Taker::of(&app, &mut tx, &offering, contract).await?;
    tx.commit().await?;
    let Taker { spender, currency } = taker;
    let amount = amount
        .to_amount(currency.decimals)
        .map_err(|error| ApiError::Rejected(vec![FieldError::query("amount", "value_error", error.to_string())]))?;
    let whose = (wallet.address, currency.address, spender);
    money::watch(&app, whose).await?;
    let purse = read::purse(app.pool(), app.chain_id(), whose).await?;
    let allowance = purse.ok_or_else(|| ApiError::internal("a wallet that is not watched"))?.allowance;
    let transactions = approves(allowance, amount.base()).into_iter().map(|value| UnsignedTransaction {
        chain_id: app.chain_id(),
        from: Checksum(wallet.address),
        call: CallView::new(currency.address, &TestUSD::approveCall { spender, value }.abi_encode()),
        value: "0",
    });
    Ok(Json(Approval {
        transactions: transactions.collect(),
        allowance: tokenx_contracts::amount::Amount::new(allowance, currency.decimals).to_string(),
        payment_token: Checksum(currency.address),
        spender: Checksum(spender),
    }))
}

/// Values to approve, in order: some tokens want an allowance taken back before another one is given.
fn approves(allowance: U256, amount: U256) -> Vec<U256> {
    match (allowance >= amount, allowance.is_zero()) {
        (true, _) => Vec::new(),
        (false, true) => vec![amount],
        (false, false) => vec![U256::ZERO, amount],
    }
}

/// Who is paid, and in what.
struct Taker {
    spender: Address,
    currency: Currency,
}

impl Taker {
    async fn of(
        app: &App,
        conn: &mut PgConnection,
        offering: &Offering,
        contract: Contract,
    ) -> Result<Taker, ApiError> {
        if contract == Contract::Listing {
            return Self::of_listing(app, conn, offering).await;
        }
        let token = tokens::of_ids(&mut *conn, &[&offering.token_id]).await?.into_iter().next();
        let token = token.ok_or_else(|| ApiError::internal("an offering of no token"))?;
        Ok(if contract == Contract::SecondaryMarket {
            let clock = Clock::read(app, conn, 0).await?;
            let market = Market::of(app, conn, &token, clock.stand).await?.map_err(closed)?;
            Taker { spender: market.contract, currency: market.currency }
        } else {
            let desk = Desk::of(app, conn, &token).await?.map_err(closed)?;
            Taker { spender: desk.contract, currency: desk.currency }
        })
    }

    async fn of_listing(app: &App, conn: &mut PgConnection, offering: &Offering) -> Result<Taker, ApiError> {
        let facts = facts::of_one(&mut *conn, app.chain_id(), offering).await?;
        let listing = facts.chain.deployment.and_then(|deployed| deployed.listing);
        let sold = listing.and_then(|listing| Some((listing.contract, listing.terms?.payment_token)));
        let (spender, paid) =
            sold.ok_or_else(|| closed(Closed::new(ReasonCode::NotOnSale, ReasonCode::NotOnSale.message())))?;
        let known = currencies::list(&mut *conn, app.chain_id()).await?;
        let currency = known
            .into_iter()
            .find(|currency| currency.address == paid)
            .ok_or_else(|| closed(Closed::new(ReasonCode::WrongPaymentToken, format!("{paid} is no currency here"))))?;
        Ok(Taker { spender, currency })
    }
}

fn contract(name: &str) -> Result<Contract, &'static str> {
    let found = TAKE.into_iter().find(|contract| contract.name() == name);
    found.ok_or("value is not listing, secondary_market or otc_desk")
}

fn closed(closed: Closed) -> ApiError {
    ApiError::Rejected(vec![FieldError::refused("offering_id", closed.code, closed.message)])
}

fn missing(name: &'static str) -> ApiError {
    ApiError::Rejected(vec![FieldError::query(name, "missing", "parameter required")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_already_is_not_approved_and_what_is_too_little_is_taken_back_first() {
        let [none, some, more] = [0u64, 5, 7].map(U256::from);
        assert_eq!(approves(none, some), [some]);
        assert_eq!(approves(some, more), [none, more]);
        assert_eq!(approves(some, some), Vec::<U256>::new());
        assert_eq!(approves(U256::MAX, some), Vec::<U256>::new());
    }
}
