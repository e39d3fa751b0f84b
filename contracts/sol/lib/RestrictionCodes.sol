// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title RestrictionCodes
/// @notice The one table of reasons. `vectors/restriction_codes.json` carries it to the other side; numbers never
/// change their meaning. 27, 28 and 32 upwards are kept for rules to come.
library RestrictionCodes {
    uint8 internal constant OK = 0;
    uint8 internal constant TOKEN_PAUSED = 10;
    uint8 internal constant SENDER_FROZEN = 11;
    uint8 internal constant RECIPIENT_FROZEN = 12;
    uint8 internal constant AMOUNT_FROZEN = 13;
    uint8 internal constant AMOUNT_HELD = 14;
    uint8 internal constant SUPPLY_PAUSED = 15;
    uint8 internal constant MAX_SUPPLY_EXCEEDED = 16;
    uint8 internal constant SENDER_NOT_WHITELISTED = 20;
    uint8 internal constant RECIPIENT_NOT_WHITELISTED = 21;
    uint8 internal constant SENDER_KYC_EXPIRED = 22;
    uint8 internal constant RECIPIENT_KYC_EXPIRED = 23;
    uint8 internal constant SENDER_SANCTIONED = 24;
    uint8 internal constant RECIPIENT_SANCTIONED = 25;
    uint8 internal constant RECIPIENT_COUNTRY = 26;
    uint8 internal constant REGISTRY_UNAVAILABLE = 29;
    uint8 internal constant HOLDER_LIMIT = 30;
    uint8 internal constant BALANCE_LIMIT = 31;

    /// @notice The sentence for a code.
    function message(uint8 code) internal pure returns (string memory) {
        if (code == OK) return "no restriction";
        if (code == TOKEN_PAUSED) return "transfers of this token are paused";
        if (code == SENDER_FROZEN) return "the sender's wallet is frozen";
        if (code == RECIPIENT_FROZEN) return "the recipient's wallet is frozen";
        if (code == AMOUNT_FROZEN) return "the amount reaches into the sender's frozen balance";
        if (code == AMOUNT_HELD) return "the amount reaches into units under a hold";
        if (code == SUPPLY_PAUSED) return "minting and burning of this token are paused";
        if (code == MAX_SUPPLY_EXCEEDED) return "the amount would exceed the maximum supply";
        if (code == SENDER_NOT_WHITELISTED) return "the sender's wallet is not whitelisted";
        if (code == RECIPIENT_NOT_WHITELISTED) return "the recipient's wallet is not whitelisted";
        if (code == SENDER_KYC_EXPIRED) return "the sender's KYC has expired";
        if (code == RECIPIENT_KYC_EXPIRED) return "the recipient's KYC has expired";
        if (code == SENDER_SANCTIONED) return "the sender is under sanctions";
        if (code == RECIPIENT_SANCTIONED) return "the recipient is under sanctions";
        if (code == RECIPIENT_COUNTRY) return "the recipient's country is not admitted";
        if (code == REGISTRY_UNAVAILABLE) return "the investor registry gives no answer";
        if (code == HOLDER_LIMIT) return "the token may have no more holders";
        if (code == BALANCE_LIMIT) return "the recipient may not hold that much";
        return "unknown restriction code";
    }
}
