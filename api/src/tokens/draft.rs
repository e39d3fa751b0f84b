//! What an issuer may say of a token, read from a body: the whole for a new one, any part of it for one that is there.

use std::ops::RangeInclusive;

use alloy::primitives::U256;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tokenx_contracts::amount::Amount;
use tokenx_contracts::ids::InstrumentId;

use super::money::{Currency, Price, Zero, amount, count, percentage};
use crate::http::object::{Object, boolean, instant, integer, text, text_of};
use crate::object_id;

/// Decimals of a token that says nothing of them.
const DECIMALS: u8 = 18;
/// Bits of the largest supply that a token's contract holds, in base units.
const SUPPLY_BITS: usize = 104;
/// Bytes of its contract's name, and of its symbol, at most.
const NAME: usize = 128;
const SYMBOL: usize = 32;
/// Counts of whole tokens within a record; what every JSON reader reads exactly.
pub(crate) const COUNTS: RangeInclusive<i64> = 1..=(1 << 53) - 1;
/// A century, in months and in days.
const MONTHS: RangeInclusive<i64> = 1..=1_200;
const DAYS: RangeInclusive<i64> = 1..=36_525;

/// A token as its issuer describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// The node that it belongs to.
    pub node_id: String,
    /// What it is called once deployed.
    pub instrument_id: InstrumentId,
    /// Which category it is in.
    pub category_id: String,
    /// 0 = standard, 1 = special.
    pub kind: i16,
    /// Whether anyone may see its images.
    pub is_public: bool,
    /// What people call it.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Its contract's name.
    pub token_name: String,
    /// Its contract's symbol.
    pub token_symbol: String,
    /// Its contract's decimals.
    pub decimals: u8,
    /// Where its price comes from.
    pub oracle: Option<Oracle>,
    /// Of one whole token.
    #[serde(serialize_with = "price")]
    pub token_price: Price,
    /// Its issuer's valuation of all of it.
    #[serde(serialize_with = "price")]
    pub total_value: Price,
    /// Hundredths of a per cent that are for sale.
    pub salable_bps: u16,
    /// Whole tokens that may ever exist.
    #[serde(serialize_with = "digits")]
    pub max_supply: U256,
    /// Its term and its rent.
    pub metric: Option<Metric>,
    /// Whether it may be traded on the node's market.
    pub is_open_to_secondary_market: bool,
    /// Whether it may be traded between two parties.
    pub is_open_to_otc: bool,
    /// Prices that the market takes.
    pub secondary_market: Option<Band>,
    /// How another system distributes it.
    pub distribution_token: Option<Distribution>,
}

/// A source of prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Oracle {
    /// Its id.
    pub id: String,
    /// Its name for the price.
    pub code: String,
}

/// Term, purchases and rent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// How long it runs.
    pub term_months: Option<i32>,
    /// Whole tokens that an investor buys at least.
    pub min_purchase: i64,
    /// Whole tokens that an investor buys at most.
    pub max_purchase: i64,
    /// Whole tokens from which on a holder gets rent.
    pub min_rental_holding: i64,
    /// Of all tokens together, a period.
    #[serde(serialize_with = "price")]
    pub rental_income: Price,
    /// A period.
    pub rental_period_days: i32,
    /// Start of the first period.
    #[serde(with = "time::serde::rfc3339::option")]
    pub rental_starts_at: Option<OffsetDateTime>,
    /// When it is to be listed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub listing_at: Option<OffsetDateTime>,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

/// Prices of one whole token, in the currency of its price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Band {
    /// At least.
    pub min: Option<Amount>,
    /// At most.
    pub max: Option<Amount>,
}

/// A token's place in another system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// Its id there, as the platform knows it.
    pub id: String,
    /// What it is called there.
    pub external_id: String,
    /// 1 to 100, the lowest first.
    pub priority: i16,
    /// 1 = Gen, 2 = Brickken.
    pub agent: i16,
}

