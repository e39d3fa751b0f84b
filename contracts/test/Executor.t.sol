// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Executor} from "../sol/Executor.sol";
import {IExecutor} from "../sol/interfaces/IExecutor.sol";
import {Base, Vm} from "./Base.sol";

/// @notice A target that notes what reached it and misbehaves on demand.
contract Probe {
    error Long(bytes filler);

    uint256 public calls;
    uint256 public lastGas;
    Executor private _door;

    function note() external {
        lastGas = gasleft();
        ++calls;
    }

    function burnGas() external view {
        while (gasleft() > 0) {}
    }

    function bomb(uint256 size, bool fails) external pure {
        assembly ("memory-safe") {
            let start := mload(0x40)
            if fails { revert(start, size) }
            return(start, size)
        }
    }

    function fail(uint256 size) external pure {
        revert Long(new bytes(size));
    }

    function aim(Executor door) external {
        _door = door;
    }

    function reenter() external {
        ++calls;
        IExecutor.Command[] memory items = new IExecutor.Command[](1);
        items[0] = IExecutor.Command("inner", address(this), abi.encodeCall(this.note, ()), 0, 100_000);
        _door.execute(items);
    }
}

contract ExecutorTest is Base {
    Probe private probe;
    Executor private door;

    function setUp() public override {
        super.setUp();
        probe = new Probe();
        bytes4[5] memory selectors = [
            Probe.note.selector,
            Probe.burnGas.selector,
            Probe.bomb.selector,
            Probe.fail.selector,
            Probe.reenter.selector
        ];
        IExecutor.ExecutorConfig memory config = registryExecutorConfig();
        config.rules = new IExecutor.Rule[](5);
        for (uint256 i = 0; i < 5; ++i) {
            config.rules[i] = IExecutor.Rule(address(probe), selectors[i], 0, 0);
        }
        config.keepers = new address[](2);
        (config.keepers[0], config.keepers[1]) = (keeper, address(probe));
        door = new Executor(config);
        probe.aim(door);
    }

    // ---------------------------------------------------------------- ids

    function test_a_command_runs_and_is_remembered() public {
        bytes memory data = mintCall(alice, 100);
        vm.expectEmit(address(executor));
        emit IExecutor.BatchStarted(keeper);
        vm.expectEmit(address(executor));
        emit IExecutor.CommandExecuted("id", address(token), true, "");
        IExecutor.Result memory result = execute(command("id", address(token), data));
        assertStatus(result.status, IExecutor.Status.Executed);
        vm.assertEq(result.returnData, "");
        vm.assertEq(token.balanceOf(alice), 100);
        (uint64 number, bytes24 payload) = executor.receiptOf("id");
        vm.assertEq(number, 1_000);
        vm.assertEq(bytes32(payload), bytes32(bytes24(keccak256(abi.encodePacked(address(token), data)))));
        (number, payload) = executor.receiptOf("other");
        vm.assertEq(number, 0);
        vm.assertEq(bytes32(payload), bytes32(0));
    }

    function testFuzz_a_receipt_holds_block_and_payload(bytes32 id, bytes calldata data, uint64 number) public {
        vm.roll(bound(number, 1, type(uint64).max));
        send(command(id, address(probe), data));
        (uint64 stored, bytes24 payload) = door.receiptOf(id);
        vm.assertEq(stored, block.number);
        vm.assertEq(bytes32(payload), bytes32(bytes24(keccak256(abi.encodePacked(address(probe), data)))));
    }

    function test_a_replay_is_skipped_whoever_sends_it_and_with_whatever_gas() public {
        send(note("id"));
        IExecutor.Command memory again = note("id");
        (again.gasLimit, again.validUntil) = (99_999, uint64(START));
        vm.expectEmit(address(door));
        emit IExecutor.CommandSkipped("id");
        vm.prank(address(probe));
        assertStatus(door.execute(one(again))[0].status, IExecutor.Status.Skipped);
        vm.assertEq(probe.calls(), 1);
    }

    function test_a_late_replay_is_a_replay_not_expired() public {
        IExecutor.Command memory item = note("id");
        item.validUntil = uint64(START);
        send(item);
        vm.warp(START + 1);
        assertStatus(send(item).status, IExecutor.Status.Skipped);
    }

    function test_an_id_with_another_payload_is_a_conflict() public {
        send(note("id"));
        vm.expectEmit(address(door));
        emit IExecutor.CommandConflict("id");
        assertStatus(
            send(command("id", address(probe), abi.encodeCall(probe.fail, (1)))).status, IExecutor.Status.Conflict
        );
        assertStatus(
            send(command("id", address(token), abi.encodeCall(probe.note, ()))).status, IExecutor.Status.Conflict
        );
        vm.assertEq(probe.calls(), 1);
    }

    function test_a_late_command_expires_and_its_id_stays_free() public {
        IExecutor.Command memory item = note("id");
        item.validUntil = uint64(START);
        vm.warp(START + 1);
        vm.expectEmit(address(door));
        emit IExecutor.CommandExpired("id");
        assertStatus(send(item).status, IExecutor.Status.Expired);
        item.validUntil = uint64(START + 1);
        assertStatus(send(item).status, IExecutor.Status.Executed);
    }

    function test_a_failure_consumes_the_id_and_stops_nobody() public {
        IExecutor.Command[] memory items = new IExecutor.Command[](3);
        items[0] = note("a");
        items[1] = command("b", address(probe), abi.encodeCall(probe.fail, (1)));
        items[2] = note("c");
        vm.prank(keeper);
        IExecutor.Result[] memory results = door.execute(items);
        assertStatus(results[0].status, IExecutor.Status.Executed);
        assertStatus(results[1].status, IExecutor.Status.Failed);
        assertStatus(results[2].status, IExecutor.Status.Executed);
        vm.assertEq(results[1].returnData, abi.encodeWithSelector(Probe.Long.selector, new bytes(1)));
        vm.assertEq(probe.calls(), 2);
        assertStatus(send(items[1]).status, IExecutor.Status.Skipped);
    }

    function test_an_id_twice_in_one_batch_runs_once() public {
        IExecutor.Command[] memory items = new IExecutor.Command[](3);
        items[0] = note("a");
        items[1] = note("a");
        items[2] = command("a", address(probe), abi.encodeCall(probe.fail, (1)));
        vm.prank(keeper);
        IExecutor.Result[] memory results = door.execute(items);
        assertStatus(results[1].status, IExecutor.Status.Skipped);
        assertStatus(results[2].status, IExecutor.Status.Conflict);
        vm.assertEq(probe.calls(), 1);
    }

    /// @dev I6 over any order of two commands that share ids.
    function testFuzz_an_id_changes_state_at_most_once_and_with_its_first_payload(uint256 seed) public {
        bytes[2] memory payloads =
            [abi.encodeCall(token.mint, (alice, 1, REASON)), abi.encodeCall(token.mint, (alice, 1_000, REASON))];
        uint256[3] memory first;
        uint256 expected;
        for (uint256 round = 0; round < 4; ++round) {
            IExecutor.Command[] memory items = new IExecutor.Command[](3);
            IExecutor.Status[] memory wanted = new IExecutor.Status[](3);
            for (uint256 i = 0; i < 3; ++i) {
                (uint256 id, uint256 which) = ((seed >> 8) % 3, seed & 1);
                items[i] = command(bytes32(id), address(token), payloads[which]);
                if (first[id] == 0) {
                    first[id] = which + 1;
                    expected += which == 0 ? 1 : 1_000;
                    wanted[i] = IExecutor.Status.Executed;
                } else {
                    wanted[i] = first[id] == which + 1 ? IExecutor.Status.Skipped : IExecutor.Status.Conflict;
                }
                seed = uint256(keccak256(abi.encode(seed)));
            }
            vm.prank(keeper);
            IExecutor.Result[] memory results = executor.execute(items);
            for (uint256 i = 0; i < 3; ++i) {
                assertStatus(results[i].status, wanted[i]);
            }
        }
        vm.assertEq(token.balanceOf(alice), expected);
    }

    // ---------------------------------------------------------------- succession

    function test_a_successor_knows_what_its_predecessors_ran() public {
        send(note("id"));
        IExecutor.ExecutorConfig memory config = registryExecutorConfig();
        config.rules[0] = IExecutor.Rule(address(probe), Probe.note.selector, 0, 0);
        config.previous = address(door);
        Executor second = new Executor(config);
        config.previous = address(second);
        Executor third = new Executor(config);
        vm.prank(keeper);
        assertStatus(third.execute(one(note("id")))[0].status, IExecutor.Status.Skipped);
        vm.prank(keeper);
        assertStatus(third.execute(one(command("id", address(probe), "other")))[0].status, IExecutor.Status.Conflict);
        vm.prank(keeper);
        assertStatus(third.execute(one(note("new")))[0].status, IExecutor.Status.Executed);
        (uint64 number,) = third.receiptOf("id");
        vm.assertEq(number, 1_000);
        vm.assertEq(third.previous(), address(second));
    }

    function test_a_predecessor_that_is_none_is_found_out_at_once() public {
        IExecutor.ExecutorConfig memory config = registryExecutorConfig();
        config.previous = address(probe);
        vm.expectRevert();
        new Executor(config);
    }

    // ---------------------------------------------------------------- gas

    function test_a_command_without_gas_is_refused() public {
        IExecutor.Command memory item = note("id");
        item.gasLimit = 0;
        refused(item, abi.encodeWithSelector(IExecutor.NoGas.selector));
    }

    function test_a_call_that_eats_its_gas_fails_alone() public {
        IExecutor.Command[] memory items = new IExecutor.Command[](2);
        items[0] = command("a", address(probe), abi.encodeCall(probe.burnGas, ()));
        items[1] = note("b");
        vm.prank(keeper);
        IExecutor.Result[] memory results = door.execute(items);
        assertStatus(results[0].status, IExecutor.Status.Failed);
        vm.assertEq(results[0].returnData, "");
        assertStatus(results[1].status, IExecutor.Status.Executed);
    }

    /// @dev Whatever gas the sender gives: each command either gets its whole cap or waits with its id free, all
    /// behind one that waits wait too, and the batch is told in full.
    function testFuzz_a_starved_batch_defers_and_never_starves_a_call(uint256 gas, uint8 count, uint256 cap) public {
        uint256 n = bound(count, 1, 40);
        cap = bound(cap, 60_000, 500_000);
        gas = bound(gas, 100_000 + n * 12_000, 100_000 + n * 12_000 + 2 * cap + n * 60_000);
        IExecutor.Command[] memory items = new IExecutor.Command[](n);
        for (uint256 i = 0; i < n; ++i) {
            items[i] = note(bytes32(i + 1));
            items[i].gasLimit = uint64(cap);
        }
        bytes memory data = abi.encodeCall(door.execute, (items));
        vm.recordLogs();
        vm.prank(keeper);
        (bool ok, bytes memory returned) = address(door).call{gas: gas}(data);
        vm.assertTrue(ok, "the batch ran out of gas");
        IExecutor.Result[] memory results = abi.decode(returned, (IExecutor.Result[]));
        vm.assertEq(vm.getRecordedLogs().length, n + 1, "one log an item");
        uint256 ran;
        while (ran < n && results[ran].status == IExecutor.Status.Executed) ++ran;
        for (uint256 i = ran; i < n; ++i) {
            assertStatus(results[i].status, IExecutor.Status.Deferred);
            (uint64 number,) = door.receiptOf(bytes32(i + 1));
            vm.assertEq(number, 0, "a deferred id is free");
        }
        vm.assertEq(probe.calls(), ran, "calls");
        if (ran > 0) vm.assertGe(probe.lastGas(), cap - 300, "the whole cap");
    }

    function test_what_waits_makes_what_follows_wait_but_not_replays() public {
        send(note("old"));
        IExecutor.Command[] memory items = new IExecutor.Command[](4);
        items[0] = note("big");
        items[0].gasLimit = 10_000_000;
        items[1] = note("small");
        items[2] = note("old");
        items[3] = note("late");
        items[3].validUntil = 1;
        vm.prank(keeper);
        IExecutor.Result[] memory results = door.execute{gas: 5_000_000}(items);
        assertStatus(results[0].status, IExecutor.Status.Deferred);
        assertStatus(results[1].status, IExecutor.Status.Deferred);
        assertStatus(results[2].status, IExecutor.Status.Skipped);
        assertStatus(results[3].status, IExecutor.Status.Expired);
    }

    function testFuzz_at_most_256_bytes_of_a_failure_come_back(uint256 size) public {
        size = bound(size, 0, 2_000);
        IExecutor.Result memory result = send(command("id", address(probe), abi.encodeCall(probe.bomb, (size, true))));
        assertStatus(result.status, IExecutor.Status.Failed);
        vm.assertEq(result.returnData.length, size > 256 ? 256 : size);
    }

    function test_a_return_bomb_costs_its_sender_only() public {
        IExecutor.Command[] memory items = new IExecutor.Command[](4);
        for (uint256 i = 0; i < 4; ++i) {
            items[i] = command(bytes32(i + 1), address(probe), abi.encodeCall(probe.bomb, (900_000, i < 2)));
            items[i].gasLimit = 2_000_000;
        }
        vm.prank(keeper);
        uint256 before = gasleft();
        IExecutor.Result[] memory results = door.execute(items);
        // Each call pays for its 900 kB of memory (about 1.7 M gas); copying them here would cost as much again.
        vm.assertLe(before - gasleft(), 4 * 1_800_000, "gas");
        for (uint256 i = 0; i < 4; ++i) {
            assertStatus(results[i].status, i < 2 ? IExecutor.Status.Failed : IExecutor.Status.Executed);
            vm.assertEq(results[i].returnData.length, i < 2 ? 256 : 0);
        }
    }

    function test_a_command_cannot_come_back_in() public {
        IExecutor.Result memory result = send(command("id", address(probe), abi.encodeCall(probe.reenter, ())));
        assertStatus(result.status, IExecutor.Status.Failed);
        vm.assertEq(
            result.returnData, abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
        vm.assertEq(probe.calls(), 0);
        assertStatus(send(note("next")).status, IExecutor.Status.Executed);
    }

    // ---------------------------------------------------------------- doors

    function test_only_keepers_execute() public {
        bytes32 role = door.KEEPER_ROLE();
        vm.prank(admin);
        vm.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, admin, role));
        door.execute(new IExecutor.Command[](0));
    }

    function test_a_guardian_stops_it_at_once_and_the_admin_alone_resumes() public {
        vm.prank(keeper);
        vm.expectRevert(abi.encodeWithSelector(IExecutor.NotGuardian.selector, keeper));
        door.stop();
        vm.expectEmit(address(door));
        emit IExecutor.Stopped(guardian);
        vm.prank(guardian);
        door.stop();
        vm.prank(keeper);
        vm.expectRevert(IExecutor.IsStopped.selector);
        door.execute(one(note("id")));
        vm.prank(guardian);
        vm.expectRevert();
        door.resume();
        vm.expectEmit(address(door));
        emit IExecutor.Resumed(admin);
        vm.prank(admin);
        door.resume();
        assertStatus(send(note("id")).status, IExecutor.Status.Executed);
        vm.prank(admin);
        door.stop();
        vm.assertTrue(door.stopped());
    }

    // ---------------------------------------------------------------- helpers

    function note(bytes32 id) private view returns (IExecutor.Command memory) {
        return command(id, address(probe), abi.encodeCall(probe.note, ()));
    }

    function send(IExecutor.Command memory item) private returns (IExecutor.Result memory) {
        vm.prank(keeper);
        return door.execute(one(item))[0];
    }

    function refused(IExecutor.Command memory item, bytes memory why) private {
        vm.expectEmit(address(door));
        emit IExecutor.BatchStarted(keeper);
        vm.expectEmit(address(door));
        emit IExecutor.CommandExecuted(item.id, item.target, false, why);
        IExecutor.Result memory result = send(item);
        assertStatus(result.status, IExecutor.Status.Failed);
        vm.assertEq(result.returnData, why);
    }
}
