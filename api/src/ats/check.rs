//! What stands in an order's way, one set of rules for intake and for whoever asks why a trade was not settled. Pure: the
//! same facts, the same verdict. What the token says of it is its own predictor's word.

use alloy::primitives::U256;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::restrictions::{self, Investor, Token, Wallet};

use super::market::{Closed, Market};
use super::names::Does;
use super::worth;

/// Units of what exists, and prices, as the chain keeps them.
const QUANTITY_BITS: usize = 104;
const PRICE_BITS: usize = 128;

/// Every code by which an order is refused: who asks, the market, the order's own figures, the token, what the wallet has,
/// and the permit that comes with the order.
pub const PRE_TRADE: [ReasonCode; 27] = [
    ReasonCode::AccountSuspended,
    ReasonCode::SanctionsHit,
    ReasonCode::KycNotApproved,
    ReasonCode::KycExpired,
    ReasonCode::InstrumentInexact,
    ReasonCode::NodeContractMissing,
    ReasonCode::WrongPaymentToken,
    ReasonCode::NoLiquidity,
    ReasonCode::NotListed,
    ReasonCode::MarketClosed,
    ReasonCode::TokenPaused,
    ReasonCode::OutsideHours,
    ReasonCode::NotWholeLots,
    ReasonCode::PriceOutsideBand,
    ReasonCode::PriceOffTick,
    ReasonCode::TradeTooSmall,
    ReasonCode::WalletFrozen,
    ReasonCode::AmountFrozen,
    ReasonCode::AmountHeld,
    ReasonCode::WalletNotWhitelisted,
    ReasonCode::RecipientCountry,
    ReasonCode::HolderLimit,
    ReasonCode::BalanceLimit,
    ReasonCode::InsufficientSpendable,
    ReasonCode::InsufficientFunds,
    ReasonCode::IntentExpired,
    ReasonCode::InvalidSignature,
];

/// What an order comes down to.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// What it does.
    pub side: Does,
    /// Base units.
    pub quantity: U256,
    /// Its worst price, base units of the payment token for one whole token.
    pub limit: U256,
    /// The price that it waits for.
    pub stop: Option<U256>,
}

/// What is known of whoever asks. Amounts are base units.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The token, as its rules look at it.
    pub token: Token,
    /// The wallet, likewise.
    pub wallet: Wallet,
    /// Units of it that open commands, orders, trades and deals hold back.
    pub reserved: U256,
    /// Money that it may promise still.
    pub money: U256,
    /// Unix seconds.
    pub now: u64,
}

/// Why an order is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The member of the request that it is about.
    pub field: &'static str,
    /// As a code.
    pub code: ReasonCode,
    /// As a sentence.
    pub message: String,
}

impl Refusal {
    fn new(field: &'static str, code: ReasonCode, message: impl Into<String>) -> Refusal {
        Refusal { field, code, message: message.into() }
    }

    pub(super) fn plain(field: &'static str, code: ReasonCode) -> Refusal {
        Refusal::new(field, code, code.message())
    }
}

impl From<Closed> for Refusal {
    fn from(closed: Closed) -> Refusal {
        Refusal { field: "offering_id", code: closed.code, message: closed.message }
    }
}

/// Whether the order may be taken.
///
/// # Errors
/// The first rule that it breaks: of the market, of the order's own figures, of the token, of what the wallet has.
pub fn check(ask: &Ask, market: &Market, facts: &Facts) -> Result<(), Refusal> {
    market.is_open(facts.now)?;
    figures(ask, market)?;
    allowed(ask.side, &facts.token, &facts.wallet, ask.quantity, facts.now)
        .map_err(|code| Refusal::plain(field(code), of_one_wallet(code)))?;
    covered(ask, market, facts)
}

/// Lot, tick, band, and that the smallest trade is worth something.
fn figures(ask: &Ask, market: &Market) -> Result<(), Refusal> {
    let terms = &market.terms;
    if ask.quantity.bit_len() > QUANTITY_BITS || !(ask.quantity % terms.lot.max(U256::ONE)).is_zero() {
        let lot = market.units(terms.lot);
        return Err(Refusal::new("quantity", ReasonCode::NotWholeLots, format!("only multiples of {lot} are traded")));
    }
    let priced = if ask.stop.is_some() { "stop_price" } else { "limit_price" };
    for (name, price) in [("limit_price", Some(ask.limit)), ("stop_price", ask.stop)] {
        let Some(price) = price else { continue };
        if price.bit_len() > PRICE_BITS || price < terms.min_price || price > terms.max_price {
            let (low, high) = (market.price(terms.min_price), market.price(terms.max_price));
            let message = format!("{} is outside the band: from {low} to {high}", market.price(price));
            return Err(Refusal::new(name, ReasonCode::PriceOutsideBand, message));
        }
        if !(price % market.tick).is_zero() {
            let tick = market.price(market.tick);
            let message = format!("{} is no multiple of {tick}", market.price(price));
            return Err(Refusal::new(name, ReasonCode::PriceOffTick, message));
        }
    }
    if worth::of_trade(terms.lot, ask.limit, market.unit, terms.fee_bps, true).proceeds.is_zero() {
        return Err(Refusal::plain(priced, ReasonCode::TradeTooSmall));
    }
    Ok(())
}

