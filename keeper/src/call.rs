//! From an operation to the call that does it: may it run as far as the indexed chain says, by which Executor, on
//! which contract, with which bytes and how much gas. Pure, so that every refusal is a table test.

use alloy::primitives::{Address, Bytes, U256, Uint};
use alloy::sol_types::SolCall;
use time::OffsetDateTime;
use tokenx_contracts::bindings::{InvestorRegistry, SecurityToken};
use tokenx_contracts::{Amount, InstrumentId, ReasonCode};

use crate::Operation;
use crate::commands::Doors;
use crate::facts::{Facts, Instrument, Investor, Position};
use crate::gas::{self, ItemGas};
use crate::refusal::{Field, Refusal};

/// A command as the chain will get it; fixed at intake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The door it goes through.
    pub executor: Address,
    /// The contract called.
    pub target: Address,
    /// The call.
    pub data: Bytes,
    /// Gas of the item.
    pub gas: ItemGas,
}

/// The registry's flag of a wallet that may hold and trade.
const WHITELISTED: u8 = 1;

/// Checks an operation against the facts and builds its call. The chain has the last word: this answers early what
/// it would refuse late.
///
/// # Errors
/// The first reason that stands in the way.
pub fn bind(operation: &Operation, facts: &Facts, doors: &Doors, now: OffsetDateTime) -> Result<Bound, Refusal> {
    match operation {
        Operation::Whitelist { wallet, investor_id, country, investor_class, kyc_expires_at, reason } => {
            check_whitelist(*wallet, *investor_id, &facts.wallet)?;
            let record = tokenx_contracts::bindings::Investor {
                investorId: *investor_id,
                country: *country,
                investorClass: *investor_class,
                kycExpiresAt: Uint::<40, 1>::saturating_from(*kyc_expires_at),
                flags: WHITELISTED,
            };
            let call = InvestorRegistry::setInvestorCall { wallet: *wallet, investor: record, reason: *reason };
            registry(operation, doors, call.abi_encode())
        }
        Operation::Revoke { wallet, reason } => {
            if facts.wallet.investor_id == 0 {
                return Err(Refusal::with(
                    ReasonCode::UnknownWallet,
                    Field::Wallet,
                    format!("the registry knows no wallet {wallet}"),
                ));
            }
            registry(operation, doors, InvestorRegistry::revokeCall { wallet: *wallet, reason: *reason }.abi_encode())
        }
        _ => token(operation, facts, now),
    }
}

fn registry(operation: &Operation, doors: &Doors, data: Vec<u8>) -> Result<Bound, Refusal> {
    let (Some(target), Some(executor)) = (doors.registry, doors.registry_executor) else {
        return Err(Refusal::with(
            ReasonCode::RegistryUnavailable,
            Field::Wallet,
            "no investor registry is configured: set chain.registry and chain.registry_executor".to_owned(),
        ));
    };
    Ok(bound(operation, executor, target, data))
}

fn bound(operation: &Operation, executor: Address, target: Address, data: Vec<u8>) -> Bound {
    Bound { executor, target, gas: gas::of_item(operation, &data), data: data.into() }
}

