// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {AccessControlUpgradeable} from "@openzeppelin/contracts-upgradeable/access/AccessControlUpgradeable.sol";
import {TokenCore} from "./TokenCore.sol";
import {IInvestorRegistry} from "./interfaces/IInvestorRegistry.sol";
import {ISecurityToken} from "./interfaces/ISecurityToken.sol";
import {ITokenExtension} from "./interfaces/ITokenExtension.sol";
import {ITokenHolds} from "./interfaces/ITokenHolds.sol";
import {HoldCauses, HoldKinds, Holds} from "./lib/Holds.sol";
import {HolderSlot, HolderSlots} from "./lib/HolderSlot.sol";
import {InvestorFlags} from "./lib/InvestorFlags.sol";
import {RestrictionCodes} from "./lib/RestrictionCodes.sol";
import {TokenHead, TokenHeads} from "./lib/TokenWords.sol";

/// @title TokenExtension
/// @notice The half of a token's code that runs rarely. Tokens delegate to it; called as itself it has no storage,
/// thus no roles, no holds and no power.
contract TokenExtension is ITokenExtension, TokenCore, AccessControlUpgradeable {
    using Holds for ITokenHolds.Hold[];

    // ---------------------------------------------------------------- supply

    /// @inheritdoc ITokenHolds
    function mintLocked(address to, uint256 amount, uint8 kind, uint40 until, bytes32 reason)
        external
        onlyRole(MINTER_ROLE)
    {
        if (kind != HoldKinds.REG_D && kind != HoldKinds.REG_S) revert InvalidHoldKind(kind);
        if (amount == 0) revert InvalidHoldAmount(amount);
        uint256 day = (uint256(until) + 1 days - 1) / 1 days * 1 days;
        if (until <= block.timestamp || day > type(uint40).max) revert InvalidUntil(until);
        _meet(to);
        _issue(to, amount, reason);
        // Both fit: a mint stays below the maximum supply, the day was just compared.
        // forge-lint: disable-next-line(unsafe-typecast)
        _lock(to, uint104(amount), kind, uint40(day), HoldCauses.PLACED, reason);
    }

    /// @inheritdoc ITokenExtension
    function mintBatch(address[] calldata to, uint256[] calldata amounts, bytes32 reason)
        external
        onlyRole(MINTER_ROLE)
    {
        if (to.length != amounts.length) revert LengthMismatch();
        for (uint256 i = 0; i < to.length; ++i) {
            _issue(to[i], amounts[i], reason);
        }
    }

    // ---------------------------------------------------------------- holds

    /// @inheritdoc ITokenHolds
    function placeHold(address account, uint256 amount, uint40 until, bytes32 reason)
        external
        onlyRole(HOLD_ROLE)
        returns (uint256 holdId)
    {
        if (amount == 0) revert InvalidHoldAmount(amount);
        if (Holds.isExpired(until)) revert InvalidUntil(until);
        (HolderSlot holder, uint256 held) = _meet(account);
        uint8 code = _amountRestriction(holder, held, amount);
        if (code != RestrictionCodes.OK) _refuse(account, address(0), amount, code, holder);
        if (amount > holder.balance()) {
            revert IERC20Errors.ERC20InsufficientBalance(account, holder.balance(), amount);
        }
        // It is part of a balance.
        // forge-lint: disable-next-line(unsafe-typecast)
        Hold memory hold = Hold(uint104(amount), 0, until, HoldKinds.REDEMPTION, _msgSender());
        return _add(account, hold, HoldCauses.PLACED, reason);
    }

    /// @inheritdoc ITokenHolds
    function releaseHold(address account, uint256 holdId, bytes32 reason) external {
        (Hold[] storage list, uint256 index) = _ownHold(account, holdId);
        list.end(account, index, HoldCauses.RELEASED, reason);
        _flag(account);
    }

    /// @inheritdoc ITokenHolds
    function executeHold(address account, uint256 holdId, bytes32 reason) external onlyRole(HOLD_ROLE) {
        (Hold[] storage list, uint256 index) = _ownHold(account, holdId);
        if (Holds.isExpired(list[index].until)) revert HoldExpired(account, holdId);
        TokenStorage storage $ = _token();
        (HolderSlot holder, uint256 amount) = ($.holders[account], list[index].amount);
        // These units are held for this very burn, and no other hold reaches into them.
        uint8 code = _restriction(account, address(0), amount, holder, 0, HolderSlot.wrap(0));
        if (code != RestrictionCodes.OK) _refuse(account, address(0), amount, code, holder);
        (uint256 balance, uint256 supply) = _settle(account, address(0), amount, holder, HolderSlot.wrap(0));
        emit ISecurityToken.Burned(account, amount, balance, supply, reason, _msgSender());
        list.end(account, index, HoldCauses.EXECUTED, reason);
        _flag(account);
    }

    /// @inheritdoc ITokenHolds
    function reclaimExpired(address account) external returns (uint256 ended) {
        Hold[] storage list = _token().holds[account];
        ended = list.length;
        _meet(account);
        ended -= list.length;
    }

    // ---------------------------------------------------------------- recovery

    /// @inheritdoc ITokenExtension
    function recover(address lost, address replacement, uint256 amount, bytes32 reason)
        external
        onlyRole(ENFORCER_ROLE)
    {
        _checkRecovery(lost, replacement, amount);
        _meet(replacement);
        _moveHolds(lost, replacement, reason);
        _moveFreezes(lost, replacement, reason);
        TokenStorage storage $ = _token();
        _settle(lost, replacement, amount, $.holders[lost], $.holders[replacement]);
        emit WalletRecovered(lost, replacement, amount, reason, _msgSender());
    }

    // ---------------------------------------------------------------- rules

    /// @inheritdoc ITokenExtension
    function pause(bytes32 reason) external {
        _setPause(TokenHeads.TRANSFERS_PAUSED, true, reason);
    }

    /// @inheritdoc ITokenExtension
    function unpause(bytes32 reason) external {
        _setPause(TokenHeads.TRANSFERS_PAUSED, false, reason);
    }

    /// @inheritdoc ITokenExtension
    function pauseSupply(bytes32 reason) external {
        _setPause(TokenHeads.SUPPLY_PAUSED, true, reason);
    }

    /// @inheritdoc ITokenExtension
    function unpauseSupply(bytes32 reason) external {
        _setPause(TokenHeads.SUPPLY_PAUSED, false, reason);
    }

    /// @inheritdoc ITokenExtension
    function setLimits(uint32 maxHolders, uint104 maxBalance, bytes32 reason) external onlyRole(RULES_ROLE) {
        TokenStorage storage $ = _token();
        bool any = maxHolders != 0 || maxBalance != 0;
        $.head = $.head.withMaxHolders(maxHolders).withSetting(TokenHeads.HAS_LIMITS, any);
        $.maxBalance = maxBalance;
        emit LimitsChanged(maxHolders, maxBalance, reason, _msgSender());
    }

    /// @inheritdoc ITokenExtension
    function setCountryRule(uint8 mode, uint256[4] calldata countries, bytes32 reason) external onlyRole(RULES_ROLE) {
        if (mode > ADMIT_LISTED) revert InvalidCountryRule(mode);
        TokenStorage storage $ = _token();
        $.head = $.head.withSetting(TokenHeads.HAS_COUNTRY_RULE, mode != 0);
        ($.countryMode, $.countries) = (mode, countries);
        emit CountryRuleChanged(mode, countries, reason, _msgSender());
    }

    /// @inheritdoc ITokenExtension
    function setDocument(bytes32 name, string calldata uri, bytes32 hash) external onlyRole(RULES_ROLE) {
        if (hash == 0) revert InvalidDocument(name);
        _token().documents[name] = Document(hash, uint40(block.timestamp));
        emit DocumentChanged(name, uri, hash, _msgSender());
    }

    /// @inheritdoc ITokenExtension
    function removeDocument(bytes32 name) external onlyRole(RULES_ROLE) {
        TokenStorage storage $ = _token();
        if ($.documents[name].hash == 0) revert UnknownDocument(name);
        delete $.documents[name];
        emit DocumentChanged(name, "", 0, _msgSender());
    }

    // ---------------------------------------------------------------- words

    /// @notice The sentence for a restriction code, which tokens ask for here.
    function messageForTransferRestriction(uint8 code) external pure returns (string memory) {
        return RestrictionCodes.message(code);
    }

    // ---------------------------------------------------------------- internal

    function _setPause(uint8 scope, bool on, bytes32 reason) private onlyRole(PAUSER_ROLE) {
        TokenStorage storage $ = _token();
        TokenHead head = $.head.withSetting(scope, on);
        $.head = head;
        emit PauseChanged(
            head.has(TokenHeads.TRANSFERS_PAUSED), head.has(TokenHeads.SUPPLY_PAUSED), reason, _msgSender()
        );
    }

    /// @dev A new hold, under the next id.
    function _add(address account, Hold memory hold, uint8 cause, bytes32 reason) private returns (uint256) {
        TokenStorage storage $ = _token();
        TokenHead head = $.head.withNextHoldId();
        $.head = head;
        hold.id = head.lastHoldId();
        $.holds[account].add(account, hold, cause, reason);
        _flag(account);
        return hold.id;
    }

    /// @dev A lockup: part of the one of its kind and day, or new.
    function _lock(address account, uint104 amount, uint8 kind, uint40 until, uint8 cause, bytes32 reason) private {
        Hold[] storage list = _token().holds[account];
        uint256 index = list.findLockup(kind, until);
        if (index == list.length) {
            _add(account, Hold(amount, 0, until, kind, address(0)), cause, reason);
        } else {
            list.grow(account, index, amount, cause == HoldCauses.PLACED ? HoldCauses.MERGED : cause, reason);
        }
    }

    /// @dev Where a hold of the caller's is.
    function _ownHold(address account, uint256 holdId) private view returns (Hold[] storage list, uint256 index) {
        list = _token().holds[account];
        index = list.find(account, holdId);
        if (list[index].agent != _msgSender()) revert NotHoldAgent(account, holdId, _msgSender());
    }

    function _flag(address account) private {
        TokenStorage storage $ = _token();
        $.holders[account] = $.holders[account].withHolds($.holds[account].length != 0);
    }

    function _checkRecovery(address lost, address replacement, uint256 amount) private view {
        if (lost == replacement) revert ISecurityToken.SelfTransfer(lost);
        TokenStorage storage $ = _token();
        TokenHead head = $.head;
        IInvestorRegistry registry = IInvestorRegistry(head.registry());
        IInvestorRegistry.Investor memory investor = registry.investorOf(lost);
        if (investor.investorId == 0 || investor.investorId != registry.investorOf(replacement).investorId) {
            revert NotSameInvestor(lost, replacement);
        }
        if (investor.flags & InvestorFlags.WHITELISTED != 0) revert WalletNotRevoked(lost);
        uint8 code = _receiverRestriction(head, address(0), replacement, $.holders[replacement]);
        if (code != RestrictionCodes.OK) revert ISecurityToken.TransferRestricted(lost, replacement, amount, code);
        uint256 balance = $.holders[lost].balance();
        if (amount != balance) revert RecoveryAmount(balance, amount);
    }

    /// @dev Lockups go along, all other holds end. Oldest first, so that they keep their order.
    function _moveHolds(address lost, address replacement, bytes32 reason) private {
        _meet(lost);
        Hold[] storage list = _token().holds[lost];
        while (list.length != 0) {
            Hold memory hold = list[0];
            list.end(lost, 0, HoldCauses.RECOVERED, reason);
            if (hold.kind != HoldKinds.REDEMPTION) {
                _lock(replacement, hold.amount, hold.kind, hold.until, HoldCauses.RECOVERED, reason);
            }
        }
        _flag(lost);
    }

    /// @dev A frozen amount adds to that of the replacement; a freeze of the whole wallet holds for both from now on.
    function _moveFreezes(address lost, address replacement, bytes32 reason) private {
        TokenStorage storage $ = _token();
        (HolderSlot from, HolderSlot to) = ($.holders[lost], $.holders[replacement]);
        uint256 frozen = from.frozen();
        if (frozen != 0) {
            uint256 sum = to.frozen() + frozen;
            if (sum > HolderSlots.MAX_AMOUNT) sum = HolderSlots.MAX_AMOUNT;
            _tellFrozen(lost, frozen, 0, reason);
            _tellFrozen(replacement, to.frozen(), sum, reason);
            (from, to) = (from.withFrozen(0), to.withFrozen(sum));
        }
        if (from.addressFrozen()) {
            to = to.withAddressFrozen(true);
            emit ISecurityToken.AddressFreezeChanged(replacement, true, reason, _msgSender());
        }
        ($.holders[lost], $.holders[replacement]) = (from, to);
    }
}
