//! What a token's rules say of a movement: those of `sol/TokenCore.sol` and of the registry's `check`, in their order, over
//! facts that somebody else has read. Pure: the same facts, the same verdict as `detectTransferRestriction`.

use alloy::primitives::U256;

use crate::codes::ReasonCode;

/// What the rules look at of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// Transfers are stopped.
    pub transfers_paused: bool,
    /// Mint and burn are stopped.
    pub supply_paused: bool,
    /// Base units that may still be minted.
    pub left: U256,
    /// Most wallets with a balance; 0 = no limit.
    pub max_holders: u64,
    /// Wallets with a balance; asked where there is such a limit.
    pub holders: u64,
    /// Most base units of one wallet; zero = no limit.
    pub max_balance: U256,
}

/// What they look at of a wallet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wallet {
    /// Base units it has.
    pub balance: U256,
    /// Base units frozen; may exceed the balance.
    pub frozen: U256,
    /// Base units under holds that have not expired.
    pub held: U256,
    /// It is frozen as a whole.
    pub address_frozen: bool,
    /// The registry's record of it.
    pub investor: Investor,
}

/// The registry's record of a wallet; the default is no record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Investor {
    /// May hold and trade.
    pub whitelisted: bool,
    /// Under sanctions.
    pub sanctioned: bool,
    /// Unix seconds from which the KYC no longer counts; 0 = never.
    pub kyc_expires_at: u64,
    /// The token's country rule does not admit its country.
    pub country_refused: bool,
}

/// Why `amount` may not go from one wallet to another at second `now`; to oneself where `to` is `None`.
///
/// # Errors
/// The first restriction that the token names. An amount above the balance is none: see [`covers`].
pub fn transfer(token: &Token, from: &Wallet, to: Option<&Wallet>, amount: U256, now: u64) -> Result<(), ReasonCode> {
    if token.transfers_paused {
        return Err(ReasonCode::TokenPaused);
    }
    leaves(from, amount)?;
    let receiver = to.unwrap_or(from);
    not_frozen(receiver)?;
    sends(&from.investor, now)?;
    admitted(&receiver.investor, now)?;
    // What is not moved cannot break a limit.
    if to.is_some() { within_limits(token, amount, from.balance, receiver.balance) } else { Ok(()) }
}

/// Why `amount` may not be minted.
///
/// # Errors
/// As [`transfer`].
pub fn mint(token: &Token, to: &Wallet, amount: U256, now: u64) -> Result<(), ReasonCode> {
    if token.supply_paused {
        return Err(ReasonCode::SupplyPaused);
    }
    receives(to, now)?;
    if amount > token.left {
        return Err(ReasonCode::MaxSupplyExceeded);
    }
    within_limits(token, amount, U256::ZERO, to.balance)
}

/// Why `amount` may not be burned. What the registry thinks of the holder does not stop it.
///
/// # Errors
/// As [`transfer`].
pub fn burn(token: &Token, from: &Wallet, amount: U256) -> Result<(), ReasonCode> {
    if token.supply_paused {
        return Err(ReasonCode::SupplyPaused);
    }
    leaves(from, amount)
}

/// Why a wallet may not receive, whatever the amount: what binds force too.
///
/// # Errors
/// As [`transfer`].
pub fn receives(to: &Wallet, now: u64) -> Result<(), ReasonCode> {
    not_frozen(to)?;
    admitted(&to.investor, now)
}

/// Whether a wallet has as much: asked by the movement itself, after its rules.
///
/// # Errors
/// `INSUFFICIENT_BALANCE`.
pub fn covers(from: &Wallet, amount: U256) -> Result<(), ReasonCode> {
    if amount > from.balance { Err(ReasonCode::InsufficientBalance) } else { Ok(()) }
}

fn leaves(from: &Wallet, amount: U256) -> Result<(), ReasonCode> {
    if from.address_frozen {
        return Err(ReasonCode::SenderFrozen);
    }
    let free = from.balance.saturating_sub(from.frozen);
    // Above the whole balance it is neither freeze nor hold that stands in the way.
    if amount > free.saturating_sub(from.held) && amount <= from.balance {
        return Err(if amount > free { ReasonCode::AmountFrozen } else { ReasonCode::AmountHeld });
    }
    Ok(())
}

fn not_frozen(to: &Wallet) -> Result<(), ReasonCode> {
    if to.address_frozen { Err(ReasonCode::RecipientFrozen) } else { Ok(()) }
}

fn sends(investor: &Investor, now: u64) -> Result<(), ReasonCode> {
    use ReasonCode::{SenderKycExpired, SenderNotWhitelisted, SenderSanctioned};
    registered(investor, now, [SenderSanctioned, SenderNotWhitelisted, SenderKycExpired])
}

fn admitted(investor: &Investor, now: u64) -> Result<(), ReasonCode> {
    use ReasonCode::{RecipientKycExpired, RecipientNotWhitelisted, RecipientSanctioned};
    registered(investor, now, [RecipientSanctioned, RecipientNotWhitelisted, RecipientKycExpired])?;
    if investor.country_refused { Err(ReasonCode::RecipientCountry) } else { Ok(()) }
}

/// The gravest reason first.
fn registered(
    investor: &Investor,
    now: u64,
    [sanctioned, unknown, expired]: [ReasonCode; 3],
) -> Result<(), ReasonCode> {
    if investor.sanctioned {
        Err(sanctioned)
    } else if !investor.whitelisted {
        Err(unknown)
    } else if investor.kyc_expires_at != 0 && now >= investor.kyc_expires_at {
        Err(expired)
    } else {
        Ok(())
    }
}

