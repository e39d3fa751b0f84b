//! Why a request is refused before anything is recorded, and which of its fields it is about.

use alloy::primitives::Address;
use tokenx_contracts::{Amount, ReasonCode};

/// The field of the request that stands in the way; surfaces have their own names for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The instrument.
    Instrument,
    /// The wallet that is drawn on or is the subject.
    Wallet,
    /// The receiving wallet of a movement between two.
    Receiver,
    /// The amount.
    Amount,
    /// When it ends.
    Until,
    /// The hold.
    Hold,
    /// The list of countries.
    Countries,
    /// The document.
    Document,
    /// Terms of a contract.
    Terms,
    /// What a wallet has signed, or that it has.
    Signature,
    /// The order or the deal.
    Order,
    /// The node.
    Node,
    /// The contract of the node.
    Contract,
}

/// A refusal of state: nothing is recorded, the id stays free.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Why, as a code.
    pub code: ReasonCode,
    /// What about.
    pub field: Field,
    /// Why, as a sentence with the values.
    pub message: String,
}

impl Refusal {
    /// A refusal with the catalogue's own sentence.
    pub fn plain(code: ReasonCode, field: Field) -> Self {
        Self { code, field, message: code.message().to_owned() }
    }

    /// A refusal for the state that a wallet is in; names the wallet, since the request may name its party.
    pub fn of_wallet(code: ReasonCode, field: Field, wallet: Address) -> Self {
        Self { code, field, message: format!("{}: {wallet}", code.message()) }
    }

    /// More was asked than the wallet can spend.
    pub fn insufficient_spendable(wallet: Address, spendable: Amount, asked: Amount) -> Self {
        let message = format!("the spendable balance of wallet {wallet} is {spendable}, {asked} were asked");
        Self { code: ReasonCode::InsufficientSpendable, field: Field::Amount, message }
    }

    /// A refusal that names the value that caused it.
    pub fn with(code: ReasonCode, field: Field, message: String) -> Self {
        Self { code, field, message }
    }
}
