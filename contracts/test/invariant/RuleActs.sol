// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITokenExtension} from "../../sol/interfaces/ITokenExtension.sol";
import {Handler} from "./Handler.sol";
import {World} from "./World.sol";

/// @notice Limits, the country rule, documents: what the operator sets for a token as a whole.
contract RuleActs is Handler {
    constructor(World world_) Handler(world_) {}

    /// @dev Mostly none, and else near what is: below, at or above.
    function setLimits(uint256 seed) external followed {
        uint256 most = seed % 6 == 0 ? token.holderCount() + (seed >> 8) % 3 : 0;
        uint256 balance = (seed >> 16) % 6 == 1 ? 1 + (seed >> 24) % (token.totalSupply() + 1) : 0;
        operate(abi.encodeCall(ITokenExtension.setLimits, (uint32(most), uint104(balance), REASON)));
    }

    /// @dev The countries that the registrar gives out, now in the list, now not.
    function setCountryRule(uint256 seed) external followed {
        uint256[4] memory countries;
        uint256[4] memory known = [uint256(0), 276, 756, 840];
        for (uint256 i = 0; i < known.length; ++i) {
            if ((seed >> (8 + i)) % 2 == 1) countries[known[i] / 256] |= 1 << (known[i] % 256);
        }
        operate(
            abi.encodeCall(ITokenExtension.setCountryRule, (uint8(seed % 12 > 3 ? 0 : seed % 12), countries, REASON))
        );
    }

    function setDocument(uint256 name, string calldata uri, bytes32 hash) external followed {
        operate(abi.encodeCall(ITokenExtension.setDocument, (bytes32(name % 4), uri, hash)));
    }

    function removeDocument(uint256 name) external followed {
        operate(abi.encodeCall(ITokenExtension.removeDocument, (bytes32(name % 4))));
    }
}
