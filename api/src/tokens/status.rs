//! Where a token stands: 1 to 8 of the token-details text, a pure function of the chain's facts and of the command that
//! was to deploy it. Nothing is stored: a reorg, a crash or a late block cannot leave it wrong.

use tokenx_indexer::read::node::ListingStatus;
use tokenx_keeper::State;

use super::facts::Facts;

/// The states of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// A record and nothing on chain.
    Draft,
    /// The keeper is at its deployment.
    InProgress,
    /// Its deployment has failed; it may be tried again.
    Error,
    /// Its contract stands and was never for sale.
    NotListed,
    /// It was for sale.
    Delisted,
    /// It is for sale.
    Listed,
    /// It will not be for sale again.
    Passive,
    /// It has ended for ever.
    Burn,
}

/// What may be asked of the keeper for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Action {
    Deploy,
    List,
    Delist,
    Passivate,
    Burn,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 8] = [
        Status::Draft,
        Status::InProgress,
        Status::Error,
        Status::NotListed,
        Status::Delisted,
        Status::Listed,
        Status::Passive,
        Status::Burn,
    ];

    /// What the chain has outweighs what was asked of it: a token that stands is deployed, whoever did it.
    pub fn of(facts: &Facts) -> Status {
        match &facts.deployment {
            Some(deployed) if deployed.retired => Status::Burn,
            Some(deployed) => match deployed.listing.map(|listing| listing.status) {
                Some(ListingStatus::Listed) => Status::Listed,
                Some(ListingStatus::Delisted) => Status::Delisted,
                Some(ListingStatus::Passive) => Status::Passive,
                Some(ListingStatus::NotListed | ListingStatus::Other(_)) | None => Status::NotListed,
            },
            None => match facts.deploying {
                // Taken back before anything was sent: as if it had never been asked.
                None | Some(State::Cancelled) => Status::Draft,
                Some(State::Failed | State::Expired | State::Rejected) => Status::Error,
                Some(
                    State::Accepted
                    | State::AwaitingApproval
                    | State::Ready
                    | State::Prepared
                    | State::Broadcast
                    | State::Mined(_)
                    | State::Confirmed
                    | State::Final,
                ) => Status::InProgress,
            },
        }
    }

    /// Whether nothing of it is on chain, or on its way there.
    pub fn is_open(self) -> bool {
        matches!(self, Status::Draft | Status::Error)
    }

    /// Whether an action leads on from here. The first listing is an offering's approval: `list` goes on with a sale.
    pub fn takes(self, action: Action) -> bool {
        match action {
            Action::Deploy => self.is_open(),
            Action::List => self == Status::Delisted,
            Action::Delist => self == Status::Listed,
            Action::Passivate => matches!(self, Status::NotListed | Status::Listed | Status::Delisted),
            Action::Burn => self == Status::Passive,
        }
    }

    /// Its number in the text.
    pub fn code(self) -> u8 {
        match self {
            Status::Draft => 1,
            Status::InProgress => 2,
            Status::Error => 3,
            Status::NotListed => 4,
            Status::Delisted => 5,
            Status::Listed => 6,
            Status::Passive => 7,
            Status::Burn => 8,
        }
    }

    /// Its name in the text.
    pub fn name(self) -> &'static str {
        match self {
            Status::Draft => "Draft",
            Status::InProgress => "InProgress",
            Status::Error => "Error",
            Status::NotListed => "NotListed",
            Status::Delisted => "Delisted",
            Status::Listed => "Listed",
            Status::Passive => "Passive",
            Status::Burn => "Burn",
        }
    }
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 5] = [Action::Deploy, Action::List, Action::Delist, Action::Passivate, Action::Burn];

    /// Its name in paths, tables and derived command ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Deploy => "deploy",
            Action::List => "list",
            Action::Delist => "delist",
            Action::Passivate => "passivate",
            Action::Burn => "burn",
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, U256};
    use proptest::prelude::*;
    use tokenx_indexer::read::node::Listing;

    use super::super::facts::Deployment;
    use super::*;

    fn listing(status: ListingStatus) -> Listing {
        let zero = U256::ZERO;
        let (token, contract) = (Address::ZERO, Address::ZERO);
        Listing { token, contract, status, terms: None, listed: zero, purchased: zero, fees: zero, sold: zero }
    }

    fn deployed(listing_status: Option<ListingStatus>, retired: bool) -> Deployment {
        Deployment {
            token: Address::ZERO,
            tx_hash: None,
            max_supply: U256::from(1),
            total_supply: U256::ZERO,
            unit: U256::from(1),
            retired,
            listing: listing_status.map(listing),
            fees: None,
        }
    }

    fn any_command() -> impl Strategy<Value = Option<State>> {
        prop::option::of(prop::sample::select(State::ALL.to_vec()))
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        let listing = prop::option::of((0_u8..6).prop_map(ListingStatus::from_code));
        let deployment = prop::option::of((listing, any::<bool>()));
        (deployment, any_command()).prop_map(|(deployment, deploying)| Facts {
            deployment: deployment.map(|(listing, retired)| deployed(listing, retired)),
            deploying,
            node: None,
        })
    }

    proptest! {
        #[test]
        fn a_token_that_stands_is_never_a_draft_and_one_that_does_not_never_more(facts in any_facts()) {
            prop_assert_eq!(Status::of(&facts).code() >= 4, facts.deployment.is_some());
        }

        #[test]
        fn what_was_asked_says_nothing_of_a_token_that_stands(facts in any_facts(), command in any_command()) {
            let other = Facts { deploying: command, ..facts.clone() };
            prop_assert!(facts.deployment.is_none() || Status::of(&facts) == Status::of(&other));
        }

        #[test]
        fn a_deployment_is_tried_again_exactly_when_the_last_one_came_to_nothing(facts in any_facts()) {
            let ended = facts.deploying.is_none_or(|state| {
                matches!(state, State::Failed | State::Cancelled | State::Expired | State::Rejected)
            });
            prop_assert_eq!(Status::of(&facts).takes(Action::Deploy), facts.deployment.is_none() && ended);
        }

        #[test]
        fn what_has_ended_takes_nothing_more(facts in any_facts()) {
            if facts.deployment.as_ref().is_some_and(|deployed| deployed.retired) {
                prop_assert!(Action::ALL.iter().all(|action| !Status::of(&facts).takes(*action)));
            }
        }
    }

    #[test]
    fn the_codes_are_those_of_the_text() {
        let names = Status::ALL.map(|status| format!("{} {}", status.code(), status.name()));
        let text = "1 Draft, 2 InProgress, 3 Error, 4 NotListed, 5 Delisted, 6 Listed, 7 Passive, 8 Burn";
        assert_eq!(names.join(", "), text);
    }
}
