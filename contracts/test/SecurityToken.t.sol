// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UpgradeableBeacon} from "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol";
import {SecurityToken} from "../sol/SecurityToken.sol";
import {IERC1404} from "../sol/interfaces/IERC1404.sol";
import {IERC7943Fungible} from "../sol/interfaces/IERC7943.sol";
import {INodeFactory} from "../sol/interfaces/INodeFactory.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {ITokenExtension} from "../sol/interfaces/ITokenExtension.sol";
import {RestrictionCodes} from "../sol/lib/RestrictionCodes.sol";
import {Base, Vm} from "./Base.sol";

contract SecurityTokenTest is Base {
    uint256 private constant MAX_AMOUNT = type(uint104).max;

    // ---------------------------------------------------------------- identity

    function test_a_new_token_says_what_it_is() public view {
        vm.assertEq(token.name(), "Rental Cash Certificate");
        vm.assertEq(token.symbol(), "RCC");
        vm.assertEq(token.decimals(), 18);
        vm.assertEq(token.instrumentId(), INSTRUMENT);
        vm.assertEq(token.maxSupply(), MAX_SUPPLY);
        vm.assertEq(token.registry(), address(registry));
        vm.assertEq(token.totalSupply(), 0);
        vm.assertEq(token.defaultAdmin(), admin);
        vm.assertEq(token.defaultAdminDelay(), ADMIN_DELAY);
    }

    function test_it_claims_the_interfaces_it_has() public view {
        vm.assertEq(bytes32(type(IERC7943Fungible).interfaceId), bytes32(bytes4(0x3edbb4c4)));
        vm.assertEq(bytes32(type(IERC1404).interfaceId), bytes32(bytes4(0xab84a5c8)));
        bytes4[6] memory ids = [
            bytes4(0x3edbb4c4), // ERC-7943
            bytes4(0xab84a5c8), // ERC-1404
            bytes4(0x01ffc9a7), // ERC-165
            bytes4(0x36372b07), // ERC-20
            bytes4(0xa219a025), // ERC-20 metadata
            bytes4(0x9d8ff7da) // ERC-2612
        ];
        for (uint256 i = 0; i < ids.length; ++i) {
            vm.assertTrue(token.supportsInterface(ids[i]));
        }
        vm.assertFalse(token.supportsInterface(0xffffffff));
    }

    function test_it_is_set_up_once_and_its_implementation_never() public {
        ISecurityToken.TokenInit memory init = tokenInit();
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        token.initialize(init);
        SecurityToken implementation = new SecurityToken();
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        implementation.initialize(init);
    }

    function test_an_upgrade_keeps_every_holder() public {
        give(alice, 100);
        freeze(alice, 30);
        address next = address(new SecurityToken());
        vm.prank(admin);
        factory.upgradeTokens(next);
        vm.assertEq(UpgradeableBeacon(factory.beacon()).implementation(), next);
        vm.assertEq(token.balanceOf(alice), 100);
        vm.assertEq(token.getFrozenTokens(alice), 30);
        vm.assertEq(token.instrumentId(), INSTRUMENT);
    }

    // ---------------------------------------------------------------- supply

    function test_a_mint_tells_the_balance_and_the_supply_that_result() public {
        give(bob, 5);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(address(0), alice, 100);
        vm.expectEmit(address(token));
        emit ISecurityToken.Minted(alice, 100, 100, 105, REASON, address(executor));
        give(alice, 100);
        vm.assertEq(token.balanceOf(alice), 100);
        vm.assertEq(token.totalSupply(), 105);
    }

    function test_a_burn_takes_free_units_only() public {
        give(alice, 100);
        freeze(alice, 60);
        vm.prank(address(executor));
        vm.expectRevert(
            abi.encodeWithSelector(IERC7943Fungible.ERC7943InsufficientUnfrozenBalance.selector, alice, 41, 40)
        );
        token.burn(alice, 41, REASON);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, address(0), 40);
        vm.expectEmit(address(token));
        emit ISecurityToken.Burned(alice, 40, 60, 60, REASON, address(executor));
        vm.prank(address(executor));
        token.burn(alice, 40, REASON);
        vm.assertEq(token.totalSupply(), 60);
    }

    function test_a_burn_works_whatever_the_registry_thinks_of_the_holder() public {
        give(alice, 100);
        registry.revoke(alice, REASON);
        vm.prank(address(executor));
        token.burn(alice, 100, REASON);
        vm.assertEq(token.balanceOf(alice), 0);
    }

    function test_a_burn_above_the_balance_is_refused() public {
        give(alice, 100);
        vm.prank(address(executor));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 100, 101));
        token.burn(alice, 101, REASON);
    }

    function test_nothing_is_minted_to_or_burned_from_nobody() public {
        vm.prank(address(executor));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0)));
        token.mint(address(0), 1, REASON);
        vm.prank(address(executor));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidSender.selector, address(0)));
        token.burn(address(0), 1, REASON);
    }

    // ---------------------------------------------------------------- transfers

    function test_a_transfer_to_oneself_changes_nothing() public {
        give(alice, 100);
        freeze(alice, 10);
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, alice, 90);
        vm.prank(alice);
        token.transfer(alice, 90);
        vm.assertEq(token.balanceOf(alice), 100);
        vm.assertEq(token.getFrozenTokens(alice), 10);
        vm.assertEq(token.totalSupply(), 100);
        vm.prank(alice);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 100, 101));
        token.transfer(alice, 101);
    }

    function test_an_allowance_is_needed_and_used_up() public {
        give(alice, 100);
        vm.prank(alice);
        token.approve(carol, 50);
        vm.prank(carol);
        token.transferFrom(alice, bob, 40);
        vm.assertEq(token.allowance(alice, carol), 10);
        vm.prank(carol);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, carol, 10, 11));
        token.transferFrom(alice, bob, 11);
    }

    function test_a_permit_is_good_once() public {
        uint256 key = 0x5EED;
        address owner = vm.addr(key);
        bytes32 hash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                carol,
                uint256(7),
                token.nonces(owner),
                START
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(key, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), hash)));
        token.permit(owner, carol, 7, START, v, r, s);
        vm.assertEq(token.allowance(owner, carol), 7);
        vm.expectRevert();
        token.permit(owner, carol, 7, START, v, r, s);
    }

    function testFuzz_transfers_keep_the_sum_and_everyone_elses_balance(uint256 minted, uint256 amount, uint256 frozen)
        public
    {
        minted = bound(minted, 1, MAX_SUPPLY - 1);
        give(carolWhitelisted(), 1);
        give(alice, minted);
        frozen = bound(frozen, 0, minted);
        freeze(alice, frozen);
        amount = bound(amount, 0, minted - frozen);
        vm.prank(alice);
        token.transfer(bob, amount);
        vm.assertEq(token.balanceOf(alice), minted - amount);
        vm.assertEq(token.balanceOf(bob), amount);
        vm.assertEq(token.balanceOf(carol), 1);
        vm.assertEq(token.totalSupply(), minted + 1);
        vm.assertEq(token.getFrozenTokens(alice), frozen);
    }

    // ---------------------------------------------------------------- freezing

    function test_a_freeze_is_absolute_and_may_exceed_the_balance() public {
        give(alice, 100);
        vm.expectEmit(address(token));
        emit IERC7943Fungible.Frozen(alice, 150);
        vm.expectEmit(address(token));
        emit ISecurityToken.FrozenChanged(alice, 0, 150, REASON, address(executor));
        freeze(alice, 150);
        vm.assertEq(token.getFrozenTokens(alice), 150);
        give(alice, 60);
        vm.assertTrue(token.canTransfer(alice, bob, 10));
        vm.assertFalse(token.canTransfer(alice, bob, 11));
    }

    function testFuzz_any_frozen_amount_is_accepted_and_kept_up_to_the_limit(uint256 amount) public {
        uint256 kept = amount > MAX_AMOUNT ? MAX_AMOUNT : amount;
        give(alice, 100);
        vm.expectEmit(address(token));
        emit IERC7943Fungible.Frozen(alice, kept);
        vm.prank(address(executor));
        token.setFrozenTokens(alice, amount);
        vm.assertEq(token.getFrozenTokens(alice), kept);
        vm.assertEq(token.balanceOf(alice), 100);
        vm.assertFalse(token.isFrozen(alice));
    }

    function test_a_frozen_wallet_keeps_balance_and_partial_freeze() public {
        give(alice, 100);
        freeze(alice, 30);
        vm.expectEmit(address(token));
        emit ISecurityToken.AddressFreezeChanged(alice, true, REASON, address(executor));
        freezeAddress(alice, true);
        vm.assertTrue(token.isFrozen(alice));
        vm.assertFalse(token.canSend(alice));
        vm.assertFalse(token.canReceive(alice));
        freezeAddress(alice, false);
        vm.assertFalse(token.isFrozen(alice));
        vm.assertEq(token.balanceOf(alice), 100);
        vm.assertEq(token.getFrozenTokens(alice), 30);
    }

    // ---------------------------------------------------------------- force

    function test_force_takes_free_units_first_then_unfreezes_before_it_moves() public {
        give(alice, 100);
        freeze(alice, 80);
        vm.recordLogs();
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, 50, REASON);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 5);
        vm.assertEq(logs[0].topics[0], IERC7943Fungible.Frozen.selector);
        vm.assertEq(abi.decode(logs[0].data, (uint256)), 50);
        vm.assertEq(logs[1].topics[0], ISecurityToken.FrozenChanged.selector);
        vm.assertEq(logs[2].topics[0], IERC20.Transfer.selector);
        vm.assertEq(logs[3].topics[0], IERC7943Fungible.ForcedTransfer.selector);
        vm.assertEq(logs[4].topics[0], ISecurityToken.ForcedTransferExecuted.selector);
        (uint256 amount, uint256 unfrozen, bytes32 reason, address operator) =
            abi.decode(logs[4].data, (uint256, uint256, bytes32, address));
        vm.assertEq(amount, 50);
        vm.assertEq(unfrozen, 30);
        vm.assertEq(reason, REASON);
        vm.assertEq(operator, address(executor));
        vm.assertEq(token.getFrozenTokens(alice), 50);
        vm.assertEq(token.balanceOf(bob), 50);
    }

    function test_force_within_the_free_units_leaves_the_freeze_alone() public {
        give(alice, 100);
        freeze(alice, 80);
        vm.recordLogs();
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, 20);
        vm.assertEq(vm.getRecordedLogs().length, 3);
        vm.assertEq(token.getFrozenTokens(alice), 80);
    }

    function testFuzz_force_leaves_no_more_frozen_than_is_left(uint256 balance, uint256 frozen, uint256 amount) public {
        balance = bound(balance, 1, MAX_SUPPLY);
        frozen = bound(frozen, 0, MAX_AMOUNT);
        amount = bound(amount, 0, balance);
        give(alice, balance);
        freeze(alice, frozen);
        uint256 free = balance > frozen ? balance - frozen : 0;
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, amount, REASON);
        vm.assertEq(token.balanceOf(alice), balance - amount);
        vm.assertEq(token.balanceOf(bob), amount);
        vm.assertEq(token.getFrozenTokens(alice), amount > free ? balance - amount : frozen);
    }

    function test_force_works_while_paused_and_from_a_frozen_revoked_wallet() public {
        give(alice, 100);
        freezeAddress(alice, true);
        registry.revoke(alice, REASON);
        vm.prank(address(executor));
        token.pause(REASON);
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, 60, REASON);
        vm.prank(address(executor));
        token.forcedBurn(alice, 40, REASON);
        vm.assertEq(token.balanceOf(bob), 60);
        vm.assertEq(token.totalSupply(), 60);
    }

    function test_force_goes_only_to_a_wallet_that_may_receive() public {
        give(alice, 100);
        vm.prank(address(executor));
        vm.expectRevert(restricted(alice, carol, 1, RestrictionCodes.RECIPIENT_NOT_WHITELISTED));
        token.forcedTransfer(alice, carol, 1, REASON);
        freezeAddress(bob, true);
        vm.prank(address(executor));
        vm.expectRevert(restricted(alice, bob, 1, RestrictionCodes.RECIPIENT_FROZEN));
        token.forcedTransfer(alice, bob, 1, REASON);
    }

    function test_force_to_oneself_is_refused() public {
        give(alice, 100);
        freeze(alice, 100);
        vm.prank(address(executor));
        vm.expectRevert(abi.encodeWithSelector(ISecurityToken.SelfTransfer.selector, alice));
        token.forcedTransfer(alice, alice, 1, REASON);
        vm.assertEq(token.getFrozenTokens(alice), 100);
    }

    function test_force_from_or_to_nobody_is_refused() public {
        give(alice, 100);
        vm.prank(address(executor));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, address(0)));
        token.forcedTransfer(alice, address(0), 1, REASON);
        vm.prank(address(executor));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidSender.selector, address(0)));
        token.forcedTransfer(address(0), alice, 0, REASON);
        vm.prank(address(executor));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidSender.selector, address(0)));
        token.forcedBurn(address(0), 0, REASON);
    }

    function test_force_above_the_balance_is_refused() public {
        give(alice, 100);
        vm.prank(address(executor));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 100, 101));
        token.forcedTransfer(alice, bob, 101, REASON);
        vm.prank(address(executor));
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, alice, 100, 101));
        token.forcedBurn(alice, 101, REASON);
    }

    function test_after_force_the_rules_hold_again() public {
        give(alice, 100);
        freeze(alice, 50);
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, 10, REASON);
        vm.prank(alice);
        vm.expectRevert(restricted(alice, carol, 1, RestrictionCodes.RECIPIENT_NOT_WHITELISTED));
        token.transfer(carol, 1);
    }

    function test_a_forced_burn_unfreezes_before_it_burns() public {
        give(alice, 100);
        freeze(alice, 100);
        vm.expectEmit(address(token));
        emit IERC7943Fungible.Frozen(alice, 70);
        vm.expectEmit(address(token));
        emit ISecurityToken.FrozenChanged(alice, 100, 70, REASON, address(executor));
        vm.expectEmit(address(token));
        emit IERC20.Transfer(alice, address(0), 30);
        vm.expectEmit(address(token));
        emit ISecurityToken.ForcedBurnExecuted(alice, 30, 30, 70, 70, REASON, address(executor));
        vm.prank(address(executor));
        token.forcedBurn(alice, 30, REASON);
    }

    // ---------------------------------------------------------------- pauses

    function test_transfers_and_supply_are_paused_apart() public {
        give(alice, 100);
        vm.expectEmit(address(token));
        emit ITokenExtension.PauseChanged(true, false, REASON, address(executor));
        vm.prank(address(executor));
        token.pause(REASON);
        give(alice, 1);
        vm.expectEmit(address(token));
        emit ITokenExtension.PauseChanged(true, true, REASON, address(executor));
        vm.prank(address(executor));
        token.pauseSupply(REASON);
        vm.assertTrue(token.paused() && token.supplyPaused());
        vm.expectEmit(address(token));
        emit ITokenExtension.PauseChanged(false, true, REASON, address(executor));
        vm.prank(address(executor));
        token.unpause(REASON);
        vm.prank(alice);
        token.transfer(bob, 1);
        vm.prank(address(executor));
        token.unpauseSupply(REASON);
        vm.assertFalse(token.paused() || token.supplyPaused());
        give(alice, 1);
    }

    // ---------------------------------------------------------------- roles

    function test_every_privileged_function_asks_for_its_own_role() public {
        bytes[12] memory calls = [
            abi.encodeCall(token.mint, (alice, 1, REASON)),
            abi.encodeCall(token.burn, (alice, 1, REASON)),
            abi.encodeWithSignature("setFrozenTokens(address,uint256)", alice, 1),
            abi.encodeWithSignature("setFrozenTokens(address,uint256,bytes32)", alice, 1, REASON),
            abi.encodeCall(token.setAddressFrozen, (alice, true, REASON)),
            abi.encodeWithSignature("forcedTransfer(address,address,uint256)", alice, bob, 1),
            abi.encodeWithSignature("forcedTransfer(address,address,uint256,bytes32)", alice, bob, 1, REASON),
            abi.encodeCall(token.forcedBurn, (alice, 1, REASON)),
            abi.encodeCall(token.pause, (REASON)),
            abi.encodeCall(token.unpause, (REASON)),
            abi.encodeCall(token.pauseSupply, (REASON)),
            abi.encodeCall(token.unpauseSupply, (REASON))
        ];
        bytes32[12] memory roles = [
            token.MINTER_ROLE(),
            token.BURNER_ROLE(),
            token.FREEZER_ROLE(),
            token.FREEZER_ROLE(),
            token.FREEZER_ROLE(),
            token.ENFORCER_ROLE(),
            token.ENFORCER_ROLE(),
            token.ENFORCER_ROLE(),
            token.PAUSER_ROLE(),
            token.PAUSER_ROLE(),
            token.PAUSER_ROLE(),
            token.PAUSER_ROLE()
        ];
        give(alice, 10);
        for (uint256 i = 0; i < calls.length; ++i) {
            // The admin has no operating role either.
            (bool ok, bytes memory returned) = callAs(admin, calls[i]);
            vm.assertFalse(ok);
            vm.assertEq(
                returned,
                abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, admin, roles[i])
            );
            vm.prank(admin);
            token.grantRole(roles[i], carol);
            (ok,) = callAs(carol, calls[i]);
            vm.assertTrue(ok);
            vm.prank(admin);
            token.revokeRole(roles[i], carol);
        }
    }

    function test_wiring_is_the_admins() public {
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, address(this), bytes32(0))
        );
        token.setRegistry(address(registry), REASON);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, address(this), bytes32(0))
        );
        token.replaceOperator(address(executor), carol);
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(ISecurityToken.InvalidRegistry.selector, carol));
        token.setRegistry(carol, REASON);
        vm.expectEmit(address(token));
        emit ISecurityToken.RegistryChanged(address(registry), address(token), REASON, admin);
        vm.prank(admin);
        token.setRegistry(address(token), REASON);
    }

    function test_a_successor_takes_every_operating_role_and_leaves_none() public {
        bytes32[7] memory roles = [
            token.MINTER_ROLE(),
            token.BURNER_ROLE(),
            token.FREEZER_ROLE(),
            token.ENFORCER_ROLE(),
            token.PAUSER_ROLE(),
            token.HOLD_ROLE(),
            token.RULES_ROLE()
        ];
        vm.expectEmit(address(token));
        emit ISecurityToken.OperatorReplaced(address(executor), carol, admin);
        vm.prank(admin);
        token.replaceOperator(address(executor), carol);
        for (uint256 i = 0; i < roles.length; ++i) {
            vm.assertFalse(token.hasRole(roles[i], address(executor)));
            vm.assertTrue(token.hasRole(roles[i], carol));
        }
    }

    function test_a_new_admin_waits() public {
        vm.prank(admin);
        token.beginDefaultAdminTransfer(carol);
        vm.prank(carol);
        vm.expectRevert();
        token.acceptDefaultAdminTransfer();
        vm.warp(START + ADMIN_DELAY + 1);
        vm.prank(carol);
        token.acceptDefaultAdminTransfer();
        vm.assertEq(token.defaultAdmin(), carol);
    }

    // ---------------------------------------------------------------- helpers

    function callAs(address sender, bytes memory data) private returns (bool ok, bytes memory returned) {
        vm.prank(sender);
        return address(token).call(data);
    }

    function carolWhitelisted() private returns (address) {
        whitelist(carol, 3);
        return carol;
    }

    function restricted(address from, address to, uint256 amount, uint8 code) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ISecurityToken.TransferRestricted.selector, from, to, amount, code);
    }

    function tokenInit() private view returns (ISecurityToken.TokenInit memory) {
        INodeFactory.NodeContracts memory none;
        return ISecurityToken.TokenInit({
            instrumentId: INSTRUMENT,
            name: "n",
            symbol: "s",
            decimals: 18,
            maxSupply: 1,
            registry: address(registry),
            admin: admin,
            adminDelay: 0,
            operator: address(executor),
            contracts: none
        });
    }
}