fn token(operation: &Operation, facts: &Facts, now: OffsetDateTime) -> Result<Bound, Refusal> {
    let (instrument, executor) = operated(operation, facts)?;
    let position = &facts.position;
    let tokens = |base: U256| Amount::new(base, instrument.decimals);
    one_at_a_time(operation, position)?;
    let data = match operation {
        Operation::Mint { to, amount, reason, .. } => {
            supply_open(instrument)?;
            may_receive(*to, &facts.wallet, position.address_frozen, Field::Wallet, now)?;
            let room = instrument.max_supply.unwrap_or(U256::MAX).saturating_sub(instrument.total_supply);
            if *amount > room {
                let (room, asked) = (tokens(room), tokens(*amount));
                let message = format!("the maximum supply leaves room for {room}, {asked} were asked");
                return Err(Refusal::with(ReasonCode::MaxSupplyExceeded, Field::Amount, message));
            }
            SecurityToken::mintCall { to: *to, amount: *amount, reason: *reason }.abi_encode()
        }
        Operation::Burn { from, amount, reason, .. } => {
            supply_open(instrument)?;
            at_most(tokens(*amount), tokens(position.spendable()), *from)?;
            SecurityToken::burnCall { from: *from, amount: *amount, reason: *reason }.abi_encode()
        }
        Operation::Freeze { account, amount, reason, .. } => {
            set_frozen(*account, position.frozen.saturating_add(*amount), *reason)
        }
        Operation::Unfreeze { account, amount, reason, .. } => {
            let Some(left) = position.frozen.checked_sub(*amount) else {
                let (frozen, asked) = (tokens(position.frozen), tokens(*amount));
                let message = format!("the frozen part of wallet {account} is {frozen}, {asked} were asked");
                return Err(Refusal::with(ReasonCode::InsufficientBalance, Field::Amount, message));
            };
            set_frozen(*account, left, *reason)
        }
        Operation::FreezeAddress { account, reason, .. } => {
            SecurityToken::setAddressFrozenCall { account: *account, frozen: true, reason: *reason }.abi_encode()
        }
        Operation::UnfreezeAddress { account, reason, .. } => {
            SecurityToken::setAddressFrozenCall { account: *account, frozen: false, reason: *reason }.abi_encode()
        }
        Operation::ForcedTransfer { from, to, amount, reason, .. } => {
            if from == to {
                return Err(Refusal::plain(ReasonCode::SelfTransfer, Field::Receiver));
            }
            may_receive(*to, &facts.receiver, facts.receiver_frozen, Field::Receiver, now)?;
            at_most(tokens(*amount), tokens(position.seizable()), *from)?;
            forced_transfer(*from, *to, *amount, *reason)
        }
        Operation::ForcedBurn { from, amount, reason, .. } => {
            at_most(tokens(*amount), tokens(position.seizable()), *from)?;
            SecurityToken::forcedBurnCall { from: *from, amount: *amount, reason: *reason }.abi_encode()
        }
        Operation::Pause { reason, .. } => SecurityToken::pauseCall { reason: *reason }.abi_encode(),
        Operation::Unpause { reason, .. } => SecurityToken::unpauseCall { reason: *reason }.abi_encode(),
        Operation::Whitelist { .. } | Operation::Revoke { .. } => Vec::new(),
    };
    Ok(bound(operation, executor, instrument.token, data))
}

fn operated<'f>(operation: &Operation, facts: &'f Facts) -> Result<(&'f Instrument, Address), Refusal> {
    let id = operation.instrument().map(InstrumentId::as_str).unwrap_or_default();
    let Some(instrument) = &facts.instrument else {
        let message = format!("there is no instrument {id:?}");
        return Err(Refusal::with(ReasonCode::UnknownInstrument, Field::Instrument, message));
    };
    let Some(executor) = instrument.executor else {
        let message = format!("instrument {id:?} is followed but not operated here");
        return Err(Refusal::with(ReasonCode::InstrumentNotOperated, Field::Instrument, message));
    };
    if instrument.inexact {
        return Err(Refusal::plain(ReasonCode::InstrumentInexact, Field::Instrument));
    }
    Ok((instrument, executor))
}

/// The chain's call of a partial freeze says what is frozen afterwards, and force takes frozen units too: the figure
/// fixed here is right only if no open command can change what is frozen, be it by running or by failing to.
fn one_at_a_time(operation: &Operation, position: &Position) -> Result<(), Refusal> {
    let waits_for = match operation {
        Operation::Freeze { .. } | Operation::Unfreeze { .. } => position.freeze_open || position.force_open,
        Operation::ForcedTransfer { .. } | Operation::ForcedBurn { .. } => position.freeze_open,
        _ => false,
    };
    match operation.wallet() {
        Some(wallet) if waits_for => Err(Refusal::of_wallet(ReasonCode::PositionBusy, Field::Wallet, wallet)),
        _ => Ok(()),
    }
}

