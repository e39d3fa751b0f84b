// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RestrictionCodes} from "../../sol/lib/RestrictionCodes.sol";
import {Handler} from "./Handler.sol";
import {World} from "./World.sol";

/// @notice What holders do.
contract HolderActs is Handler {
    constructor(World world_) Handler(world_) {}

    function transfer(uint256 from, uint256 to, uint256 amount) external followed {
        address holder = giver(from);
        _move(holder, holder, taker(to), amount);
    }

    function transferFrom(uint256 spender, uint256 from, uint256 to, uint256 amount) external followed {
        (address holder, address agent) = (giver(from), world.wallet(spender));
        vm.prank(holder);
        token.approve(agent, type(uint256).max);
        _move(agent, holder, taker(to), amount);
    }

    /// @dev Time passes for everybody: KYC and holds run out.
    function wait(uint256 seconds_) external {
        vm.warp(block.timestamp + 1 + seconds_ % 6 days);
        vm.roll(block.number + 1);
    }

    /// @dev I3: the predictor, the rules as the replica knows them and what happens are of one mind.
    function _move(address sender, address from, address to, uint256 amount) private {
        amount = amountNear(amount, replica.freeOf(from));
        bool predicted =
            token.detectTransferRestriction(from, to, amount) == RestrictionCodes.OK && amount <= token.balanceOf(from);
        bool admitted = replica.admits(from, to, amount);
        bytes memory data = sender == from
            ? abi.encodeCall(token.transfer, (to, amount))
            : abi.encodeCall(token.transferFrom, (from, to, amount));
        bool ok = attempt(sender, address(token), data);
        if (ok != predicted) replica.note(3, "a transfer ends otherwise than predicted");
        else if (ok != admitted) replica.note(3, "a transfer ends otherwise than the rules say");
        vm.assume(ok || predicted || admitted);
    }
}
