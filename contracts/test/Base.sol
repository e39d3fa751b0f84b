// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Executor} from "../sol/Executor.sol";
import {InvestorRegistry} from "../sol/InvestorRegistry.sol";
import {NodeFactory} from "../sol/NodeFactory.sol";
import {SecurityToken, Token} from "../sol/SecurityToken.sol";
import {IExecutor} from "../sol/interfaces/IExecutor.sol";
import {IInvestorRegistry} from "../sol/interfaces/IInvestorRegistry.sol";
import {INodeFactory} from "../sol/interfaces/INodeFactory.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {FeeVault} from "../sol/node/FeeVault.sol";
import {Listing} from "../sol/node/Listing.sol";
import {OtcDesk} from "../sol/node/OtcDesk.sol";
import {RedemptionDesk} from "../sol/node/RedemptionDesk.sol";
import {RentDistributor} from "../sol/node/RentDistributor.sol";
import {SecondaryMarket} from "../sol/node/SecondaryMarket.sol";

/// @notice The cheat codes these tests use, as forge answers them at `vm`.
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    function prank(address sender) external;
    function expectRevert(bytes calldata data) external;
    function expectRevert(bytes4 selector) external;
    function expectRevert() external;
    function expectEmit(address emitter) external;
    function warp(uint256 timestamp) external;
    function roll(uint256 number) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory logs);
    function assume(bool condition) external pure;
    function load(address target, bytes32 slot) external view returns (bytes32 word);
    function store(address target, bytes32 slot, bytes32 word) external;
    function etch(address target, bytes calldata code) external;
    function addr(uint256 key) external pure returns (address);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function readFile(string calldata path) external view returns (string memory text);
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function keyExistsJson(string calldata json, string calldata key) external view returns (bool);
    function computeCreateAddress(address deployer, uint256 nonce) external pure returns (address);
    function toString(uint256 value) external pure returns (string memory);
    function lastCallGas() external view returns (Gas memory gas);
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256 gasUsed);
    function snapshotValue(string calldata group, string calldata name, uint256 value) external;
    function assertEq(uint256 left, uint256 right) external pure;
    function assertEq(uint256 left, uint256 right, string calldata message) external pure;
    function assertEq(address left, address right) external pure;
    function assertEq(bytes32 left, bytes32 right) external pure;
    function assertEq(bytes32 left, bytes32 right, string calldata message) external pure;
    function assertEq(bool left, bool right) external pure;
    function assertEq(bool left, bool right, string calldata message) external pure;
    function assertEq(bytes calldata left, bytes calldata right) external pure;
    function assertEq(string calldata left, string calldata right) external pure;
    function assertEq(string calldata left, string calldata right, string calldata message) external pure;
    function assertTrue(bool condition) external pure;
    function assertTrue(bool condition, string calldata message) external pure;
    function assertFalse(bool condition) external pure;
    function assertLe(uint256 left, uint256 right, string calldata message) external pure;
    function assertGe(uint256 left, uint256 right, string calldata message) external pure;
}

