//! From an operation to the call that does it: may it run as far as the indexed chain says, by which Executor, on
//! which contract, with which bytes and how much gas. Pure, so that every refusal is a table test.

mod consent;
mod deploy;
mod force;
mod freeze;
mod holds;
mod mandate;
mod payout;
mod registry;
mod rules;
mod sale;
mod signed;
mod supply;
#[cfg(test)]
mod tests;
mod trade;

pub(crate) use mandate::{Call, PermitState, complete};
pub(crate) use payout::MAX_PUSHED;

use alloy::primitives::{Address, Bytes, U256, Uint};
use alloy::sol_types::SolCall;
use time::OffsetDateTime;
use tokenx_contracts::bindings::{self, SecurityToken};
use tokenx_contracts::{Amount, InstrumentId, ReasonCode, restrictions};

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
    /// Signatures are missing in it that the keeper makes for hosted wallets.
    pub mandate: bool,
}

/// What a call of a token, or of a contract of its node, is built from.
struct Case<'a> {
    facts: &'a Facts,
    instrument: &'a Instrument,
    executor: Address,
    /// Unix seconds.
    now: u64,
}

/// Checks an operation against the facts and builds its call. The chain has the last word: this answers early what
/// it would refuse late.
///
/// # Errors
/// The first reason that stands in the way.
pub fn bind(operation: &Operation, facts: &Facts, doors: &Doors, now: OffsetDateTime) -> Result<Bound, Refusal> {
    match operation {
        Operation::Whitelist { wallet, investor_id, country, investor_class, kyc_expires_at, reason } => {
            let record = bindings::Investor {
                investorId: *investor_id,
                country: *country,
                investorClass: *investor_class,
                kycExpiresAt: Uint::saturating_from(*kyc_expires_at),
                flags: registry::WHITELISTED,
            };
            by_registry(operation, doors, registry::whitelist(facts, *wallet, record, *reason)?)
        }
        Operation::Revoke { wallet, reason } => {
            by_registry(operation, doors, registry::revoke(facts, *wallet, *reason)?)
        }
        Operation::DeployToken { .. } => deploy::token(operation, facts, doors),
        _ => by_node(operation, facts, now),
    }
}

fn by_registry(operation: &Operation, doors: &Doors, data: Vec<u8>) -> Result<Bound, Refusal> {
    let (Some(target), Some(executor)) = (doors.registry, doors.registry_executor) else {
        return Err(Refusal::with(
            ReasonCode::RegistryUnavailable,
            Field::Wallet,
            "no investor registry is configured: set chain.registry and chain.registry_executor".to_owned(),
        ));
    };
    Ok(bound(operation, executor, target, data))
}

