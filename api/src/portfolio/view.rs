//! `GET /investors/portfolio`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::primitives::{Address, I256, U256};
use async_graphql::{ID, SimpleObject};
use axum::Json;
use axum::extract::State as Extract;
use serde::Serialize;
use sqlx::PgConnection;
use tokenx_contracts::amount::Amount;
use tokenx_indexer::read as chain;
use utoipa::ToSchema;

use super::cost::{self, Book, signed};
use super::read::{self, Holding, Instrument};
use crate::app::App;
use crate::auth::Viewer;
use crate::compliance::Block;
use crate::error::ApiError;
use crate::graphql::limits::{nested_rows, rows};
use crate::graphql::scalars::{Addr, Decimal, Time};
use crate::investors::party_of;
use crate::money;
use crate::redemptions::request::worth;
use crate::store::{currencies, parties, reserved};
use crate::tokens::details::PriceView;
use crate::tokens::money::{Currency, Number, Price};
use crate::tokens::nav::{self, Nav, NavView};

/// What a party has, in all its wallets together.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct Portfolio {
    /// The block that all of it is as of: the indexed head.
    #[graphql(skip)]
    as_of: Block,
    /// By instrument; those that the party has had and has no more are there too.
    #[graphql(complexity = "rows(None, None, child_complexity)")]
    items: Vec<PositionView>,
    /// By currency.
    totals: Vec<Total>,
    /// What its wallets pay with, where one has done so within a day.
    #[graphql(complexity = "nested_rows(None, None, child_complexity)")]
    money: Vec<MoneyView>,
}

/// What a wallet has of a currency.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "WalletMoney")]
pub struct MoneyView {
    #[schema(value_type = String)]
    wallet: Addr,
    balance: Sum,
    /// What of it orders, trades and subscriptions may take still.
    reserved: Sum,
    /// The block that the balance is as of.
    block_number: u64,
}

/// What a party has of an instrument. Quantities are whole tokens.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "Position")]
pub struct PositionView {
    instrument_id: String,
    /// The instrument's record; null where nobody here has said anything of it.
    #[schema(required, value_type = Option<String>)]
    token_id: Option<ID>,
    /// Its contract.
    #[schema(value_type = String)]
    token: Addr,
    name: String,
    symbol: String,
    #[schema(schema_with = crate::openapi::amount_out)]
    quantity: Decimal,
    /// What the chain would let it move.
    #[schema(schema_with = crate::openapi::amount_out)]
    spendable: Decimal,
    /// What it would not: frozen, or under a hold or lockup.
    #[schema(schema_with = crate::openapi::amount_out)]
    locked: Decimal,
    /// Of what is spendable, what was asked for and is not done yet.
    #[schema(schema_with = crate::openapi::amount_out)]
    reserved: Decimal,
    /// What a whole token is worth; null where nobody says so.
    #[serde(flatten)]
    #[graphql(flatten)]
    nav: Worth,
    /// What all of it is worth, rounded down to the currency's decimals; null where nobody says so.
    #[schema(required)]
    value: Option<PriceView>,
    /// What was paid for it, by currency: the average cost of what was bought. What came without a payment cost nothing.
    cost_basis: Vec<Sum>,
    /// What it is worth less what was paid for it, by currency; empty where nobody says what it is worth.
    unrealised_pnl: Vec<Sum>,
    /// What was got for units that were sold or redeemed, less what they had cost, by currency.
    realised_pnl: Vec<Sum>,
    rent_received: Vec<Sum>,
    #[graphql(complexity = "nested_rows(None, None, child_complexity)")]
    wallets: Vec<WalletPosition>,
}

/// What a whole token is worth; all null where nobody says so.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct Worth {
    #[schema(required)]
    nav: Option<PriceView>,
    /// Who or what says so; token_price: the token's record.
    #[schema(required)]
    nav_source: Option<String>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    nav_as_of: Option<Time>,
}

/// What one wallet has.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct WalletPosition {
    #[schema(value_type = String)]
    wallet: Addr,
    #[schema(schema_with = crate::openapi::amount_out)]
    quantity: Decimal,
    #[schema(schema_with = crate::openapi::amount_out)]
    spendable: Decimal,
    #[schema(schema_with = crate::openapi::amount_out)]
    locked: Decimal,
    #[schema(schema_with = crate::openapi::amount_out)]
    reserved: Decimal,
}

/// A sum of a currency, exact; below zero where it is a loss.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct Sum {
    /// The currency; null for a payment token that the platform does not know.
    #[schema(required, value_type = Option<String>)]
    id: Option<ID>,
    #[schema(schema_with = crate::openapi::number)]
    amount: Number,
    decimal: u8,
    symbol: String,
    #[schema(value_type = String)]
    address: Addr,
}

/// All positions, in one currency.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "PortfolioTotal")]
pub struct Total {
    currency: String,
    value: Sum,
    cost_basis: Sum,
    unrealised_pnl: Sum,
    realised_pnl: Sum,
    rent_received: Sum,
}

