// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BlockableUSD} from "../sol/BlockableUSD.sol";
import {PlainUSD} from "../sol/PlainUSD.sol";
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

    function testFuzz_a_plain_allowance_changes_only_from_or_to_zero(address wallet, address spender, uint256 value)
        public
    {
        vm.assume(wallet != address(0) && spender != address(0));
        value = bound(value, 1, type(uint256).max);
        PlainUSD money = new PlainUSD();
        money.mint(wallet, 1);
        vm.prank(wallet);
        money.approve(spender, value);
        vm.prank(wallet);
        vm.expectRevert(abi.encodeWithSelector(PlainUSD.AllowanceInUse.selector, spender, value));
        money.approve(spender, value);
        vm.prank(wallet);
        money.approve(spender, 0);
        vm.prank(wallet);
        money.approve(spender, 1);
        vm.prank(spender);
        money.transferFrom(wallet, spender, 1);
        vm.assertEq(money.balanceOf(spender), 1);
    }

    function test_they_count_in_millionths() public {
        vm.assertEq(new TestUSD().decimals(), 6);
        vm.assertEq(new PlainUSD().decimals(), 6);
    }
}