impl Draft {
    /// Reads a body. `was` is the token as it is; what the body does not name stays so.
    pub fn read(body: &mut Object, was: Option<&Draft>, currencies: &[Currency]) -> Option<Draft> {
        let token_symbol = body.read("token_symbol", was.map(|was| &was.token_symbol), |raw| short(word(raw)?, SYMBOL));
        let default_id = token_symbol.as_ref().and_then(|symbol| InstrumentId::parse(symbol.as_str()).ok());
        let instrument_id = match was {
            Some(was) => body.read("instrument_id", Some(&was.instrument_id), instrument),
            None => body.read("instrument_id", default_id.as_ref(), instrument),
        };
        let decimals = body.read("decimals", Some(was.map_or(&DECIMALS, |was| &was.decimals)), integer(0..=18));
        let node_id = body.read("node_id", was.map(|was| &was.node_id), |raw| {
            let id = text(raw).map_err(str::to_owned)?;
            if object_id::is_valid(&id) {
                Ok(id)
            } else {
                Err("value is not the id of a node: 24 hex digits".to_owned())
            }
        });
        let category_id = body.read("category_id", was.map(|was| &was.category_id), word);
        let kind = body.read("type", was.map(|was| &was.kind), integer(0..=1));
        let is_public = body.read("is_public", was.map(|was| &was.is_public), boolean);
        let name = body.read("name", was.map(|was| &was.name), line);
        let description = body.read("description", was.map(|was| &was.description), text_of(0..=10_000));
        let token_name = body.read("token_name", was.map(|was| &was.token_name), |raw| short(line(raw)?, NAME));
        let oracle = body.nullable_object("oracle", was.map(|was| &was.oracle), |oracle, was| {
            let id = oracle.read("id", was.map(|was| &was.id), word);
            let code = oracle.read("code", was.map(|was| &was.code), word);
            Some(Oracle { id: id?, code: code? })
        });
        let value = body.object("value", was.map(Value::of).as_ref(), |value, was| Value::read(value, was, currencies));
        let metric = body
            .nullable_object("metric", was.map(|was| &was.metric), |metric, was| Metric::read(metric, was, currencies));
        let open = body.read("is_open_to_secondary_market", was.map(|was| &was.is_open_to_secondary_market), boolean);
        let is_open_to_otc = body.read("is_open_to_otc", was.map(|was| &was.is_open_to_otc), boolean);
        let unit = value.as_ref().map(|value| value.token_price.currency.decimals);
        let band = body.nullable_object("secondary_market", was.map(|was| &was.secondary_market), |band, was| {
            Band::read(band, was, unit)
        });
        let distribution =
            body.nullable_object("distribution_token", was.map(|was| &was.distribution_token), |to, was| {
                Distribution::read(to, was)
            });
        let value = value?;
        let draft = Draft {
            node_id: node_id?,
            instrument_id: instrument_id?,
            category_id: category_id?,
            kind: kind?,
            is_public: is_public?,
            name: name?,
            description: description?,
            token_name: token_name?,
            token_symbol: token_symbol?,
            decimals: decimals?,
            oracle: oracle?,
            token_price: value.token_price,
            total_value: value.total_value,
            salable_bps: value.salable_bps,
            max_supply: value.max_supply,
            metric: metric?,
            is_open_to_secondary_market: open?,
            is_open_to_otc: is_open_to_otc?,
            secondary_market: band?,
            distribution_token: distribution?,
        };
        draft.agrees(body).then_some(draft)
    }

    /// What no member says alone.
    fn agrees(&self, body: &mut Object) -> bool {
        let unit = U256::from(10).pow(U256::from(self.decimals));
        let fits = self.max_supply.checked_mul(unit).is_some_and(|units| units.bit_len() <= SUPPLY_BITS);
        if !fits {
            let message = format!("{} is too large with {} decimals", self.max_supply, self.decimals);
            body.refuse("value.max_supply", message);
        }
        // A band is written in the currency of the price: another price with other decimals needs another band.
        let band = self.secondary_market.iter().flat_map(|band| [band.min, band.max]).flatten();
        let same = band.into_iter().all(|price| price.decimals() == self.token_price.currency.decimals);
        if !same {
            body.refuse("secondary_market", "the currency has other decimals: say the prices again");
        }
        fits && same
    }

    /// Members that the contract carries and that stay as they are once it is deployed, where the two differ.
    pub fn fixed_by_deployment(&self, next: &Draft) -> Vec<&'static str> {
        let fixed = [
            ("node_id", self.node_id == next.node_id),
            ("instrument_id", self.instrument_id == next.instrument_id),
            ("token_name", self.token_name == next.token_name),
            ("token_symbol", self.token_symbol == next.token_symbol),
            ("decimals", self.decimals == next.decimals),
            ("value.max_supply", self.max_supply == next.max_supply),
        ];
        fixed.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}

/// The group `value`: what is written of it.
#[derive(Clone)]
struct Value {
    token_price: Price,
    total_value: Price,
    salable_bps: u16,
    max_supply: U256,
}

impl Value {
    fn of(draft: &Draft) -> Value {
        let Draft { token_price, total_value, salable_bps, max_supply, .. } = draft.clone();
        Value { token_price, total_value, salable_bps, max_supply }
    }