/// What the party has in all its wallets, what that is worth and cost, and what it has brought.
#[utoipa::path(
    get,
    path = "/investors/portfolio",
    responses((status = 200, description = "As of the indexed head", body = Portfolio))
)]
pub(crate) async fn portfolio(Extract(app): Extract<App>, viewer: Viewer) -> Result<Json<Portfolio>, ApiError> {
    let mut tx = chain::snapshot(app.pool()).await?;
    of(&app, &mut tx, &viewer).await.map(Json)
}

/// An investor's portfolio, as the transaction sees the chain.
pub(crate) async fn of(app: &App, conn: &mut PgConnection, viewer: &Viewer) -> Result<Portfolio, ApiError> {
    let chain_id = app.chain_id();
    let as_of = Block::head(app, conn).await?;
    let party = parties::profile(&mut *conn, party_of(viewer)?).await?;
    let party = party.ok_or_else(|| ApiError::internal("an investor of a party that is not there"))?;
    let known = chain::wallets_of_investor(&mut *conn, chain_id, party.investor_id).await?;
    let wallets: Vec<Address> = known.iter().map(|wallet| wallet.wallet).collect();
    let holdings = read::holdings(conn, chain_id, &wallets).await?;
    let events = read::events(conn, chain_id, &wallets).await?;
    let books = cost::books(&wallets.iter().copied().collect(), &events);
    let rent = read::rent(conn, chain_id, &wallets).await?;
    let tokens: BTreeSet<Address> = holdings.iter().map(|holding| holding.token).collect();
    let instruments = read::instruments(conn, chain_id, &Vec::from_iter(tokens)).await?;
    let ids: Vec<&str> = instruments.iter().filter_map(|instrument| instrument.token_id.as_deref()).collect();
    let navs = nav::of_tokens(&mut *conn, &ids).await?;
    let named: HashMap<Address, &str> =
        instruments.iter().map(|instrument| (instrument.token, instrument.instrument_id.as_str())).collect();
    let positions: Vec<(String, Address)> = holdings
        .iter()
        .filter_map(|holding| Some(((*named.get(&holding.token)?).to_owned(), holding.wallet)))
        .collect();
    let reserved = reserved::units(&mut *conn, &positions).await?;
    let currencies = Currencies(currencies::list(&mut *conn, chain_id).await?);
    let mut totals = Totals::default();
    let items = instruments.iter().map(|instrument| {
        let of_it = holdings.iter().filter(|holding| holding.token == instrument.token);
        let of_it: Vec<(&Holding, U256)> = of_it
            .map(|holding| {
                let key = (instrument.instrument_id.clone(), holding.wallet);
                (holding, reserved.get(&key).copied().unwrap_or_default())
            })
            .collect();
        let book = books.get(&instrument.token).cloned().unwrap_or_default();
        let rent = rent.iter().filter(|(token, ..)| *token == instrument.token);
        let rent: BTreeMap<Address, I256> = rent.map(|(_, currency, units)| (*currency, signed(*units))).collect();
        let nav = instrument.token_id.as_ref().and_then(|id| navs.get(id));
        Line { instrument, holdings: &of_it, book: &book, rent: &rent, nav }.shown(&currencies, &mut totals)
    });
    let items = items.collect();
    let mut money = Vec::new();
    for (wallet, token, balance, block) in chain::purses_of(&mut *conn, chain_id, &wallets).await? {
        let reserved = money::reserved(&mut *conn, wallet, token, block).await?;
        money.push(MoneyView {
            wallet: Addr(wallet),
            balance: currencies.sum(token, signed(balance)),
            reserved: currencies.sum(token, signed(reserved)),
            block_number: block,
        });
    }
    Ok(Portfolio { as_of, items, totals: totals.shown(&currencies), money })
}

/// A position with all that is said of it.
struct Line<'a> {
    instrument: &'a Instrument,
    /// With what of each is reserved.
    holdings: &'a [(&'a Holding, U256)],
    book: &'a Book,
    rent: &'a BTreeMap<Address, I256>,
    nav: Option<&'a Nav>,
}

