// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A holder of one token in one word: balance (104 bits) | frozen (104 bits) | flags (48 bits).
type HolderSlot is uint256;

using HolderSlots for HolderSlot global;

/// @title HolderSlots
/// @notice Reads and writes the fields of a `HolderSlot`. Setters take values up to `MAX_AMOUNT`; callers see to it.
library HolderSlots {
    uint256 internal constant MAX_AMOUNT = type(uint104).max;

    /// @dev The wallet neither sends nor receives. The other 47 flags are free: holds, rent, …
    uint256 internal constant ADDRESS_FROZEN = 1;

    uint256 private constant FROZEN_SHIFT = 104;
    uint256 private constant FLAGS_SHIFT = 208;

    function balance(HolderSlot self) internal pure returns (uint256) {
        return HolderSlot.unwrap(self) & MAX_AMOUNT;
    }

    function frozen(HolderSlot self) internal pure returns (uint256) {
        return (HolderSlot.unwrap(self) >> FROZEN_SHIFT) & MAX_AMOUNT;
    }

    /// @notice What is neither frozen nor missing: max(balance − frozen, 0).
    function free(HolderSlot self) internal pure returns (uint256) {
        (uint256 balance_, uint256 frozen_) = (balance(self), frozen(self));
        unchecked {
            return balance_ > frozen_ ? balance_ - frozen_ : 0;
        }
    }

    function addressFrozen(HolderSlot self) internal pure returns (bool) {
        return (HolderSlot.unwrap(self) >> FLAGS_SHIFT) & ADDRESS_FROZEN != 0;
    }

    function withBalance(HolderSlot self, uint256 amount) internal pure returns (HolderSlot) {
        return HolderSlot.wrap((HolderSlot.unwrap(self) & ~MAX_AMOUNT) | amount);
    }

    function withFrozen(HolderSlot self, uint256 amount) internal pure returns (HolderSlot) {
        return HolderSlot.wrap((HolderSlot.unwrap(self) & ~(MAX_AMOUNT << FROZEN_SHIFT)) | (amount << FROZEN_SHIFT));
    }

    function withAddressFrozen(HolderSlot self, bool on) internal pure returns (HolderSlot) {
        uint256 bit = ADDRESS_FROZEN << FLAGS_SHIFT;
        uint256 word = HolderSlot.unwrap(self);
        return HolderSlot.wrap(on ? word | bit : word & ~bit);
    }
}
