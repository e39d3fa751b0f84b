// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Executor} from "../sol/Executor.sol";
import {IERC7943Fungible} from "../sol/interfaces/IERC7943.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {ITokenHolds} from "../sol/interfaces/ITokenHolds.sol";
import {HoldCauses, HoldKinds} from "../sol/lib/Holds.sol";
import {RestrictionCodes} from "../sol/lib/RestrictionCodes.sol";
import {Base, Vm} from "./Base.sol";

/// @notice Lockups and the holds of agents.
contract TokenHoldsTest is Base {
    uint40 private constant MIDNIGHT = uint40((START / 1 days + 1) * 1 days);

    address private constant desk = address(uint160(uint256(keccak256("desk"))));

    function setUp() public override {
        super.setUp();
        bytes32 role = token.HOLD_ROLE();
        vm.prank(admin);
        token.grantRole(role, desk);
        give(alice, 100);
    }

    // ---------------------------------------------------------------- lockups

    function test_a_locked_mint_is_a_mint_and_a_hold_until_midnight() public {
        vm.expectEmit(address(token));
        emit IERC20.Transfer(address(0), bob, 40);
        vm.expectEmit(address(token));
        emit ISecurityToken.Minted(bob, 40, 40, 140, REASON, address(executor));
        vm.expectEmit(address(token));
        emit ITokenHolds.HoldChanged(
            bob, 1, HoldKinds.REG_D, 0, 40, MIDNIGHT, address(0), HoldCauses.PLACED, REASON, address(executor)
        );
        lock(bob, 40, HoldKinds.REG_D, uint40(START + 1));
        vm.assertEq(token.heldOf(bob), 40);
        vm.assertEq(token.spendableOf(bob), 0);
    }

    function test_lockups_of_one_kind_and_day_are_one_hold() public {
        lock(bob, 40, HoldKinds.REG_D, uint40(START + 1));
        vm.expectEmit(address(token));
        emit ITokenHolds.HoldChanged(
            bob, 1, HoldKinds.REG_D, 40, 45, MIDNIGHT, address(0), HoldCauses.MERGED, REASON, address(executor)
        );
        lock(bob, 5, HoldKinds.REG_D, MIDNIGHT);
        lock(bob, 6, HoldKinds.REG_S, MIDNIGHT);
        lock(bob, 7, HoldKinds.REG_D, MIDNIGHT + 1);
        ITokenHolds.Hold[] memory holds = token.holdsOf(bob);
        vm.assertEq(holds.length, 3);
        assertHold(holds[0], 45, 1, MIDNIGHT, HoldKinds.REG_D, address(0));
        assertHold(holds[1], 6, 2, MIDNIGHT, HoldKinds.REG_S, address(0));
        assertHold(holds[2], 7, 3, MIDNIGHT + 1 days, HoldKinds.REG_D, address(0));
        vm.assertEq(token.heldOf(bob), 58);
    }

    function test_a_lockup_needs_a_kind_an_amount_and_a_day_to_come() public {
        refusedLock(1, HoldKinds.REDEMPTION, MIDNIGHT, abi.encodeWithSelector(ITokenHolds.InvalidHoldKind.selector, 1));
        refusedLock(1, 4, MIDNIGHT, abi.encodeWithSelector(ITokenHolds.InvalidHoldKind.selector, 4));
        refusedLock(0, HoldKinds.REG_D, MIDNIGHT, abi.encodeWithSelector(ITokenHolds.InvalidHoldAmount.selector, 0));
        refusedLock(1, HoldKinds.REG_S, uint40(START), abi.encodeWithSelector(ITokenHolds.InvalidUntil.selector, START));
        refusedLock(
            1,
            HoldKinds.REG_S,
            type(uint40).max,
            abi.encodeWithSelector(ITokenHolds.InvalidUntil.selector, type(uint40).max)
        );
    }

    function test_a_locked_mint_is_under_all_rules_of_mints() public {
        bytes memory refusal = abi.encodeWithSelector(
            ISecurityToken.TransferRestricted.selector, address(0), carol, 1, RestrictionCodes.RECIPIENT_NOT_WHITELISTED
        );
        vm.expectRevert(refusal);
        lock(carol, 1, HoldKinds.REG_D, MIDNIGHT);
    }

    // ---------------------------------------------------------------- what a hold does

    function test_held_units_do_not_move() public {
        place(alice, 60, 0);
        vm.assertEq(token.heldOf(alice), 60);
        vm.assertEq(token.spendableOf(alice), 40);
        vm.assertEq(token.detectTransferRestriction(alice, bob, 40), RestrictionCodes.OK);
        vm.assertEq(token.detectTransferRestriction(alice, bob, 41), RestrictionCodes.AMOUNT_HELD);
        vm.expectRevert(restricted(alice, bob, 41, RestrictionCodes.AMOUNT_HELD));
        vm.prank(alice);
        token.transfer(bob, 41);
        vm.expectRevert(restricted(alice, address(0), 41, RestrictionCodes.AMOUNT_HELD));
        vm.prank(address(executor));
        token.burn(alice, 41, REASON);
        vm.prank(alice);
        token.transfer(bob, 40);
        vm.assertEq(token.spendableOf(alice), 0);
    }

    function test_where_the_freeze_alone_stands_in_the_way_it_is_named() public {
        place(alice, 30, 0);
        freeze(alice, 50);
        vm.assertEq(token.spendableOf(alice), 20);
        vm.assertEq(token.detectTransferRestriction(alice, bob, 21), RestrictionCodes.AMOUNT_HELD);
        vm.assertEq(token.detectTransferRestriction(alice, bob, 51), RestrictionCodes.AMOUNT_FROZEN);
        freezeAddress(alice, true);
        vm.assertEq(token.spendableOf(alice), 0);
    }

    function test_an_expired_hold_blocks_nothing_and_ends_when_it_is_met() public {
        place(alice, 60, uint40(START + 10));
        place(alice, 20, 0);
        vm.warp(START + 9);
        vm.assertEq(token.heldOf(alice), 80);
        vm.warp(START + 10);
        vm.assertEq(token.heldOf(alice), 20);
        vm.assertEq(token.spendableOf(alice), 80);
        vm.assertEq(token.holdsOf(alice).length, 2);
        vm.expectEmit(address(token));
        emit ITokenHolds.HoldChanged(
            alice, 1, HoldKinds.REDEMPTION, 60, 0, uint40(START + 10), desk, HoldCauses.EXPIRED, 0, alice
        );
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, bob, 80);
        vm.prank(alice);
        token.transfer(bob, 80);
        assertHold(token.holdsOf(alice)[0], 20, 2, 0, HoldKinds.REDEMPTION, desk);
    }

    function test_anyone_reclaims_what_has_expired() public {
        place(alice, 10, uint40(START + 10));
        place(alice, 20, 0);
        place(alice, 30, uint40(START + 20));
        place(alice, 5, uint40(START + 21));
        vm.warp(START + 20);
        vm.prank(carol);
        vm.assertEq(token.reclaimExpired(alice), 2);
        ITokenHolds.Hold[] memory holds = token.holdsOf(alice);
        assertHold(holds[0], 20, 2, 0, HoldKinds.REDEMPTION, desk);
        assertHold(holds[1], 5, 4, uint40(START + 21), HoldKinds.REDEMPTION, desk);
        vm.assertEq(token.reclaimExpired(alice), 0);
        vm.assertEq(token.reclaimExpired(bob), 0);
    }

    // ---------------------------------------------------------------- agents

    function test_a_hold_is_numbered_and_told() public {
        vm.expectEmit(address(token));
        emit ITokenHolds.HoldChanged(
            alice, 1, HoldKinds.REDEMPTION, 0, 60, uint40(START + 1), desk, HoldCauses.PLACED, REASON, desk
        );
        vm.assertEq(place(alice, 60, uint40(START + 1)), 1);
        vm.prank(address(executor));
        vm.assertEq(token.placeHold(alice, 40, 0, REASON), 2);
    }

    function test_a_hold_takes_free_units_only() public {
        place(alice, 50, 0);
        freeze(alice, 30);
        refusedPlace(21, 0, restricted(alice, address(0), 21, RestrictionCodes.AMOUNT_HELD));
        refusedPlace(
            71, 0, abi.encodeWithSelector(IERC7943Fungible.ERC7943InsufficientUnfrozenBalance.selector, alice, 71, 70)
        );
        refusedPlace(101, 0, abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 100, 101));
        refusedPlace(0, 0, abi.encodeWithSelector(ITokenHolds.InvalidHoldAmount.selector, 0));
        refusedPlace(1, uint40(START), abi.encodeWithSelector(ITokenHolds.InvalidUntil.selector, START));
        place(alice, 20, 0);
    }

    function test_a_freeze_of_the_wallet_beats_a_hold_pauses_and_registry_do_not() public {
        freezeAddress(alice, true);
        refusedPlace(1, 0, restricted(alice, address(0), 1, RestrictionCodes.SENDER_FROZEN));
        freezeAddress(alice, false);
        registry.revoke(alice, REASON);
        vm.prank(address(executor));
        token.pause(REASON);
        vm.prank(address(executor));
        token.pauseSupply(REASON);
        vm.assertEq(place(alice, 1, 0), 1);
    }

    function test_its_agent_releases_a_hold_even_without_the_role() public {
        place(alice, 60, uint40(START + 1));
        vm.expectRevert(abi.encodeWithSelector(ITokenHolds.NotHoldAgent.selector, alice, 1, alice));
        vm.prank(alice);
        token.releaseHold(alice, 1, REASON);
        vm.expectRevert(abi.encodeWithSelector(ITokenHolds.UnknownHold.selector, bob, 1));
        vm.prank(desk);
        token.releaseHold(bob, 1, REASON);
        bytes32 role = token.HOLD_ROLE();
        vm.prank(admin);
        token.revokeRole(role, desk);
        vm.warp(START + 1);
        vm.expectEmit(address(token));
        emit ITokenHolds.HoldChanged(
            alice, 1, HoldKinds.REDEMPTION, 60, 0, uint40(START + 1), desk, HoldCauses.RELEASED, REASON, desk
        );
        vm.prank(desk);
        token.releaseHold(alice, 1, REASON);
        vm.assertEq(token.spendableOf(alice), 100);
    }

    function test_an_operators_successor_releases_what_it_left_but_executes_nothing() public {
        vm.prank(address(executor));
        token.placeHold(alice, 60, 0, REASON);
        address next = address(new Executor(registryExecutorConfig()));
        vm.prank(admin);
        token.replaceOperator(address(executor), next);
        vm.expectRevert(abi.encodeWithSelector(ITokenHolds.NotHoldAgent.selector, alice, 1, next));
        vm.prank(next);
        token.executeHold(alice, 1, REASON);
        vm.expectEmit(address(token));
        emit ITokenHolds.HoldChanged(
            alice, 1, HoldKinds.REDEMPTION, 60, 0, 0, address(executor), HoldCauses.RELEASED, REASON, next
        );
        vm.prank(next);
        token.releaseHold(alice, 1, REASON);
        vm.assertEq(token.spendableOf(alice), 100);
    }

    function test_a_lockup_is_nobodys_to_release_or_execute() public {
        lock(bob, 40, HoldKinds.REG_D, MIDNIGHT);
        vm.expectRevert(abi.encodeWithSelector(ITokenHolds.NotHoldAgent.selector, bob, 1, address(executor)));
        vm.prank(address(executor));
        token.releaseHold(bob, 1, REASON);
        vm.expectRevert(abi.encodeWithSelector(ITokenHolds.NotHoldAgent.selector, bob, 1, address(executor)));
        vm.prank(address(executor));
        token.executeHold(bob, 1, REASON);
    }

    function test_executing_a_hold_burns_its_units() public {
        place(alice, 60, 0);
        place(alice, 30, 0);
        freeze(alice, 40);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, address(0), 60);
        vm.expectEmit(address(token));
        emit ISecurityToken.Burned(alice, 60, 40, 40, REASON, desk);
        vm.expectEmit(address(token));
        emit ITokenHolds.HoldChanged(alice, 1, HoldKinds.REDEMPTION, 60, 0, 0, desk, HoldCauses.EXECUTED, REASON, desk);
        vm.prank(desk);
        token.executeHold(alice, 1, REASON);
        vm.assertEq(token.heldOf(alice), 30);
        // Another one would reach into what is frozen.
        vm.expectRevert(
            abi.encodeWithSelector(IERC7943Fungible.ERC7943InsufficientUnfrozenBalance.selector, alice, 30, 0)
        );
        vm.prank(desk);
        token.executeHold(alice, 2, REASON);
    }

    function test_a_hold_is_not_executed_paused_frozen_expired_or_without_the_role() public {
        place(alice, 60, uint40(START + 1));
        vm.prank(address(executor));
        token.pauseSupply(REASON);
        refusedExecute(restricted(alice, address(0), 60, RestrictionCodes.SUPPLY_PAUSED));
        vm.prank(address(executor));
        token.unpauseSupply(REASON);
        freezeAddress(alice, true);
        refusedExecute(restricted(alice, address(0), 60, RestrictionCodes.SENDER_FROZEN));
        freezeAddress(alice, false);
        vm.warp(START + 1);
        refusedExecute(abi.encodeWithSelector(ITokenHolds.HoldExpired.selector, alice, 1));
        vm.warp(START);
        bytes32 role = token.HOLD_ROLE();
        vm.prank(admin);
        token.revokeRole(role, desk);
        refusedExecute(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, desk, role));
    }

    function test_a_wallet_has_at_most_16_holds_that_count() public {
        for (uint256 i = 0; i < 15; ++i) {
            place(alice, 1, uint40(START + 1));
        }
        lock(alice, 1, HoldKinds.REG_D, MIDNIGHT);
        refusedPlace(1, 0, abi.encodeWithSelector(ITokenHolds.TooManyHolds.selector, alice));
        vm.expectRevert(abi.encodeWithSelector(ITokenHolds.TooManyHolds.selector, alice));
        lock(alice, 1, HoldKinds.REG_S, MIDNIGHT);
        lock(alice, 1, HoldKinds.REG_D, MIDNIGHT);
        vm.warp(START + 1);
        vm.assertEq(place(alice, 1, 0), 17);
        vm.assertEq(token.holdsOf(alice).length, 2);
    }

    // ---------------------------------------------------------------- force

    function test_force_ends_holds_newest_first_behind_free_and_frozen_units() public {
        place(alice, 20, 0);
        place(alice, 30, 0);
        freeze(alice, 40);
        vm.recordLogs();
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, 60, REASON);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 6);
        vm.assertEq(logs[0].topics[0], ITokenHolds.HoldChanged.selector);
        vm.assertEq(logs[0].topics[2], bytes32(uint256(2)));
        (, uint256 oldAmount, uint256 newAmount,,, uint8 cause,,) =
            abi.decode(logs[0].data, (uint8, uint256, uint256, uint40, address, uint8, bytes32, address));
        vm.assertEq(oldAmount, 30);
        vm.assertEq(newAmount, 0);
        vm.assertEq(cause, HoldCauses.FORCED);
        vm.assertEq(logs[1].topics[0], IERC7943Fungible.Frozen.selector);
        vm.assertEq(logs[3].topics[0], IERC20.Transfer.selector);
        (uint256 amount, uint256 unfrozen,,) = abi.decode(logs[5].data, (uint256, uint256, bytes32, address));
        vm.assertEq(amount, 60);
        vm.assertEq(unfrozen, 20);
        vm.assertEq(token.heldOf(alice), 20);
        vm.assertEq(token.getFrozenTokens(alice), 20);
        vm.assertEq(token.spendableOf(alice), 0);
    }

    function test_a_lockup_gives_force_only_what_is_missing() public {
        lock(bob, 1_000, HoldKinds.REG_D, MIDNIGHT);
        vm.expectEmit(address(token));
        emit ITokenHolds.HoldChanged(
            bob, 1, HoldKinds.REG_D, 1_000, 999, MIDNIGHT, address(0), HoldCauses.FORCED, REASON, address(executor)
        );
        vm.prank(address(executor));
        token.forcedTransfer(bob, alice, 1, REASON);
        assertHold(token.holdsOf(bob)[0], 999, 1, MIDNIGHT, HoldKinds.REG_D, address(0));
        vm.assertEq(token.spendableOf(bob), 0);
        // Newest first: the second lockup ends, the hold of an agent too, and whole; the first lockup makes up for it.
        lock(bob, 10, HoldKinds.REG_S, MIDNIGHT);
        give(bob, 20);
        place(bob, 20, 0);
        vm.prank(address(executor));
        token.forcedBurn(bob, 19, REASON);
        vm.assertEq(token.heldOf(bob), 1_009);
        vm.assertEq(token.spendableOf(bob), 1);
        vm.prank(address(executor));
        token.forcedBurn(bob, 12, REASON);
        vm.assertEq(token.holdsOf(bob).length, 1);
        assertHold(token.holdsOf(bob)[0], 998, 1, MIDNIGHT, HoldKinds.REG_D, address(0));
        vm.assertEq(token.spendableOf(bob), 0);
    }

    function test_force_takes_everything_and_ends_every_hold() public {
        place(alice, 20, 0);
        lock(alice, 30, HoldKinds.REG_D, MIDNIGHT);
        vm.prank(address(executor));
        token.forcedBurn(alice, 130, REASON);
        vm.assertEq(token.holdsOf(alice).length, 0);
        vm.assertEq(token.balanceOf(alice), 0);
        vm.assertEq(token.holderCount(), 0);
    }

    function test_force_within_free_and_frozen_units_leaves_holds_alone() public {
        place(alice, 20, 0);
        freeze(alice, 60);
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, 80, REASON);
        vm.assertEq(token.heldOf(alice), 20);
        vm.assertEq(token.getFrozenTokens(alice), 0);
    }

    // ---------------------------------------------------------------- helpers

    function lock(address to, uint256 amount, uint8 kind, uint40 until) private {
        vm.prank(address(executor));
        token.mintLocked(to, amount, kind, until, REASON);
    }

    function place(address account, uint256 amount, uint40 until) private returns (uint256) {
        vm.prank(desk);
        return token.placeHold(account, amount, until, REASON);
    }

    function refusedLock(uint256 amount, uint8 kind, uint40 until, bytes memory refusal) private {
        vm.expectRevert(refusal);
        lock(bob, amount, kind, until);
    }

    function refusedPlace(uint256 amount, uint40 until, bytes memory refusal) private {
        vm.expectRevert(refusal);
        place(alice, amount, until);
    }

    function refusedExecute(bytes memory refusal) private {
        vm.expectRevert(refusal);
        vm.prank(desk);
        token.executeHold(alice, 1, REASON);
    }

    function assertHold(
        ITokenHolds.Hold memory hold,
        uint256 amount,
        uint256 id,
        uint256 until,
        uint8 kind,
        address agent
    ) private pure {
        vm.assertEq(hold.amount, amount, "amount");
        vm.assertEq(hold.id, id, "id");
        vm.assertEq(hold.until, until, "until");
        vm.assertEq(hold.kind, kind, "kind");
        vm.assertEq(hold.agent, agent);
    }

    function restricted(address from, address to, uint256 amount, uint8 code) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ISecurityToken.TransferRestricted.selector, from, to, amount, code);
    }
}
