//! What wallets must have signed of an operation, and what of it is ours to sign.

use alloy::primitives::{Address, Bytes};

use super::{Consent, Operation, Payout, Sale, Trade};

impl Operation {
    /// The wallets that must have signed what it carries, each with its proof. An empty one is a mandate: that wallet's
    /// key is here, and the keeper signs with it when it builds the call.
    pub fn proofs(&self) -> Vec<(Address, &Bytes)> {
        match self {
            Self::Sale(Sale::Buy { purchase, signature, .. }) => vec![(purchase.wallet, signature)],
            Self::Payout(Payout::RequestRedemption { redemption, signature, .. }) => {
                vec![(redemption.wallet, signature)]
            }
            Self::Payout(Payout::PayIn { funding, signature, .. }) => vec![(funding.wallet, signature)],
            Self::Payout(Payout::ClaimRent { claim, signature, .. }) => vec![(claim.wallet, signature)],
            Self::Trade(trade) => of_trade(trade),
            Self::Consent(Consent::UsePermit { permit, signature, .. } | Consent::Permit { permit, signature, .. }) => {
                vec![(permit.owner, signature)]
            }
            _ => Vec::new(),
        }
    }

    /// The wallets for which the keeper signs.
    pub fn mandates(&self) -> impl Iterator<Item = Address> {
        self.proofs().into_iter().filter(|(_, proof)| proof.is_empty()).map(|(wallet, _)| wallet)
    }
}

fn of_trade(trade: &Trade) -> Vec<(Address, &Bytes)> {
    match trade {
        Trade::SettleOrders { sell, buy, sell_signature, buy_signature, .. } => {
            vec![(sell.wallet, sell_signature), (buy.wallet, buy_signature)]
        }
        Trade::CancelOrder { wallet, signature, .. } => vec![(*wallet, signature)],
        Trade::SettleDeal { deal, seller_signature, buyer_signature, .. } => {
            vec![(deal.seller, seller_signature), (deal.buyer, buyer_signature)]
        }
        Trade::CancelDeal { party, signature, .. } => vec![(*party, signature)],
        Trade::SetMarketTerms { .. } | Trade::SetOtcTerms { .. } => Vec::new(),
    }
}
