// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {ITokenExtension} from "../sol/interfaces/ITokenExtension.sol";
import {ITokenHolds} from "../sol/interfaces/ITokenHolds.sol";
import {HoldCauses, HoldKinds} from "../sol/lib/Holds.sol";
import {RestrictionCodes} from "../sol/lib/RestrictionCodes.sol";
import {Base, Vm} from "./Base.sol";

/// @notice Alice has lost her wallet; carol is her new one.
contract TokenRecoveryTest is Base {
    uint40 private constant MIDNIGHT = uint40((START / 1 days + 1) * 1 days);

    function setUp() public override {
        super.setUp();
        give(alice, 100);
        whitelist(carol, 1);
        registry.revoke(alice, REASON);
    }

    function test_a_recovery_moves_everything_and_says_so_last() public {
        freeze(alice, 30);
        freezeAddress(alice, true);
        vm.expectEmit(address(token));
        emit ISecurityToken.FrozenChanged(alice, 30, 0, REASON, address(executor));
        vm.expectEmit(address(token));
        emit ISecurityToken.FrozenChanged(carol, 0, 30, REASON, address(executor));
        vm.expectEmit(address(token));
        emit ISecurityToken.AddressFreezeChanged(carol, true, REASON, address(executor));
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, carol, 100);
        vm.expectEmit(address(token));
        emit ITokenExtension.WalletRecovered(alice, carol, 100, REASON, address(executor));
        recover(100);
        vm.assertEq(token.balanceOf(alice), 0);
        vm.assertEq(token.balanceOf(carol), 100);
        vm.assertEq(token.getFrozenTokens(alice), 0);
        vm.assertEq(token.getFrozenTokens(carol), 30);
        vm.assertTrue(token.isFrozen(alice) && token.isFrozen(carol));
        vm.assertEq(token.holderCount(), 1);
    }

    function test_lockups_go_along_and_merge_and_other_holds_end() public {
        registry.setInvestor(alice, investor(1), REASON);
        lock(alice, 10, HoldKinds.REG_D, MIDNIGHT);
        lock(alice, 20, HoldKinds.REG_S, MIDNIGHT);
        lock(alice, 5, HoldKinds.REG_S, MIDNIGHT + 1 days);
        lock(carol, 3, HoldKinds.REG_D, MIDNIGHT);
        vm.prank(address(executor));
        token.placeHold(alice, 40, 0, REASON);
        registry.revoke(alice, REASON);
        vm.recordLogs();
        recover(135);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i + 2 < logs.length; ++i) {
            vm.assertEq(logs[i].topics[0], ITokenHolds.HoldChanged.selector);
            (,,,,, uint8 cause,,) =
                abi.decode(logs[i].data, (uint8, uint256, uint256, uint40, address, uint8, bytes32, address));
            vm.assertEq(cause, HoldCauses.RECOVERED);
        }
        // Four end, three begin or grow.
        vm.assertEq(logs.length, 7 + 2);
        vm.assertEq(token.holdsOf(alice).length, 0);
        ITokenHolds.Hold[] memory holds = token.holdsOf(carol);
        vm.assertEq(holds.length, 3);
        vm.assertEq(holds[0].amount, 13);
        vm.assertEq(holds[1].amount, 20);
        vm.assertEq(holds[2].amount, 5);
        vm.assertEq(token.heldOf(carol), 38);
        vm.assertEq(token.spendableOf(carol), 100);
    }

    function test_frozen_amounts_add_up_to_the_most_there_can_be() public {
        freeze(alice, type(uint104).max);
        freeze(carol, 2);
        recover(100);
        vm.assertEq(token.getFrozenTokens(carol), type(uint104).max);
    }

    function test_a_wallet_without_units_is_recovered_too() public {
        vm.prank(address(executor));
        token.forcedBurn(alice, 100, REASON);
        freezeAddress(alice, true);
        recover(0);
        vm.assertTrue(token.isFrozen(carol));
        vm.assertEq(token.holderCount(), 0);
    }

    function test_neither_pauses_nor_limits_stop_a_recovery() public {
        vm.prank(address(executor));
        token.setLimits(1, 10, REASON);
        vm.prank(address(executor));
        token.pause(REASON);
        vm.prank(address(executor));
        token.pauseSupply(REASON);
        recover(100);
        vm.assertEq(token.balanceOf(carol), 100);
    }

    function test_expired_holds_of_both_are_met() public {
        registry.setInvestor(alice, investor(1), REASON);
        lock(alice, 10, HoldKinds.REG_D, MIDNIGHT);
        lock(carol, 3, HoldKinds.REG_D, MIDNIGHT);
        registry.revoke(alice, REASON);
        vm.warp(MIDNIGHT);
        recover(110);
        vm.assertEq(token.holdsOf(alice).length, 0);
        vm.assertEq(token.holdsOf(carol).length, 0);
        vm.assertEq(token.spendableOf(carol), 113);
    }

    function test_only_the_whole_balance_is_recovered() public {
        refused(99, abi.encodeWithSelector(ITokenExtension.RecoveryAmount.selector, 100, 99));
        refused(101, abi.encodeWithSelector(ITokenExtension.RecoveryAmount.selector, 100, 101));
    }

    function test_both_wallets_are_one_investors_and_the_lost_one_is_revoked() public {
        vm.expectRevert(abi.encodeWithSelector(ITokenExtension.NotSameInvestor.selector, alice, bob));
        vm.prank(address(executor));
        token.recover(alice, bob, 100, REASON);
        // Strangers have no investor in common, although both have none.
        vm.expectRevert(abi.encodeWithSelector(ITokenExtension.NotSameInvestor.selector, treasury, guardian));
        vm.prank(address(executor));
        token.recover(treasury, guardian, 0, REASON);
        vm.expectRevert(abi.encodeWithSelector(ISecurityToken.SelfTransfer.selector, alice));
        vm.prank(address(executor));
        token.recover(alice, alice, 100, REASON);
        registry.setInvestor(alice, investor(1), REASON);
        refused(100, abi.encodeWithSelector(ITokenExtension.WalletNotRevoked.selector, alice));
    }

    function test_the_replacement_may_receive() public {
        freezeAddress(carol, true);
        refused(100, restricted(RestrictionCodes.RECIPIENT_FROZEN));
        freezeAddress(carol, false);
        registry.revoke(carol, REASON);
        refused(100, restricted(RestrictionCodes.RECIPIENT_NOT_WHITELISTED));
    }

    function test_more_lockups_than_a_wallet_can_have_stay_where_they_are() public {
        registry.setInvestor(alice, investor(1), REASON);
        for (uint40 i = 0; i < 9; ++i) {
            lock(alice, 1, HoldKinds.REG_D, MIDNIGHT + i * 1 days);
            lock(carol, 1, HoldKinds.REG_S, MIDNIGHT + i * 1 days);
        }
        registry.revoke(alice, REASON);
        refused(109, abi.encodeWithSelector(ITokenHolds.TooManyHolds.selector, carol));
    }

    function lock(address to, uint256 amount, uint8 kind, uint40 until) private {
        vm.prank(address(executor));
        token.mintLocked(to, amount, kind, until, REASON);
    }

    function recover(uint256 amount) private {
        vm.prank(address(executor));
        token.recover(alice, carol, amount, REASON);
    }

    function refused(uint256 amount, bytes memory refusal) private {
        vm.expectRevert(refusal);
        recover(amount);
    }

    function restricted(uint8 code) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ISecurityToken.TransferRestricted.selector, alice, carol, 100, code);
    }
}
