//! What subscribers are told of nodes' contracts, of instruments of ours only.
//!
//! | kind | its own fields |
//! |---|---|
//! | `listing.listed`, `listing.delisted`, `listing.passive` | `reason, operator` |
//! | `purchase` | `wallet, investor_id, quantity, payment_token, cost` |
//! | `fees.allocated` | `platform_owner, node_owner, node`: each `wallet, amount` |
//! | `redemption.requested` | `request_id, wallet, quantity, payment_token, min_payout` |
//! | `redemption.approved` | `request_id, wallet, quantity, payment_token, payout, paid, reason, operator` |
//! | `redemption.closed` | `request_id, wallet, quantity, reason, operator` |
//! | `rent.opened` | `period, payment_token, amount, earning, reason, operator` |
//! | `rent.paid`, `rent.failed` | `wallet, payment_token, amount`; `wallet, refusal` |
//! | `trade` | `seller, buyer, quantity, payment_token, price, cost, fee, sell_order, buy_order` |
//! | `deal` | `deal, seller, buyer, quantity, payment_token, payment, fee` |
//!
//! Amounts are base units, text. What a reorg takes back is told from the kept logs, in the same words.

use std::collections::HashMap;

use alloy::primitives::{Address, U256};
use serde_json::{Value, json};
use sqlx::{PgConnection, Row};

use super::{State, token_of};
use crate::event::{
    FeeVaultEvent, ListingEvent, OtcDeskEvent, RedemptionDeskEvent, RentDistributorEvent, SecondaryMarketEvent, decode,
};
use crate::read::{Columns, int};
use crate::{ChainLog, Event, Fork, Kind};

/// What is told of a log: kind, the token's state, and the payload but for the place. `None` where nothing is.
pub(in crate::project) fn told<'a>(
    chain_id: u64,
    log: &ChainLog,
    tokens: &'a HashMap<Address, State>,
) -> Option<(&'static str, &'a State, Value)> {
    let event = log.event.as_ref()?;
    let (kind, mut payload) = effect(event)?;
    let token = token_of(event)?;
    let state = tokens.get(&token).filter(|state| !state.followed)?;
    if let Value::Object(fields) = &mut payload {
        fields.insert("chain_id".to_owned(), json!(chain_id));
        fields.insert("instrument_id".to_owned(), json!(state.instrument_id));
        fields.insert("token".to_owned(), address(token));
        fields.insert("decimals".to_owned(), json!(state.decimals));
        fields.insert("contract".to_owned(), address(log.address));
        fields.insert("command_key".to_owned(), json!(log.command));
    }
    Some((kind, state, payload))
}

fn address(address: Address) -> Value {
    Value::String(address.to_checksum(None))
}

fn amount(amount: U256) -> Value {
    Value::String(amount.to_string())
}

fn effect(event: &Event) -> Option<(&'static str, Value)> {
    Some(match event {
        Event::Listing(ListingEvent::ListingStatusChanged(e)) => {
            let kind = match e.status {
                1 => "listing.listed",
                2 => "listing.delisted",
                3 => "listing.passive",
                _ => return None,
            };
            (kind, json!({ "reason": e.reason, "operator": address(e.operator) }))
        }
        Event::Listing(ListingEvent::Purchased(e)) => (
            "purchase",
            json!({
                "wallet": address(e.buyer),
                "investor_id": e.investorId,
                "quantity": amount(e.quantity),
                "payment_token": address(e.paymentToken),
                "cost": amount(e.cost),
            }),
        ),
        Event::FeeVault(FeeVaultEvent::FeesAllocated(e)) => {
            let part = |wallet, units| json!({ "wallet": address(wallet), "amount": amount(units) });
            let (to, amounts) = (&e.beneficiaries, &e.amounts);
            let parts = json!({
                "platform_owner": part(to.platformOwner, amounts.platformOwner),
                "node_owner": part(to.nodeOwner, amounts.nodeOwner),
                "node": part(to.node, amounts.node),
            });
            ("fees.allocated", parts)
        }
        Event::RedemptionDesk(event) => redemption(event)?,
        Event::RentDistributor(event) => rent(event)?,
        Event::SecondaryMarket(SecondaryMarketEvent::Traded(e)) => (
            "trade",
            json!({
                "seller": address(e.trade.seller),
                "buyer": address(e.trade.buyer),
                "quantity": amount(e.trade.quantity),
                "payment_token": address(e.trade.paymentToken),
                "price": amount(e.trade.price),
                "cost": amount(e.trade.cost),
                "fee": amount(e.trade.fee),
                "sell_order": e.sell,
                "buy_order": e.buy,
            }),
        ),
        Event::OtcDesk(OtcDeskEvent::DealSettled(e)) => (
            "deal",
            json!({
                "deal": e.deal,
                "seller": address(e.seller),
                "buyer": address(e.buyer),
                "quantity": amount(e.quantity),
                "payment_token": address(e.paymentToken),
                "payment": amount(e.payment),
                "fee": amount(e.fee),
            }),
        ),
        _ => return None,
    })
}