fn within_limits(token: &Token, amount: U256, giver: U256, receiver: U256) -> Result<(), ReasonCode> {
    if amount.is_zero() {
        return Ok(());
    }
    // A sender that gives all away makes room.
    let one_more = receiver.is_zero() && amount != giver;
    if token.max_holders != 0 && one_more && token.holders >= token.max_holders {
        return Err(ReasonCode::HolderLimit);
    }
    let room = token.max_balance.checked_sub(receiver);
    if !token.max_balance.is_zero() && room.is_none_or(|room| amount > room) {
        return Err(ReasonCode::BalanceLimit);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn units(amount: u64) -> U256 {
        U256::from(amount)
    }

    fn wallet(balance: u64) -> Wallet {
        let investor = Investor { whitelisted: true, ..Investor::default() };
        Wallet { balance: units(balance), investor, ..Wallet::default() }
    }

    fn token() -> Token {
        Token { left: units(1_000), ..Token::default() }
    }

    fn moved(from: &Wallet, to: &Wallet, amount: u64) -> Result<(), ReasonCode> {
        transfer(&token(), from, Some(to), units(amount), NOW)
    }

    #[test]
    fn the_first_reason_in_the_tokens_order_is_told() {
        let mut closed = Token { transfers_paused: true, ..token() };
        let mut from = Wallet { address_frozen: true, ..wallet(10) };
        let mut to = Wallet { address_frozen: true, ..Wallet::default() };
        let told = |token: &Token, from: &Wallet, to: &Wallet| transfer(token, from, Some(to), units(10), NOW);
        assert_eq!(told(&closed, &from, &to), Err(ReasonCode::TokenPaused));
        closed.transfers_paused = false;
        assert_eq!(told(&closed, &from, &to), Err(ReasonCode::SenderFrozen));
        from = Wallet { frozen: units(1), ..wallet(10) };
        assert_eq!(told(&closed, &from, &to), Err(ReasonCode::AmountFrozen));
        from = Wallet { held: units(1), ..wallet(10) };
        assert_eq!(told(&closed, &from, &to), Err(ReasonCode::AmountHeld));
        from = Wallet { investor: Investor::default(), ..wallet(10) };
        assert_eq!(told(&closed, &from, &to), Err(ReasonCode::RecipientFrozen));
        to.address_frozen = false;
        assert_eq!(told(&closed, &from, &to), Err(ReasonCode::SenderNotWhitelisted));
        from = wallet(10);
        assert_eq!(told(&closed, &from, &to), Err(ReasonCode::RecipientNotWhitelisted));
        to.investor = Investor { whitelisted: true, country_refused: true, kyc_expires_at: NOW, ..to.investor };
        assert_eq!(told(&closed, &from, &to), Err(ReasonCode::RecipientKycExpired));
        to.investor.kyc_expires_at = NOW + 1;
        assert_eq!(told(&closed, &from, &to), Err(ReasonCode::RecipientCountry));
        to.investor.country_refused = false;
        assert_eq!(told(&closed, &from, &to), Ok(()));
    }

    #[test]
    fn above_the_balance_neither_freeze_nor_hold_stands_in_the_way() {
        let from = Wallet { frozen: units(4), held: units(3), ..wallet(10) };
        let to = wallet(0);
        for (amount, verdict) in [
            (3, Ok(())),
            (4, Err(ReasonCode::AmountHeld)),
            (7, Err(ReasonCode::AmountFrozen)),
            (10, Err(ReasonCode::AmountFrozen)),
            (11, Ok(())),
        ] {
            assert_eq!(moved(&from, &to, amount), verdict, "{amount}");
        }
        assert_eq!(covers(&from, units(11)), Err(ReasonCode::InsufficientBalance));
    }

    #[test]
    fn who_gives_all_away_makes_room_for_another_holder() {
        let full = Token { max_holders: 2, holders: 2, ..token() };
        let told = |to: &Wallet, amount| transfer(&full, &wallet(10), Some(to), units(amount), NOW);
        assert_eq!(told(&wallet(0), 9), Err(ReasonCode::HolderLimit));
        assert_eq!(told(&wallet(0), 10), Ok(()));
        assert_eq!(told(&wallet(0), 0), Ok(()), "nothing makes no holder");
        assert_eq!(told(&wallet(1), 9), Ok(()));
        assert_eq!(mint(&full, &wallet(0), units(1), NOW), Err(ReasonCode::HolderLimit));
    }

    #[test]
    fn a_wallet_holds_no_more_than_the_limit() {
        let limited = Token { max_balance: units(10), ..token() };
        let told = |balance, amount| mint(&limited, &wallet(balance), units(amount), NOW);
        assert_eq!((told(4, 6), told(4, 7)), (Ok(()), Err(ReasonCode::BalanceLimit)));
        assert_eq!(told(11, 1), Err(ReasonCode::BalanceLimit));
        assert_eq!(transfer(&limited, &wallet(11), None, units(11), NOW), Ok(()), "what is not moved breaks none");
    }

    #[test]
    fn a_mint_has_its_own_pause_and_a_burn_does_not_ask_the_registry() {
        let paused = Token { supply_paused: true, ..token() };
        assert_eq!(mint(&paused, &wallet(0), units(1), NOW), Err(ReasonCode::SupplyPaused));
        assert_eq!(burn(&paused, &wallet(1), units(1)), Err(ReasonCode::SupplyPaused));
        assert_eq!(mint(&token(), &wallet(0), units(1_001), NOW), Err(ReasonCode::MaxSupplyExceeded));
        assert_eq!(burn(&token(), &Wallet { investor: Investor::default(), ..wallet(1) }, units(1)), Ok(()));
    }
}
