// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IExecutor
/// @notice The keeper's door: runs each command at most once and remembers it for ever.
interface IExecutor {
    /// @param id Key of the command; its encoding is in the README.
    /// @param target Contract to call.
    /// @param data Call data.
    /// @param validUntil Last Unix second at which it may run; 0 = always.
    /// @param gasLimit Gas the call gets, neither more nor less; 0 is refused.
    struct Command {
        bytes32 id;
        address target;
        bytes data;
        uint64 validUntil;
        uint64 gasLimit;
    }

    /// @dev Only Executed and Failed consume the id.
    enum Status {
        Executed,
        Failed,
        Skipped,
        Conflict,
        Expired,
        Deferred
    }

    /// @param returnData What a failed call returned, cut to 256 bytes; empty otherwise.
    struct Result {
        Status status;
        bytes returnData;
    }

    /// @notice What may be called.
    /// @param target Contract.
    /// @param selector Function.
    /// @param amountArg Which argument word (1 = the first) counts against the daily limit; 0 = no limit.
    /// @param dailyLimit Base units per UTC day over all successful calls of this pair.
    struct Rule {
        address target;
        bytes4 selector;
        uint8 amountArg;
        uint104 dailyLimit;
    }

    /// @param admin Cold key: default admin.
    /// @param adminDelay Seconds that a new admin and a wider rule wait.
    /// @param guardian May stop it at once; zero = none.
    /// @param keepers Keys that may call `execute`.
    /// @param factory May register the contracts it has just made, for ever; zero = none.
    /// @param previous The Executor this one succeeds, asked for ids it does not know; zero = none.
    /// @param rules Allowed from the start.
    struct ExecutorConfig {
        address admin;
        uint48 adminDelay;
        address guardian;
        address[] keepers;
        address factory;
        address previous;
        Rule[] rules;
    }

    event BatchStarted(address indexed keeper);
    event CommandExecuted(bytes32 indexed id, address indexed target, bool ok, bytes returnData);
    event CommandSkipped(bytes32 indexed id);
    event CommandConflict(bytes32 indexed id);
    event CommandExpired(bytes32 indexed id);
    event CommandDeferred(bytes32 indexed id);
    event RuleScheduled(
        address indexed target,
        bytes4 indexed selector,
        uint8 amountArg,
        uint104 dailyLimit,
        uint48 effectiveFrom,
        address operator
    );
    event RuleCancelled(address indexed target, bytes4 indexed selector, address operator);
    event RuleChanged(
        address indexed target,
        bytes4 indexed selector,
        bool allowed,
        uint8 amountArg,
        uint104 dailyLimit,
        address operator
    );
    event Stopped(address operator);
    event Resumed(address operator);

    /// @notice A guardian has stopped it.
    error IsStopped();
    /// @notice Neither admin nor guardian.
    error NotGuardian(address account);
    /// @notice Not the factory.
    error NotFactory(address account);
    /// @notice No contract stands there, or it is the Executor itself.
    error InvalidTarget(address target);
    /// @notice Selectors that move money, roles or code are never allowed.
    error ForbiddenSelector(bytes4 selector);
    /// @notice The pair has a rule already.
    error RuleExists(address target, bytes4 selector);
    /// @notice The pair has no such rule.
    error NoRule(address target, bytes4 selector);
    /// @notice The scheduled rule takes effect only at `effectiveFrom`.
    error RuleNotReady(uint48 effectiveFrom);
    /// @notice A lower limit than `dailyLimit` was expected.
    error NotLower(uint104 dailyLimit);

    // Refusals of one item, found in the return data of its result:

    /// @notice The pair is not allowed.
    error NotAllowed(address target, bytes4 selector);
    /// @notice The command carries no gas.
    error NoGas();
    /// @notice The call data ends before the amount that the limit counts.
    error DataTooShort();
    /// @notice `used` of `limit` is used today; `amount` more is too much.
    error DailyLimitExceeded(uint256 limit, uint256 used, uint256 amount);

    /// @notice Runs commands in order; none of them stops the batch.
    /// @custom:access KEEPER_ROLE
    function execute(Command[] calldata commands) external returns (Result[] memory results);

    /// @notice Block and payload of a consumed id, of this Executor or of one before it; zero if unknown.
    function receiptOf(bytes32 id) external view returns (uint64 blockNumber, bytes24 payload);

    /// @notice Stops `execute` at once.
    /// @custom:access admin or GUARDIAN_ROLE
    function stop() external;

    /// @custom:access DEFAULT_ADMIN_ROLE
    function resume() external;

    /// @notice Announces a new or wider rule; `applyRule` makes it count once the delay is over.
    /// @custom:access DEFAULT_ADMIN_ROLE
    function scheduleRule(Rule calldata rule) external;

    /// @notice Takes back a scheduled rule.
    /// @custom:access admin or GUARDIAN_ROLE
    function cancelRule(address target, bytes4 selector) external;

    /// @notice Makes a scheduled rule count; anyone may.
    function applyRule(address target, bytes4 selector) external;

    /// @notice Takes a rule away, at once, and one that is scheduled in its place.
    /// @custom:access admin or GUARDIAN_ROLE
    function removeRule(address target, bytes4 selector) external;

    /// @notice Lowers a daily limit, at once; a rule that is scheduled in its place is taken back.
    /// @custom:access DEFAULT_ADMIN_ROLE
    function lowerLimit(address target, bytes4 selector, uint104 dailyLimit) external;

    /// @notice Rules for pairs that have none yet, at once.
    /// @custom:access the factory
    function register(Rule[] calldata rules) external;

    function stopped() external view returns (bool);

    function previous() external view returns (address);

    /// @notice The only one that may `register`; zero = nobody.
    function factory() external view returns (address);

    /// @notice The rule of a pair and what is used of its limit today.
    function ruleOf(address target, bytes4 selector)
        external
        view
        returns (bool allowed, uint8 amountArg, uint104 dailyLimit, uint104 usedToday);

    /// @notice The announced rule of a pair; `effectiveFrom` is 0 if there is none.
    function scheduledRuleOf(address target, bytes4 selector)
        external
        view
        returns (uint48 effectiveFrom, uint8 amountArg, uint104 dailyLimit);
}
