// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Executor} from "../../sol/Executor.sol";
import {IExecutor} from "../../sol/interfaces/IExecutor.sol";
import {ISecurityToken} from "../../sol/interfaces/ISecurityToken.sol";
import {ITokenHolds} from "../../sol/interfaces/ITokenHolds.sol";
import {Vm} from "../Base.sol";
import {Handler} from "./Handler.sol";
import {World} from "./World.sol";

/// @notice What keepers send: batches over few ids, so that replays, conflicts, late and starved items and successors
/// of the Executor meet the same id again and again. Watches I6.
contract CommandActs is Handler {
    uint256 private constant IDS = 12;
    uint256 private constant LINE = 3;

    /// @dev Payload with which an id was consumed, here or in a predecessor.
    mapping(Executor door => mapping(bytes32 id => bytes24)) private _consumed;
    /// @notice How often an id changed state, over all Executors.
    mapping(bytes32 id => uint256) public effects;
    /// @notice The payload that did.
    mapping(bytes32 id => bytes24) public effective;

    constructor(World world_) Handler(world_) {}

    function execute(uint256 seed) external {
        _send(world.executor(), seed, 0);
    }

    /// @dev With gas for some of the items.
    function executeStarved(uint256 seed, uint256 gas) external {
        _send(world.executor(), seed, 150_000 + gas % 1_000_000);
    }

    /// @dev A door that has lost its roles still remembers, and still changes nothing.
    function executeThroughOldDoor(uint256 seed) external {
        Executor[] memory doors = world.executors();
        vm.assume(doors.length > 1);
        _send(doors[(seed >> 248) % (doors.length - 1)], seed, 0);
    }

    function succeed() external followed {
        Executor[] memory doors = world.executors();
        vm.assume(doors.length < LINE);
        Executor last = world.executor();
        IExecutor.ExecutorConfig memory config;
        (config.admin, config.previous) = (world.admin(), address(last));
        config.keepers = new address[](1);
        config.keepers[0] = world.keeper();
        bytes4[5] memory selectors = _selectors();
        config.rules = new IExecutor.Rule[](selectors.length);
        for (uint256 i = 0; i < selectors.length; ++i) {
            config.rules[i] = IExecutor.Rule(address(token), selectors[i], 0, 0);
        }
        Executor next = new Executor(config);
        vm.prank(world.admin());
        token.replaceOperator(address(last), address(next));
        world.succeed(next);
    }

    function idOf(uint256 index) external pure returns (bytes32) {
        return _id(index);
    }

    function ids() external pure returns (uint256) {
        return IDS;
    }

    /// @notice What the Executors in their order must remember of an id.
    function consumedBy(Executor door, bytes32 id) public view returns (bytes24 payload) {
        while (address(door) != address(0) && payload == 0) {
            payload = _consumed[door][id];
            door = Executor(door.previous());
        }
    }

    // ---------------------------------------------------------------- private

    function _send(Executor door, uint256 seed, uint256 gas) private {
        IExecutor.Command[] memory items = new IExecutor.Command[](1 + seed % 4);
        for (uint256 i = 0; i < items.length; ++i) {
            items[i] = _item(seed = uint256(keccak256(abi.encode(seed))));
        }
        vm.recordLogs();
        vm.prank(world.keeper());
        (bool ok, bytes memory answer) =
            address(door).call{gas: gas == 0 ? gasleft() : gas}(abi.encodeCall(IExecutor.execute, (items)));
        // Too little gas even to defer: nothing happened.
        vm.assume(ok || gas == 0);
        vm.assertTrue(ok, "a batch with enough gas reverts");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        IExecutor.Result[] memory results = abi.decode(answer, (IExecutor.Result[]));
        uint256 next = 1; // behind BatchStarted
        for (uint256 i = 0; i < items.length; ++i) {
            uint256 end = next;
            bool failed = results[i].status == IExecutor.Status.Failed;
            for (; end < logs.length && logs[end].emitter != address(door); ++end) {
                // forge records the logs of reverted calls, too; no chain does.
                if (failed) logs[end].emitter = address(0);
            }
            _settle(door, items[i], results[i].status, failed ? 0 : end - next, gas != 0);
            next = end + 1;
        }
        if (next != logs.length) replica.note(6, "logs without an item");
        replica.follow(logs);
        world.nodeReplica().follow(logs);
    }

    /// @dev Holds one item's outcome against the first payload of its id, and its effect against its outcome.
    function _settle(Executor door, IExecutor.Command memory item, IExecutor.Status status, uint256 logs, bool starved)
        private
    {
        bytes24 payload = bytes24(keccak256(abi.encodePacked(item.target, item.data)));
        bytes24 first = consumedBy(door, item.id);
        bool ran = status == IExecutor.Status.Executed || status == IExecutor.Status.Failed;
        if (first != 0) {
            bool same = status == (first == payload ? IExecutor.Status.Skipped : IExecutor.Status.Conflict);
            if (!same) replica.note(6, "a known id is neither skipped nor a conflict");
        } else if (item.validUntil != 0 && block.timestamp > item.validUntil) {
            if (status != IExecutor.Status.Expired) replica.note(6, "a late command does not expire");
        } else if (!ran && !(starved && status == IExecutor.Status.Deferred)) {
            replica.note(6, "a new command does not run");
        }
        if (ran) _consumed[door][item.id] = payload;
        if (logs == 0) return;
        if (status != IExecutor.Status.Executed) replica.note(6, "an item that did not run changes state");
        if (++effects[item.id] > 1) replica.note(6, "an id changes state twice");
        effective[item.id] = payload;
    }

    /// @dev Two payloads an id; one in eight is late, none has too little gas of its own.
    function _item(uint256 seed) private view returns (IExecutor.Command memory item) {
        item.id = _id(seed >> 8);
        item.target = address(token);
        item.data = _payload((seed >> 8) % IDS * 2 + (seed >> 16) % 2);
        item.validUntil = (seed >> 24) % 8 == 0 ? uint64(block.timestamp - 1) : uint64(block.timestamp);
        item.gasLimit = 300_000;
    }

    /// @dev The same number gives the same call, always.
    function _payload(uint256 number) private view returns (bytes memory) {
        address wallet = world.wallet(number / 4);
        uint256 amount = 1_000 + number;
        if (number % 5 == 0) return abi.encodeCall(ISecurityToken.burn, (wallet, amount, REASON));
        if (number % 5 == 1) return abi.encodeWithSelector(_selectors()[2], wallet, amount, REASON);
        if (number % 5 == 2) {
            return abi.encodeWithSelector(_selectors()[3], wallet, world.wallet(number), amount, REASON);
        }
        if (number % 7 == 0) return abi.encodeCall(ITokenHolds.placeHold, (wallet, amount, 0, REASON));
        // Allowed to nobody; consumes its id all the same.
        if (number % 9 == 0) return abi.encodeCall(token.transfer, (wallet, amount));
        return abi.encodeCall(ISecurityToken.mint, (wallet, amount, REASON));
    }

    function _selectors() private pure returns (bytes4[5] memory) {
        return [
            ISecurityToken.mint.selector,
            ISecurityToken.burn.selector,
            bytes4(keccak256("setFrozenTokens(address,uint256,bytes32)")),
            bytes4(keccak256("forcedTransfer(address,address,uint256,bytes32)")),
            ITokenHolds.placeHold.selector
        ];
    }

    function _id(uint256 seed) private pure returns (bytes32) {
        return keccak256(abi.encode("command", seed % IDS));
    }
}
