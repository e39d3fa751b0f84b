// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {
    AccessControlDefaultAdminRulesUpgradeable
} from "@openzeppelin/contracts-upgradeable/access/extensions/AccessControlDefaultAdminRulesUpgradeable.sol";
import {INodeContract} from "../interfaces/INodeContract.sol";
import {TokenRoles} from "../lib/TokenRoles.sol";

/// @title NodeContract
/// @notice The common part of a node's contracts: proxy, admin, treasury, roles asked of tokens, intents.
/// @dev The EIP-712 name stands in the code, not in storage: behind a proxy the domain is put together at each use, at no
/// read. All storage is namespaced (ERC-7201), so that an upgrade may add to any part of it.
abstract contract NodeContract is
    INodeContract,
    AccessControlDefaultAdminRulesUpgradeable,
    UUPSUpgradeable,
    EIP712,
    ReentrancyGuardTransient
{
    /// @custom:storage-location erc7201:tokenx.storage.NodeContract
    struct NodeStorage {
        address treasury;
        mapping(address wallet => mapping(bytes32 salt => bool)) intents;
    }

    // keccak256(abi.encode(uint256(keccak256("tokenx.storage.NodeContract")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant NODE_STORAGE = 0xa9cb0491d181dd3c30349b3fb43ad1533ef642cb8937f78f8e3a3cf60da88400;

    modifier onlyTokenRole(address token, bytes32 role) {
        _checkTokenRole(token, role);
        _;
    }

    /// @dev Terms are the token's admin's to set, and whoever's has the role for it.
    modifier onlyTerms(address token) {
        if (!_hasTokenRole(token, DEFAULT_ADMIN_ROLE)) _checkTokenRole(token, TokenRoles.TERMS_ROLE);
        _;
    }

    constructor(string memory name) EIP712(name, "1") {
        _disableInitializers();
    }

    /// @inheritdoc INodeContract
    function initialize(NodeInit calldata init) external initializer {
        __AccessControlDefaultAdminRules_init(init.adminDelay, init.admin);
        _setTreasury(init.treasury);
        _wire(init);
    }

    /// @inheritdoc INodeContract
    function setTreasury(address newTreasury) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setTreasury(newTreasury);
    }

    /// @inheritdoc INodeContract
    function cancelIntent(bytes32 salt) external {
        _consume(_msgSender(), salt, true);
    }

    /// @inheritdoc INodeContract
    function usePermit(address token, address owner, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
    {
        try IERC20Permit(token).permit(owner, address(this), value, deadline, v, r, s) {}
        catch (bytes memory refusal) {
            if (IERC20(token).allowance(owner, address(this)) < value) _refuse(refusal);
        }
    }

    /// @inheritdoc INodeContract
    function treasury() public view returns (address) {
        return _node().treasury;
    }

    /// @inheritdoc INodeContract
    function isIntentUsed(address wallet, bytes32 salt) external view returns (bool) {
        return _node().intents[wallet][salt];
    }

    // ---------------------------------------------------------------- internal

    /// @dev Keeps what a contract needs of its node.
    function _wire(NodeInit calldata init) internal virtual {}

    /// @dev The node's admin alone changes code.
    function _authorizeUpgrade(address) internal view override onlyRole(DEFAULT_ADMIN_ROLE) {}

    function _checkTokenRole(address token, bytes32 role) internal view {
        if (!_hasTokenRole(token, role)) revert NotTokenOperator(token, _msgSender(), role);
    }

    /// @dev Whether the caller has this role of the token.
    function _hasTokenRole(address token, bytes32 role) internal view returns (bool) {
        return IAccessControl(token).hasRole(role, _msgSender());
    }

    /// @dev Fails as the call before it has.
    function _refuse(bytes memory refusal) internal pure {
        assembly ("memory-safe") {
            revert(add(refusal, 0x20), mload(refusal))
        }
    }

    /// @dev Takes an intent in, once.
    function _useIntent(address wallet, bytes32 salt, uint256 deadline, bytes32 structHash, bytes calldata signature)
        internal
    {
        if (block.timestamp > deadline) revert IntentExpired(deadline);
        _consume(wallet, salt, false);
        _checkSignature(wallet, _hashTypedDataV4(structHash), signature);
    }

    /// @dev The key first: to look whether a wallet is a contract costs as much as to recover from its signature.
    function _checkSignature(address wallet, bytes32 digest, bytes calldata signature) internal view {
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && signer == wallet) return;
        if (!SignatureChecker.isValidERC1271SignatureNowCalldata(wallet, digest, signature)) {
            revert InvalidSignature(wallet);
        }
    }

    // ---------------------------------------------------------------- private

    function _consume(address wallet, bytes32 salt, bool cancelled) private {
        mapping(bytes32 salt => bool) storage used = _node().intents[wallet];
        if (used[salt]) revert IntentUsed(wallet, salt);
        used[salt] = true;
        emit IntentConsumed(wallet, salt, cancelled);
    }

    function _setTreasury(address newTreasury) private {
        if (newTreasury == address(0)) revert InvalidAddress(newTreasury);
        NodeStorage storage $ = _node();
        emit TreasuryChanged($.treasury, newTreasury, _msgSender());
        $.treasury = newTreasury;
    }

    function _node() private pure returns (NodeStorage storage $) {
        assembly ("memory-safe") {
            $.slot := NODE_STORAGE
        }
    }
}
