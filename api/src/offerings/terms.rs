//! What an issuer may say of an offering, read from a body, and what that is on chain.

use std::ops::RangeInclusive;

use alloy::primitives::{Address, U256};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use tokenx_keeper::ListingTerms;

use crate::http::object::{Object, instant, integer, text, text_of};
use crate::tokens::Currency;
use crate::tokens::draft::{COUNTS, Draft, line};
use crate::tokens::money::{Price, Zero, percentage};

/// What a listing's price fits in, in bits.
const PRICE_BITS: usize = 128;
/// The letters of a description.
const DESCRIPTION: RangeInclusive<usize> = 0..=10_000;

/// Under which exemption from registration it is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Exemption {
    /// Regulation D, rule 506(b).
    #[serde(rename = "506b")]
    Rule506b,
    /// Regulation D, rule 506(c).
    #[serde(rename = "506c")]
    Rule506c,
    /// Regulation S.
    #[serde(rename = "reg_s")]
    RegS,
}

impl Exemption {
    /// Every exemption.
    pub const ALL: [Exemption; 3] = [Exemption::Rule506b, Exemption::Rule506c, Exemption::RegS];

    /// Its name on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Exemption::Rule506b => "506b",
            Exemption::Rule506c => "506c",
            Exemption::RegS => "reg_s",
        }
    }

    /// The exemption of this name.
    ///
    /// # Errors
    /// Which names there are.
    pub fn parse(name: &str) -> Result<Exemption, &'static str> {
        let found = Exemption::ALL.into_iter().find(|exemption| exemption.as_str() == name);
        found.ok_or("value is no exemption: use 506b, 506c or reg_s")
    }
}

/// An offering as its issuer describes it. Quantities are whole tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// What people call it.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Under which exemption it is sold; a draft may leave that open.
    pub exemption: Option<Exemption>,
    /// From when on is sold; `None`: at once.
    #[serde(with = "time::serde::rfc3339::option")]
    pub opens_at: Option<OffsetDateTime>,
    /// From when on is sold no more; `None`: never.
    #[serde(with = "time::serde::rfc3339::option")]
    pub closes_at: Option<OffsetDateTime>,
    /// Of one whole token.
    #[serde(serialize_with = "price")]
    pub price: Price,
    /// Hundredths of a per cent of the maximum supply that are for sale.
    pub salable_bps: u16,
    /// What an investor buys at least.
    pub min_purchase: i64,
    /// What an investor buys at most; `None`: no limit.
    pub max_purchase: Option<i64>,
    /// What may be set aside for fees, at most.
    pub max_fees: i64,
}

impl Terms {
    /// What follows from a token's record, where an offering says nothing.
    pub fn of_token(draft: &Draft) -> Terms {
        let metric = draft.metric.as_ref();
        Terms {
            name: draft.name.clone(),
            description: String::new(),
            exemption: None,
            opens_at: None,
            closes_at: None,
            price: draft.token_price.clone(),
            salable_bps: draft.salable_bps,
            min_purchase: metric.map_or(1, |metric| metric.min_purchase),
            max_purchase: metric.map(|metric| metric.max_purchase),
            max_fees: 0,
        }
    }

    /// What a body is read against whose token is not known, to find what else is wrong with it.
    pub fn of_nothing() -> Terms {
        let none = Currency { currency_id: String::new(), address: Address::ZERO, symbol: String::new(), decimals: 0 };
        Terms {
            name: String::new(),
            description: String::new(),
            exemption: None,
            opens_at: None,
            closes_at: None,
            price: Price::new(none, U256::ONE),
            salable_bps: 0,
            min_purchase: 1,
            max_purchase: None,
            max_fees: 0,
        }
    }

    /// Reads a body; what it does not name stays as it was.
    pub fn read(body: &mut Object, was: &Terms, currencies: &[Currency]) -> Option<Terms> {
        let name = body.read("name", Some(&was.name), line);
        let description = body.read("description", Some(&was.description), text_of(DESCRIPTION));
        let exemption = body.nullable("exemption", Some(&was.exemption), |raw| Exemption::parse(&text(raw)?));
        let opens_at = body.nullable("opens_at", Some(&was.opens_at), second);
        let closes_at = body.nullable("closes_at", Some(&was.closes_at), second);
        let price = body.object("price", Some(&was.price), |price, _| Price::read(price, currencies, Zero::Refused));
        let salable_bps = body.read("salable_percentage", Some(&was.salable_bps), percentage);
        let min_purchase = body.read("min_purchase_quantity", Some(&was.min_purchase), integer(COUNTS));
        let max_purchase = body.nullable("max_purchase_quantity", Some(&was.max_purchase), integer(COUNTS));
        let max_fees = body.read("max_fee_quantity", Some(&was.max_fees), integer(0..=*COUNTS.end()));
        if let (Some(Some(opens)), Some(Some(closes))) = (opens_at, closes_at)
            && opens >= closes
        {
            body.refuse("closes_at", "it closes before it opens");
        }
        if let (Some(min), Some(Some(max))) = (min_purchase, max_purchase)
            && min > max
        {
            body.refuse("max_purchase_quantity", format!("{max} is below the {min} that are bought at least"));
        }
        if let Some(price) = &price
            && price.amount.base().bit_len() > PRICE_BITS
        {
            body.refuse("price", format!("{} is more than a listing can ask", price.amount));
        }
        Some(Terms {
            name: name?,
            description: description?,
            exemption: exemption?,
            opens_at: opens_at?,
            closes_at: closes_at?,
            price: price?,
            salable_bps: salable_bps?,
            min_purchase: min_purchase?,
            max_purchase: max_purchase?,
            max_fees: max_fees?,
        })
    }

