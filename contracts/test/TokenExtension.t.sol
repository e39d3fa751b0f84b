// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7943Fungible} from "../sol/interfaces/IERC7943.sol";
import {ITokenHolds} from "../sol/interfaces/ITokenHolds.sol";
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
        TokenHead head = TokenHead.wrap(word >> 1);
        TokenHead changed = head.withMaxHolders(holders).withRegistry(registry_).withSetting(4, on);
        vm.assertEq(changed.maxHolders(), holders);
        vm.assertEq(changed.registry(), registry_);
        vm.assertEq(changed.has(4), on);
        vm.assertEq(changed.has(251), head.has(251));
        vm.assertEq(changed.decimals(), head.decimals());
        vm.assertEq(changed.lastHoldId(), head.lastHoldId());
        unchecked {
            changed = head.withNextHoldId();
            vm.assertEq(uint48(changed.lastHoldId() - head.lastHoldId()), 1);
            vm.assertEq(uint208(TokenHead.unwrap(changed)), uint208(word >> 1));
            word = word % (1 << 240) & ~uint256(type(uint104).max) | uint256(holders) + 5;
            TokenSupply supply = TokenSupply.wrap(word).changedBy(TokenSupplies.ONE_HOLDER - 5);
            vm.assertEq(supply.total(), holders);
            vm.assertEq(supply.max(), TokenSupply.wrap(word).max());
            vm.assertEq(uint32(supply.holders() - TokenSupply.wrap(word).holders()), 1);
        }
    }

    // ---------------------------------------------------------------- helpers

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
