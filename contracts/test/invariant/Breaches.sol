// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Where breaches of the laws are noted as they happen.
abstract contract Breaches {
    /// @notice The first breach of each law, in words; empty = it held so far.
    mapping(uint8 law => string) public breach;

    /// @notice Notes that a law is broken; the first word stays.
    function note(uint8 law, string memory what) public {
        if (bytes(breach[law]).length == 0) breach[law] = what;
    }
}
