// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {
    IAccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/IAccessControlDefaultAdminRules.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {TestUSD} from "../sol/TestUSD.sol";
import {IExecutor} from "../sol/interfaces/IExecutor.sol";
import {INodeContract} from "../sol/interfaces/INodeContract.sol";
import {INodeFactory} from "../sol/interfaces/INodeFactory.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {ITokenExtension} from "../sol/interfaces/ITokenExtension.sol";
import {Base} from "./Base.sol";

/// @notice What an Executor may do, who decides it, and how much of it a day.
contract ExecutorRulesTest is Base {
    bytes4 private constant MINT = ISecurityToken.mint.selector;

    // ---------------------------------------------------------------- allow-list

    function test_what_is_not_allowed_does_not_run() public {
        TestUSD usd = new TestUSD();
        refused(
            command("a", address(usd), abi.encodeCall(usd.mint, (alice, 1))),
            abi.encodeWithSelector(IExecutor.NotAllowed.selector, address(usd), TestUSD.mint.selector)
        );
        refused(
            command("b", address(token), abi.encodeWithSignature("setFrozenTokens(address,uint256)", alice, 1)),
            abi.encodeWithSelector(
                IExecutor.NotAllowed.selector, address(token), bytes4(keccak256("setFrozenTokens(address,uint256)"))
            )
        );
        refused(
            command("c", address(token), ""),
            abi.encodeWithSelector(IExecutor.NotAllowed.selector, address(token), bytes4(0))
        );
        // Consumed like any failure.
        assertStatus(execute(command("c", address(token), "")).status, IExecutor.Status.Skipped);
    }

    function test_a_target_without_code_is_a_failure() public {
        vm.etch(address(token), "");
        refused(
            command("a", address(token), mintCall(alice, 1)),
            abi.encodeWithSelector(IExecutor.InvalidTarget.selector, address(token))
        );
    }

    function test_itself_empty_addresses_money_roles_and_code_are_never_allowed() public {
        IExecutor.Rule memory rule = IExecutor.Rule(address(executor), IExecutor.stop.selector, 0, 0);
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.InvalidTarget.selector, address(executor)));
        executor.scheduleRule(rule);
        rule.target = carol;
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.InvalidTarget.selector, carol));
        executor.scheduleRule(rule);
        bytes4[23] memory selectors = [
            IERC20.transfer.selector,
            IERC20.transferFrom.selector,
            IERC20.approve.selector,
            IAccessControl.grantRole.selector,
            IAccessControl.revokeRole.selector,
            IAccessControl.renounceRole.selector,
            IAccessControlDefaultAdminRules.beginDefaultAdminTransfer.selector,
            IAccessControlDefaultAdminRules.acceptDefaultAdminTransfer.selector,
            IAccessControlDefaultAdminRules.cancelDefaultAdminTransfer.selector,
            IAccessControlDefaultAdminRules.changeDefaultAdminDelay.selector,
            IAccessControlDefaultAdminRules.rollbackDefaultAdminDelay.selector,
            bytes4(keccak256("transferOwnership(address)")),
            bytes4(keccak256("renounceOwnership()")),
            bytes4(keccak256("upgradeTo(address)")),
            bytes4(keccak256("upgradeToAndCall(address,bytes)")),
            ISecurityToken.initialize.selector,
            ITokenExtension.setRegistry.selector,
            ITokenExtension.replaceOperator.selector,
            bytes4(keccak256("replaceExecutor(bytes32,address)")),
            bytes4(keccak256("upgradeTokens(address)")),
            INodeFactory.setImplementations.selector,
            INodeContract.initialize.selector,
            INodeContract.setTreasury.selector
        ];
        rule.target = address(token);
        for (uint256 i = 0; i < selectors.length; ++i) {
            rule.selector = selectors[i];
            bytes memory refusal = abi.encodeWithSelector(IExecutor.ForbiddenSelector.selector, selectors[i]);
            vm.prank(admin);
            vm.expectRevert(refusal);
            executor.scheduleRule(rule);
            IExecutor.Rule[] memory rules = new IExecutor.Rule[](1);
            rules[0] = rule;
            vm.prank(address(factory));
            vm.expectRevert(refusal);
            executor.register(rules);
        }
    }

    function test_a_new_rule_waits_for_the_delay() public {
        TestUSD usd = new TestUSD();
        IExecutor.Rule memory rule = IExecutor.Rule(address(usd), TestUSD.mint.selector, 2, 50);
        vm.expectRevert();
        executor.scheduleRule(rule);
        uint48 from = uint48(START) + ADMIN_DELAY;
        vm.expectEmit(address(executor));
        emit IExecutor.RuleScheduled(address(usd), TestUSD.mint.selector, 2, 50, from, admin);
        vm.prank(admin);
        executor.scheduleRule(rule);
        (uint48 effectiveFrom, uint8 amountArg, uint104 limit) =
            executor.scheduledRuleOf(address(usd), TestUSD.mint.selector);
        vm.assertEq(abi.encode(effectiveFrom, amountArg, limit), abi.encode(from, 2, 50));
        vm.warp(from - 1);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.RuleNotReady.selector, from));
        executor.applyRule(address(usd), TestUSD.mint.selector);
        bytes memory data = abi.encodeCall(usd.mint, (alice, 50));
        assertStatus(execute(command("a", address(usd), data)).status, IExecutor.Status.Failed);
        vm.warp(from);
        vm.expectEmit(address(executor));
        emit IExecutor.RuleChanged(address(usd), TestUSD.mint.selector, true, 2, 50, address(this));
        executor.applyRule(address(usd), TestUSD.mint.selector);
        assertStatus(execute(command("b", address(usd), data)).status, IExecutor.Status.Executed);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NoRule.selector, address(usd), TestUSD.mint.selector));
        executor.applyRule(address(usd), TestUSD.mint.selector);
    }

    function test_a_guardian_takes_back_what_is_scheduled_and_what_counts() public {
        IExecutor.Rule memory rule = IExecutor.Rule(address(token), MINT, 0, 0);
        vm.prank(admin);
        executor.scheduleRule(rule);
        vm.prank(keeper);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NotGuardian.selector, keeper));
        executor.cancelRule(address(token), MINT);
        vm.expectEmit(address(executor));
        emit IExecutor.RuleCancelled(address(token), MINT, guardian);
        vm.prank(guardian);
        executor.cancelRule(address(token), MINT);
        vm.prank(guardian);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NoRule.selector, address(token), MINT));
        executor.cancelRule(address(token), MINT);
        vm.warp(START + ADMIN_DELAY);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NoRule.selector, address(token), MINT));
        executor.applyRule(address(token), MINT);

        vm.prank(keeper);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NotGuardian.selector, keeper));
        executor.removeRule(address(token), MINT);
        vm.expectEmit(address(executor));
        emit IExecutor.RuleChanged(address(token), MINT, false, 2, DAILY_MINT, guardian);
        vm.prank(guardian);
        executor.removeRule(address(token), MINT);
        assertStatus(execute(command("a", address(token), mintCall(alice, 1))).status, IExecutor.Status.Failed);
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NoRule.selector, address(token), MINT));
        executor.removeRule(address(token), MINT);
    }

    /// @dev What is scheduled in the place of a rule was wider than it; nobody is to apply it to what was narrowed since.
    function test_narrowing_a_rule_takes_back_what_is_scheduled_in_its_place() public {
        IExecutor.Rule memory wider = IExecutor.Rule(address(token), MINT, 0, 0);
        for (uint256 way = 0; way < 2; ++way) {
            vm.prank(admin);
            executor.scheduleRule(wider);
            vm.expectEmit(address(executor));
            emit IExecutor.RuleCancelled(address(token), MINT, admin);
            vm.prank(admin);
            if (way == 0) executor.lowerLimit(address(token), MINT, 5);
            else executor.removeRule(address(token), MINT);
            vm.warp(block.timestamp + ADMIN_DELAY);
            vm.expectRevert(abi.encodeWithSelector(IExecutor.NoRule.selector, address(token), MINT));
            executor.applyRule(address(token), MINT);
        }
    }

    function test_the_factory_adds_rules_but_changes_none() public {
        IExecutor.Rule[] memory rules = new IExecutor.Rule[](1);
        rules[0] = IExecutor.Rule(address(token), MINT, 0, 0);
        vm.assertEq(executor.factory(), address(factory));
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NotFactory.selector, admin));
        executor.register(rules);
        // Not even with every role: whose delay would a new rule wait for, if the admin could make itself the factory?
        bytes32[4] memory roles =
            [keccak256("FACTORY_ROLE"), executor.KEEPER_ROLE(), executor.GUARDIAN_ROLE(), keccak256("DEPLOYER_ROLE")];
        for (uint256 i = 0; i < roles.length; ++i) {
            vm.prank(admin);
            executor.grantRole(roles[i], admin);
        }
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NotFactory.selector, admin));
        executor.register(rules);
        vm.prank(address(factory));
        vm.expectRevert(abi.encodeWithSelector(IExecutor.RuleExists.selector, address(token), MINT));
        executor.register(rules);
    }

    // ---------------------------------------------------------------- daily limits

    function test_a_daily_limit_counts_what_succeeded_and_starts_anew_at_midnight() public {
        mintOk("a", DAILY_MINT - 10);
        // A mint that fails uses nothing up.
        assertStatus(execute(command("b", address(token), mintCall(carol, 10))).status, IExecutor.Status.Failed);
        refused(
            command("c", address(token), mintCall(alice, 11)),
            abi.encodeWithSelector(IExecutor.DailyLimitExceeded.selector, DAILY_MINT, DAILY_MINT - 10, 11)
        );
        mintOk("d", 10);
        refused(
            command("e", address(token), mintCall(alice, 1)),
            abi.encodeWithSelector(IExecutor.DailyLimitExceeded.selector, DAILY_MINT, DAILY_MINT, 1)
        );
        (,,, uint104 used) = executor.ruleOf(address(token), MINT);
        vm.assertEq(used, DAILY_MINT);
        vm.warp((START / 1 days + 1) * 1 days - 1);
        assertStatus(execute(command("f", address(token), mintCall(alice, 1))).status, IExecutor.Status.Failed);
        vm.warp((START / 1 days + 1) * 1 days);
        mintOk("g", 1);
        (,,, used) = executor.ruleOf(address(token), MINT);
        vm.assertEq(used, 1);
    }

    function test_an_amount_beyond_any_word_cannot_slip_through() public {
        mintOk("a", 10);
        refused(
            command("b", address(token), mintCall(alice, type(uint256).max - 5)),
            abi.encodeWithSelector(IExecutor.DailyLimitExceeded.selector, DAILY_MINT, 10, type(uint256).max - 5)
        );
        refused(
            command("c", address(token), abi.encodePacked(MINT, bytes32(uint256(uint160(alice))), bytes31(0))),
            abi.encodeWithSelector(IExecutor.DataTooShort.selector)
        );
    }

    function test_force_has_limits_of_its_own() public {
        give(alice, 10 * uint256(DAILY_FORCE));
        bytes memory data = abi.encodeWithSignature(
            "forcedTransfer(address,address,uint256,bytes32)", alice, bob, uint256(DAILY_FORCE) + 1, REASON
        );
        refused(
            command("a", address(token), data),
            abi.encodeWithSelector(IExecutor.DailyLimitExceeded.selector, DAILY_FORCE, 0, uint256(DAILY_FORCE) + 1)
        );
        data = abi.encodeCall(token.forcedBurn, (alice, uint256(DAILY_FORCE) + 1, REASON));
        refused(
            command("b", address(token), data),
            abi.encodeWithSelector(IExecutor.DailyLimitExceeded.selector, DAILY_FORCE, 0, uint256(DAILY_FORCE) + 1)
        );
        mintOk("c", uint256(DAILY_FORCE) + 1);
    }

    function test_burns_and_holds_each_have_a_limit() public {
        give(alice, 10 * uint256(DAILY_BURN));
        uint256 above = uint256(DAILY_BURN) + 1;
        bytes memory why = abi.encodeWithSelector(IExecutor.DailyLimitExceeded.selector, DAILY_BURN, 0, above);
        refused(command("a", address(token), abi.encodeCall(token.burn, (alice, above, REASON))), why);
        refused(command("b", address(token), abi.encodeCall(token.placeHold, (alice, above, 0, REASON))), why);
        bytes memory data = abi.encodeCall(token.placeHold, (alice, DAILY_BURN, 0, REASON));
        assertStatus(execute(command("c", address(token), data)).status, IExecutor.Status.Executed);
        // What it is executed for has been counted.
        data = abi.encodeCall(token.executeHold, (alice, 1, REASON));
        assertStatus(execute(command("d", address(token), data)).status, IExecutor.Status.Executed);
        data = abi.encodeCall(token.burn, (alice, DAILY_BURN, REASON));
        assertStatus(execute(command("e", address(token), data)).status, IExecutor.Status.Executed);
        refused(
            command("f", address(token), abi.encodeCall(token.burn, (alice, 1, REASON))),
            abi.encodeWithSelector(IExecutor.DailyLimitExceeded.selector, DAILY_BURN, DAILY_BURN, 1)
        );
    }

    function test_a_limit_is_lowered_at_once_and_raised_only_by_a_rule() public {
        mintOk("a", 100);
        vm.expectRevert();
        executor.lowerLimit(address(token), MINT, 1);
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NotLower.selector, DAILY_MINT));
        executor.lowerLimit(address(token), MINT, DAILY_MINT);
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NoRule.selector, address(token), token.pause.selector));
        executor.lowerLimit(address(token), token.pause.selector, 0);
        vm.expectEmit(address(executor));
        emit IExecutor.RuleChanged(address(token), MINT, true, 2, 50, admin);
        vm.prank(admin);
        executor.lowerLimit(address(token), MINT, 50);
        refused(
            command("b", address(token), mintCall(alice, 1)),
            abi.encodeWithSelector(IExecutor.DailyLimitExceeded.selector, 50, 100, 1)
        );
    }

    /// @dev What is minted through the Executor in one day never exceeds the limit, in whatever portions.
    function testFuzz_a_day_never_exceeds_its_limit(uint256 seed, uint104 limit) public {
        limit = uint104(bound(limit, 0, DAILY_MINT - 1));
        vm.prank(admin);
        executor.lowerLimit(address(token), MINT, limit);
        uint256 minted;
        for (uint256 i = 1; i <= 8; ++i) {
            uint256 amount = bound(uint256(keccak256(abi.encode(seed, i))), 0, uint256(limit) / 2 + 1);
            bool fits = minted + amount <= limit;
            IExecutor.Result memory result = execute(command(bytes32(i), address(token), mintCall(alice, amount)));
            assertStatus(result.status, fits ? IExecutor.Status.Executed : IExecutor.Status.Failed);
            if (fits) minted += amount;
        }
        vm.assertEq(token.balanceOf(alice), minted);
        vm.assertTrue(minted <= limit);
    }

    // ---------------------------------------------------------------- helpers

    function mintOk(bytes32 id, uint256 amount) private {
        assertStatus(execute(command(id, address(token), mintCall(alice, amount))).status, IExecutor.Status.Executed);
    }

    function refused(IExecutor.Command memory item, bytes memory why) private {
        vm.expectEmit(address(executor));
        emit IExecutor.BatchStarted(keeper);
        vm.expectEmit(address(executor));
        emit IExecutor.CommandExecuted(item.id, item.target, false, why);
        IExecutor.Result memory result = execute(item);
        assertStatus(result.status, IExecutor.Status.Failed);
        vm.assertEq(result.returnData, why);
    }
}
