//! What logs say. Decoding never fails loudly: what does not decode is kept raw and counted.

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::{SolEvent, SolEventInterface};

use crate::Kind;

/// The Executor's events and their fields.
pub use tokenx_contracts::bindings::Executor;
/// The fee vault's events and their fields.
pub use tokenx_contracts::bindings::FeeVault;
/// The registry's events and their fields.
pub use tokenx_contracts::bindings::InvestorRegistry;
/// The listing's events and their fields.
pub use tokenx_contracts::bindings::Listing;
/// The factory's events and their fields.
pub use tokenx_contracts::bindings::NodeFactory;
/// The OTC desk's events and their fields.
pub use tokenx_contracts::bindings::OtcDesk;
/// The redemption desk's events and their fields.
pub use tokenx_contracts::bindings::RedemptionDesk;
/// The rent distributor's events and their fields.
pub use tokenx_contracts::bindings::RentDistributor;
/// The secondary market's events and their fields.
pub use tokenx_contracts::bindings::SecondaryMarket;
/// The token's events and their fields.
pub use tokenx_contracts::bindings::SecurityToken;

/// Events of an Executor.
pub type ExecutorEvent = Executor::ExecutorEvents;
/// Events of a node factory.
pub type FactoryEvent = NodeFactory::NodeFactoryEvents;
/// Events of a fee vault.
pub type FeeVaultEvent = FeeVault::FeeVaultEvents;
/// Events of a listing.
pub type ListingEvent = Listing::ListingEvents;
/// Events of an OTC desk.
pub type OtcDeskEvent = OtcDesk::OtcDeskEvents;
/// Events of a redemption desk.
pub type RedemptionDeskEvent = RedemptionDesk::RedemptionDeskEvents;
/// Events of the investor registry.
pub type RegistryEvent = InvestorRegistry::InvestorRegistryEvents;
/// Events of a rent distributor.
pub type RentDistributorEvent = RentDistributor::RentDistributorEvents;
/// Events of a secondary market.
pub type SecondaryMarketEvent = SecondaryMarket::SecondaryMarketEvents;
/// Events of a security token, its plain ERC-20 and ERC-7943 events among them.
pub type TokenEvent = SecurityToken::SecurityTokenEvents;

mod proxy {
    #![allow(missing_docs, unreachable_pub, reason = "generated")]
    alloy::sol! {
        /// ERC-1967: what a proxy says of itself, at its contract's address but in no ABI of ours.
        #[derive(Debug, PartialEq, Eq)]
        event BeaconUpgraded(address indexed beacon);
    }
}
pub use proxy::BeaconUpgraded;

/// A decoded log, by the kind of contract that emitted it.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "most logs are of the large kind")]
pub enum Event {
    /// A token's, our own or a followed one's.
    Token(TokenEvent),
    /// The investor registry's.
    Registry(RegistryEvent),
    /// An Executor's.
    Executor(ExecutorEvent),
    /// A node factory's.
    Factory(FactoryEvent),
    /// A token's proxy got its beacon.
    Proxy(BeaconUpgraded),
    /// A node's listing's.
    Listing(ListingEvent),
    /// A node's secondary market's.
    SecondaryMarket(SecondaryMarketEvent),
    /// A node's OTC desk's.
    OtcDesk(OtcDeskEvent),
    /// A node's rent distributor's.
    RentDistributor(RentDistributorEvent),
    /// A node's fee vault's.
    FeeVault(FeeVaultEvent),
    /// A node's redemption desk's.
    RedemptionDesk(RedemptionDeskEvent),
}

/// The contracts that a node was deployed with, its Executor first; those that it has none of are left out.
pub(crate) fn contracts_of(node: &NodeFactory::NodeDeployed) -> impl Iterator<Item = (Kind, Address)> {
    let has = &node.contracts;
    [
        (Kind::Executor, node.executor),
        (Kind::Listing, has.listing),
        (Kind::SecondaryMarket, has.secondaryMarket),
        (Kind::OtcDesk, has.otcDesk),
        (Kind::RentDistributor, has.rentDistributor),
        (Kind::FeeVault, has.feeVault),
        (Kind::RedemptionDesk, has.redemptionDesk),
    ]
    .into_iter()
    .filter(|(_, address)| !address.is_zero())
}

