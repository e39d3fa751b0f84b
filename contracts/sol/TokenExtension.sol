// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControlUpgradeable} from "@openzeppelin/contracts-upgradeable/access/AccessControlUpgradeable.sol";
import {TokenCore} from "./TokenCore.sol";
import {IInvestorRegistry} from "./interfaces/IInvestorRegistry.sol";
import {ISecurityToken} from "./interfaces/ISecurityToken.sol";
import {ITokenExtension} from "./interfaces/ITokenExtension.sol";
import {ITokenHolds} from "./interfaces/ITokenHolds.sol";
import {ITokenRent} from "./interfaces/ITokenRent.sol";
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
        _meet(to, _token().holders[to]);
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
        (HolderSlot slot, uint256 held) = _meet(account, _token().holders[account]);
        uint8 code = _amountRestriction(slot, held, amount);
        if (code != RestrictionCodes.OK) _refuse(account, address(0), amount, code, slot);
        _checkBalance(account, slot, amount);
        // It is part of a balance.
        // forge-lint: disable-next-line(unsafe-typecast)
        Hold memory hold = Hold(uint104(amount), 0, until, HoldKinds.REDEMPTION, _msgSender());
        return _add(account, hold, HoldCauses.PLACED, reason);
    }

    /// @inheritdoc ITokenHolds
    function releaseHold(address account, uint256 holdId, bytes32 reason) external {
        Holder storage holder = _token().holders[account];
        Hold[] storage list = holder.holds;
        uint256 index = list.find(account, holdId);
        // Who may take the units by force may let them go, too: an agent may be gone, and its hold never expire.
        if (list[index].kind != HoldKinds.REDEMPTION || !hasRole(ENFORCER_ROLE, _msgSender())) {
            _checkAgent(list[index], account);
        }
        list.end(account, index, HoldCauses.RELEASED, reason);
        _flag(holder);
    }

    /// @inheritdoc ITokenHolds
    function executeHold(address account, uint256 holdId, bytes32 reason) external onlyRole(HOLD_ROLE) {
        TokenStorage storage $ = _token();
        Holder storage holder = $.holders[account];
        Hold[] storage list = holder.holds;
        uint256 index = list.find(account, holdId);
        _checkAgent(list[index], account);
        if (Holds.isExpired(list[index].until)) revert HoldExpired(account, holdId);
        (HolderSlot slot, uint256 amount) = (holder.slot, list[index].amount);
        // These units are held for this very burn, and no other hold reaches into them.
        uint8 code = _burnRestriction($, slot, 0, amount);
        if (code != RestrictionCodes.OK) _refuse(account, address(0), amount, code, slot);
        (uint256 balance, uint256 supply) = _destroy(account, amount, holder, slot);
        emit ISecurityToken.Burned(account, amount, balance, supply, reason, _msgSender());
        list.end(account, index, HoldCauses.EXECUTED, reason);
        _flag(holder);
    }

    /// @inheritdoc ITokenHolds
    function reclaimExpired(address account) external returns (uint256 ended) {
        Holder storage holder = _token().holders[account];
        ended = holder.holds.length;
        _meet(account, holder);
        ended -= holder.holds.length;
    }

    // ---------------------------------------------------------------- recovery

    /// @inheritdoc ITokenExtension
    function recover(address lost, address replacement, uint256 amount, bytes32 reason)
        external
        onlyRole(ENFORCER_ROLE)
    {
        _checkRecovery(lost, replacement, amount);
        TokenStorage storage $ = _token();
        (Holder storage giver, Holder storage taker) = ($.holders[lost], $.holders[replacement]);
        _meet(replacement, taker);
        _moveHolds(lost, replacement, reason);
        _moveFreezes(lost, replacement, reason);
        _settle($.head, lost, replacement, amount, giver, giver.slot, taker, taker.slot);
        _moveRent(lost, replacement, reason);
        emit WalletRecovered(lost, replacement, amount, reason, _msgSender());
    }

    // ---------------------------------------------------------------- rent

    /// @inheritdoc ITokenRent
    function setRentDistributor(address distributor, bool bound, bytes32 reason) external onlyRole(DEFAULT_ADMIN_ROLE) {
        TokenStorage storage $ = _token();
        address owing = $.rent.distributor;
        if ($.head.rentPeriod() != 0 && distributor != owing) revert RentOwedBy(owing);
        ($.rent.distributor, $.rent.bound) = (distributor, bound);
        emit RentDistributorChanged(distributor, bound, reason, _msgSender());
    }

    /// @inheritdoc ITokenRent
    function setRentMinimum(uint104 minimum, bytes32 reason) external onlyRole(RULES_ROLE) {
        TokenStorage storage $ = _token();
        if ($.supply.total() != 0) revert RentMinimumFixed();
        $.head = $.head.withSetting(TokenHeads.HAS_RENT_MINIMUM, minimum != 0);
        $.rent.minimum = minimum;
        emit RentMinimumChanged(minimum, reason, _msgSender());
    }

    /// @inheritdoc ITokenRent
    function openRent(uint256 period, uint256 amount)
        external
        returns (uint256 perUnit, uint256 earning, uint256 carry)
    {
        TokenStorage storage $ = _token();
        RentStorage storage rent_ = $.rent;
        TokenHead head = $.head;
        if (_msgSender() != rent_.distributor || !rent_.bound) revert NotRentDistributor(_msgSender());
        uint256 next = head.rentPeriod() + 1;
        if (period != next || next > type(uint16).max) revert NotNextPeriod(next, period);
        if (amount > type(uint104).max) revert RentTooLarge(amount);
        earning = _earning($);
        if (earning == 0) revert NobodyEarns();
        uint256 total = (amount << 128) + rent_.carry;
        perUnit = rent_.perUnit[next - 1] + total / earning;
        carry = total % earning;
        (rent_.perUnit[next], rent_.carry) = (perUnit, carry);
        // It was just compared.
        // forge-lint: disable-next-line(unsafe-typecast)
        $.head = head.withRentPeriod(uint16(next));
    }

    /// @inheritdoc ITokenRent
    function collectRent(address account) external returns (uint256 amount) {
        TokenStorage storage $ = _token();
        if (_msgSender() != $.rent.distributor) revert NotRentDistributor(_msgSender());
        _checkPayable($, account);
        uint256 accrued = _catchUp($, account);
        amount = accrued >> 128;
        $.rent.accrued[account] = accrued - (amount << 128);
    }

    /// @inheritdoc ITokenRent
    function moveRent(address from, address to, bytes32 reason) external onlyRole(DEFAULT_ADMIN_ROLE) {
        TokenStorage storage $ = _token();
        _checkPayable($, to);
        $.rent.accrued[from] = _catchUp($, from);
        $.rent.accrued[to] = _catchUp($, to);
        if (from == to || $.rent.accrued[from] == 0) revert NoRentToMove(from);
        _moveRent(from, to, reason);
    }

    /// @inheritdoc ITokenRent
    function rent() external view returns (Rent memory) {
        TokenStorage storage $ = _token();
        RentStorage storage rent_ = $.rent;
        uint256 period = $.head.rentPeriod();
        return Rent({
            distributor: rent_.distributor,
            bound: rent_.bound,
            // forge-lint: disable-next-line(unsafe-typecast)
            period: uint16(period),
            minimum: rent_.minimum,
            // forge-lint: disable-next-line(unsafe-typecast)
            earning: uint104(_earning($)),
            perUnit: rent_.perUnit[period],
            carry: rent_.carry
        });
    }

    /// @inheritdoc ITokenRent
    function rentOf(address account) external view returns (uint256) {
        TokenStorage storage $ = _token();
        return _accrued($, $.head, account, $.holders[account].slot);
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
        if (_token().head.has(TokenHeads.RETIRED)) revert Retired();
        _setPause(TokenHeads.SUPPLY_PAUSED, false, reason);
    }

    /// @inheritdoc ITokenExtension
    function retire(bytes32 reason) external onlyRole(BURNER_ROLE) {
        TokenStorage storage $ = _token();
        TokenHead head = $.head;
        if ($.supply.total() != 0) revert StillHeld($.supply.total());
        if (head.has(TokenHeads.RETIRED)) revert Retired();
        head = head.withSetting(TokenHeads.RETIRED, true).withSetting(TokenHeads.SUPPLY_PAUSED, true);
        $.head = head;
        emit PauseChanged(head.has(TokenHeads.TRANSFERS_PAUSED), true, reason, _msgSender());
        emit TokenRetired(reason, _msgSender());
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

    // ---------------------------------------------------------------- wiring

    /// @inheritdoc ITokenExtension
    function setRegistry(address newRegistry, bytes32 reason) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (newRegistry.code.length == 0) revert ISecurityToken.InvalidRegistry(newRegistry);
        TokenStorage storage $ = _token();
        emit ISecurityToken.RegistryChanged($.head.registry(), newRegistry, reason, _msgSender());
        $.head = $.head.withRegistry(newRegistry);
    }

    /// @inheritdoc ITokenExtension
    function replaceOperator(address from, address to) external onlyRole(DEFAULT_ADMIN_ROLE) {
        bytes32[11] memory roles = _operatingRoles();
        for (uint256 i = 0; i < roles.length; ++i) {
            _revokeRole(roles[i], from);
        }
        for (uint256 i = 0; i < roles.length; ++i) {
            _grantRole(roles[i], to);
        }
        emit ISecurityToken.OperatorReplaced(from, to, _msgSender());
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
        $.holders[account].holds.add(account, hold, cause, reason);
        _flag($.holders[account]);
        return hold.id;
    }

    /// @dev A lockup: part of the one of its kind and day, or new.
    function _lock(address account, uint104 amount, uint8 kind, uint40 until, uint8 cause, bytes32 reason) private {
        Hold[] storage list = _token().holders[account].holds;
        uint256 index = list.findLockup(kind, until);
        if (index == list.length) {
            _add(account, Hold(amount, 0, until, kind, address(0)), cause, reason);
        } else {
            list.grow(account, index, amount, cause == HoldCauses.PLACED ? HoldCauses.MERGED : cause, reason);
        }
    }

    function _checkAgent(Hold storage hold, address account) private view {
        if (hold.agent != _msgSender()) revert NotHoldAgent(account, hold.id, _msgSender());
    }

    function _flag(Holder storage holder) private {
        holder.slot = holder.slot.withHolds(holder.holds.length != 0);
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
        uint8 code = _receiverRestriction($, head, address(0), replacement, $.holders[replacement].slot);
        if (code != RestrictionCodes.OK) revert ISecurityToken.TransferRestricted(lost, replacement, amount, code);
        uint256 balance = $.holders[lost].slot.balance();
        if (amount != balance) revert RecoveryAmount(balance, amount);
    }

    /// @dev Lockups go along, all other holds end. Oldest first, so that they keep their order.
    function _moveHolds(address lost, address replacement, bytes32 reason) private {
        Holder storage giver = _token().holders[lost];
        _meet(lost, giver);
        Hold[] memory holds = giver.holds;
        delete giver.holds;
        for (uint256 i = 0; i < holds.length; ++i) {
            Hold memory hold = holds[i];
            Holds.tell(lost, hold, hold.amount, 0, HoldCauses.RECOVERED, reason);
            if (hold.kind != HoldKinds.REDEMPTION) {
                _lock(replacement, hold.amount, hold.kind, hold.until, HoldCauses.RECOVERED, reason);
            }
        }
        _flag(giver);
    }

    /// @dev Both accounts are up to date.
    function _moveRent(address from, address to, bytes32 reason) private {
        mapping(address account => uint256) storage accounts = _token().rent.accrued;
        uint256 amount = accounts[from];
        if (amount == 0) return;
        uint256 sum = accounts[to] + amount;
        (accounts[from], accounts[to]) = (0, sum);
        emit RentMoved(from, to, amount, sum, reason, _msgSender());
    }

    /// @dev What an account has earned until now, counted to the last period; to be stored.
    function _catchUp(TokenStorage storage $, address account) private returns (uint256 accrued) {
        (TokenHead head, HolderSlot slot) = ($.head, $.holders[account].slot);
        accrued = _accrued($, head, account, slot);
        $.holders[account].slot = slot.withRentPeriod(head.rentPeriod());
    }

    /// @dev That an account may be paid what it has earned. Of nobody the registry says nothing.
    function _checkPayable(TokenStorage storage $, address account) private view {
        (uint8 code,) = _ask($.head.registry(), account, address(0));
        bool withheld = account == address(0) || code != RestrictionCodes.OK;
        if (withheld || $.holders[account].slot.addressFrozen()) revert RentWithheld(account);
    }

    /// @dev Units that earn now.
    function _earning(TokenStorage storage $) private view returns (uint256) {
        return $.head.has(TokenHeads.HAS_RENT_MINIMUM) ? $.rent.earning : $.supply.total();
    }

    /// @dev A frozen amount adds to that of the replacement; a freeze of the whole wallet holds for both from now on.
    function _moveFreezes(address lost, address replacement, bytes32 reason) private {
        TokenStorage storage $ = _token();
        (HolderSlot from, HolderSlot to) = ($.holders[lost].slot, $.holders[replacement].slot);
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
        ($.holders[lost].slot, $.holders[replacement].slot) = (from, to);
    }
}
