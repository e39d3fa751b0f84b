// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TokenExtension} from "./TokenExtension.sol";
import {ITokenExtension} from "./interfaces/ITokenExtension.sol";
import {ITokenHolds} from "./interfaces/ITokenHolds.sol";

/// @title ExtensionCalls
/// @notice The token's side of its extension: one call each, passed on whole.
/// @dev The extension is made with the implementation and known to it alone: there is nothing to link, and an upgrade
/// changes both. The parameters are named for those who read the ABI; nothing here looks at them.
abstract contract ExtensionCalls is ITokenExtension {
    TokenExtension internal immutable _extension = new TokenExtension();

    /// @inheritdoc ITokenHolds
    function mintLocked(address to, uint256 amount, uint8 kind, uint40 until, bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenHolds
    function placeHold(address account, uint256 amount, uint40 until, bytes32 reason)
        external
        returns (uint256 holdId)
    {
        _extend();
    }

    /// @inheritdoc ITokenHolds
    function releaseHold(address account, uint256 holdId, bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenHolds
    function executeHold(address account, uint256 holdId, bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenHolds
    function reclaimExpired(address account) external returns (uint256 ended) {
        _extend();
    }

    /// @inheritdoc ITokenExtension
    function mintBatch(address[] calldata to, uint256[] calldata amounts, bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenExtension
    function recover(address lost, address replacement, uint256 amount, bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenExtension
    function pause(bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenExtension
    function unpause(bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenExtension
    function pauseSupply(bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenExtension
    function unpauseSupply(bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenExtension
    function setLimits(uint32 maxHolders, uint104 maxBalance, bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenExtension
    function setCountryRule(uint8 mode, uint256[4] calldata countries, bytes32 reason) external {
        _extend();
    }

    /// @inheritdoc ITokenExtension
    function setDocument(bytes32 name, string calldata uri, bytes32 hash) external {
        _extend();
    }

    /// @inheritdoc ITokenExtension
    function removeDocument(bytes32 name) external {
        _extend();
    }

    /// @dev Runs the same call in the extension, on this token's storage, and ends with its outcome.
    function _extend() private {
        address extension = address(_extension);
        assembly ("memory-safe") {
            let data := mload(0x40)
            calldatacopy(data, 0, calldatasize())
            let ok := delegatecall(gas(), extension, data, calldatasize(), 0, 0)
            returndatacopy(data, 0, returndatasize())
            if ok { return(data, returndatasize()) }
            revert(data, returndatasize())
        }
    }
}
