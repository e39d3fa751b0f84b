//! Which contracts are listened to.

use std::collections::HashMap;

use alloy::primitives::{Address, B256};

use crate::event::{FactoryEvent, TRANSFER};
use crate::source::Query;
use crate::{ChainLog, Event, event};

/// What a watched contract is to us; decides what its logs may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Deploys nodes and tokens; believed because settings name it.
    Factory,
    /// Says who stands behind a wallet.
    Registry,
    /// The keeper's door.
    Executor,
    /// A token that a factory of ours deployed.
    Token,
    /// Somebody else's ERC-20, followed by a setting.
    Followed,
    /// A node's primary sale.
    Listing,
    /// A node's market.
    SecondaryMarket,
    /// Where a node's tokens change hands by agreement.
    OtcDesk,
    /// Pays a node's rental income.
    RentDistributor,
    /// A node's fees.
    FeeVault,
    /// Takes a node's tokens back for money.
    RedemptionDesk,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Factory,
        Self::Registry,
        Self::Executor,
        Self::Token,
        Self::Followed,
        Self::Listing,
        Self::SecondaryMarket,
        Self::OtcDesk,
        Self::RentDistributor,
        Self::FeeVault,
        Self::RedemptionDesk,
    ];

    /// Its name in the `watched` table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Factory => "factory",
            Self::Registry => "registry",
            Self::Executor => "executor",
            Self::Token => "token",
            Self::Followed => "followed",
            Self::Listing => "listing",
            Self::SecondaryMarket => "secondary_market",
            Self::OtcDesk => "otc_desk",
            Self::RentDistributor => "rent_distributor",
            Self::FeeVault => "fee_vault",
            Self::RedemptionDesk => "redemption_desk",
        }
    }

    /// The reverse of [`Self::name`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A contract that a factory's log made known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) address: Address,
    pub(crate) kind: Kind,
    pub(crate) node_key: Option<B256>,
    pub(crate) block: u64,
}

/// The contracts whose logs a range must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WatchSet {
    kinds: HashMap<Address, Kind>,
}

impl WatchSet {
    pub(crate) fn insert(&mut self, address: Address, kind: Kind) {
        // A followed token that a factory of ours turns out to have made is ours.
        let known = self.kinds.entry(address).or_insert(kind);
        if *known == Kind::Followed {
            *known = kind;
        }
    }

    pub(crate) fn kind(&self, address: Address) -> Option<Kind> {
        self.kinds.get(&address).copied()
    }

