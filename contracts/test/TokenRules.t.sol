// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IInvestorRegistry} from "../sol/interfaces/IInvestorRegistry.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {ITokenExtension} from "../sol/interfaces/ITokenExtension.sol";
import {RestrictionCodes} from "../sol/lib/RestrictionCodes.sol";
import {Base, Vm} from "./Base.sol";

/// @notice Limits, the country rule, documents, batches.
contract TokenRulesTest is Base {
    bytes32 private constant PROSPECTUS = "prospectus";

    function setUp() public override {
        super.setUp();
        give(alice, 100);
    }

    // ---------------------------------------------------------------- limits

    function test_limits_are_told_and_kept() public {
        vm.expectEmit(address(token));
        emit ITokenExtension.LimitsChanged(2, 150, REASON, address(executor));
        limit(2, 150);
        (uint32 holders, uint104 balance) = token.limits();
        vm.assertEq(holders, 2);
        vm.assertEq(balance, 150);
        limit(type(uint32).max, type(uint104).max);
        (holders, balance) = token.limits();
        vm.assertEq(holders, type(uint32).max);
        vm.assertEq(balance, type(uint104).max);
        vm.assertEq(token.decimals(), 18);
        vm.assertEq(token.registry(), address(registry));
    }

    function test_no_holder_comes_beyond_the_limit_unless_another_goes() public {
        limit(1, 0);
        agree(alice, bob, 1, RestrictionCodes.HOLDER_LIMIT);
        agree(address(0), bob, 1, RestrictionCodes.HOLDER_LIMIT);
        agree(alice, bob, 0, RestrictionCodes.OK);
        agree(alice, alice, 1, RestrictionCodes.OK);
        agree(address(0), alice, 1, RestrictionCodes.OK);
        agree(alice, bob, 101, RestrictionCodes.OK);
        vm.assertEq(token.holderCount(), 1);
        vm.assertEq(token.balanceOf(bob), 101);
    }

    function test_no_wallet_holds_more_than_the_limit() public {
        limit(0, 50);
        agree(alice, bob, 51, RestrictionCodes.BALANCE_LIMIT);
        agree(alice, bob, 50, RestrictionCodes.OK);
        agree(alice, bob, 1, RestrictionCodes.BALANCE_LIMIT);
        agree(address(0), bob, type(uint256).max, RestrictionCodes.MAX_SUPPLY_EXCEEDED);
        agree(address(0), bob, 1, RestrictionCodes.BALANCE_LIMIT);
        // Who was above the limit before may stay there, but gets no more.
        limit(0, 20);
        agree(address(0), alice, 1, RestrictionCodes.BALANCE_LIMIT);
        agree(alice, alice, 1, RestrictionCodes.OK);
        limit(0, 0);
        agree(alice, bob, 50, RestrictionCodes.OK);
    }

    function test_limits_do_not_bind_force() public {
        limit(1, 10);
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, 60, REASON);
        vm.assertEq(token.balanceOf(bob), 60);
        vm.assertEq(token.holderCount(), 2);
    }

    // ---------------------------------------------------------------- countries

    function test_listed_countries_are_refused() public {
        vm.expectEmit(address(token));
        emit ITokenExtension.CountryRuleChanged(1, listed(756), REASON, address(executor));
        rule(1, listed(756));
        (uint8 mode, uint256[4] memory countries) = token.countryRule();
        vm.assertEq(abi.encode(mode, countries), abi.encode(1, listed(756)));
        agree(alice, bob, 1, RestrictionCodes.RECIPIENT_COUNTRY);
        agree(address(0), bob, 1, RestrictionCodes.RECIPIENT_COUNTRY);
        vm.assertFalse(token.canReceive(bob));
        vm.assertTrue(token.canSend(bob));
        vm.expectRevert(restricted(alice, bob, 1, RestrictionCodes.RECIPIENT_COUNTRY));
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, 1, REASON);
        settle(bob, 276);
        agree(alice, bob, 1, RestrictionCodes.OK);
        // Leaving is nobody's business.
        agree(alice, address(0), 1, RestrictionCodes.OK);
    }

    function test_only_listed_countries_are_admitted() public {
        rule(2, listed(276));
        agree(alice, bob, 1, RestrictionCodes.RECIPIENT_COUNTRY);
        settle(bob, 276);
        agree(alice, bob, 1, RestrictionCodes.OK);
        settle(bob, 0);
        agree(alice, bob, 1, RestrictionCodes.RECIPIENT_COUNTRY);
        rule(0, listed(276));
        agree(alice, bob, 1, RestrictionCodes.OK);
    }

    function test_a_recovery_asks_for_the_country_too() public {
        whitelist(carol, 1);
        registry.revoke(alice, REASON);
        rule(1, listed(756));
        vm.expectRevert(restricted(alice, carol, 100, RestrictionCodes.RECIPIENT_COUNTRY));
        vm.prank(address(executor));
        token.recover(alice, carol, 100, REASON);
    }

    function testFuzz_every_country_has_a_bit_of_its_own(uint16 country, uint16 other, bool admit) public {
        country = uint16(bound(country, 0, 1023));
        settle(bob, other);
        rule(admit ? 2 : 1, listed(country));
        agree(alice, bob, 1, (country == other) == admit ? RestrictionCodes.OK : RestrictionCodes.RECIPIENT_COUNTRY);
    }

    function test_there_is_no_third_mode() public {
        vm.expectRevert(abi.encodeWithSelector(ITokenExtension.InvalidCountryRule.selector, 3));
        rule(3, listed(756));
    }

    // ---------------------------------------------------------------- documents

    function test_a_document_is_added_replaced_and_removed() public {
        vm.expectEmit(address(token));
        emit ITokenExtension.DocumentChanged(PROSPECTUS, "ipfs://one", "one", address(executor));
        document("ipfs://one", "one");
        assertDocument("one", START);
        vm.warp(START + 5);
        document("ipfs://two", "two");
        assertDocument("two", START + 5);
        vm.expectEmit(address(token));
        emit ITokenExtension.DocumentChanged(PROSPECTUS, "", 0, address(executor));
        vm.prank(address(executor));
        token.removeDocument(PROSPECTUS);
        assertDocument(0, 0);
    }

    function test_no_document_without_a_hash_nor_removed_twice() public {
        vm.expectRevert(abi.encodeWithSelector(ITokenExtension.InvalidDocument.selector, PROSPECTUS));
        document("ipfs://none", 0);
        vm.expectRevert(abi.encodeWithSelector(ITokenExtension.UnknownDocument.selector, PROSPECTUS));
        vm.prank(address(executor));
        token.removeDocument(PROSPECTUS);
    }

    // ---------------------------------------------------------------- batches

    function test_a_batch_tells_what_single_mints_tell() public {
        (address[] memory to, uint256[] memory amounts) = (new address[](3), new uint256[](3));
        (to[0], to[1], to[2]) = (alice, bob, alice);
        (amounts[0], amounts[1], amounts[2]) = (1, 2, 0);
        vm.recordLogs();
        for (uint256 i = 0; i < 3; ++i) {
            give(to[i], amounts[i]);
        }
        Vm.Log[] memory single = vm.getRecordedLogs();
        vm.prank(address(executor));
        token.forcedBurn(alice, 1, REASON);
        vm.prank(address(executor));
        token.forcedBurn(bob, 2, REASON);
        vm.recordLogs();
        vm.prank(address(executor));
        token.mintBatch(to, amounts, REASON);
        vm.assertEq(abi.encode(vm.getRecordedLogs()), abi.encode(single));
        vm.assertEq(token.totalSupply(), 103);
    }

    function test_a_batch_is_minted_whole_or_not_at_all() public {
        (address[] memory to, uint256[] memory amounts) = (new address[](2), new uint256[](2));
        (to[0], to[1]) = (bob, carol);
        (amounts[0], amounts[1]) = (1, 2);
        vm.expectRevert(restricted(address(0), carol, 2, RestrictionCodes.RECIPIENT_NOT_WHITELISTED));
        vm.prank(address(executor));
        token.mintBatch(to, amounts, REASON);
        vm.assertEq(token.balanceOf(bob), 0);
        vm.expectRevert(ITokenExtension.LengthMismatch.selector);
        vm.prank(address(executor));
        token.mintBatch(to, new uint256[](1), REASON);
    }

    // ---------------------------------------------------------------- roles

    function test_every_rare_function_asks_for_its_own_role() public {
        uint256[4] memory none;
        bytes[8] memory calls = [
            abi.encodeCall(token.mintLocked, (bob, 1, 2, uint40(START + 1), REASON)),
            abi.encodeCall(token.mintBatch, (new address[](0), new uint256[](0), REASON)),
            abi.encodeCall(token.placeHold, (alice, 1, 0, REASON)),
            abi.encodeCall(token.setLimits, (0, 0, REASON)),
            abi.encodeCall(token.setCountryRule, (0, none, REASON)),
            abi.encodeCall(token.setDocument, (PROSPECTUS, "", "hash")),
            abi.encodeCall(token.removeDocument, (PROSPECTUS)),
            abi.encodeCall(token.recover, (alice, carol, 101, REASON))
        ];
        bytes32[8] memory roles = [
            token.MINTER_ROLE(),
            token.MINTER_ROLE(),
            token.HOLD_ROLE(),
            token.RULES_ROLE(),
            token.RULES_ROLE(),
            token.RULES_ROLE(),
            token.RULES_ROLE(),
            token.ENFORCER_ROLE()
        ];
        whitelist(carol, 1);
        give(alice, 1);
        registry.revoke(alice, REASON);
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(admin);
            (bool ok, bytes memory answer) = address(token).call(calls[i]);
            vm.assertFalse(ok);
            vm.assertEq(
                answer,
                abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, admin, roles[i])
            );
            vm.prank(admin);
            token.grantRole(roles[i], treasury);
            vm.prank(treasury);
            (ok,) = address(token).call(calls[i]);
            vm.assertTrue(ok);
            vm.prank(admin);
            token.revokeRole(roles[i], treasury);
        }
    }

    // ---------------------------------------------------------------- helpers

    /// @dev The predictor says `code`, and the movement ends so.
    function agree(address from, address to, uint256 amount, uint8 code) private {
        vm.assertEq(token.detectTransferRestriction(from, to, amount), code, "code");
        if (code != RestrictionCodes.OK) vm.expectRevert(restricted(from, to, amount, code));
        if (from == address(0)) {
            vm.prank(address(executor));
            token.mint(to, amount, REASON);
        } else if (to == address(0)) {
            vm.prank(address(executor));
            token.burn(from, amount, REASON);
        } else {
            vm.prank(from);
            token.transfer(to, amount);
        }
    }

    function limit(uint32 holders, uint104 balance) private {
        vm.prank(address(executor));
        token.setLimits(holders, balance, REASON);
    }

    function rule(uint8 mode, uint256[4] memory countries) private {
        vm.prank(address(executor));
        token.setCountryRule(mode, countries, REASON);
    }

    function document(string memory uri, bytes32 hash) private {
        vm.prank(address(executor));
        token.setDocument(PROSPECTUS, uri, hash);
    }

    function assertDocument(bytes32 hash, uint256 modifiedAt) private view {
        (bytes32 stored, uint40 modified) = token.documentOf(PROSPECTUS);
        vm.assertEq(stored, hash);
        vm.assertEq(modified, modifiedAt);
    }

    function settle(address wallet, uint16 country) private {
        IInvestorRegistry.Investor memory record = investor(2);
        record.country = country;
        registry.setInvestor(wallet, record, REASON);
    }

    function listed(uint256 country) private pure returns (uint256[4] memory countries) {
        countries[country / 256] = 1 << (country % 256);
    }

    function restricted(address from, address to, uint256 amount, uint8 code) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ISecurityToken.TransferRestricted.selector, from, to, amount, code);
    }
}
