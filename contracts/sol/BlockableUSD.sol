// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUSD} from "./TestUSD.sol";

/// @title BlockableUSD
/// @notice Payment token for tests: a `TestUSD` in which anyone may block a wallet, as those who issue such tokens do.
contract BlockableUSD is TestUSD {
    mapping(address wallet => bool) public blocked;

    /// @notice `wallet` neither sends nor receives.
    error Blocked(address wallet);

    /// @notice Blocks a wallet, or lets it go.
    function setBlocked(address wallet, bool blocked_) external {
        blocked[wallet] = blocked_;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (blocked[from]) revert Blocked(from);
        if (blocked[to]) revert Blocked(to);
        super._update(from, to, amount);
    }
}
