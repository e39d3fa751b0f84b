//! The token as the token-details text shows it: these fields, of these types, in this nesting, and no others.

use alloy::primitives::{Address, U256};
use async_graphql::{ID, SimpleObject};
use serde::Serialize;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use tokenx_contracts::amount::Amount;
use tokenx_indexer::read::NodeContracts;
use utoipa::ToSchema;

use super::draft::{Band, Metric};
use super::facts::{Deployment, Facts};
use super::money::{Number, Price};
use super::record::Record;
use super::status::Status;
use crate::graphql::scalars::Addr;

/// A token.
#[derive(Debug, Serialize, ToSchema)]
pub struct Token {
    #[schema(example = "67d8774e903bfcbe7eb5d93e")]
    id: String,
    category_id: String,
    node_id: String,
    /// 0 = standard, 1 = special.
    #[schema(minimum = 0, maximum = 1)]
    r#type: i16,
    /// 1 draft, 2 in progress, 3 error, 4 not listed, 5 delisted, 6 listed, 7 passive, 8 burn.
    #[schema(minimum = 1, maximum = 8)]
    status: u8,
    is_public: bool,
    name: String,
    description: String,
    token_name: String,
    token_symbol: String,
    #[schema(required)]
    oracle: Option<OracleView>,
    meta: Meta,
    #[schema(required)]
    contract: Option<ContractView>,
    value: ValueView,
    #[schema(required)]
    metric: Option<MetricView>,
    is_open_to_secondary_market: bool,
    is_open_to_otc: bool,
    #[schema(required)]
    secondary_market: Option<BandView>,
    #[schema(required)]
    distribution_token: Option<DistributionView>,
    #[schema(required)]
    fee: Option<FeeView>,
    #[schema(required)]
    node_contract: Option<NodeContractView>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[schema(required, format = DateTime)]
    deleted_at: Option<String>,
}

/// Where its price comes from.
#[derive(Debug, Serialize, ToSchema)]
pub struct OracleView {
    id: String,
    code: String,
}

/// Its files, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Meta {
    pub(super) images: Vec<ImageView>,
    pub(super) documents: Vec<DocumentView>,
}

/// An image.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImageView {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) is_default: bool,
    /// SHA-256, hexadecimal.
    pub(super) hash: String,
    #[schema(format = DateTime)]
    pub(super) created_at: String,
    #[schema(required, format = DateTime)]
    pub(super) deleted_at: Option<String>,
}

/// A document.
#[derive(Debug, Serialize, ToSchema)]
pub struct DocumentView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) url: String,
    /// 1 = standard.
    pub(super) r#type: i16,
    /// SHA-256, hexadecimal.
    pub(super) hash: String,
    #[schema(format = DateTime)]
    pub(super) created_at: String,
    #[schema(required, format = DateTime)]
    pub(super) deleted_at: Option<String>,
}

/// Its contract.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContractView {
    address: String,
    tx_hash: String,
}

/// Its value and its supply, in whole tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct ValueView {
    token_price: PriceView,
    total_value: PriceView,
    #[schema(schema_with = crate::openapi::number)]
    salable_percentage: Number,
    salable_value: PriceView,
    #[schema(schema_with = crate::openapi::integer)]
    max_supply: Number,
    #[schema(schema_with = crate::openapi::integer)]
    purchased_supply: Number,
    #[schema(schema_with = crate::openapi::integer)]
    listed_supply: Number,
    #[schema(schema_with = crate::openapi::integer)]
    sold_supply: Number,
    #[schema(schema_with = crate::openapi::integer)]
    total_fee_supply: Number,
}

/// A sum of a currency.
#[derive(Debug, Serialize, SimpleObject, ToSchema)]
#[graphql(name = "Money")]
pub struct PriceView {
    #[schema(value_type = String)]
    id: ID,
    /// Whole units of the currency, exact.
    #[schema(schema_with = crate::openapi::number)]
    amount: Number,
    decimal: u8,
    symbol: String,
    #[schema(value_type = String)]
    address: Addr,
}

