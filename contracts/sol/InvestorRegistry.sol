// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {IInvestorRegistry} from "./interfaces/IInvestorRegistry.sol";
import {RestrictionCodes} from "./lib/RestrictionCodes.sol";

/// @title InvestorRegistry
/// @notice Who stands behind a wallet. Not proxied: a token can be pointed at a new registry instead.
contract InvestorRegistry is IInvestorRegistry, AccessControlDefaultAdminRules {
    bytes32 public constant REGISTRAR_ROLE = keccak256("REGISTRAR_ROLE");

    /// @notice The wallet may hold and trade.
    uint8 public constant WHITELISTED = 1;
    /// @notice The investor is under sanctions.
    uint8 public constant SANCTIONED = 2;

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
    function check(address from, address to) external view returns (uint8) {
        if (from != address(0)) {
            uint8 code = _check(
                from,
                RestrictionCodes.SENDER_SANCTIONED,
                RestrictionCodes.SENDER_NOT_WHITELISTED,
                RestrictionCodes.SENDER_KYC_EXPIRED
            );
            if (code != RestrictionCodes.OK) return code;
        }
        if (to == address(0)) return RestrictionCodes.OK;
        return _check(
            to,
            RestrictionCodes.RECIPIENT_SANCTIONED,
            RestrictionCodes.RECIPIENT_NOT_WHITELISTED,
            RestrictionCodes.RECIPIENT_KYC_EXPIRED
        );
    }

    /// @dev The gravest reason first: a sanctioned wallet is called so even if it is not whitelisted.
    function _check(address wallet, uint8 sanctioned, uint8 notWhitelisted, uint8 expired)
        private
        view
        returns (uint8)
    {
        Investor storage investor = _investors[wallet];
        uint8 flags = investor.flags;
        if (flags & (WHITELISTED | SANCTIONED) != WHITELISTED) {
            return flags & SANCTIONED != 0 ? sanctioned : notWhitelisted;
        }
        uint40 expiry = investor.kycExpiresAt;
        if (expiry != 0 && block.timestamp >= expiry) return expired;
        return RestrictionCodes.OK;
    }

    function _set(address wallet, Investor memory investor, bytes32 reason) private {
        if (wallet == address(0)) revert InvalidWallet();
        if (investor.investorId == 0) revert InvalidInvestorId();
        uint64 known = _investors[wallet].investorId;
        // Balances and lockups are counted per investor: a wallet that moved would take them along unseen.
        if (known != 0 && known != investor.investorId) revert WalletBelongsTo(wallet, known);
        _investors[wallet] = investor;
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