/// First topic of an ERC-20 Transfer.
pub(crate) const TRANSFER: B256 = SecurityToken::Transfer::SIGNATURE_HASH;

/// Decodes a log of a contract of this kind; `None` if it is not one of its events, or is malformed.
#[must_use]
pub fn decode(kind: Kind, topics: &[B256], data: &Bytes) -> Option<Event> {
    match kind {
        Kind::Token => TokenEvent::decode_raw_log(topics, data)
            .map(Event::Token)
            .or_else(|_| BeaconUpgraded::decode_raw_log(topics, data).map(Event::Proxy))
            .ok()
            // A token counts its holds from one: no number comes near the end of what the tables have place for.
            .filter(
                |event| !matches!(event, Event::Token(TokenEvent::HoldChanged(e)) if i64::try_from(e.holdId).is_err()),
            ),
        // Of somebody else's token only the standard's movement is believed, whatever else it may say.
        Kind::Followed => SecurityToken::Transfer::decode_raw_log(topics, data)
            .map(|transfer| Event::Token(TokenEvent::Transfer(transfer)))
            .ok(),
        Kind::Registry => RegistryEvent::decode_raw_log(topics, data)
            .ok()
            // Ids above 2^63 are none of this platform's, and the tables have no place for them.
            .filter(|event| !matches!(event, RegistryEvent::InvestorChanged(e) if i64::try_from(e.investorId).is_err()))
            .map(Event::Registry),
        Kind::Executor => ExecutorEvent::decode_raw_log(topics, data).map(Event::Executor).ok(),
        Kind::Factory => FactoryEvent::decode_raw_log(topics, data).map(Event::Factory).ok(),
        Kind::Listing => ListingEvent::decode_raw_log(topics, data).map(Event::Listing).ok(),
        Kind::SecondaryMarket => SecondaryMarketEvent::decode_raw_log(topics, data).map(Event::SecondaryMarket).ok(),
        Kind::OtcDesk => OtcDeskEvent::decode_raw_log(topics, data).map(Event::OtcDesk).ok(),
        Kind::RentDistributor => RentDistributorEvent::decode_raw_log(topics, data).map(Event::RentDistributor).ok(),
        Kind::FeeVault => FeeVaultEvent::decode_raw_log(topics, data).map(Event::FeeVault).ok(),
        Kind::RedemptionDesk => RedemptionDeskEvent::decode_raw_log(topics, data).map(Event::RedemptionDesk).ok(),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;
    use proptest::prelude::*;

    use super::*;

    /// The first topics of the events that carry most.
    fn selectors() -> Vec<[u8; 32]> {
        [
            TokenEvent::SELECTORS,
            ListingEvent::SELECTORS,
            SecondaryMarketEvent::SELECTORS,
            OtcDeskEvent::SELECTORS,
            RentDistributorEvent::SELECTORS,
            FeeVaultEvent::SELECTORS,
            RedemptionDeskEvent::SELECTORS,
        ]
        .concat()
    }

    #[test]
    fn a_transfer_of_four_topics_is_no_transfer_of_amounts() {
        let id = B256::from(U256::from(7));
        let topics = [TRANSFER, Address::ZERO.into_word(), Address::repeat_byte(1).into_word(), id];
        assert_eq!(decode(Kind::Followed, &topics, &Bytes::new()), None);
    }

    #[test]
    fn a_followed_token_cannot_speak_as_one_of_ours() {
        let frozen = SecurityToken::AddressFreezeChanged {
            account: Address::repeat_byte(1),
            frozen: true,
            reason: B256::ZERO,
            operator: Address::ZERO,
        }
        .encode_log_data();
        assert!(decode(Kind::Token, frozen.topics(), &frozen.data).is_some());
        assert_eq!(decode(Kind::Followed, frozen.topics(), &frozen.data), None);
    }

    proptest! {
        #[test]
        fn no_log_makes_decoding_panic(
            known in prop::option::of(any::<prop::sample::Index>()),
            topics in prop::collection::vec(any::<[u8; 32]>(), 0..5),
            data in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut topics: Vec<B256> = topics.into_iter().map(B256::from).collect();
            if let (Some(known), Some(first)) = (known, topics.first_mut()) {
                *first = (*known.get(&selectors())).into();
            }
            for kind in Kind::ALL {
                let _ = decode(kind, &topics, &data.clone().into());
            }
        }
    }
}
