// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A holder of one token in one word: balance (104 bits) | frozen (104 bits) | flags (32 bits) | last rent
/// period that is in its account (16 bits).
type HolderSlot is uint256;

using HolderSlots for HolderSlot global;

/// @title HolderSlots
/// @notice Reads and writes the fields of a `HolderSlot`. Setters take values up to `MAX_AMOUNT`; callers see to it.
library HolderSlots {
    uint256 internal constant MAX_AMOUNT = type(uint104).max;

    /// @dev The wallet neither sends nor receives.
    uint256 internal constant ADDRESS_FROZEN = 1 << 208;
    /// @dev The wallet's list of holds is not empty. The other 30 flags are free.
    uint256 internal constant HAS_HOLDS = 1 << 209;

    uint256 private constant FROZEN_SHIFT = 104;
    uint256 private constant PERIOD_SHIFT = 240;
    uint256 private constant PERIOD_BITS = 16;

    /// @notice Whether nothing binds the balance: no unit frozen, no flag.
    function isPlain(HolderSlot self) internal pure returns (bool) {
        return HolderSlot.unwrap(self) << PERIOD_BITS <= MAX_AMOUNT << PERIOD_BITS;
    }

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

    /// @notice What is neither frozen nor held nor missing, where `held` units are under holds.
    function freeBeside(HolderSlot self, uint256 held) internal pure returns (uint256) {
        uint256 free_ = free(self);
        unchecked {
            return free_ > held ? free_ - held : 0;
        }
    }

    function addressFrozen(HolderSlot self) internal pure returns (bool) {
        return HolderSlot.unwrap(self) & ADDRESS_FROZEN != 0;
    }

    function hasHolds(HolderSlot self) internal pure returns (bool) {
        return HolderSlot.unwrap(self) & HAS_HOLDS != 0;
    }

    function rentPeriod(HolderSlot self) internal pure returns (uint256) {
        return HolderSlot.unwrap(self) >> PERIOD_SHIFT;
    }

    function withBalance(HolderSlot self, uint256 amount) internal pure returns (HolderSlot) {
        return HolderSlot.wrap((HolderSlot.unwrap(self) & ~MAX_AMOUNT) | amount);
    }

    /// @notice With `amount` more units; the balance that results is one too.
    function plus(HolderSlot self, uint256 amount) internal pure returns (HolderSlot) {
        unchecked {
            return HolderSlot.wrap(HolderSlot.unwrap(self) + amount);
        }
    }

    /// @notice With `amount` units less, which are there.
    function minus(HolderSlot self, uint256 amount) internal pure returns (HolderSlot) {
        unchecked {
            return HolderSlot.wrap(HolderSlot.unwrap(self) - amount);
        }
    }

    function withFrozen(HolderSlot self, uint256 amount) internal pure returns (HolderSlot) {
        return HolderSlot.wrap((HolderSlot.unwrap(self) & ~(MAX_AMOUNT << FROZEN_SHIFT)) | (amount << FROZEN_SHIFT));
    }

    function withAddressFrozen(HolderSlot self, bool on) internal pure returns (HolderSlot) {
        return _with(self, ADDRESS_FROZEN, on);
    }

    function withHolds(HolderSlot self, bool any) internal pure returns (HolderSlot) {
        return _with(self, HAS_HOLDS, any);
    }

    /// @notice With another rent period, of 16 bits.
    function withRentPeriod(HolderSlot self, uint256 period) internal pure returns (HolderSlot) {
        uint256 others = HolderSlot.unwrap(self) << PERIOD_BITS >> PERIOD_BITS;
        return HolderSlot.wrap(others | period << PERIOD_SHIFT);
    }

    function _with(HolderSlot self, uint256 flag, bool on) private pure returns (HolderSlot) {
        uint256 word = HolderSlot.unwrap(self);
        return HolderSlot.wrap(on ? word | flag : word & ~flag);
    }
}
