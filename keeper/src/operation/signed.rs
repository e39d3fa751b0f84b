//! What wallets sign and we carry. The token stands in none of these: it is that of the command's instrument, so that
//! what a wallet has signed for another one does not bear its signature here.

use alloy::primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};
use tokenx_contracts::bindings;

use super::decimal;

/// A purchase in a primary sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// Who buys, pays and has signed.
    pub wallet: Address,
    /// Base units of the token, whole tokens.
    #[serde(with = "decimal")]
    pub quantity: U256,
    /// What is paid with.
    pub payment_token: Address,
    /// Base units of it that the wallet pays, at most.
    #[serde(with = "decimal")]
    pub max_cost: U256,
    /// Last Unix second at which it counts.
    #[serde(with = "decimal")]
    pub deadline: U256,
    /// Makes it count once.
    pub salt: B256,
}

/// A request to give units back for money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    /// Whose units, and who has signed.
    pub wallet: Address,
    /// Base units of the token.
    #[serde(with = "decimal")]
    pub quantity: U256,
    /// What the wallet takes.
    pub payment_token: Address,
    /// Base units of it that the wallet takes for all of it, at least.
    #[serde(with = "decimal")]
    pub min_payout: U256,
    /// Last Unix second at which it counts.
    #[serde(with = "decimal")]
    pub deadline: U256,
    /// Makes it count once.
    pub salt: B256,
}

/// A payment into a fund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funding {
    /// Who pays and has signed.
    pub wallet: Address,
    /// What is paid in.
    pub payment_token: Address,
    /// Base units of it.
    #[serde(with = "decimal")]
    pub amount: U256,
    /// Last Unix second at which it counts.
    #[serde(with = "decimal")]
    pub deadline: U256,
    /// Makes it count once.
    pub salt: B256,
}

/// A wish to be paid one's rent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Who is paid and has signed.
    pub wallet: Address,
    /// Last Unix second at which it counts.
    #[serde(with = "decimal")]
    pub deadline: U256,
    /// Makes it count once.
    pub salt: B256,
}

/// An order. Whether it sells or buys follows from its place in a match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who trades and has signed.
    pub wallet: Address,
    /// What is paid with.
    pub payment_token: Address,
    /// Base units of the token, of which a part may be filled.
    #[serde(with = "decimal")]
    pub quantity: U256,
    /// Base units of the payment token for one whole token: most that a buyer pays, least that a seller takes.
    #[serde(with = "decimal")]
    pub limit_price: U256,
    /// Most of the fee, in hundredths of a per cent of the cost, that the wallet accepts as taker.
    pub max_fee_bps: u16,
    /// Unix second from which it counts.
    pub valid_from: u64,
    /// Unix second from which it no longer counts.
    pub expiry: u64,
    /// Tells it apart from others.
    pub salt: B256,
}

/// What two wallets have agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deal {
    /// Who gives units.
    pub seller: Address,
    /// Who pays for them.
    pub buyer: Address,
    /// Base units of the token.
    #[serde(with = "decimal")]
    pub quantity: U256,
    /// What is paid with.
    pub payment_token: Address,
    /// Base units of it for all of it, the fee included.
    #[serde(with = "decimal")]
    pub payment: U256,
    /// Most of the fee, in hundredths of a per cent of the payment, that both accept.
    pub max_fee_bps: u16,
    /// Unix second from which it may be settled.
    pub valid_from: u64,
    /// Last Unix second at which it may be.
    pub deadline: u64,
    /// Hash of what else they have agreed on; zero = nothing.
    pub terms: B256,
    /// Tells it apart from others.
    pub salt: B256,
}

/// What ERC-2612 lets a wallet sign instead of an allowance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// Who allows and has signed.
    pub owner: Address,
    /// Base units that may be taken from it.
    #[serde(with = "decimal")]
    pub value: U256,
    /// Last Unix second at which it counts.
    #[serde(with = "decimal")]
    pub deadline: U256,
}

impl Purchase {
    /// As it is signed.
    pub fn of(&self, token: Address) -> bindings::Purchase {
        bindings::Purchase {
            wallet: self.wallet,
            token,
            quantity: self.quantity,
            paymentToken: self.payment_token,
            maxCost: self.max_cost,
            deadline: self.deadline,
            salt: self.salt,
        }
    }
}

impl Redemption {
    /// As it is signed.
    pub fn of(&self, token: Address) -> bindings::Redemption {
        bindings::Redemption {
            wallet: self.wallet,
            token,
            quantity: self.quantity,
            paymentToken: self.payment_token,
            minPayout: self.min_payout,
            deadline: self.deadline,
            salt: self.salt,
        }
    }
}

impl Funding {
    /// As it is signed.
    pub fn of(&self, token: Address) -> bindings::Funding {
        bindings::Funding {
            wallet: self.wallet,
            token,
            paymentToken: self.payment_token,
            amount: self.amount,
            deadline: self.deadline,
            salt: self.salt,
        }
    }
}

impl Claim {
    /// As it is signed.
    pub fn of(&self, token: Address) -> bindings::Claim {
        bindings::Claim { wallet: self.wallet, token, deadline: self.deadline, salt: self.salt }
    }
}

/// What an order does, by its number on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It buys.
    Buy = 0,
    /// It sells.
    Sell = 1,
}

impl Order {
    /// As it is signed.
    pub fn of(&self, token: Address, side: Side) -> bindings::Order {
        bindings::Order {
            wallet: self.wallet,
            token,
            paymentToken: self.payment_token,
            side: side as u8,
            quantity: self.quantity,
            limitPrice: self.limit_price,
            maxFeeBps: self.max_fee_bps,
            validFrom: self.valid_from,
            expiry: self.expiry,
            salt: self.salt,
        }
    }
}

impl Deal {
    /// As both sign it.
    pub fn of(&self, token: Address) -> bindings::Deal {
        bindings::Deal {
            token,
            seller: self.seller,
            buyer: self.buyer,
            quantity: self.quantity,
            paymentToken: self.payment_token,
            payment: self.payment,
            maxFeeBps: self.max_fee_bps,
            validFrom: self.valid_from,
            deadline: self.deadline,
            terms: self.terms,
            salt: self.salt,
        }
    }
}
