// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {
    AccessControlDefaultAdminRulesUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/extensions/AccessControlDefaultAdminRulesUpgradeable.sol";
import {ERC20Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/ERC20Upgradeable.sol";
import {
    ERC20PermitUpgradeable
} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC20PermitUpgradeable.sol";
import {ExtensionCalls} from "./ExtensionCalls.sol";
import {TokenCore} from "./TokenCore.sol";
import {IERC1404} from "./interfaces/IERC1404.sol";
import {IERC7943Fungible} from "./interfaces/IERC7943.sol";
import {INodeFactory} from "./interfaces/INodeFactory.sol";
import {ISecurityToken} from "./interfaces/ISecurityToken.sol";
import {ITokenExtension} from "./interfaces/ITokenExtension.sol";
import {ITokenHolds} from "./interfaces/ITokenHolds.sol";
import {ITokenRent} from "./interfaces/ITokenRent.sol";
import {Holds} from "./lib/Holds.sol";
import {HolderSlot, HolderSlots} from "./lib/HolderSlot.sol";
import {RestrictionCodes} from "./lib/RestrictionCodes.sol";
import {TokenHeads, TokenSupplies} from "./lib/TokenWords.sol";

/// @title SecurityToken
/// @notice One instrument behind a BeaconProxy: OpenZeppelin's ERC-20 and permit over one packed slot per holder,
/// ERC-7943 enforcement, ERC-1404 reasons.
/// @dev Allowances, `transferFrom` and permit are OpenZeppelin's, untouched. Rules and movements are in `TokenCore`, what
/// is done rarely in `TokenExtension`.
contract SecurityToken is
    ISecurityToken,
    ExtensionCalls,
    TokenCore,
    ERC20PermitUpgradeable,
    AccessControlDefaultAdminRulesUpgradeable
{
    using Holds for ITokenHolds.Hold[];

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc ISecurityToken
    function initialize(TokenInit calldata init) external initializer {
        if (init.decimals > 18) revert InvalidDecimals(init.decimals);
        if (init.maxSupply == 0 || init.maxSupply > HolderSlots.MAX_AMOUNT) revert InvalidMaxSupply(init.maxSupply);
        if (init.registry.code.length == 0) revert InvalidRegistry(init.registry);
        __ERC20_init(init.name, init.symbol);
        __ERC20Permit_init(init.name);
        __AccessControlDefaultAdminRules_init(init.adminDelay, init.admin);
        TokenStorage storage $ = _token();
        $.head = TokenHeads.create(init.registry, init.decimals);
        $.supply = TokenSupplies.create(init.maxSupply);
        $.instrumentId = init.instrumentId;
        bytes32[11] memory roles = _operatingRoles();
        for (uint256 i = 0; i < roles.length; ++i) {
            _grantRole(roles[i], init.operator);
        }
        _admit(init.contracts);
        _announce(init);
    }

    // ---------------------------------------------------------------- supply

    /// @inheritdoc ISecurityToken
    function mint(address to, uint256 amount, bytes32 reason) external onlyRole(MINTER_ROLE) {
        _issue(to, amount, reason);
    }

    /// @inheritdoc ISecurityToken
    function burn(address from, uint256 amount, bytes32 reason) external onlyRole(BURNER_ROLE) {
        if (from == address(0)) revert ERC20InvalidSender(from);
        TokenStorage storage $ = _token();
        Holder storage giver = $.holders[from];
        (HolderSlot sender, uint256 held) = _meet(from, giver);
        uint8 code = _burnRestriction($, sender, held, amount);
        if (code != RestrictionCodes.OK) _refuse(from, address(0), amount, code, sender);
        (uint256 balance, uint256 supply) = _destroy(from, amount, giver, sender);
        emit Burned(from, amount, balance, supply, reason, _msgSender());
    }

    // ---------------------------------------------------------------- freezing

    /// @inheritdoc IERC7943Fungible
    function setFrozenTokens(address account, uint256 amount) external returns (bool) {
        return setFrozenTokens(account, amount, 0);
    }

    /// @inheritdoc ISecurityToken
    function setFrozenTokens(address account, uint256 amount, bytes32 reason)
        public
        onlyRole(FREEZER_ROLE)
        returns (bool)
    {
        Holder storage holder = _token().holders[account];
        HolderSlot slot = holder.slot;
        if (amount > HolderSlots.MAX_AMOUNT) amount = HolderSlots.MAX_AMOUNT;
        holder.slot = slot.withFrozen(amount);
        _tellFrozen(account, slot.frozen(), amount, reason);
        return true;
    }

    /// @inheritdoc ISecurityToken
    function setAddressFrozen(address account, bool frozen, bytes32 reason) external onlyRole(FREEZER_ROLE) {
        Holder storage holder = _token().holders[account];
        holder.slot = holder.slot.withAddressFrozen(frozen);
        emit AddressFreezeChanged(account, frozen, reason, _msgSender());
    }

    // ---------------------------------------------------------------- force

    /// @inheritdoc IERC7943Fungible
    function forcedTransfer(address from, address to, uint256 amount) external returns (bool) {
        return forcedTransfer(from, to, amount, 0);
    }

    /// @inheritdoc ISecurityToken
    function forcedTransfer(address from, address to, uint256 amount, bytes32 reason)
        public
        onlyRole(ENFORCER_ROLE)
        returns (bool)
    {
        if (from == to) revert SelfTransfer(from);
        if (to == address(0)) revert ERC20InvalidReceiver(to);
        TokenStorage storage $ = _token();
        (Holder storage giver, Holder storage taker) = ($.holders[from], $.holders[to]);
        HolderSlot receiver = taker.slot;
        uint8 code = _receiverRestriction($, $.head, address(0), to, receiver);
        if (code != RestrictionCodes.OK) revert TransferRestricted(from, to, amount, code);
        (HolderSlot sender, uint256 unfrozen) = _seize(from, giver, amount, reason);
        _settle($.head, from, to, amount, giver, sender, taker, receiver);
        emit ForcedTransfer(from, to, amount);
        emit ForcedTransferExecuted(from, to, amount, unfrozen, reason, _msgSender());
        return true;
    }

    /// @inheritdoc ISecurityToken
    function forcedBurn(address from, uint256 amount, bytes32 reason) external onlyRole(ENFORCER_ROLE) {
        Holder storage giver = _token().holders[from];
        (HolderSlot sender, uint256 unfrozen) = _seize(from, giver, amount, reason);
        (uint256 balance, uint256 supply) = _destroy(from, amount, giver, sender);
        emit ForcedBurnExecuted(from, amount, unfrozen, balance, supply, reason, _msgSender());
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IERC1404
    function detectTransferRestriction(address from, address to, uint256 amount) public view returns (uint8) {
        TokenStorage storage $ = _token();
        (HolderSlot sender, HolderSlot receiver) = ($.holders[from].slot, $.holders[to].slot);
        if (from == address(0)) return _mintRestriction($, $.head, $.supply, to, amount, receiver);
        if (to == address(0)) return _burnRestriction($, sender, heldOf(from), amount);
        return _transferRestriction($, $.head, from, to, amount, sender, heldOf(from), receiver);
    }

    /// @inheritdoc IERC1404
    function messageForTransferRestriction(uint8 code) external view returns (string memory) {
        return _extension.messageForTransferRestriction(code);
    }

    /// @inheritdoc IERC7943Fungible
    function canTransfer(address from, address to, uint256 amount) external view returns (bool) {
        return detectTransferRestriction(from, to, amount) == RestrictionCodes.OK;
    }

    /// @inheritdoc IERC7943Fungible
    function canSend(address account) external view returns (bool) {
        if (isFrozen(account)) return false;
        (uint8 code,) = _ask(registry(), account, address(0));
        return code == RestrictionCodes.OK;
    }

    /// @inheritdoc IERC7943Fungible
    function canReceive(address account) external view returns (bool) {
        TokenStorage storage $ = _token();
        return _receiverRestriction($, $.head, address(0), account, $.holders[account].slot) == RestrictionCodes.OK;
    }

    /// @inheritdoc IERC7943Fungible
    function getFrozenTokens(address account) external view returns (uint256) {
        return _token().holders[account].slot.frozen();
    }

    /// @inheritdoc ISecurityToken
    function isFrozen(address account) public view returns (bool) {
        return _token().holders[account].slot.addressFrozen();
    }

    /// @inheritdoc ISecurityToken
    function heldOf(address account) public view returns (uint256) {
        Holder storage holder = _token().holders[account];
        return holder.slot.hasHolds() ? holder.holds.held() : 0;
    }

    /// @inheritdoc ISecurityToken
    function holdsOf(address account) external view returns (ITokenHolds.Hold[] memory) {
        return _token().holders[account].holds;
    }

    /// @inheritdoc ISecurityToken
    function spendableOf(address account) external view returns (uint256) {
        HolderSlot slot = _token().holders[account].slot;
        return slot.addressFrozen() ? 0 : slot.freeBeside(heldOf(account));
    }

    /// @inheritdoc ISecurityToken
    function holderCount() external view returns (uint256) {
        return _token().supply.holders();
    }

    /// @inheritdoc ISecurityToken
    function limits() external view returns (uint32, uint104) {
        TokenStorage storage $ = _token();
        return ($.head.maxHolders(), $.maxBalance);
    }

    /// @inheritdoc ISecurityToken
    function countryRule() external view returns (uint8, uint256[4] memory) {
        TokenStorage storage $ = _token();
        return ($.countryMode, $.countries);
    }

    /// @inheritdoc ISecurityToken
    function documentOf(bytes32 name) external view returns (bytes32, uint40) {
        Document storage document = _token().documents[name];
        return (document.hash, document.modifiedAt);
    }

    /// @inheritdoc ISecurityToken
    function paused() external view returns (bool) {
        return _token().head.has(TokenHeads.TRANSFERS_PAUSED);
    }

    /// @inheritdoc ISecurityToken
    function supplyPaused() external view returns (bool) {
        return _token().head.has(TokenHeads.SUPPLY_PAUSED);
    }

    /// @inheritdoc ISecurityToken
    function instrumentId() external view returns (string memory) {
        return _token().instrumentId;
    }

    /// @inheritdoc ISecurityToken
    function registry() public view returns (address) {
        return _token().head.registry();
    }

    /// @inheritdoc ISecurityToken
    function maxSupply() external view returns (uint256) {
        return _token().supply.max();
    }

    /// @inheritdoc IERC20Metadata
    function decimals() public view override returns (uint8) {
        return _token().head.decimals();
    }

    /// @inheritdoc IERC20
    function totalSupply() public view override(IERC20, ERC20Upgradeable) returns (uint256) {
        return _token().supply.total();
    }

    /// @inheritdoc IERC20
    function balanceOf(address account) public view override(IERC20, ERC20Upgradeable) returns (uint256) {
        return _token().holders[account].slot.balance();
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId)
        public
        view
        override(IERC165, AccessControlDefaultAdminRulesUpgradeable)
        returns (bool)
    {
        return interfaceId == type(IERC7943Fungible).interfaceId || interfaceId == type(IERC1404).interfaceId
            || interfaceId == type(IERC20).interfaceId || interfaceId == type(IERC20Metadata).interfaceId
            || interfaceId == type(IERC20Permit).interfaceId || super.supportsInterface(interfaceId);
    }

    // ---------------------------------------------------------------- internal

    /// @dev What OpenZeppelin's `transfer` and `transferFrom` end in.
    function _update(address from, address to, uint256 value) internal override {
        _move(from, to, value);
    }

    /// @dev Makes `amount` free to be taken by force. Gives back the holder to settle with, and how many frozen units
    /// that took.
    function _seize(address from, Holder storage giver, uint256 amount, bytes32 reason)
        private
        returns (HolderSlot, uint256)
    {
        if (from == address(0)) revert ERC20InvalidSender(from);
        (HolderSlot sender, uint256 held) = _meet(from, giver);
        _checkBalance(from, sender, amount);
        if (amount <= sender.freeBeside(held)) return (sender, 0);
        return _makeRoom(from, giver, sender, held, amount, reason);
    }

    /// @dev Holds end, newest first, until the others fit what will be left; then the frozen amount is cut to what
    /// they leave of it.
    function _makeRoom(
        address from,
        Holder storage giver,
        HolderSlot sender,
        uint256 held,
        uint256 amount,
        bytes32 reason
    ) private returns (HolderSlot, uint256 unfrozen) {
        unchecked {
            // Neither the amount nor what is held exceeds the balance.
            uint256 rest = sender.balance() - amount;
            // A frozen amount may be larger than what there is to freeze.
            uint256 unheld = sender.balance() - held;
            if (held > rest) {
                held = giver.holds.cut(from, held, rest, reason);
                if (held == 0) sender = sender.withHolds(false);
            }
            rest -= held;
            uint256 frozen = sender.frozen();
            if (frozen > rest) {
                if (unheld > frozen) unheld = frozen;
                if (unheld > rest) unfrozen = unheld - rest;
                sender = sender.withFrozen(rest);
                _tellFrozen(from, frozen, rest, reason);
            }
        }
        return (sender, unfrozen);
    }

    function _announce(TokenInit memory init) private {
        emit TokenInitialized(
            init.instrumentId,
            init.name,
            init.symbol,
            init.decimals,
            init.maxSupply,
            init.registry,
            init.operator,
            init.admin
        );
    }

    /// @dev What the node's contracts need: those that sell mint, the one that redeems holds, burns and retires.
    function _admit(INodeFactory.NodeContracts memory contracts) private {
        if (contracts.listing != address(0)) _grantRole(MINTER_ROLE, contracts.listing);
        if (contracts.feeVault != address(0)) _grantRole(MINTER_ROLE, contracts.feeVault);
        if (contracts.redemptionDesk != address(0)) {
            _grantRole(HOLD_ROLE, contracts.redemptionDesk);
            _grantRole(BURNER_ROLE, contracts.redemptionDesk);
        }
        if (contracts.rentDistributor != address(0)) {
            RentStorage storage rent = _token().rent;
            (rent.distributor, rent.bound) = (contracts.rentDistributor, true);
            emit ITokenRent.RentDistributorChanged(contracts.rentDistributor, true, 0, _msgSender());
        }
    }
}

/// @title Token
/// @notice A token as its callers see it: what the implementation does itself, and what it passes on to its extension.
/// The committed ABI is this one's.
abstract contract Token is SecurityToken, ITokenExtension {}