    /// Members that stay as they are once it is approved, where the two differ.
    pub fn fixed_by_approval(&self, next: &Terms) -> Vec<&'static str> {
        let fixed = [
            ("exemption", self.exemption == next.exemption),
            ("opens_at", self.opens_at == next.opens_at),
            ("closes_at", self.closes_at == next.closes_at),
            ("price", self.price == next.price),
            ("salable_percentage", self.salable_bps == next.salable_bps),
            ("min_purchase_quantity", self.min_purchase == next.min_purchase),
            ("max_purchase_quantity", self.max_purchase == next.max_purchase),
            ("max_fee_quantity", self.max_fees == next.max_fees),
        ];
        fixed.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }

    /// The same in the listing's words; `unit` is one whole token.
    pub fn on_chain(&self, unit: U256) -> ListingTerms {
        let units = |count: i64| U256::from(count.unsigned_abs()).saturating_mul(unit);
        let second = |time: Option<OffsetDateTime>| time.map_or(0, |time| time.unix_timestamp().unsigned_abs());
        ListingTerms {
            payment_token: self.price.currency.address,
            price: self.price.amount.base(),
            opens_at: second(self.opens_at),
            closes_at: second(self.closes_at),
            min_purchase: units(self.min_purchase),
            max_purchase: self.max_purchase.map_or(U256::ZERO, units),
            max_fees: units(self.max_fees),
            salable_bps: self.salable_bps,
        }
    }

    /// Whole tokens for sale out of so many.
    pub fn listed(&self, max_supply: U256) -> U256 {
        max_supply.saturating_mul(U256::from(self.salable_bps)) / U256::from(10_000)
    }
}

/// A time as the chain keeps it: whole seconds from 1970 on.
fn second(raw: &RawValue) -> Result<OffsetDateTime, String> {
    let time = instant(raw)?;
    if time.unix_timestamp() <= 0 {
        return Err(format!("the year {} is out of range", time.year()));
    }
    Ok(time.replace_millisecond(0).unwrap_or(time))
}

fn price<S: Serializer>(price: &Price, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} {}", price.amount, price.currency.currency_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        let currency =
            Currency { currency_id: "c".into(), address: Address::repeat_byte(7), symbol: "USDT".into(), decimals: 6 };
        Terms {
            name: "Series A".into(),
            description: String::new(),
            exemption: None,
            opens_at: None,
            closes_at: None,
            price: Price::new(currency, U256::from(30_000_000)),
            salable_bps: 8_000,
            min_purchase: 1,
            max_purchase: Some(100),
            max_fees: 0,
        }
    }

    fn read(body: &str) -> Result<Terms, Vec<String>> {
        let was = terms();
        let mut object = Object::parse(body.as_bytes()).unwrap();
        let read = Terms::read(&mut object, &was, std::slice::from_ref(&was.price.currency));
        let errors: Vec<String> = object.errors().into_iter().map(|error| error.loc[1..].join(".")).collect();
        if errors.is_empty() { Ok(read.unwrap()) } else { Err(errors) }
    }

    #[test]
    fn what_a_body_does_not_name_stays_and_every_bad_member_is_named() {
        assert_eq!(read("{}"), Ok(terms()));
        let bad = r#"{"name": "", "exemption": "506a", "opens_at": "soon", "closes_at": "1969-01-01T00:00:00Z",
            "price": {"id": "x", "amount": 0}, "salable_percentage": 101, "min_purchase_quantity": 0,
            "max_purchase_quantity": 1.5, "max_fee_quantity": -1, "state": "approved"}"#;
        let named = [
            "name",
            "exemption",
            "opens_at",
            "closes_at",
            "price.id",
            "price.amount",
            "salable_percentage",
            "min_purchase_quantity",
            "max_purchase_quantity",
            "max_fee_quantity",
            "state",
        ];
        assert_eq!(read(bad), Err(named.map(str::to_owned).to_vec()));
        let contradicts = r#"{"opens_at": "2030-01-02T00:00:00Z", "closes_at": "2030-01-02T00:00:00.9Z",
            "min_purchase_quantity": 101}"#;
        assert_eq!(read(contradicts), Err(vec!["closes_at".to_owned(), "max_purchase_quantity".to_owned()]));
    }

    #[test]
    fn on_chain_quantities_are_base_units_and_times_seconds_and_nothing_is_no_limit() {
        let read = read(r#"{"opens_at": "2030-01-01T00:00:00.5Z", "max_purchase_quantity": null}"#).unwrap();
        let unit = U256::from(10).pow(U256::from(18));
        let on_chain = read.on_chain(unit);
        assert_eq!((on_chain.opens_at, on_chain.closes_at), (1_893_456_000, 0));
        assert_eq!((on_chain.min_purchase, on_chain.max_purchase, on_chain.max_fees), (unit, U256::ZERO, U256::ZERO));
        assert_eq!((on_chain.price, on_chain.salable_bps), (U256::from(30_000_000), 8_000));
        assert_eq!(read.listed(U256::from(999)), U256::from(799));
    }

    #[test]
    fn approval_fixes_all_but_the_words() {
        let words = Terms { name: "Series B".into(), description: "another".into(), ..terms() };
        assert_eq!(terms().fixed_by_approval(&words), [""; 0]);
        let dearer = Terms { price: Price::new(terms().price.currency, U256::from(1)), max_purchase: None, ..terms() };
        assert_eq!(terms().fixed_by_approval(&dearer), ["price", "max_purchase_quantity"]);
    }
}
