//! Where a token stands: 1 to 8 of the token-details text.

use super::facts::Facts;

/// The states of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// A record and nothing on chain.
    Draft,
    /// Its contract stands.
    NotListed,
}

impl Status {
    /// What the chain's facts say.
    pub fn of(facts: &Facts) -> Status {
        if facts.deployment.is_some() { Status::NotListed } else { Status::Draft }
    }

    /// Whether nothing of it is on chain, or on its way there.
    pub fn is_open(self) -> bool {
        self == Status::Draft
    }

    /// Its number in the text.
    pub fn code(self) -> u8 {
        match self {
            Status::Draft => 1,
            Status::NotListed => 4,
        }
    }
}
