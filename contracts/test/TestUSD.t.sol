// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BlockableUSD} from "../sol/BlockableUSD.sol";
import {TestUSD} from "../sol/TestUSD.sol";
import {Base} from "./Base.sol";

contract TestUSDTest is Base {
    function testFuzz_anyone_mints_to_anyone(address sender, address to, uint256 amount) public {
        vm.assume(to != address(0));
        TestUSD money = new TestUSD();
        vm.prank(sender);
        money.mint(to, amount);
        vm.assertEq(money.balanceOf(to), amount);
        vm.assertEq(money.totalSupply(), amount);
    }

    function test_a_blocked_wallet_neither_sends_nor_receives(address wallet, address other, uint256 amount) public {
        vm.assume(wallet != address(0) && other != address(0) && wallet != other);
        BlockableUSD money = new BlockableUSD();
        money.mint(wallet, amount);
        money.setBlocked(wallet, true);
        vm.prank(wallet);
        vm.expectRevert(abi.encodeWithSelector(BlockableUSD.Blocked.selector, wallet));
        money.transfer(other, amount);
        vm.prank(other);
        vm.expectRevert(abi.encodeWithSelector(BlockableUSD.Blocked.selector, wallet));
        money.transfer(wallet, 0);
        money.setBlocked(wallet, false);
        vm.prank(wallet);
        money.transfer(other, amount);
        vm.assertEq(money.balanceOf(other), amount);
    }

    function test_it_counts_in_millionths() public {
        vm.assertEq(new TestUSD().decimals(), 6);
    }
}
