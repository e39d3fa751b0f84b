// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title INodeFactory
/// @notice Deploys an issuer's node, wired, and then its tokens.
interface INodeFactory {
    /// @notice The six contracts of a node; zero where the node has none.
    struct NodeContracts {
        address listing;
        address secondaryMarket;
        address otcDesk;
        address rentDistributor;
        address feeVault;
        address redemptionDesk;
    }

    /// @param issuer Key of the issuer.
    /// @param executor The keeper's door of this node.
    /// @param treasury Wallet that receives proceeds and funds payouts.
    struct Node {
        bytes32 issuer;
        address executor;
        address treasury;
        NodeContracts contracts;
    }

    /// @param nodeKey Unique key of the node; CREATE2 salt of its contracts.
    /// @param admin Cold key of the node, default admin of its Executor and tokens.
    /// @param adminDelay Seconds that a new admin and a wider Executor rule wait.
    /// @param guardian May stop the Executor; zero = none.
    /// @param keepers Keys that may drive the Executor.
    /// @param previousExecutor The Executor that the new one succeeds; zero = none.
    /// @param keeperSetsTerms Whether the Executor may set terms (prices, beneficiaries, fees, payment tokens) from the
    /// start. Else only the admin does: a stolen keeper's key then cannot sell at another price or pay somebody else.
    struct NodeConfig {
        bytes32 nodeKey;
        bytes32 issuer;
        address admin;
        uint48 adminDelay;
        address guardian;
        address[] keepers;
        address treasury;
        address previousExecutor;
        bool keeperSetsTerms;
    }

    /// @param instrumentId 1 to 32 of [A-Za-z0-9._-], unique in its node.
    /// @param maxSupply Base units, 1 to 2^104 − 1.
    /// @param dailyMintLimit Base units the Executor may mint per UTC day.
    /// @param dailyBurnLimit Base units the Executor may burn, and as many place under holds (which it may then execute),
    /// per UTC day.
    /// @param dailyForceLimit Base units the Executor may move, and as many burn, by force per UTC day.
    struct TokenConfig {
        bytes32 nodeKey;
        string instrumentId;
        string name;
        string symbol;
        uint8 decimals;
        uint256 maxSupply;
        uint104 dailyMintLimit;
        uint104 dailyBurnLimit;
        uint104 dailyForceLimit;
    }

    /// @notice What the contracts of nodes to come run; zero = those nodes have none of it.
    event ImplementationsChanged(NodeContracts implementations, address operator);

    event NodeDeployed(
        bytes32 indexed nodeKey,
        bytes32 indexed issuer,
        address indexed executor,
        address treasury,
        address admin,
        NodeContracts contracts
    );

    /// @param node The node's Executor.
    event TokenDeployed(
        address indexed token,
        address indexed node,
        bytes32 indexed issuer,
        string instrumentId,
        string name,
        string symbol,
        uint8 decimals,
        uint256 maxSupply,
        bytes32 salt
    );

    /// @notice The node's Executor is another one from now on.
    event NodeExecutorReplaced(
        bytes32 indexed nodeKey, address indexed oldExecutor, address indexed newExecutor, address operator
    );

    error InvalidNodeKey();
    /// @notice No contract stands there.
    error InvalidImplementation(address implementation);
    error NodeExists(bytes32 nodeKey);
    error UnknownNode(bytes32 nodeKey);
    /// @notice Neither the node's Executor nor its admin.
    error NotNodeOperator(address account);
    error InvalidInstrumentId(string instrumentId);
    /// @notice Does not name `executor` as its predecessor, or not this factory as its own.
    error NotSuccessor(address candidate, address executor);
    /// @notice `token` of this node carries this instrument id.
    error InstrumentExists(string instrumentId, address token);

    /// @notice Says what the contracts of new nodes run. Those of nodes that stand are their own admin's to upgrade.
    /// @custom:access DEFAULT_ADMIN_ROLE
    function setImplementations(NodeContracts calldata next) external;

    /// @notice Deploys a node: its contracts, each behind a proxy, and its Executor, allowed to operate them and to deploy
    /// tokens.
    /// @custom:access DEPLOYER_ROLE
    function deployNode(NodeConfig calldata config) external returns (address executor);

    /// @notice Deploys a token of a node and lets the node's Executor operate it.
    /// @custom:access the node's Executor or that Executor's default admin
    function deployToken(TokenConfig calldata config) external returns (address token);

    /// @notice Gives a node another Executor, which succeeds the one it has. Tokens that stand already change hands by
    /// their own `replaceOperator`.
    /// @param next Names the present one as `previous` and this factory as `factory`; by its rules it may call
    /// `deployToken`.
    /// @custom:access default admin of the node's present Executor
    function replaceExecutor(bytes32 nodeKey, address next) external;

    /// @notice Points every token at another implementation.
    /// @custom:access DEFAULT_ADMIN_ROLE
    function upgradeTokens(address implementation) external;

    /// @notice Where `deployToken` puts a token.
    function predictToken(bytes32 nodeKey, bytes32 issuer, string calldata instrumentId)
        external
        view
        returns (address token);

    /// @notice What the contracts of new nodes run.
    function implementations() external view returns (NodeContracts memory);

    function nodeOf(bytes32 nodeKey) external view returns (Node memory);

    /// @notice The token of a node's instrument; zero if there is none.
    function tokenOf(bytes32 nodeKey, string calldata instrumentId) external view returns (address);

    /// @notice The registry new tokens ask.
    function registry() external view returns (address);

    /// @notice The beacon that holds the tokens' implementation; this factory's own.
    function beacon() external view returns (address);
}
