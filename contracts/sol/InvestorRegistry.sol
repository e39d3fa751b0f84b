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
        Investor memory investor = _investors[wallet];
        if (investor.investorId == 0) revert UnknownWallet(wallet);
        investor.flags &= ~WHITELISTED;
        _set(wallet, investor, reason);
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

    function _set(address wallet, Investor memory investor, bytes32 reason) private {
        if (wallet == address(0)) revert InvalidWallet();
        if (investor.investorId == 0) revert InvalidInvestorId();
        Investor storage stored = _investors[wallet];
        uint64 known = stored.investorId;
        // Balances and lockups are counted per investor: a wallet that moved would take them along unseen.
        if (known != 0 && known != investor.investorId) revert WalletBelongsTo(wallet, known);
        uint256 word = uint256(investor.investorId) | uint256(investor.country) << COUNTRY_SHIFT
            | uint256(investor.investorClass) << CLASS_SHIFT | uint256(investor.kycExpiresAt) << EXPIRY_SHIFT
            | uint256(investor.flags) << FLAGS_SHIFT;
        // In one write: field by field, each would read and write the word again.
        assembly ("memory-safe") {
            sstore(stored.slot, word)
        }
        emit InvestorChanged(
            wallet,
            investor.investorId,
            investor.country,
            investor.investorClass,
            investor.kycExpiresAt,
            investor.flags,
            reason,
            _msgSender()
        );
    }
}