/// Its term and its rent.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricView {
    #[schema(required)]
    term_duration_in_months: Option<i32>,
    min_purchase_quantity: i64,
    max_purchase_quantity: i64,
    min_tokens_required_for_rental_income: i64,
    rental_income: PriceView,
    rental_payment_period_in_days: i32,
    #[schema(required, format = DateTime)]
    rental_payment_start_date: Option<String>,
    #[schema(required, format = DateTime)]
    listing_date: Option<String>,
    #[schema(required, format = DateTime)]
    expiration_date: Option<String>,
}

/// Prices that the market takes.
#[derive(Debug, Serialize, ToSchema)]
pub struct BandView {
    #[schema(required, schema_with = crate::openapi::nullable_number)]
    min_sell_price: Option<Number>,
    #[schema(required, schema_with = crate::openapi::nullable_number)]
    max_sell_price: Option<Number>,
}

/// How another system distributes it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DistributionView {
    id: String,
    external_id: String,
    #[schema(minimum = 1, maximum = 100)]
    priority: i16,
    /// 1 = Gen, 2 = Brickken.
    agent: i16,
}

/// Whole tokens that each party has been given of the fee supply.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeeView {
    #[schema(schema_with = crate::openapi::integer)]
    platform_owner_amount: Number,
    #[schema(schema_with = crate::openapi::integer)]
    node_owner_amount: Number,
    #[schema(schema_with = crate::openapi::integer)]
    node_amount: Number,
}

/// The contracts of its node.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeContractView {
    #[schema(required)]
    listing_contract_address: Option<String>,
    #[schema(required)]
    rent_contract_address: Option<String>,
    #[schema(required)]
    burn_contract_address: Option<String>,
    #[schema(required)]
    fee_contract_address: Option<String>,
    #[schema(required)]
    secondary_contract_address: Option<String>,
    #[schema(required)]
    otc_contract_address: Option<String>,
}

impl Token {
    /// A record with what the chain says of it, and its files.
    pub fn of(record: Record, facts: &Facts, meta: Meta) -> Token {
        let (created_at, updated_at) = (timestamp(record.created_at), timestamp(record.updated_at));
        let status = Status::of(facts);
        let value = ValueView::of(&record, facts);
        let draft = record.draft;
        Token {
            id: record.token_id,
            category_id: draft.category_id,
            node_id: draft.node_id,
            r#type: draft.kind,
            status: status.code(),
            is_public: draft.is_public,
            name: draft.name,
            description: draft.description,
            token_name: draft.token_name,
            token_symbol: draft.token_symbol,
            oracle: draft.oracle.map(|oracle| OracleView { id: oracle.id, code: oracle.code }),
            meta,
            contract: facts.deployment.and_then(|deployed| {
                let tx_hash = format!("{:#x}", deployed.tx_hash?);
                Some(ContractView { address: address(deployed.token), tx_hash })
            }),
            value,
            metric: draft.metric.as_ref().map(MetricView::of),
            is_open_to_secondary_market: draft.is_open_to_secondary_market,
            is_open_to_otc: draft.is_open_to_otc,
            secondary_market: draft.secondary_market.as_ref().map(BandView::of),
            distribution_token: draft.distribution_token.map(|to| DistributionView {
                id: to.id,
                external_id: to.external_id,
                priority: to.priority,
                agent: to.agent,
            }),
            fee: facts.deployment.as_ref().and_then(FeeView::of),
            node_contract: facts.node.as_ref().map(|node| NodeContractView::of(&node.contracts)),
            created_at,
            updated_at,
            deleted_at: None,
        }
    }
}

