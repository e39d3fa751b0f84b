// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {INodeFactory} from "./INodeFactory.sol";

/// @title INodeContract
/// @notice What the six contracts of a node have in common: an admin who upgrades them, a treasury, and intents, which
/// are what wallets have signed for somebody else to carry. Who may do what with a token is asked of that token.
interface INodeContract {
    /// @param admin Cold key: default admin, who upgrades.
    /// @param adminDelay Seconds that a change of admin waits.
    /// @param treasury Wallet that receives proceeds and what is left over.
    /// @param contracts The node's contracts, this one among them; zero where the node has none.
    struct NodeInit {
        address admin;
        uint48 adminDelay;
        address treasury;
        INodeFactory.NodeContracts contracts;
    }

    event TreasuryChanged(address oldTreasury, address newTreasury, address operator);

    /// @notice The salt of this wallet has been used, or taken back, and never counts again.
    event IntentConsumed(address indexed wallet, bytes32 indexed salt, bool cancelled);

    /// @notice `account` lacks this role of the token.
    error NotTokenOperator(address token, address account, bytes32 role);

    /// @notice No wallet can have this address.
    error InvalidAddress(address account);

    /// @notice The intent's deadline has passed.
    error IntentExpired(uint256 deadline);

    /// @notice The wallet has used this salt, or taken it back.
    error IntentUsed(address wallet, bytes32 salt);

    /// @notice Not signed by the wallet: neither its key nor, if it is a contract, its ERC-1271 answer.
    error InvalidSignature(address wallet);

    /// @notice Sets up a new proxy; once.
    function initialize(NodeInit calldata init) external;

    /// @notice Names another treasury.
    /// @custom:access DEFAULT_ADMIN_ROLE
    function setTreasury(address newTreasury) external;

    /// @notice Takes back an intent of the caller, seen by this contract or not.
    /// @custom:access anyone, for itself
    function cancelIntent(bytes32 salt) external;

    /// @notice Passes an ERC-2612 permit for this contract on, so that a wallet needs no transaction of its own to pay.
    /// One that somebody else has brought before changes nothing: what it allows is there.
    /// @custom:access anyone: the token asks for the owner's signature
    function usePermit(address token, address owner, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;

    function treasury() external view returns (address);

    function isIntentUsed(address wallet, bytes32 salt) external view returns (bool);

    /// @notice The functions that a node's Executor is there for: what happens within the terms.
    function operations() external pure returns (bytes4[] memory);

    /// @notice The functions that set the terms: a node's Executor may call them only where the node was deployed so, or
    /// its admin allows it later.
    function termSetters() external pure returns (bytes4[] memory);
}
