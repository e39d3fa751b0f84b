//! A turn at an instrument's book: what has come in since is matched, and all that follows is written, in one transaction.
//! Whoever holds the book's row may; so any number of processes look, and one at a time does.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use alloy::primitives::U256;
use futures::FutureExt;
use serde_json::json;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use tokenx_config::failpoint;
use tokenx_contracts::ReasonCode;
use tokenx_indexer::read;
use tokenx_migrations::{Uint256, audit, outbox};
use uuid::Uuid;

use super::book::Held;
use super::engine::{Book, End, Entry, Event, Input, Order as Bid, Place, Side};
use super::market::{Market, Stand, seconds};
use super::names::{Does, Kind, State, TimeInForce};
use super::record::Order;
use super::{settle, worth};
use crate::app::App;
use crate::error::ApiError;
use crate::tokens::record as tokens;
use crate::tokens::routes::now;

/// New orders that one turn takes at most.
const MOST: i64 = 64;
/// How often every book is looked at, whoever asks or does not.
const TICK: Duration = Duration::from_millis(500);

/// Has an instrument's book looked at soon.
pub(crate) fn ring(app: &App, instrument_id: &str) {
    app.books().ring(instrument_id);
}

/// Looks at books, and at what trades still need, until the process stops.
pub(crate) async fn keep_going(app: App) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let all = tokio::select! {
            () = app.stop().cancelled() => return,
            _ = tick.tick() => true,
            () = app.books().rung() => false,
        };
        if let Err(error) = round(&app, all).boxed().await {
            match error {
                ApiError::Internal(source) => tracing::error!(error = %source, "books do not go on"),
                error => tracing::warn!(error = %error, "books do not go on: tried again"),
            }
        }
    }
}

async fn round(app: &App, all: bool) -> Result<(), ApiError> {
    let mut asked = app.books().asked();
    if all {
        asked.extend(with_orders(app).await?);
    }
    for instrument_id in asked {
        while turn(app, &instrument_id).await? {}
    }
    settle::ask_all(app).await?;
    if all { settle::follow(app).await } else { Ok(()) }
}

/// Instruments that have orders which may still be matched.
async fn with_orders(app: &App) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT b.instrument_id
           FROM books b
          WHERE EXISTS (SELECT FROM orders o
                         WHERE o.instrument_id = b.instrument_id AND o.state IN ('pending', 'waiting', 'open'))",
    )
    .fetch_all(app.pool())
    .await
}

