// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    IAccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/IAccessControlDefaultAdminRules.sol";
import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {BeaconProxy} from "@openzeppelin/contracts/proxy/beacon/BeaconProxy.sol";
import {UpgradeableBeacon} from "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {ExecutorDeployer} from "./ExecutorDeployer.sol";
import {IExecutor} from "./interfaces/IExecutor.sol";
import {INodeContract} from "./interfaces/INodeContract.sol";
import {INodeFactory} from "./interfaces/INodeFactory.sol";
import {ISecurityToken} from "./interfaces/ISecurityToken.sol";
import {ITokenExtension} from "./interfaces/ITokenExtension.sol";
import {ITokenHolds} from "./interfaces/ITokenHolds.sol";
import {ITokenRent} from "./interfaces/ITokenRent.sol";
import {NodeProxy} from "./node/NodeProxy.sol";

/// @title NodeFactory
/// @notice Deploys an issuer's node, wired, and then its tokens, all by CREATE2. Keeps no power over what it made
/// beyond allowing a node's Executor to operate that node's new tokens.
contract NodeFactory is INodeFactory, AccessControlDefaultAdminRules {
    bytes32 public constant DEPLOYER_ROLE = keccak256("DEPLOYER_ROLE");

    /// @inheritdoc INodeFactory
    address public immutable registry;
    /// @inheritdoc INodeFactory
    address public immutable beacon;

    ExecutorDeployer private immutable _executorDeployer;

    NodeContracts private _implementations;
    mapping(bytes32 nodeKey => Node) private _nodes;
    mapping(bytes32 salt => address) private _tokens;

    /// @param admin Cold key: default admin, who upgrades the tokens; first deployer.
    /// @param adminDelay Seconds that a change of admin waits.
    /// @param registry_ The registry that new tokens ask.
    /// @param tokenImplementation The SecurityToken that new tokens run.
    constructor(address admin, uint48 adminDelay, address registry_, address tokenImplementation)
        AccessControlDefaultAdminRules(adminDelay, admin)
    {
        if (registry_.code.length == 0) revert ISecurityToken.InvalidRegistry(registry_);
        registry = registry_;
        beacon = address(new UpgradeableBeacon(tokenImplementation, address(this)));
        _executorDeployer = new ExecutorDeployer();
        _grantRole(DEPLOYER_ROLE, admin);
    }

    /// @inheritdoc INodeFactory
    function setImplementations(NodeContracts calldata next) external onlyRole(DEFAULT_ADMIN_ROLE) {
        address[6] memory list = _list(next);
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] != address(0) && list[i].code.length == 0) revert InvalidImplementation(list[i]);
        }
        _implementations = next;
        emit ImplementationsChanged(next, _msgSender());
    }

    /// @inheritdoc INodeFactory
    function deployNode(NodeConfig calldata config) external onlyRole(DEPLOYER_ROLE) returns (address executor) {
        if (config.nodeKey == 0) revert InvalidNodeKey();
        Node storage node = _nodes[config.nodeKey];
        if (node.executor != address(0)) revert NodeExists(config.nodeKey);

        NodeContracts memory contracts = _deployContracts(config);
        executor = _executorDeployer.deploy(
            config.nodeKey,
            IExecutor.ExecutorConfig({
                admin: config.admin,
                adminDelay: config.adminDelay,
                guardian: config.guardian,
                keepers: config.keepers,
                factory: address(this),
                previous: config.previousExecutor,
                rules: _nodeRules(contracts, config.keeperSetsTerms)
            })
        );
        (node.issuer, node.executor, node.treasury, node.contracts) =
        (config.issuer, executor, config.treasury, contracts);
        emit NodeDeployed(config.nodeKey, config.issuer, executor, config.treasury, config.admin, contracts);
    }

    /// @inheritdoc INodeFactory
    function deployToken(TokenConfig calldata config) external returns (address token) {
        Node storage node = _nodes[config.nodeKey];
        (address executor, bytes32 issuer) = (node.executor, node.issuer);
        if (executor == address(0)) revert UnknownNode(config.nodeKey);
        address admin = IAccessControlDefaultAdminRules(executor).defaultAdmin();
        if (_msgSender() != executor && _msgSender() != admin) revert NotNodeOperator(_msgSender());
        _checkInstrumentId(config.instrumentId);
        bytes32 salt = _salt(config.nodeKey, issuer, config.instrumentId);
        if (_tokens[salt] != address(0)) revert InstrumentExists(config.instrumentId, _tokens[salt]);

        token = Create2.deploy(0, salt, _proxyCode());
        _tokens[salt] = token;
        ISecurityToken(token)
            .initialize(
                ISecurityToken.TokenInit({
                instrumentId: config.instrumentId,
                name: config.name,
                symbol: config.symbol,
                decimals: config.decimals,
                maxSupply: config.maxSupply,
                registry: registry,
                admin: admin,
                adminDelay: IAccessControlDefaultAdminRules(executor).defaultAdminDelay(),
                operator: executor,
                contracts: node.contracts
            })
            );
        IExecutor(executor).register(_operatingRules(token, config));
        // Last: where a command of the Executor deploys, only logs after its own last one belong to the command.
        _announce(token, executor, issuer, config, salt);
    }

    /// @inheritdoc INodeFactory
    function replaceExecutor(bytes32 nodeKey, address next) external {
        address executor = _nodes[nodeKey].executor;
        if (executor == address(0)) revert UnknownNode(nodeKey);
        if (_msgSender() != IAccessControlDefaultAdminRules(executor).defaultAdmin()) {
            revert NotNodeOperator(_msgSender());
        }
        if (IExecutor(next).previous() != executor || IExecutor(next).factory() != address(this)) {
            revert NotSuccessor(next, executor);
        }
        _nodes[nodeKey].executor = next;
        emit NodeExecutorReplaced(nodeKey, executor, next, _msgSender());
    }

    /// @inheritdoc INodeFactory
    function upgradeTokens(address implementation) external onlyRole(DEFAULT_ADMIN_ROLE) {
        UpgradeableBeacon(beacon).upgradeTo(implementation);
    }

    /// @inheritdoc INodeFactory
    function predictToken(bytes32 nodeKey, bytes32 issuer, string calldata instrumentId)
        external
        view
        returns (address)
    {
        return Create2.computeAddress(_salt(nodeKey, issuer, instrumentId), keccak256(_proxyCode()));
    }

    /// @inheritdoc INodeFactory
    function implementations() external view returns (NodeContracts memory) {
        return _implementations;
    }

    /// @inheritdoc INodeFactory
    function nodeOf(bytes32 nodeKey) external view returns (Node memory) {
        return _nodes[nodeKey];
    }

    /// @inheritdoc INodeFactory
    function tokenOf(bytes32 nodeKey, string calldata instrumentId) external view returns (address) {
        return _tokens[_salt(nodeKey, _nodes[nodeKey].issuer, instrumentId)];
    }

    /// @dev All of a node's proxies first, so that each can be told where the others are.
    function _deployContracts(NodeConfig calldata config) private returns (NodeContracts memory contracts) {
        address[6] memory list = _list(_implementations);
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == address(0)) continue;
            bytes32 salt = keccak256(abi.encode(config.nodeKey, i));
            list[i] = address(new NodeProxy{salt: salt}(list[i]));
        }
        contracts = NodeContracts(list[0], list[1], list[2], list[3], list[4], list[5]);
        INodeContract.NodeInit memory init =
            INodeContract.NodeInit(config.admin, config.adminDelay, config.treasury, contracts);
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] != address(0)) INodeContract(list[i]).initialize(init);
        }
    }

    /// @dev What a node's Executor may do from the start: deploy tokens, what the node's contracts say it is for, and
    /// set their terms where the node is to be so.
    function _nodeRules(NodeContracts memory contracts, bool withTerms)
        private
        view
        returns (IExecutor.Rule[] memory rules)
    {
        address[6] memory list = _list(contracts);
        bytes4[][12] memory selectors;
        uint256 count = 1;
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == address(0)) continue;
            selectors[i] = INodeContract(list[i]).operations();
            if (withTerms) selectors[6 + i] = INodeContract(list[i]).termSetters();
            count += selectors[i].length + selectors[6 + i].length;
        }
        rules = new IExecutor.Rule[](count);
        rules[0] = IExecutor.Rule(address(this), INodeFactory.deployToken.selector, 0, 0);
        for (uint256 i = 0; i < selectors.length; ++i) {
            for (uint256 s = 0; s < selectors[i].length; ++s) {
                rules[--count] = IExecutor.Rule(list[i % 6], selectors[i][s], 0, 0);
            }
        }
    }

    function _list(NodeContracts memory contracts) private pure returns (address[6] memory) {
        return [
            contracts.listing,
            contracts.secondaryMarket,
            contracts.otcDesk,
            contracts.rentDistributor,
            contracts.feeVault,
            contracts.redemptionDesk
        ];
    }

    function _announce(address token, address executor, bytes32 issuer, TokenConfig calldata config, bytes32 salt)
        private
    {
        emit TokenDeployed(
            token,
            executor,
            issuer,
            config.instrumentId,
            config.name,
            config.symbol,
            config.decimals,
            config.maxSupply,
            salt
        );
    }

    /// @dev What a node's Executor may do with a token: each operation in the form that carries a reason.
    function _operatingRules(address token, TokenConfig calldata config)
        private
        pure
        returns (IExecutor.Rule[] memory rules)
    {
        (uint104 mintLimit, uint104 burnLimit, uint104 forceLimit) =
            (config.dailyMintLimit, config.dailyBurnLimit, config.dailyForceLimit);
        bytes4[15] memory unlimited = [
            bytes4(keccak256("setFrozenTokens(address,uint256,bytes32)")),
            ISecurityToken.setAddressFrozen.selector,
            ITokenExtension.pause.selector,
            ITokenExtension.unpause.selector,
            ITokenExtension.pauseSupply.selector,
            ITokenExtension.unpauseSupply.selector,
            ITokenHolds.releaseHold.selector,
            ITokenHolds.executeHold.selector,
            ITokenHolds.reclaimExpired.selector,
            ITokenExtension.setLimits.selector,
            ITokenExtension.setCountryRule.selector,
            ITokenExtension.setDocument.selector,
            ITokenExtension.removeDocument.selector,
            ITokenRent.setRentMinimum.selector,
            // What a wallet has signed for whoever brings it.
            IERC20Permit.permit.selector
        ];
        rules = new IExecutor.Rule[](22);
        rules[0] = IExecutor.Rule(token, ISecurityToken.mint.selector, 2, mintLimit);
        rules[1] = IExecutor.Rule(token, ITokenHolds.mintLocked.selector, 2, mintLimit);
        rules[2] = IExecutor.Rule(token, ISecurityToken.burn.selector, 2, burnLimit);
        // What a hold is executed for is counted when it is placed.
        rules[3] = IExecutor.Rule(token, ITokenHolds.placeHold.selector, 2, burnLimit);
        rules[4] =
            IExecutor.Rule(token, bytes4(keccak256("forcedTransfer(address,address,uint256,bytes32)")), 3, forceLimit);
        rules[5] = IExecutor.Rule(token, ISecurityToken.forcedBurn.selector, 2, forceLimit);
        rules[6] = IExecutor.Rule(token, ITokenExtension.recover.selector, 3, forceLimit);
        for (uint256 i = 0; i < unlimited.length; ++i) {
            rules[7 + i] = IExecutor.Rule(token, unlimited[i], 0, 0);
        }
    }

    /// @dev Empty constructor data: the address depends on this factory, the beacon and the salt alone.
    function _proxyCode() private view returns (bytes memory) {
        return abi.encodePacked(type(BeaconProxy).creationCode, abi.encode(beacon, ""));
    }

    function _salt(bytes32 nodeKey, bytes32 issuer, string calldata instrumentId) private pure returns (bytes32) {
        return keccak256(abi.encode(nodeKey, issuer, instrumentId));
    }

    function _checkInstrumentId(string calldata instrumentId) private pure {
        bytes calldata text = bytes(instrumentId);
        bool valid = text.length > 0 && text.length <= 32;
        for (uint256 i = 0; valid && i < text.length; ++i) {
            bytes1 c = text[i];
            valid = (c >= "0" && c <= "9") || (c >= "A" && c <= "Z") || (c >= "a" && c <= "z") || c == "." || c == "_"
                || c == "-";
        }
        if (!valid) revert InvalidInstrumentId(instrumentId);
    }
}
