//! What a node's contracts refuse.

use alloy::sol_types::SolInterface;

use super::{Revert, named};
use crate::ReasonCode;
use crate::bindings::FeeVault::FeeVaultErrors;
use crate::bindings::Listing::ListingErrors;
use crate::bindings::OtcDesk::OtcDeskErrors;
use crate::bindings::RedemptionDesk::RedemptionDeskErrors;
use crate::bindings::RentDistributor::RentDistributorErrors;
use crate::bindings::SecondaryMarket::SecondaryMarketErrors;

/// Tries one contract after the other; the errors that all have stand with the first.
pub(super) fn decode(data: &[u8]) -> Option<Revert> {
    listing(data)
        .or_else(|| redemptions(data))
        .or_else(|| rent(data))
        .or_else(|| market(data))
        .or_else(|| otc(data))
        .or_else(|| fees(data))
}

fn listing(data: &[u8]) -> Option<Revert> {
    use ListingErrors as E;
    Some(match ListingErrors::abi_decode(data).ok()? {
        E::NotOnSale(e) => Revert::new(ReasonCode::NotOnSale, format_args!("{} has status {}", e.token, e.status)),
        E::InvalidStatusChange(e) => {
            Revert::new(ReasonCode::InvalidStatusChange, format_args!("{} from {} to {}", e.token, e.from, e.to))
        }
        E::FeesAboveLimit(e) => {
            Revert::new(ReasonCode::FeesAboveLimit, format_args!("{} in all, {} allowed", e.fees, e.maxFees))
        }
        E::SoldOut(e) => Revert::new(ReasonCode::SoldOut, format_args!("{} of {} asked", e.left, e.quantity)),
        E::NotWhole(e) => Revert::new(ReasonCode::NotWhole, format_args!("{} base units", e.quantity)),
        E::PurchaseOutOfRange(e) => Revert::new(
            ReasonCode::PurchaseOutOfRange,
            format_args!("{} in all, {} at least, {} at most (0: no limit)", e.total, e.min, e.max),
        ),
        E::CostAboveLimit(e) => Revert::new(
            ReasonCode::CostAboveLimit,
            format_args!("{} of {}, {} agreed to", e.cost, e.paymentToken, e.maxCost),
        ),
        E::NotTokenOperator(e) => {
            Revert::new(ReasonCode::RoleMissing, format_args!("{} lacks role {} of {}", e.account, e.role, e.token))
        }
        E::IntentExpired(e) => Revert::new(ReasonCode::IntentExpired, format_args!("at second {}", e.deadline)),
        E::IntentUsed(e) => Revert::new(ReasonCode::IntentUsed, format_args!("salt {} of {}", e.salt, e.wallet)),
        E::InvalidSignature(e) => Revert::new(ReasonCode::InvalidSignature, e.wallet),
        E::InexactPayment(e) => Revert::new(
            ReasonCode::PaymentFailed,
            format_args!("{} of {} moved for {}, {} expected", e.actual, e.paymentToken, e.account, e.expected),
        ),
        E::SafeERC20FailedOperation(e) => Revert::new(ReasonCode::PaymentFailed, e.token),
        E::InvalidTerms(e) => Revert::new(ReasonCode::InvalidTerms, e.token),
        E::InvalidAddress(e) => Revert::new(ReasonCode::InvalidWallet, e.account),
        _ => named(E::name_by_selector, ReasonCode::ContractRefused, data),
    })
}

fn redemptions(data: &[u8]) -> Option<Revert> {
    use RedemptionDeskErrors as E;
    Some(match RedemptionDeskErrors::abi_decode(data).ok()? {
        E::FundTooSmall(e) => {
            Revert::new(ReasonCode::FundTooSmall, format_args!("{} of {} needed", e.available, e.needed))
        }
        E::WrongPaymentToken(e) => {
            Revert::new(ReasonCode::WrongPaymentToken, format_args!("{} expected, {} given", e.expected, e.given))
        }
        E::UnknownRequest(e) => Revert::new(ReasonCode::UnknownRequest, format_args!("{} of {}", e.requestId, e.token)),
        E::PayoutTooLow(e) => {
            Revert::new(ReasonCode::PayoutTooLow, format_args!("{}, {} signed", e.payout, e.minPayout))
        }
        E::PayoutTooHigh(e) => {
            Revert::new(ReasonCode::PayoutTooHigh, format_args!("{}, {} at most", e.payout, e.maxPayout))
        }
        E::StillOnSale(e) => Revert::new(ReasonCode::StillOnSale, e.token),
        E::NoCredit(e) => Revert::new(ReasonCode::NothingToPay, format_args!("to {}", e.wallet)),
        E::CreditWithheld(e) => Revert::new(ReasonCode::RentWithheld, e.wallet),
        E::NotReplaced(e) => Revert::new(ReasonCode::NotSameInvestor, format_args!("{} and {}", e.from, e.to)),
        E::NotRequester(e) => Revert::new(ReasonCode::RoleMissing, e.account),
        _ => named(E::name_by_selector, ReasonCode::ContractRefused, data),
    })
}

fn rent(data: &[u8]) -> Option<Revert> {
    use RentDistributorErrors as E;
    Some(match RentDistributorErrors::abi_decode(data).ok()? {
        E::PeriodNotDue(e) => {
            Revert::new(ReasonCode::RentPeriod, format_args!("period {} is due at second {}", e.period, e.due))
        }
        E::RentOwedIn(e) => Revert::new(ReasonCode::RentOwed, format_args!("{} of {}", e.owed, e.paymentToken)),
        E::GasTooLow(_) => Revert::plain(ReasonCode::GasTooLow),
        E::NoRent(e) => Revert::new(ReasonCode::NothingToPay, format_args!("to {}", e.wallet)),
        _ => named(E::name_by_selector, ReasonCode::ContractRefused, data),
    })
}

