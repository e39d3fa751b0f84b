// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title InvestorFlags
/// @notice Bits of an investor record's `flags`; the others are free.
library InvestorFlags {
    uint8 internal constant WHITELISTED = 1;
    uint8 internal constant SANCTIONED = 2;
}