    fn read(value: &mut Object, was: Option<&Value>, currencies: &[Currency]) -> Option<Value> {
        let token_price = value.object("token_price", was.map(|was| &was.token_price), |price, _| {
            Price::read(price, currencies, Zero::Refused)
        });
        let total_value = value.object("total_value", was.map(|was| &was.total_value), |price, _| {
            Price::read(price, currencies, Zero::Allowed)
        });
        let salable_bps = value.read("salable_percentage", was.map(|was| &was.salable_bps), percentage);
        let max_supply = value.read("max_supply", was.map(|was| &was.max_supply), count);
        Some(Value {
            token_price: token_price?,
            total_value: total_value?,
            salable_bps: salable_bps?,
            max_supply: max_supply?,
        })
    }
}

impl Metric {
    fn read(metric: &mut Object, was: Option<&Metric>, currencies: &[Currency]) -> Option<Metric> {
        let term_months = metric.nullable("term_duration_in_months", was.map(|was| &was.term_months), integer(MONTHS));
        let min_purchase = metric.read("min_purchase_quantity", was.map(|was| &was.min_purchase), integer(COUNTS));
        let max_purchase = metric.read("max_purchase_quantity", was.map(|was| &was.max_purchase), integer(COUNTS));
        let least = metric.read(
            "min_tokens_required_for_rental_income",
            was.map(|was| &was.min_rental_holding),
            integer(0..=*COUNTS.end()),
        );
        let rental_income = metric.object("rental_income", was.map(|was| &was.rental_income), |price, _| {
            Price::read(price, currencies, Zero::Allowed)
        });
        let days = metric.read("rental_payment_period_in_days", was.map(|was| &was.rental_period_days), integer(DAYS));
        let starts = metric.nullable("rental_payment_start_date", was.map(|was| &was.rental_starts_at), instant);
        let listing_at = metric.nullable("listing_date", was.map(|was| &was.listing_at), instant);
        let expires_at = metric.nullable("expiration_date", was.map(|was| &was.expires_at), instant);
        if let (Some(min), Some(max)) = (min_purchase, max_purchase)
            && min > max
        {
            metric.refuse("max_purchase_quantity", format!("{max} is below the {min} that are bought at least"));
        }
        if let (Some(Some(listing)), Some(Some(end))) = (listing_at, expires_at)
            && listing >= end
        {
            metric.refuse("expiration_date", "it ends before it is listed");
        }
        Some(Metric {
            term_months: term_months?,
            min_purchase: min_purchase?,
            max_purchase: max_purchase?,
            min_rental_holding: least?,
            rental_income: rental_income?,
            rental_period_days: days?,
            rental_starts_at: starts?,
            listing_at: listing_at?,
            expires_at: expires_at?,
        })
    }
}

impl Band {
    fn read(band: &mut Object, was: Option<&Band>, unit: Option<u8>) -> Option<Band> {
        let price = |raw: &RawValue| amount(raw, unit, Zero::Refused);
        let min = band.nullable("min_sell_price", was.map(|was| &was.min), price);
        let max = band.nullable("max_sell_price", was.map(|was| &was.max), price);
        if let (Some(Some(min)), Some(Some(max))) = (min, max)
            && min.base() > max.base()
        {
            band.refuse("max_sell_price", format!("{max} is below the {min} that is asked at least"));
        }
        Some(Band { min: min?, max: max? })
    }
}

impl Distribution {
    fn read(to: &mut Object, was: Option<&Distribution>) -> Option<Distribution> {
        let id = to.read("id", was.map(|was| &was.id), word);
        let external_id = to.read("external_id", was.map(|was| &was.external_id), word);
        let priority = to.read("priority", was.map(|was| &was.priority), integer(1..=100));
        let agent = to.read("agent", was.map(|was| &was.agent), integer(1..=2));
        Some(Distribution { id: id?, external_id: external_id?, priority: priority?, agent: agent? })
    }
}

fn instrument(raw: &RawValue) -> Result<InstrumentId, String> {
    InstrumentId::parse(text(raw)?).map_err(|error| error.to_string())
}

/// Ids, codes and symbols.
fn word(raw: &RawValue) -> Result<String, String> {
    let word = text_of(1..=64)(raw)?;
    if word.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("{word:?} has a space or an unprintable character"));
    }
    Ok(word)
}

/// Names: something to read, on one line.
pub(crate) fn line(raw: &RawValue) -> Result<String, String> {
    let line = text_of(1..=200)(raw)?;
    if line.chars().any(char::is_control) || line.trim() != line {
        return Err(format!("{line:?} has an unprintable character, or space around it"));
    }
    Ok(line)
}

fn short(text: String, most: usize) -> Result<String, String> {
    if text.len() <= most { Ok(text) } else { Err(format!("{text:?} is longer than {most} bytes")) }
}

fn price<S: Serializer>(price: &Price, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} {}", price.amount, price.currency.currency_id))
}

fn digits<S: Serializer>(number: &U256, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}
