// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title ERC-1404: why a transfer is refused, as a code and as a sentence; interface id 0xab84a5c8
interface IERC1404 {
    /// @notice 0 if the rules allow the transfer, else a code of `RestrictionCodes`.
    function detectTransferRestriction(address from, address to, uint256 amount) external view returns (uint8 code);

    /// @notice The sentence for a code.
    function messageForTransferRestriction(uint8 code) external view returns (string memory message);
}
