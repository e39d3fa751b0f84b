//! The contracts that a node has, each once.

use alloy::primitives::{Address, U256};
use alloy::sol_types::Eip712Domain;
use serde::{Deserialize, Serialize};

/// A contract of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// Primary sale.
    Listing,
    /// Matched orders.
    SecondaryMarket,
    /// Deals between two.
    OtcDesk,
    /// Rent.
    RentDistributor,
    /// Fees.
    FeeVault,
    /// Redemptions.
    RedemptionDesk,
}

impl Contract {
    /// Its name in requests and rows, the indexer's among them.
    pub fn name(self) -> &'static str {
        match self {
            Contract::Listing => "listing",
            Contract::SecondaryMarket => "secondary_market",
            Contract::OtcDesk => "otc_desk",
            Contract::RentDistributor => "rent_distributor",
            Contract::FeeVault => "fee_vault",
            Contract::RedemptionDesk => "redemption_desk",
        }
    }

    /// What signatures for the one at this address are made for.
    pub fn domain(self, chain_id: u64, at: Address) -> Eip712Domain {
        let name = match self {
            Contract::Listing => "tokenx Listing",
            Contract::SecondaryMarket => "tokenx SecondaryMarket",
            Contract::OtcDesk => "tokenx OtcDesk",
            Contract::RentDistributor => "tokenx RentDistributor",
            Contract::FeeVault => "tokenx FeeVault",
            Contract::RedemptionDesk => "tokenx RedemptionDesk",
        };
        Eip712Domain::new(Some(name.into()), Some("1".into()), Some(U256::from(chain_id)), Some(at), None)
    }

    /// Whether wallets pay it by their allowance.
    pub fn takes_payment(self) -> bool {
        self != Contract::FeeVault
    }
}

/// A contract that keeps funds per token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fund {
    /// What redemptions are paid out of.
    Redemption,
    /// What rent is paid out of.
    Rent,
}

impl Fund {
    /// Who keeps it.
    pub fn contract(self) -> Contract {
        match self {
            Fund::Redemption => Contract::RedemptionDesk,
            Fund::Rent => Contract::RentDistributor,
        }
    }
}
