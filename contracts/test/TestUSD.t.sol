// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

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

    function test_it_counts_in_millionths() public {
        vm.assertEq(new TestUSD().decimals(), 6);
    }
}
