//! The record of a new token: a file, and flags over it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::cli::remote;

/// Members of an object; what is not looked at keeps its digits.
type Members = BTreeMap<String, Box<RawValue>>;

/// `tokenx token create`.
#[derive(Debug, Default, Args)]
pub(super) struct Fields {
    /// The record as JSON; `-` reads it from standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The node that is to deploy it
    #[arg(long, value_name = "ID")]
    node: Option<String>,
    /// Its category
    #[arg(long, value_name = "ID")]
    category: Option<String>,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// What it is
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The contract's name; --name if neither flag nor file says one
    #[arg(long, value_name = "NAME")]
    token_name: Option<String>,
    /// The contract's symbol
    #[arg(long)]
    symbol: Option<String>,
    /// The instrument's id, for ever; the symbol if not said
    #[arg(long, value_name = "ID")]
    instrument: Option<String>,
    /// The contract's decimals; 18 if not said
    #[arg(long)]
    decimals: Option<u8>,
    /// Whole tokens that there can ever be
    #[arg(long, value_name = "TOKENS")]
    max_supply: Option<String>,
    /// Price of a whole token
    #[arg(long, value_name = "AMOUNT")]
    price: Option<String>,
    /// What all of it is worth
    #[arg(long, value_name = "AMOUNT")]
    total_value: Option<String>,
    /// The currency of both, from `tokenx admin currency list`
    #[arg(long, value_name = "ID")]
    currency: Option<String>,
    /// How much of it is for sale, in per cent
    #[arg(long, value_name = "PERCENT")]
    salable: Option<String>,
    /// Anyone may see it
    #[arg(long)]
    public: bool,
}

impl Fields {
    /// The body to send. A file alone goes as it is; what the API requires and nobody named, it asks for itself.
    pub(super) fn body(&self) -> Result<String> {
        let text = self.file.as_deref().map(remote::read).transpose()?;
        self.over(text)
    }

    fn over(&self, text: Option<String>) -> Result<String> {
        let mut record = match text {
            Some(text) if self.is_silent() => return Ok(text),
            Some(text) => {
                serde_json::from_str(&text).context("the record is no JSON object, which flags could go over")?
            }
            None => plain()?,
        };
        let value = object(&record, "value")?;
        let value = self.value(value)?;
        if !value.is_empty() {
            set(&mut record, "value", Some(value))?;
        }
        if !record.contains_key("token_name") {
            set(&mut record, "token_name", self.name.as_ref())?;
        }
        let texts = [
            ("node_id", &self.node),
            ("category_id", &self.category),
            ("name", &self.name),
            ("description", &self.description),
            ("token_name", &self.token_name),
            ("token_symbol", &self.symbol),
            ("instrument_id", &self.instrument),
        ];
        for (name, text) in texts {
            set(&mut record, name, text.as_ref())?;
        }
        set(&mut record, "decimals", self.decimals)?;
        set(&mut record, "is_public", self.public.then_some(true))?;
        Ok(serde_json::to_string(&record)?)
    }

    fn value(&self, mut value: Members) -> Result<Members> {
        for (name, amount) in [("token_price", &self.price), ("total_value", &self.total_value)] {
            let mut price = object(&value, name)?;
            // Amounts as text, which the API reads digit by digit.
            set(&mut price, "amount", amount.as_ref())?;
            set(&mut price, "id", self.currency.as_ref())?;
            if !price.is_empty() {
                set(&mut value, name, Some(price))?;
            }
        }
        set(&mut value, "salable_percentage", self.salable.as_ref())?;
        set(&mut value, "max_supply", self.max_supply.as_ref())?;
        Ok(value)
    }

    /// Whether no flag says anything of the record.
    fn is_silent(&self) -> bool {
        let Self { file: _, node, category, name, description, token_name, symbol, instrument, .. } = self;
        let Self { decimals, max_supply, price, total_value, currency, salable, public, .. } = self;
        let texts = [node, category, name, description, token_name, symbol, instrument, max_supply, price, total_value];
        texts.into_iter().chain([currency, salable]).all(Option::is_none) && decimals.is_none() && !public
    }
}

/// What a record without a file says of what has no flag.
fn plain() -> Result<Members> {
    let mut record = Members::new();
    set(&mut record, "type", Some(0))?;
    set(&mut record, "description", Some(""))?;
    for name in ["is_public", "is_open_to_secondary_market", "is_open_to_otc"] {
        set(&mut record, name, Some(false))?;
    }
    Ok(record)
}

fn object(members: &Members, name: &str) -> Result<Members> {
    let Some(raw) = members.get(name) else { return Ok(Members::new()) };
    serde_json::from_str(raw.get()).with_context(|| format!("{name} is no JSON object, which flags could go over"))
}

fn set(members: &mut Members, name: &str, value: Option<impl Serialize>) -> Result<()> {
    if let Some(value) = value {
        members.insert(name.to_owned(), to_raw_value(&value)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fields(flags: &[&str]) -> Fields {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            fields: Fields,
        }
        <Line as clap::Parser>::try_parse_from([&["create"], flags].concat()).unwrap().fields
    }

    #[test]
    fn a_file_alone_is_sent_as_it_is() {
        let text = "{ \"a\": 1e400,\n \"a\": 2 }".to_owned();
        assert_eq!(fields(&["--file", "-"]).over(Some(text.clone())).unwrap(), text);
    }

    #[test]
    fn a_flag_goes_over_the_file_and_the_digits_of_the_rest_stay() {
        let file = r#"{"name":"old","value":{"max_supply":115792089237316195423570985008687907853269984665640564039457584007913129639935,
            "token_price":{"id":"c","amount":0.10000000000000000001}}}"#;
        let body = fields(&["--name", "new", "--price", "30.5", "--public"]).over(Some(file.to_owned())).unwrap();
        assert!(
            body.contains("115792089237316195423570985008687907853269984665640564039457584007913129639935"),
            "{body}"
        );
        let flags = fields(&["--name", "new", "--max-supply", "7"]).over(Some(file.to_owned())).unwrap();
        assert!(flags.contains(r#"{"amount":0.10000000000000000001,"id":"c"}"#), "{flags}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["name"], &body["is_public"]), (&json!("new"), &json!(true)));
        assert_eq!(body["value"]["token_price"], json!({ "id": "c", "amount": "30.5" }));
    }

    #[test]
    fn flags_alone_make_a_whole_record() {
        let flags = ["--node", "n", "--category", "c", "--name", "House", "--symbol", "HHS", "--max-supply", "1000"];
        let prices = ["--price", "30", "--total-value", "30000", "--salable", "80", "--currency", "usd"];
        let body = fields(&[&flags[..], &prices].concat()).over(None).unwrap();
        let expected = json!({
            "node_id": "n", "category_id": "c", "type": 0, "is_public": false, "name": "House", "description": "",
            "token_name": "House", "token_symbol": "HHS", "is_open_to_secondary_market": false, "is_open_to_otc": false,
            "value": {
                "token_price": { "id": "usd", "amount": "30" },
                "total_value": { "id": "usd", "amount": "30000" },
                "salable_percentage": "80", "max_supply": "1000",
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    }
}