impl Line<'_> {
    fn shown(&self, currencies: &Currencies, totals: &mut Totals) -> PositionView {
        let Line { instrument, holdings, book, rent, nav } = self;
        let text = |units| Decimal::of(units, instrument.decimals);
        let all = |of: fn(&Holding, U256) -> U256| {
            holdings.iter().fold(U256::ZERO, |sum, (holding, reserved)| sum.saturating_add(of(holding, *reserved)))
        };
        let quantity = all(|holding, _| holding.position.balance);
        let unit = U256::from(10).saturating_pow(U256::from(instrument.decimals));
        let value = nav.map(|nav| {
            let price = &nav.price;
            Price::new(price.currency.clone(), worth(quantity, price.amount.base(), unit))
        });
        let basis: BTreeMap<Address, I256> = book.basis.iter().map(|(token, units)| (*token, signed(*units))).collect();
        let unrealised = value.as_ref().map_or_else(BTreeMap::new, |value| {
            let worth = BTreeMap::from([(value.currency.address, signed(value.amount.base()))]);
            less(&worth, &basis)
        });
        if let Some(value) = &value {
            totals.add(value.currency.address, |total| &mut total.value, signed(value.amount.base()));
        }
        for (sums, part) in [
            (&basis, Part::Basis),
            (&unrealised, Part::Unrealised),
            (&book.realised, Part::Realised),
            (*rent, Part::Rent),
        ] {
            for (currency, units) in sums {
                totals.add(*currency, part.of(), *units);
            }
        }
        let (nav, nav_source, nav_as_of) = match nav.map(NavView::from) {
            Some(NavView { nav, nav_source, nav_as_of }) => (Some(nav), Some(nav_source), Some(nav_as_of)),
            None => (None, None, None),
        };
        PositionView {
            instrument_id: instrument.instrument_id.clone(),
            token_id: instrument.token_id.clone().map(ID),
            token: Addr(instrument.token),
            name: instrument.name.clone(),
            symbol: instrument.symbol.clone(),
            quantity: text(quantity),
            spendable: text(all(|holding, _| holding.position.spendable())),
            locked: text(all(|holding, _| holding.position.locked())),
            reserved: text(all(|_, reserved| reserved)),
            nav: Worth { nav, nav_source, nav_as_of },
            value: value.as_ref().map(PriceView::of),
            cost_basis: currencies.sums(&basis),
            unrealised_pnl: currencies.sums(&unrealised),
            realised_pnl: currencies.sums(&book.realised),
            rent_received: currencies.sums(rent),
            wallets: holdings
                .iter()
                .filter(|(holding, _)| !holding.position.balance.is_zero())
                .map(|(holding, reserved)| WalletPosition {
                    wallet: Addr(holding.wallet),
                    quantity: text(holding.position.balance),
                    spendable: text(holding.position.spendable()),
                    locked: text(holding.position.locked()),
                    reserved: text(*reserved),
                })
                .collect(),
        }
    }
}

/// One less the other, by currency.
fn less(one: &BTreeMap<Address, I256>, other: &BTreeMap<Address, I256>) -> BTreeMap<Address, I256> {
    let units = |sums: &BTreeMap<Address, I256>, currency: Address| sums.get(&currency).copied().unwrap_or_default();
    let all: BTreeSet<Address> = one.keys().chain(other.keys()).copied().collect();
    all.into_iter().map(|currency| (currency, units(one, currency).saturating_sub(units(other, currency)))).collect()
}

#[derive(Debug, Clone, Copy, Default)]
struct TotalUnits {
    value: I256,
    basis: I256,
    unrealised: I256,
    realised: I256,
    rent: I256,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Basis,
    Unrealised,
    Realised,
    Rent,
}

impl Part {
    fn of(self) -> fn(&mut TotalUnits) -> &mut I256 {
        match self {
            Part::Basis => |total| &mut total.basis,
            Part::Unrealised => |total| &mut total.unrealised,
            Part::Realised => |total| &mut total.realised,
            Part::Rent => |total| &mut total.rent,
        }
    }
}

#[derive(Debug, Default)]
struct Totals(BTreeMap<Address, TotalUnits>);

impl Totals {
    fn add(&mut self, currency: Address, part: fn(&mut TotalUnits) -> &mut I256, units: I256) {
        let sum = part(self.0.entry(currency).or_default());
        *sum = sum.saturating_add(units);
    }

    fn shown(&self, currencies: &Currencies) -> Vec<Total> {
        let total = |(currency, units): (&Address, &TotalUnits)| {
            let sum = |units| currencies.sum(*currency, units);
            let value = sum(units.value);
            Total {
                currency: value.symbol.clone(),
                value,
                cost_basis: sum(units.basis),
                unrealised_pnl: sum(units.unrealised),
                realised_pnl: sum(units.realised),
                rent_received: sum(units.rent),
            }
        };
        self.0.iter().map(total).collect()
    }
}

struct Currencies(Vec<Currency>);

impl Currencies {
    fn sums(&self, sums: &BTreeMap<Address, I256>) -> Vec<Sum> {
        sums.iter().map(|(currency, units)| self.sum(*currency, *units)).collect()
    }

    /// Of a payment token that nobody has registered the smallest units are shown.
    fn sum(&self, address: Address, units: I256) -> Sum {
        let known = self.0.iter().find(|currency| currency.address == address);
        let decimal = known.map_or(0, |currency| currency.decimals);
        let amount = Amount::new(units.unsigned_abs(), decimal);
        Sum {
            id: known.map(|currency| currency.currency_id.clone().into()),
            amount: if units.is_negative() { Number::negative(amount) } else { amount.into() },
            decimal,
            symbol: known.map_or_else(|| address.to_checksum(None), |currency| currency.symbol.clone()),
            address: Addr(address),
        }
    }
}