/// By an instrument's token, or by a contract of its node.
fn by_node(operation: &Operation, facts: &Facts, now: OffsetDateTime) -> Result<Bound, Refusal> {
    use Operation as O;
    let (instrument, executor) = operated(operation, facts)?;
    let target = target(operation, facts, instrument)?;
    let now = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let case = &Case { facts, instrument, executor, now };
    one_at_a_time(operation, &facts.position)?;
    let data = match operation {
        O::Mint { to, amount, reason, .. } => supply::mint(case, *to, *amount, *reason),
        O::MintLocked { to, amount, lockup, until, reason, .. } => {
            supply::mint_locked(case, *to, *amount, (*lockup, *until), *reason)
        }
        O::Burn { from, amount, reason, .. } => supply::burn(case, *from, *amount, *reason),
        O::Freeze { account, amount, reason, .. } => freeze::more(case, *account, *amount, *reason),
        O::Unfreeze { account, amount, reason, .. } => freeze::less(case, *account, *amount, *reason),
        O::FreezeAddress { account, reason, .. } => Ok(freeze::address(*account, true, *reason)),
        O::UnfreezeAddress { account, reason, .. } => Ok(freeze::address(*account, false, *reason)),
        O::ForcedTransfer { from, to, amount, reason, .. } => force::transfer(case, *from, *to, *amount, *reason),
        O::ForcedBurn { from, amount, reason, .. } => force::burn(case, *from, *amount, *reason),
        O::Recover { lost, replacement, amount, reason, .. } => {
            force::recover(case, *lost, *replacement, *amount, *reason)
        }
        O::PlaceHold { account, amount, until, reason, .. } => holds::place(case, *account, *amount, *until, *reason),
        O::ReleaseHold { account, hold_id, reason, .. } => holds::release(case, *account, *hold_id, *reason),
        O::ExecuteHold { account, hold_id, reason, .. } => holds::execute(case, *account, *hold_id, *reason),
        O::ReclaimExpired { account, .. } => Ok(holds::reclaim(*account)),
        O::Pause { reason, .. } => Ok(SecurityToken::pauseCall { reason: *reason }.abi_encode()),
        O::Unpause { reason, .. } => Ok(SecurityToken::unpauseCall { reason: *reason }.abi_encode()),
        O::PauseSupply { reason, .. } => Ok(SecurityToken::pauseSupplyCall { reason: *reason }.abi_encode()),
        O::UnpauseSupply { reason, .. } => Ok(SecurityToken::unpauseSupplyCall { reason: *reason }.abi_encode()),
        O::SetLimits { max_holders, max_balance, reason, .. } => {
            rules::limits(case, *max_holders, *max_balance, *reason)
        }
        O::SetCountryRule { mode, countries, reason, .. } => rules::countries(*mode, countries, *reason),
        O::SetDocument { name, uri, hash, .. } => rules::set_document(*name, uri, *hash),
        O::RemoveDocument { name, .. } => rules::remove_document(case, *name),
        O::Sale(sale) => sale::call(case, sale),
        O::Payout(payout) => payout::call(case, payout),
        O::Trade(trade) => trade::call(case, trade),
        O::Consent(consent) => consent::call(case, consent),
        // Bound above.
        O::Whitelist { .. } | O::Revoke { .. } | O::DeployToken { .. } => {
            return Err(Refusal::plain(ReasonCode::CommandMalformed, Field::Wallet));
        }
    };
    Ok(bound(operation, executor, target, data?))
}

fn bound(operation: &Operation, executor: Address, target: Address, data: Vec<u8>) -> Bound {
    let mandate = operation.mandates().next().is_some();
    Bound { executor, target, gas: gas::of_item(operation, &data), data: data.into(), mandate }
}

/// The contract that does it.
fn target(operation: &Operation, facts: &Facts, instrument: &Instrument) -> Result<Address, Refusal> {
    let Some(contract) = operation.contract() else { return Ok(instrument.token) };
    facts.contract.ok_or_else(|| {
        let message = format!("the instrument's node has no {}", contract.name());
        Refusal::with(ReasonCode::NodeContractMissing, Field::Instrument, message)
    })
}

