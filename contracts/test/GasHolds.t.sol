// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Base, Vm} from "./Base.sol";

/// @notice Gas that must be there for what meets as many holds as a wallet can have: the caps of the keeper's items are
/// set by it. Shares the report of `GasTest`, but leaves refunds out of account: they come when all is over.
contract HoldsGasTest is Base {
    uint40 private constant LATER = uint40(START + 1 hours);
    uint40 private constant MIDNIGHT = uint40((START / 1 days + 1) * 1 days);

    function setUp() public override {
        super.setUp();
        give(alice, 1_000);
        give(bob, 1_000);
    }

    function test_gas_of_a_burn() public {
        expired(16);
        vm.prank(address(executor));
        token.burn(alice, 1, REASON);
        record("burn that meets 16 expired holds");
    }

    function test_gas_of_a_transfer() public {
        expired(15);
        vm.prank(alice);
        token.transfer(bob, 1);
        record("transfer that meets 15 expired holds before a live one");
    }

    function test_gas_of_a_forced_transfer() public {
        expired(8);
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, 1_000, REASON);
        record("forced transfer that ends 16 holds, 8 of them expired");
    }

    function test_gas_of_a_forced_burn() public {
        hold(16, 0);
        vm.prank(address(executor));
        token.forcedBurn(alice, 1_000, REASON);
        record("forced burn that ends 16 holds");
    }

    function test_gas_of_a_new_hold() public {
        expired(15);
        vm.prank(address(executor));
        token.placeHold(alice, 1, 0, REASON);
        record("place a hold beside 15 expired ones");
    }

    function test_gas_of_a_new_lockup() public {
        expired(15);
        vm.prank(address(executor));
        token.mintLocked(alice, 1, 2, uint40(block.timestamp + 1), REASON);
        record("locked mint beside 15 expired holds");
    }

    function test_gas_of_reclaiming() public {
        expired(16);
        token.reclaimExpired(alice);
        record("reclaim 16 expired holds");
    }

    function test_gas_of_a_release() public {
        hold(16, 0);
        vm.prank(address(executor));
        token.releaseHold(alice, 1, REASON);
        record("release the oldest of 16 holds");
    }

    function test_gas_of_an_execution() public {
        hold(16, 0);
        vm.prank(address(executor));
        token.executeHold(alice, 1, REASON);
        record("execute the oldest of 16 holds");
    }

    /// @dev The replacement has as many, of other days, and all of them have expired.
    function test_gas_of_a_recovery() public {
        whitelist(carol, 1);
        for (uint40 i = 0; i < 16; ++i) {
            lock(alice, MIDNIGHT + (16 + i) * 1 days);
            lock(carol, MIDNIGHT + i * 1 days);
        }
        freeze(alice, 500);
        freezeAddress(alice, true);
        vm.warp(MIDNIGHT + 15 days);
        registry.revoke(alice, REASON);
        vm.prank(address(executor));
        token.recover(alice, carol, 1_016, REASON);
        record("recover a wallet with 16 lockups for one with 16 expired ones");
        vm.assertEq(token.holdsOf(carol).length, 16);
    }

    function record(string memory name) private {
        Vm.Gas memory gas = vm.lastCallGas();
        vm.snapshotValue("gas", name, uint256(gas.gasTotalUsed) + uint64(gas.gasRefunded));
    }

    /// @dev 16 holds of alice, `n` of which have expired, no two of the others beside each other.
    function expired(uint256 n) private {
        for (uint256 i = 0; i < 16; ++i) {
            hold(1, (i + 1) * n / 16 > i * n / 16 ? LATER : 0);
        }
        vm.warp(LATER);
    }

    function hold(uint256 n, uint40 until) private {
        for (uint256 i = 0; i < n; ++i) {
            vm.prank(address(executor));
            token.placeHold(alice, 50, until, REASON);
        }
    }

    function lock(address wallet, uint40 until) private {
        vm.prank(address(executor));
        token.mintLocked(wallet, 1, 2, until, REASON);
    }
}