fn redemption(event: &RedemptionDeskEvent) -> Option<(&'static str, Value)> {
    Some(match event {
        RedemptionDeskEvent::RedemptionRequested(e) => (
            "redemption.requested",
            json!({
                "request_id": amount(e.requestId),
                "wallet": address(e.wallet),
                "quantity": amount(e.quantity),
                "payment_token": address(e.paymentToken),
                "min_payout": amount(e.minPayout),
            }),
        ),
        RedemptionDeskEvent::RedemptionApproved(e) => (
            "redemption.approved",
            json!({
                "request_id": amount(e.requestId),
                "wallet": address(e.wallet),
                "quantity": amount(e.quantity),
                "payment_token": address(e.paymentToken),
                "payout": amount(e.payout),
                // Else the payment token refused the wallet, which has to draw it.
                "paid": e.credit.is_zero(),
                "reason": e.reason,
                "operator": address(e.operator),
            }),
        ),
        RedemptionDeskEvent::RedemptionClosed(e) => (
            "redemption.closed",
            json!({
                "request_id": amount(e.requestId),
                "wallet": address(e.wallet),
                "quantity": amount(e.quantity),
                "reason": e.reason,
                "operator": address(e.operator),
            }),
        ),
        _ => return None,
    })
}

fn rent(event: &RentDistributorEvent) -> Option<(&'static str, Value)> {
    Some(match event {
        RentDistributorEvent::RentOpened(e) => (
            "rent.opened",
            json!({
                "period": amount(e.period),
                "payment_token": address(e.opened.paymentToken),
                "amount": amount(e.opened.amount),
                "earning": amount(e.opened.earning),
                "reason": e.reason,
                "operator": address(e.operator),
            }),
        ),
        RentDistributorEvent::RentPaid(e) => (
            "rent.paid",
            json!({
                "wallet": address(e.wallet),
                "payment_token": address(e.paymentToken),
                "amount": amount(e.amount),
            }),
        ),
        RentDistributorEvent::RentPaymentFailed(e) => {
            ("rent.failed", json!({ "wallet": address(e.wallet), "refusal": e.refusal }))
        }
        _ => return None,
    })
}

/// The kept logs of nodes' contracts above `fork.to` of which subscribers were told, in order and decoded.
pub(in crate::project) async fn kept(fork: &Fork, tx: &mut PgConnection) -> Result<Vec<ChainLog>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT l.*, w.kind
           FROM logs l
           JOIN chain_cursors c ON c.chain_id = l.chain_id AND l.block_number > c.live_from
           JOIN watched w       ON w.chain_id = l.chain_id AND w.address = l.address
                               AND w.kind IN ('listing', 'secondary_market', 'otc_desk', 'rent_distributor', 'fee_vault',
                                              'redemption_desk')
          WHERE l.chain_id = $1 AND l.block_number > $2 AND l.decoded
          ORDER BY l.block_number, l.log_index",
    )
    .bind(int(fork.chain_id))
    .bind(int(fork.to.number))
    .fetch_all(tx)
    .await?;
    let mut logs = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut log = ChainLog::from_row(row)?;
        log.event = Kind::parse(row.try_get("kind")?).and_then(|kind| decode(kind, &log.topics, &log.data));
        log.command = row.maybe_word("command_key")?;
        logs.push(log);
    }
    Ok(logs)
}
