//! The call that makes a token.

use alloy::primitives::{U256, Uint};
use alloy::sol_types::SolCall;
use tokenx_contracts::ReasonCode;
use tokenx_contracts::bindings::{NodeFactory, TokenConfig};

use super::{Bound, bound};
use crate::Operation;
use crate::commands::Doors;
use crate::facts::Facts;
use crate::refusal::{Field, Refusal};

/// Bytes of a name and of a symbol: what the gas of the call is reckoned with.
const MAX_NAME: usize = 128;
const MAX_SYMBOL: usize = 32;

pub(super) fn token(operation: &Operation, facts: &Facts, doors: &Doors) -> Result<Bound, Refusal> {
    let Operation::DeployToken {
        instrument,
        node,
        name,
        symbol,
        decimals,
        max_supply,
        daily_mint_limit,
        daily_burn_limit,
        daily_force_limit,
    } = operation
    else {
        return Err(Refusal::plain(ReasonCode::CommandMalformed, Field::Instrument));
    };
    let Some(factory) = doors.factory else {
        let message = "no node factory is configured: set chain.factory".to_owned();
        return Err(Refusal::with(ReasonCode::UnknownNode, Field::Node, message));
    };
    let Some(executor) = facts.node_executor else {
        return Err(Refusal::with(ReasonCode::UnknownNode, Field::Node, format!("there is no node of key {node}")));
    };
    if facts.instrument.is_some() {
        let message = format!("there is an instrument {:?} already", instrument.as_str());
        return Err(Refusal::with(ReasonCode::InstrumentExists, Field::Instrument, message));
    }
    text("name", name, MAX_NAME)?;
    text("symbol", symbol, MAX_SYMBOL)?;
    if *decimals > 18 {
        return Err(invalid(format!("{decimals} decimals are too many: use up to 18")));
    }
    if max_supply.is_zero() {
        return Err(invalid("a maximum supply of nothing: give more".to_owned()));
    }
    let config = TokenConfig {
        nodeKey: *node,
        instrumentId: instrument.as_str().to_owned(),
        name: name.clone(),
        symbol: symbol.clone(),
        decimals: *decimals,
        maxSupply: U256::from(kept("maximum supply", *max_supply)?),
        dailyMintLimit: kept("daily mint limit", *daily_mint_limit)?,
        dailyBurnLimit: kept("daily burn limit", *daily_burn_limit)?,
        dailyForceLimit: kept("daily force limit", *daily_force_limit)?,
    };
    Ok(bound(operation, executor, factory, NodeFactory::deployTokenCall { config }.abi_encode()))
}

fn kept(what: &str, amount: U256) -> Result<Uint<104, 2>, Refusal> {
    if amount.bit_len() > 104 {
        return Err(invalid(format!("the {what} {amount} is more than 104 bits hold")));
    }
    Ok(Uint::saturating_from(amount))
}

fn text(what: &str, text: &str, longest: usize) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > longest || text.chars().any(char::is_control) {
        return Err(invalid(format!("the {what} {text:?} will not do: use 1 to {longest} bytes of plain text")));
    }
    Ok(())
}

fn invalid(message: String) -> Refusal {
    Refusal::with(ReasonCode::InvalidInstrument, Field::Instrument, message)
}