impl ValueView {
    fn of(record: &Record, facts: &Facts) -> ValueView {
        let draft = &record.draft;
        let deployed = facts.deployment.as_ref();
        let max_supply = deployed.map_or(draft.max_supply, |deployed| deployed.max_supply / deployed.unit);
        let planned = max_supply * U256::from(draft.salable_bps) / U256::from(10_000);
        let whole = |units: U256| deployed.map_or(U256::ZERO, |deployed| units / deployed.unit);
        let sale = deployed.and_then(|deployed| deployed.listing);
        // Until a sale has terms, what is listed is what the record says will be.
        let listed = sale.filter(|sale| sale.terms.is_some()).map_or(planned, |sale| whole(sale.listed));
        let (purchased, fees, sold) =
            sale.map_or_else(Default::default, |sale| (whole(sale.purchased), whole(sale.fees), whole(sale.sold)));
        ValueView {
            token_price: PriceView::of(&draft.token_price),
            total_value: PriceView::of(&draft.total_value),
            salable_percentage: Amount::new(U256::from(draft.salable_bps), 2).into(),
            salable_value: PriceView::of(&draft.total_value.share(draft.salable_bps)),
            max_supply: max_supply.into(),
            purchased_supply: purchased.into(),
            listed_supply: listed.into(),
            sold_supply: sold.into(),
            total_fee_supply: fees.into(),
        }
    }
}

impl PriceView {
    pub(crate) fn of(price: &Price) -> PriceView {
        PriceView {
            id: price.currency.currency_id.clone().into(),
            amount: price.amount.into(),
            decimal: price.currency.decimals,
            symbol: price.currency.symbol.clone(),
            address: Addr(price.currency.address),
        }
    }
}

impl MetricView {
    fn of(metric: &Metric) -> MetricView {
        MetricView {
            term_duration_in_months: metric.term_months,
            min_purchase_quantity: metric.min_purchase,
            max_purchase_quantity: metric.max_purchase,
            min_tokens_required_for_rental_income: metric.min_rental_holding,
            rental_income: PriceView::of(&metric.rental_income),
            rental_payment_period_in_days: metric.rental_period_days,
            rental_payment_start_date: metric.rental_starts_at.map(timestamp),
            listing_date: metric.listing_at.map(timestamp),
            expiration_date: metric.expires_at.map(timestamp),
        }
    }
}

impl BandView {
    fn of(band: &Band) -> BandView {
        BandView { min_sell_price: band.min.map(Into::into), max_sell_price: band.max.map(Into::into) }
    }
}

impl FeeView {
    /// Nothing before the first of it is given out.
    fn of(deployed: &Deployment) -> Option<FeeView> {
        let allocated = deployed.fees?.allocated;
        let given = [allocated.platform_owner, allocated.node_owner, allocated.node];
        given.iter().any(|units| !units.is_zero()).then(|| {
            let [platform_owner_amount, node_owner_amount, node_amount] =
                given.map(|units| (units / deployed.unit).into());
            FeeView { platform_owner_amount, node_owner_amount, node_amount }
        })
    }
}

impl NodeContractView {
    fn of(contracts: &NodeContracts) -> NodeContractView {
        NodeContractView {
            listing_contract_address: contracts.listing.map(address),
            rent_contract_address: contracts.rent_distributor.map(address),
            burn_contract_address: contracts.redemption_desk.map(address),
            fee_contract_address: contracts.fee_vault.map(address),
            secondary_contract_address: contracts.secondary_market.map(address),
            otc_contract_address: contracts.otc_desk.map(address),
        }
    }
}

fn address(address: Address) -> String {
    address.to_checksum(None)
}

/// RFC 3339 UTC to the millisecond, without zeros at the end.
pub fn timestamp(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    // Fails for years beyond 9999 only, which no record holds.
    at.replace_millisecond(at.millisecond()).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_no_zeros_behind_them() {
        let at = |text: &str| timestamp(OffsetDateTime::parse(text, &Rfc3339).unwrap());
        assert_eq!(at("2025-03-17T23:05:41.969123Z"), "2025-03-17T23:05:41.969Z");
        assert_eq!(at("2025-03-17T23:05:42.970Z"), "2025-03-17T23:05:42.97Z");
        assert_eq!(at("2025-01-01T01:00:00+01:00"), "2025-01-01T00:00:00Z");
    }
}
