//! What logs say. Decoding never fails loudly: what does not decode is kept raw and counted.

use alloy::primitives::{B256, Log, LogData};
use alloy::sol_types::SolEventInterface;

use crate::watch::Kind;

mod abi {
    #![allow(missing_docs)]
    alloy::sol! {
        #[derive(Debug, PartialEq)]
        interface SecurityToken {
            event Transfer(address indexed from, address indexed to, uint256 value);
            event Approval(address indexed owner, address indexed spender, uint256 value);
            event ForcedTransfer(address indexed from, address indexed to, uint256 amount);
            event Frozen(address indexed account, uint256 amount);
            event TokenInitialized(string instrumentId, string name, string symbol, uint8 decimals, uint256 maxSupply, address registry, address node, address admin);
            event Minted(address indexed to, uint256 amount, uint256 balanceAfter, uint256 totalSupplyAfter, bytes32 reason, address operator);
            event Burned(address indexed from, uint256 amount, uint256 balanceAfter, uint256 totalSupplyAfter, bytes32 reason, address operator);
            event FrozenChanged(address indexed account, uint256 oldAmount, uint256 newAmount, bytes32 reason, address operator);
            event AddressFreezeChanged(address indexed account, bool frozen, bytes32 reason, address operator);
            event ForcedTransferExecuted(address indexed from, address indexed to, uint256 amount, uint256 unfrozen, bytes32 reason, address operator);
            event ForcedBurnExecuted(address indexed from, uint256 amount, uint256 unfrozen, uint256 balanceAfter, uint256 totalSupplyAfter, bytes32 reason, address operator);
            event PauseChanged(bool transfersPaused, bool supplyPaused, bytes32 reason, address operator);
            event RegistryChanged(address oldRegistry, address newRegistry, bytes32 reason, address operator);
        }
        #[derive(Debug, PartialEq)]
        interface InvestorRegistry {
            event InvestorChanged(address indexed wallet, uint64 indexed investorId, uint16 country, uint8 investorClass, uint40 kycExpiresAt, uint8 flags, bytes32 reason, address operator);
        }
        #[derive(Debug, PartialEq)]
        interface Executor {
            event BatchStarted(address indexed keeper);
            event CommandExecuted(bytes32 indexed id, address indexed target, bool ok, bytes returnData);
            event CommandSkipped(bytes32 indexed id);
            event CommandConflict(bytes32 indexed id);
            event CommandExpired(bytes32 indexed id);
            event CommandDeferred(bytes32 indexed id);
        }
        #[derive(Debug, PartialEq)]
        interface NodeFactory {
            struct NodeContracts { address listing; address secondaryMarket; address otcDesk; address rentDistributor; address feeVault; address redemptionDesk; }
            event NodeDeployed(bytes32 indexed nodeKey, bytes32 indexed issuer, address indexed executor, address treasury, address admin, NodeContracts contracts);
            event TokenDeployed(address indexed token, address indexed node, bytes32 indexed issuer, string instrumentId, string name, string symbol, uint8 decimals, uint256 maxSupply, bytes32 salt);
        }
    }
}

/// Events of a security token, its plain ERC-20 and ERC-7943 events among them.
pub use abi::SecurityToken::{self, SecurityTokenEvents as TokenEvent};
/// Events of the investor registry.
pub use abi::InvestorRegistry::{self, InvestorRegistryEvents as RegistryEvent};
/// Events of an Executor.
pub use abi::Executor::{self, ExecutorEvents as ExecutorEvent};
/// Events of a node factory.
pub use abi::NodeFactory::{self, NodeFactoryEvents as FactoryEvent};

/// A decoded log, by the kind of contract that emitted it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A token's, our own or a followed one's.
    Token(TokenEvent),
    /// The investor registry's.
    Registry(RegistryEvent),
    /// An Executor's.
    Executor(ExecutorEvent),
    /// A node factory's.
    Factory(FactoryEvent),
}

/// Decodes a log of a contract of this kind; `None` if it is not one of its events, or is malformed.
#[must_use]
pub fn decode(kind: Kind, topics: &[B256], data: &alloy::primitives::Bytes) -> Option<Event> {
    let data = LogData::new(topics.to_vec(), data.clone())?;
    let log = Log { address: alloy::primitives::Address::ZERO, data };
    match kind {
        Kind::Token | Kind::Followed => TokenEvent::decode_log(&log).ok().map(|log| Event::Token(log.data)),
        Kind::Registry => RegistryEvent::decode_log(&log).ok().map(|log| Event::Registry(log.data)),
        Kind::Executor => ExecutorEvent::decode_log(&log).ok().map(|log| Event::Executor(log.data)),
        Kind::Factory => FactoryEvent::decode_log(&log).ok().map(|log| Event::Factory(log.data)),
    }
}
