// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HolderSlot, HolderSlots} from "../../sol/lib/HolderSlot.sol";
import {TokenHead, TokenHeads, TokenSupplies, TokenSupply} from "../../sol/lib/TokenWords.sol";
import {Vm} from "../Base.sol";

/// @notice Rules of the packed words, for every word there is. Proved by halmos (`node tools/check.mjs halmos`), never run
/// by forge.
contract WordsProof {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant MAX = type(uint104).max;

    // ---------------------------------------------------------------- a holder

    function check_a_holder_is_its_fields_and_spare_flags(uint256 word) public pure {
        HolderSlot slot = HolderSlot.wrap(word);
        uint256 flags = (slot.addressFrozen() ? 1 : 0) | (slot.hasHolds() ? 2 : 0) | (word >> 210 & 0x3fffffff) << 2;
        assert(word == (slot.balance() | slot.frozen() << 104 | flags << 208 | slot.rentPeriod() << 240));
    }

    function check_a_balance_is_set_alone(uint256 word, uint256 amount) public pure {
        vm.assume(amount <= MAX);
        uint256 changed = HolderSlot.unwrap(HolderSlot.wrap(word).withBalance(amount));
        assert(HolderSlot.wrap(changed).balance() == amount);
        assert((changed ^ word) & ~MAX == 0);
    }

    function check_a_frozen_amount_is_set_alone(uint256 word, uint256 amount) public pure {
        vm.assume(amount <= MAX);
        uint256 changed = HolderSlot.unwrap(HolderSlot.wrap(word).withFrozen(amount));
        assert(HolderSlot.wrap(changed).frozen() == amount);
        assert((changed ^ word) & ~(MAX << 104) == 0);
    }

    function check_a_freeze_is_set_alone(uint256 word, bool on) public pure {
        uint256 changed = HolderSlot.unwrap(HolderSlot.wrap(word).withAddressFrozen(on));
        assert(HolderSlot.wrap(changed).addressFrozen() == on);
        assert((changed ^ word) & ~HolderSlots.ADDRESS_FROZEN == 0);
    }

    function check_holds_are_flagged_alone(uint256 word, bool any) public pure {
        uint256 changed = HolderSlot.unwrap(HolderSlot.wrap(word).withHolds(any));
        assert(HolderSlot.wrap(changed).hasHolds() == any);
        assert((changed ^ word) & ~HolderSlots.HAS_HOLDS == 0);
    }

    function check_a_rent_period_is_set_alone(uint256 word, uint256 period) public pure {
        vm.assume(period <= type(uint16).max);
        uint256 changed = HolderSlot.unwrap(HolderSlot.wrap(word).withRentPeriod(period));
        assert(HolderSlot.wrap(changed).rentPeriod() == period);
        assert((changed ^ word) << 16 == 0);
    }

    function check_what_is_added_stays_in_the_balance(uint256 word, uint256 amount) public pure {
        HolderSlot slot = HolderSlot.wrap(word);
        vm.assume(amount <= MAX - slot.balance());
        uint256 changed = HolderSlot.unwrap(slot.plus(amount));
        assert(HolderSlot.wrap(changed).balance() == slot.balance() + amount);
        assert((changed ^ word) & ~MAX == 0);
        assert(HolderSlot.unwrap(HolderSlot.wrap(changed).minus(amount)) == word);
    }

    function check_what_is_taken_stays_in_the_balance(uint256 word, uint256 amount) public pure {
        HolderSlot slot = HolderSlot.wrap(word);
        vm.assume(amount <= slot.balance());
        uint256 changed = HolderSlot.unwrap(slot.minus(amount));
        assert(HolderSlot.wrap(changed).balance() == slot.balance() - amount);
        assert((changed ^ word) & ~MAX == 0);
    }

    function check_a_plain_holder_is_bound_by_nothing(uint256 word) public pure {
        HolderSlot slot = HolderSlot.wrap(word);
        bool plain = slot.frozen() == 0 && word << 16 >> 224 == 0;
        assert(slot.isPlain() == plain);
        if (plain) assert(!slot.addressFrozen() && !slot.hasHolds() && slot.free() == slot.balance());
    }

    function check_free_is_neither_frozen_nor_held_nor_missing(uint256 word, uint256 held) public pure {
        HolderSlot slot = HolderSlot.wrap(word);
        (uint256 balance, uint256 frozen) = (slot.balance(), slot.frozen());
        assert(slot.free() == (balance > frozen ? balance - frozen : 0));
        uint256 beside = slot.freeBeside(held);
        assert(beside <= balance);
        // Whatever is held, however much: no sum of it and the frozen amount overflows.
        if (held <= MAX && frozen + held <= balance) assert(beside == balance - frozen - held);
        else assert(beside == 0);
    }

    // ---------------------------------------------------------------- a token's head

    function check_a_head_is_its_fields(uint256 word) public pure {
        TokenHead head = TokenHead.wrap(word);
        uint256 joined = uint256(uint160(head.registry())) | (word >> 160 & 0xff) << 160;
        joined |= uint256(head.decimals()) << 168 | uint256(head.maxHolders()) << 176;
        joined |= uint256(head.lastHoldId()) << 208 | head.rentPeriod() << 240;
        assert(joined == word);
    }

    function check_a_registry_is_set_alone(uint256 word, address registry) public pure {
        uint256 changed = TokenHead.unwrap(TokenHead.wrap(word).withRegistry(registry));
        assert(TokenHead.wrap(changed).registry() == registry);
        assert((changed ^ word) >> 160 == 0);
    }

    function check_a_setting_is_set_alone(uint256 word, uint8 bit, bool on) public pure {
        vm.assume(bit < 8);
        // forge-lint: disable-next-line(unsafe-typecast, incorrect-shift)
        uint8 setting = uint8(1 << bit);
        uint256 changed = TokenHead.unwrap(TokenHead.wrap(word).withSetting(setting, on));
        assert(TokenHead.wrap(changed).has(setting) == on);
        assert((changed ^ word) & ~(uint256(setting) << 160) == 0);
    }

    function check_a_most_of_holders_is_set_alone(uint256 word, uint32 most) public pure {
        uint256 changed = TokenHead.unwrap(TokenHead.wrap(word).withMaxHolders(most));
        assert(TokenHead.wrap(changed).maxHolders() == most);
        assert((changed ^ word) & ~(uint256(type(uint32).max) << 176) == 0);
    }

    function check_hold_ids_count_alone_and_never_from_the_start(uint256 word) public view {
        TokenHead head = TokenHead.wrap(word);
        uint256 last = head.lastHoldId();
        try this.next(word) returns (uint256 changed) {
            assert(TokenHead.wrap(changed).lastHoldId() == last + 1);
            assert((changed ^ word) & ~(uint256(type(uint32).max) << 208) == 0);
        } catch {
            assert(last == type(uint32).max);
        }
    }

    function next(uint256 word) external pure returns (uint256) {
        return TokenHead.unwrap(TokenHead.wrap(word).withNextHoldId());
    }

    function check_a_tokens_rent_period_is_set_alone(uint256 word, uint16 period) public pure {
        uint256 changed = TokenHead.unwrap(TokenHead.wrap(word).withRentPeriod(period));
        assert(TokenHead.wrap(changed).rentPeriod() == period);
        assert((changed ^ word) << 16 == 0);
    }

    function check_rent_concerns_balances_once_there_is_a_period_or_a_minimum(uint256 word) public pure {
        TokenHead head = TokenHead.wrap(word);
        assert(head.hasRent() == (head.rentPeriod() != 0 || head.has(TokenHeads.HAS_RENT_MINIMUM)));
    }

    // ---------------------------------------------------------------- a token's supply

    function check_a_supply_is_its_fields(uint256 word) public pure {
        TokenSupply supply = TokenSupply.wrap(word);
        uint256 joined = supply.total() | supply.max() << 104 | uint256(supply.holders()) << 208;
        assert(joined == word << 16 >> 16);
    }

    /// @dev What a mint does: units and perhaps one holder more, within both fields' ranges.
    function check_a_mint_changes_total_and_holders_alone(uint256 word, uint256 amount, bool first) public pure {
        TokenSupply supply = TokenSupply.wrap(word);
        vm.assume(word >> 240 == 0 && supply.total() <= supply.max() && supply.holders() < type(uint32).max);
        vm.assume(amount <= supply.left());
        TokenSupply changed = supply.changedBy(amount);
        if (first) changed = changed.changedBy(TokenSupplies.ONE_HOLDER);
        assert(changed.total() == supply.total() + amount && changed.total() <= changed.max());
        assert(changed.max() == supply.max());
        assert(changed.holders() == supply.holders() + (first ? 1 : 0));
        assert(TokenSupply.unwrap(changed) >> 240 == 0);
    }

    /// @dev What a burn does, in one sum below zero.
    function check_a_burn_changes_total_and_holders_alone(uint256 word, uint256 amount, bool last) public pure {
        TokenSupply supply = TokenSupply.wrap(word);
        vm.assume(word >> 240 == 0 && supply.total() <= supply.max() && amount <= supply.total());
        vm.assume(!last || supply.holders() > 0);
        uint256 change;
        unchecked {
            change -= amount;
            if (last) change -= TokenSupplies.ONE_HOLDER;
        }
        TokenSupply changed = supply.changedBy(change);
        assert(changed.total() == supply.total() - amount);
        assert(changed.max() == supply.max());
        assert(changed.holders() == supply.holders() - (last ? 1 : 0));
        assert(TokenSupply.unwrap(changed) >> 240 == 0);
    }
}