/// Takes a turn, unless another one is at it; whether there is more.
///
/// # Errors
/// The database's. Then nothing of it was written.
pub(crate) async fn turn(app: &App, instrument_id: &str) -> Result<bool, ApiError> {
    let mut tx = tokenx_migrations::begin(app.pool()).await?;
    let row: Option<(i64, i64, Option<Uint256>)> = sqlx::query_as(
        "SELECT version, rank, last_price
           FROM books
          WHERE instrument_id = $1
            FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(instrument_id)
    .fetch_optional(&mut *tx)
    .await?;
    let Some((version, rank, last)) = row else { return Ok(false) };
    let time = now();
    let Some(clock) = Clock::read(app, &mut tx, time).await? else { return Ok(false) };
    let mut held = match app.books().take(instrument_id, version) {
        Some(held) => held,
        None => Held { version, book: open(&mut tx, instrument_id, (rank, last)).await?, looked: None },
    };
    let token = tokens::of_instruments(&mut *tx, app.chain_id(), &[instrument_id]).await?.into_iter().next();
    let market = match token {
        Some(token) => Market::of(app, &mut tx, &token, clock.stand).await?.ok(),
        None => None,
    };
    let ends = ends(&mut tx, instrument_id, market.as_ref(), &mut held, clock).await?;
    let rests = market.as_ref().is_none_or(|market| market.is_open(clock.now).is_err());
    let fresh = pending(&mut tx, instrument_id, rests.then_some(clock.now)).await?;
    let more = i64::try_from(fresh.len()).is_ok_and(|taken| taken == MOST);

    let mut outcome = Outcome::default();
    let mut events = Vec::new();
    held.book.apply(Input::Time(clock.now), &mut events);
    for (place, code) in &ends {
        outcome.codes.insert(*place, code.clone());
        let known = held.book.order(*place).is_some();
        held.book.apply(Input::Cancel(*place), &mut events);
        if !known {
            // It had not come into the book yet.
            events.push(Event::Ended { id: *place, left: 0, end: End::Cancelled });
        }
    }
    for line in &fresh {
        if !outcome.codes.contains_key(&place(line.place)) {
            held.book.apply(Input::Place(line.order()), &mut events);
        }
    }
    outcome.take(&events);
    if outcome.is_empty() {
        // Nothing changed but the time.
        tx.commit().await?;
        app.books().put(instrument_id, held);
        return Ok(false);
    }
    let unit = match &market {
        Some(market) => market.unit,
        None => U256::ONE,
    };
    let fee_bps = market.as_ref().map_or(0, |market| market.terms.fee_bps);
    write(&mut tx, &outcome, Terms { unit, fee_bps }, time).await?;
    sqlx::query("UPDATE books SET version = version + 1, rank = $2, last_price = $3 WHERE instrument_id = $1")
        .bind(instrument_id)
        .bind(i64::try_from(held.book.rank()).map_err(ApiError::internal)?)
        .bind(held.book.last().map(|last| Uint256(U256::from(last))))
        .execute(&mut *tx)
        .await?;
    failpoint::hit("ats.before_commit").map_err(sqlx::Error::Io)?;
    tx.commit().await?;
    failpoint::hit("ats.after_commit").map_err(sqlx::Error::Io)?;
    held.version += 1;
    app.books().put(instrument_id, held);
    Ok(more)
}

/// What time it is, and where the chain stands.
#[derive(Debug, Clone, Copy)]
struct Clock {
    now: u64,
    stand: Stand,
}

impl Clock {
    /// `None` before the chain was ever read.
    async fn read(app: &App, conn: &mut PgConnection, time: OffsetDateTime) -> Result<Option<Clock>, sqlx::Error> {
        let head = read::cursor(conn, app.chain_id()).await?;
        Ok(head.and_then(|head| Some(Clock { now: seconds(time).max(head.block_time?), stand: Stand::from(&head) })))
    }
}

/// The book that the rows make.
async fn open(
    conn: &mut PgConnection,
    instrument_id: &str,
    (rank, last): (i64, Option<Uint256>),
) -> Result<Book, ApiError> {
    let lines: Vec<Line> = sqlx::query_as(
        "SELECT place, rank, investor_id, side, kind, time_in_force, state, quantity - filled AS left, limit_price,
                stop_price, until
           FROM orders
          WHERE instrument_id = $1 AND state IN ('waiting', 'open')
          ORDER BY rank",
    )
    .bind(instrument_id)
    .fetch_all(conn)
    .await?;
    let entries = lines.iter().map(|line| Entry {
        rank: line.rank.unwrap_or_default().unsigned_abs(),
        place: if line.state == State::Waiting { Place::Waits } else { Place::Rests },
        order: line.order(),
    });
    // It has not been told the time yet: what has ended since is told when it is.
    Ok(Book::open(entries, last.map(|last| narrow(last.0)), 0, rank.unsigned_abs()))
}

/// New orders, in the order of their arrival; while the book rests, those alone whose time is over.
async fn pending(conn: &mut PgConnection, instrument_id: &str, over_at: Option<u64>) -> Result<Vec<Line>, sqlx::Error> {
    sqlx::query_as(
        "SELECT place, rank, investor_id, side, kind, time_in_force, state, quantity AS left, limit_price, stop_price, until
           FROM orders
          WHERE instrument_id = $1 AND state = 'pending' AND ($3::bigint IS NULL OR until <= $3)
          ORDER BY place
          LIMIT $2",
    )
    .bind(instrument_id)
    .bind(MOST)
    .bind(over_at.map(u64::cast_signed))
    .fetch_all(conn)
    .await
}

/// Orders that are to end, and why: somebody asked, or their wallet may not trade any more, or their token is not listed.
async fn ends(
    conn: &mut PgConnection,
    instrument_id: &str,
    market: Option<&Market>,
    held: &mut Held,
    clock: Clock,
) -> Result<Vec<(u64, String)>, ApiError> {
    let mut ends: Vec<(i64, String)> = sqlx::query_as(
        "SELECT place, ending
           FROM orders
          WHERE instrument_id = $1 AND ending IS NOT NULL AND state IN ('pending', 'waiting', 'open')
          ORDER BY place",
    )
    .bind(instrument_id)
    .fetch_all(&mut *conn)
    .await?;
    // What the chain says of wallets changes with its head; what it says of their KYC with the clock.
    let looked = Some((clock.stand.head, clock.now));
    if held.looked != looked {
        let misfits: Vec<(i64, String)> = if market.is_some_and(|market| market.listed) {
            sqlx::query_as(
                "SELECT place, code FROM trade_misfits WHERE instrument_id = $1 AND place IS NOT NULL ORDER BY place",
            )
            .bind(instrument_id)
            .fetch_all(conn)
            .await?
        } else {
            sqlx::query_as(
                "SELECT place, $2
                   FROM orders
                  WHERE instrument_id = $1 AND state IN ('pending', 'waiting', 'open')
                  ORDER BY place",
            )
            .bind(instrument_id)
            .bind(ReasonCode::NotListed.as_str())
            .fetch_all(conn)
            .await?
        };
        ends.extend(misfits);
        held.looked = looked;
    }
    let mut seen = HashSet::new();
    ends.retain(|(place, _)| seen.insert(*place));
    Ok(ends.into_iter().map(|(id, code)| (place(id), code)).collect())
}

/// An order as the engine needs it.
#[derive(Debug, FromRow)]
struct Line {
    place: i64,
    rank: Option<i64>,
    investor_id: i64,
    #[sqlx(try_from = "String")]
    side: Does,
    #[sqlx(try_from = "String")]
    kind: Kind,
    #[sqlx(try_from = "String")]
    time_in_force: TimeInForce,
    #[sqlx(try_from = "String")]
    state: State,
    left: Uint256,
    limit_price: Uint256,
    stop_price: Option<Uint256>,
    until: i64,
}

impl Line {
    fn order(&self) -> Bid {
        // One that rests has met its price.
        let stop = self.stop_price.filter(|_| self.state != State::Open);
        Bid {
            id: place(self.place),
            party: self.investor_id.unsigned_abs(),
            side: self.side.side(),
            quantity: narrow(self.left.0),
            limit: narrow(self.limit_price.0),
            stop: stop.map(|stop| narrow(stop.0)),
            rest: self.kind.rest(self.time_in_force),
            until: self.until.unsigned_abs(),
        }
    }
}

/// What came of a turn, by order.
#[derive(Debug, Default)]
struct Outcome {
    /// Where each order is that was touched, with its place in the book.
    states: HashMap<u64, (State, Option<u64>)>,
    /// Why orders ended.
    codes: HashMap<u64, String>,
    /// What was matched.
    trades: Vec<Matched>,
    touched: HashSet<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Matched {
    maker: u64,
    taker: u64,
    side: Side,
    price: u128,
    quantity: u128,
}

impl Outcome {
    fn take(&mut self, events: &[Event]) {
        for event in events {
            match *event {
                Event::Waits { id, rank } => self.place(id, State::Waiting, Some(rank)),
                Event::Rests { id, rank } => self.place(id, State::Open, Some(rank)),
                Event::Triggered { id } => {
                    self.touched.insert(id);
                }
                Event::Traded { maker, taker, side, price, quantity } => {
                    self.touched.extend([maker, taker]);
                    self.trades.push(Matched { maker, taker, side, price, quantity });
                }
                Event::Ended { id, end, .. } => {
                    let state = match end {
                        End::Filled => State::Filled,
                        End::Expired => State::Expired,
                        End::Unfilled | End::SelfTrade | End::Cancelled => State::Cancelled,
                    };
                    let code = match end {
                        End::Unfilled => Some(ReasonCode::Unfilled),
                        End::SelfTrade => Some(ReasonCode::SelfTrade),
                        End::Filled | End::Cancelled | End::Expired => None,
                    };
                    if let Some(code) = code {
                        self.codes.insert(id, code.as_str().to_owned());
                    }
                    self.place(id, state, None);
                }
            }
        }
    }

    fn place(&mut self, id: u64, state: State, rank: Option<u64>) {
        self.touched.insert(id);
        self.states.insert(id, (state, rank));
    }

    fn is_empty(&self) -> bool {
        self.touched.is_empty()
    }
}

/// On which terms trades are made.
#[derive(Debug, Clone, Copy)]
struct Terms {
    unit: U256,
    fee_bps: u16,
}

/// Writes what came of a turn: orders with their reservations, trades, and what is told of both.
async fn write(conn: &mut PgConnection, outcome: &Outcome, terms: Terms, time: OffsetDateTime) -> Result<(), ApiError> {
    let places: Vec<i64> = outcome.touched.iter().map(|id| id.cast_signed()).collect();
    let rows: Vec<Order> =
        sqlx::query_as("SELECT * FROM orders WHERE place = ANY ($1)").bind(&places).fetch_all(&mut *conn).await?;
    let mut orders: HashMap<u64, Order> = rows.into_iter().map(|order| (place(order.place), order)).collect();
    trades(conn, &outcome.trades, &mut orders, terms, time).await?;
    for (id, order) in &mut orders {
        if let Some((state, rank)) = outcome.states.get(id) {
            order.state = *state;
            order.rank = rank.map(u64::cast_signed).or(order.rank);
        }
        if !order.state.is_live() {
            order.reason_code = outcome.codes.get(id).cloned().filter(|_| order.state != State::Filled);
        }
        order.reserved = Uint256(match (order.state.is_live(), order.side) {
            (false, _) => U256::ZERO,
            (true, Does::Sell) => order.left(),
            (true, Does::Buy) => {
                let bps = u16::try_from(order.max_fee_bps).unwrap_or(u16::MAX);
                worth::at_most(order.left(), order.limit_price.0, terms.unit, bps).min(order.reserved.0)
            }
        });
    }
    let orders: Vec<Order> = orders.into_values().collect();
    sqlx::query(
        "UPDATE orders o
            SET state = n.state, rank = n.rank, filled = n.filled, reserved = n.reserved,
                reason_code = coalesce(n.reason_code, o.reason_code), updated_at = $7
           FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::numeric[], $5::numeric[], $6::text[])
                AS n (place, state, rank, filled, reserved, reason_code)
          WHERE o.place = n.place",
    )
    .bind(orders.iter().map(|order| order.place).collect::<Vec<_>>())
    .bind(orders.iter().map(|order| order.state.as_str()).collect::<Vec<_>>())
    .bind(orders.iter().map(|order| order.rank).collect::<Vec<_>>())
    .bind(orders.iter().map(|order| order.filled).collect::<Vec<_>>())
    .bind(orders.iter().map(|order| order.reserved).collect::<Vec<_>>())
    .bind(orders.iter().map(|order| order.reason_code.clone()).collect::<Vec<_>>())
    .bind(time)
    .execute(&mut *conn)
    .await?;
    let events: Vec<outbox::Event> = orders
        .iter()
        .map(|order| outbox::Event {
            kind: format!("order.{}", order.state),
            subject: format!("order:{}", order.order_id),
            payload: json!({
                "party_id": order.party_id,
                "order_id": order.order_id,
                "client_order_id": order.client_order_id,
                "instrument_id": order.instrument_id,
                "state": order.state.as_str(),
                "filled_base_units": order.filled.0.to_string(),
                "reason_code": order.reason_code,
            }),
            effect_key: None,
        })
        .collect();
    outbox::append_all(conn, &events).await?;
    Ok(())
}

/// Keeps what was matched; the orders' figures follow.
async fn trades(
    conn: &mut PgConnection,
    matched: &[Matched],
    orders: &mut HashMap<u64, Order>,
    terms: Terms,
    time: OffsetDateTime,
) -> Result<(), ApiError> {
    let mut lines: Vec<Fill> = Vec::with_capacity(matched.len());
    for trade in matched {
        let buy_rests = trade.side == Side::Sell;
        let (sell, buy) = if buy_rests { (trade.taker, trade.maker) } else { (trade.maker, trade.taker) };
        let quantity = U256::from(trade.quantity);
        for id in [sell, buy] {
            if let Some(order) = orders.get_mut(&id) {
                order.filled = Uint256(order.filled.0 + quantity);
            }
        }
        let both = orders.get(&sell).zip(orders.get(&buy));
        let (sell, buy) = both.ok_or_else(|| ApiError::internal("a trade of orders that are not there"))?;
        let price = U256::from(trade.price);
        let worth = worth::of_trade(quantity, price, terms.unit, terms.fee_bps, buy_rests);
        lines.push(Fill {
            trade_id: Uuid::now_v7(),
            sell: sell.clone(),
            buy: buy.clone(),
            quantity,
            price,
            buy_rests,
            worth,
        });
    }
    if lines.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO fills (trade_id, instrument_id, token, payment_token, sell_order, buy_order, seller, buyer, quantity,
                            price, buy_rests, cost, payment, command_id, matched_at)
         SELECT trade_id, instrument_id, token, payment_token, sell_order, buy_order, seller, buyer, quantity, price,
                buy_rests, cost, payment, command_id, $15
           FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::uuid[], $6::uuid[], $7::bytea[], $8::bytea[],
                       $9::numeric[], $10::numeric[], $11::boolean[], $12::numeric[], $13::numeric[], $14::text[])
                AS n (trade_id, instrument_id, token, payment_token, sell_order, buy_order, seller, buyer, quantity, price,
                      buy_rests, cost, payment, command_id)",
    )
    .bind(lines.iter().map(|line| line.trade_id).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.sell.instrument_id.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.sell.token).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.sell.payment_token).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.sell.order_id).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.buy.order_id).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.sell.wallet).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.buy.wallet).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| Uint256(line.quantity)).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| Uint256(line.price)).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.buy_rests).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| Uint256(line.worth.cost)).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| Uint256(line.worth.payment)).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| settle::command_id(line.trade_id)).collect::<Vec<_>>())
    .bind(time)
    .execute(&mut *conn)
    .await?;
    let subjects: Vec<String> = lines.iter().map(|line| format!("trade:{}", line.trade_id)).collect();
    let details: Vec<serde_json::Value> = lines.iter().map(Fill::detail).collect();
    let entries: Vec<audit::Entry<'_>> = subjects
        .iter()
        .zip(&details)
        .map(|(subject, detail)| audit::Entry {
            actor: "system",
            action: "trade.match",
            subject,
            request_id: None,
            detail: detail.clone(),
        })
        .collect();
    audit::append_all(&mut *conn, &entries).await?;
    let events: Vec<outbox::Event> = subjects
        .iter()
        .zip(details)
        .map(|(subject, payload)| outbox::Event {
            kind: "trade.match".to_owned(),
            subject: subject.clone(),
            payload,
            effect_key: None,
        })
        .collect();
    outbox::append_all(conn, &events).await?;
    Ok(())
}

/// A trade on its way into its row.
#[derive(Debug)]
struct Fill {
    trade_id: Uuid,
    sell: Order,
    buy: Order,
    quantity: U256,
    price: U256,
    buy_rests: bool,
    worth: worth::Worth,
}

impl Fill {
    fn detail(&self) -> serde_json::Value {
        json!({
            "trade_id": self.trade_id,
            "instrument_id": self.sell.instrument_id,
            "sell_order": self.sell.order_id,
            "buy_order": self.buy.order_id,
            "quantity_base_units": self.quantity.to_string(),
            "price_base_units": self.price.to_string(),
            "command_id": settle::command_id(self.trade_id),
        })
    }
}

fn place(id: i64) -> u64 {
    id.unsigned_abs()
}

/// Intake takes nothing that is wider.
fn narrow(value: U256) -> u128 {
    u128::try_from(value).unwrap_or(u128::MAX)
}
