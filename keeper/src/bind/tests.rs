//! Every refusal, and the bytes of every call.

mod mandate;
mod node;

use super::freeze::set as set_frozen;
use super::*;
use crate::facts::{Hold, Investor};
use crate::operation::{CountryMode, Lockup};
use alloy::primitives::{B256, address};
use alloy::sol_types::SolCall;

const TOKEN: Address = address!("00000000000000000000000000000000000000aa");
const EXECUTOR: Address = address!("00000000000000000000000000000000000000ee");
const ALICE: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
const BOB: Address = address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC");
const DOORS: Doors =
    Doors { chain_id: 31_337, registry: Some(TOKEN), registry_executor: Some(EXECUTOR), factory: None };

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
            max_holders: 0,
            holders: 0,
            max_balance: U256::ZERO,
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
        hold: None,
        has_document: false,
        contract: None,
        node_executor: None,
        request: None,
        intent_used: false,
        hosted: Vec::new(),
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
    Operation::ForcedTransfer {
        instrument: rcc(),
        from: ALICE,
        to,
        amount: U256::from(amount),
        reason: B256::ZERO,
        reference: None,
    }
}

fn freeze(amount: u64) -> Operation {
    Operation::Freeze { instrument: rcc(), account: ALICE, amount: U256::from(amount), reason: B256::ZERO }
}

fn unfreeze(amount: u64) -> Operation {
    Operation::Unfreeze { instrument: rcc(), account: ALICE, amount: U256::from(amount), reason: B256::ZERO }
}

fn whitelist(wallet: Address, investor_id: u64) -> Operation {
    Operation::Whitelist { wallet, investor_id, country: 276, investor_class: 1, kyc_expires_at: 0, reason: B256::ZERO }
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
    assert_eq!(code(&burn(71), &frozen), ReasonCode::AmountFrozen);
    frozen.position.address_frozen = true;
    assert_eq!(code(&burn(1), &frozen), ReasonCode::WalletFrozen);
}

