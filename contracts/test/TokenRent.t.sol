// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ITokenExtension} from "../sol/interfaces/ITokenExtension.sol";
import {ITokenRent} from "../sol/interfaces/ITokenRent.sol";
import {RestrictionCodes} from "../sol/lib/RestrictionCodes.sol";
import {Base, Vm} from "./Base.sol";

/// @notice How a token counts what its holders earn. The distributor here is a stand-in: money comes later.
contract TokenRentTest is Base {
    uint256 private constant Q128 = 1 << 128;

    address private distributor;

    function setUp() public override {
        super.setUp();
        distributor = address(rents);
        whitelist(carol, 3);
    }

    // ---------------------------------------------------------------- who opens

    function test_a_token_starts_bound_to_its_nodes_distributor() public view {
        ITokenRent.Rent memory rent = token.rent();
        vm.assertEq(rent.distributor, distributor);
        vm.assertTrue(rent.bound);
        vm.assertEq(rent.period, 0);
    }

    function test_the_distributor_alone_opens_and_collects_and_only_while_bound() public {
        give(alice, 100);
        bytes memory refusal = abi.encodeWithSelector(ITokenRent.NotRentDistributor.selector, address(this));
        vm.expectRevert(refusal);
        token.openRent(1, 100);
        vm.expectRevert(refusal);
        token.collectRent(alice);
        open(100);
        bind(distributor, false);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.NotRentDistributor.selector, distributor));
        vm.prank(distributor);
        token.openRent(2, 100);
        // Transfers go on, and what was earned is owed still.
        vm.prank(alice);
        token.transfer(bob, 40);
        vm.assertEq(collect(alice), 100);
        vm.assertEq(collect(bob), 0);
        bind(distributor, true);
        open(50);
        vm.assertEq(token.rentOf(bob), 20 * Q128);
    }

    function test_who_owes_rent_is_not_replaced() public {
        vm.expectRevert(
            abi.encodeWithSelector(
                IAccessControl.AccessControlUnauthorizedAccount.selector, address(executor), bytes32(0)
            )
        );
        vm.prank(address(executor));
        token.setRentDistributor(carol, true, REASON);
        bind(carol, true);
        bind(distributor, true);
        give(alice, 1);
        open(1);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.RentOwedBy.selector, distributor));
        vm.prank(admin);
        token.setRentDistributor(carol, true, REASON);
    }

    function test_periods_come_one_after_another_and_are_divided_among_units() public {
        vm.expectRevert(ITokenRent.NobodyEarns.selector);
        vm.prank(distributor);
        token.openRent(1, 100);
        give(alice, 3);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.NotNextPeriod.selector, 1, 2));
        vm.prank(distributor);
        token.openRent(2, 100);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.RentTooLarge.selector, uint256(1) << 104));
        vm.prank(distributor);
        token.openRent(1, 1 << 104);
        vm.prank(distributor);
        (uint256 perUnit, uint256 earning, uint256 carry) = token.openRent(1, 100);
        vm.assertEq(perUnit, 100 * Q128 / 3);
        vm.assertEq(earning, 3);
        vm.assertEq(perUnit * 3 + carry, 100 * Q128);
        ITokenRent.Rent memory rent = token.rent();
        vm.assertEq(abi.encode(rent.period, rent.perUnit, rent.carry), abi.encode(1, perUnit, carry));
    }

    function test_there_are_as_many_periods_as_a_word_counts() public {
        give(alice, 3);
        bytes32 head = 0xd9f226a1495dba0a8e14b62d8ae52e8f929ab675fae625be6956d66ca03af000;
        vm.store(address(token), head, bytes32(uint256(vm.load(address(token), head)) | uint256(0xffff) << 240));
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.NotNextPeriod.selector, 65_536, 65_536));
        vm.prank(distributor);
        token.openRent(65_536, 1);
    }

    // ---------------------------------------------------------------- who earns

    function test_balances_at_the_moment_of_opening_earn() public {
        give(alice, 60);
        give(bob, 40);
        open(1_000);
        vm.prank(alice);
        token.transfer(carol, 60);
        give(carol, 40);
        vm.assertEq(token.rentOf(alice), 600 * Q128);
        vm.assertEq(token.rentOf(bob), 400 * Q128);
        vm.assertEq(token.rentOf(carol), 0);
        open(140);
        vm.assertEq(token.rentOf(alice), 600 * Q128);
        vm.assertEq(token.rentOf(bob), 440 * Q128);
        vm.assertEq(token.rentOf(carol), 100 * Q128);
    }

    function test_whatever_moves_units_leaves_what_they_have_earned() public {
        give(alice, 100);
        give(bob, 100);
        open(200);
        vm.prank(address(executor));
        token.burn(alice, 50, REASON);
        vm.prank(address(executor));
        token.forcedTransfer(alice, carol, 10, REASON);
        vm.prank(address(executor));
        token.forcedBurn(bob, 100, REASON);
        vm.prank(address(executor));
        token.mintLocked(alice, 1, 2, uint40(START + 1), REASON);
        vm.prank(address(executor));
        uint256 id = token.placeHold(alice, 5, 0, REASON);
        vm.prank(address(executor));
        token.executeHold(alice, id, REASON);
        vm.prank(carol);
        token.transfer(carol, 10);
        vm.assertEq(token.rentOf(alice), 100 * Q128);
        vm.assertEq(token.rentOf(bob), 100 * Q128);
        vm.assertEq(token.rentOf(carol), 0);
        vm.assertEq(collect(bob), 100);
    }

    function test_a_minimum_is_all_or_nothing() public {
        minimum(50);
        give(alice, 49);
        give(bob, 50);
        give(carol, 60);
        vm.assertEq(token.rent().earning, 110);
        open(1_100);
        vm.assertEq(token.rentOf(alice), 0);
        vm.assertEq(token.rentOf(bob), 500 * Q128);
        // Across the line and back.
        vm.prank(carol);
        token.transfer(alice, 11);
        vm.assertEq(token.rent().earning, 110);
        vm.prank(address(executor));
        token.burn(alice, 11, REASON);
        vm.assertEq(token.rent().earning, 50);
        vm.prank(bob);
        token.transfer(carol, 50);
        vm.assertEq(token.rent().earning, 99);
        open(99);
        vm.assertEq(token.rentOf(carol), (600 + 99) * Q128);
        vm.assertEq(token.rentOf(bob), 500 * Q128);
    }

    function test_a_minimum_is_set_before_there_are_units() public {
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, alice, token.RULES_ROLE())
        );
        vm.prank(alice);
        token.setRentMinimum(5, REASON);
        vm.expectEmit(address(token));
        emit ITokenRent.RentMinimumChanged(5, REASON, address(executor));
        minimum(5);
        minimum(0);
        minimum(6);
        vm.assertEq(token.rent().minimum, 6);
        give(alice, 1);
        vm.expectRevert(ITokenRent.RentMinimumFixed.selector);
        minimum(0);
        vm.expectRevert(ITokenRent.NobodyEarns.selector);
        vm.prank(distributor);
        token.openRent(1, 1);
    }

    // ---------------------------------------------------------------- exactness

    /// @dev To the last fraction, whatever moves in between: what was opened is what all have earned and what is carried.
    function testFuzz_all_that_is_opened_is_earned_or_carried(uint256 seed, uint104[4] calldata amounts, uint104 least)
        public
    {
        minimum(least % 200);
        give(alice, 1 + seed % 300);
        give(bob, 1 + (seed >> 16) % 300);
        give(carol, 250);
        uint256 opened;
        uint256 paid;
        for (uint256 i = 0; i < 4; ++i) {
            if (token.rent().earning != 0) {
                open(amounts[i]);
                opened += amounts[i];
            }
            address from = [alice, bob, carol][(seed >> (32 + 8 * i)) % 3];
            address to = [bob, carol, alice][(seed >> (64 + 8 * i)) % 3];
            uint256 balance = token.balanceOf(from);
            vm.prank(from);
            token.transfer(to, (seed >> (96 + 8 * i)) % (balance + 1));
            if (seed >> (128 + i) & 1 != 0) paid += collect(to);
            uint256 sum = token.rentOf(alice) + token.rentOf(bob) + token.rentOf(carol) + token.rent().carry;
            vm.assertEq(sum + paid * Q128, opened * Q128);
        }
    }

    /// @dev The hook cannot fail: the largest supply, the largest periods, all of them unseen.
    function test_the_largest_figures_fit() public {
        give(alice, 1);
        for (uint256 i = 0; i < 200; ++i) {
            open(type(uint104).max);
        }
        vm.prank(alice);
        token.transfer(bob, 1);
        vm.assertEq(token.rentOf(alice), 200 * uint256(type(uint104).max) * Q128);
        vm.assertEq(collect(alice), 200 * uint256(type(uint104).max));
    }

    // ---------------------------------------------------------------- who is paid

    function test_payment_waits_while_a_wallet_may_not_send() public {
        give(alice, 10);
        open(10);
        bytes memory refusal = abi.encodeWithSelector(ITokenRent.RentWithheld.selector, alice);
        freezeAddress(alice, true);
        vm.expectRevert(refusal);
        vm.prank(distributor);
        token.collectRent(alice);
        freezeAddress(alice, false);
        registry.revoke(alice, REASON);
        vm.expectRevert(refusal);
        vm.prank(distributor);
        token.collectRent(alice);
        whitelist(alice, 1);
        vm.assertEq(collect(alice), 10);
        vm.assertEq(collect(alice), 0);
    }

    function test_a_recovery_takes_earned_rent_along() public {
        whitelist(carol, 3);
        address next = address(uint160(uint256(keccak256("carol's new wallet"))));
        whitelist(next, 3);
        give(carol, 10);
        give(next, 10);
        open(21);
        vm.prank(carol);
        token.transfer(alice, 5);
        open(30);
        registry.revoke(carol, REASON);
        uint256 earned = token.rentOf(carol);
        uint256 sum = earned + token.rentOf(next);
        vm.recordLogs();
        vm.prank(address(executor));
        token.recover(carol, next, 5, REASON);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 3);
        vm.assertEq(logs[1].topics[0], ITokenRent.RentMoved.selector);
        vm.assertEq(logs[1].data, abi.encode(earned, sum, REASON, address(executor)));
        vm.assertEq(logs[2].topics[0], ITokenExtension.WalletRecovered.selector);
        vm.assertEq(token.rentOf(carol), 0);
        vm.assertEq(token.rentOf(next), sum);
        open(20);
        vm.assertEq(token.rentOf(carol), 0);
    }

    /// @dev To an heir, or to whom a court names; both accounts are up to date, and nothing is made or lost.
    function test_the_admin_gives_earned_rent_to_another_wallet() public {
        give(alice, 30);
        give(bob, 60);
        open(100);
        // Bob is behind by two periods, alice by one.
        vm.prank(alice);
        token.transfer(carol, 10);
        open(7);
        uint256 alices = token.rentOf(alice);
        uint256 bobs = token.rentOf(bob);
        uint256 carols = token.rentOf(carol);
        vm.expectEmit(address(token));
        emit ITokenRent.RentMoved(alice, bob, alices, alices + bobs, REASON, admin);
        move(alice, bob);
        vm.assertEq(token.rentOf(alice), 0);
        vm.assertEq(token.rentOf(bob), alices + bobs);
        vm.assertEq(token.rentOf(carol), carols);
        vm.assertEq(alices + bobs + carols + token.rent().carry, 107 * Q128);
        // From now on each earns its own.
        uint256 before = token.rent().perUnit;
        open(90);
        uint256 each = token.rent().perUnit - before;
        vm.assertEq(token.rentOf(alice), 20 * each);
        vm.assertEq(token.rentOf(bob), alices + bobs + 60 * each);
    }

    function test_rent_moves_by_the_admin_alone() public {
        give(alice, 10);
        open(10);
        address[3] memory others = [address(executor), distributor, alice];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, others[i], bytes32(0))
            );
            vm.prank(others[i]);
            token.moveRent(alice, bob, REASON);
        }
        vm.assertEq(token.rentOf(alice), 10 * Q128);
    }

    function test_rent_moves_only_to_a_wallet_that_may_be_paid_it() public {
        give(alice, 10);
        open(10);
        freezeAddress(bob, true);
        address[3] memory unpaid = [bob, treasury, address(0)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ITokenRent.RentWithheld.selector, unpaid[i]));
            move(alice, unpaid[i]);
        }
        freezeAddress(bob, false);
        // Who gives may be frozen or revoked: that is why it moves.
        freezeAddress(alice, true);
        registry.revoke(alice, REASON);
        move(alice, bob);
        vm.assertEq(collect(bob), 10);
    }

    function test_there_must_be_rent_to_move_and_another_wallet() public {
        give(alice, 10);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.NoRentToMove.selector, alice));
        move(alice, bob);
        open(10);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.NoRentToMove.selector, alice));
        move(alice, alice);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.NoRentToMove.selector, bob));
        move(bob, alice);
        vm.assertEq(token.rentOf(alice), 10 * Q128);
        // What has been collected is no longer there.
        collect(alice);
        vm.expectRevert(abi.encodeWithSelector(ITokenRent.NoRentToMove.selector, alice));
        move(alice, bob);
    }

    // ---------------------------------------------------------------- retirement

    function test_a_token_without_units_is_retired_for_ever() public {
        give(alice, 1);
        vm.expectRevert(abi.encodeWithSelector(ITokenExtension.StillHeld.selector, 1));
        retire();
        vm.prank(address(executor));
        token.burn(alice, 1, REASON);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, alice, token.BURNER_ROLE())
        );
        vm.prank(alice);
        token.retire(REASON);
        vm.expectEmit(address(token));
        emit ITokenExtension.PauseChanged(false, true, REASON, address(executor));
        vm.expectEmit(address(token));
        emit ITokenExtension.TokenRetired(REASON, address(executor));
        retire();
        vm.expectRevert(ITokenExtension.Retired.selector);
        retire();
        vm.expectRevert(ITokenExtension.Retired.selector);
        vm.prank(address(executor));
        token.unpauseSupply(REASON);
        vm.assertEq(token.detectTransferRestriction(address(0), alice, 1), RestrictionCodes.SUPPLY_PAUSED);
    }

    // ---------------------------------------------------------------- short ways

    function open(uint256 amount) private {
        uint256 next = token.rent().period + 1;
        vm.prank(distributor);
        token.openRent(next, amount);
    }

    function collect(address account) private returns (uint256) {
        vm.prank(distributor);
        return token.collectRent(account);
    }

    function move(address from, address to) private {
        vm.prank(admin);
        token.moveRent(from, to, REASON);
    }

    function bind(address to, bool bound_) private {
        vm.expectEmit(address(token));
        emit ITokenRent.RentDistributorChanged(to, bound_, REASON, admin);
        vm.prank(admin);
        token.setRentDistributor(to, bound_, REASON);
    }

    function minimum(uint104 least) private {
        vm.prank(address(executor));
        token.setRentMinimum(least, REASON);
    }

    function retire() private {
        vm.prank(address(executor));
        token.retire(REASON);
    }
}
