// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SecurityToken} from "../sol/SecurityToken.sol";
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

    function test_a_holder_is_one_word_at_its_limits() public {
        INodeFactory.TokenConfig memory config = tokenConfig(NODE_KEY, "largest");
        config.maxSupply = MAX_AMOUNT;
        vm.prank(admin);
        token = SecurityToken(factory.deployToken(config));
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
        uint256 later = uint256(type(uint40).max) << 210;
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
