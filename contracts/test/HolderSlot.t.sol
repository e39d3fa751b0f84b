// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Token} from "../sol/SecurityToken.sol";
import {INodeFactory} from "../sol/interfaces/INodeFactory.sol";
import {HolderSlot} from "../sol/lib/HolderSlot.sol";
import {Base} from "./Base.sol";

contract HolderSlotTest is Base {
    uint256 private constant MAX_AMOUNT = type(uint104).max;
    /// @dev Namespace of the token's own storage; its eighth word is the holders' mapping.
    bytes32 private constant STORAGE = 0xd9f226a1495dba0a8e14b62d8ae52e8f929ab675fae625be6956d66ca03af000;

    function testFuzz_each_field_is_written_without_touching_the_others(uint256 word, uint104 amount, bool on)
        public
        pure
    {
        HolderSlot slot = HolderSlot.wrap(word);
        uint256 spareFlags = word >> 210;

        HolderSlot changed = slot.withBalance(amount);
        vm.assertEq(changed.balance(), amount);
        vm.assertEq(changed.frozen(), slot.frozen());
        vm.assertEq(changed.addressFrozen(), slot.addressFrozen());
        vm.assertEq(HolderSlot.unwrap(changed) >> 210, spareFlags);

        changed = slot.withFrozen(amount);
        vm.assertEq(changed.frozen(), amount);
        vm.assertEq(changed.balance(), slot.balance());
        vm.assertEq(changed.addressFrozen(), slot.addressFrozen());
        vm.assertEq(HolderSlot.unwrap(changed) >> 210, spareFlags);

        changed = slot.withAddressFrozen(on);
        vm.assertEq(changed.addressFrozen(), on);
        vm.assertEq(changed.hasHolds(), slot.hasHolds());
        vm.assertEq(changed.balance(), slot.balance());
        vm.assertEq(changed.frozen(), slot.frozen());
        vm.assertEq(HolderSlot.unwrap(changed) >> 210, spareFlags);

        changed = slot.withHolds(on);
        vm.assertEq(changed.hasHolds(), on);
        vm.assertEq(changed.addressFrozen(), slot.addressFrozen());
        vm.assertEq(changed.balance(), slot.balance());
        vm.assertEq(changed.frozen(), slot.frozen());
        vm.assertEq(HolderSlot.unwrap(changed) >> 210, spareFlags);

        changed = slot.withRentPeriod(uint16(amount));
        vm.assertEq(changed.rentPeriod(), uint16(amount));
        vm.assertEq(HolderSlot.unwrap(changed) << 16, word << 16);
        bool plain = slot.frozen() == 0 && uint32(word >> 208) == 0;
        vm.assertEq(slot.isPlain(), plain);
        vm.assertTrue(HolderSlot.wrap(word & ~(uint256(type(uint136).max) << 104)).withRentPeriod(7).isPlain());
    }

    function testFuzz_free_is_what_is_neither_frozen_nor_missing(uint104 balance, uint104 frozen) public pure {
        HolderSlot slot = HolderSlot.wrap(0).withBalance(balance).withFrozen(frozen);
        vm.assertEq(slot.free(), balance > frozen ? uint256(balance) - frozen : 0);
    }

    function test_the_namespace_is_the_one_its_name_gives() public pure {
        bytes32 expected =
            keccak256(abi.encode(uint256(keccak256("tokenx.storage.SecurityToken")) - 1)) & ~bytes32(uint256(0xff));
        vm.assertEq(STORAGE, expected);
    }

    /// @dev An upgrade finds all it needs where the version before left it: each word of the namespace, in the order kept
    /// for ever.
    function test_the_whole_namespace_stands_where_it_stood() public {
        uint40 midnight = uint40((START / 1 days + 1) * 1 days);
        give(alice, 100);
        vm.prank(address(executor));
        token.mintLocked(alice, 20, 3, midnight, REASON);
        vm.prank(address(executor));
        token.placeHold(alice, 30, 5 + midnight, REASON);
        vm.prank(address(executor));
        token.setLimits(7, 900, REASON);
        vm.prank(address(executor));
        token.setCountryRule(2, [uint256(3), 4, 5, 6], REASON);
        vm.prank(address(executor));
        token.pauseSupply(REASON);
        vm.prank(address(executor));
        token.setDocument("name", "uri", "hash");
        uint256 settings = 2 | 4 | 8;
        assertWord(
            uint256(STORAGE),
            uint256(uint160(address(registry))) | settings << 160 | uint256(18) << 168 | uint256(7) << 176 | uint256(2)
                << 208
        );
        assertWord(uint256(STORAGE) + 1, 120 | MAX_SUPPLY << 104 | 1 << 208);
        assertWord(uint256(STORAGE) + 2, 900 | uint256(2) << 104);
        for (uint256 i = 3; i < 7; ++i) {
            assertWord(uint256(STORAGE) + i, i);
        }
        uint256 holder = uint256(keccak256(abi.encode(alice, uint256(STORAGE) + 7)));
        assertWord(holder, 120 | 1 << 209);
        assertWord(holder + 1, 2);
        uint256 holds = uint256(keccak256(abi.encode(holder + 1)));
        assertWord(holds, 20 | 1 << 104 | uint256(midnight) << 152 | uint256(3) << 192);
        assertWord(holds + 1, 0);
        assertWord(holds + 2, 30 | 2 << 104 | uint256(midnight + 5) << 152 | uint256(1) << 192);
        assertWord(holds + 3, uint160(address(executor)));
        uint256 document = uint256(keccak256(abi.encode(bytes32("name"), uint256(STORAGE) + 8)));
        assertWord(document, uint256(bytes32("hash")));
        assertWord(document + 1, START);
        assertWord(uint256(STORAGE) + 9, uint256(bytes32(bytes(INSTRUMENT))) | 2 * bytes(INSTRUMENT).length);
        address distributor = token.rent().distributor;
        assertWord(uint256(STORAGE) + 10, uint256(uint160(distributor)) | 1 << 160);
        for (uint256 i = 11; i < 16; ++i) {
            assertWord(uint256(STORAGE) + i, 0);
        }
    }

    function assertWord(uint256 slot, uint256 word) private view {
        vm.assertEq(uint256(vm.load(address(token), bytes32(slot))), word);
    }

    function test_a_holder_is_one_word_at_its_limits() public {
        INodeFactory.TokenConfig memory config = tokenConfig(NODE_KEY, "largest");
        config.maxSupply = MAX_AMOUNT;
        vm.prank(admin);
        token = Token(factory.deployToken(config));
        give(alice, MAX_AMOUNT);
        freeze(alice, MAX_AMOUNT);
        freezeAddress(alice, true);
        bytes32 slot = keccak256(abi.encode(alice, uint256(STORAGE) + 7));
        vm.assertEq(uint256(vm.load(address(token), slot)), MAX_AMOUNT | MAX_AMOUNT << 104 | 1 << 208);
        vm.assertEq(token.balanceOf(alice), MAX_AMOUNT);
        vm.assertEq(token.totalSupply(), MAX_AMOUNT);
        // Supply beside its maximum and the holders, registry beside settings and decimals: one of them is all else a
        // transfer reads.
        uint256 supply = uint256(vm.load(address(token), bytes32(uint256(STORAGE) + 1)));
        vm.assertEq(supply, MAX_AMOUNT | MAX_AMOUNT << 104 | 1 << 208);
        vm.assertEq(uint256(vm.load(address(token), STORAGE)), uint256(uint160(address(registry))) | uint256(18) << 168);
    }

    function test_bits_kept_for_later_survive_every_operation() public {
        give(alice, 100);
        give(bob, 100);
        bytes32 slot = keccak256(abi.encode(alice, uint256(STORAGE) + 7));
        uint256 later = ((1 << 30) - 1) << 210;
        vm.store(address(token), slot, bytes32(uint256(vm.load(address(token), slot)) | later));
        freeze(alice, 50);
        freezeAddress(alice, true);
        freezeAddress(alice, false);
        vm.prank(alice);
        token.transfer(bob, 10);
        vm.prank(bob);
        token.transfer(alice, 5);
        vm.prank(address(executor));
        token.forcedTransfer(alice, bob, 60, REASON);
        give(alice, 1);
        vm.assertEq(uint256(vm.load(address(token), slot)) & later, later);
        vm.assertEq(token.balanceOf(alice), 36);
    }
}