/// A figure in as many bits as the chain keeps of it.
fn narrow<const BITS: usize, const LIMBS: usize>(what: &str, value: U256) -> Result<Uint<BITS, LIMBS>, Refusal> {
    if value.bit_len() > BITS {
        let message = format!("{what} {value} is more than {BITS} bits hold");
        return Err(Refusal::with(ReasonCode::InvalidTerms, Field::Terms, message));
    }
    Ok(Uint::saturating_from(value))
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
/// fixed here is right only if no open command can change what is frozen, be it by running or by failing to. A
/// recovery names the whole balance: right only if no open command can change that.
fn one_at_a_time(operation: &Operation, position: &Position) -> Result<(), Refusal> {
    let waits_for = match operation {
        Operation::Freeze { .. } | Operation::Unfreeze { .. } => position.freeze_open || position.force_open,
        Operation::ForcedTransfer { .. } | Operation::ForcedBurn { .. } => position.freeze_open,
        Operation::Recover { .. } => position.freeze_open || position.force_open || position.draws_open,
        _ => false,
    };
    match operation.wallet() {
        Some(wallet) if waits_for => Err(Refusal::of_wallet(ReasonCode::PositionBusy, Field::Wallet, wallet)),
        _ => Ok(()),
    }
}

/// The chain tells a sender from a recipient; a request that names one wallet is told of the wallet.
fn of_one_wallet(code: ReasonCode) -> ReasonCode {
    match code {
        ReasonCode::SenderFrozen | ReasonCode::RecipientFrozen => ReasonCode::WalletFrozen,
        ReasonCode::RecipientNotWhitelisted => ReasonCode::WalletNotWhitelisted,
        ReasonCode::RecipientKycExpired => ReasonCode::KycExpired,
        other => other,
    }
}

impl From<Investor> for restrictions::Investor {
    fn from(record: Investor) -> Self {
        let Investor { whitelisted, sanctioned, kyc_expires_at, country_refused, .. } = record;
        Self { whitelisted, sanctioned, kyc_expires_at, country_refused }
    }
}

impl Case<'_> {
    fn tokens(&self, base: U256) -> Amount {
        Amount::new(base, self.instrument.decimals)
    }

    fn supply_open(&self) -> Result<(), Refusal> {
        if self.instrument.supply_paused {
            return Err(Refusal::plain(ReasonCode::SupplyPaused, Field::Instrument));
        }
        Ok(())
    }

    /// The token, as its rules look at it.
    fn token(&self) -> restrictions::Token {
        let Instrument { max_supply, total_supply, max_holders, holders, max_balance, .. } = *self.instrument;
        restrictions::Token {
            // No command is a transfer.
            transfers_paused: false,
            supply_paused: self.instrument.supply_paused,
            left: max_supply.unwrap_or(U256::MAX).saturating_sub(total_supply),
            max_holders: max_holders.unsigned_abs(),
            holders: holders.unsigned_abs(),
            max_balance,
        }
    }

    /// The wallet that the operation is about, as the rules look at it.
    fn wallet(&self) -> restrictions::Wallet {
        let Position { balance, frozen, held, address_frozen, .. } = self.facts.position;
        restrictions::Wallet { balance, frozen, held, address_frozen, investor: self.facts.wallet.into() }
    }

    /// The wallet that receives what another one gives.
    fn receiver(&self) -> restrictions::Wallet {
        let (address_frozen, investor) = (self.facts.receiver_frozen, self.facts.receiver.into());
        restrictions::Wallet { address_frozen, investor, ..restrictions::Wallet::default() }
    }

    /// What the token says of a wallet that is to receive.
    fn may_receive(&self, wallet: Address, record: &restrictions::Wallet, field: Field) -> Result<(), Refusal> {
        restrictions::receives(record, self.now).map_err(|code| Refusal::of_wallet(of_one_wallet(code), field, wallet))
    }

    /// The amount must be free: neither frozen, nor held, nor asked for by an open command.
    fn is_free(&self, amount: U256, wallet: Address) -> Result<(), Refusal> {
        let position = &self.facts.position;
        if amount <= position.spendable() {
            return Ok(());
        }
        if amount <= position.spendable_but_for_holds() {
            return Err(Refusal::of_wallet(ReasonCode::AmountHeld, Field::Amount, wallet));
        }
        Err(Refusal::insufficient_spendable(wallet, self.tokens(position.spendable()), self.tokens(amount)))
    }

    /// A lockup's or hold's end: ahead of now, and a second that the chain's 40 bits hold.
    fn lies_ahead(&self, until: u64) -> Result<Uint<40, 1>, Refusal> {
        let end = Uint::<40, 1>::try_from(until).ok().filter(|_| until > self.now);
        end.ok_or_else(|| {
            let message = format!("second {until} does not lie in the future: give a later one");
            Refusal::with(ReasonCode::InvalidHold, Field::Until, message)
        })
    }
}
