//! Shapes of the bodies, for the OpenAPI document; [`super::terms`] reads them member by member.

use utoipa::ToSchema;

use crate::tokens::body::PriceRequest;

/// A new offering. What it leaves out follows from its token's record; an exemption is needed only to publish it.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape: read field by field, so that every bad one is named")]
pub struct OfferingRequest {
    /// What is sold.
    #[schema(pattern = "^[0-9a-f]{24}$")]
    token_id: String,
    /// The token's unless given.
    #[schema(required = false, nullable = false, min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(required = false, nullable = false, max_length = 10_000)]
    description: Option<String>,
    /// 506b, 506c or reg_s.
    #[schema(required = false, pattern = "^(506b|506c|reg_s)$")]
    exemption: Option<String>,
    /// From when on is sold, to the second; at once unless given.
    #[schema(required = false, format = DateTime)]
    opens_at: Option<String>,
    /// From when on is sold no more, to the second; never unless given.
    #[schema(required = false, format = DateTime)]
    closes_at: Option<String>,
    /// Of one whole token; the token's unless given.
    #[schema(required = false)]
    price: Option<PriceRequest>,
    /// Of the maximum supply, 0 to 100, two decimals; the token's unless given.
    #[schema(required = false, schema_with = crate::openapi::number)]
    salable_percentage: Option<String>,
    /// What an investor must have bought after a purchase, at least; the token's unless given, or 1.
    #[schema(required = false, nullable = false, minimum = 1)]
    min_purchase_quantity: Option<u64>,
    /// What an investor may buy in all; the token's unless given, null is no limit.
    #[schema(required = false, minimum = 1)]
    max_purchase_quantity: Option<u64>,
    /// What of the sale may be set aside for fees; none unless given.
    #[schema(required = false, nullable = false, minimum = 0)]
    max_fee_quantity: Option<u64>,
}

/// What is to change.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct OfferingChange {
    #[schema(required = false, nullable = false, min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(required = false, nullable = false, max_length = 10_000)]
    description: Option<String>,
    /// 506b, 506c or reg_s.
    #[schema(required = false, pattern = "^(506b|506c|reg_s)$")]
    exemption: Option<String>,
    #[schema(required = false, format = DateTime)]
    opens_at: Option<String>,
    #[schema(required = false, format = DateTime)]
    closes_at: Option<String>,
    #[schema(required = false)]
    price: Option<PriceRequest>,
    #[schema(required = false, schema_with = crate::openapi::number)]
    salable_percentage: Option<String>,
    #[schema(required = false, nullable = false, minimum = 1)]
    min_purchase_quantity: Option<u64>,
    #[schema(required = false, minimum = 1)]
    max_purchase_quantity: Option<u64>,
    #[schema(required = false, nullable = false, minimum = 0)]
    max_fee_quantity: Option<u64>,
}

/// Why an offering is rejected.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "a shape, as above")]
pub struct Rejection {
    /// What its issuer is told.
    #[schema(min_length = 1, max_length = 1_000)]
    reason: String,
}
