// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {LowLevelCall} from "@openzeppelin/contracts/utils/LowLevelCall.sol";
import {
    AccessControlDefaultAdminRulesUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/extensions/AccessControlDefaultAdminRulesUpgradeable.sol";
import {ERC20Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/ERC20Upgradeable.sol";
import {
    ERC20PermitUpgradeable
} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC20PermitUpgradeable.sol";
import {IERC1404} from "./interfaces/IERC1404.sol";
import {IERC7943Fungible} from "./interfaces/IERC7943.sol";
import {IInvestorRegistry} from "./interfaces/IInvestorRegistry.sol";
import {ISecurityToken} from "./interfaces/ISecurityToken.sol";
import {HolderSlot, HolderSlots} from "./lib/HolderSlot.sol";
import {RestrictionCodes} from "./lib/RestrictionCodes.sol";

/// @title SecurityToken
/// @notice One instrument behind a BeaconProxy: OpenZeppelin's ERC-20 and permit over one packed slot per holder,
/// ERC-7943 enforcement, ERC-1404 reasons.
/// @dev Balances change in `_update` and nowhere else. `_restriction` alone decides, for the predictor and for the
/// movement; it never looks at plain balance, which is ERC20InsufficientBalance. Allowances, `transferFrom` and
/// permit are OpenZeppelin's, untouched.
contract SecurityToken is ISecurityToken, ERC20PermitUpgradeable, AccessControlDefaultAdminRulesUpgradeable {
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");
    bytes32 public constant BURNER_ROLE = keccak256("BURNER_ROLE");
    bytes32 public constant FREEZER_ROLE = keccak256("FREEZER_ROLE");
    bytes32 public constant ENFORCER_ROLE = keccak256("ENFORCER_ROLE");
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    uint8 private constant TRANSFERS = 1;
    uint8 private constant SUPPLY = 2;

    /// @custom:storage-location erc7201:tokenx.storage.SecurityToken
    struct TokenStorage {
        address registry;
        uint8 pauses;
        uint8 decimals;
        uint104 totalSupply;
        uint104 maxSupply;
        mapping(address account => HolderSlot) holders;
        string instrumentId;
    }

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.SecurityToken")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant TOKEN_STORAGE = 0xd9f226a1495dba0a8e14b62d8ae52e8f929ab675fae625be6956d66ca03af000;

    /// @dev Set while an enforcer moves units: `_update` then asks no rule, the caller has asked those that count.
    bool private transient _enforcing;

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
        $.registry = init.registry;
        $.decimals = init.decimals;
        // The bound above makes it fit.
        // forge-lint: disable-next-line(unsafe-typecast)
        $.maxSupply = uint104(init.maxSupply);
        $.instrumentId = init.instrumentId;
        bytes32[5] memory roles = _operatingRoles();
        for (uint256 i = 0; i < roles.length; ++i) {
            _grantRole(roles[i], init.operator);
        }
        _announce(init);
    }

    // ---------------------------------------------------------------- supply

    /// @inheritdoc ISecurityToken
    function mint(address to, uint256 amount, bytes32 reason) external onlyRole(MINTER_ROLE) {
        _mint(to, amount);
        emit Minted(to, amount, balanceOf(to), totalSupply(), reason, _msgSender());
    }

    /// @inheritdoc ISecurityToken
    function burn(address from, uint256 amount, bytes32 reason) external onlyRole(BURNER_ROLE) {
        _burn(from, amount);
        emit Burned(from, amount, balanceOf(from), totalSupply(), reason, _msgSender());
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
        _setFrozen(account, amount > HolderSlots.MAX_AMOUNT ? HolderSlots.MAX_AMOUNT : amount, reason);
        return true;
    }

    /// @inheritdoc ISecurityToken
    function setAddressFrozen(address account, bool frozen, bytes32 reason) external onlyRole(FREEZER_ROLE) {
        TokenStorage storage $ = _token();
        $.holders[account] = $.holders[account].withAddressFrozen(frozen);
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
        uint8 code = _receiverRestriction(to);
        if (code != RestrictionCodes.OK) revert TransferRestricted(from, to, amount, code);
        uint256 unfrozen = _unfreezeFor(from, amount, reason);
        _enforcing = true;
        _transfer(from, to, amount);
        _enforcing = false;
        emit ForcedTransfer(from, to, amount);
        emit ForcedTransferExecuted(from, to, amount, unfrozen, reason, _msgSender());
        return true;
    }

    /// @inheritdoc ISecurityToken
    function forcedBurn(address from, uint256 amount, bytes32 reason) external onlyRole(ENFORCER_ROLE) {
        uint256 unfrozen = _unfreezeFor(from, amount, reason);
        _enforcing = true;
        _burn(from, amount);
        _enforcing = false;
        emit ForcedBurnExecuted(from, amount, unfrozen, balanceOf(from), totalSupply(), reason, _msgSender());
    }

    // ---------------------------------------------------------------- pauses and wiring

    /// @inheritdoc ISecurityToken
    function pause(bytes32 reason) external {
        _setPause(TRANSFERS, true, reason);
    }

    /// @inheritdoc ISecurityToken
    function unpause(bytes32 reason) external {
        _setPause(TRANSFERS, false, reason);
    }

    /// @inheritdoc ISecurityToken
    function pauseSupply(bytes32 reason) external {
        _setPause(SUPPLY, true, reason);
    }

    /// @inheritdoc ISecurityToken
    function unpauseSupply(bytes32 reason) external {
        _setPause(SUPPLY, false, reason);
    }

    /// @inheritdoc ISecurityToken
    function setRegistry(address newRegistry, bytes32 reason) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (newRegistry.code.length == 0) revert InvalidRegistry(newRegistry);
        TokenStorage storage $ = _token();
        emit RegistryChanged($.registry, newRegistry, reason, _msgSender());
        $.registry = newRegistry;
    }

    /// @inheritdoc ISecurityToken
    function replaceOperator(address from, address to) external onlyRole(DEFAULT_ADMIN_ROLE) {
        bytes32[5] memory roles = _operatingRoles();
        for (uint256 i = 0; i < roles.length; ++i) {
            _revokeRole(roles[i], from);
        }
        for (uint256 i = 0; i < roles.length; ++i) {
            _grantRole(roles[i], to);
        }
        emit OperatorReplaced(from, to, _msgSender());
    }

    // ---------------------------------------------------------------- views

    /// @inheritdoc IERC1404
    function detectTransferRestriction(address from, address to, uint256 amount) external view returns (uint8) {
        return _restriction(from, to, amount);
    }

    /// @inheritdoc IERC1404
    function messageForTransferRestriction(uint8 code) external pure returns (string memory) {
        return RestrictionCodes.message(code);
    }

    /// @inheritdoc IERC7943Fungible
    function canTransfer(address from, address to, uint256 amount) external view returns (bool) {
        return _restriction(from, to, amount) == RestrictionCodes.OK;
    }

    /// @inheritdoc IERC7943Fungible
    function canSend(address account) external view returns (bool) {
        return !isFrozen(account) && _ask(account, address(0)) == RestrictionCodes.OK;
    }

    /// @inheritdoc IERC7943Fungible
    function canReceive(address account) external view returns (bool) {
        return _receiverRestriction(account) == RestrictionCodes.OK;
    }

    /// @inheritdoc IERC7943Fungible
    function getFrozenTokens(address account) external view returns (uint256) {
        return _token().holders[account].frozen();
    }

    /// @inheritdoc ISecurityToken
    function isFrozen(address account) public view returns (bool) {
        return _token().holders[account].addressFrozen();
    }

    /// @inheritdoc ISecurityToken
    function paused() external view returns (bool) {
        return _token().pauses & TRANSFERS != 0;
    }

    /// @inheritdoc ISecurityToken
    function supplyPaused() external view returns (bool) {
        return _token().pauses & SUPPLY != 0;
    }

    /// @inheritdoc ISecurityToken
    function instrumentId() external view returns (string memory) {
        return _token().instrumentId;
    }

    /// @inheritdoc ISecurityToken
    function registry() external view returns (address) {
        return _token().registry;
    }

    /// @inheritdoc ISecurityToken
    function maxSupply() external view returns (uint256) {
        return _token().maxSupply;
    }

    /// @inheritdoc IERC20Metadata
    function decimals() public view override returns (uint8) {
        return _token().decimals;
    }

    /// @inheritdoc IERC20
    function totalSupply() public view override(IERC20, ERC20Upgradeable) returns (uint256) {
        return _token().totalSupply;
    }

    /// @inheritdoc IERC20
    function balanceOf(address account) public view override(IERC20, ERC20Upgradeable) returns (uint256) {
        return _token().holders[account].balance();
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

    /// @dev The only place where balances change. A self-transfer changes nothing.
    function _update(address from, address to, uint256 value) internal override {
        TokenStorage storage $ = _token();
        if (!_enforcing) {
            uint8 code = _restriction(from, to, value);
            if (code == RestrictionCodes.AMOUNT_FROZEN) {
                revert ERC7943InsufficientUnfrozenBalance(from, value, $.holders[from].free());
            }
            if (code != RestrictionCodes.OK) revert TransferRestricted(from, to, value, code);
        }
        unchecked {
            // No overflow: a mint stays below `maxSupply` (one of the rules, and a mint is never enforced), all else
            // below the sender's balance.
            // forge-lint: disable-start(unsafe-typecast)
            if (from == address(0)) {
                $.totalSupply += uint104(value);
            } else {
                HolderSlot sender = $.holders[from];
                uint256 balance = sender.balance();
                if (balance < value) revert ERC20InsufficientBalance(from, balance, value);
                if (from != to) $.holders[from] = sender.withBalance(balance - value);
            }
            if (to == address(0)) {
                $.totalSupply -= uint104(value);
            } else if (from != to) {
                HolderSlot receiver = $.holders[to];
                $.holders[to] = receiver.withBalance(receiver.balance() + value);
            }
            // forge-lint: disable-end(unsafe-typecast)
        }
        emit Transfer(from, to, value);
    }

    /// @dev Why `amount` may not go from `from` to `to`; the zero address stands for mint and burn. The predictor and
    /// the movement ask nobody else.
    function _restriction(address from, address to, uint256 amount) internal view returns (uint8) {
        TokenStorage storage $ = _token();
        bool supply = from == address(0) || to == address(0);
        if ($.pauses & (supply ? SUPPLY : TRANSFERS) != 0) {
            return supply ? RestrictionCodes.SUPPLY_PAUSED : RestrictionCodes.TOKEN_PAUSED;
        }
        if (from != address(0)) {
            HolderSlot sender = $.holders[from];
            if (sender.addressFrozen()) return RestrictionCodes.SENDER_FROZEN;
            // Above the whole balance it is not the freeze that stands in the way.
            if (sender.frozen() != 0 && amount > sender.free() && amount <= sender.balance()) {
                return RestrictionCodes.AMOUNT_FROZEN;
            }
            // A burn is the issuer's act: what the registry thinks of the holder does not stop it.
            if (to == address(0)) return RestrictionCodes.OK;
        }
        if ($.holders[to].addressFrozen()) return RestrictionCodes.RECIPIENT_FROZEN;
        uint8 code = _ask(from, to);
        if (code != RestrictionCodes.OK) return code;
        if (from == address(0) && amount > $.maxSupply - $.totalSupply) return RestrictionCodes.MAX_SUPPLY_EXCEEDED;
        return RestrictionCodes.OK;
    }

    /// @dev Why `account` may not receive, whatever the amount.
    function _receiverRestriction(address account) internal view returns (uint8) {
        return isFrozen(account) ? RestrictionCodes.RECIPIENT_FROZEN : _ask(address(0), account);
    }

    /// @dev The registry's answer. One that fails, is missing or talks nonsense counts as a refusal, so that views
    /// never revert and nothing moves unseen.
    function _ask(address from, address to) internal view returns (uint8) {
        (bool ok, bytes32 word,) =
            LowLevelCall.staticcallReturn64Bytes(_token().registry, abi.encodeCall(IInvestorRegistry.check, (from, to)));
        uint256 code = uint256(word);
        if (!ok || LowLevelCall.returnDataSize() != 32 || code > type(uint8).max) {
            return RestrictionCodes.REGISTRY_UNAVAILABLE;
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint8(code);
    }

    /// @dev Cuts what is frozen to what will be left once `amount` is gone, and says how much that took from it.
    function _unfreezeFor(address from, uint256 amount, bytes32 reason) internal returns (uint256 unfrozen) {
        HolderSlot holder = _token().holders[from];
        uint256 balance = holder.balance();
        if (balance < amount) revert ERC20InsufficientBalance(from, balance, amount);
        uint256 free = holder.free();
        if (amount > free) {
            unchecked {
                unfrozen = amount - free;
                _setFrozen(from, balance - amount, reason);
            }
        }
    }

    function _setFrozen(address account, uint256 amount, bytes32 reason) internal {
        TokenStorage storage $ = _token();
        HolderSlot holder = $.holders[account];
        $.holders[account] = holder.withFrozen(amount);
        emit Frozen(account, amount);
        emit FrozenChanged(account, holder.frozen(), amount, reason, _msgSender());
    }

    function _setPause(uint8 scope, bool on, bytes32 reason) internal onlyRole(PAUSER_ROLE) {
        TokenStorage storage $ = _token();
        uint8 pauses = on ? $.pauses | scope : $.pauses & ~scope;
        $.pauses = pauses;
        emit PauseChanged(pauses & TRANSFERS != 0, pauses & SUPPLY != 0, reason, _msgSender());
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

    function _operatingRoles() internal pure returns (bytes32[5] memory) {
        return [MINTER_ROLE, BURNER_ROLE, FREEZER_ROLE, ENFORCER_ROLE, PAUSER_ROLE];
    }

    function _token() private pure returns (TokenStorage storage $) {
        assembly ("memory-safe") {
            $.slot := TOKEN_STORAGE
        }
    }
}
