//! Terms that node contracts keep per instrument, as they are asked for. Ranges narrower than the types are the chain's
//! and are checked when a call is bound.

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::decimal;

/// Terms of a primary sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingTerms {
    /// What is paid with.
    pub payment_token: Address,
    /// Base units of it for one whole token; 128 bits, above zero.
    #[serde(with = "decimal")]
    pub price: U256,
    /// Unix second from which is sold, 48 bits; 0 = at once.
    pub opens_at: u64,
    /// Unix second from which is sold no more, 48 bits; 0 = never.
    pub closes_at: u64,
    /// Base units that an investor must have bought after a purchase, at least; 104 bits.
    #[serde(with = "decimal")]
    pub min_purchase: U256,
    /// Base units that an investor may buy in all, 104 bits; 0 = no limit.
    #[serde(with = "decimal")]
    pub max_purchase: U256,
    /// Base units that may be set aside for fees, at most; 104 bits.
    #[serde(with = "decimal")]
    pub max_fees: U256,
    /// Hundredths of a per cent of the maximum supply that are for sale, 1 to 10,000.
    pub salable_bps: u16,
}

/// Wallets of those who get fees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beneficiaries {
    /// The platform's owner's.
    pub platform_owner: Address,
    /// The node's owner's.
    pub node_owner: Address,
    /// The node's.
    pub node: Address,
}

/// Shares of trade fees, in hundredths of a per cent; 10,000 in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeShares {
    /// The platform's owner's.
    pub platform_owner: u16,
    /// The node's owner's.
    pub node_owner: u16,
    /// The node's.
    pub node: u16,
}

/// Base units out of the fee supply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeAmounts {
    /// For the platform's owner.
    #[serde(with = "decimal")]
    pub platform_owner: U256,
    /// For the node's owner.
    #[serde(with = "decimal")]
    pub node_owner: U256,
    /// For the node.
    #[serde(with = "decimal")]
    pub node: U256,
}

/// Terms of redemptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedemptionTerms {
    /// What redemptions are paid in.
    pub payment_token: Address,
    /// Base units of it that may be paid for one whole token, at most; 128 bits.
    #[serde(with = "decimal")]
    pub max_price: U256,
}

/// Terms of rental income.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RentTerms {
    /// What rent is paid in.
    pub payment_token: Address,
    /// Unix second from which the first period may be opened; 48 bits.
    pub start: u64,
    /// Seconds from one period to the next, 48 bits; 0 = no schedule.
    pub length: u64,
}

/// Terms of trading by orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketTerms {
    /// What is paid with.
    pub payment_token: Address,
    /// Whether orders are settled.
    pub open: bool,
    /// The taker's fee, in hundredths of a per cent of the cost.
    pub fee_bps: u16,
    /// Base units of the token, at least 1, of which only multiples are traded; 72 bits.
    #[serde(with = "decimal")]
    pub lot: U256,
    /// Lower end of the price band, base units of the payment token for one whole token; 128 bits.
    #[serde(with = "decimal")]
    pub min_price: U256,
    /// Its upper end, inside like the lower one.
    #[serde(with = "decimal")]
    pub max_price: U256,
}

/// Terms of deals between two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtcTerms {
    /// Whether deals are settled.
    pub open: bool,
    /// Hundredths of a per cent of the payment, out of which it comes.
    pub fee_bps: u16,
}