fn market(data: &[u8]) -> Option<Revert> {
    use SecondaryMarketErrors as E;
    Some(match SecondaryMarketErrors::abi_decode(data).ok()? {
        E::MarketClosed(e) => Revert::new(ReasonCode::MarketClosed, e.token),
        E::OrdersDoNotMatch(_) => Revert::plain(ReasonCode::OrdersDoNotMatch),
        E::NotWholeLots(e) => {
            Revert::new(ReasonCode::NotWholeLots, format_args!("{} is no multiple of {}", e.quantity, e.lot))
        }
        E::TradeTooSmall(e) => {
            Revert::new(ReasonCode::TradeTooSmall, format_args!("{} less a fee of {}", e.cost, e.fee))
        }
        E::PriceOutsideLimits(e) => Revert::new(
            ReasonCode::OrdersDoNotMatch,
            format_args!("sold from {}, bought up to {}", e.sellLimit, e.buyLimit),
        ),
        E::PriceOutsideBand(e) => Revert::new(
            ReasonCode::PriceOutsideBand,
            format_args!("{}, {} to {} admitted", e.price, e.minPrice, e.maxPrice),
        ),
        E::OrderNotValid(e) => Revert::new(
            ReasonCode::OrderNotValid,
            format_args!("{} counts from second {} to {}", e.order, e.validFrom, e.expiry),
        ),
        E::OrderIsCancelled(e) => Revert::new(ReasonCode::OrderCancelled, e.order),
        E::OrderOverfilled(e) => {
            Revert::new(ReasonCode::OrderOverfilled, format_args!("{} of {} asked, {}", e.left, e.quantity, e.order))
        }
        E::FeeAboveLimit(e) => Revert::new(
            ReasonCode::FeeAboveLimit,
            format_args!("{} hundredths of a per cent, {} agreed to", e.feeBps, e.maxFeeBps),
        ),
        E::InvalidMarketTerms(e) => Revert::new(ReasonCode::InvalidTerms, e.token),
        _ => named(E::name_by_selector, ReasonCode::ContractRefused, data),
    })
}

fn otc(data: &[u8]) -> Option<Revert> {
    use OtcDeskErrors as E;
    Some(match OtcDeskErrors::abi_decode(data).ok()? {
        E::OtcClosed(e) => Revert::new(ReasonCode::MarketClosed, e.token),
        E::InvalidDeal(e) => Revert::new(ReasonCode::DealNotValid, e.deal),
        E::DealNotValid(e) => Revert::new(
            ReasonCode::DealNotValid,
            format_args!("{} counts from second {} to {}", e.deal, e.validFrom, e.deadline),
        ),
        E::DealIsDone(e) => Revert::new(ReasonCode::DealDone, e.deal),
        E::NotParty(e) => Revert::new(ReasonCode::RoleMissing, format_args!("{} is no party of {}", e.account, e.deal)),
        E::InvalidOtcTerms(e) => Revert::new(ReasonCode::InvalidTerms, e.token),
        _ => named(E::name_by_selector, ReasonCode::ContractRefused, data),
    })
}

fn fees(data: &[u8]) -> Option<Revert> {
    use FeeVaultErrors as E;
    Some(match FeeVaultErrors::abi_decode(data).ok()? {
        E::FeeSupplyExceeded(e) => {
            Revert::new(ReasonCode::FeeSupplyExceeded, format_args!("{} of {} asked", e.left, e.amount))
        }
        E::NoFees(e) => Revert::new(ReasonCode::NothingToPay, format_args!("to {}", e.account)),
        E::InvalidFeeTerms(e) => Revert::new(ReasonCode::InvalidTerms, e.token),
        _ => named(E::name_by_selector, ReasonCode::ContractRefused, data),
    })
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, U256};
    use alloy::sol_types::SolError;

    use super::super::decode_revert;
    use super::*;
    use crate::bindings::{Listing, OtcDesk, RedemptionDesk, SecondaryMarket};

    #[test]
    fn what_all_of_them_refuse_is_one_reason_whoever_says_it() {
        let wallet = Address::repeat_byte(1);
        let said = [
            Listing::InvalidSignature { wallet }.abi_encode(),
            OtcDesk::InvalidSignature { wallet }.abi_encode(),
            SecondaryMarket::InvalidSignature { wallet }.abi_encode(),
        ];
        for data in said {
            assert_eq!(decode_revert(&data).code, ReasonCode::InvalidSignature);
        }
    }

    #[test]
    fn refusals_carry_the_figures_that_caused_them() {
        let data = Listing::SoldOut { left: U256::from(3), quantity: U256::from(5) }.abi_encode();
        assert_eq!(decode_revert(&data).message, "fewer tokens are left for sale: 3 of 5 asked");
        let data = RedemptionDesk::FundTooSmall {
            token: Address::ZERO,
            paymentToken: Address::ZERO,
            available: U256::from(1),
            needed: U256::from(2),
        };
        assert_eq!(decode_revert(&data.abi_encode()).code, ReasonCode::FundTooSmall);
        let data = RedemptionDesk::PayoutTooHigh { maxPayout: U256::from(5), payout: U256::from(6) };
        assert_eq!(decode_revert(&data.abi_encode()).message, "the payout is above what the terms allow: 6, 5 at most");
        let data = OtcDesk::DealIsDone { deal: B256::ZERO, state: 1 }.abi_encode();
        assert_eq!(decode_revert(&data).code, ReasonCode::DealDone);
    }
}
