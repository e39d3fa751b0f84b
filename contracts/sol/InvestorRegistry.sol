// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {IInvestorRegistry} from "./interfaces/IInvestorRegistry.sol";
import {InvestorFlags} from "./lib/InvestorFlags.sol";
import {RestrictionCodes} from "./lib/RestrictionCodes.sol";

/// @title InvestorRegistry
/// @notice Who stands behind a wallet. Not proxied: a token can be pointed at a new registry instead.
contract InvestorRegistry is IInvestorRegistry, AccessControlDefaultAdminRules {
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");

    /// @notice The wallet may hold and trade.
    uint8 public constant WHITELISTED = InvestorFlags.WHITELISTED;
    /// @notice The investor is under sanctions.
    uint8 public constant SANCTIONED = InvestorFlags.SANCTIONED;

    /// @dev An `Investor` as it is stored: id (64 bits) | country (16) | class (8) | KYC expiry (40) | flags (8).
    uint256 private constant COUNTRY_SHIFT = 64;
    uint256 private constant CLASS_SHIFT = 80;
    uint256 private constant EXPIRY_SHIFT = 88;
    uint256 private constant FLAGS_SHIFT = 128;

    mapping(address wallet => Investor) private _investors;

    /// @param admin Cold key: default admin.
    /// @param adminDelay Seconds that a change of admin waits.
    constructor(address admin, uint48 adminDelay) AccessControlDefaultAdminRules(adminDelay, admin) {}

    /// @inheritdoc IInvestorRegistry
    function setInvestor(address wallet, Investor calldata investor, bytes32 reason) external onlyRole(REGISTRAR_ROLE) {
        _set(wallet, investor, reason);
    }

    /// @inheritdoc IInvestorRegistry
    function setInvestors(Entry[] calldata entries) external onlyRole(REGISTRAR_ROLE) {
        for (uint256 i = 0; i < entries.length; ++i) {
            _set(entries[i].wallet, entries[i].investor, entries[i].reason);
        }
    }

    /// @inheritdoc IInvestorRegistry
    function revoke(address wallet, bytes32 reason) external onlyRole(REGISTRAR_ROLE) {
        uint256 word = _word(wallet);
        if (word == 0) revert UnknownWallet(wallet);
        _write(_investors[wallet], wallet, word & ~(uint256(WHITELISTED) << FLAGS_SHIFT), reason);
    }

    /// @inheritdoc IInvestorRegistry
    function replaceOperator(address from, address to) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _revokeRole(REGISTRAR_ROLE, from);
        _grantRole(REGISTRAR_ROLE, to);
    }

    /// @inheritdoc IInvestorRegistry
    function investorOf(address wallet) external view returns (Investor memory) {
        return _investors[wallet];
    }

    /// @inheritdoc IInvestorRegistry
    function check(address from, address to) external view returns (uint8 code, uint16 toCountry) {
        if (from != address(0)) {
            code = _check(_word(from));
            if (code != RestrictionCodes.OK) return (code, 0);
        }
        if (to == address(0)) return (RestrictionCodes.OK, 0);
        uint256 word = _word(to);
        code = _check(word);
        // The recipient's codes follow the sender's, one by one.
        if (code != RestrictionCodes.OK) return (code + 1, 0);
        return (RestrictionCodes.OK, uint16(word >> COUNTRY_SHIFT));
    }

    /// @dev The sender's code for a record. The gravest reason first: a sanctioned wallet is called so even if it is
    /// not whitelisted.
    function _check(uint256 word) private view returns (uint8) {
        uint256 flags = word >> FLAGS_SHIFT;
        if (flags & (WHITELISTED | SANCTIONED) != WHITELISTED) {
            return
                flags & SANCTIONED != 0 ? RestrictionCodes.SENDER_SANCTIONED : RestrictionCodes.SENDER_NOT_WHITELISTED;
        }
        uint256 expiry = uint40(word >> EXPIRY_SHIFT);
        return expiry != 0 && block.timestamp >= expiry ? RestrictionCodes.SENDER_KYC_EXPIRED : RestrictionCodes.OK;
    }

    /// @dev The record of a wallet in one read, since every transfer asks for two of them.
    function _word(address wallet) private view returns (uint256 word) {
        Investor storage investor = _investors[wallet];
        assembly ("memory-safe") {
            word := sload(investor.slot)
        }
    }

    function _set(address wallet, Investor calldata investor, bytes32 reason) private {
        uint64 id = investor.investorId;
        if (wallet == address(0)) revert InvalidWallet();
        if (id == 0) revert InvalidInvestorId();
        // Balances and lockups are counted per investor: a wallet that moved would take them along unseen.
        Investor storage stored = _investors[wallet];
        uint64 known = stored.investorId;
        if (known != 0 && known != id) revert WalletBelongsTo(wallet, known);
        uint256 word = uint256(id) | uint256(investor.country) << COUNTRY_SHIFT | uint256(investor.investorClass)
            << CLASS_SHIFT | uint256(investor.kycExpiresAt) << EXPIRY_SHIFT | uint256(investor.flags) << FLAGS_SHIFT;
        _write(stored, wallet, word, reason);
    }

    /// @dev In one write: field by field, each would read and write the word again.
    function _write(Investor storage stored, address wallet, uint256 word, bytes32 reason) private {
        assembly ("memory-safe") {
            sstore(stored.slot, word)
        }
        // The casts take a field's own bits.
        // forge-lint: disable-start(unsafe-typecast)
        emit InvestorChanged(
            wallet,
            uint64(word),
            uint16(word >> COUNTRY_SHIFT),
            uint8(word >> CLASS_SHIFT),
            uint40(word >> EXPIRY_SHIFT),
            uint8(word >> FLAGS_SHIFT),
            reason,
            _msgSender()
        );
        // forge-lint: disable-end(unsafe-typecast)
    }
}