fn supply_open(instrument: &Instrument) -> Result<(), Refusal> {
    if instrument.supply_paused {
        return Err(Refusal::plain(ReasonCode::SupplyPaused, Field::Instrument));
    }
    Ok(())
}

/// What the registry and a freeze say of a wallet that is to receive; the gravest first.
fn may_receive(
    wallet: Address,
    investor: &Investor,
    frozen: bool,
    field: Field,
    now: OffsetDateTime,
) -> Result<(), Refusal> {
    let now = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let code = if investor.sanctioned {
        ReasonCode::RecipientSanctioned
    } else if !investor.whitelisted {
        ReasonCode::WalletNotWhitelisted
    } else if investor.kyc_expires_at != 0 && now >= investor.kyc_expires_at {
        ReasonCode::KycExpired
    } else if frozen {
        ReasonCode::WalletFrozen
    } else {
        return Ok(());
    };
    Err(Refusal::of_wallet(code, field, wallet))
}

fn at_most(asked: Amount, spendable: Amount, wallet: Address) -> Result<(), Refusal> {
    if asked.base() > spendable.base() {
        return Err(Refusal::insufficient_spendable(wallet, spendable, asked));
    }
    Ok(())
}

fn check_whitelist(wallet: Address, investor_id: u64, known: &Investor) -> Result<(), Refusal> {
    if wallet.is_zero() {
        return Err(Refusal::plain(ReasonCode::InvalidWallet, Field::Wallet));
    }
    if investor_id == 0 {
        return Err(Refusal::plain(ReasonCode::InvalidInvestor, Field::Wallet));
    }
    if known.investor_id != 0 && known.investor_id != investor_id {
        let message = format!("wallet {wallet} belongs to investor {} and stays there", known.investor_id);
        return Err(Refusal::with(ReasonCode::WalletBelongsToOther, Field::Wallet, message));
    }
    Ok(())
}

// Both have an ERC-7943 form without a reason beside them, so the bindings number them.

fn set_frozen(account: Address, amount: U256, reason: alloy::primitives::B256) -> Vec<u8> {
    SecurityToken::setFrozenTokens_0Call { account, amount, reason }.abi_encode()
}