    /// Those of `self` that are not in `asked`, or are there as another kind.
    pub(crate) fn beyond(&self, asked: &Self) -> Self {
        let kinds = self.kinds.iter().filter(|(address, kind)| asked.kinds.get(*address) != Some(kind));
        Self { kinds: kinds.map(|(address, kind)| (*address, *kind)).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// What to ask a node for: everything of our own contracts, of followed ones only movements.
    pub(crate) fn queries(&self) -> Vec<Query> {
        let (mut followed, mut own): (Vec<Address>, Vec<Address>) =
            self.kinds.keys().copied().partition(|address| self.kind(*address) == Some(Kind::Followed));
        own.sort_unstable();
        followed.sort_unstable();
        [Query { addresses: own, topics: Vec::new() }, Query { addresses: followed, topics: vec![TRANSFER] }]
            .into_iter()
            .filter(|query| !query.addresses.is_empty())
            .collect()
    }

    /// Decodes every log by what its contract is to us.
    pub(crate) fn decode(&self, logs: &mut [ChainLog]) {
        for log in logs {
            log.event = self.kind(log.address).and_then(|kind| event::decode(kind, &log.topics, &log.data));
        }
    }

    /// Contracts that the factories' logs among `logs` made known, in order.
    pub(crate) fn found(&self, logs: &[ChainLog]) -> Vec<Found> {
        let mut all = Vec::new();
        for log in logs.iter().filter(|log| self.kind(log.address) == Some(Kind::Factory)) {
            let mut found =
                |address, kind, node_key| all.push(Found { address, kind, node_key, block: log.block_number });
            match event::decode(Kind::Factory, &log.topics, &log.data) {
                Some(Event::Factory(FactoryEvent::NodeDeployed(e))) => {
                    event::contracts_of(&e).for_each(|(kind, address)| found(address, kind, Some(e.nodeKey)));
                }
                Some(Event::Factory(FactoryEvent::NodeExecutorReplaced(e))) => {
                    found(e.newExecutor, Kind::Executor, Some(e.nodeKey));
                }
                Some(Event::Factory(FactoryEvent::TokenDeployed(e))) => found(e.token, Kind::Token, None),
                _ => {}
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use alloy::sol_types::SolEvent;
    use tokenx_contracts::bindings::{NodeContracts, NodeFactory};

    use super::*;

    #[test]
    fn no_watched_contract_means_no_query_and_not_every_contract() {
        assert!(WatchSet::default().queries().is_empty());
    }

    const FACTORY: Address = Address::repeat_byte(1);

    /// A factory's word in block 7.
    fn said(event: &impl SolEvent) -> ChainLog {
        let said = event.encode_log_data();
        ChainLog {
            block_number: 7,
            block_hash: B256::ZERO,
            timestamp: 0,
            tx_hash: B256::ZERO,
            tx_index: 0,
            log_index: 0,
            address: FACTORY,
            topics: said.topics().to_vec(),
            data: said.data,
            event: None,
            command: None,
        }
    }

    fn found(event: &impl SolEvent) -> Vec<Found> {
        let mut set = WatchSet::default();
        set.insert(FACTORY, Kind::Factory);
        set.found(&[said(event)])
    }

    /// Its commands come through another door from then on.
    #[test]
    fn the_executor_that_succeeds_a_nodes_own_is_found() {
        let (next, key) = (Address::repeat_byte(2), B256::repeat_byte(3));
        let event = NodeFactory::NodeExecutorReplaced {
            nodeKey: key,
            oldExecutor: Address::repeat_byte(4),
            newExecutor: next,
            operator: Address::repeat_byte(5),
        };
        assert_eq!(found(&event), [Found { address: next, kind: Kind::Executor, node_key: Some(key), block: 7 }]);
    }

    #[test]
    fn a_nodes_contracts_are_found_with_it_and_those_it_has_none_of_are_not() {
        let (executor, listing, desk) = (Address::repeat_byte(2), Address::repeat_byte(3), Address::repeat_byte(4));
        let event = NodeFactory::NodeDeployed {
            nodeKey: B256::repeat_byte(9),
            issuer: B256::ZERO,
            executor,
            treasury: Address::repeat_byte(5),
            admin: Address::repeat_byte(6),
            contracts: NodeContracts { listing, redemptionDesk: desk, ..NodeContracts::default() },
        };
        let kinds: Vec<_> = found(&event).iter().map(|found| (found.kind, found.address)).collect();
        let expected = [(Kind::Executor, executor), (Kind::Listing, listing), (Kind::RedemptionDesk, desk)];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn only_a_followed_token_is_asked_by_topic() {
        let mut set = WatchSet::default();
        set.insert(Address::repeat_byte(1), Kind::Factory);
        set.insert(Address::repeat_byte(2), Kind::Token);
        set.insert(Address::repeat_byte(3), Kind::Followed);
        let queries = set.queries();
        assert_eq!(queries.len(), 2);
        assert!(queries[0].topics.is_empty());
        assert_eq!(queries[0].addresses, [Address::repeat_byte(1), Address::repeat_byte(2)]);
        assert_eq!(queries[1].topics, [TRANSFER]);
    }

    #[test]
    fn a_followed_token_that_turns_out_to_be_ours_is_asked_again_in_full() {
        let mut asked = WatchSet::default();
        asked.insert(Address::repeat_byte(3), Kind::Followed);
        let mut now = asked.clone();
        now.insert(Address::repeat_byte(3), Kind::Token);
        assert_eq!(now.beyond(&asked).kind(Address::repeat_byte(3)), Some(Kind::Token));
    }

    #[test]
    fn every_kind_has_its_own_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
        }
    }
}
