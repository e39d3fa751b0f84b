//! Why a request is refused before anything is recorded, and which of its fields it is about.

use tokenx_contracts::ReasonCode;

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

    /// A refusal that names the value that caused it.
    pub fn with(code: ReasonCode, field: Field, message: String) -> Self {
        Self { code, field, message }
    }
}