fn forced_transfer(from: Address, to: Address, amount: U256, reason: alloy::primitives::B256) -> Vec<u8> {
    SecurityToken::forcedTransfer_1Call { from, to, amount, reason }.abi_encode()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{B256, address};
    use alloy::sol_types::SolCall;

    const TOKEN: Address = address!("00000000000000000000000000000000000000aa");
    const EXECUTOR: Address = address!("00000000000000000000000000000000000000ee");
    const ALICE: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
    const BOB: Address = address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC");
    const DOORS: Doors = Doors { chain_id: 31_337, registry: Some(TOKEN), registry_executor: Some(EXECUTOR) };

    fn facts() -> Facts {
        let investor = Investor { investor_id: 1, whitelisted: true, ..Investor::default() };
        Facts {
            instrument: Some(Instrument {
                token: TOKEN,
                decimals: 1,
                executor: Some(EXECUTOR),
                total_supply: U256::from(900),
                max_supply: Some(U256::from(1_000)),
                supply_paused: false,
                inexact: false,
            }),
            position: Position {
                balance: U256::from(100),
                frozen: U256::from(30),
                reserved: U256::from(20),
                ..Default::default()
            },
            wallet: investor,
            receiver_frozen: false,
            receiver: investor,
        }
    }

    fn rcc() -> InstrumentId {
        "rCC".parse().unwrap()
    }

    fn mint(amount: u64) -> Operation {
        Operation::Mint { instrument: rcc(), to: ALICE, amount: U256::from(amount), reason: B256::ZERO }
    }

    fn burn(amount: u64) -> Operation {
        Operation::Burn { instrument: rcc(), from: ALICE, amount: U256::from(amount), reason: B256::ZERO }
    }

    fn forced(amount: u64, to: Address) -> Operation {
        Operation::ForcedTransfer { instrument: rcc(), from: ALICE, to, amount: U256::from(amount), reason: B256::ZERO }
    }

    fn freeze(amount: u64) -> Operation {
        Operation::Freeze { instrument: rcc(), account: ALICE, amount: U256::from(amount), reason: B256::ZERO }
    }

    fn unfreeze(amount: u64) -> Operation {
        Operation::Unfreeze { instrument: rcc(), account: ALICE, amount: U256::from(amount), reason: B256::ZERO }
    }

    fn whitelist(wallet: Address, investor_id: u64) -> Operation {
        Operation::Whitelist {
            wallet,
            investor_id,
            country: 276,
            investor_class: 1,
            kyc_expires_at: 0,
            reason: B256::ZERO,
        }
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
    }

    fn code(operation: &Operation, facts: &Facts) -> ReasonCode {
        bind(operation, facts, &DOORS, now()).unwrap_err().code
    }

    fn data(operation: &Operation) -> Bytes {
        bind(operation, &facts(), &DOORS, now()).unwrap().data
    }

    #[test]
    fn calls_carry_the_reason_in_the_form_the_executor_allows() {
        let selector = |signature: &str| alloy::primitives::keccak256(signature)[..4].to_vec();
        assert_eq!(data(&mint(1))[..4], selector("mint(address,uint256,bytes32)"));
        assert_eq!(data(&burn(1))[..4], selector("burn(address,uint256,bytes32)"));
        assert_eq!(data(&freeze(1))[..4], selector("setFrozenTokens(address,uint256,bytes32)"));
        assert_eq!(data(&forced(1, BOB))[..4], selector("forcedTransfer(address,address,uint256,bytes32)"));
    }

    #[test]
    fn an_instrument_must_exist_be_operated_and_add_up() {
        let mut facts = facts();
        facts.instrument.as_mut().unwrap().inexact = true;
        assert_eq!(code(&mint(1), &facts), ReasonCode::InstrumentInexact);
        facts.instrument.as_mut().unwrap().executor = None;
        assert_eq!(code(&mint(1), &facts), ReasonCode::InstrumentNotOperated);
        facts.instrument = None;
        assert_eq!(code(&mint(1), &facts), ReasonCode::UnknownInstrument);
    }

    #[test]
    fn a_mint_stops_at_the_maximum_supply() {
        assert!(bind(&mint(100), &facts(), &DOORS, now()).is_ok());
        assert_eq!(code(&mint(101), &facts()), ReasonCode::MaxSupplyExceeded);
    }

    #[test]
    fn a_mint_needs_a_whitelisted_wallet_with_kyc_that_still_counts() {
        let mut facts = facts();
        facts.wallet.kyc_expires_at = 1_700_000_000;
        assert_eq!(code(&mint(1), &facts), ReasonCode::KycExpired);
        facts.wallet.whitelisted = false;
        assert_eq!(code(&mint(1), &facts), ReasonCode::WalletNotWhitelisted);
        facts.wallet.sanctioned = true;
        assert_eq!(code(&mint(1), &facts), ReasonCode::RecipientSanctioned);
    }

    #[test]
    fn nothing_is_minted_to_a_frozen_wallet_or_while_supply_is_paused() {
        let mut facts = facts();
        facts.position.address_frozen = true;
        assert_eq!(code(&mint(1), &facts), ReasonCode::WalletFrozen);
        facts.instrument.as_mut().unwrap().supply_paused = true;
        assert_eq!(code(&mint(1), &facts), ReasonCode::SupplyPaused);
        assert_eq!(code(&burn(1), &facts), ReasonCode::SupplyPaused);
    }

    #[test]
    fn a_burn_takes_neither_frozen_nor_reserved_units() {
        assert!(bind(&burn(50), &facts(), &DOORS, now()).is_ok());
        assert_eq!(code(&burn(51), &facts()), ReasonCode::InsufficientSpendable);
        let mut frozen = facts();
        frozen.position.address_frozen = true;
        assert_eq!(code(&burn(1), &frozen), ReasonCode::InsufficientSpendable);
    }

    #[test]
    fn a_refusal_tells_people_whole_tokens_and_the_wallet() {
        let message = |operation: &Operation, facts: &Facts| bind(operation, facts, &DOORS, now()).unwrap_err().message;
        assert_eq!(
            message(&burn(51), &facts()),
            format!("the spendable balance of wallet {ALICE} is 5.0, 5.1 were asked")
        );
        assert_eq!(message(&mint(101), &facts()), "the maximum supply leaves room for 10.0, 10.1 were asked");
        assert_eq!(
            message(&unfreeze(31), &facts()),
            format!("the frozen part of wallet {ALICE} is 3.0, 3.1 were asked")
        );
        let stranger = Facts { wallet: Investor::default(), ..facts() };
        assert_eq!(message(&mint(1), &stranger), format!("the wallet is not whitelisted: {ALICE}"));
    }

    #[test]
    fn force_takes_frozen_units_but_not_those_that_already_leave() {
        assert!(bind(&forced(80, BOB), &facts(), &DOORS, now()).is_ok());
        assert_eq!(code(&forced(81, BOB), &facts()), ReasonCode::InsufficientSpendable);
        assert_eq!(code(&forced(1, ALICE), &facts()), ReasonCode::SelfTransfer);
    }

    #[test]
    fn a_partial_freeze_says_what_is_frozen_afterwards() {
        let reason = B256::ZERO;
        assert_eq!(data(&freeze(5)), Bytes::from(set_frozen(ALICE, U256::from(35), reason)));
        assert_eq!(data(&unfreeze(30)), Bytes::from(set_frozen(ALICE, U256::ZERO, reason)));
        assert_eq!(code(&unfreeze(31), &facts()), ReasonCode::InsufficientBalance);
    }

    #[test]
    fn what_sets_or_takes_frozen_units_waits_for_what_else_does() {
        let mut facts = facts();
        facts.position.force_open = true;
        for waits in [freeze(1), unfreeze(1)] {
            assert_eq!(code(&waits, &facts), ReasonCode::PositionBusy);
        }
        assert!(bind(&forced(1, BOB), &facts, &DOORS, now()).is_ok());
        facts.position = Position { freeze_open: true, force_open: false, ..facts.position };
        for waits in [freeze(1), unfreeze(1), forced(1, BOB)] {
            assert_eq!(code(&waits, &facts), ReasonCode::PositionBusy);
        }
        assert!(bind(&burn(1), &facts, &DOORS, now()).is_ok());
        assert!(bind(&mint(1), &facts, &DOORS, now()).is_ok());
    }

    #[test]
    fn a_wallet_never_moves_to_another_investor() {
        assert!(bind(&whitelist(ALICE, 1), &facts(), &DOORS, now()).is_ok());
        assert_eq!(code(&whitelist(ALICE, 2), &facts()), ReasonCode::WalletBelongsToOther);
        assert_eq!(code(&whitelist(Address::ZERO, 1), &Facts::default()), ReasonCode::InvalidWallet);
        assert_eq!(code(&whitelist(ALICE, 0), &Facts::default()), ReasonCode::InvalidInvestor);
    }

    #[test]
    fn the_registry_needs_a_door() {
        let closed = Doors { registry_executor: None, ..DOORS };
        let refusal = bind(&whitelist(ALICE, 1), &facts(), &closed, now()).unwrap_err();
        assert_eq!(refusal.code, ReasonCode::RegistryUnavailable);
    }

    #[test]
    fn a_pause_is_what_it_says() {
        let pause = Operation::Pause { instrument: rcc(), reason: B256::ZERO };
        assert_eq!(data(&pause)[..4], SecurityToken::pauseCall::SELECTOR);
    }
}
