// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TokenExtension} from "./TokenExtension.sol";

/// @title ExtensionCalls
/// @notice The token's side of its extension: what the token does not know itself is passed on whole.
/// @dev The extension is made with the implementation and known to it alone: there is nothing to link, and an upgrade
/// changes both. What neither knows is refused by the extension.
abstract contract ExtensionCalls {
    TokenExtension internal immutable _extension = new TokenExtension();

    /// @dev Runs the same call in the extension, on this token's storage, and ends with its outcome.
    fallback() external {
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
