// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Token} from "../../sol/SecurityToken.sol";
import {Vm} from "../Base.sol";
import {Replica} from "./Replica.sol";
import {World} from "./World.sol";

/// @notice An actor of the invariant campaigns. A call that the contracts refuse is checked and then discarded, so that
/// forge's own table tells how often each act took effect; anything else that reverts ends the campaign.
abstract contract Handler {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    bytes32 internal constant REASON = "why";

    World internal immutable world;
    Token internal immutable token;
    Replica internal immutable replica;

    constructor(World world_) {
        (world, token, replica) = (world_, world_.token(), world_.replica());
    }

    /// @dev Shows the replica the logs of the act, as of one transaction.
    modifier followed() {
        vm.recordLogs();
        _;
        follow();
    }

    /// @dev What has been logged since the last time.
    function follow() internal {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        replica.follow(logs);
        world.nodeReplica().follow(logs);
    }

    /// @dev Three times in four the next wallet with units to give, so that most acts of holders take effect.
    function giver(uint256 seed) internal view returns (address) {
        for (uint256 i = 0; (seed >> 8) % 4 != 0 && i < world.WALLETS(); ++i) {
            address wallet = world.wallet(seed % 256 + i);
            if (replica.maySend(wallet) && replica.freeOf(wallet) > 0) return wallet;
        }
        return world.wallet(seed);
    }

    /// @dev Three times in four the next wallet that may receive.
    function taker(uint256 seed) internal view returns (address) {
        for (uint256 i = 0; (seed >> 8) % 4 != 0 && i < world.WALLETS(); ++i) {
            address wallet = world.wallet(seed % 256 + i);
            if (replica.mayReceive(wallet)) return wallet;
        }
        return world.wallet(seed);
    }

    /// @dev Calls `target` as `sender`.
    function attempt(address sender, address target, bytes memory data) internal returns (bool ok) {
        vm.prank(sender);
        (ok,) = target.call(data);
    }

    /// @dev Calls the token as its operator; what it refuses is discarded.
    function operate(bytes memory data) internal {
        vm.assume(attempt(address(world.executor()), address(token), data));
    }

    /// @dev An amount near an edge as often as not: nothing, one, `edge`, one above, the most there can be.
    function amountNear(uint256 seed, uint256 edge) internal pure returns (uint256) {
        uint256 way = seed % 16;
        if (way == 0) return 0;
        if (way == 1) return 1;
        if (way < 5) return edge;
        if (way == 5) return edge + 1;
        if (way == 6) return type(uint256).max - (seed >> 8) % 2;
        return (seed >> 8) % (edge + 1);
    }
}
