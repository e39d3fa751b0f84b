// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITokenHolds} from "../../sol/interfaces/ITokenHolds.sol";
import {Handler} from "./Handler.sol";
import {World} from "./World.sol";

/// @notice Lockups, holds of two agents (the operator and a desk), and recovery. Watches I2.
contract HoldActs is Handler {
    constructor(World world_) Handler(world_) {}

    function mintLocked(uint256 to, uint256 amount, uint256 kind, uint256 until) external followed {
        address wallet = taker(to);
        amount = amountNear(amount, (token.maxSupply() - token.totalSupply()) / 8);
        // Few days, so that lockups meet.
        uint40 end = uint40(block.timestamp / 1 days * 1 days + (1 + until % 8) * 12 hours);
        uint8 lockup = uint8(kind % 16 == 5 ? 1 : 2 + (kind >> 4) % 2);
        uint256 day = (uint256(end) + 1 days - 1) / 1 days * 1 days;
        bool admitted = lockup != 1 && end > block.timestamp && replica.admitsLocked(wallet, amount, lockup, day);
        bool ok = attempt(
            address(world.executor()),
            address(token),
            abi.encodeCall(ITokenHolds.mintLocked, (wallet, amount, lockup, end, REASON))
        );
        if (ok != admitted) replica.note(2, "a locked mint ends otherwise than the rules say");
        vm.assume(ok || admitted);
    }

    function placeHold(uint256 account, uint256 amount, uint256 until, uint256 agent) external followed {
        address wallet = giver(account);
        amount = amountNear(amount, replica.freeOf(wallet));
        uint40 end = until % 4 == 0 ? 0 : uint40(block.timestamp + (until >> 8) % 4 days);
        bool admitted = (end == 0 || end > block.timestamp) && replica.admitsHold(wallet, amount);
        bool ok = attempt(
            _agent(agent), address(token), abi.encodeCall(ITokenHolds.placeHold, (wallet, amount, end, REASON))
        );
        if (ok != admitted) replica.note(2, "a hold is placed otherwise than the rules say");
        uint256 bound = token.heldOf(wallet) + token.getFrozenTokens(wallet);
        if (ok && bound > token.balanceOf(wallet)) replica.note(2, "a hold takes units that are frozen or not there");
        vm.assume(ok || admitted);
    }

    function releaseHold(uint256 which, uint256 seed) external followed {
        (address wallet, ITokenHolds.Hold memory hold) = _hold(which, seed);
        address caller = _caller(hold, seed >> 3);
        bool admitted = hold.agent == caller || (hold.agent != address(0) && caller == address(world.executor()));
        bool ok = attempt(caller, address(token), abi.encodeCall(ITokenHolds.releaseHold, (wallet, hold.id, REASON)));
        if (ok != admitted) replica.note(2, "a hold is released otherwise than the rules say");
        vm.assume(ok || admitted);
    }

    function executeHold(uint256 which, uint256 seed) external followed {
        (address wallet, ITokenHolds.Hold memory hold) = _hold(which, seed);
        address caller = _caller(hold, seed >> 3);
        uint256 balance = token.balanceOf(wallet);
        uint256 frozen = token.getFrozenTokens(wallet);
        bool admitted = hold.agent == caller && (hold.until == 0 || hold.until > block.timestamp)
            && token.hasRole(token.HOLD_ROLE(), caller) && !token.supplyPaused() && !token.isFrozen(wallet)
            && balance >= frozen + hold.amount;
        bool ok = attempt(caller, address(token), abi.encodeCall(ITokenHolds.executeHold, (wallet, hold.id, REASON)));
        if (ok != admitted) replica.note(2, "a hold is executed otherwise than the rules say");
        if (ok && token.balanceOf(wallet) != balance - hold.amount) replica.note(2, "more or less burned than held");
        vm.assume(ok || admitted);
    }

    function reclaimExpired(uint256 account, uint256 caller) external followed {
        (address wallet, uint256 expired) = _stale(account);
        vm.prank(world.wallet(caller));
        bool exact = token.reclaimExpired(wallet) == expired;
        if (!exact) replica.note(2, "reclaimed are not the expired holds");
        // Discarded with all it noted: only where there was nothing to reclaim, and nothing was.
        vm.assume(expired > 0 || !exact);
    }

    /// @dev Three times in four of a wallet that has just been revoked.
    function recover(uint256 from, uint256 to, uint256 amount) external followed {
        address lost = world.wallet(from);
        address replacement = world.wallet(to % 4 == 1 ? to >> 2 : from ^ 1);
        if (amount % 4 != 1) {
            attempt(
                world.registrar(), token.registry(), abi.encodeWithSignature("revoke(address,bytes32)", lost, REASON)
            );
            follow();
        }
        amount = (amount >> 2) % 8 == 1 ? amount >> 5 : token.balanceOf(lost);
        bool admitted = replica.admitsRecovery(lost, replacement, amount);
        (uint256 locked, uint256 liveLost) = _lockups(lost);
        (uint256 held, uint256 live) = replica.heldOf(replacement);
        bool ok = attempt(
            address(world.executor()),
            address(token),
            abi.encodeWithSignature("recover(address,address,uint256,bytes32)", lost, replacement, amount, REASON)
        );
        if (ok && !admitted) replica.note(4, "a recovery that the rules refuse");
        if (!ok && admitted && liveLost + live <= 16) replica.note(4, "a recovery is refused that the rules admit");
        if (ok && (token.balanceOf(lost) != 0 || token.holdsOf(lost).length != 0 || token.getFrozenTokens(lost) != 0)) {
            replica.note(2, "a recovery leaves something behind");
        }
        if (ok && token.heldOf(replacement) != held + locked) replica.note(2, "a recovery moves the wrong holds");
        vm.assume(ok || (admitted && liveLost + live <= 16));
    }

    /// @dev What a recovery takes along.
    function _lockups(address wallet) private view returns (uint256 sum, uint256 count) {
        ITokenHolds.Hold[] memory holds = token.holdsOf(wallet);
        for (uint256 i = 0; i < holds.length; ++i) {
            if (holds[i].agent != address(0) || holds[i].until <= block.timestamp) continue;
            sum += holds[i].amount;
            ++count;
        }
    }

    /// @dev One of all holds of agents, or, one time in eight, of all holds; discarded if there is none.
    function _hold(uint256 which, uint256 seed) private view returns (address wallet, ITokenHolds.Hold memory hold) {
        uint256 most = world.WALLETS();
        ITokenHolds.Hold[][] memory holds = new ITokenHolds.Hold[][](most);
        uint256 count;
        for (uint256 i = 0; i < most; ++i) {
            holds[i] = token.holdsOf(world.wallet(i));
            for (uint256 h = 0; h < holds[i].length; ++h) {
                if (seed % 8 == 1 || holds[i][h].agent != address(0)) ++count;
            }
        }
        vm.assume(count > 0);
        which %= count;
        for (uint256 i = 0; i < most; ++i) {
            for (uint256 h = 0; h < holds[i].length; ++h) {
                if (seed % 8 != 1 && holds[i][h].agent == address(0)) continue;
                if (which == 0) return (world.wallet(i), holds[i][h]);
                --which;
            }
        }
    }

    /// @dev The next wallet with holds that have expired unseen.
    function _stale(uint256 account) private view returns (address wallet, uint256 expired) {
        for (uint256 i = 0; i < world.WALLETS() && expired == 0; ++i) {
            wallet = world.wallet(account % 256 + i);
            (, uint256 live) = replica.heldOf(wallet);
            expired = token.holdsOf(wallet).length - live;
        }
    }

    function _agent(uint256 seed) private view returns (address) {
        return seed % 2 == 0 ? world.desk() : address(world.executor());
    }

    /// @dev Three times in four the agent of the hold, if it has one; the node's desk acts for itself.
    function _caller(ITokenHolds.Hold memory hold, uint256 seed) private view returns (address) {
        if (hold.agent == address(world.node().redemptions)) return address(world.executor());
        return seed % 4 == 0 || hold.agent == address(0) ? _agent(seed >> 2) : hold.agent;
    }
}