#[test]
fn a_refusal_tells_people_whole_tokens_and_the_wallet() {
    let message = |operation: &Operation, facts: &Facts| bind(operation, facts, &DOORS, now()).unwrap_err().message;
    assert_eq!(message(&burn(51), &facts()), format!("the spendable balance of wallet {ALICE} is 5.0, 5.1 were asked"));
    assert_eq!(message(&mint(101), &facts()), "the maximum supply leaves room for 10.0, 10.1 were asked");
    assert_eq!(message(&unfreeze(31), &facts()), format!("the frozen part of wallet {ALICE} is 3.0, 3.1 were asked"));
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
    let mut sanctioned = facts();
    sanctioned.wallet.sanctioned = true;
    assert_eq!(code(&whitelist(ALICE, 1), &sanctioned), ReasonCode::SanctionsHit);
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

fn hold(hold_id: u64) -> [Operation; 2] {
    let (instrument, account, reason) = (rcc(), ALICE, B256::ZERO);
    let release = Operation::ReleaseHold { instrument: instrument.clone(), account, hold_id, reason };
    [release, Operation::ExecuteHold { instrument, account, hold_id, reason }]
}

fn place_hold(amount: u64, until: u64) -> Operation {
    Operation::PlaceHold { instrument: rcc(), account: ALICE, amount: U256::from(amount), until, reason: B256::ZERO }
}

fn recover(amount: u64) -> Operation {
    let (lost, replacement, amount) = (ALICE, BOB, U256::from(amount));
    Operation::Recover { instrument: rcc(), lost, replacement, amount, reason: B256::ZERO }
}

#[test]
fn what_is_held_is_not_free_and_says_so() {
    let mut facts = facts();
    facts.position.held = U256::from(10);
    assert!(bind(&burn(40), &facts, &DOORS, now()).is_ok());
    assert_eq!(code(&burn(41), &facts), ReasonCode::AmountHeld);
    assert_eq!(code(&burn(51), &facts), ReasonCode::InsufficientSpendable);
    assert_eq!(code(&place_hold(41, 0), &facts), ReasonCode::AmountHeld);
    assert!(bind(&forced(80, BOB), &facts, &DOORS, now()).is_ok(), "force takes held units too");
}

#[test]
fn a_hold_ends_ahead_or_never_and_a_wallet_has_sixteen_at_most() {
    let mut facts = facts();
    assert!(bind(&place_hold(1, 0), &facts, &DOORS, now()).is_ok());
    assert_eq!(code(&place_hold(1, 1_700_000_000), &facts), ReasonCode::InvalidHold);
    assert_eq!(code(&place_hold(1, u64::MAX), &facts), ReasonCode::InvalidHold);
    facts.position.holds = 16;
    assert_eq!(code(&place_hold(1, 0), &facts), ReasonCode::TooManyHolds);
    facts.position.address_frozen = true;
    assert_eq!(code(&place_hold(1, 0), &facts), ReasonCode::WalletFrozen);
}

#[test]
fn only_our_own_hold_is_released_or_executed_and_no_expired_one_is_executed() {
    let mut facts = facts();
    for operation in hold(1) {
        assert_eq!(code(&operation, &facts), ReasonCode::UnknownHold);
    }
    facts.hold = Some(Hold { amount: U256::from(10), until: 0, agent: None });
    for operation in hold(1) {
        assert_eq!(code(&operation, &facts), ReasonCode::NotHoldAgent);
    }
    facts.hold = Some(Hold { amount: U256::from(10), until: 1_700_000_000, agent: Some(EXECUTOR) });
    let [release, execute] = hold(1);
    assert!(bind(&release, &facts, &DOORS, now()).is_ok());
    assert_eq!(code(&execute, &facts), ReasonCode::HoldExpired);
    facts.hold = Some(Hold { amount: U256::from(80), until: 0, agent: Some(EXECUTOR) });
    assert_eq!(code(&execute, &facts), ReasonCode::AmountFrozen);
}

#[test]
fn limits_and_countries_bind_who_receives() {
    let mut facts = facts();
    facts.wallet.country_refused = true;
    assert_eq!(code(&mint(1), &facts), ReasonCode::RecipientCountry);
    facts.wallet.country_refused = false;
    facts.instrument.as_mut().unwrap().max_balance = U256::from(100);
    assert_eq!(code(&mint(1), &facts), ReasonCode::BalanceLimit);
    let instrument = facts.instrument.as_mut().unwrap();
    (instrument.max_balance, instrument.max_holders, instrument.holders) = (U256::ZERO, 3, 3);
    assert!(bind(&mint(1), &facts, &DOORS, now()).is_ok(), "who holds already may hold more");
    facts.position.balance = U256::ZERO;
    assert_eq!(code(&mint(1), &facts), ReasonCode::HolderLimit);
}

#[test]
fn a_recovery_moves_all_of_a_revoked_wallet_to_another_of_its_investor() {
    let mut facts = facts();
    assert_eq!(code(&recover(100), &facts), ReasonCode::WalletNotRevoked);
    facts.wallet.whitelisted = false;
    assert!(bind(&recover(100), &facts, &DOORS, now()).is_ok());
    assert_eq!(code(&recover(99), &facts), ReasonCode::RecoveryAmount);
    facts.receiver.investor_id = 2;
    assert_eq!(code(&recover(100), &facts), ReasonCode::NotSameInvestor);
    facts.position.draws_open = true;
    assert_eq!(code(&recover(100), &facts), ReasonCode::PositionBusy);
}

#[test]
fn a_lockup_needs_an_end_ahead() {
    let locked = |until| Operation::MintLocked {
        instrument: rcc(),
        to: ALICE,
        amount: U256::ONE,
        lockup: Lockup::RegS,
        until,
        reason: B256::ZERO,
    };
    assert!(bind(&locked(1_700_000_001), &facts(), &DOORS, now()).is_ok());
    assert_eq!(code(&locked(1_700_000_000), &facts()), ReasonCode::InvalidHold);
}

#[test]
fn a_country_is_its_bit() {
    let rule = |mode, countries: &[u16]| Operation::SetCountryRule {
        instrument: rcc(),
        mode,
        countries: countries.to_vec(),
        reason: B256::ZERO,
    };
    let call = SecurityToken::setCountryRuleCall {
        mode: 2,
        countries: [U256::ONE, U256::from(1) << 20, U256::ZERO, U256::from(1) << 255],
        reason: B256::ZERO,
    };
    assert_eq!(data(&rule(CountryMode::Admit, &[1_023, 276, 0])), Bytes::from(call.abi_encode()));
    assert_eq!(code(&rule(CountryMode::Admit, &[1_024]), &facts()), ReasonCode::InvalidCountryRule);
    assert_eq!(code(&rule(CountryMode::None, &[276]), &facts()), ReasonCode::InvalidCountryRule);
}

#[test]
fn a_document_has_a_name_a_hash_and_an_address_of_bounded_length() {
    let one = B256::repeat_byte(1);
    let set = |name, uri: String, hash| Operation::SetDocument { instrument: rcc(), name, uri, hash };
    assert!(bind(&set(one, "https://example.org".into(), one), &facts(), &DOORS, now()).is_ok());
    for wrong in
        [set(B256::ZERO, String::new(), one), set(one, String::new(), B256::ZERO), set(one, "u".repeat(2_049), one)]
    {
        assert_eq!(code(&wrong, &facts()), ReasonCode::InvalidDocument);
    }
    assert_eq!(
        code(&Operation::RemoveDocument { instrument: rcc(), name: one }, &facts()),
        ReasonCode::UnknownDocument
    );
}