/// @notice A whole deployment, as the README lays it out: registry with its Executor, factory, one node, one token.
abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 internal constant START = 1_800_000_000;
    uint48 internal constant ADMIN_DELAY = 2 days;
    bytes32 internal constant NODE_KEY = keccak256("node");
    bytes32 internal constant ISSUER = keccak256("issuer");
    bytes32 internal constant REASON = "why";
    string internal constant INSTRUMENT = "rCC";
    uint256 internal constant MAX_SUPPLY = 1_000_000e18;
    uint104 internal constant DAILY_MINT = 500_000e18;
    uint104 internal constant DAILY_BURN = 100_000e18;
    uint104 internal constant DAILY_FORCE = 1_000e18;

    address internal constant admin = address(uint160(uint256(keccak256("admin"))));
    address internal constant guardian = address(uint160(uint256(keccak256("guardian"))));
    address internal constant keeper = address(uint160(uint256(keccak256("keeper"))));
    address internal constant treasury = address(uint160(uint256(keccak256("treasury"))));
    address internal constant alice = address(uint160(uint256(keccak256("alice"))));
    address internal constant bob = address(uint160(uint256(keccak256("bob"))));
    address internal constant carol = address(uint160(uint256(keccak256("carol"))));

    InvestorRegistry internal registry;
    Executor internal registryExecutor;
    NodeFactory internal factory;
    Executor internal executor;
    Token internal token;
    Listing internal listing;
    FeeVault internal feeVault;
    RedemptionDesk internal redemptions;
    RentDistributor internal rents;
    SecondaryMarket internal market;
    OtcDesk internal otc;

    function setUp() public virtual {
        vm.warp(START);
        vm.roll(1_000);
        registry = new InvestorRegistry(admin, ADMIN_DELAY);
        registryExecutor = new Executor(registryExecutorConfig());
        bytes32 registrar = registry.REGISTRAR_ROLE();
        vm.prank(admin);
        registry.grantRole(registrar, address(registryExecutor));
        vm.prank(admin);
        registry.grantRole(registrar, address(this));
        factory = new NodeFactory(admin, ADMIN_DELAY, address(registry), address(new SecurityToken()));
        INodeFactory.NodeContracts memory contracts = implementations();
        vm.prank(admin);
        factory.setImplementations(contracts);
        vm.prank(admin);
        executor = Executor(factory.deployNode(nodeConfig(NODE_KEY)));
        contracts = factory.nodeOf(NODE_KEY).contracts;
        (listing, feeVault) = (Listing(contracts.listing), FeeVault(contracts.feeVault));
        redemptions = RedemptionDesk(contracts.redemptionDesk);
        rents = RentDistributor(contracts.rentDistributor);
        (market, otc) = (SecondaryMarket(contracts.secondaryMarket), OtcDesk(contracts.otcDesk));
        vm.prank(admin);
        token = Token(factory.deployToken(tokenConfig(NODE_KEY, INSTRUMENT)));
        whitelist(alice, 1);
        whitelist(bob, 2);
    }

    function implementations() internal returns (INodeFactory.NodeContracts memory contracts) {
        contracts.listing = address(new Listing());
        contracts.feeVault = address(new FeeVault());
        contracts.redemptionDesk = address(new RedemptionDesk());
        contracts.rentDistributor = address(new RentDistributor());
        contracts.secondaryMarket = address(new SecondaryMarket());
        contracts.otcDesk = address(new OtcDesk());
    }

    function registryExecutorConfig() internal view returns (IExecutor.ExecutorConfig memory config) {
        config.admin = admin;
        config.adminDelay = ADMIN_DELAY;
        config.guardian = guardian;
        config.keepers = new address[](1);
        config.keepers[0] = keeper;
        config.rules = new IExecutor.Rule[](3);
        config.rules[0] = IExecutor.Rule(address(registry), IInvestorRegistry.setInvestor.selector, 0, 0);
        config.rules[1] = IExecutor.Rule(address(registry), IInvestorRegistry.setInvestors.selector, 0, 0);
        config.rules[2] = IExecutor.Rule(address(registry), IInvestorRegistry.revoke.selector, 0, 0);
    }

    function nodeConfig(bytes32 nodeKey) internal pure returns (INodeFactory.NodeConfig memory config) {
        config.nodeKey = nodeKey;
        config.issuer = ISSUER;
        config.admin = admin;
        config.adminDelay = ADMIN_DELAY;
        config.guardian = guardian;
        config.keepers = new address[](1);
        config.keepers[0] = keeper;
        config.treasury = treasury;
    }

    function tokenConfig(bytes32 nodeKey, string memory instrumentId)
        internal
        pure
        returns (INodeFactory.TokenConfig memory)
    {
        return INodeFactory.TokenConfig({
            nodeKey: nodeKey,
            instrumentId: instrumentId,
            name: "Rental Cash Certificate",
            symbol: "RCC",
            decimals: 18,
            maxSupply: MAX_SUPPLY,
            dailyMintLimit: DAILY_MINT,
            dailyBurnLimit: DAILY_BURN,
            dailyForceLimit: DAILY_FORCE
        });
    }

    // ---------------------------------------------------------------- short ways

    function investor(uint64 id) internal pure returns (IInvestorRegistry.Investor memory) {
        return IInvestorRegistry.Investor({
            investorId: id, country: 756, investorClass: 1, kycExpiresAt: uint40(START + 365 days), flags: 1
        });
    }

    function whitelist(address wallet, uint64 id) internal {
        registry.setInvestor(wallet, investor(id), REASON);
    }

    /// @dev Mints as the node's Executor, past its daily limit.
    function give(address to, uint256 amount) internal {
        vm.prank(address(executor));
        token.mint(to, amount, REASON);
    }

    function freeze(address account, uint256 amount) internal {
        vm.prank(address(executor));
        token.setFrozenTokens(account, amount, REASON);
    }

    function freezeAddress(address account, bool on) internal {
        vm.prank(address(executor));
        token.setAddressFrozen(account, on, REASON);
    }

    function command(bytes32 id, address target, bytes memory data) internal pure returns (IExecutor.Command memory) {
        return IExecutor.Command({id: id, target: target, data: data, validUntil: 0, gasLimit: 300_000});
    }

    function one(IExecutor.Command memory item) internal pure returns (IExecutor.Command[] memory items) {
        items = new IExecutor.Command[](1);
        items[0] = item;
    }

    function execute(IExecutor.Command memory item) internal returns (IExecutor.Result memory) {
        vm.prank(keeper);
        return executor.execute(one(item))[0];
    }

    function mintCall(address to, uint256 amount) internal pure returns (bytes memory) {
        return abi.encodeCall(ISecurityToken.mint, (to, amount, REASON));
    }

    function bound(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        return low + (x % (high - low + 1));
    }

    function assertStatus(IExecutor.Status actual, IExecutor.Status expected) internal pure {
        vm.assertEq(uint256(actual), uint256(expected), "status");
    }
}
