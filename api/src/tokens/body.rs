//! Shapes of the bodies, for the OpenAPI document; [`super::draft`] reads them member by member.

use utoipa::ToSchema;

/// A new token. It is written as it is answered, save what follows from the chain.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct TokenRequest {
    #[schema(pattern = "^[0-9a-f]{24}$")]
    node_id: String,
    #[schema(min_length = 1, max_length = 64)]
    category_id: String,
    #[schema(minimum = 0, maximum = 1)]
    r#type: u8,
    is_public: bool,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(max_length = 10_000)]
    description: String,
    #[schema(min_length = 1, max_length = 128)]
    token_name: String,
    #[schema(min_length = 1, max_length = 32)]
    token_symbol: String,
    /// `token_symbol` unless given.
    #[schema(required = false, pattern = "^[A-Za-z0-9._-]{1,32}$")]
    instrument_id: Option<String>,
    /// 18 unless given.
    #[schema(required = false, maximum = 18)]
    decimals: Option<u8>,
    #[schema(required = false)]
    oracle: Option<OracleRequest>,
    value: ValueRequest,
    #[schema(required = false)]
    metric: Option<MetricRequest>,
    is_open_to_secondary_market: bool,
    is_open_to_otc: bool,
    #[schema(required = false)]
    secondary_market: Option<BandRequest>,
    #[schema(required = false)]
    distribution_token: Option<DistributionRequest>,
}

/// What is to change. A group's members can be given alone, a price only whole.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct TokenChange {
    #[schema(required = false, nullable = false, pattern = "^[0-9a-f]{24}$")]
    node_id: Option<String>,
    #[schema(required = false, nullable = false, min_length = 1, max_length = 64)]
    category_id: Option<String>,
    #[schema(required = false, nullable = false, minimum = 0, maximum = 1)]
    r#type: Option<u8>,
    #[schema(required = false, nullable = false)]
    is_public: Option<bool>,
    #[schema(required = false, nullable = false, min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(required = false, nullable = false, max_length = 10_000)]
    description: Option<String>,
    #[schema(required = false, nullable = false, min_length = 1, max_length = 128)]
    token_name: Option<String>,
    #[schema(required = false, nullable = false, min_length = 1, max_length = 32)]
    token_symbol: Option<String>,
    #[schema(required = false, nullable = false, pattern = "^[A-Za-z0-9._-]{1,32}$")]
    instrument_id: Option<String>,
    #[schema(required = false, nullable = false, maximum = 18)]
    decimals: Option<u8>,
    #[schema(required = false)]
    oracle: Option<OracleRequest>,
    /// As in [`TokenRequest`], any part of it.
    #[schema(required = false, nullable = false, value_type = Object)]
    value: Option<ValueRequest>,
    /// As in [`TokenRequest`], any part of it; null takes it away.
    #[schema(required = false, value_type = Option<Object>)]
    metric: Option<MetricRequest>,
    #[schema(required = false, nullable = false)]
    is_open_to_secondary_market: Option<bool>,
    #[schema(required = false, nullable = false)]
    is_open_to_otc: Option<bool>,
    #[schema(required = false)]
    secondary_market: Option<BandRequest>,
    #[schema(required = false)]
    distribution_token: Option<DistributionRequest>,
}

/// Where the price comes from.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct OracleRequest {
    #[schema(min_length = 1, max_length = 64)]
    id: String,
    #[schema(min_length = 1, max_length = 64)]
    code: String,
}

/// Value and supply.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct ValueRequest {
    /// Of one whole token.
    token_price: PriceRequest,
    total_value: PriceRequest,
    /// 0 to 100, two decimals.
    #[schema(schema_with = crate::openapi::number)]
    salable_percentage: String,
    /// Whole tokens.
    #[schema(schema_with = crate::openapi::integer)]
    max_supply: String,
}

/// A sum. The currency's decimals, symbol and address may stand beside it; they are not looked at.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct PriceRequest {
    /// The currency.
    id: String,
    /// Whole units of it, read exactly from its text.
    #[schema(schema_with = crate::openapi::number)]
    amount: String,
}

/// Term, purchases and rent.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct MetricRequest {
    #[schema(required = false, minimum = 1, maximum = 1200)]
    term_duration_in_months: Option<u32>,
    #[schema(minimum = 1)]
    min_purchase_quantity: u64,
    #[schema(minimum = 1)]
    max_purchase_quantity: u64,
    #[schema(minimum = 0)]
    min_tokens_required_for_rental_income: u64,
    rental_income: PriceRequest,
    #[schema(minimum = 1, maximum = 36_525)]
    rental_payment_period_in_days: u32,
    #[schema(required = false, format = DateTime)]
    rental_payment_start_date: Option<String>,
    #[schema(required = false, format = DateTime)]
    listing_date: Option<String>,
    #[schema(required = false, format = DateTime)]
    expiration_date: Option<String>,
}

/// Prices that the market takes, in the currency of `token_price`.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct BandRequest {
    #[schema(required = false, schema_with = crate::openapi::nullable_number)]
    min_sell_price: Option<String>,
    #[schema(required = false, schema_with = crate::openapi::nullable_number)]
    max_sell_price: Option<String>,
}

/// How another system distributes it.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct DistributionRequest {
    #[schema(min_length = 1, max_length = 64)]
    id: String,
    #[schema(min_length = 1, max_length = 64)]
    external_id: String,
    #[schema(minimum = 1, maximum = 100)]
    priority: u8,
    /// 1 = Gen, 2 = Brickken.
    #[schema(minimum = 1, maximum = 2)]
    agent: u8,
}
