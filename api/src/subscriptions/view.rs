//! Subscriptions as they are answered.

use alloy::sol_types::SolCall;
use async_graphql::{ID, SimpleObject};
use serde::Serialize;
use tokenx_contracts::bindings::{Listing, TestUSD};
use utoipa::ToSchema;

use super::course::{Purchase, Status};
use super::record::Record;
use crate::graphql::scalars::{Addr, Bytes32, Time};
use crate::store::commands::CallView;
use crate::tokens::details::PriceView;
use crate::tokens::money::Number;

/// What an investor has asked to buy of an offering, and what became of it.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "OfferingSubscription")]
pub struct Subscription {
    #[schema(value_type = Uuid)]
    id: ID,
    #[schema(value_type = Uuid)]
    offering_id: ID,
    instrument_id: String,
    party_id: String,
    #[schema(value_type = Uuid)]
    wallet_id: ID,
    #[schema(value_type = String)]
    wallet_address: Addr,
    /// The client's own name for it; also of the command that makes the purchase.
    command_id: String,
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::integer)]
    quantity: Number,
    /// For all of it: what is reserved, and once it was bought what was paid.
    cost: PriceView,
    /// reserved: until the wallet has bought; pending: on the way to the chain; completed; failed; expired.
    status: &'static str,
    /// hosted: the wallet's key is held here; signed: carried as the wallet has signed it; own: the wallet buys by itself.
    purchase: &'static str,
    /// Why it failed.
    #[schema(required)]
    reason_code: Option<String>,
    /// The same for people.
    #[schema(required)]
    failure: Option<String>,
    /// The transaction that bought.
    #[schema(required, value_type = Option<String>)]
    transaction_hash: Option<Bytes32>,
    /// When the reservation ends; null: with its command.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
    /// What a wallet that buys by itself has to send, in order; null where there is nothing to send.
    #[schema(required)]
    calls: Option<Vec<CallView>>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
}

/// A page of subscriptions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriptionPage {
    items: Vec<Subscription>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A page of these; one more than `wanted` says that there is another.
pub(super) fn page(mut records: Vec<Record>, wanted: usize) -> SubscriptionPage {
    let more = records.len() > wanted;
    records.truncate(wanted);
    let next_cursor = records.last().filter(|_| more).map(|record| record.subscription_id.to_string());
    SubscriptionPage { items: records.iter().map(Subscription::from).collect(), next_cursor }
}

impl From<&Record> for Subscription {
    fn from(record: &Record) -> Subscription {
        let failed = matches!(record.status, Status::Failed | Status::Expired);
        Subscription {
            id: record.subscription_id.into(),
            offering_id: record.offering_id.into(),
            instrument_id: record.instrument_id.clone(),
            party_id: record.party_id.clone(),
            wallet_id: record.wallet_id.into(),
            wallet_address: Addr(record.wallet),
            command_id: record.command_id.clone(),
            quantity: record.quantity.checked_div(record.unit).unwrap_or_default().into(),
            cost: PriceView::of(&record.cost),
            status: record.status.as_str(),
            purchase: record.purchase.as_str(),
            reason_code: record.reason_code.clone().filter(|_| failed),
            failure: record.failure.clone().filter(|_| failed),
            transaction_hash: record.tx_hash.map(Bytes32),
            expires_at: record.expires_at.map(Time),
            calls: (record.purchase == Purchase::Own && record.status == Status::Reserved).then(|| calls(record)),
            created_at: Time(record.created_at),
        }
    }
}

/// An allowance for the listing, and the purchase.
fn calls(record: &Record) -> Vec<CallView> {
    let (payment_token, cost) = (record.cost.currency.address, record.cost.amount.base());
    let (token, quantity) = (record.token, record.quantity);
    let approve = TestUSD::approveCall { spender: record.listing, value: cost };
    let buy = Listing::buyCall { token, quantity, paymentToken: payment_token, maxCost: cost };
    vec![CallView::new(payment_token, &approve.abi_encode()), CallView::new(record.listing, &buy.abi_encode())]
}