/// What the token says of one party of a trade, whoever the other one is: as of one in whose way nothing stands.
///
/// # Errors
/// The first restriction that the token names.
pub fn allowed(side: Does, token: &Token, wallet: &Wallet, amount: U256, now: u64) -> Result<(), ReasonCode> {
    let investor = Investor { whitelisted: true, ..Investor::default() };
    let anyone = Wallet { balance: U256::MAX, investor, ..Wallet::default() };
    match side {
        Does::Buy => restrictions::transfer(token, &anyone, Some(wallet), amount, now),
        Does::Sell => {
            // Limits are the buyer's matter.
            let unlimited = Token { max_holders: 0, max_balance: U256::ZERO, ..token.clone() };
            restrictions::transfer(&unlimited, wallet, Some(&anyone), amount, now)
        }
    }
}

fn covered(ask: &Ask, market: &Market, facts: &Facts) -> Result<(), Refusal> {
    match ask.side {
        Does::Sell => {
            let wallet = &facts.wallet;
            let locked = wallet.frozen.saturating_add(wallet.held).saturating_add(facts.reserved);
            let free = wallet.balance.saturating_sub(locked);
            if ask.quantity > free {
                let message = format!("{} is free, {} was asked", market.units(free), market.units(ask.quantity));
                return Err(Refusal::new("quantity", ReasonCode::InsufficientSpendable, message));
            }
        }
        Does::Buy => {
            let needed = worth::at_most(ask.quantity, ask.limit, market.unit, market.terms.fee_bps);
            if needed > facts.money {
                let (free, needed) = (market.price(facts.money), market.price(needed));
                let message = format!("{free} {} is free, {needed} is needed", market.currency.symbol);
                return Err(Refusal::new("quantity", ReasonCode::InsufficientFunds, message));
            }
        }
    }
    Ok(())
}

/// The worst price of an order that names none: so far from `from`, inside the band, and a whole tick.
pub fn collared(side: Does, from: U256, collar_bps: u16, market: &Market) -> U256 {
    let (whole, collar) = (U256::from(10_000), U256::from(collar_bps));
    let away = from / whole * collar + from % whole * collar / whole;
    let tick = market.tick.max(U256::ONE);
    match side {
        Does::Buy => {
            let worst = from.saturating_add(away).min(market.terms.max_price);
            worst - worst % tick
        }
        Does::Sell => {
            let worst = from.saturating_sub(away).max(market.terms.min_price);
            worst.checked_next_multiple_of(tick).unwrap_or(worst)
        }
    }
}

/// The chain tells a sender from a recipient; an order is told of its wallet.
fn of_one_wallet(code: ReasonCode) -> ReasonCode {
    use ReasonCode as R;
    match code {
        R::SenderFrozen | R::RecipientFrozen => R::WalletFrozen,
        R::SenderNotWhitelisted | R::RecipientNotWhitelisted => R::WalletNotWhitelisted,
        R::SenderKycExpired | R::RecipientKycExpired => R::KycExpired,
        R::SenderSanctioned | R::RecipientSanctioned => R::SanctionsHit,
        other => other,
    }
}

/// What a restriction is about.
fn field(code: ReasonCode) -> &'static str {
    use ReasonCode as R;
    match code {
        R::AmountFrozen | R::AmountHeld | R::BalanceLimit => "quantity",
        R::TokenPaused | R::HolderLimit => "offering_id",
        _ => "wallet_id",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_000;

    fn any_wallet() -> impl Strategy<Value = Wallet> {
        let rarely = || prop::bool::weighted(0.1);
        let investor = (prop::bool::weighted(0.9), rarely(), prop::sample::select(vec![0, NOW, NOW + 1]), rarely());
        (0u64..20, 0u64..5, 0u64..5, rarely(), investor).prop_map(
            |(balance, frozen, held, address_frozen, investor)| {
                let (whitelisted, sanctioned, kyc_expires_at, country_refused) = investor;
                Wallet {
                    balance: U256::from(balance),
                    frozen: U256::from(frozen),
                    held: U256::from(held),
                    address_frozen,
                    investor: Investor { whitelisted, sanctioned, kyc_expires_at, country_refused },
                }
            },
        )
    }

    fn any_token() -> impl Strategy<Value = Token> {
        (prop::bool::weighted(0.1), 0u64..4, 0u64..4, 0u64..30).prop_map(|(paused, most, holders, balance)| Token {
            transfers_paused: paused,
            supply_paused: false,
            left: U256::from(100),
            max_holders: most,
            holders,
            max_balance: U256::from(balance),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        /// A seller who gives all away makes room for another holder, which nobody can count on who does not know him.
        #[test]
        fn two_orders_may_be_taken_exactly_where_the_token_lets_their_trade_happen(
            token in any_token(), seller in any_wallet(), buyer in any_wallet(), amount in 1u64..20,
        ) {
            let amount = U256::from(amount);
            let both = allowed(Does::Sell, &token, &seller, amount, NOW)
                .and_then(|()| allowed(Does::Buy, &token, &buyer, amount, NOW));
            let trade = restrictions::transfer(&token, &seller, Some(&buyer), amount, NOW);
            if amount == seller.balance && both == Err(ReasonCode::HolderLimit) {
                prop_assert!(trade != Err(ReasonCode::HolderLimit));
            } else {
                prop_assert_eq!(both.is_ok(), trade.is_ok(), "{:?} {:?}", both, trade);
            }
        }
    }
}
