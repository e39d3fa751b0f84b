//! What a whole token is worth: the newest price that its issuer, a transfer agent or an oracle has said, else the price of
//! its record; never the last trade.

use std::collections::HashMap;

use async_graphql::SimpleObject;
use serde::Serialize;
use sqlx::{FromRow, PgExecutor};
use time::OffsetDateTime;
use tokenx_migrations::{Addr, Uint256};
use utoipa::ToSchema;

use super::details::PriceView;
use super::money::{Currency, Price};
use crate::graphql::scalars::Time;

/// What a whole token is worth, who says so, and as of when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nav {
    /// Of one whole token.
    pub price: Price,
    /// Who or what says so; `token_price`: its record.
    pub source: String,
    /// When it was worth that.
    pub as_of: OffsetDateTime,
}

/// The same as it is answered.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
pub struct NavView {
    /// Of one whole token.
    pub(crate) nav: PriceView,
    /// Who or what says so; token_price: the token's record.
    pub(crate) nav_source: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) nav_as_of: Time,
}

impl From<&Nav> for NavView {
    fn from(nav: &Nav) -> NavView {
        NavView { nav: PriceView::of(&nav.price), nav_source: nav.source.clone(), nav_as_of: Time(nav.as_of) }
    }
}

/// What each of these tokens is worth now, by its id.
///
/// # Errors
/// The database's.
pub async fn of_tokens(db: impl PgExecutor<'_>, token_ids: &[&str]) -> Result<HashMap<String, Nav>, sqlx::Error> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM token_navs WHERE token_id = ANY ($1)").bind(token_ids).fetch_all(db).await?;
    Ok(rows.into_iter().map(Row::read).collect())
}

#[derive(FromRow)]
struct Row {
    token_id: String,
    nav: Uint256,
    nav_source: String,
    nav_as_of: OffsetDateTime,
    currency_id: String,
    address: Addr,
    symbol: String,
    decimals: i16,
}

impl Row {
    fn read(self) -> (String, Nav) {
        let currency = Currency {
            currency_id: self.currency_id,
            address: self.address.0,
            symbol: self.symbol,
            // The column's CHECK keeps it within a byte.
            decimals: u8::try_from(self.decimals).unwrap_or(u8::MAX),
        };
        let price = Price::new(currency, self.nav.0);
        (self.token_id, Nav { price, source: self.nav_source, as_of: self.nav_as_of })
    }
}
