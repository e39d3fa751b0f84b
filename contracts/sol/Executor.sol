// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IExecutor} from "./interfaces/IExecutor.sol";
import {ForbiddenSelectors} from "./lib/ForbiddenSelectors.sol";

/// @title Executor
/// @notice The keeper's door, one per node and one for the registry. Runs a command at most once, whoever sends it
/// and however often; does nothing that its admin has not allowed; holds no money and no admin role.
/// @dev One word per id: block number (64 bits) | first 24 bytes of keccak256(target ‖ data). Sender, `validUntil` and
/// `gasLimit` are left out, so that the same command may be sent again with others.
contract Executor is IExecutor, AccessControlDefaultAdminRules, ReentrancyGuardTransient {
    bytes32 public constant KEEPER_ROLE = keccak256("KEEPER_ROLE");
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");

    /// @dev How much of a failed call's return data is kept.
    uint256 private constant MAX_RETURN_DATA = 256;
    /// @dev What an item costs beyond its call, at most: id word, two cold rule words, the day's first use of a limit,
    /// a cold target, the log with its 256 bytes.
    uint256 private constant ITEM_OVERHEAD = 70_000;
    /// @dev What each later item costs at least: read its id, here and in predecessors, and say that it is deferred.
    uint256 private constant REST_PER_ITEM = 12_000;

    /// @dev One word. `from` is the second since which the rule counts, 0 = no rule; of a scheduled rule, the second
    /// from which it may be applied.
    struct StoredRule {
        uint48 from;
        uint8 amountArg;
        uint104 dailyLimit;
    }

    /// @dev `usage` is what successful calls have used of the limit: day since 1970 (UTC) << 104 | amount. It outlives
    /// its rule: taking a rule away and back resets nothing.
    struct Permission {
        StoredRule rule;
        uint256 usage;
    }

    /// @inheritdoc IExecutor
    address public immutable previous;

    /// @inheritdoc IExecutor
    address public immutable factory;

    /// @inheritdoc IExecutor
    bool public stopped;

    mapping(bytes32 id => bytes32) private _receipts;
    mapping(address target => mapping(bytes4 selector => Permission)) private _permissions;
    mapping(address target => mapping(bytes4 selector => StoredRule)) private _scheduled;

    constructor(ExecutorConfig memory config) AccessControlDefaultAdminRules(config.adminDelay, config.admin) {
        (previous, factory) = (config.previous, config.factory);
        // An address that is no Executor would make every command fail; find out now.
        if (config.previous != address(0)) IExecutor(config.previous).receiptOf(0);
        if (config.guardian != address(0)) _grantRole(GUARDIAN_ROLE, config.guardian);
        for (uint256 i = 0; i < config.keepers.length; ++i) {
            _grantRole(KEEPER_ROLE, config.keepers[i]);
        }
        for (uint256 i = 0; i < config.rules.length; ++i) {
            _register(config.rules[i]);
        }
    }

    modifier onlyGuardian() {
        address account = _msgSender();
        if (!hasRole(GUARDIAN_ROLE, account) && !hasRole(DEFAULT_ADMIN_ROLE, account)) revert NotGuardian(account);
        _;
    }

    // ---------------------------------------------------------------- commands

    /// @inheritdoc IExecutor
    function execute(Command[] calldata commands)
        external
        nonReentrant
        onlyRole(KEEPER_ROLE)
        returns (Result[] memory results)
    {
        if (stopped) revert IsStopped();
        emit BatchStarted(_msgSender());
        results = new Result[](commands.length);
        bool deferring;
        uint256 rest = commands.length;
        for (uint256 i = 0; rest != 0; ++i) {
            deferring = _item(commands[i], --rest, deferring, results[i]);
        }
    }

    /// @inheritdoc IExecutor
    function receiptOf(bytes32 id) external view returns (uint64 blockNumber, bytes24 payload) {
        bytes32 receipt = _receipt(id);
        return (uint64(uint256(receipt) >> 192), _payload(receipt));
    }

    // ---------------------------------------------------------------- rules

    /// @inheritdoc IExecutor
    function scheduleRule(Rule calldata rule) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _checkRule(rule.target, rule.selector);
        uint48 from = uint48(block.timestamp) + defaultAdminDelay();
        _scheduled[rule.target][rule.selector] = StoredRule(from, rule.amountArg, rule.dailyLimit);
        emit RuleScheduled(rule.target, rule.selector, rule.amountArg, rule.dailyLimit, from, _msgSender());
    }

    /// @inheritdoc IExecutor
    function cancelRule(address target, bytes4 selector) external onlyGuardian {
        if (!_cancel(target, selector)) revert NoRule(target, selector);
    }

    /// @inheritdoc IExecutor
    function applyRule(address target, bytes4 selector) external {
        StoredRule memory rule = _scheduled[target][selector];
        if (rule.from == 0) revert NoRule(target, selector);
        if (block.timestamp < rule.from) revert RuleNotReady(rule.from);
        delete _scheduled[target][selector];
        _setRule(target, selector, rule);
    }

    /// @inheritdoc IExecutor
    function removeRule(address target, bytes4 selector) external onlyGuardian {
        StoredRule memory rule = _permissions[target][selector].rule;
        if (rule.from == 0) revert NoRule(target, selector);
        delete _permissions[target][selector].rule;
        _cancel(target, selector);
        emit RuleChanged(target, selector, false, rule.amountArg, rule.dailyLimit, _msgSender());
    }

    /// @inheritdoc IExecutor
    function lowerLimit(address target, bytes4 selector, uint104 dailyLimit) external onlyRole(DEFAULT_ADMIN_ROLE) {
        StoredRule memory rule = _permissions[target][selector].rule;
        if (rule.from == 0 || rule.amountArg == 0) revert NoRule(target, selector);
        if (dailyLimit >= rule.dailyLimit) revert NotLower(rule.dailyLimit);
        rule.dailyLimit = dailyLimit;
        _cancel(target, selector);
        _setRule(target, selector, rule);
    }

    /// @inheritdoc IExecutor
    function register(Rule[] calldata rules) external {
        if (_msgSender() != factory) revert NotFactory(_msgSender());
        for (uint256 i = 0; i < rules.length; ++i) {
            _register(rules[i]);
        }
    }

    /// @inheritdoc IExecutor
    function ruleOf(address target, bytes4 selector)
        external
        view
        returns (bool allowed, uint8 amountArg, uint104 dailyLimit, uint104 usedToday)
    {
        Permission storage permission = _permissions[target][selector];
        StoredRule memory rule = permission.rule;
        return (rule.from != 0, rule.amountArg, rule.dailyLimit, _usedOn(_today(), permission));
    }

    /// @inheritdoc IExecutor
    function scheduledRuleOf(address target, bytes4 selector)
        external
        view
        returns (uint48 effectiveFrom, uint8 amountArg, uint104 dailyLimit)
    {
        StoredRule memory rule = _scheduled[target][selector];
        return (rule.from, rule.amountArg, rule.dailyLimit);
    }

    // ---------------------------------------------------------------- stop

    /// @inheritdoc IExecutor
    function stop() external onlyGuardian {
        stopped = true;
        emit Stopped(_msgSender());
    }

    /// @inheritdoc IExecutor
    function resume() external onlyRole(DEFAULT_ADMIN_ROLE) {
        stopped = false;
        emit Resumed(_msgSender());
    }

    // ---------------------------------------------------------------- private

    /// @dev Settles one command.
    /// @param rest How many come after it.
    /// @param deferring Whether one before it waits.
    /// @return Whether one waits now.
    function _item(Command calldata command, uint256 rest, bool deferring, Result memory result)
        private
        returns (bool)
    {
        bytes32 id = command.id;
        address target = command.target;
        (bytes4 selector, bytes memory packed) = _unpack(target, command.data);
        bytes24 payload = bytes24(keccak256(packed));
        uint256 gasLimit = command.gasLimit;
        bytes32 receipt = _receipt(id);
        if (receipt != 0) {
            // Before the look at the clock: a late replay is a replay.
            if (_payload(receipt) == payload) {
                result.status = Status.Skipped;
                emit CommandSkipped(id);
            } else {
                result.status = Status.Conflict;
                emit CommandConflict(id);
            }
        } else if (_isLate(command.validUntil)) {
            result.status = Status.Expired;
            emit CommandExpired(id);
        } else if (deferring || !_gasSuffices(gasLimit, packed.length, rest)) {
            // Later commands may build on this one: once one waits, all that would run wait.
            deferring = true;
            result.status = Status.Deferred;
            emit CommandDeferred(id);
        } else {
            _receipts[id] = bytes32((block.number << 192) | uint192(payload));
            (bool ok, bytes memory returnData) = _run(target, selector, gasLimit, packed);
            if (ok) {
                // The status is zero: Executed.
                emit CommandExecuted(id, target, true, "");
            } else {
                (result.status, result.returnData) = (Status.Failed, returnData);
                emit CommandExecuted(id, target, false, returnData);
            }
        }
        return deferring;
    }

    /// @dev Checks what the command may do, calls, and counts what it did. Never reverts.
    /// @param packed The target, then the call data.
    function _run(address target, bytes4 selector, uint256 gasLimit, bytes memory packed)
        private
        returns (bool ok, bytes memory returnData)
    {
        Permission storage permission = _permissions[target][selector];
        // All fields at once: they are one word.
        (uint256 from, uint256 amountArg, uint256 limit) =
            (permission.rule.from, permission.rule.amountArg, permission.rule.dailyLimit);
        if (from == 0) return (false, abi.encodeWithSelector(NotAllowed.selector, target, selector));
        if (gasLimit == 0) return (false, abi.encodeWithSelector(NoGas.selector));
        if (target.code.length == 0) return (false, abi.encodeWithSelector(InvalidTarget.selector, target));
        if (amountArg == 0) return _call(target, gasLimit, packed);

        // Address (20 bytes), selector (4), then the words before the amount and the amount itself.
        uint256 end;
        unchecked {
            end = 24 + 32 * amountArg;
        }
        if (packed.length < end) return (false, abi.encodeWithSelector(DataTooShort.selector));
        uint256 amount;
        assembly ("memory-safe") {
            amount := mload(add(packed, end))
        }
        uint256 today = _today();
        uint256 used = _usedOn(today, permission);
        unchecked {
            if (used > limit || amount > limit - used) {
                return (false, abi.encodeWithSelector(DailyLimitExceeded.selector, limit, used, amount));
            }
            (ok, returnData) = _call(target, gasLimit, packed);
            // Within the limit, which has 104 bits.
            if (ok) permission.usage = (today << 104) | (used + amount);
        }
    }

    /// @dev A call with its own gas that cannot hurt the batch: at most 256 bytes come back, and only from a failure.
    function _call(address target, uint256 gasLimit, bytes memory packed)
        private
        returns (bool ok, bytes memory returnData)
    {
        uint256 size;
        assembly ("memory-safe") {
            // The call data stand behind the length (32 bytes) and the target (20 bytes).
            ok := call(gasLimit, target, 0, add(packed, 0x34), sub(mload(packed), 0x14), 0, 0)
            size := returndatasize()
        }
        if (ok) return (true, returnData);
        returnData = new bytes(size > MAX_RETURN_DATA ? MAX_RETURN_DATA : size);
        assembly ("memory-safe") {
            returndatacopy(add(returnData, 0x20), 0, mload(returnData))
        }
    }

    function _unpack(address target, bytes calldata data) private pure returns (bytes4, bytes memory) {
        return (bytes4(data), abi.encodePacked(target, data));
    }

    function _isLate(uint256 validUntil) private view returns (bool) {
        return validUntil != 0 && block.timestamp > validUntil;
    }

    /// @dev Whether the call gets its full gas (the EVM keeps back one 64th) and the rest of the batch its own.
    function _gasSuffices(uint256 gasLimit, uint256 dataLength, uint256 rest) private view returns (bool) {
        unchecked {
            // Far from overflow: the cap has 64 bits, the others fit a transaction.
            return gasleft() >= (gasLimit * 64) / 63 + ITEM_OVERHEAD + dataLength + rest * REST_PER_ITEM;
        }
    }

    function _receipt(bytes32 id) private view returns (bytes32 receipt) {
        receipt = _receipts[id];
        if (receipt == 0 && previous != address(0)) {
            (uint64 blockNumber, bytes24 payload) = IExecutor(previous).receiptOf(id);
            receipt = bytes32((uint256(blockNumber) << 192) | uint192(payload));
        }
    }

    function _payload(bytes32 receipt) private pure returns (bytes24) {
        return bytes24(receipt << 64);
    }

    function _register(Rule memory rule) private {
        _checkRule(rule.target, rule.selector);
        if (_permissions[rule.target][rule.selector].rule.from != 0) revert RuleExists(rule.target, rule.selector);
        _setRule(rule.target, rule.selector, StoredRule(uint48(block.timestamp), rule.amountArg, rule.dailyLimit));
    }

    /// @dev Takes back what is scheduled for a pair; says whether anything was.
    function _cancel(address target, bytes4 selector) private returns (bool) {
        if (_scheduled[target][selector].from == 0) return false;
        delete _scheduled[target][selector];
        emit RuleCancelled(target, selector, _msgSender());
        return true;
    }

    function _setRule(address target, bytes4 selector, StoredRule memory rule) private {
        _permissions[target][selector].rule = rule;
        emit RuleChanged(target, selector, true, rule.amountArg, rule.dailyLimit, _msgSender());
    }

    function _checkRule(address target, bytes4 selector) private view {
        if (target == address(this) || target.code.length == 0) revert InvalidTarget(target);
        if (ForbiddenSelectors.contains(selector)) revert ForbiddenSelector(selector);
    }

    function _usedOn(uint256 day, Permission storage permission) private view returns (uint104) {
        uint256 usage = permission.usage;
        // The low 104 bits are the amount.
        // forge-lint: disable-next-line(unsafe-typecast)
        return usage >> 104 == day ? uint104(usage) : 0;
    }

    function _today() private view returns (uint256) {
        return block.timestamp / 1 days;
    }
}
