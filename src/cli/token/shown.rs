//! A token as a person reads it. Figures keep the API's own digits: none becomes a float.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokenx_api::tokens::status::Status;

/// What is shown of a token's object.
#[derive(Debug, Deserialize)]
pub(super) struct Shown<'a> {
    pub(super) id: String,
    node_id: String,
    status: u8,
    is_public: bool,
    name: String,
    token_name: String,
    token_symbol: String,
    contract: Option<Contract>,
    #[serde(borrow)]
    value: Figures<'a>,
    created_at: String,
    updated_at: String,
}

#[derive(Debug, Deserialize)]
struct Contract {
    address: String,
    tx_hash: String,
}

#[derive(Debug, Deserialize)]
struct Figures<'a> {
    #[serde(borrow)]
    token_price: Price<'a>,
    #[serde(borrow)]
    total_value: Price<'a>,
    salable_percentage: &'a RawValue,
    max_supply: &'a RawValue,
    listed_supply: &'a RawValue,
    purchased_supply: &'a RawValue,
    sold_supply: &'a RawValue,
    total_fee_supply: &'a RawValue,
}

#[derive(Debug, Deserialize)]
struct Price<'a> {
    #[serde(borrow)]
    amount: &'a RawValue,
    symbol: String,
}

impl Price<'_> {
    fn text(&self) -> String {
        format!("{} {}", self.amount, self.symbol)
    }
}

impl<'a> Shown<'a> {
    pub(super) fn read(body: &'a str) -> Result<Self> {
        serde_json::from_str(body).context("the API answered something else than a token: is it another version?")
    }

    fn status(&self) -> String {
        let named = Status::ALL.into_iter().find(|status| status.code() == self.status);
        named.map_or_else(|| self.status.to_string(), |status| status.name().to_owned())
    }

    /// All of it, a line each.
    pub(super) fn pairs(self) -> Vec<(String, String)> {
        let status = self.status();
        let Self { value, contract, .. } = self;
        let (address, transaction) = contract.map(|contract| (contract.address, contract.tx_hash)).unzip();
        let pairs = [
            ("token", Some(self.id)),
            ("symbol", Some(self.token_symbol)),
            ("status", Some(status)),
            ("name", Some(self.name)),
            ("token name", Some(self.token_name)),
            ("public", Some(if self.is_public { "yes" } else { "no" }.to_owned())),
            ("node", Some(self.node_id)),
            ("contract", address),
            ("deployed by", transaction),
            ("price", Some(value.token_price.text())),
            ("total value", Some(value.total_value.text())),
            ("maximum supply", Some(value.max_supply.to_string())),
            ("salable", Some(format!("{} %", value.salable_percentage))),
            ("listed", Some(value.listed_supply.to_string())),
            ("sold", Some(value.sold_supply.to_string())),
            ("purchased", Some(value.purchased_supply.to_string())),
            ("for fees", Some(value.total_fee_supply.to_string())),
            ("made", Some(self.created_at)),
            ("changed", Some(self.updated_at)),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// One of a list, in columns.
    pub(super) fn row(&self) -> Vec<(String, String)> {
        let address = self.contract.as_ref().map_or("-", |contract| &contract.address);
        let cells = [
            ("token", self.id.clone()),
            ("symbol", self.token_symbol.clone()),
            ("status", self.status()),
            ("price", self.value.token_price.text()),
            ("maximum supply", self.value.max_supply.to_string()),
            ("contract", address.to_owned()),
            ("name", self.name.clone()),
        ];
        cells.map(|(name, value)| (name.to_owned(), value)).into()
    }
}
