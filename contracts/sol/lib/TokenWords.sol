// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What every movement asks of a token, in one word: registry (160 bits) | settings (8) | decimals (8) |
/// most holders (32) | last hold id (32) | last rent period (16).
type TokenHead is uint256;

/// @notice A token's supply in one word: total (104 bits) | maximum (104) | holders (32).
type TokenSupply is uint256;

using TokenHeads for TokenHead global;
using TokenSupplies for TokenSupply global;

/// @title TokenHeads
/// @notice Reads and writes the fields of a `TokenHead`.
library TokenHeads {
    uint8 internal constant TRANSFERS_PAUSED = 1;
    uint8 internal constant SUPPLY_PAUSED = 2;
    /// @dev There is a most of holders or of a wallet's balance.
    uint8 internal constant HAS_LIMITS = 4;
    uint8 internal constant HAS_COUNTRY_RULE = 8;
    /// @dev A wallet needs some units to earn rent.
    uint8 internal constant HAS_RENT_MINIMUM = 16;
    /// @dev Nothing will ever be minted again.
    uint8 internal constant RETIRED = 32;

    uint256 private constant SETTINGS_SHIFT = 160;
    uint256 private constant DECIMALS_SHIFT = 168;
    uint256 private constant HOLDERS_SHIFT = 176;
    uint256 private constant HOLD_ID_SHIFT = 208;
    uint256 private constant PERIOD_SHIFT = 240;
    uint256 private constant RENT_BITS = type(uint256).max << PERIOD_SHIFT | uint256(HAS_RENT_MINIMUM)
        << SETTINGS_SHIFT;

    function create(address registry_, uint8 decimals_) internal pure returns (TokenHead) {
        return TokenHead.wrap(uint256(uint160(registry_)) | uint256(decimals_) << DECIMALS_SHIFT);
    }

    // The casts below keep a field's own bits, as they are meant to.
    // forge-lint: disable-start(unsafe-typecast)

    function registry(TokenHead self) internal pure returns (address) {
        return address(uint160(TokenHead.unwrap(self)));
    }

    /// @notice Whether any of these settings is on.
    function has(TokenHead self, uint8 settings) internal pure returns (bool) {
        return TokenHead.unwrap(self) & uint256(settings) << SETTINGS_SHIFT != 0;
    }

    function decimals(TokenHead self) internal pure returns (uint8) {
        return uint8(TokenHead.unwrap(self) >> DECIMALS_SHIFT);
    }

    /// @notice 0 = no limit.
    function maxHolders(TokenHead self) internal pure returns (uint32) {
        return uint32(TokenHead.unwrap(self) >> HOLDERS_SHIFT);
    }

    /// @notice Ids count from 1 over all wallets.
    function lastHoldId(TokenHead self) internal pure returns (uint48) {
        return uint32(TokenHead.unwrap(self) >> HOLD_ID_SHIFT);
    }

    /// @notice Whether a change of balance may concern rent at all.
    function hasRent(TokenHead self) internal pure returns (bool) {
        return TokenHead.unwrap(self) & RENT_BITS != 0;
    }

    /// @notice 0 = none has been opened.
    function rentPeriod(TokenHead self) internal pure returns (uint256) {
        return TokenHead.unwrap(self) >> PERIOD_SHIFT;
    }

    // forge-lint: disable-end(unsafe-typecast)

    function withRegistry(TokenHead self, address registry_) internal pure returns (TokenHead) {
        return TokenHead.wrap((TokenHead.unwrap(self) & ~uint256(type(uint160).max)) | uint256(uint160(registry_)));
    }

    function withSetting(TokenHead self, uint8 setting, bool on) internal pure returns (TokenHead) {
        uint256 bit = uint256(setting) << SETTINGS_SHIFT;
        return TokenHead.wrap(on ? TokenHead.unwrap(self) | bit : TokenHead.unwrap(self) & ~bit);
    }

    function withMaxHolders(TokenHead self, uint32 most) internal pure returns (TokenHead) {
        uint256 others = TokenHead.unwrap(self) & ~(uint256(type(uint32).max) << HOLDERS_SHIFT);
        return TokenHead.wrap(others | uint256(most) << HOLDERS_SHIFT);
    }

    /// @dev The last id is followed by a panic.
    function withNextHoldId(TokenHead self) internal pure returns (TokenHead) {
        // forge-lint: disable-next-line(unsafe-typecast)
        uint32 next = uint32(self.lastHoldId()) + 1;
        uint256 others = TokenHead.unwrap(self) & ~(uint256(type(uint32).max) << HOLD_ID_SHIFT);
        return TokenHead.wrap(others | uint256(next) << HOLD_ID_SHIFT);
    }

    function withRentPeriod(TokenHead self, uint16 period) internal pure returns (TokenHead) {
        uint256 others = TokenHead.unwrap(self) & ~(uint256(type(uint16).max) << PERIOD_SHIFT);
        return TokenHead.wrap(others | uint256(period) << PERIOD_SHIFT);
    }
}

/// @title TokenSupplies
/// @notice Reads the fields of a `TokenSupply`. A movement adds its whole change at once, modulo 2^256.
library TokenSupplies {
    uint256 internal constant ONE_HOLDER = 1 << 208;

    uint256 private constant MAX_SHIFT = 104;

    function create(uint256 max_) internal pure returns (TokenSupply) {
        return TokenSupply.wrap(max_ << MAX_SHIFT);
    }

    // forge-lint: disable-start(unsafe-typecast)

    function total(TokenSupply self) internal pure returns (uint256) {
        return uint104(TokenSupply.unwrap(self));
    }

    function max(TokenSupply self) internal pure returns (uint256) {
        return uint104(TokenSupply.unwrap(self) >> MAX_SHIFT);
    }

    function holders(TokenSupply self) internal pure returns (uint32) {
        return uint32(TokenSupply.unwrap(self) >> 208);
    }

    // forge-lint: disable-end(unsafe-typecast)

    /// @notice What may still be minted.
    function left(TokenSupply self) internal pure returns (uint256) {
        unchecked {
            return self.max() - self.total();
        }
    }

    /// @notice Units in the lowest bits and holders in the highest, either of them below zero too; the caller sees
    /// to it that neither field leaves its range.
    function changedBy(TokenSupply self, uint256 change) internal pure returns (TokenSupply) {
        unchecked {
            return TokenSupply.wrap(TokenSupply.unwrap(self) + change);
        }
    }
}
