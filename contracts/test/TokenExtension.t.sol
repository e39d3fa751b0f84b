// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {UpgradeableBeacon} from "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol";
import {IERC7943Fungible} from "../sol/interfaces/IERC7943.sol";
import {ITokenHolds} from "../sol/interfaces/ITokenHolds.sol";
import {ITokenRent} from "../sol/interfaces/ITokenRent.sol";
import {ITokenExtension} from "../sol/interfaces/ITokenExtension.sol";
import {IInvestorRegistry} from "../sol/interfaces/IInvestorRegistry.sol";
import {TokenExtension} from "../sol/TokenExtension.sol";
import {RestrictionCodes} from "../sol/lib/RestrictionCodes.sol";
import {TokenHead, TokenSupplies, TokenSupply} from "../sol/lib/TokenWords.sol";
import {Base} from "./Base.sol";

/// @notice The edges of what runs in the extension, and laws over any state of it.
contract TokenExtensionTest is Base {
    uint40 private constant LATER = uint40(START + 1 hours);

    function setUp() public override {
        super.setUp();
        give(alice, 100);
    }

    function test_the_extension_alone_has_no_power() public {
        TokenExtension extension = new TokenExtension();
        vm.prank(address(executor));
        vm.expectRevert();
        extension.mintBatch(new address[](0), new uint256[](0), REASON);
        vm.expectRevert(abi.encodeWithSelector(ITokenHolds.UnknownHold.selector, alice, 1));
        extension.releaseHold(alice, 1, REASON);
        vm.assertEq(extension.reclaimExpired(alice), 0);
    }

    /// @dev A stand-in that answers everything shows what a token passes on: each function of the extension, and none
    /// that the token has itself, be it by the same name in both.
    function test_what_the_extension_does_reaches_it_and_nothing_else_does() public {
        address implementation = UpgradeableBeacon(factory.beacon()).implementation();
        address extension = vm.computeCreateAddress(implementation, 1);
        vm.etch(extension, hex"602a5f5260205ff3"); // 42 to everything
        bytes4[25] memory own = [
            ITokenHolds.mintLocked.selector,
            ITokenHolds.placeHold.selector,
            ITokenHolds.releaseHold.selector,
            ITokenHolds.executeHold.selector,
            ITokenHolds.reclaimExpired.selector,
            ITokenExtension.mintBatch.selector,
            ITokenExtension.recover.selector,
            ITokenExtension.pause.selector,
            ITokenExtension.unpause.selector,
            ITokenExtension.pauseSupply.selector,
            ITokenExtension.unpauseSupply.selector,
            ITokenExtension.setLimits.selector,
            ITokenExtension.setCountryRule.selector,
            ITokenExtension.setDocument.selector,
            ITokenExtension.removeDocument.selector,
            ITokenExtension.setRegistry.selector,
            ITokenExtension.replaceOperator.selector,
            ITokenExtension.retire.selector,
            ITokenRent.setRentDistributor.selector,
            ITokenRent.setRentMinimum.selector,
            ITokenRent.openRent.selector,
            ITokenRent.collectRent.selector,
            ITokenRent.moveRent.selector,
            ITokenRent.rent.selector,
            ITokenRent.rentOf.selector
        ];
        bytes4 all = type(ITokenHolds).interfaceId ^ type(ITokenRent).interfaceId ^ type(ITokenExtension).interfaceId;
        for (uint256 i = 0; i < own.length; ++i) {
            vm.assertTrue(extended(own[i]));
            all ^= own[i];
        }
        vm.assertEq(bytes32(all), 0, "one is missing above");
        bytes4[13] memory both = [
            IAccessControl.grantRole.selector,
            IAccessControl.revokeRole.selector,
            IAccessControl.renounceRole.selector,
            IAccessControl.hasRole.selector,
            IAccessControl.getRoleAdmin.selector,
            token.DEFAULT_ADMIN_ROLE.selector,
            token.MINTER_ROLE.selector,
            token.BURNER_ROLE.selector,
            token.FREEZER_ROLE.selector,
            token.ENFORCER_ROLE.selector,
            token.PAUSER_ROLE.selector,
            token.HOLD_ROLE.selector,
            token.RULES_ROLE.selector
        ];
        for (uint256 i = 0; i < both.length; ++i) {
            vm.assertFalse(extended(both[i]));
        }
    }

    function test_what_neither_knows_is_refused() public {
        (bool ok, bytes memory answer) = address(token).call(hex"deadbeef");
        vm.assertFalse(ok);
        vm.assertEq(answer, "");
        (ok,) = address(token).call("");
        vm.assertFalse(ok);
    }

    function test_other_holds_do_not_stop_an_execution_but_frozen_units_do() public {
        uint256 first = hold(alice, 40, 0);
        hold(alice, 40, 0);
        freeze(alice, 61);
        refuseExecution(
            first, abi.encodeWithSelector(IERC7943Fungible.ERC7943InsufficientUnfrozenBalance.selector, alice, 40, 39)
        );
        freeze(alice, 60);
        execute(first);
        vm.assertEq(token.balanceOf(alice), 60);
    }

    function test_a_transfer_to_oneself_may_end_the_last_hold() public {
        hold(alice, 40, LATER);
        vm.warp(LATER);
        vm.prank(alice);
        token.transfer(alice, 100);
        vm.assertEq(token.holdsOf(alice).length, 0);
        vm.assertEq(token.balanceOf(alice), 100);
        vm.recordLogs();
        vm.prank(alice);
        token.transfer(bob, 100);
        vm.assertEq(vm.getRecordedLogs().length, 1);
    }

    /// @dev The order of force over any mix of units.
    function testFuzz_force_leaves_holds_and_freeze_that_fit(uint256 seed, uint256 amount) public {
        uint256 held;
        for (uint256 i = 0; i < seed % 5; ++i) {
            uint256 part = 1 + (seed >> (8 + 8 * i)) % 25;
            if (held + part > 100) break;
            hold(alice, part, i == 1 ? LATER : 0);
            held += part;
        }
        uint256 frozen = (seed >> 64) % 130;
        freeze(alice, frozen);
        if (seed >> 80 & 1 == 0) vm.warp(LATER);
        held = token.heldOf(alice);
        uint256 free = token.spendableOf(alice);
        amount = bound(amount, 0, 100);
        force(amount);
        (uint256 left, uint256 heldAfter) = (100 - amount, token.heldOf(alice));
        vm.assertLe(heldAfter, left, "held");
        if (amount <= free) {
            vm.assertEq(heldAfter, held, "no hold ends");
            vm.assertEq(token.getFrozenTokens(alice), frozen, "nothing thaws");
        } else {
            if (held <= left) vm.assertEq(heldAfter, held, "no hold ends while frozen units suffice");
            uint256 most = left - heldAfter;
            vm.assertEq(token.getFrozenTokens(alice), frozen < most ? frozen : most, "frozen");
        }
    }

    /// @dev Countries that no list can name are not listed; neither is one that is not given, unless as number 0.
    function testFuzz_a_country_is_admitted_as_the_rule_says(uint16 country, uint256[4] calldata countries, uint8 mode)
        public
    {
        mode %= 3;
        IInvestorRegistry.Investor memory record = investor(2);
        record.country = country;
        registry.setInvestor(bob, record, REASON);
        vm.prank(address(executor));
        token.setCountryRule(mode, countries, REASON);
        bool listed = country < 1024 && countries[country / 256] & (1 << (country % 256)) != 0;
        bool admitted = mode == 0 || (mode == 1 ? !listed : listed);
        vm.assertEq(token.canReceive(bob), admitted);
        vm.assertEq(token.detectTransferRestriction(alice, bob, 1), admitted ? 0 : RestrictionCodes.RECIPIENT_COUNTRY);
    }

    function testFuzz_words_of_a_token_keep_their_fields_apart(uint256 word, uint32 holders, address registry_, bool on)
        public
        pure
    {
        // An id is left.
        word &= ~(uint256(1) << 239);
        TokenHead head = TokenHead.wrap(word);
        TokenHead changed =
            head.withMaxHolders(holders).withRegistry(registry_).withSetting(4, on).withRentPeriod(uint16(holders));
        vm.assertEq(changed.maxHolders(), holders);
        vm.assertEq(changed.registry(), registry_);
        vm.assertEq(changed.has(4), on);
        // All that no setter was called for: 208 to 239 the id, 168 to 175 the decimals, 160 to 167 the other settings.
        uint256 others =
            ~(uint256(type(uint16).max) << 240 | uint256(type(uint32).max) << 176 | uint256(4) << 160
                | type(uint160).max);
        vm.assertEq(TokenHead.unwrap(changed) & others, word & others);
        vm.assertEq(changed.rentPeriod(), uint16(holders));
        vm.assertEq(changed.lastHoldId(), uint32(word >> 208));
        vm.assertEq(changed.decimals(), uint8(word >> 168));
        vm.assertEq(head.hasRent(), word >> 240 != 0 || word >> 164 & 1 != 0);
        unchecked {
            vm.assertEq(TokenHead.unwrap(head.withNextHoldId()), word + (1 << 208));
            word = word % (1 << 240) & ~uint256(type(uint104).max) | uint256(holders) + 5;
            TokenSupply supply = TokenSupply.wrap(word).changedBy(TokenSupplies.ONE_HOLDER - 5);
            vm.assertEq(supply.total(), holders);
            vm.assertEq(supply.max(), uint104(word >> 104));
            vm.assertEq(supply.holders(), uint32((word >> 208) + 1));
            vm.assertEq(TokenSupply.unwrap(supply), word - 5 + (1 << 208));
        }
    }

    // ---------------------------------------------------------------- helpers

    function extended(bytes4 selector) private returns (bool) {
        (bool ok, bytes memory answer) = address(token).call(abi.encodePacked(selector, new bytes(320)));
        return ok && keccak256(answer) == keccak256(abi.encode(42));
    }

    function hold(address account, uint256 amount, uint40 until) private returns (uint256) {
        vm.prank(address(executor));
        return token.placeHold(account, amount, until, REASON);
    }

    function execute(uint256 id) private {
        vm.prank(address(executor));
        token.executeHold(alice, id, REASON);
    }

    function refuseExecution(uint256 id, bytes memory why) private {
        vm.prank(address(executor));
        vm.expectRevert(why);
        token.executeHold(alice, id, REASON);
    }

    function force(uint256 amount) private {
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, amount, REASON);
    }
}
